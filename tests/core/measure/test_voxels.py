"""Shares of one large voxel: known from geometry, wherever the grids lie."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.measure import voxel_shares
from wmhflow.core.regions.partition import ALL, IN_NAWM, IN_WMH, Partition, Row, partition

LESION, WHITE = 2, 1
TISSUE = "tissue"
ROWS = [Row(((TISSUE, (LESION,)),)), Row(((TISSUE, (WHITE,)),)), Row(((TISSUE, (9,)),))]
TURNS = [(0, 0, 0, 0, 0, 0), (20, -35, 50, 12, -7, 3), (90, 0, 0, 0, 0, 0)]


def half_lesion(shape: tuple[int, int, int] = (40, 30, 30)) -> Partition:
    """White matter of which the half at larger x is lesion."""
    labels = np.full(shape, WHITE, np.int32)
    labels[shape[0] // 2 :] = LESION
    lesion = labels == LESION
    return partition({TISSUE: labels, IN_WMH: lesion, IN_NAWM: ~lesion})


def cube(edge: float, middle: tuple[float, float, float]) -> np.ndarray:
    affine = np.diag([edge, edge, edge, 1.0])
    affine[:3, 3] = middle
    return affine


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("size", [0.7, 1.0, 3.0])
def test_a_cube_over_half_a_lesion_is_half_lesion_exactly(turn, size: float) -> None:
    shape = (int(40 / size), int(30 / size), int(30 / size))
    found = half_lesion(shape)
    labels = np.diag([size, size, size, 1.0])
    wall = (shape[0] // 2 - 0.5) * size
    middle = (wall, 15.0, 15.0)
    place = rigid_matrix(turn, np.zeros(3))
    # both are moved together, so that nothing changes
    lesion, white, none = voxel_shares(found, place @ labels, place @ cube(20.0, middle), ROWS)
    assert (lesion, white) == (pytest.approx(0.5, abs=1e-9), pytest.approx(0.5, abs=1e-9))
    assert none == 0


@pytest.mark.parametrize("axis", [1, 2])
def test_a_cube_turned_about_the_wall_stays_half(axis: int) -> None:
    found = half_lesion()
    angles = np.zeros(6)
    angles[axis] = 33
    middle = np.array([19.5, 14.5, 14.5])
    turned = rigid_matrix(angles, middle) @ cube(10.0, tuple(middle))
    lesion, white, _ = voxel_shares(found, np.eye(4), turned, ROWS)
    assert lesion == pytest.approx(0.5, abs=1e-9)
    assert white == pytest.approx(0.5, abs=1e-9)


def test_shares_are_of_the_whole_voxel_also_beyond_the_grid() -> None:
    lesion, white, _ = voxel_shares(half_lesion(), np.eye(4), cube(20, (39.5, 14.5, 14.5)), ROWS)
    assert (lesion, white) == (pytest.approx(0.5), pytest.approx(0))
    assert voxel_shares(half_lesion(), np.eye(4), cube(20, (900, 0, 0)), ROWS).tolist() == [0] * 3


def test_rows_may_overlap_and_keep_to_a_tissue() -> None:
    both = ((TISSUE, (LESION, WHITE)),)
    rows = [Row(both, tissue) for tissue in (ALL, IN_WMH, IN_NAWM)]
    found = voxel_shares(half_lesion(), np.eye(4), cube(8, (21.5, 14.5, 14.5)), rows)
    assert found == pytest.approx([1, 0.75, 0.25])


def test_agrees_with_many_points() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(1, 4, (12, 12, 12)).astype(np.int32)
    none = np.zeros(labels.shape, bool)
    found = partition({TISSUE: labels, IN_WMH: none, IN_NAWM: none})
    box = rigid_matrix((17, -28, 41, 0.3, 0.1, -0.2), np.full(3, 6.0)) @ cube(6.3, (5.2, 6.1, 5.7))
    rows = [Row(((TISSUE, (one,)),)) for one in (1, 2, 3)]
    points = rng.uniform(-0.5, 0.5, (200_000, 3)) @ box[:3, :3].T + box[:3, 3]
    held = labels[tuple(np.rint(points).astype(int).T)]
    shares = [(held == one).mean() for one in (1, 2, 3)]
    assert voxel_shares(found, np.eye(4), box, rows) == pytest.approx(shares, abs=5e-3)
