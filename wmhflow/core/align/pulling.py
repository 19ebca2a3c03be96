"""Several images read at once through one transform: each voxel's place is found only once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from wmhflow.core.arrays.threads import over_ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wmhflow.core.space.grids import Grid3D

# Of a voxel: a grid that lies no further from another one is the same but for rounding.
LEAST_MOVED = 1e-3


@dataclass(frozen=True)
class Displacements:
    """Vectors to add to points, (X, Y, Z, 3) in RAS mm, between whose voxels one interpolates.

    `affine` leads from voxels to RAS mm. Points outside the field stay where they are.
    """

    vectors: NDArray[np.float32]
    affine: NDArray[np.float64]


@dataclass(frozen=True)
class PointMap:
    """From points to points, RAS mm: a matrix, displacements if there are any, a matrix."""

    before: NDArray[np.float64]
    displacements: Displacements | None
    after: NDArray[np.float64]


def pull(
    images: Sequence[Grid3D],
    reference: Grid3D,
    points: PointMap,
    nearest: Sequence[bool] | None = None,
    parts: Sequence[int] = (1, 1, 1),
) -> list[NDArray[np.float32]]:
    """Read images of one grid at the voxels of another one, as ITK's transforms and images do.

    Parameters
    ----------
    images
        Values on one grid.
    reference
        Grid to fill.
    points
        From points of the reference to points of the images.
    nearest
        For each image, whether the nearest voxel is taken; one interpolates if None.
    parts
        Into how many parts a voxel of the reference is divided along each axis; the mean over the
        values at their centres is taken.

    Returns
    -------
    list of ndarray
        A value for each voxel of the reference and each image; outside the images counts as 0.

    Raises
    ------
    ValueError
        If the images do not share a grid.

    Examples
    --------
    >>> from wmhflow.core.space.grids import Grid3D
    >>> line = Grid3D(np.arange(4, dtype=np.float32).reshape(4, 1, 1), np.eye(4))
    >>> shift = np.eye(4)
    >>> shift[0, 3] = 0.5
    >>> pull([line], line, PointMap(shift, None, np.eye(4)))[0].ravel().tolist()
    [0.5, 1.5, 2.5, 3.0]
    """
    shape, affine = images[0].data.shape, images[0].affine
    if any(one.data.shape != shape or not np.array_equal(one.affine, affine) for one in images):
        raise ValueError("the images lie on different grids; read them one by one")
    if _stays(images[0], reference, points, nearest, parts):
        return [np.asarray(one.data, np.float32) + np.float32(0) for one in images]
    # the last axis is the image's, so that all values of a place lie beside each other
    values = np.stack([np.asarray(one.data, np.float32) for one in images], axis=-1)
    field = points.displacements
    to_voxels = np.linalg.inv(affine) @ points.after
    vectors = np.zeros((1, 1, 1, 3), np.float32)
    to_field: NDArray[np.floating] = np.eye(4)
    if field is not None:
        vectors, to_field = np.ascontiguousarray(field.vectors), np.linalg.inv(field.affine)
    whole = reference.data.shape
    found = np.zeros((len(images), *whole), np.float32)
    near = np.asarray(nearest or [False] * len(images), dtype=np.bool_)
    divided = np.asarray(parts, dtype=np.int64)
    over_ranges(
        lambda start, stop: _pull(
            found, values, near, points.before @ reference.affine, vectors, to_field,
            field is not None, to_voxels, divided, start, stop,
        ),
        whole[0],
        int(np.prod(whole)) * int(divided.prod()),
    )  # fmt: skip
    return list(found)


def _stays(
    image: Grid3D,
    reference: Grid3D,
    points: PointMap,
    nearest: Sequence[bool] | None,
    parts: Sequence[int],
) -> bool:
    """Tell whether every voxel of the reference takes the value of the same voxel of the images."""
    if points.displacements is not None or not nearest or not all(nearest):
        return False
    if image.data.shape != reference.data.shape or max(parts) > 1:
        return False
    matrix = np.linalg.inv(image.affine) @ points.after @ points.before @ reference.affine
    moved = np.abs(matrix - np.eye(4))[:3] @ [*image.data.shape, 1]
    return bool(moved.max() < LEAST_MOVED)


@njit(nogil=True, cache=True)
def _pull(
    found: NDArray[np.float32],
    values: NDArray[np.float32],
    near: NDArray[np.bool_],
    to_points: NDArray[np.float64],
    vectors: NDArray[np.float32],
    to_field: NDArray[np.float64],
    has_field: bool,
    to_voxels: NDArray[np.float64],
    parts: NDArray[np.int64],
    start: int,
    stop: int,
) -> None:
    n_images, _, n_y, n_z = found.shape
    n_parts = parts[0] * parts[1] * parts[2]
    total = np.zeros(n_images)
    index, point, place, voxel = np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3)
    moved, no_near = np.zeros(3), np.zeros(3, np.bool_)
    any_linear = not near.all()
    for i in range(start, stop):
        for j in range(n_y):
            for k in range(n_z):
                total[:] = 0
                for part in range(n_parts):
                    index[0] = i + (part // (parts[1] * parts[2]) + 0.5) / parts[0] - 0.5
                    index[1] = j + (part // parts[2] % parts[1] + 0.5) / parts[1] - 0.5
                    index[2] = k + (part % parts[2] + 0.5) / parts[2] - 0.5
                    _apply(to_points, index, point)
                    if has_field:
                        _apply(to_field, point, place)
                        if _is_inside(place, vectors.shape):
                            moved[:] = 0
                            _add(vectors, no_near, True, place, moved)
                            for axis in range(3):
                                point[axis] += moved[axis]
                    _apply(to_voxels, point, voxel)
                    if _is_inside(voxel, values.shape):
                        _add(values, near, any_linear, voxel, total)
                for image in range(n_images):
                    found[image, i, j, k] = total[image] / n_parts


@njit(nogil=True, cache=True)
def _apply(
    matrix: NDArray[np.float64], point: NDArray[np.float64], found: NDArray[np.float64]
) -> None:
    for row in range(3):
        found[row] = (
            matrix[row, 0] * point[0]
            + matrix[row, 1] * point[1]
            + matrix[row, 2] * point[2]
            + matrix[row, 3]
        )


@njit(nogil=True, cache=True)
def _is_inside(voxel: NDArray[np.float64], shape: tuple[int, ...]) -> bool:
    """Whether a place is in the voxels' volume, which reaches half a voxel from their centres."""
    inside = True
    for axis in range(3):
        inside = inside and -0.5 <= voxel[axis] <= shape[axis] - 0.5
    return inside


