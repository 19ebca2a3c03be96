"""Sampling of maps in regions, each map in its own grid.

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

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.arrays.boxes import bounding_box
from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.arrays.validation import (
    checked_labels,
    checked_mask,
    checked_volume,
    kernel_ready,
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
# Values are sorted by so many bits at a time.
DIGIT_BITS = 9
# Polygons are named by their row of one array, as views of it would cost more than the work: two
# for what is left of a face, two for a slab, one for a column and one for its part below a wall.
SLAB, COLUMN, BELOW = 2, 4, 5
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Two cumulated weights closer than this part of the whole are the same up to rounding.
SAME_WEIGHT = 1e-9


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
    def _by_region(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
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
    image, origin = _boxed_labels(labels)
    shape = _checked_shape(map_shape)
    label_mm3, map_mm3 = (float(np.prod(spacing_of(a))) for a in (label_affine, map_affine))
    to_labels = np.linalg.inv(checked_affine(label_affine)) @ checked_affine(map_affine)
    to_labels[:3, 3] -= origin
    to_labels, axes, along = _prism_last(to_labels[:3], shape)
    index, counts, places = _regions(image.transpose(axes))
    smallest = SMALLEST_OVERLAP * min(label_mm3 / map_mm3, 1.0)
    voxels, sizes, regions, fractions = _all_coverage(
        places, to_labels, along, shape, smallest, index.size
    )
    return CoverageWeights(
        index=index,
        volume_mm3=counts.astype(np.float64) * label_mm3,
        map_shape=shape,
        map_voxel_mm3=map_mm3,
        voxels=voxels,
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        regions=regions,
        fractions=fractions,
    )


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
    new = np.array([index for index, _ in membership], dtype=np.int64)
    if np.unique(new).size != new.size:
        raise ValueError("membership names a new region twice")
    place = {int(old): position for position, old in enumerate(weights.index)}
    unions: list[list[int]] = [[] for _ in place]
    volume = np.zeros(new.size)
    for position, (index, olds) in enumerate(membership):
        if len(set(olds)) != len(olds):
            raise ValueError(f"the union {index} names an old region twice")
        for old in sorted(place[int(old)] for old in olds if int(old) in place):
            unions[old].append(position)
            volume[position] += weights.volume_mm3[old]
    lengths = np.array([len(union) for union in unions], dtype=np.int64)
    targets = np.array([position for union in unions for position in union], dtype=np.int32)
    voxels, sizes, regions, fractions = _merged(
        weights.voxels,
        weights.starts,
        weights.regions,
        weights.fractions,
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        targets,
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


def region_statistics(
    values: ArrayLike, weights: CoverageWeights, valid: ArrayLike | None = None
) -> dict[str, NDArray]:
    """Summarise a map in every region, weighting each voxel by the fraction that is covered.

    Parameters
    ----------
    values : (I, J, K) array of numbers
        The map, on the grid of `weights`. NaN and infinite voxels do not count; zeros do.
    weights : CoverageWeights
        What each region covers.
    valid : (I, J, K) array of booleans or numbers, optional
        Voxels that may count, for instance those inside the map's valid range.

    Returns
    -------
    dict of (R,) arrays
        ``index`` (int64)
            The region's label.
        ``n`` (int64)
            Number of counted voxels of which the region covers any part.
        ``n_effective``
            Kish's effective number, ``sum(w)**2 / sum(w**2)``.
        ``volume_mm3``
            The region's own volume, counted or not.
        ``coverage``
            Volume covered by counted voxels over the region's own volume.
        ``mean``
            ``sum(w * x) / sum(w)``.
        ``sd``
            Standard deviation for reliability weights: the weighted variance about the mean times
            ``n_effective / (n_effective - 1)``; NaN for a single voxel.
        ``median``, ``q05``, ``q25``, ``q75``, ``q95``
            Quantiles of the distribution by volume: the smallest value up to which the share of
            the weight reaches q; the mean of this and the next where the share is exactly q. So
            the median of equal weights is the usual one, and a voxel split in two changes
            nothing.
        ``mad``
            Median absolute deviation from the median, by the same definition, not scaled.

        A region that no valid voxel covers has n and coverage 0, and NaN elsewhere save for its
        index and volume; one without volume has no coverage either.

    Raises
    ------
    ValueError
        If the map or `valid` is not on the grid of the weights.
    TypeError
        If the map does not hold real numbers.

    References
    ----------
    Hyndman RJ, Fan Y. Sample quantiles in statistical packages. The American Statistician
    1996;50:361-365 (definition 2). doi:10.1080/00031305.1996.10473566

    Examples
    --------
    >>> weights = coverage_weights(np.ones((1, 1, 4), int), np.eye(4), (1, 1, 4), np.eye(4))
    >>> statistics = region_statistics([[[1.0, 2.0, 4.0, np.nan]]], weights)
    >>> {name: float(statistics[name][0]) for name in ("n", "coverage", "median", "mad")}
    {'n': 3.0, 'coverage': 0.75, 'median': 2.0, 'mad': 1.0}
    """
    image = np.asarray(values)
    if image.dtype.kind not in "fiub":
        raise TypeError(f"values has type {image.dtype}: a map of real numbers is needed")
    sampled = _gathered(image, weights, "values").astype(np.float64)
    counted = np.isfinite(sampled)
    if valid is not None:
        counted &= _gathered(checked_mask(valid, "valid"), weights, "valid")
    return _summaries(sampled, counted, weights)


def _summaries(
    sampled: NDArray[np.float64], counted: NDArray[np.bool_], weights: CoverageWeights
) -> dict[str, NDArray]:
    """Run the kernel over the sampled values and name what it gives."""
    begins, places, fractions = weights._by_region
    keys, quantiles = _rising_keys(sampled), np.array(QUANTILES)
    n = np.zeros(weights.index.size, dtype=np.int64)
    sums, squares = np.zeros(n.size), np.zeros(n.size)
    moments = np.full((n.size, quantiles.size + 3), np.nan)
    over_ranges(
        lambda start, stop: _statistics(
            (sampled, counted, keys), (begins, places, fractions), quantiles, start, stop,
            n, sums, squares, moments,
        ),
        n.size,
        places.size,
    )  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        coverage = sums * weights.map_voxel_mm3 / weights.volume_mm3
        n_effective = np.where(n > 0, sums**2 / squares, np.nan)
    return {
        "index": weights.index.copy(),
        "n": n,
        "n_effective": n_effective,
        "volume_mm3": weights.volume_mm3.copy(),
        "coverage": np.where(weights.volume_mm3 > 0, np.where(n > 0, coverage, 0.0), np.nan),
        "mean": moments[:, 0],
        "sd": moments[:, 1],
        "median": moments[:, 4],
        "q05": moments[:, 2],
        "q25": moments[:, 3],
        "q75": moments[:, 5],
        "q95": moments[:, 6],
        "mad": moments[:, 7],
    }


def _checked_shape(map_shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the three lengths of the map's grid."""
    lengths = tuple(int(length) for length in map_shape)
    if len(lengths) != 3 or min(lengths) < 1:
        raise ValueError(f"map_shape is {lengths}: three axes of at least one voxel are needed")
    return lengths[0], lengths[1], lengths[2]


