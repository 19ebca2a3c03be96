"""Means of maps in unions of regions, for which no entries of the unions are made.

Sums of weights and of values are those of the parts. Only how many voxels a union covers is not:
voxels that hold several of its parts are counted one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.measure.coverage import CoverageWeights, Unions, unions_of
from wmhflow.core.measure.statistics import counted_values


def union_means(
    values: ArrayLike,
    weights: CoverageWeights,
    membership: Sequence[tuple[int, Sequence[int]]],
    valid: ArrayLike | None = None,
) -> dict[str, NDArray[Any]]:
    """Average a map in unions of regions, weighting each voxel by the fraction that is covered.

    Parameters
    ----------
    values : (I, J, K) array of numbers
        The map, on the grid of `weights`. NaN and infinite voxels do not count; zeros do.
    weights : CoverageWeights
        Of regions that do not overlap.
    membership : sequence of (new index, old indices)
        As for :func:`wmhflow.core.measure.coverage.merge_regions`.
    valid : (I, J, K) array of booleans or numbers, optional
        Voxels that may count.

    Returns
    -------
    dict of arrays
        ``n``, ``volume_mm3`` and ``mean`` of every union, as
        :func:`wmhflow.core.measure.statistics.region_statistics` gives them of merged regions, but
        for rounding in another order of sums.

    Raises
    ------
    ValueError, TypeError
        As :func:`~wmhflow.core.measure.coverage.merge_regions` and
        :func:`~wmhflow.core.measure.statistics.region_statistics`.

    Examples
    --------
    >>> from wmhflow.core.measure.coverage import coverage_weights
    >>> weights = coverage_weights([[[1, 2, 7]]], np.eye(4), (1, 1, 3), np.eye(4))
    >>> found = union_means([[[1.0, 3.0, 9.0]]], weights, [(100, [1, 2]), (8, [8])])
    >>> {name: column.tolist() for name, column in found.items()}
    {'n': [2, 0], 'volume_mm3': [2.0, 0.0], 'mean': [2.0, nan]}
    """
    return means_of_unions(values, weights, unions_of(weights, membership), valid)


def means_of_unions(
    values: ArrayLike, weights: CoverageWeights, found: Unions, valid: ArrayLike | None = None
) -> dict[str, NDArray[Any]]:
    """Do what :func:`union_means` does, where the unions were found before, for another map.

    Parameters
    ----------
    values, weights, valid
        As for :func:`union_means`.
    found
        What :func:`~wmhflow.core.measure.coverage.unions_of` gives of the weights.

    Returns
    -------
    dict of arrays
        As of :func:`union_means`.

    Raises
    ------
    ValueError, TypeError
        As :func:`~wmhflow.core.measure.statistics.region_statistics`.
    """
    new, volume, starts, unions = found
    sampled, counted = counted_values(values, weights, valid)
    n, parts = _part_sums(
        (weights.starts, weights.regions, weights.fractions), (starts, unions), sampled, counted,
        new.size,
    )  # fmt: skip
    mean = _joined_means(parts, starts, unions, n)
    return {"n": n, "volume_mm3": volume, "mean": mean}


@njit(cache=True, nogil=True)
def _part_sums(entries, membership, sampled, counted, n_unions):  # type: ignore[no-untyped-def]
    """Return how many voxels that hold several regions each union has, and sums of the regions.

    These are first value, weight, sum of differences from the first value, and voxels that hold the
    region alone. One thread does it, so that sums have one order.
    """
    starts, regions, fractions = entries
    union_starts, unions = membership
    n_regions = union_starts.size - 1
    # relative to a region's first value, so that a constant region has exactly that mean
    first, weight, moved = np.zeros(n_regions), np.zeros(n_regions), np.zeros(n_regions)
    alone = np.zeros(n_regions, np.int64)
    n, seen = np.zeros(n_unions, np.int64), np.full(n_unions, -1, dtype=np.int64)
    for place in range(starts.size - 1):
        if not counted[place]:
            continue
        begin, end = starts[place], starts[place + 1]
        for entry in range(begin, end):
            region = regions[entry]
            if weight[region] == 0.0:
                first[region] = sampled[place]
            weight[region] += fractions[entry]
            moved[region] += fractions[entry] * (sampled[place] - first[region])
            if end - begin == 1:
                alone[region] += 1
                continue
            for position in range(union_starts[region], union_starts[region + 1]):
                union = unions[position]
                n[union] += seen[union] != place
                seen[union] = place
    return n, (first, weight, moved, alone)


@njit(cache=True, nogil=True)
def _joined_means(parts, union_starts, unions, n):  # type: ignore[no-untyped-def]
    """Return the mean of every union, and add the voxels that hold one region alone to `n`."""
    first, weight, moved, alone = parts
    total, summed, base = np.zeros(n.size), np.zeros(n.size), np.zeros(n.size)
    for region in range(weight.size):
        if weight[region] == 0.0:
            continue
        for position in range(union_starts[region], union_starts[region + 1]):
            union = unions[position]
            n[union] += alone[region]
            if total[union] == 0.0:
                base[union] = first[region]
            total[union] += weight[region]
            summed[union] += moved[region] + weight[region] * (first[region] - base[union])
    mean = np.full(n.size, np.nan)
    for union in range(n.size):
        if total[union] > 0.0:
            mean[union] = base[union] + summed[union] / total[union]
    return mean
