"""Voxels that lie wholly within a region count, at every bound, however headers round.

With ``--min-purity 1`` a chance tenth of white matter counted where a map's grid was that of the
reference: all other voxels were covered by a millionth less than all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.measure.coverage import coverage_weights
from wmhflow.core.measure.purity import holds_more, keep_pure

SHAPE = (12, 13, 14)
AFFINE = rigid_matrix((3, -7, 11, 40, -30, 20), np.zeros(3)) @ np.diag([0.9, 1.1, 1.3, 1.0])
# the lower half and the upper one, and fluid below
LABELS = np.ones(SHAPE, np.int32)
LABELS[:, :, 7:] = 2
LABELS[:, :, :2] = 3


def rounded(move_mm: float = 0.0) -> Any:
    """The same grid as a header in single precision has it, through a transform and back."""
    there = rigid_matrix((-2, 4, 1, -5, 2, 3), np.zeros(3))
    stored = (there @ AFFINE).astype(np.float32).astype(np.float64)
    stored[:3, 3] += move_mm
    return np.linalg.inv(there) @ stored


GRIDS = {"one": AFFINE, "rounded": rounded(), "off by a hundredth of a percent": rounded(1e-4)}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("least", [0.5, 0.999, 1.0])
def test_all_that_lies_wholly_within_counts(grid: Any, least: float) -> None:
    weights = coverage_weights(LABELS, AFFINE, SHAPE, grid)
    kept = keep_pure(weights, least)
    counts = np.bincount(kept.regions, minlength=3)
    assert counts.tolist() == [np.count_nonzero(label == LABELS) for label in (1, 2, 3)]


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_what_touches_fluid_by_rounding_holds_none(grid: Any) -> None:
    weights = coverage_weights(LABELS, AFFINE, SHAPE, grid)
    assert np.array_equal(holds_more(weights, [2], 0.0), LABELS == 3)


def test_what_is_shared_still_counts_in_neither() -> None:
    half = AFFINE.copy()
    half[:3, 3] = AFFINE[:3] @ [0, 0, 0.5, 1]
    weights = coverage_weights(LABELS, AFFINE, SHAPE, half)
    pure = keep_pure(weights, 1.0)
    # of the planes between two regions, and beyond the last, half is covered
    assert np.bincount(pure.regions).tolist() == [12 * 13 * 4, 12 * 13 * 6, 12 * 13 * 1]
    assert np.count_nonzero(holds_more(weights, [2], 0.4)) == 12 * 13 * 2
    assert np.count_nonzero(holds_more(weights, [2], 0.5)) == 12 * 13 * 1