def _boxed_labels(labels: ArrayLike) -> tuple[NDArray, NDArray[np.int64]]:
    """Return the box of all regions and its origin.

    Labels are checked there only: all others are 0.
    """
    image = checked_volume(labels, "labels")
    box = bounding_box(image if image.dtype == np.int32 else image != 0)
    if box is None:
        return checked_labels(image[:1, :1, :1], "labels"), np.zeros(3, dtype=np.int64)
    return checked_labels(image[box], "labels"), np.array([side.start for side in box])


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
    image: NDArray,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """Return the labels that occur, their voxel counts, and 1 + the place of each voxel's label."""
    labels = kernel_ready(image, np.int32)
    largest = int(labels.max())
    if largest >= LARGEST_TABLE:
        index, found = np.unique(labels[labels != 0], return_inverse=True)
        places = np.zeros(labels.shape, dtype=np.int32)
        places[labels != 0] = found + 1
        return index.astype(np.int64), np.bincount(found, minlength=index.size), places
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
    places = np.empty(labels.shape, dtype=np.int32)
    over_ranges(
        lambda start, stop: _look_up(labels, table, start, stop, places), len(labels), labels.size
    )
    return index.astype(np.int64), counts[index], places


def _all_coverage(
    places: NDArray[np.int32],
    to_labels: NDArray[np.float64],
    along: int,
    shape: tuple[int, int, int],
    smallest: float,
    n_regions: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Run the kernel over all map voxels that can meet a label."""
    low, high = _covered_range(to_labels, places.shape, shape)
    edges = np.ascontiguousarray(to_labels[:, :3])
    half, faces, volume = 0.5 * np.abs(edges).sum(axis=1), _faces(edges), abs(np.linalg.det(edges))
    grid = (np.ascontiguousarray(to_labels), half, low, high)
    prisms = _all_prisms(places.shape, grid, along)
    parts = over_ranges(
        lambda start, stop: _coverage(
            places, grid, faces, prisms, along, low[0] + start, low[0] + stop, shape,
            volume, smallest, n_regions,
        ),
        int(max(0, high[0] - low[0])),
        int(np.prod(np.maximum(0, high - low))) * 8,
    )  # fmt: skip
    voxels, sizes, regions, fractions = (
        np.concatenate([part[field] for part in parts]) if parts else np.empty(0, dtype)
        for field, dtype in enumerate((np.int64, np.int64, np.int32, np.float64))
    )
    return voxels, sizes, regions, fractions


def _all_prisms(
    label_shape: tuple[int, ...], grid: tuple[NDArray, ...], along: int
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
            lambda start, stop: _shared_areas(label_shape, grid, along, start, stop, areas),
            int(sides[first]),
            areas.size,
        )
        _shared_heights(label_shape, grid, along, heights)
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


def _gathered(image: NDArray, weights: CoverageWeights, name: str) -> NDArray:
    """Return the covered voxels of `image`, whatever its memory order, without copying it."""
    if image.shape != weights.map_shape:
        raise ValueError(
            f"{name} has shape {image.shape}, but the weights are for a map of {weights.map_shape}"
        )
    if image.flags.c_contiguous:
        return image.reshape(-1)[weights.voxels]
    return image[np.unravel_index(weights.voxels, weights.map_shape)]


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
def _reach(to_labels, half, axis, i, j, k):  # type: ignore[no-untyped-def]
    """Return a map voxel's centre along a label axis and the range of label voxels it meets."""
    centre = (
        to_labels[axis, 0] * i
        + to_labels[axis, 1] * j
        + to_labels[axis, 2] * k
        + to_labels[axis, 3]
    )
    # A hair's breadth over the wall of a label voxel is rounding.
    first = np.int64(np.floor(centre - half[axis] + 0.5 + 1e-6))
    last = np.int64(np.ceil(centre + half[axis] + 0.5 - 1e-6))
    return centre, first, last


@njit(cache=True, nogil=True)
def _shared_areas(label_shape, grid, along, start, stop, areas):  # type: ignore[no-untyped-def]
    """Fill places `start` to `stop` of the areas that prisms share with columns of label voxels."""
    to_labels, half, low, _ = grid
    first_axis, second_axis = (1 if along == 0 else 0), (1 if along == 2 else 2)
    index = low.copy()
    polygon, part, slab, cell = 0, 1, 2, 3
    scratch = np.zeros((4, 16, 3))
    for p in range(start, stop):
        for q in range(areas.shape[1]):
            index[first_axis], index[second_axis] = low[first_axis] + p, low[second_axis] + q
            x, a0, a1 = _reach(to_labels, half, 0, index[0], index[1], index[2])
            y, b0, b1 = _reach(to_labels, half, 1, index[0], index[1], index[2])
            a0, a1, b0, b1 = (
                max(a0, 0),
                min(a1, label_shape[0]),
                max(b0, 0),
                min(b1, label_shape[1]),
            )
            for corner in range(4):
                u, v = 0.5 - (corner // 2), 0.5 - ((corner + 1) // 2 % 2)
                for axis, centre, begin in ((0, x, a0), (1, y, b0)):
                    scratch[polygon, corner, axis] = (
                        u * to_labels[axis, first_axis]
                        + v * to_labels[axis, second_axis]
                        + centre - begin + 0.5
                    )  # fmt: skip
            for a in range(a1 - a0):
                size = _clip(scratch, polygon, 4, 0, float(a), -1.0, part)
                size = _clip(scratch, part, size, 0, a + 1.0, 1.0, slab)
                for b in range(b1 - b0):
                    if size == 0:
                        break
                    cell_size = _clip(scratch, slab, size, 1, float(b), -1.0, part)
                    cell_size = _clip(scratch, part, cell_size, 1, b + 1.0, 1.0, cell)
                    if cell_size >= 3:
                        areas[p, q, a, b] = abs(_integral(scratch, cell, cell_size)[0])


@njit(cache=True, nogil=True)
def _shared_heights(label_shape, grid, along, heights):  # type: ignore[no-untyped-def]
    """Fill the heights that prisms share with label voxels."""
    to_labels, half, low, _ = grid
    index = low.copy()
    for p in range(heights.shape[0]):
        index[along] = low[along] + p
        z, c0, c1 = _reach(to_labels, half, 2, index[0], index[1], index[2])
        c0, c1 = max(c0, 0), min(c1, label_shape[2])
        for c in range(c0, c1):
            shared = min(z + half[2], c + 0.5) - max(z - half[2], c - 0.5)
            heights[p, c - c0] = max(shared, 0.0)


@njit(cache=True, nogil=True)
def _grown(array, needed):  # type: ignore[no-untyped-def]
    """Return `array`, copied to twice its length if it is shorter than `needed`."""
    if array.size >= needed:
        return array
    longer = np.empty(max(2 * array.size, needed), dtype=array.dtype)
    longer[: array.size] = array
    return longer


@njit(cache=True, nogil=True)
def _coverage(  # type: ignore[no-untyped-def]
    places, grid, faces, prisms, along, start, stop, map_shape, volume, smallest, n_regions
):
    """Return voxels, entries per voxel, regions and fractions for `start` to `stop` of axis 0."""
    to_labels, half, low, high = grid
    voxels, sizes = np.empty(1024, dtype=np.int64), np.empty(1024, dtype=np.int64)
    regions, fractions = np.empty(1024, dtype=np.int32), np.empty(1024)
    n_voxels, n_entries = 0, 0
    # As many label voxels as a map voxel can reach over.
    boxes = np.empty((int(2 * half[0]) + 3, int(2 * half[1]) + 3, int(2 * half[2]) + 3))
    scratch = np.empty((6, 16, 3))
    walls = (np.empty(boxes.shape[0], np.bool_), np.empty(boxes.shape[:2], np.bool_))
    sums = np.zeros(n_regions + 1)
    first, last = np.empty(3, dtype=np.int64), np.empty(3, dtype=np.int64)
    centre = np.empty(3)
    for i in range(start, stop):
        for j in range(low[1], high[1]):
            for k in range(low[2], high[2]):
                inside, whole = True, True
                for axis in range(3):
                    centre[axis], begin, end = _reach(to_labels, half, axis, i, j, k)
                    whole = whole and begin >= 0 and end <= places.shape[axis]
                    first[axis], last[axis] = max(begin, 0), min(end, places.shape[axis])
                    inside = inside and first[axis] < last[axis]
                if not inside:
                    continue
                place = _uniform(places, first, last)
                if place == 0:
                    continue
                before = n_entries
                if regions.size < n_entries + n_regions:
                    regions = _grown(regions, n_entries + n_regions)
                    fractions = _grown(fractions, n_entries + n_regions)
                if place > 0 and whole:
                    regions[n_entries], fractions[n_entries] = place - 1, 1.0
                    n_entries += 1
                else:
                    _fill_boxes(
                        places, faces, prisms, along, (i - low[0], j - low[1], k - low[2]),
                        centre, first, last, walls, scratch, boxes,
                    )  # fmt: skip
                    n_entries = _collected(
                        places, first, last, boxes, volume, smallest, sums,
                        regions, fractions, n_entries,
                    )  # fmt: skip
                if n_entries > before:
                    if voxels.size == n_voxels:
                        voxels = _grown(voxels, n_voxels + 1)
                        sizes = _grown(sizes, n_voxels + 1)
                    voxels[n_voxels] = (i * map_shape[1] + j) * map_shape[2] + k
                    sizes[n_voxels] = n_entries - before
                    n_voxels += 1
    return voxels[:n_voxels], sizes[:n_voxels], regions[:n_entries], fractions[:n_entries]


@njit(cache=True, nogil=True)
def _fill_boxes(  # type: ignore[no-untyped-def]
    places, faces, prisms, along, voxel, centre, first, last, walls, scratch, boxes
):
    """Fill `boxes` with the volumes of a map voxel inside the label voxels of a box."""
    if along >= 0:
        _prism(prisms, along, voxel, first, last, boxes)
    else:
        _intersections(places, faces, centre, first, last, walls, scratch, boxes)


@njit(cache=True, nogil=True)
def _prism(prisms, along, voxel, first, last, boxes):  # type: ignore[no-untyped-def]
    """Fill `boxes` with the volume of an upright map voxel inside each label voxel of a box."""
    areas, heights = prisms
    i, j, k = voxel
    p, q, height = (j, k, i) if along == 0 else ((i, k, j) if along == 1 else (i, j, k))
    for a in range(last[0] - first[0]):
        for b in range(last[1] - first[1]):
            for c in range(last[2] - first[2]):
                boxes[a, b, c] = areas[p, q, a, b] * heights[height, c]


@njit(cache=True, nogil=True)
def _uniform(places, first, last):  # type: ignore[no-untyped-def]
    """Return the place that all voxels of a box have, or -1 if they differ."""
    place = places[first[0], first[1], first[2]]
    for a in range(first[0], last[0]):
        for b in range(first[1], last[1]):
            for c in range(first[2], last[2]):
                if places[a, b, c] != place:
                    return -1
    return place


@njit(cache=True, nogil=True)
def _find_walls(places, first, last, slab_walls, column_walls):  # type: ignore[no-untyped-def]
    """Tell after which slabs of a box, and columns of a slab, another arrangement follows."""
    for a in range(first[0], last[0]):
        slab_differs = a + 1 == last[0]
        for b in range(first[1], last[1]):
            column_differs = b + 1 == last[1]
            for c in range(first[2], last[2]):
                place = places[a, b, c]
                slab_differs = slab_differs or places[a + 1, b, c] != place
                column_differs = column_differs or places[a, b + 1, c] != place
            column_walls[a - first[0], b - first[1]] = column_differs
        slab_walls[a - first[0]] = slab_differs


@njit(cache=True, nogil=True)
def _intersections(  # type: ignore[no-untyped-def]
    places, faces, centre, first, last, walls, scratch, boxes
):
    """Fill `boxes` with the signed volumes of the map voxel inside the label voxels of a box.

    Column by column along the third axis: below the wall at height c, the voxel's volume is the
    integral over its faces of min(z, c), up to a constant; differences between walls follow. Slabs
    and columns that are the same, and label voxels of one place in a column, are taken together:
    the last of them has the volume of all, the others 0.
    """
    n0, n1, n2 = last[0] - first[0], last[1] - first[1], last[2] - first[2]
    slab_walls, column_walls = walls
    _find_walls(places, first, last, slab_walls, column_walls)
    for a in range(n0):
        for b in range(n1):
            for c in range(n2):
                boxes[a, b, c] = 0.0
    for face in range(6):
        # Coordinates from the lower corner of the box of label voxels.
        for corner in range(4):
            for axis in range(3):
                scratch[0, corner, axis] = (
                    faces[face, corner, axis] + centre[axis] - first[axis] + 0.5
                )
        rest, other = 1, 0
        size = _clip(scratch, 0, 4, 0, 0.0, -1.0, rest)
        for a in range(n0):
            if size == 0:
                break
            if not slab_walls[a]:
                continue
            slab_size = _clip(scratch, rest, size, 0, a + 1.0, 1.0, SLAB)
            size = _clip(scratch, rest, size, 0, a + 1.0, -1.0, other)
            rest, other = other, rest
            _add_slab(places, first, scratch, slab_size, column_walls, boxes, a, n1, n2)


@njit(cache=True, nogil=True)
def _add_slab(  # type: ignore[no-untyped-def]
    places, first, scratch, size, column_walls, boxes, a, n1, n2
):
    """Add one clipped face's part of the volume to the label voxels of a slab."""
    rest, other = SLAB + 1, SLAB
    size = _clip(scratch, SLAB, size, 1, 0.0, -1.0, rest)
    for b in range(n1):
        if size == 0:
            break
        if not column_walls[a, b]:
            continue
        column_size = _clip(scratch, rest, size, 1, b + 1.0, 1.0, COLUMN)
        size = _clip(scratch, rest, size, 1, b + 1.0, -1.0, other)
        rest, other = other, rest
        if column_size >= 3:
            _add_column(places, first, scratch, column_size, boxes, a, b, n2)


@njit(cache=True, nogil=True)
def _add_column(places, first, scratch, size, boxes, a, b, n):  # type: ignore[no-untyped-def]
    """Add one clipped face's part of the volume to the label voxels of a column."""
    lowest, highest = np.inf, -np.inf
    for corner in range(size):
        lowest = min(lowest, scratch[COLUMN, corner, 2])
        highest = max(highest, scratch[COLUMN, corner, 2])
    area, integral = _integral(scratch, COLUMN, size)
    previous = _below_wall(scratch, size, 0, lowest, highest, area, integral)
    for wall in range(1, n + 1):
        if wall < n:
            place = places[first[0] + a, first[1] + b, first[2] + wall]
            if place == places[first[0] + a, first[1] + b, first[2] + wall - 1]:
                continue
        value = _below_wall(scratch, size, wall, lowest, highest, area, integral)
        boxes[a, b, wall - 1] += value - previous
        previous = value


@njit(cache=True, nogil=True)
def _below_wall(scratch, size, wall, lowest, highest, area, integral):  # type: ignore[no-untyped-def]
    """Return the integral of min(z, wall) over a face's part in a column."""
    if wall <= lowest:
        return wall * area
    if wall >= highest:
        return integral
    part = _clip(scratch, COLUMN, size, 2, float(wall), 1.0, BELOW)
    part_area, part_integral = _integral(scratch, BELOW, part)
    return part_integral + wall * (area - part_area)


@njit(cache=True, nogil=True)
def _clip(scratch, polygon, size, axis, wall, side, clipped):  # type: ignore[no-untyped-def]
    """Keep the part of a convex polygon below (`side` 1) or above (-1) a wall; return its size.

    Both polygons are rows of `scratch`.
    """
    kept, previous = 0, size - 1
    before = side * (wall - scratch[polygon, previous, axis]) if size > 0 else 0.0
    for corner in range(size):
        here = side * (wall - scratch[polygon, corner, axis])
        if (before > 0 and here < 0) or (before < 0 and here > 0):
            share = before / (before - here)
            for c in range(3):
                start = scratch[polygon, previous, c]
                scratch[clipped, kept, c] = start + share * (scratch[polygon, corner, c] - start)
            scratch[clipped, kept, axis] = wall
            kept += 1
        if here >= 0:
            for c in range(3):
                scratch[clipped, kept, c] = scratch[polygon, corner, c]
            kept += 1
        before, previous = here, corner
    return kept if kept >= 3 else 0


@njit(cache=True, nogil=True)
def _integral(scratch, polygon, size):  # type: ignore[no-untyped-def]
    """Return the signed area of a polygon seen along the third axis, and the integral of z."""
    area, integral = 0.0, 0.0
    x, y, z = scratch[polygon, 0, 0], scratch[polygon, 0, 1], scratch[polygon, 0, 2]
    for corner in range(1, size - 1):
        triangle = 0.5 * (
            (scratch[polygon, corner, 0] - x) * (scratch[polygon, corner + 1, 1] - y)
            - (scratch[polygon, corner + 1, 0] - x) * (scratch[polygon, corner, 1] - y)
        )
        area += triangle
        heights = z + scratch[polygon, corner, 2] + scratch[polygon, corner + 1, 2]
        integral += triangle * heights / 3.0
    return area, integral


@njit(cache=True, nogil=True)
def _collected(  # type: ignore[no-untyped-def]
    places, first, last, boxes, volume, smallest, sums, regions, fractions, n_entries
):
    """Add up the boxes per region, write the entries by rising region and return their end."""
    touched = n_entries
    for a in range(first[0], last[0]):
        for b in range(first[1], last[1]):
            for c in range(first[2], last[2]):
                place = places[a, b, c]
                if place == 0:
                    continue
                share = abs(boxes[a - first[0], b - first[1], c - first[2]]) / volume
                if share == 0.0:
                    continue
                if sums[place] == 0.0:
                    regions[touched] = place - 1
                    touched += 1
                sums[place] += share
    _sort(regions, n_entries, touched)
    kept = n_entries
    for entry in range(n_entries, touched):
        place = regions[entry] + 1
        if sums[place] >= smallest:
            regions[kept], fractions[kept] = place - 1, min(sums[place], 1.0)
            kept += 1
        sums[place] = 0.0
    return kept


@njit(cache=True, nogil=True)
def _sort(array, start, stop):  # type: ignore[no-untyped-def]
    """Sort a few entries in place."""
    for place in range(start + 1, stop):
        value, slot = array[place], place
        while slot > start and array[slot - 1] > value:
            array[slot] = array[slot - 1]
            slot -= 1
        array[slot] = value


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
        _sort(new_regions, before, n_entries)
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
def _rising_keys(values):  # type: ignore[no-untyped-def]
    """Return whole numbers in the order of the values; both zeros have the same."""
    keys = (values + 0.0).view(np.uint64)
    top = np.uint64(1) << np.uint64(63)
    for place in range(keys.size):
        keys[place] = ~keys[place] if keys[place] >= top else keys[place] | top
    return keys


@njit(cache=True, nogil=True)
def _statistics(  # type: ignore[no-untyped-def]
    sample, entries, quantiles, start, stop, n, sums, squares, moments
):
    """Fill n, sum of weights, sum of their squares, and moments and quantiles of some regions."""
    sampled, counted, keys = sample
    begins, places, fractions = entries
    largest = 0
    for region in range(start, stop):
        largest = max(largest, begins[region + 1] - begins[region])
    own, spare = np.empty(largest, dtype=np.uint64), np.empty(largest, dtype=np.uint64)
    order, spare_order = np.empty(largest, dtype=np.int64), np.empty(largest, dtype=np.int64)
    x, w = np.empty(largest), np.empty(largest)
    for region in range(start, stop):
        count = 0
        for entry in range(begins[region], begins[region + 1]):
            if counted[places[entry]]:
                own[count], order[count] = keys[places[entry]], entry
                count += 1
        if count == 0:
            continue
        own, order, spare, spare_order = _sorted(own, order, spare, spare_order, count)
        for slot in range(count):
            x[slot], w[slot] = sampled[places[order[slot]]], fractions[order[slot]]
        n[region] = count
        sums[region], squares[region] = w[:count].sum(), (w[:count] * w[:count]).sum()
        _describe(x[:count], w[:count], sums[region], squares[region], quantiles, moments[region])


@njit(cache=True, nogil=True)
def _sorted(keys, order, spare, spare_order, count):  # type: ignore[no-untyped-def]
    """Sort the first `count` keys and their order by digits; return the arrays, results first.

    What has the same key stays in its order.
    """
    varying = np.uint64(0)
    for slot in range(1, count):
        varying |= keys[slot] ^ keys[0]
    # Only the bits between are looked at: single precision and small whole numbers have few.
    low, high = 0, 64
    while low < 64 and (varying >> np.uint64(low)) & np.uint64(1) == 0:
        low += 1
    while high > low and (varying >> np.uint64(high - 1)) & np.uint64(1) == 0:
        high -= 1
    passes = (high - low + DIGIT_BITS - 1) // DIGIT_BITS
    mask = np.uint64((1 << DIGIT_BITS) - 1)
    slots = np.empty(1 << DIGIT_BITS, dtype=np.uint64)
    for digits in range(passes):
        shift = np.uint64(low + digits * DIGIT_BITS)
        slots[:] = 0
        for slot in range(count):
            slots[(keys[slot] >> shift) & mask] += np.uint64(1)
        end = np.uint64(0)
        for digit in range(slots.size):
            end, slots[digit] = end + slots[digit], end
        for slot in range(count):
            digit = (keys[slot] >> shift) & mask
            spare[slots[digit]], spare_order[slots[digit]] = keys[slot], order[slot]
            slots[digit] += np.uint64(1)
        keys, spare, order, spare_order = spare, keys, spare_order, order
    return keys, order, spare, spare_order


@njit(cache=True, nogil=True)
def _describe(x, w, total, squares, quantiles, out):  # type: ignore[no-untyped-def]
    """Fill `out` with mean, SD, the quantiles and MAD of sorted values."""
    # Relative to the first value, so that a constant region has exactly that mean.
    mean = x[0] + (w * (x - x[0])).sum() / total
    out[0] = mean
    if x.size > 1:
        out[1] = np.sqrt((w * (x - mean) ** 2).sum() / (total - squares / total))
    place, cumulated = 0, w[0]
    for q in range(quantiles.size):
        share = quantiles[q] * total
        while place + 1 < x.size and cumulated < share - SAME_WEIGHT * total:
            place += 1
            cumulated += w[place]
        out[2 + q] = x[place]
        if place + 1 < x.size and cumulated <= share + SAME_WEIGHT * total:
            out[2 + q] = 0.5 * (x[place] + x[place + 1])
    out[2 + quantiles.size] = _deviation(x, w, total, out[2 + quantiles.size // 2])


@njit(cache=True, nogil=True)
def _deviation(x, w, total, median):  # type: ignore[no-untyped-def]
    """Return the weighted median of the distances of sorted values from their median."""
    upper = np.searchsorted(x, median)
    lower = upper - 1
    cumulated, share, reached = 0.0, 0.5 * total, np.nan
    # The nearest value left on either side is the next larger deviation.
    while lower >= 0 or upper < x.size:
        if upper >= x.size or (lower >= 0 and median - x[lower] <= x[upper] - median):
            deviation, weight = median - x[lower], w[lower]
            lower -= 1
        else:
            deviation, weight = x[upper] - median, w[upper]
            upper += 1
        if not np.isnan(reached):
            return 0.5 * (reached + deviation)
        cumulated += weight
        if cumulated > share + SAME_WEIGHT * total:
            return deviation
        if cumulated >= share - SAME_WEIGHT * total:
            reached = deviation
    return reached