@njit(nogil=True, cache=True)
def _add(
    values: NDArray[np.float32],
    near: NDArray[np.bool_],
    any_linear: bool,
    voxel: NDArray[np.float64],
    total: NDArray[np.float64],
) -> None:
    """Add each image's value at a place, or each component of a field's vector.

    One of the eight voxels around it that lies beyond the last voxel is the last one.
    """
    n_x, n_y, n_z = values.shape[0], values.shape[1], values.shape[2]
    if any_linear:
        x_0, y_0, z_0 = np.floor(voxel[0]), np.floor(voxel[1]), np.floor(voxel[2])
        after_x, after_y, after_z = voxel[0] - x_0, voxel[1] - y_0, voxel[2] - z_0
        for number in range(8):
            on_x, on_y, on_z = number & 1, number >> 1 & 1, number >> 2 & 1
            weight = after_x if on_x else 1 - after_x
            weight *= after_y if on_y else 1 - after_y
            weight *= after_z if on_z else 1 - after_z
            if weight > 0:
                x = min(max(int(x_0) + on_x, 0), n_x - 1)
                y = min(max(int(y_0) + on_y, 0), n_y - 1)
                z = min(max(int(z_0) + on_z, 0), n_z - 1)
                for image in range(total.size):
                    if not near[image]:
                        total[image] += weight * values[x, y, z, image]
    for image in range(total.size):
        if near[image]:
            x = min(int(np.floor(voxel[0] + 0.5)), n_x - 1)
            y = min(int(np.floor(voxel[1] + 0.5)), n_y - 1)
            z = min(int(np.floor(voxel[2] + 0.5)), n_z - 1)
            total[image] += values[x, y, z, image]
