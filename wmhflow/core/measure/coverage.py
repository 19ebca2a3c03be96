"""Which fraction of every voxel of a map each region of a label image covers.

The weight of a map voxel in a region is the fraction of its volume that the region covers. It is
computed exactly, as the volume in which two boxes of any relative position intersect, and not by
points; so a region's weights add up to its volume on any grid that holds it.

Weights depend on the grids only: all maps on one grid share them. Unions of regions need no second
pass: `merge_regions` adds weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.arrays.boxes import bounding_box
from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.arrays.validation import checked_labels, checked_volume, kernel_ready
from wmhflow.core.measure.intersection import (
    covered_fractions,
    entries_of,
    numbered,
    shared_areas,
    shared_heights,
    sort_entries,
)
from wmhflow.core.space.geometry import checked_affine, spacing_of

# A region that covers less of a map voxel than this part of the smaller of a map's and a label's
# voxel does so by the rounding of headers.
SMALLEST_OVERLAP = 1e-4
# Label values up to here are looked up in a table.
LARGEST_TABLE = 1 << 22
# An axis that leaves its direction by less than this part of a label voxel over the whole map does
# so by rounding.
LARGEST_DRIFT = 1e-6
# So many combinations of several images' labels can be told by a whole number of 64 bits.
MOST_CODES = 1 << 62


@dataclass(frozen=True, eq=False)
class CoverageWeights:
    """The fraction of each voxel of a map's grid that each region covers (sparse).

    Attributes
    ----------
    index : (R,) int64 array
        Labels of the regions, in the order of the rows that `region_statistics` gives.
    volume_mm3 : (R,) float64 array
        The regions' own volumes, inside the map's field of view or not.
    map_shape : three ints
        Shape of the map's grid.
    map_voxel_mm3 : float
        Volume of a voxel of the map.
    voxels : (V,) int64 array
        Map voxels of which any part is covered, as rising flat indices in C order.
    starts : (V + 1,) int64 array
        Entries ``starts[v]`` to ``starts[v + 1]`` of the next two belong to ``voxels[v]``.
    regions : (E,) int32 array
        Places in `index`.
    fractions : (E,) float64 array
        Above 0 and, for regions that do not overlap, at most 1.
    """

    index: NDArray[np.int64]
    volume_mm3: NDArray[np.float64]
    map_shape: tuple[int, int, int]
    map_voxel_mm3: float
    voxels: NDArray[np.int64]
    starts: NDArray[np.int64]
    regions: NDArray[np.int32]
    fractions: NDArray[np.float64]

    @cached_property
    def by_region(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The same entries ordered by region: where each begins, places in `voxels`, fractions."""
        sizes = np.bincount(self.regions, minlength=self.index.size)
        begins = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return begins, *_entries_by_region(self.starts, self.regions, self.fractions, begins)

    def dense(self, index: int) -> NDArray[np.float64]:
        """Return the weights of one region as an image of `map_shape` (zeros if it has none)."""
        image = np.zeros(int(np.prod(self.map_shape)))
        entries = self.index[self.regions] == index
        image[np.repeat(self.voxels, np.diff(self.starts))[entries]] = self.fractions[entries]
        return image.reshape(self.map_shape)


@dataclass(frozen=True, eq=False)
class RegionEntries:
    """The same as :class:`CoverageWeights`, ordered by region alone: a third of the memory.

    Attributes
    ----------
    index, volume_mm3, map_shape, map_voxel_mm3, voxels
        As those of :class:`CoverageWeights`.
    by_region : tuple of arrays
        Where the entries of each region begin, (R + 1,) int64; their places in `voxels`, (E,)
        int32, rising in each region; and their fractions, (E,) float64.
    """

    index: NDArray[np.int64]
    volume_mm3: NDArray[np.float64]
    map_shape: tuple[int, int, int]
    map_voxel_mm3: float
    voxels: NDArray[np.int64]
    by_region: tuple[NDArray[np.int64], NDArray[np.integer], NDArray[np.float64]]


Coverage = CoverageWeights | RegionEntries
# Numbers and volumes of unions of regions, and which of them each region is part of.
Unions = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int32]]


