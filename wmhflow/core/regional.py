"""Regions, their lesions, and maps in them: all rows of all tables from one finest partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.sampling import coverage_weights, merge_regions, region_statistics

ALL, IN_WMH, IN_NAWM = "all", "WMH", "NAWM"
TISSUES = (ALL, IN_WMH, IN_NAWM)
# A table of so many entries per voxel is still faster than sorting.
DENSE = 8
# Where a mask of infarcts is given; nothing is tabulated in it.
IN_INFARCT = "infarct"


@dataclass(frozen=True)
class Row:
    """A region of the tables, in one tissue.

    Attributes
    ----------
    terms
        Label images by name, and which of their labels belong to the region; a voxel belongs to it
        if it does so in every one.
    tissue
        One of ``TISSUES``.
    """

    terms: tuple[tuple[str, tuple[int, ...]], ...]
    tissue: str = ALL


@dataclass(frozen=True)
class Partition:
    """The finest division of a volume by several label images at once.

    Attributes
    ----------
    labels
        Shape (X, Y, Z): a number from 1 per combination of labels that occurs, 0 where all are 0.
    columns
        Per label image, its label in each combination (entry 0 belongs to number 1).
    """

    labels: NDArray[np.int32]
    columns: Mapping[str, NDArray[np.int64]]

    def numbers_of(self, row: Row) -> NDArray[np.int64]:
        """Return the combinations that make up a row's region."""
        chosen = np.ones(self.columns[IN_WMH].size, dtype=bool)
        for name, labels in row.terms:
            chosen &= np.isin(self.columns[name], np.asarray(labels, dtype=np.int64))
        if row.tissue != ALL:
            chosen &= self.columns[row.tissue] == 1
        return np.flatnonzero(chosen) + 1


def partition(images: Mapping[str, NDArray[np.integer]]) -> Partition:
    """Divide a volume by several label images at once.

    Parameters
    ----------
    images
        Label images (0 outside) or masks of one shape, by name; ``WMH`` and ``NAWM`` are masks.

    Returns
    -------
    Partition

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> found = partition({"zones": np.array([[[0, 11, 11]]]), "WMH": np.array([[[0, 0, 1]]])})
    >>> found.labels.tolist(), found.columns["zones"].tolist()
    ([[[0, 1, 2]]], [11, 11])
    """
    shapes = {np.shape(image) for image in images.values()}
    if len(shapes) != 1:
        raise ValueError(f"the label images have different shapes: {sorted(shapes)}")
    (shape,) = shapes
    # only voxels that any image labels: the air around a head is most of a volume
    occupied = np.zeros(shape, dtype=bool)
    for image in images.values():
        occupied |= np.asarray(image) != 0
    combined = np.zeros(int(np.count_nonzero(occupied)), dtype=np.int64)
    columns: dict[str, NDArray[np.int64]] = {}
    for name, image in images.items():
        levels, rank = _ranks(np.asarray(image)[occupied].astype(np.int64))
        present, combined = _ranks(combined * levels.size + rank)
        columns = {other: values[present // levels.size] for other, values in columns.items()}
        columns[name] = levels[present % levels.size]
    labels = np.zeros(shape, dtype=np.int32)
    labels[occupied] = combined + 1
    return Partition(labels, columns)


def _ranks(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct values and each voxel's rank among them."""
    if values.size and values.max() > DENSE * values.size:
        # many overlapping regions make more combinations than there are voxels
        return np.unique(values, return_inverse=True)
    # no sorting: labels are small
    present = np.flatnonzero(np.bincount(values))
    lookup = np.zeros(int(present.max(initial=0)) + 1, dtype=np.int64)
    lookup[present] = np.arange(present.size)
    return present, lookup[values]


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
        :func:`wmhflow.core.lesions.lesion_centres` finds.
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
        Per map the statistics of :func:`wmhflow.core.sampling.region_statistics`, one entry per
        row, in their order.
    """
    shape = next(iter(maps.values()))[0].shape
    weights = coverage_weights(found.labels, label_affine, shape, map_affine)
    membership = [
        (number, [int(leaf) for leaf in found.numbers_of(row)])
        for number, row in enumerate(rows, start=1)
    ]
    merged = merge_regions(weights, membership)
    return {
        name: region_statistics(values, merged, valid) for name, (values, valid) in maps.items()
    }
