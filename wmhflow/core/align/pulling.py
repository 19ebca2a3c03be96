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
    any_linear = not near.all()
    x, y, z = 0.0, 0.0, 0.0
    for i in range(start, stop):
        for j in range(n_y):
            for k in range(n_z):
                total[:] = 0
                for part in range(n_parts):
                    if n_parts == 1:
                        x, y, z = float(i), float(j), float(k)
                    else:
                        x = i + (part // (parts[1] * parts[2]) + 0.5) / parts[0] - 0.5
                        y = j + (part // parts[2] % parts[1] + 0.5) / parts[1] - 0.5
                        z = k + (part % parts[2] + 0.5) / parts[2] - 0.5
                    x, y, z = moved(to_points, x, y, z)
                    if has_field:
                        x, y, z = displaced(vectors, to_field, x, y, z)
                    x, y, z = moved(to_voxels, x, y, z)
                    if not is_inside(values.shape, x, y, z):
                        continue
                    if n_images == 1 and any_linear:
                        total[0] += _linear_at(values, x, y, z)
                    else:
                        _add(values, near, any_linear, x, y, z, total)
                for image in range(n_images):
                    found[image, i, j, k] = total[image] / n_parts


@njit(nogil=True, cache=True)
def moved(matrix: NDArray[np.float64], x: float, y: float, z: float) -> tuple[float, float, float]:
    """Apply a matrix to a point."""
    return (
        matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3],
        matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3],
        matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3],
    )


@njit(nogil=True, cache=True)
def is_inside(shape: tuple[int, ...], x: float, y: float, z: float) -> bool:
    """Whether a place is in the voxels' volume, which reaches half a voxel from their centres."""
    return (
        -0.5 <= x <= shape[0] - 0.5 and -0.5 <= y <= shape[1] - 0.5 and -0.5 <= z <= shape[2] - 0.5
    )


@njit(nogil=True, cache=True)
def displaced(
    vectors: NDArray[np.float32], to_field: NDArray[np.float64], x: float, y: float, z: float
) -> tuple[float, float, float]:
    """Add to a point the vector that a field has there; beyond the field it stays."""
    a, b, c = moved(to_field, x, y, z)
    if not is_inside(vectors.shape, a, b, c):
        return x, y, z
    weights, corners = _corners(vectors.shape, a, b, c)
    by_x, by_y, by_z = 0.0, 0.0, 0.0
    for number in range(8):
        weight = weights[number]
        i, j, k = corners[number & 1], corners[2 + (number >> 1 & 1)], corners[4 + (number >> 2)]
        by_x += weight * vectors[i, j, k, 0]
        by_y += weight * vectors[i, j, k, 1]
        by_z += weight * vectors[i, j, k, 2]
    return x + by_x, y + by_y, z + by_z


@njit(nogil=True, cache=True)
def _linear_at(values: NDArray[np.float32], x: float, y: float, z: float) -> float:
    """Interpolate the only image at a place."""
    weights, corners = _corners(values.shape, x, y, z)
    total = 0.0
    for number in range(8):
        weight = weights[number]
        # what does not count may be no number
        if weight > 0:
            i, j = corners[number & 1], corners[2 + (number >> 1 & 1)]
            total += weight * values[i, j, corners[4 + (number >> 2)], 0]
    return total


@njit(nogil=True, cache=True)
def _corners(  # type: ignore[no-untyped-def]
    shape: tuple[int, ...], x: float, y: float, z: float
):
    """Return the weights of the eight voxels around a place, and their places along each axis.

    One that lies beyond the last voxel is the last one.
    """
    x_0, y_0, z_0 = np.floor(x), np.floor(y), np.floor(z)
    after_x, after_y, after_z = x - x_0, y - y_0, z - z_0
    before_x, before_y, before_z = 1 - after_x, 1 - after_y, 1 - after_z
    i, j, k = int(x_0), int(y_0), int(z_0)
    near, right = before_x * before_y, after_x * before_y
    front, both = before_x * after_y, after_x * after_y
    weights = (
        near * before_z, right * before_z, front * before_z, both * before_z,
        near * after_z, right * after_z, front * after_z, both * after_z,
    )  # fmt: skip
    corners = (
        max(i, 0), min(i + 1, shape[0] - 1),
        max(j, 0), min(j + 1, shape[1] - 1),
        max(k, 0), min(k + 1, shape[2] - 1),
    )  # fmt: skip
    return weights, corners


@njit(nogil=True, cache=True)
def _add(
    values: NDArray[np.float32],
    near: NDArray[np.bool_],
    any_linear: bool,
    x: float,
    y: float,
    z: float,
    total: NDArray[np.float64],
) -> None:
    """Add each image's value at a place."""
    if any_linear:
        weights, corners = _corners(values.shape, x, y, z)
        for number in range(8):
            weight = weights[number]
            if weight > 0:
                i, j = corners[number & 1], corners[2 + (number >> 1 & 1)]
                k = corners[4 + (number >> 2)]
                for image in range(total.size):
                    if not near[image]:
                        total[image] += weight * values[i, j, k, image]
    for image in range(total.size):
        if near[image]:
            i, j, k = nearest_at(values.shape, x, y, z)
            total[image] += values[i, j, k, image]


@njit(nogil=True, cache=True)
def nearest_at(shape: tuple[int, ...], x: float, y: float, z: float) -> tuple[int, int, int]:
    """Return the voxel nearest to a place that lies inside."""
    return (
        min(int(np.floor(x + 0.5)), shape[0] - 1),
        min(int(np.floor(y + 0.5)), shape[1] - 1),
        min(int(np.floor(z + 0.5)), shape[2] - 1),
    )
