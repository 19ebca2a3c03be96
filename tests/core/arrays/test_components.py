"""Components of a mask against brute force, and holes against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from wmhflow.core.arrays.components import (
    keep_components,
    keep_large,
    largest_component,
    without_holes,
)
from wmhflow.core.arrays.robust import median_and_spread

MASKS = arrays(bool, st.tuples(*[st.integers(1, 4)] * 3))
few = settings(deadline=None, max_examples=40)


def flooded(mask, start, by_faces):
    """Walk from voxel to voxel, one at a time."""
    steps = [step for step in np.ndindex(3, 3, 3) if step != (1, 1, 1)]
    if by_faces:
        steps = [step for step in steps if sum(abs(s - 1) for s in step) == 1]
    found, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for step in steps:
            there = tuple(h + s - 1 for h, s in zip(here, step, strict=True))
            inside = all(0 <= t < n for t, n in zip(there, mask.shape, strict=True))
            if inside and mask[there] and there not in found:
                found.add(there)
                waiting.append(there)
    return found


@few
@given(MASKS, st.booleans())
def test_components_are_what_can_be_walked_to(mask, by_faces):
    for least in (1, 2, 4):
        kept = keep_components(mask, lambda _, counts, n=least: counts >= n, by_faces=by_faces)
        for voxel in map(tuple, np.argwhere(mask).tolist()):
            assert kept[voxel] == (len(flooded(mask, voxel, by_faces)) >= least)
        assert not kept[~mask].any()


@few
@given(MASKS)
def test_the_largest_component_is_the_largest(mask):
    kept = largest_component(mask)
    sizes = [len(flooded(mask, tuple(v), True)) for v in np.argwhere(mask).tolist()]
    assert kept.sum() == max(sizes, default=0)
    if kept.any():
        assert len(flooded(kept, tuple(np.argwhere(kept)[0].tolist()), True)) == kept.sum()


@few
@given(MASKS)
def test_what_is_kept_is_large_and_what_is_dropped_is_small(mask):
    sizes = (1.0, 2.0, 0.5)
    kept = keep_large(mask, 3.0, sizes)
    for voxel in map(tuple, np.argwhere(mask).tolist()):
        assert kept[voxel] == (len(flooded(mask, voxel, False)) >= 3)


@few
@given(MASKS)
def test_holes_are_those_of_scipy(mask):
    assert np.array_equal(without_holes(mask), ndimage.binary_fill_holes(mask))


def test_the_spread_is_that_of_a_normal_distribution_whatever_a_few_outliers_say():
    values = np.random.default_rng(0).normal(3, 2, 100_000)
    values[:1000] = 1e6
    centre, spread = median_and_spread(values)
    assert centre == pytest.approx(3, abs=0.05)
    assert spread == pytest.approx(2, rel=0.02)
