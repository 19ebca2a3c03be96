"""The finest division of a volume by several label images at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def partition(images: Mapping[str, NDArray[np.integer | np.bool_]]) -> Partition:
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
