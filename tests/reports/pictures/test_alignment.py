"""Pictures of alignment show images where their transforms bring them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np

from tests.reports.conftest import AFFINE, found
from tests.reports.pixels import coloured, panel_of, pixels
from wmhflow.files.images import make_image
from wmhflow.files.itk import write_itk_affine
from wmhflow.plan.visit import Given, Source
from wmhflow.reports.drawing.layout import arrange
from wmhflow.reports.drawing.slices import ROW_TITLE_MM
from wmhflow.reports.pictures.alignment import _alignment_rows, anatomical, maps
from wmhflow.reports.pictures.views import VENTRICLE_COLOUR


def map_png(world, path: Path, transform: Source | None) -> bytes:
    entry = replace(world.visit.maps[0], values=Given(found(path)), transform=transform)
    world.visit = replace(world.visit, maps=(entry,))
    (picture,) = maps(world.saved())
    return picture.png


def test_a_moved_map_looks_as_before_it_was_moved_once_its_transform_is_given(world):
    data = np.asarray(nib.load(world.visit.maps[0].file.path).dataobj)
    away = np.eye(4)
    away[:3, 3] = 12.0, -8.0, 5.0
    there, moved = world.folder / "in" / "there.nii.gz", world.folder / "in" / "moved.nii.gz"
    make_image(data, AFFINE).to_filename(there)
    make_image(data, away @ AFFINE).to_filename(moved)
    back = found(Path(write_itk_affine(away, world.folder / "in" / "back.txt")))
    straight = map_png(world, there, None)
    brought_back = map_png(world, moved, Given(back))
    left_there = map_png(world, moved, None)
    difference = np.abs(pixels(straight) - pixels(brought_back))
    assert (difference > 2).mean() < 0.001
    assert (np.abs(pixels(straight) - pixels(left_there)) > 2).mean() > 0.02


def test_a_map_by_header_looks_as_through_an_identity(world):
    path = world.visit.maps[0].file.path
    through = map_png(world, path, world.visit.maps[0].transform)
    assert through == map_png(world, path, None)


def test_both_rows_have_the_same_contours_and_there_is_none_without_another_image(world):
    context = world.saved()
    scene = context.scene
    image = pixels(anatomical(context).png)
    rows = _alignment_rows(scene, 2)
    canvas = arrange(rows, scene.reference.spacing, scene.box, ROW_TITLE_MM)
    half = len(canvas.panels) // 2
    assert any(coloured(panel_of(image, canvas, p), VENTRICLE_COLOUR).size for p in canvas.panels)
    # the made-up T1w and FLAIR are one image: any difference would be one of the lines
    for upper, lower in zip(canvas.panels[:half], canvas.panels[half:], strict=True):
        assert (upper.plane, upper.index) == (lower.plane, lower.index)
        apart = panel_of(image, canvas, upper) - panel_of(image, canvas, lower)
        # rows need not begin at whole pixels, but a line that is missing differs by far more
        assert np.abs(apart).max() < 60
    world.visit = replace(world.visit, flair=None)
    assert anatomical(world.saved()) is None
