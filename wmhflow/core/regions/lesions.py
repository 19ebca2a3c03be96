"""Lesions: connected components of a mask with stable numbers, their holes and their measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from wmhflow.core.arrays.boxes import bounding_box
from wmhflow.core.arrays.components import without_holes
from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.arrays.validation import (
    check_same_shape,
    checked_distance,
    checked_labels,
    checked_mask,
    flattened,
    is_reversed,
)
from wmhflow.core.space.geometry import ras_axes, spacing_of, world_coordinates

# Voxels looked at together for being empty.
STRETCH = 512


def label_lesions(mask: ArrayLike, affine: ArrayLike) -> tuple[NDArray[np.int32], int]:
    """Give each lesion of a mask its number: voxels that share a face, edge or corner are one.

    Parameters
    ----------
    mask : (I, J, K) array of booleans or numbers
        Lesion voxels: finite and not zero.
    affine : (4, 4) array
        From voxel indices to world RAS coordinates in mm; decides the numbering.

    Returns
    -------
    labels : (I, J, K) int32 array
        0 outside lesions. Lesions are numbered from 1 by their first voxel when the volume is
        read in RAS order (sagittal planes from left to right, in each the rows from back to
        front, in each the voxels upwards), so that the numbers do not depend on how the array
        happens to be oriented.
    n : int
        Number of lesions.

    Raises
    ------
    ValueError
        If the mask is not three-dimensional or the affine cannot be used.
    TypeError
        If the mask holds neither booleans nor numbers.

    Examples
    --------
    >>> labels, n = label_lesions([[[1, 0, 1]]], np.diag([1, 1, -1, 1]))
    >>> labels.ravel(), n
    (array([2, 0, 1], dtype=int32), 2)
    """
    lesion = checked_mask(mask, "mask")
    axes = ras_axes(affine)
    labels = np.zeros(lesion.shape, dtype=np.int32)
    box = bounding_box(lesion)
    if box is None:
        return labels, 0
    turned = np.ascontiguousarray(axes.to_ras(lesion[box]))
    components = np.empty(turned.shape, dtype=np.int32)
    n = int(ndimage.label(turned, structure=np.ones((3, 3, 3)), output=components))
    _number_by_first_voxel(components.reshape(-1), np.zeros(n + 1, dtype=np.int32))
    labels[box] = axes.from_ras(components)
    return labels, n


def fill_holes(mask: ArrayLike) -> NDArray[np.bool_]:
    """Fill the holes of a mask.

    Parameters
    ----------
    mask : (I, J, K) array of booleans or numbers
        Voxels that are finite and not zero.

    Returns
    -------
    (I, J, K) bool array
        The mask with its holes: voxels outside it from which no path of voxels that share faces
        leads out of the image without crossing the mask.

    Raises
    ------
    ValueError, TypeError
        As `label_lesions`.

    Examples
    --------
    >>> ring = np.ones((3, 3, 3), bool)
    >>> ring[1, 1, 1] = False
    >>> bool(fill_holes(ring).all())
    True
    """
    filled = checked_mask(mask, "mask").copy()
    box = bounding_box(filled)
    if box is not None:
        # the border of what without_holes is given is open; so is the box's
        filled[box] = without_holes(filled[box])
    return filled


def count_hole_voxels(mask: ArrayLike) -> int:
    """Count the voxels that `fill_holes` would add.

    Parameters
    ----------
    mask : (I, J, K) array of booleans or numbers
        Voxels that are finite and not zero.

    Returns
    -------
    int

    Raises
    ------
    ValueError, TypeError
        As `label_lesions`.

    Examples
    --------
    >>> count_hole_voxels(np.ones((3, 3, 3)))
    0
    """
    lesion = checked_mask(mask, "mask")
    box = bounding_box(lesion)
    if box is None:
        return 0
    return int(np.count_nonzero(without_holes(lesion[box])) - np.count_nonzero(lesion[box]))


def lesion_measures(
    labels: ArrayLike,
    affine: ArrayLike,
    distances: Mapping[str, ArrayLike] | None = None,
) -> dict[str, NDArray[Any]]:
    """Measure every lesion of a label image.

    Parameters
    ----------
    labels : (I, J, K) integer array
        0 outside lesions.
    affine : (4, 4) array
        From voxel indices to world RAS coordinates in mm.
    distances : mapping of names to (I, J, K) arrays, optional
        Distances in mm, or any other quantity whose smallest value in each lesion is wanted.

    Returns
    -------
    dict of equally long arrays, one entry per lesion, by rising label
        ``index`` (int64), ``n_voxels`` (int64), ``volume_mm3``, the centroid's ``x``, ``y``,
        ``z`` in world mm, ``extent_mm`` (the longest side of the lesion's bounding box along the
        voxel axes, from outer face to outer face), and ``<name>_min`` for every distance. NaN
        voxels of a distance are left out; a lesion with nothing else gets NaN.

    Raises
    ------
    ValueError
        If shapes differ, a label is negative, or the affine cannot be used.
    TypeError
        If the labels are not integers.

    Examples
    --------
    >>> labels = np.array([[[1, 1, 0, 5]]])
    >>> measures = lesion_measures(labels, np.diag([1, 1, 2, 1]), {"depth": labels * 0.5})
    >>> measures["index"], measures["z"], measures["extent_mm"], measures["depth_min"]
    (array([1, 5]), array([1., 6.]), array([4., 2.]), array([0.5, 2.5]))
    """
    volume = checked_labels(labels, "labels")
    sizes = spacing_of(affine)
    named = {name: checked_distance(d, name) for name, d in (distances or {}).items()}
    check_same_shape(labels=volume, **named)
    flat, *flat_distances = flattened(volume.astype(np.int32, copy=False), *named.values())
    voxels = _occupied(flat)
    index, rank = _ranks(flat[voxels])
    # Memory order is the order of the axes, or the reverse of it.
    turn = -1 if is_reversed(volume) else 1
    counts, sums, low, high = _extents(rank, voxels, np.array(volume.shape[::turn]), index.size)
    sums, low, high = sums[:, ::turn], low[:, ::turn], high[:, ::turn]
    centroid = world_coordinates(sums / counts[:, None], affine) if index.size else sums
    measures: dict[str, NDArray[Any]] = {
        "index": index,
        "n_voxels": counts,
        "volume_mm3": counts * float(np.prod(sizes)),
        "x": centroid[:, 0],
        "y": centroid[:, 1],
        "z": centroid[:, 2],
        "extent_mm": ((high - low + 1) * sizes).max(axis=1),
    }
    for name, distance in zip(named, flat_distances, strict=True):
        measures[f"{name}_min"] = _minima(rank, distance[voxels].astype(np.float64), index.size)
    return measures


def _occupied(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the places of voxels above 0, rising."""
    parts = over_ranges(
        lambda start, stop: _places(labels, start, stop), labels.size, labels.size // 4
    )
    return np.concatenate(parts)