def coverage_weights(
    labels: ArrayLike, label_affine: ArrayLike, map_shape: Sequence[int], map_affine: ArrayLike
) -> CoverageWeights:
    """Compute which fraction of each voxel of a map each region of a label image covers.

    Parameters
    ----------
    labels : (I, J, K) integer array
        Regions; 0 outside them.
    label_affine : (4, 4) array
        From voxel indices of `labels` to world RAS coordinates in mm.
    map_shape : three ints
        Shape of the map's grid (its first three axes).
    map_affine : (4, 4) array
        From voxel indices of the map to the same world coordinates in mm.

    Returns
    -------
    CoverageWeights
        One region for each label that occurs, by rising label. A voxel is the box around its
        centre. The grids may differ in orientation, obliqueness, voxel size and field of view.

    Raises
    ------
    ValueError
        If the labels are not three-dimensional, one is negative, or a grid cannot be used.
    TypeError
        If the labels are not integers.

    Notes
    -----
    By the divergence theorem the volume of the map voxel inside a label voxel is a sum over the
    six faces of the map voxel, clipped to the label voxel's walls; each clipped face is a planar
    polygon. The result is exact up to rounding; a region that covers less of a map voxel than
    10^-4 of the smaller of the two grids' voxels does not count there.

    Examples
    --------
    >>> labels = np.array([[[5, 5, 5, 0]]])
    >>> weights = coverage_weights(labels, np.eye(4), (1, 1, 2), np.diag([1, 1, 2, 1.0]))
    >>> weights.index, weights.volume_mm3, weights.dense(5).ravel()
    (array([5]), array([3.]), array([0.75, 0.75]))
    """
    return coverage_of_each([labels], label_affine, map_shape, map_affine)[0]


def coverage_of_each(
    images: Sequence[ArrayLike],
    label_affine: ArrayLike,
    map_shape: Sequence[int],
    map_affine: ArrayLike,
) -> list[CoverageWeights]:
    """Do what :func:`coverage_weights` does for several label images on one grid.

    A map voxel that meets several regions of any of them is cut once for all.

    Parameters
    ----------
    images : sequence of (I, J, K) integer arrays
        Regions; 0 outside them.
    label_affine, map_shape, map_affine
        As for :func:`coverage_weights`.

    Returns
    -------
    list of CoverageWeights
        Of each image what :func:`coverage_weights` gives, but for rounding in another order of
        sums.

    Raises
    ------
    ValueError, TypeError
        As :func:`coverage_weights`, or if the images differ in shape.

    Examples
    --------
    >>> images = np.array([[[[5, 5, 5, 0]]], [[[1, 2, 2, 2]]]])
    >>> found = coverage_of_each(images, np.eye(4), (1, 1, 2), np.diag([1, 1, 2, 1.0]))
    >>> [one.fractions.tolist() for one in found]
    [[0.75, 0.75], [0.5, 0.25, 1.0]]
    """
    boxed, origin = _boxed_labels(images)
    shape = _checked_shape(map_shape)
    label_mm3, map_mm3 = (float(np.prod(spacing_of(a))) for a in (label_affine, map_affine))
    to_labels = np.linalg.inv(checked_affine(label_affine)) @ checked_affine(map_affine)
    to_labels[:3, 3] -= origin
    to_labels, axes, along = _prism_last(to_labels[:3], shape)
    turned = [image.transpose(axes) for image in boxed]
    places = np.empty((len(turned), *turned[0].shape), dtype=np.int32)
    known = [_regions(image, places[number]) for number, image in enumerate(turned)]
    smallest = SMALLEST_OVERLAP * min(label_mm3 / map_mm3, 1.0)
    n_regions = [index.size for index, _ in known]
    entries = _all_coverage(places, to_labels, along, shape, smallest, n_regions)
    found = []
    for number, (index, counts) in enumerate(known):
        voxels, starts, regions, fractions = entries_of(number, *entries)
        volume_mm3 = counts.astype(np.float64) * label_mm3
        found.append(
            CoverageWeights(index, volume_mm3, shape, map_mm3, voxels, starts, regions, fractions)
        )
    return found


