"""Location and spread that outliers do not move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# From the median absolute deviation to the standard deviation of a normal distribution, with the
# digits of Rousseeuw and Croux (1993, doi:10.1080/01621459.1993.10476408). scipy's
# median_abs_deviation(scale="normal") has 1.482602..., which is larger by 1.5 parts in a million
# and would change results by as much; and as the median is needed too, and would be computed
# twice, it takes 1.09 instead of 0.54 s for 256³ values (timeit, one core).
MAD_TO_SD = 1.4826


def median_and_spread(values: NDArray[np.floating]) -> tuple[float, float]:
    """Compute the median, and the standard deviation by the median absolute deviation from it.

    Parameters
    ----------
    values
        At least one, all finite.

    Returns
    -------
    tuple of float
        In the unit of the values.

    Examples
    --------
    >>> median_and_spread(np.array([1.0, 2.0, 3.0, 4.0, 500.0]))
    (3.0, 1.4826)
    """
    centre = float(np.median(values))
    return centre, MAD_TO_SD * float(np.median(np.abs(values - centre)))


def weighted_median_and_spread(
    values: NDArray[np.floating], weights: NDArray[np.floating]
) -> tuple[float, float]:
    """Compute the median of weighted values, and the spread to that side on which it is smaller.

    What lies among them and is none of them is mostly brighter, or mostly darker: the other side
    tells how the rest spreads.

    Parameters
    ----------
    values
        At least one, all finite.
    weights
        Of the same shape, at least 0, and above 0 somewhere.

    Returns
    -------
    tuple of float
        In the unit of the values; the spread is that of a normal distribution of the same median
        absolute deviation.

    Examples
    --------
    >>> weighted_median_and_spread(np.array([1.0, 2.0, 3.0, 4.0, 90.0]), np.array([1, 1, 1, 1, 1]))
    (3.0, 1.4826)
    """

    def median(of: NDArray[np.floating], by: NDArray[np.floating]) -> float:
        order = np.argsort(of, kind="stable")
        share = np.cumsum(by[order], dtype=np.float64)
        return float(of[order][np.searchsorted(share, share[-1] / 2)])

    centre = median(values, weights)
    away = values - centre
    sides = (away <= 0, away >= 0)
    return centre, MAD_TO_SD * min(median(np.abs(away[side]), weights[side]) for side in sides)
