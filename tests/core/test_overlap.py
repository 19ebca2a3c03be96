"""Masks on atlases: volumes and shares agree with brute force, on one grid and on two."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wmhflow.core.overlap import label_overlap, probability_overlap, sides_on_the_wrong_side

SHAPE = (7, 8, 9)
AFFINE = np.array([[-1.5, 0, 0, 5], [0, 2, 0, -8], [0, 0, 1, -4], [0, 0, 0, 1.0]])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_every_voxel_of_a_mask_is_counted_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, mask = rng.integers(0, 5, SHAPE), rng.random(SHAPE) < 0.3
    found = label_overlap(mask, AFFINE, labels, AFFINE, [1, 2, 4])
    for region in (1, 2, 4):
        both = int((mask & (labels == region)).sum())
        assert found.overlap_mm3[region] == both * 3
        assert found.region_mm3[region] == int((labels == region).sum()) * 3
        assert found.fraction(region) == both / (labels == region).sum()
    assert found.outside_mm3 + sum(found.overlap_mm3.values()) == found.mask_mm3


@pytest.mark.parametrize("turn", [(-1, 1, 1), (1, -1, 1), (-1, -1, -1)])
def test_the_orientation_of_a_mask_changes_nothing(turn: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    labels, mask = rng.integers(0, 4, SHAPE), rng.random(SHAPE) < 0.3
    steps = np.diag([*map(float, turn), 1.0])
    steps[:3, 3] = [n - 1 if step < 0 else 0 for n, step in zip(SHAPE, turn, strict=True)]
    flipped = mask[tuple(slice(None, None, step) for step in turn)]
    here = label_overlap(mask, AFFINE, labels, AFFINE, [1, 2, 3])
    there = label_overlap(flipped, AFFINE @ steps, labels, AFFINE, [1, 2, 3])
    assert here == there


def test_on_another_grid_a_voxel_takes_the_label_at_its_centre() -> None:
    labels = np.zeros((4, 4, 4), int)
    labels[:2], labels[2:] = 1, 2
    coarse = np.diag([2.0, 2, 2, 1])
    coarse[:3, 3] = 0.5  # its voxels hold eight of the atlas's
    found = label_overlap(np.ones((2, 2, 2)), coarse, labels, np.eye(4), [1, 2])
    assert found.overlap_mm3 == {1: 32.0, 2: 32.0}
    assert found.fraction(1) == 1


def test_what_lies_beyond_the_atlas_lies_outside() -> None:
    far = np.eye(4)
    far[:3, 3] = 100
    found = label_overlap(np.ones((2, 2, 2)), far, np.ones((3, 3, 3), int), np.eye(4), [1])
    assert found.outside_mm3 == found.mask_mm3 == 8
    assert found.fraction(1) == 0


def test_an_empty_region_has_no_share() -> None:
    found = label_overlap(np.ones(SHAPE), AFFINE, np.ones(SHAPE, int), AFFINE, [1, 7])
    assert np.isnan(found.fraction(7))
    assert found.region_mm3[7] == 0


def test_probabilities_count_by_threshold_and_by_weight() -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.random((*SHAPE, 2)).astype(np.float32)
    mask = rng.random(SHAPE) < 0.4
    pairs = probability_overlap(mask, AFFINE, probabilities, AFFINE, 0.5)
    for number, (by_threshold, weighted) in enumerate(pairs):
        p = probabilities[..., number]
        assert by_threshold.overlap_mm3[1] == (mask & (p >= 0.5)).sum() * 3
        assert by_threshold.fraction(1) == (mask & (p >= 0.5)).sum() / (p >= 0.5).sum()
        assert weighted.overlap_mm3[1] == pytest.approx(3 * p[mask].sum(dtype=float))
        assert weighted.fraction(1) == pytest.approx(p[mask].sum() / p.sum(dtype=float))


def test_sides_are_judged_by_the_affine_and_not_by_the_array() -> None:
    labels = np.zeros((4, 1, 1), int)
    labels[:2], labels[2:] = 1, 2
    right = np.diag([1.0, 1, 1, 1])
    right[0, 3] = -1.5
    left = np.diag([-1.0, 1, 1, 1])
    left[0, 3] = 1.5
    names = {1: "L", 2: "R", 3: "L"}
    assert sides_on_the_wrong_side(labels, right, names) == []
    assert sides_on_the_wrong_side(labels, left, names) == [1, 2]
    assert sides_on_the_wrong_side(labels, left, {1: "B", 2: "B"}) == []