def merge_regions(
    weights: CoverageWeights, membership: Sequence[tuple[int, Sequence[int]]]
) -> CoverageWeights:
    """Make regions that are unions of others.

    Parameters
    ----------
    weights : CoverageWeights
        Of regions that do not overlap.
    membership : sequence of (new index, old indices)
        The new regions in the order wanted. They may share old ones; an old index that `weights`
        does not have is an empty region, so that a union may turn out empty.

    Returns
    -------
    CoverageWeights
        With the new regions only; to keep an old region, name it as a union of itself.

    Raises
    ------
    ValueError
        If a new index is named twice, or one old index twice in the same union.

    Examples
    --------
    >>> weights = coverage_weights([[[1, 2, 7]]], np.eye(4), (1, 1, 1), np.diag([1, 1, 6, 1.0]))
    >>> both = merge_regions(weights, [(100, [1, 2]), (7, [7]), (8, [8])])
    >>> both.index, both.volume_mm3
    (array([100,   7,   8]), array([2., 1., 0.]))
    """
    new, volume, union_starts, unions = unions_of(weights, membership)
    voxels, sizes, regions, fractions = _merged(
        weights.voxels,
        weights.starts,
        weights.regions,
        weights.fractions,
        union_starts,
        unions,
        new.size,
    )
    return CoverageWeights(
        index=new,
        volume_mm3=volume,
        map_shape=weights.map_shape,
        map_voxel_mm3=weights.map_voxel_mm3,
        voxels=voxels,
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        regions=regions,
        fractions=fractions,
    )


def union_entries(
    weights: CoverageWeights, membership: Sequence[tuple[int, Sequence[int]]]
) -> RegionEntries:
    """Make regions that are unions of others, ordered by region alone.

    Parameters
    ----------
    weights, membership
        As for :func:`merge_regions`.

    Returns
    -------
    RegionEntries
        The entries that :func:`merge_regions` makes, bit for bit.

    Raises
    ------
    ValueError
        As :func:`merge_regions`.

    Examples
    --------
    >>> weights = coverage_weights([[[1, 2, 7]]], np.eye(4), (1, 1, 1), np.diag([1, 1, 6, 1.0]))
    >>> begins, _, fractions = union_entries(weights, [(100, [1, 2]), (8, [8])]).by_region
    >>> begins.tolist(), fractions.round(2).tolist()
    ([0, 1, 1], [0.33])
    """
    new, volume, union_starts, unions = unions_of(weights, membership)
    kept, sizes = _union_sizes(weights.starts, weights.regions, union_starts, unions, new.size)
    begins = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    places, fractions = _fill_unions(
        weights.starts, weights.regions, weights.fractions, union_starts, unions, begins
    )
    return RegionEntries(
        index=new,
        volume_mm3=volume,
        map_shape=weights.map_shape,
        map_voxel_mm3=weights.map_voxel_mm3,
        voxels=weights.voxels[kept],
        by_region=(begins, places, fractions),
    )


def unions_of(weights: CoverageWeights, membership: Sequence[tuple[int, Sequence[int]]]) -> Unions:
    """Find which unions each region is part of.

    Parameters
    ----------
    weights, membership
        As for :func:`merge_regions`.

    Returns
    -------
    index : (n,) array
        Of the unions.
    volume_mm3 : (n,) array
        Of each union.
    starts, unions : (R + 1,) and (m,) arrays
        Region r is part of the unions at the places ``unions[starts[r]:starts[r + 1]]``, rising.

    Raises
    ------
    ValueError
        As :func:`merge_regions`.
    """
    new = np.array([index for index, _ in membership], dtype=np.int64)
    if np.unique(new).size != new.size:
        raise ValueError("membership names a new region twice")
    order = np.argsort(weights.index, kind="stable")
    rising = weights.index[order]
    found, sizes = [np.empty(0, dtype=np.int64)], []
    for index, olds in membership:
        wanted = np.asarray(olds, dtype=np.int64)
        if np.unique(wanted).size != wanted.size:
            raise ValueError(f"the union {index} names an old region twice")
        there = wanted[np.isin(wanted, rising)]
        found.append(np.sort(order[np.searchsorted(rising, there)]))
        sizes.append(there.size)
    old = np.concatenate(found)
    position = np.repeat(np.arange(new.size), np.array(sizes, dtype=np.int64))
    volume = np.bincount(position, weights.volume_mm3[old], new.size).astype(np.float64)
    lengths = np.bincount(old, minlength=rising.size)
    targets = position[np.argsort(old, kind="stable")].astype(np.int32)
    return new, volume, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), targets


