"""The nearest voxels of images read through several fields of displacements in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from wmhflow.core.align.pulling import displaced, is_inside, moved, nearest_at
from wmhflow.core.arrays.threads import over_ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wmhflow.core.align.pulling import PointMap
    from wmhflow.core.space.grids import Grid3D

# Of a voxel: what is left out lies further from what is not 0 than any rounding.
SAFETY = 0.01


def pull_nearest(
    images: Sequence[Grid3D], reference: Grid3D, chain: Sequence[PointMap]
) -> list[NDArray[np.float32]]:
    """Read images of one grid at the voxels of another one, through transforms in turn.

    Places that no displacement brings near a voxel other than 0 are passed over.

    Parameters
    ----------
    images
        Values on one grid.
    reference
        Grid to fill.
    chain
        From points of the reference to points of the images; the first is applied first.

    Returns
    -------
    list of ndarray
        The nearest voxel's value for each voxel of the reference and each image; outside the
        images it is 0.

    Raises
    ------
    ValueError
        If the images do not share a grid.

    Examples
    --------
    >>> from wmhflow.core.align.pulling import PointMap
    >>> from wmhflow.core.space.grids import Grid3D
    >>> line = Grid3D(np.arange(4, dtype=np.float32).reshape(4, 1, 1), np.eye(4))
    >>> step = np.eye(4)
    >>> step[0, 3] = 1.0
    >>> further = PointMap(step, None, np.eye(4))
    >>> pull_nearest([line], line, [further, further])[0].ravel().tolist()
    [2.0, 3.0, 0.0, 0.0]
    """
    shape, affine = images[0].data.shape, images[0].affine
    if any(one.data.shape != shape or not np.array_equal(one.affine, affine) for one in images):
        raise ValueError("the images lie on different grids; read them one by one")
    whole = reference.data.shape
    found = np.zeros((len(images), *whole), np.float32)
    inside = np.any([one.data != 0 for one in images], axis=0)
    if not inside.any():
        return list(found)
    # the last axis is the image's, so that all values of a place lie beside each other
    values = np.stack([np.asarray(one.data, np.float32) for one in images], axis=-1)
    from_voxels = np.ascontiguousarray(reference.affine, np.float64)
    to_voxels = np.asarray(np.linalg.inv(affine), np.float64)
    start, spread = _straight(from_voxels, chain, to_voxels)
    low, high = _limits(inside, spread + SAFETY)
    fields = [_field(points) for points in chain]

    def fill(first: int, last: int) -> None:
        n_places = whole[1] * whole[2]
        points, places = np.empty((n_places, 3)), np.empty(n_places, np.int64)
        for plane in range(first, last):
            args = (whole[1], whole[2], from_voxels, start, low, high)
            n = _begin(plane, *args, points, places)
            for before, vectors, to_field, after in fields:
                _carry(points[:n], before, vectors, to_field, after)
            _look_up(points[:n], places[:n], to_voxels, values, found[:, plane])

    over_ranges(fill, whole[0], int(np.prod(whole)))
    return list(found)


def carried(points: NDArray[np.float64], chain: Sequence[PointMap]) -> NDArray[np.float64]:
    """Map points through transforms in turn.

    Parameters
    ----------
    points : (n, 3) array
        RAS millimetres in the space of the first transform's fixed image.
    chain
        The first is applied first.

    Returns
    -------
    ndarray, (n, 3)
        RAS millimetres in the space of the last transform's moving image, in double precision.

    Examples
    --------
    >>> from wmhflow.core.align.pulling import PointMap
    >>> step = PointMap(np.diag([2.0, 1.0, 1.0, 1.0]), None, np.eye(4))
    >>> carried(np.ones((1, 3)), [step, step]).tolist()
    [[4.0, 1.0, 1.0]]
    """
    found = np.array(points, dtype=np.float64, order="C").reshape(-1, 3)
    for before, vectors, to_field, after in map(_field, chain):
        _carry(found, before, vectors, to_field, after)
    return found


def _straight(
    affine: NDArray[np.float64], chain: Sequence[PointMap], to_voxels: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where voxels end without displacements, and how far at most from there with them."""
    matrix, spread = affine, np.zeros(3)
    for points in chain:
        matrix = points.before @ matrix
        spread = np.abs(points.before[:3, :3]) @ spread
        if points.displacements is not None:
            spread = spread + np.abs(points.displacements.vectors).max(axis=(0, 1, 2), initial=0)
        matrix = points.after @ matrix
        spread = np.abs(points.after[:3, :3]) @ spread
    return to_voxels @ matrix, np.abs(to_voxels[:3, :3]) @ spread


def _limits(
    inside: NDArray[np.bool_], spread: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return between which places voxels lie that can reach a marked one."""
    edges = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        marked = np.flatnonzero(inside.any(axis=others))
        edges.append((marked[0] - 0.5, marked[-1] + 0.5))
    low, high = np.array(edges).T
    return low - spread, high + spread


_Field = tuple[
    "NDArray[np.float64]", "NDArray[np.float32]", "NDArray[np.float64]", "NDArray[np.float64]"
]


def _field(points: PointMap) -> _Field:
    """Return a transform's matrices and field as the kernel takes them; without one it is empty."""
    field = points.displacements
    before, after = np.ascontiguousarray(points.before), np.ascontiguousarray(points.after)
    if field is None:
        return before, np.zeros((0, 0, 0, 3), np.float32), np.eye(4), after
    to_field = np.asarray(np.linalg.inv(field.affine), np.float64)
    return before, np.ascontiguousarray(field.vectors), to_field, after


@njit(cache=True, nogil=True)
def _begin(  # type: ignore[no-untyped-def]
    plane, n_rows, n_columns, affine, straight, low, high, points, places
):
    """Write the points of a plane's voxels that may reach something, and return their number."""
    n = 0
    for j in range(n_rows):
        for k in range(n_columns):
            near = True
            for axis in range(3):
                end = straight[axis, 0] * plane + straight[axis, 1] * j + straight[axis, 2] * k
                end += straight[axis, 3]
                near = near and low[axis] <= end <= high[axis]
            if not near:
                continue
            for axis in range(3):
                points[n, axis] = (
                    affine[axis, 0] * plane + affine[axis, 1] * j + affine[axis, 2] * k
                    + affine[axis, 3]
                )  # fmt: skip
            places[n] = j * n_columns + k
            n += 1
    return n


@njit(cache=True, nogil=True)
def _carry(points, before, vectors, to_field, after):  # type: ignore[no-untyped-def]
    """Move points by a matrix, the field of displacements where there is one, and a matrix."""
    for n in range(points.shape[0]):
        x, y, z = moved(before, points[n, 0], points[n, 1], points[n, 2])
        if vectors.size:
            x, y, z = displaced(vectors, to_field, x, y, z)
        points[n, 0], points[n, 1], points[n, 2] = moved(after, x, y, z)


@njit(cache=True, nogil=True)
def _look_up(points, places, to_voxels, values, found):  # type: ignore[no-untyped-def]
    """Fill the places of a plane with the values of the voxels nearest to their points."""
    for n in range(points.shape[0]):
        x, y, z = moved(to_voxels, points[n, 0], points[n, 1], points[n, 2])
        if is_inside(values.shape, x, y, z):
            i, j, k = nearest_at(values.shape, x, y, z)
            row, column = places[n] // found.shape[2], places[n] % found.shape[2]
            for image in range(found.shape[0]):
                found[image, row, column] = values[i, j, k, image]
