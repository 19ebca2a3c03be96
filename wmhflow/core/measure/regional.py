"""Regions, their lesions, and maps in them, from one finest partition."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.arrays.threads import over_items
from wmhflow.core.measure.coverage import (
    Coverage,
    CoverageWeights,
    RegionEntries,
    coverage_weights,
    merge_regions,
    union_entries,
    unions_of,
)
from wmhflow.core.measure.means import means_of_unions
from wmhflow.core.measure.statistics import region_statistics
from wmhflow.core.regions.partition import IN_WMH, Partition, Row


def region_volumes(
    found: Partition,
    rows: Sequence[Row],
    lesions: NDArray[np.integer],
    centres: NDArray[np.integer],
    voxel_mm3: float,
) -> list[dict[str, float]]:
    """Measure every region's volume, the WMH in it, and the lesions that reach into it.

    Parameters
    ----------
    found
        A partition that has ``WMH`` among its images.
    rows
        The regions, of tissue ``all``.
    lesions
        Shape (X, Y, Z), a number per lesion, 0 outside.
    centres
        Shape (n_lesions, 3), the voxel that stands for each lesion, such as
        :func:`wmhflow.core.regions.lesions.lesion_centres` finds.
    voxel_mm3
        Volume of a voxel in mm³.

    Returns
    -------
    list of dict
        ``volume_mm3``, ``wmh_volume_mm3``, ``wmh_fraction`` (NaN for an empty region),
        ``n_lesions`` (any overlap) and ``n_lesions_centre`` per row.
    """
    size = found.columns[IN_WMH].size
    counts = np.bincount(found.labels.ravel(), minlength=size + 1)[1:]
    inside = np.asarray(lesions) > 0
    pairs = np.unique(
        np.stack([found.labels[inside].astype(np.int64), lesions[inside].astype(np.int64)]), axis=1
    )
    at_centres = found.labels[tuple(np.asarray(centres, dtype=np.int64).reshape(-1, 3).T)]
    measured = []
    for row in rows:
        numbers = found.numbers_of(row)
        volume = float(counts[numbers - 1].sum() * voxel_mm3)
        diseased = numbers[found.columns[IN_WMH][numbers - 1] == 1]
        wmh = float(counts[diseased - 1].sum() * voxel_mm3)
        reached = pairs[1][np.isin(pairs[0], diseased)]
        measured.append(
            {
                "volume_mm3": volume,
                "wmh_volume_mm3": wmh,
                "wmh_fraction": wmh / volume if volume else float("nan"),
                "n_lesions": int(np.unique(reached).size),
                "n_lesions_centre": int(np.isin(at_centres, numbers).sum()),
            }
        )
    return measured


def region_weights(
    found: Partition,
    label_affine: NDArray[np.float64],
    map_shape: Sequence[int],
    map_affine: NDArray[np.float64],
    rows: Sequence[Row],
) -> CoverageWeights:
    """Find which part of every voxel of a map's grid the region of each row covers.

    Parameters
    ----------
    found
        The partition on the reference grid.
    label_affine
        Reference voxel to world mm, shape (4, 4).
    map_shape
        Voxels of the map along its axes.
    map_affine
        Map voxel to the reference's world mm, head motion included, shape (4, 4).
    rows
        The regions.

    Returns
    -------
    CoverageWeights
        A region per row, numbered from 1 on.
    """
    weights = coverage_weights(found.labels, label_affine, map_shape, map_affine)
    return merge_regions(weights, membership_of(found, rows))


def region_entries(
    found: Partition,
    label_affine: NDArray[np.float64],
    map_shape: Sequence[int],
    map_affine: NDArray[np.float64],
    rows: Sequence[Row],
) -> RegionEntries:
    """Find the same as :func:`region_weights`, ordered by region alone, in a third of the memory.

    Parameters
    ----------
    found, label_affine, map_shape, map_affine, rows
        As for :func:`region_weights`.

    Returns
    -------
    RegionEntries
        A region per row, numbered from 1 on.
    """
    weights = coverage_weights(found.labels, label_affine, map_shape, map_affine)
    return union_entries(weights, membership_of(found, rows))


def distinct_rows(found: Partition, rows: Sequence[Row]) -> tuple[list[Row], NDArray[np.int64]]:
    """Leave out rows that are made of the same numbers as an earlier one.

    Many are: outer shells lie in NAWM alone, and cortex holds neither WMH nor NAWM.

    Parameters
    ----------
    found
        The partition.
    rows
        The regions.

    Returns
    -------
    distinct : list of Row
        The first of each, in order.
    places : (n,) int64 array
        For every row, the place among these of the one that is the same.
    """
    known: dict[bytes, int] = {}
    distinct: list[Row] = []
    places = np.empty(len(rows), dtype=np.int64)
    for i, row in enumerate(rows):
        key = found.numbers_of(row).tobytes()
        if key not in known:
            known[key] = len(distinct)
            distinct.append(row)
        places[i] = known[key]
    return distinct, places


def membership_of(found: Partition, rows: Sequence[Row]) -> list[tuple[int, list[int]]]:
    """Say of which numbers of a partition each row's region is made; rows count from 1 on."""
    return [(number, found.numbers_of(row).tolist()) for number, row in enumerate(rows, start=1)]