def _checked_shape(map_shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the three lengths of the map's grid."""
    lengths = tuple(int(length) for length in map_shape)
    if len(lengths) != 3 or min(lengths) < 1:
        raise ValueError(f"map_shape is {lengths}: three axes of at least one voxel are needed")
    return lengths[0], lengths[1], lengths[2]


def _boxed_labels(images: Sequence[ArrayLike]) -> tuple[list[NDArray[Any]], NDArray[np.int64]]:
    """Return the box of all regions of all images, and its origin.

    Labels are checked there only: all others are 0.
    """
    volumes = [checked_volume(image, "labels") for image in images]
    if len({volume.shape for volume in volumes}) != 1:
        shapes = [volume.shape for volume in volumes]
        raise ValueError(f"the label images must be of one shape, and are of {shapes}")
    boxes = [bounding_box(one if one.dtype == np.int32 else one != 0) for one in volumes]
    filled = [box for box in boxes if box is not None]
    box = (slice(0, 1),) * 3
    if filled:
        sides = zip(*filled, strict=True)
        box = tuple(slice(min(s.start for s in one), max(s.stop for s in one)) for one in sides)  # type: ignore[assignment]
    origin = np.array([side.start for side in box])
    return [checked_labels(volume[box], "labels") for volume in volumes], origin


def _prism_last(
    to_labels: NDArray[np.float64], shape: tuple[int, int, int]
) -> tuple[NDArray[np.float64], tuple[int, int, int], int]:
    """Put the label axis last that runs along an axis of the map and across the map's other two.

    Map voxels then are upright prisms in the labels' grid. Returns `to_labels` in the new order of
    label axes, free of rounding, that order, and the axis of the map (-1 if there is no such pair).
    """
    drift = np.abs(to_labels[:, :3]) * shape
    for last in (2, 1, 0):
        axes = ((last + 1) % 3, (last + 2) % 3, last) if last < 2 else (0, 1, 2)
        for along in range(3):
            astray = (np.arange(3) == last)[:, None] != (np.arange(3) == along)
            if drift[astray].max() < LARGEST_DRIFT:
                upright = to_labels.copy()
                upright[:, :3][astray] = 0.0
                return upright[list(axes)], axes, along
    return to_labels, (0, 1, 2), -1


def _regions(
    image: NDArray[Any], places: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the labels that occur and their voxel counts; fill in 1 + each voxel's place there."""
    labels = kernel_ready(image, np.int32)
    largest = int(labels.max())
    if largest >= LARGEST_TABLE:
        index, found = np.unique(labels[labels != 0], return_inverse=True)
        places[...] = 0
        places[labels != 0] = found + 1
        return index.astype(np.int64), np.bincount(found, minlength=index.size)
    # Each range has a table of its own, which must not cost more than its voxels.
    parts = over_ranges(
        lambda start, stop: _label_counts(labels, largest, start, stop),
        len(labels),
        labels.size if largest < labels.size >> 6 else 0,
    )
    counts = np.sum(parts, axis=0)
    index = np.flatnonzero(counts)
    table = np.zeros(counts.size, dtype=np.int32)
    table[index] = np.arange(1, index.size + 1)
    over_ranges(
        lambda start, stop: _look_up(labels, table, start, stop, places), len(labels), labels.size
    )
    return index.astype(np.int64), counts[index]


def _joined(places: NDArray[np.int32], n_regions: Sequence[int]) -> NDArray[np.int32]:
    """Return an image that differs between voxels where any of some images does, 0 where all are 0.

    Combinations are counted through, and numbered on the way where the count would not end.
    """
    if len(places) == 1:
        return places[0]
    codes, n_codes = places[0].ravel().astype(np.int64), n_regions[0] + 1
    for image, n in zip(places[1:], n_regions[1:], strict=True):
        if n_codes * (n + 1) > MOST_CODES:
            codes = numbered(codes).astype(np.int64)
            n_codes = int(codes.max()) + 1
        codes *= n + 1
        codes += image.ravel()
        n_codes *= n + 1
    return numbered(codes).reshape(places[0].shape)


def _all_coverage(
    places: NDArray[np.int32],
    to_labels: NDArray[np.float64],
    along: int,
    shape: tuple[int, int, int],
    smallest: float,
    n_regions: Sequence[int],
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Run the kernel over all map voxels that can meet a label."""
    joint, most = _joined(places, n_regions), max(n_regions)
    low, high = _covered_range(to_labels, joint.shape, shape)
    edges = np.ascontiguousarray(to_labels[:, :3])
    half, faces, volume = 0.5 * np.abs(edges).sum(axis=1), _faces(edges), abs(np.linalg.det(edges))
    grid = (np.ascontiguousarray(to_labels), half, low, high)
    prisms = _all_prisms(joint.shape, grid, along)
    parts = over_ranges(
        lambda start, stop: covered_fractions(
            joint, places, grid, faces, prisms, along, low[0] + start, low[0] + stop, shape,
            volume, smallest, most,
        ),
        int(max(0, high[0] - low[0])),
        int(np.prod(np.maximum(0, high - low))) * 8,
    )  # fmt: skip
    nothing = np.empty(0, np.int64), np.empty((0, len(places)), np.int32)
    parts = parts or [(*nothing, np.empty(0, np.int32), np.empty(0))]
    if len(parts) == 1:
        return parts[0]
    fields = [list(field) for field in zip(*parts, strict=True)]
    del parts
    # the pieces of a field are let go as soon as they are joined
    voxels, sizes, regions, fractions = (np.concatenate(fields.pop(0)) for _ in range(4))
    return voxels, sizes, regions, fractions


def _all_prisms(
    label_shape: tuple[int, ...], grid: tuple[NDArray[Any], ...], along: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the areas and heights that map voxels share with label voxels (empty if oblique).

    Areas belong to a map voxel's places along the two axes other than `along` and to label voxels
    in their first two; heights to its place along that axis and to label voxels in their third.
    """
    _, half, low, high = grid
    cells = (2 * half).astype(np.int64) + 3
    sides = np.maximum(0, high - low) if along >= 0 else np.zeros(3, dtype=np.int64)
    first, second = (axis for axis in range(3) if axis != max(along, 0))
    areas = np.zeros((sides[first], sides[second], cells[0], cells[1]))
    heights = np.zeros((sides[along], cells[2]))
    if areas.size and heights.size:
        over_ranges(
            lambda start, stop: shared_areas(label_shape, grid, along, start, stop, areas),
            int(sides[first]),
            areas.size,
        )
        shared_heights(label_shape, grid, along, heights)
    return areas, heights


def _covered_range(
    to_labels: NDArray[np.float64], label_shape: tuple[int, ...], map_shape: tuple[int, int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the range of map voxels that can touch the box of labels."""
    ends = np.stack(np.meshgrid(*[(-0.5, n - 0.5) for n in label_shape], indexing="ij"), -1)
    corners = np.linalg.solve(to_labels[:, :3], (ends.reshape(-1, 3) - to_labels[:, 3]).T)
    low = np.floor(corners.min(axis=1) + 0.5 - 1e-6)
    high = np.ceil(corners.max(axis=1) + 0.5 + 1e-6)
    limits = np.array(map_shape)
    return (
        np.clip(low, 0, limits).astype(np.int64),
        np.clip(high, 0, limits).astype(np.int64),
    )


def _faces(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the corners of a map voxel's six faces about its centre, turning one way."""
    halves = 0.5 * edges.T
    faces = [
        sign * halves[axis] + turn * halves[axis - 2] + sign * other * halves[axis - 1]
        for axis in range(3)
        for sign in (1, -1)
        for turn, other in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    return np.array(faces).reshape(6, 4, 3)


@njit(cache=True, nogil=True)
def _entries_by_region(starts, regions, fractions, begins):  # type: ignore[no-untyped-def]
    """Order entries by region; within a region they stay ordered by voxel."""
    places, ordered = np.empty(regions.size, dtype=np.int64), np.empty(regions.size)
    slots = begins[:-1].copy()
    for place in range(starts.size - 1):
        for entry in range(starts[place], starts[place + 1]):
            slot = slots[regions[entry]]
            places[slot], ordered[slot] = place, fractions[entry]
            slots[regions[entry]] = slot + 1
    return places, ordered


@njit(cache=True, nogil=True)
def _label_counts(labels, largest, start, stop):  # type: ignore[no-untyped-def]
    """Count the voxels of each label above 0 in planes `start` to `stop`."""
    counts = np.zeros(largest + 1, dtype=np.int64)
    for i in range(start, stop):
        for j in range(labels.shape[1]):
            # A run of one label is counted at once: the same counter over and over is slow.
            run, begin = labels[i, j, 0], 0
            for k in range(1, labels.shape[2]):
                if labels[i, j, k] != run:
                    counts[run] += k - begin
                    run, begin = labels[i, j, k], k
            counts[run] += labels.shape[2] - begin
    counts[0] = 0
    return counts


@njit(cache=True, nogil=True)
def _look_up(labels, table, start, stop, places):  # type: ignore[no-untyped-def]
    """Fill planes `start` to `stop` of `places` with what the table has for each label."""
    for i in range(start, stop):
        for j in range(labels.shape[1]):
            for k in range(labels.shape[2]):
                places[i, j, k] = table[labels[i, j, k]]


@njit(cache=True, nogil=True)
def _merged(voxels, starts, regions, fractions, union_starts, unions, n):  # type: ignore[no-untyped-def]
    """Return voxels, entries per voxel, regions and fractions of the unions."""
    total = 0
    for entry in range(regions.size):
        total += union_starts[regions[entry] + 1] - union_starts[regions[entry]]
    new_voxels, sizes = np.empty(voxels.size, np.int64), np.empty(voxels.size, np.int64)
    new_regions, new_fractions = np.empty(total, np.int32), np.empty(total)
    sums = np.zeros(n)
    n_voxels, n_entries = 0, 0
    for place in range(voxels.size):
        before = n_entries
        for entry in range(starts[place], starts[place + 1]):
            region = regions[entry]
            for position in range(union_starts[region], union_starts[region + 1]):
                union = unions[position]
                if sums[union] == 0.0:
                    new_regions[n_entries] = union
                    n_entries += 1
                sums[union] += fractions[entry]
        if n_entries == before:
            continue
        sort_entries(new_regions, before, n_entries)
        for entry in range(before, n_entries):
            new_fractions[entry] = min(sums[new_regions[entry]], 1.0)
            sums[new_regions[entry]] = 0.0
        new_voxels[n_voxels], sizes[n_voxels] = voxels[place], n_entries - before
        n_voxels += 1
    # Copies, so that the space reserved for entries that were added up is given back.
    return (
        new_voxels[:n_voxels].copy(),
        sizes[:n_voxels].copy(),
        new_regions[:n_entries].copy(),
        new_fractions[:n_entries].copy(),
    )


@njit(cache=True, nogil=True)
def _union_sizes(starts, regions, union_starts, unions, n):  # type: ignore[no-untyped-def]
    """Tell which voxels any union covers, and count the voxels of each."""
    kept = np.zeros(starts.size - 1, dtype=np.bool_)
    sizes, alone = np.zeros(n, np.int64), np.zeros(union_starts.size - 1, np.int64)
    seen = np.full(n, -1, dtype=np.int64)
    for place in range(starts.size - 1):
        begin, end = starts[place], starts[place + 1]
        if end - begin == 1:
            region = regions[begin]
            alone[region] += 1
            kept[place] = union_starts[region + 1] > union_starts[region]
            continue
        for entry in range(begin, end):
            region = regions[entry]
            for position in range(union_starts[region], union_starts[region + 1]):
                union = unions[position]
                if seen[union] != place:
                    seen[union] = place
                    sizes[union] += 1
                    kept[place] = True
    for region in range(alone.size):
        for position in range(union_starts[region], union_starts[region + 1]):
            sizes[unions[position]] += alone[region]
    return kept, sizes


@njit(cache=True, nogil=True)
def _fill_unions(starts, regions, fractions, union_starts, unions, begins):  # type: ignore[no-untyped-def]
    """Return places and fractions of the unions' voxels, by union and rising voxel."""
    n_entries = begins[-1]
    places, shares = np.empty(n_entries, np.int32), np.empty(n_entries)
    slots = begins[:-1].copy()
    sums, touched = np.zeros(slots.size), np.empty(slots.size, np.int64)
    new_place = 0
    for place in range(starts.size - 1):
        n_touched = 0
        for entry in range(starts[place], starts[place + 1]):
            region, fraction = regions[entry], fractions[entry]
            for position in range(union_starts[region], union_starts[region + 1]):
                union = unions[position]
                if sums[union] == 0.0:
                    touched[n_touched] = union
                    n_touched += 1
                sums[union] += fraction
        for turn in range(n_touched):
            union = touched[turn]
            slot = slots[union]
            places[slot], shares[slot] = new_place, min(sums[union], 1.0)
            slots[union] = slot + 1
            sums[union] = 0.0
        new_place += n_touched > 0
    return places, shares
