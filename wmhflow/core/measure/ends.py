"""Where a map's values were cut off: many voxels hold its own lowest or highest value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Values so near to a bound are there, but for rounding.
ROUNDING = 1e-6
# What holds fewer numbers was drawn, or is in steps, and not measured to its end; so many voxels,
# evenly spread, tell how many it holds.
LEAST_DISTINCT, LOOKED_AT = 100, 50_000


def at_ends(
    values: NDArray[np.floating], valid: NDArray[np.bool_], low: float, high: float
) -> NDArray[np.bool_]:
    """Find the voxels that hold a map's lowest or highest value.

    Parameters
    ----------
    values
        Map of shape (I, J, K), any unit.
    valid
        Same shape: the voxels that count. Zeros that may be a background are left out by who asks.
    low, high
        Bounds of what the quantity can be: an end that lies there, as an anisotropy of 1 does, is
        none at which anything was cut off.

    Returns
    -------
    ndarray
        Same shape; nothing where fewer than 100 numbers are held.

    Examples
    --------
    >>> values = np.minimum(np.linspace(0.1, 0.5, 5000), 0.4)
    >>> int(at_ends(values, values > 0, 0, 1).sum()), int(at_ends(values, values > 0, 0, 0.4).sum())
    (1251, 1)
    >>> int(at_ends(values.round(2), values > 0, 0, 1).sum())
    0
    """
    counted = values[valid]
    some = counted[:: max(1, counted.size // LOOKED_AT)]
    if np.unique(some).size < LEAST_DISTINCT:
        return np.zeros_like(valid)
    least, most = float(counted.min()), float(counted.max())
    near = ROUNDING * (high - low)
    found = np.zeros_like(valid)
    if least > low + near:
        found |= values <= least
    if most < high - near:
        found |= values >= most
    return found & valid
