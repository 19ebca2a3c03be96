"""Pictures of atlases: which regions have a colour, where, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.reports.conftest import SHAPE
from wmhflow.core.regions.probabilities import STEPS
from wmhflow.labels.foreign import named_regions
from wmhflow.plan.atlases import AtlasPlan
from wmhflow.reports.atlas_regions import SHOWN_REGIONS, pairs_of
from wmhflow.reports.pictures.atlases import OTHERS_COLOUR, _fill, _labels, atlases


def atlas(count: int, kind: str = "labels") -> AtlasPlan:
    names = {2 * n + s: f"artery {chr(65 + n)} {side}" for n in range(count)
             for s, side in ((1, "left"), (2, "right"))}  # fmt: skip
    return AtlasPlan("mine", "mine=x", Path("x"), kind, named_regions(names, "mine"), "T", None)


def with_atlas(world, made: AtlasPlan, image: np.ndarray):
    key = "atlasprob_mine" if made.is_probabilistic else "seg_mine"
    world.arrays[key] = image
    world.visit = replace(world.visit, atlases=(made,))
    world.more_volumes = [
        {"seg": "mine", "index": index, "volume_mm3": 100.0, "wmh_volume_mm3": float(index)}
        for index in made.regions
    ]
    return world.saved()


def test_sides_have_one_colour_and_those_with_least_lesions_are_grey(world):
    made = atlas(SHOWN_REGIONS + 3)
    image = np.random.default_rng(1).integers(0, 2 * (SHOWN_REGIONS + 3) + 1, SHAPE)
    context = with_atlas(world, made, image.astype(np.int16))
    labels = _labels(context, made)
    fill = _fill(context, made, labels, pairs_of(made.regions))
    brain = context.scene.brain
    np.testing.assert_array_equal(fill.labels, np.where(brain, (image + 1) // 2, 0))
    greys = [label for label, colour, name in fill.entries if colour == OTHERS_COLOUR and not name]
    assert greys == [1, 2, 3]
    (picture,) = atlases(context)
    assert f"The {SHOWN_REGIONS} with most WMH are named" in picture.caption
    assert "overlap" not in picture.caption


def test_where_regions_overlap_the_likeliest_is_shown_if_it_is_likely_enough(world):
    made = atlas(1, "probabilities")
    shares = np.zeros((*SHAPE, 2), dtype=np.float32)
    shares[..., 0], shares[:20, ..., 1] = 0.6, 0.7
    shares[:, :5] = 0.01
    context = with_atlas(world, made, np.rint(shares * STEPS).astype(np.uint8))
    expected = np.where(np.arange(SHAPE[0])[:, None, None] < 20, 2, 1) * np.ones(SHAPE, int)
    expected[:, :5] = 0
    np.testing.assert_array_equal(_labels(context, made), expected)
    (picture,) = atlases(context)
    assert "the likeliest is shown" in picture.caption
