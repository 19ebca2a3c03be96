"""Which whole numbers a label image holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Sorting a volume takes a second; numbers from 0 up to here are counted in a table instead.
LARGEST_COUNTED = 2**17


def fits_table(codes: NDArray[np.integer]) -> bool:
    """Tell whether a table can hold an entry for every number that there may be.

    Parameters
    ----------
    codes
        Whole numbers, of any shape.

    Examples
    --------
    >>> [fits_table(np.array(codes)) for codes in ([0, 2035], [-1, 3], [2**20])]
    [True, False, False]
    """
    return int(codes.min(initial=0)) >= 0 and int(codes.max(initial=0)) <= LARGEST_COUNTED


def count_codes(codes: NDArray[np.integer]) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """List the numbers that a label image holds, rising, and count the voxels of each.

    Parameters
    ----------
    codes
        Whole numbers, of any shape.

    Returns
    -------
    codes, counts : (n,) arrays
        As ``numpy.unique`` gives them.

    Examples
    --------
    >>> [part.tolist() for part in count_codes(np.array([[4, 0], [2, 4]]))]
    [[0, 2, 4], [1, 1, 2]]
    """
    if not fits_table(codes):
        return np.unique(codes, return_counts=True)
    every = np.bincount(codes.ravel(order="K"))
    present = np.flatnonzero(every)
    return present, every[present]
