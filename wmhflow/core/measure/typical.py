"""How large a map's values are in the middle of the brain, by which its unit is told."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# What is smaller than this share of the large values is 0 but for rounding.
NEGLIGIBLE, HIGH_QUANTILE = 1e-5, 0.99
LEAST_VOXELS = 100
# Of a hundred values so many are smaller than what counts as large; the others may be noise.
LARGE_QUANTILE = 0.95


def typical_size(values: NDArray[np.floating]) -> float:
    """Return the median of the absolute values in the middle of what a map shows.

    The middle half along each axis of the box that holds all values other than 0: there lie white
    matter and deep grey matter, whether the map was masked or not, and no air and no skin.

    Parameters
    ----------
    values : (I, J, K) array
        A map; NaN, infinite values and zeros tell nothing.

    Returns
    -------
    float
        NaN where fewer than 100 voxels tell anything, or all of them hold one value.

    Examples
    --------
    >>> values = np.zeros((12, 12, 12))
    >>> values[2:10, 2:10, 2:10] = np.linspace(0.6, 0.8, 512).reshape(8, 8, 8)
    >>> round(typical_size(values), 2)
    0.7
    """
    found = _middle(values)
    return float(np.median(found)) if found.size else float("nan")


def large_size(values: NDArray[np.floating]) -> float:
    """Return what 95 % of the absolute values in the middle of what a map shows do not exceed.

    Parameters
    ----------
    values : (I, J, K) array
        As for :func:`typical_size`.

    Returns
    -------
    float
        NaN as there.

    Examples
    --------
    >>> values = np.zeros((12, 12, 12))
    >>> values[2:10, 2:10, 2:10] = np.linspace(0.6, 0.8, 512).reshape(8, 8, 8)
    >>> round(large_size(values), 2)
    0.79
    """
    found = _middle(values)
    return float(np.quantile(found, LARGE_QUANTILE)) if found.size else float("nan")


def _middle(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """List the absolute values in the middle of what a map shows; none where they tell nothing."""
    known = np.where(np.isfinite(values), np.abs(values), 0.0)
    if known.any():
        known[known < NEGLIGIBLE * np.quantile(known[known > 0], HIGH_QUANTILE)] = 0.0
    box = known
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        there = np.flatnonzero(known.any(axis=others))
        if there.size == 0:
            return np.empty(0)
        low, high = there[0], there[-1] + 1
        quarter = (high - low) // 4
        box = np.take(box, np.arange(low + quarter, high - quarter), axis=axis)
    found = box[box > 0]
    if found.size < LEAST_VOXELS:
        found = known[known > 0]
    if found.size < LEAST_VOXELS or found.min() == found.max():
        return np.empty(0)
    return np.asarray(found, np.float64)
