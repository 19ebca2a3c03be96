"""Images that are read on their own grid stay as they are; all others are as before."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from wmhflow.core.align.pulling import Displacements, PointMap, pull
from wmhflow.core.space.grids import Grid3D

AFFINE = np.array([[-1.1, 0.02, 0, 40], [0, 0.05, 1.3, -60], [0.01, -0.9, 0, 33], [0, 0, 0, 1]])
SHAPE = (5, 6, 7)
STILL = PointMap(np.eye(4), None, np.eye(4))


def image(seed: int) -> Grid3D:
    values = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
    values[1, 2, 3] = np.nan
    return Grid3D(values, AFFINE)


def test_the_nearest_voxel_on_the_own_grid_is_the_voxel_itself() -> None:
    one = image(0)
    # the same grid with a plane more along each axis is read voxel by voxel
    larger = Grid3D(np.zeros(tuple(n + 1 for n in SHAPE), np.float32), AFFINE)
    rounded = Grid3D(one.data, AFFINE + 1e-7 * np.arange(16).reshape(4, 4) * (np.arange(4) < 3))
    rounded.affine[3] = AFFINE[3]
    every = pull([one], larger, STILL, [True])[0]
    assert (every[-1] == 0).all()
    for grid in (one, rounded):
        (found,) = pull([one], grid, STILL, [True])
        assert found is not one.data
        assert np.array_equal(found, every[:-1, :-1, :-1], equal_nan=True)
        assert np.array_equal(found, one.data, equal_nan=True)


def test_a_field_or_a_motion_is_not_passed_over() -> None:
    one = image(1)
    vectors = np.broadcast_to(AFFINE[:3, 0].astype(np.float32), (*SHAPE, 3))
    field = Displacements(np.ascontiguousarray(vectors), AFFINE)
    step = np.eye(4)
    step[:3, 3] = AFFINE[:3, 0]
    for points in (PointMap(np.eye(4), field, np.eye(4)), PointMap(step, None, np.eye(4))):
        (found,) = pull([one], one, points, [True])
        assert np.array_equal(found[:-1], one.data[1:], equal_nan=True)
        assert (found[-1] == 0).all()


def test_linear_and_nearest_images_are_read_at_once_as_scipy_reads_them() -> None:
    one = Grid3D(np.nan_to_num(image(2).data), AFFINE)
    half = np.eye(4)
    half[:3, 3] = AFFINE[:3, :3] @ [0.3, 0.6, 0.2]
    linear, near = pull([one, one], one, PointMap(half, None, np.eye(4)), [False, True])
    places = np.indices(SHAPE).reshape(3, -1) + np.array([[0.3], [0.6], [0.2]])
    for order, found in ((1, linear), (0, near)):
        truth = ndimage.map_coordinates(one.data.astype(float), places, order=order).reshape(SHAPE)
        inside = (slice(0, -1),) * 3
        assert np.allclose(found[inside], truth[inside], atol=1e-6)
