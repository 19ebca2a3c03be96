"""Several fields in turn: places are those that scipy finds; none that counts is passed over."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.align.chains import carried, pull_nearest
from wmhflow.core.align.pulling import Displacements, PointMap, pull
from wmhflow.core.space.grids import Grid3D, apply_affine

SHAPE = (12, 10, 14)
AFFINE = np.array([[-1.5, 0.1, 0, 9], [0, 0.2, 1.4, -10], [0.1, -1.2, 0.1, 6], [0, 0, 0, 1]])
TURN = np.array([[0.99, -0.1, 0.02, 0.7], [0.1, 0.98, 0, -1.2], [0, 0.05, 1.01, 0.4], [0, 0, 0, 1]])


def field(seed: int, shift: float = 0.0) -> Displacements:
    """Smooth vectors of some mm on a grid of its own, smaller than the image's."""
    drawn = np.random.default_rng(seed).normal(shift, 3.0, (7, 6, 5, 3))
    affine = np.diag([3.0, 3.1, 4.2, 1.0])
    affine[:3, 3] = -9, -8, -9
    return Displacements(drawn.astype(np.float32), affine)


def carried_by_scipy(points: np.ndarray, chain: list[PointMap]) -> np.ndarray:
    for one in chain:
        points = apply_affine(one.before, points)
        if one.displacements is not None:
            vectors, affine = one.displacements.vectors, one.displacements.affine
            at = apply_affine(np.linalg.inv(affine), points).T
            last = np.array(vectors.shape[:3])[:, None] - 1
            inside = ((at >= -0.5) & (at <= last + 0.5)).all(axis=0)
            moved = [ndimage.map_coordinates(vectors[..., axis].astype(float), at, order=1,
                                             mode="nearest") for axis in range(3)]  # fmt: skip
            points = points + np.where(inside, moved, 0).T
        points = apply_affine(one.after, points)
    return points


CHAINS = {
    "one field": [PointMap(TURN, field(0), np.eye(4))],
    "two fields": [PointMap(np.eye(4), field(1), TURN), PointMap(np.eye(4), field(2), np.eye(4))],
    "a flip between": [
        PointMap(TURN, field(3), np.diag([-1.0, 1, 1, 1])),
        PointMap(np.eye(4), field(4, 1.0), np.linalg.inv(TURN)),
    ],
    "matrices": [PointMap(TURN, None, TURN), PointMap(TURN, None, np.eye(4))],
}


@pytest.mark.parametrize("name", CHAINS)
def test_points_end_where_scipy_brings_them(name: str) -> None:
    points = np.random.default_rng(5).uniform(-14, 14, (500, 3))
    given = points.copy()
    found = carried(points, CHAINS[name])
    assert np.allclose(found, carried_by_scipy(points, CHAINS[name]), atol=1e-5)
    assert np.array_equal(points, given)


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("filled", ["all", "a corner", "one voxel", "nothing"])
def test_the_nearest_voxels_are_those_of_the_points(name: str, filled: str) -> None:
    drawn = np.random.default_rng(6).integers(1, 99, SHAPE).astype(np.float32)
    kept = {
        "all": np.s_[:],
        "a corner": np.s_[8:, :3, 9:],
        "one voxel": np.s_[5:6, 4:5, 7:8],
        "nothing": np.s_[:0],
    }[filled]
    values = np.zeros(SHAPE, np.float32)
    values[kept] = drawn[kept]
    other = Grid3D((values > 50).astype(np.float32), AFFINE)
    reference = Grid3D(np.zeros((15, 13, 11), np.float32), AFFINE @ np.diag([0.9, 1, 1.2, 1]))
    found, at_once = pull_nearest([Grid3D(values, AFFINE), other], reference, CHAINS[name])
    places = np.argwhere(np.ones(reference.data.shape, bool)).astype(float)
    ends = carried_by_scipy(apply_affine(reference.affine, places), CHAINS[name])
    at = np.floor(apply_affine(np.linalg.inv(AFFINE), ends) + 0.5).astype(int)
    inside = ((at >= 0) & (at < SHAPE)).all(axis=1)
    expected = np.zeros(len(at), np.float32)
    expected[inside] = values[tuple(at[inside].T)]
    assert np.array_equal(found.ravel(), expected)
    assert np.array_equal(at_once.ravel(), expected > 50)
    if len(CHAINS[name]) == 1:
        alone = pull([Grid3D(values, AFFINE)], reference, CHAINS[name][0], [True])[0]
        assert np.array_equal(found, alone)


def test_images_on_two_grids_are_refused() -> None:
    one = Grid3D(np.ones(SHAPE, np.float32), AFFINE)
    with pytest.raises(ValueError, match="different grids"):
        pull_nearest([one, Grid3D(one.data, np.eye(4))], one, CHAINS["matrices"])
