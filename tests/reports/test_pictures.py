"""Which pictures are drawn, from which files, and what their legends say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wmhflow.plan.visit import Computed, Given
from wmhflow.products.outputs import transform_paths
from wmhflow.reports.pictures import (
    all_pictures,
    load_scene,
    map_transforms,
    masks_picture,
    registry_entries,
    shell_entries,
)


def with_transform(world, transform):
    entry = replace(world.visit.maps[0], transform=transform)
    return replace(world.visit, maps=(entry,))


def test_each_way_of_aligning_a_map_finds_its_transform(world):
    given = world.visit.maps[0].transform
    assert [path for _, path in map_transforms(world.settings, world.visit)] == [
        given.file.path
    ]
    by_header = with_transform(world, None)
    assert [path for _, path in map_transforms(world.settings, by_header)] == [None]
    registered = with_transform(world, Computed("register_rigid"))
    written = world.settings.output_dir / transform_paths(registered)["FA"]
    assert [path for _, path in map_transforms(world.settings, registered)] == [written]


def test_a_map_by_header_looks_as_through_an_identity(world):
    world.save()
    by_header = with_transform(world, None)
    scene = load_scene(world.settings, world.visit)
    drawn = [
        {picture.desc: picture.png for picture in all_pictures(world.settings, visit, scene)}
        for visit in (world.visit, by_header)
    ]
    assert drawn[0]["alignmentFA"] == drawn[1]["alignmentFA"]


def test_labels_lose_their_side_but_not_their_meaning(world):
    world.save()
    scene = load_scene(world.settings, world.visit)
    assert set(np.unique(scene.tissue)) == {0, 2, 5, 6}
    assert [name for _, _, name in registry_entries("zones", scene.zones)] == [
        "periventricular white matter"
    ]
    assert scene.white_matter[scene.wmh].all()


def test_shells_are_named_by_their_edges_from_the_inside_out():
    names = [name for _, _, name in shell_entries(np.array([0, 1, 3, 50, 51, 52]), 1.5)]
    assert names == [
        "inside, 1.5–3 mm",
        "inside, 0–1.5 mm",
        "0–1.5 mm",
        "3–4.5 mm",
        "beyond the shells",
    ]
    colours = [colour for _, colour, _ in shell_entries(np.arange(1, 41), 2.0)]
    assert len(set(colours)) == 40


def test_a_given_infarct_is_drawn_and_named(world):
    infarct = np.zeros_like(world.arrays["mask_WMH"])
    infarct[25:30, 25:30, 10:14] = True
    world.arrays["mask_infarct"] = infarct
    before = masks_picture(replace(load_saved(world), infarct=None))
    world.visit = replace(world.visit, infarct=Given(world.visit.t1w, "T1w"))
    scene = load_saved(world)
    assert np.array_equal(scene.infarct, infarct)
    picture = masks_picture(scene)
    assert "which is no WMH" in picture.caption
    assert "infarct" not in before.caption
    assert picture.png != before.png
    # slices pass through the infarct, too
    assert scene.lesions[27, 27, 12]


def load_saved(world):
    world.save()
    return load_scene(world.settings, world.visit)
