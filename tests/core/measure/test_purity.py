"""Voxels that are left out, and what is left of the others, known from geometry."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wmhflow.core.measure.coverage import CoverageWeights, coverage_weights
from wmhflow.core.measure.purity import keep_pure, share_of
from wmhflow.core.measure.statistics import region_statistics

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