def covered_share(weights: Coverage, place: int, mask: NDArray[np.bool_]) -> float:
    """Return the share of a region's volume that voxels of a map cover.

    Parameters
    ----------
    weights
        As :func:`region_weights` gives them.
    place
        The region's place among the rows, from 0 on.
    mask
        Voxels of the map, shape (I, J, K).

    Returns
    -------
    float
        NaN for a region without volume.
    """
    voxels, fractions = covered_voxels(weights, place)
    volume = weights.volume_mm3[place]
    covered = float(fractions @ mask.ravel()[voxels]) * weights.map_voxel_mm3
    return covered / float(volume) if volume else float("nan")


def covered_voxels(
    weights: Coverage, place: int
) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
    """Return the voxels of a map in which a region lies, and which share of each it covers.

    Parameters
    ----------
    weights, place
        As for :func:`covered_share`.

    Returns
    -------
    voxels : ndarray
        Shape (N,), places in the flattened map.
    fractions : ndarray
        Shape (N,), 0 to 1.
    """
    begins, places, fractions = weights.by_region
    entries = slice(begins[place], begins[place + 1])
    return weights.voxels[places[entries]], fractions[entries]


def sample_regions(
    found: Partition,
    label_affine: NDArray[np.float64],
    maps: Mapping[str, tuple[NDArray[np.floating], NDArray[np.bool_]]],
    map_affine: NDArray[np.float64],
    rows: Sequence[Row],
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Sample maps that share a grid in every row's region; the weights are made once.

    Parameters
    ----------
    found
        The partition on the reference grid.
    label_affine
        Reference voxel to world mm, shape (4, 4).
    maps
        Values and validity of each map, shape (I, J, K).
    map_affine
        Map voxel to the reference's world mm, head motion included, shape (4, 4).
    rows
        The regions.

    Returns
    -------
    dict
        Per map the statistics of :func:`wmhflow.core.measure.statistics.region_statistics`, one
        entry per row, in their order.
    """
    shape = next(iter(maps.values()))[0].shape
    merged = region_entries(found, label_affine, shape, map_affine, rows)
    return statistics_of(maps, merged)


def statistics_of(
    maps: Mapping[str, tuple[NDArray[np.floating], NDArray[np.bool_]]], weights: Coverage
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Summarise maps that share a grid in every region.

    Parameters
    ----------
    maps
        Values and validity of each map, shape (I, J, K).
    weights
        What each region covers.

    Returns
    -------
    dict
        Per map the statistics of :func:`wmhflow.core.measure.statistics.region_statistics`.
    """
    # found now, and not by each of the threads
    _ = weights.by_region
    found = over_items(
        lambda pair: region_statistics(pair[0], weights, pair[1]),
        maps.values(),
        math.prod(weights.map_shape),
    )
    return dict(zip(maps, found, strict=True))


def means_of(
    found: Partition,
    weights: CoverageWeights,
    maps: Mapping[str, tuple[NDArray[np.floating], NDArray[np.bool_]]],
    rows: Sequence[Row],
) -> dict[str, dict[str, NDArray[Any]]]:
    """Average maps that share a grid in every row's region; quantiles would take far longer.

    Parameters
    ----------
    found
        The partition on the reference grid.
    weights
        What each of its numbers covers of the maps' grid.
    maps
        Values and validity of each map, shape (I, J, K).
    rows
        The regions.

    Returns
    -------
    dict
        Per map ``n``, ``volume_mm3`` and ``mean`` of every row.
    """
    # equal for all maps, and found more slowly than a map is averaged
    unions = unions_of(weights, membership_of(found, rows))
    found_of = over_items(
        lambda pair: means_of_unions(pair[0], weights, unions, pair[1]),
        maps.values(),
        math.prod(weights.map_shape),
    )
    return dict(zip(maps, found_of, strict=True))
