"""Pictures for what was not found: the whole brain, and bright spots that WMH do not hold."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.reports.conftest import AFFINE, SHAPE, SPACING
from tests.reports.pixels import coloured, panel_of, pixels
from wmhflow.files.images import make_image
from wmhflow.reports import person
from wmhflow.reports.drawing.layout import arrange
from wmhflow.reports.drawing.planes import NORMAL_AXIS, PLANES
from wmhflow.reports.pictures.masks import masks, shells, tissue, zones
from wmhflow.reports.pictures.survey import (
    PER_ROW,
    SCALE,
    SPOT_COLOUR,
    slices_through,
    survey,
    surveyed,
    unmarked,
)
from wmhflow.reports.pictures.views import THICK_SLICES, WMH_COLOUR, in_rows, lesion_rows, with_bare

# On the left (small x), one in the slice of no other lesion.
SPOT = (slice(10, 12), slice(34, 36), slice(22, 24))
SMALL_SPOT = (slice(26, 28), slice(12, 14), slice(10, 11))


def with_spots(world, *spots):
    """Bright places that the mask does not hold, in white matter with a little noise."""
    image = world.arrays["preproc_FLAIR"]
    image += np.random.default_rng(0).uniform(-1, 1, SHAPE).astype(np.float32) * (image > 0)
    for spot in spots:
        image[spot] = 90.0
    return world


def panels_of(scene, picture, items):
    """Each slice's pixels, with its place and whether lines are drawn."""
    rows = with_bare([(0, part) for part in in_rows(items, PER_ROW)])
    canvas = arrange(rows, scene.reference.spacing, scene.box)
    image = pixels(picture.png)
    # as large as at full scale, so that places are found
    full = np.repeat(np.repeat(image, 4, axis=0), 4, axis=1)[::3, ::3]
    assert SCALE == 0.75
    return [(panel, panel_of(full, canvas, panel)) for panel in canvas.panels]


def test_the_survey_goes_through_the_whole_brain_whatever_was_found(world):
    context = world.saved()
    scene = context.scene
    shown = surveyed(scene)
    first, last = np.flatnonzero(scene.without_fluid.any(axis=(0, 1)))[[0, -1]]
    indices = [index for plane, index in shown if plane == "axial"]
    # 21 slices of 5 mm: every other one, and no end further off than one
    assert len(indices) == len(shown) == 11
    assert set(np.diff(indices)) == {2}
    assert (indices[0], indices[-1]) == (first, last)
    assert "one every 10 mm" in survey(context).caption
    world.arrays["mask_WMH"][:] = False
    assert surveyed(world.saved().scene) == shown


def test_the_survey_shows_every_slice_without_lines_and_with_them(world):
    context = world.saved()
    scene = context.scene
    lesion = scene.wmh.any(axis=(0, 1))
    parts = panels_of(scene, survey(context), surveyed(scene))
    assert len(parts) == 2 * len(surveyed(scene))
    for panel, part in parts:
        yellow = coloured(part, WMH_COLOUR).size > 0
        assert yellow == (panel.underlay == 0 and lesion[panel.index])


def test_a_planted_spot_is_named_and_the_slice_goes_through_it(world):
    context = with_spots(world, SMALL_SPOT, SPOT).saved()
    scene = context.scene
    first, second = context.unmarked
    planted = np.zeros(SHAPE, dtype=bool)
    planted[SPOT] = True
    assert planted[tuple(first.voxels.T)].all()
    assert len(first.voxels) == planted.sum()
    shown = slices_through(scene, context.unmarked)
    assert set(shown) == {("axial", first.middle[2]), ("axial", second.middle[2])}
    seen = set()
    for panel, part in panels_of(scene, unmarked(context), shown):
        green = coloured(part, SPOT_COLOUR, 120)
        assert (green.size > 0) == (panel.underlay == 0)
        if panel.index == first.middle[2] and green.size:
            seen.add(panel.index)
            # left is left
            assert (green[:, 1] < part.shape[1] / 2).all()
    assert seen == {first.middle[2]}


