"""Masks on atlases: volumes and shares agree with brute force, on one grid and on two."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wmhflow.core.checks.sides import centres_x, sides_on_the_wrong_side
from wmhflow.core.measure.overlap import label_overlap, probability_overlap

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


@pytest.mark.parametrize("size", [0.5, 1.5, 3.0])
def test_on_another_grid_what_both_cover_counts_and_no_share_passes_1(size: float) -> None:
    labels = np.zeros((6, 6, 6), int)
    labels[:3], labels[3:], labels[4, 4, 4] = 1, 2, 3
    other = np.diag([size, size, size, 1])
    other[:3, 3] = (size - 1) / 2  # both begin at the same corner
    n = round(6 / size)
    whole = np.ones((n, n, n))
    found = label_overlap(whole, other, labels, np.eye(4), [1, 2, 3])
    for region in (1, 2, 3):
        assert found.fraction(region) == pytest.approx(1)
    assert found.outside_mm3 == pytest.approx(0, abs=1e-6)
    half = whole.copy()
    half[n // 2 :] = 0
    found = label_overlap(half, other, labels, np.eye(4), [1, 2, 3])
    assert found.fraction(1) == pytest.approx(1)
    assert found.fraction(2) == pytest.approx(0)


def test_a_small_mask_is_not_lost_on_a_coarse_atlas() -> None:
    labels = np.ones((3, 3, 3), int)
    mask = np.zeros((9, 9, 9))
    mask[2, 2, 2] = 1
    fine = np.diag([1 / 3, 1 / 3, 1 / 3, 1])
    fine[:3, 3] = -1 / 3
    found = label_overlap(mask, fine, labels, np.eye(4), [1])
    assert found.overlap_mm3[1] == pytest.approx(1 / 27, rel=1e-4)


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


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_voxel_exactly_at_the_threshold_belongs_to_the_region(threshold: float) -> None:
    probabilities = np.full((*SHAPE, 1), threshold, np.float32)
    mask = np.ones(SHAPE)
    ((by_threshold, _),) = probability_overlap(mask, AFFINE, probabilities, AFFINE, threshold)
    assert by_threshold.fraction(1) == 1


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


def test_centres_of_probabilities_are_weighted_by_them() -> None:
    rng = np.random.default_rng(8)
    shares = rng.random((5, 6, 7, 3)).astype(np.float32)
    shares[..., 2] = 0
    affine = np.array([[-1.5, 0.2, 0.1, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    found = centres_x(shares, affine)
    x = np.argwhere(np.ones((5, 6, 7))) @ affine[0, :3] + affine[0, 3]
    for region in (0, 1):
        assert found[region] == pytest.approx(np.average(x, weights=shares[..., region].ravel()))
    assert np.isnan(found[2])
