"""Atlases at points of another space: labels of the nearest voxel, probabilities linearly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.regions.probabilities import STEPS


def labels_at(
    points: NDArray[np.floating], labels: NDArray[np.integer], affine: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Look labels up at points, in the nearest voxel.

    Parameters
    ----------
    points : (n, 3) array
        In the atlas's world, RAS mm.
    labels : (X, Y, Z) array
        The atlas.
    affine : (4, 4) array
        Atlas voxels to its world.

    Returns
    -------
    (n,) int32 array
        Labels; 0 outside the atlas's field of view. Half-way between two voxels, that of the
        higher index.

    Raises
    ------
    ValueError
        If the shapes are others.

    Examples
    --------
    >>> labels_at(
    ...     np.array([[0.4, 0, 0], [0.5, 0, 0], [9, 0, 0]]), np.array([[[1]], [[2]]]), np.eye(4)
    ... )
    array([1, 2, 0], dtype=int32)
    """
    voxels = np.floor(_in_voxels(points, labels.shape, 3, affine) + 0.5)
    there = ((voxels >= 0) & (voxels < labels.shape)).all(axis=1)
    found = np.zeros(len(points), dtype=np.int32)
    found[there] = labels[tuple(voxels[there].astype(np.intp).T)]
    return found


def steps_at(
    points: NDArray[np.floating], probabilities: NDArray[np.float32], affine: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Interpolate the volumes of a probabilistic atlas linearly at points.

    Parameters
    ----------
    points : (n, 3) array
        In the atlas's world, RAS mm.
    probabilities : (X, Y, Z, k) array
        0..1.
    affine : (4, 4) array
        Atlas voxels to its world.

    Returns
    -------
    (n, k) uint8 array
        In steps of 1 / ``STEPS``; outside the atlas's field of view counts as 0.

    Raises
    ------
    ValueError
        If the shapes are others.

    Examples
    --------
    >>> volumes = np.array([0.0, 1.0], np.float32).reshape(2, 1, 1, 1)
    >>> steps_at(np.array([[0.25, 0, 0], [9, 0, 0]]), volumes, np.eye(4)).ravel().tolist()
    [32, 0]
    """
    voxels = _in_voxels(points, probabilities.shape, 4, affine)
    found = np.zeros((len(points), probabilities.shape[3]), dtype=np.uint8, order="F")
    for region in range(probabilities.shape[3]):
        # as files are read: volume after volume, each along its first axis
        volume = np.asfortranarray(probabilities[..., region], dtype=np.float32)
        box = _box(volume)
        if box is not None:
            _fill(voxels, volume, box, found[:, region])
    return found


def voxels_of(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """List the voxels of a mask in the order in which files keep them.

    Parameters
    ----------
    mask : (X, Y, Z) array
        The mask.

    Returns
    -------
    (n, 3) array
        Voxel indices; the first axis runs fastest.

    Examples
    --------
    >>> voxels_of(np.ones((2, 1, 2), bool)).tolist()
    [[0, 0, 0], [1, 0, 0], [0, 0, 1], [1, 0, 1]]
    """
    return np.argwhere(mask.T)[:, ::-1]


def as_volumes(values: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """Put values at the voxels of a mask into an image.

    Parameters
    ----------
    values : (n,) or (n, k) array
        In the order of :func:`voxels_of`.
    mask : (X, Y, Z) array
        The mask, of n voxels.

    Returns
    -------
    (X, Y, Z) or (X, Y, Z, k) array
        0 outside the mask.

    Examples
    --------
    >>> as_volumes(np.array([1, 2]), np.array([[[True, False, True]]])).tolist()
    [[[1, 0, 2]]]
    """
    volumes = np.zeros((*mask.shape, *values.shape[1:]), dtype=values.dtype, order="F")
    volumes.T[..., mask.T] = values.T
    return volumes


def _in_voxels(
    points: NDArray[np.floating], shape: tuple[int, ...], n_axes: int, affine: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return points of an atlas's world in voxels of the atlas."""
    if len(shape) != n_axes or points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(
            f"points of shape {points.shape} and an atlas of shape {shape}; (n, 3) and {n_axes} "
            "axes are expected"
        )
    to_voxels = np.linalg.inv(affine)
    return points @ to_voxels[:3, :3].T + to_voxels[:3, 3]


def _box(volume: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Return the voxels between which a volume is not 0: lowest and highest along each axis."""
    ends = []
    for axes in ((1, 2), (0, 2), (0, 1)):
        there = np.flatnonzero(volume.any(axis=axes))
        if not there.size:
            return None
        ends.append((there[0] - 1.0, there[-1] + 1.0))
    return np.array(ends)


def _fill(
    voxels: NDArray[np.float64],
    volume: NDArray[np.float32],
    box: NDArray[np.float64],
    found: NDArray[np.uint8],
) -> None:
    over_ranges(
        lambda start, stop: _interpolate(voxels, volume, box, found, start, stop),
        len(voxels),
        len(voxels),
    )


@njit(nogil=True, cache=True)
def _interpolate(voxels, volume, box, found, start, stop):  # type: ignore[no-untyped-def]
    size = volume.shape
    for n in range(start, stop):
        x, y, z = voxels[n, 0], voxels[n, 1], voxels[n, 2]
        if not (box[0, 0] < x < box[0, 1] and box[1, 0] < y < box[1, 1]):
            continue
        if not box[2, 0] < z < box[2, 1]:
            continue
        i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
        total = 0.0
        for corner in range(8):
            right, front, up = corner & 1, corner >> 1 & 1, corner >> 2
            a, b, c = i + right, j + front, k + up
            if 0 <= a < size[0] and 0 <= b < size[1] and 0 <= c < size[2]:
                weight = x - i if right else 1.0 - (x - i)
                weight *= y - j if front else 1.0 - (y - j)
                weight *= z - k if up else 1.0 - (z - k)
                total += weight * volume[a, b, c]
        found[n] = int(min(max(total, 0.0), 1.0) * STEPS + 0.5)
