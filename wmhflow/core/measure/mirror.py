"""Each region beside the place that lies opposite to it, without the lesions of either side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.regions.partition import IN_INFARCT, IN_WMH, Partition


def free_of_lesions(found: Partition, mirrored: NDArray[np.integer]) -> tuple[Partition, Partition]:
    """Take away what is a lesion, or lies opposite to one.

    Parameters
    ----------
    found
        A partition that has ``WMH`` among its images, and ``infarct`` if a mask of them is given.
    mirrored
        Its labels as they lie after a reflection at the midplane, on the same grid; 0 outside.

    Returns
    -------
    tuple of Partition
        The partition and its mirror image, both without the lesions of either side.

    Examples
    --------
    >>> labels = np.array([[[1, 2, 3, 1]]])
    >>> found = Partition(labels, {"zones": np.array([11, 21, 21]), "WMH": np.array([0, 1, 0])})
    >>> own, opposite = free_of_lesions(found, labels[..., ::-1])
    >>> own.labels.tolist(), opposite.labels.tolist()
    ([[[1, 0, 0, 1]]], [[[1, 0, 0, 1]]])
    """
    diseased = np.zeros(found.columns[IN_WMH].size + 1, dtype=bool)
    for name in (IN_WMH, IN_INFARCT):
        if name in found.columns:
            diseased[1:] |= found.columns[name] == 1
    lesion = diseased[found.labels] | diseased[mirrored]
    own, opposite = (
        Partition(np.where(lesion, np.int32(0), labels).astype(np.int32, copy=False), found.columns)
        for labels in (found.labels, mirrored)
    )
    return own, opposite


def asymmetry_index(left: float, right: float) -> float:
    """Return (left - right) / (left + right).

    NaN where both are 0 or one is missing, and where the two have different signs, as values of
    susceptibility may: then the index could be anything.

    Examples
    --------
    >>> asymmetry_index(3.0, 1.0), asymmetry_index(-3.0, -1.0), asymmetry_index(-1.0, 1.5)
    (0.5, 0.5, nan)
    """
    total = left + right
    if np.isnan(total) or total == 0 or left * right < 0:
        return float("nan")
    return float((left - right) / total)
