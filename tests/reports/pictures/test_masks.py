"""Pictures of masks and labels: what they show of a visit, and what their legends say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.reports.pixels import coloured, letter_in, panel_of, pixels
from wmhflow.plan.visit import Given
from wmhflow.reports.drawing.layout import arrange
from wmhflow.reports.pictures.masks import masks, shell_entries, shells, tissue, zones
from wmhflow.reports.pictures.survey import survey
from wmhflow.reports.pictures.views import (
    INFARCT_COLOUR,
    VENTRICLE_COLOUR,
    WMH_COLOUR,
    lesion_rows,
    registry_entries,
)

LEFT_LESION = (slice(9, 13), slice(20, 26), slice(12, 18))


def with_left_lesion(world):
    wmh = np.zeros_like(world.arrays["mask_WMH"])
    wmh[LEFT_LESION] = True
    world.arrays["mask_WMH"] = wmh
    return world


def test_a_lesion_of_the_left_is_on_the_side_marked_l(world):
    context = with_left_lesion(world).saved()
    scene = context.scene
    image = pixels(zones(context).png)
    canvas = arrange(lesion_rows(scene, 4, 2, apart=False), scene.reference.spacing, scene.box)
    assert {panel.plane for panel in canvas.panels} == {"axial", "coronal", "sagittal"}
    with_lesion = set()
    for panel in canvas.panels:
        part = panel_of(image, canvas, panel)
        yellow = coloured(part, WMH_COLOUR)
        edge = {"axial": LEFT_LESION[2], "coronal": LEFT_LESION[1], "sagittal": LEFT_LESION[0]}
        through = edge[panel.plane].start <= panel.index < edge[panel.plane].stop
        assert bool(yellow.size) == through
        if through and panel.plane != "sagittal":
            with_lesion.add(panel.plane)
            assert (yellow[:, 1] < part.shape[1] / 2).all()
            # letters stand in the corners, outside the head
            assert letter_in(part[:20, :20]) == "L"
            assert letter_in(part[:20, -20:]) == "R"
    assert with_lesion == {"axial", "coronal"}


def test_pictures_do_not_depend_on_how_images_are_stored(world):
    right_to_left = replace(world, to_the_left=True)
    for make in (masks, zones, shells, tissue, survey):
        assert make(world.saved()).png == make(right_to_left.saved()).png


def test_an_empty_mask_has_no_contour_and_no_entry(world):
    assert coloured(pixels(masks(world.saved()).png), WMH_COLOUR).size
    world.arrays["mask_WMH"] = np.zeros_like(world.arrays["mask_WMH"])
    context = world.saved()
    picture = masks(context)
    image = pixels(picture.png)
    assert not coloured(image, WMH_COLOUR).size
    assert coloured(image, VENTRICLE_COLOUR).size
    assert "spread over the brain" in picture.caption


def test_a_given_infarct_is_drawn_and_named(world):
    before = masks(world.saved())
    infarct = np.zeros_like(world.arrays["mask_WMH"])
    infarct[25:30, 25:30, 10:14] = True
    world.arrays["mask_infarct"] = infarct
    world.visit = replace(world.visit, infarct=Given(world.visit.t1w, "T1w"))
    context = world.saved()
    picture = masks(context)
    assert np.array_equal(context.scene.infarct, infarct)
    assert coloured(pixels(picture.png), INFARCT_COLOUR).size
    assert not coloured(pixels(before.png), INFARCT_COLOUR).size
    assert "which is no WMH" in picture.caption
    assert "infarct" not in before.caption
    # slices pass through the infarct, too
    assert any(infarct[:, :, index].any() for index in chosen_axial(context.scene))


def chosen_axial(scene) -> list[int]:
    rows = lesion_rows(scene, 8, 4, apart=True)
    return [index for _, items in rows for plane, index in items if plane == "axial"]


def test_labels_lose_their_side_but_not_their_meaning(world):
    scene = world.saved().scene
    assert set(np.unique(scene.tissue)) == {0, 2, 5, 6}
    assert [name for _, _, name in registry_entries("zones", scene.zones)] == [
        "periventricular white matter"
    ]
    assert scene.white_matter[scene.wmh].all()


def test_shells_are_named_by_their_edges_from_the_inside_out():
    names = [name for _, _, name in shell_entries(np.array([0, 1, 3, 50, 51, 52]), 1.5, 6.0)]
    assert names == [
        "inside, 1.5–3 mm",
        "inside, 0–1.5 mm",
        "0–1.5 mm",
        "3–4.5 mm",
        "beyond the shells",
    ]
    colours = [colour for _, colour, _ in shell_entries(np.arange(1, 41), 2.0, 80.0)]
    assert len(set(colours)) == 40
