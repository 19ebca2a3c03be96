"""Voxels that are left out, and what is left of the others, known from geometry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wmhflow.core.measure.coverage import CoverageWeights, coverage_weights
from wmhflow.core.measure.purity import keep_pure, share_of
from wmhflow.core.measure.statistics import region_statistics
from wmhflow.core.measure.surroundings import bin_means, shell_means, sum_map, surroundings_of

# a row of labels, four to a voxel of the map: 1 covers 1, 0.75 and 0.25 of three voxels
LABELS = np.array([1, 1, 1, 1, 1, 1, 1, 2, 1, 2, 2, 2, 2, 2, 2, 2]).reshape(1, 1, -1)
TO_MAP = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 4, 1.5], [0, 0, 0, 1]])
VALUES = np.array([10.0, 20.0, 30.0, 40.0]).reshape(1, 1, -1)


@pytest.fixture
def weights() -> CoverageWeights:
    return coverage_weights(LABELS, np.eye(4), VALUES.shape, TO_MAP)


def means(weights: CoverageWeights) -> NDArray[np.float64]:
    return np.asarray(region_statistics(VALUES, weights)["mean"])


@pytest.mark.parametrize(
    ("least", "expected", "coverage"),
    [
        (0.0, [(10 + 0.75 * 20 + 0.25 * 30) / 2, (0.25 * 20 + 0.75 * 30 + 40) / 2], [1, 1]),
        (0.25, [(10 + 0.75 * 20 + 0.25 * 30) / 2, (0.25 * 20 + 0.75 * 30 + 40) / 2], [1, 1]),
        (0.5, [(10 + 0.75 * 20) / 1.75, (0.75 * 30 + 40) / 1.75], [0.875, 0.875]),
        (0.9, [10.0, 40.0], [0.5, 0.5]),
    ],
)
def test_only_voxels_of_which_a_region_covers_enough_count(
    weights: CoverageWeights, least: float, expected: list[float], coverage: list[float]
) -> None:
    kept = keep_pure(weights, least)
    assert np.allclose(means(kept), expected)
    assert np.allclose(region_statistics(VALUES, kept)["coverage"], coverage)
    assert np.array_equal(kept.volume_mm3, weights.volume_mm3)


def test_a_region_of_mixed_voxels_alone_is_empty_and_no_zero() -> None:
    thin = coverage_weights(np.where(LABELS == 1, 1, 0), np.eye(4), (1, 1, 2), TO_MAP @ np.diag(
        [1, 1, 4, 1.0]
    ))  # fmt: skip
    kept = keep_pure(thin, 0.999)
    assert np.isnan(region_statistics(VALUES[..., :2], kept)["mean"]).all()
    assert (kept.voxels.size, kept.starts.tolist()) == (0, [0])


def test_excluded_voxels_count_for_exempt_regions_only(weights: CoverageWeights) -> None:
    share = share_of(weights, [1])
    assert np.allclose(share.ravel(), [0, 0.25, 0.75, 1])
    kept = keep_pure(weights, excluded=share > 0.5, exempt=[1])
    assert np.allclose(means(kept), [(10 + 0.75 * 20) / 1.75, means(weights)[1]])
    none = keep_pure(weights, excluded=share > -1)
    assert np.isnan(means(none)).all()


def test_what_excludes_nothing_changes_nothing(weights: CoverageWeights) -> None:
    kept = keep_pure(weights, 0.0, np.zeros(VALUES.shape, dtype=bool))
    for name in ("voxels", "starts", "regions", "fractions"):
        assert np.array_equal(getattr(kept, name), getattr(weights, name))


def test_shares_of_regions_add_up(weights: CoverageWeights) -> None:
    assert np.allclose(share_of(weights, [0, 1]), 1)
    assert np.allclose(share_of(weights, []), 0)


def test_parts_of_one_thing_count_together(weights: CoverageWeights) -> None:
    apart, joined = keep_pure(weights, 0.8), keep_pure(weights, 0.8, together=[0, 0])
    assert apart.voxels.size == 2
    assert np.array_equal(joined.fractions, weights.fractions)


def test_means_of_shells_and_bins_are_free_of_what_the_guard_leaves_out() -> None:
    # steps of 4 mm from a wall, and CSF from 23 mm on, in a map of 3 mm
    fine = np.broadcast_to(np.arange(36.0)[:, None, None], (36, 12, 12))
    shell = np.where(fine < 23, 1 + fine.astype(int) // 4, 0)
    values = np.where(shell > 0, 1.0 + shell, 60.0)
    mixed = values.reshape(12, 3, 4, 3, 4, 3).mean(axis=(1, 3, 5))
    to_map = np.diag([3.0, 3, 3, 1]) + np.pad(np.ones((3, 1)), ((0, 1), (3, 0)))
    fluid = coverage_weights(np.where(shell == 0, 1, 0), np.eye(4), mixed.shape, to_map)

    def seen(**guard: Any) -> tuple[NDArray[np.float64], set[float]]:
        around = surroundings_of(
            shell, np.zeros_like(shell), fine + 0.5, (6, 1), np.eye(4), mixed.shape, to_map, **guard
        )
        sums = sum_map(mixed, np.ones(mixed.shape, bool), around)
        shells = shell_means(sums, around, [0])
        bins = bin_means(sums, around, [0], shells).mean
        return shells.mean, set(bins[np.isfinite(bins)].round(9))

    # shells that hold no voxel of 3 mm wholly are empty; beyond the last one there are no bins
    pure, bins = seen(least_purity=0.99)
    assert pure == pytest.approx([2, np.nan, 4, 5, np.nan, np.nan], nan_ok=True)
    assert bins == {2.0, 4.0, 5.0}
    every, _ = seen()
    dry, _ = seen(excluded=share_of(fluid, [0]) > 0)
    assert dry[:-1] == pytest.approx(every[:-1])
    assert every[-1] > 15
    assert dry[-1] == pytest.approx((6 + 6 + 7) / 3)