def _ranks(labels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the labels that occur, rising, and for every entry the place of its label."""
    if labels.size and int(labels.max()) > max(1 << 20, 4 * labels.size):
        # Few and large numbers, as of an atlas: a table over all of them would be too long.
        found, places = np.unique(labels, return_inverse=True)
        return found.astype(np.int64), places.astype(np.int64)
    found = np.flatnonzero(np.bincount(labels.astype(np.int64)))
    table = np.zeros(int(found[-1]) + 1 if found.size else 1, dtype=np.int64)
    table[found] = np.arange(found.size)
    return found, table[labels]


def lesion_centres(labels: ArrayLike, affine: ArrayLike) -> NDArray[np.int64]:
    """Find the voxel of each lesion that lies nearest to its centroid.

    Parameters
    ----------
    labels : (I, J, K) integer array
        0 outside lesions.
    affine : (4, 4) array
        From voxel indices to world RAS coordinates in mm.

    Returns
    -------
    (n, 3) int64 array
        Voxel indices, by rising label. Of equally near voxels the first in RAS order, so that the
        answer is the same in every orientation.

    Raises
    ------
    ValueError, TypeError
        As `lesion_measures`.

    Examples
    --------
    >>> lesion_centres(np.array([[[1, 1, 1, 0, 5]]]), np.eye(4)).tolist()
    [[0, 0, 1], [0, 0, 4]]
    """
    volume = checked_labels(labels, "labels")
    axes, index = ras_axes(affine), np.argwhere(volume)
    present, rank = np.unique(volume[tuple(index.T)], return_inverse=True)
    counts = np.bincount(rank, minlength=present.size)
    sums = [np.bincount(rank, weights=line, minlength=present.size) for line in index.T]
    away = (index - (np.stack(sums, axis=1) / counts[:, None])[rank]) @ np.asarray(affine)[:3, :3].T
    # in whole micrometres, so that equal distances stay equal in every orientation
    microns = np.rint(1000 * np.sqrt((away**2).sum(axis=1)))
    last = np.array(volume.shape) - 1
    turned = [
        last[axis] - index[:, axis] if flip else index[:, axis]
        for axis, flip in zip(axes.axes, axes.flips, strict=True)
    ]
    order = np.lexsort((*turned[::-1], microns, rank))
    return index[order[np.searchsorted(rank[order], np.arange(present.size))]]


@njit(cache=True, nogil=True)
def _number_by_first_voxel(labels, numbers):  # type: ignore[no-untyped-def]
    """Renumber labels in place by their order of appearance; `numbers` is scratch of zeros."""
    count = 0
    for place in range(labels.size):
        label = labels[place]
        if label > 0:
            if numbers[label] == 0:
                count += 1
                numbers[label] = count
            labels[place] = numbers[label]


@njit(cache=True, nogil=True)
def _places(labels, start, stop):  # type: ignore[no-untyped-def]
    """Return the places of voxels above 0 from `start` to `stop`."""
    places = np.empty(1024, dtype=np.int64)
    found = 0
    for first in range(start, stop, STRETCH):
        stretch = labels[first : min(first + STRETCH, stop)]
        # Most of a volume is empty, and is skipped in vector instructions.
        some = stretch[0]
        for place in range(stretch.size):
            some = np.int32(some | stretch[place])
        if some == 0:
            continue
        if found + STRETCH > places.size:
            longer = np.empty(2 * places.size, dtype=np.int64)
            longer[:found] = places[:found]
            places = longer
        for place in range(stretch.size):
            if stretch[place] != 0:
                places[found] = first + place
                found += 1
    return places[:found].copy()


@njit(cache=True, nogil=True)
def _extents(rank, voxels, shape, n):  # type: ignore[no-untyped-def]
    """Return per lesion the number of voxels, the sums of indices, and their lowest and highest."""
    counts = np.zeros(n, dtype=np.int64)
    sums = np.zeros((n, 3))
    low = np.full((n, 3), np.iinfo(np.int64).max)
    high = np.full((n, 3), -1)
    for place in range(rank.size):
        lesion, voxel = rank[place], voxels[place]
        plane = voxel // shape[2]
        counts[lesion] += 1
        indices = (plane // shape[1], plane % shape[1], voxel % shape[2])
        for axis, index in enumerate(indices):
            # Sums of whole numbers are exact, whatever the order.
            sums[lesion, axis] += index
            low[lesion, axis] = min(low[lesion, axis], index)
            high[lesion, axis] = max(high[lesion, axis], index)
    return counts, sums, low, high


@njit(cache=True, nogil=True)
def _minima(rank, values, n):  # type: ignore[no-untyped-def]
    """Return the smallest value per lesion that is not NaN."""
    smallest = np.full(n, np.nan)
    for place in range(rank.size):
        lesion = rank[place]
        if not values[place] >= smallest[lesion] and not np.isnan(values[place]):
            smallest[lesion] = values[place]
    return smallest