def test_the_page_has_a_row_for_each_spot_with_its_place(world, monkeypatch):
    monkeypatch.setattr(person, "PICTURES", ())
    with_spots(world, SMALL_SPOT, SPOT).save()
    source = person.write_report(world.settings, world.plan).read_text("utf-8")
    part = source[source.index('id="visit-masks"') : source.index('id="visit-alignment"')]
    voxel_ml = np.prod(SPACING) / 1000
    assert f"2 spots ({12 * voxel_ml:.3f} mL together)" in part
    rows = re.findall(r"<tr><td.*?</tr>", part, re.DOTALL)
    cells = [re.findall(r">([^<]*)</td>", row) for row in rows]
    number, volume, *place, brighter = cells[0]
    assert (number, volume) == ("1", f"{8 * voxel_ml:.3f}")
    x, y, z = (float(text.replace("−", "-")) for text in place)
    voxel = np.linalg.inv(AFFINE) @ (x, y, z, 1)
    assert all(edge.start - 0.01 <= at < edge.stop for at, edge in zip(voxel, SPOT, strict=False))
    assert float(brighter) == pytest.approx(80, abs=4)
    assert len(cells) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda world: world, "No spot of 10 mm³ or more"),
        (lambda world: replace(world, visit=replace(world.visit, flair=None)), "Without a FLAIR"),
        (
            lambda world: world.arrays["preproc_FLAIR"].fill(0) or world,
            "could not be looked for",
        ),
    ],
)
def test_without_spots_the_page_says_why_and_there_is_no_picture(world, monkeypatch, change, said):
    monkeypatch.setattr(person, "PICTURES", ())
    world = change(world)
    context = world.saved()
    assert unmarked(context) is None
    source = person.write_report(world.settings, world.plan).read_text("utf-8")
    found = [
        text for text in ("No spot", "Without a FLAIR, bright", "not be looked") if text in source
    ]
    assert len(found) == 1
    assert said in source


def test_pictures_of_spots_have_the_same_bytes_however_images_are_stored(world):
    with_spots(world, SPOT, SMALL_SPOT)
    made = [unmarked(one.saved()).png for one in (world, world, replace(world, to_the_left=True))]
    assert made[0] == made[1] == made[2]


# ---- thick slices --------------------------------------------------------------------------------


@pytest.mark.parametrize("plane", PLANES)
def test_a_scan_of_thick_slices_is_shown_in_its_own_plane_alone(world, plane):
    scene = replace(world.saved().scene, thick=plane, thick_reference=plane)
    for on_reference in (False, True):
        rows = lesion_rows(scene, 4, 2, apart=False, on_reference=on_reference)
        items = [item for _, row in rows for item in row]
        assert {shown for shown, _ in items} == {plane}
        assert len(items) == len(set(items)) == THICK_SLICES
    assert {shown for shown, _ in surveyed(scene)} == {plane}
    through = np.moveaxis(scene.wmh, NORMAL_AXIS[plane], 0)
    assert any(through[index].any() for _, index in items)


def test_a_thick_flair_on_a_finer_reference_is_shown_in_its_own_plane(world):
    data = world.arrays["preproc_FLAIR"]
    thick = make_image(np.ascontiguousarray(data[:, ::3]), AFFINE @ np.diag([1, 3.0, 1, 1]))
    thick.to_filename(world.visit.flair.path)
    context = world.saved()
    scene = context.scene
    assert (scene.thick, scene.thick_reference, scene.plane) == ("coronal", None, "coronal")
    x, y, z = scene.reference.spacing
    assert scene.scanned_mm == pytest.approx((x, 3 * y, z))
    flair = {shown for _, row in lesion_rows(scene, 4, 2, apart=False) for shown, _ in row}
    rows = lesion_rows(scene, 4, 2, apart=False, on_reference=True)
    t1w = [shown for _, row in rows for shown, _ in row]
    assert flair == {"coronal"}
    # the reference shows all planes, the same one first
    assert t1w == ["coronal"] * 4 + ["axial"] * 2 + ["sagittal"] * 2
    for make in (masks, zones, shells):
        assert "axial" not in make(context).caption
    assert "Tissue classes" in tissue(context).caption


def test_nearly_cubic_voxels_are_shown_in_three_planes(world):
    scene = world.saved().scene
    assert (scene.thick, scene.thick_reference, scene.plane) == (None, None, "axial")
    rows = lesion_rows(scene, 4, 2, apart=False)
    assert {shown for _, row in rows for shown, _ in row} == set(PLANES)
