"""A map against the distance from the lesion, as a smooth curve with its band."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST_POINTS = 5
# How much smoothing is tried: ratios of the penalty to what the means weigh.
PENALTIES = np.logspace(-3, 4, 29)
NORMAL_97_5 = 1.959963984540054


class Curve(NamedTuple):
    """The smoothed value at every bin, and the limits of its 95 % band; NaN where there is none."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def smooth_curve(mean: ArrayLike, covariance: ArrayLike) -> Curve:
    """Smooth the means of equally wide bins, as much as lowers the expected error most.

    Parameters
    ----------
    mean : (n,) array
        Of bins in order; NaN for an empty one, which gets a value if it lies between others.
    covariance : (n, n) array
        Of these means.

    Returns
    -------
    Curve
        Without a covariance, or from fewer than 5 means, all NaN.

    Notes
    -----
    The curve is that of smallest sum of squared errors, each over its variance, plus a penalty on
    the squares of second differences [1]_. The penalty is the one of the smallest expected error,
    which the known covariance tells without bias [2]_; cross-validation would take for signal what
    neighbouring bins have in common. The band is 1.96 standard errors of the curve's own
    value on either side, from the covariance of the means; it does not hold what smoothing takes
    away where the profile has an edge.

    References
    ----------
    .. [1] Eilers PHC. A perfect smoother. Analytical Chemistry 2003;75:3631-3636.
       doi:10.1021/ac034173t
    .. [2] Mallows CL. Some comments on Cp. Technometrics 1973;15:661-675.
       doi:10.1080/00401706.1973.10489103

    Examples
    --------
    >>> curve = smooth_curve(np.arange(9.0), np.eye(9))
    >>> curve.value.round(6).tolist() == list(range(9))
    True
    """
    values, spread = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    nothing = np.full(values.size, np.nan)
    there = np.flatnonzero(np.isfinite(values) & np.isfinite(np.diag(spread)))
    if there.size < FEWEST_POINTS:
        return Curve(nothing, nothing.copy(), nothing.copy())
    span = slice(int(there[0]), int(there[-1]) + 1)
    n, at = span.stop - span.start, there - there[0]
    variance = np.diag(spread)[there]
    floor = (1e-6 * (np.ptp(values[there]) or 1.0)) ** 2
    weight = 1 / np.maximum(variance, floor)
    placed = np.zeros((n, there.size))
    placed[at, np.arange(there.size)] = weight / weight.mean()
    differences = np.diff(np.eye(n), 2, axis=0)
    rough = differences.T @ differences
    of_means = spread[np.ix_(there, there)]
    best, smoother = np.inf, np.zeros((n, there.size))
    for penalty in PENALTIES:
        tried = np.linalg.solve(np.diag(placed.sum(axis=1)) + penalty * rough, placed)
        own = tried[at]
        left = (values[there] - own @ values[there]) ** 2 @ weight
        score = left + 2 * float(weight @ np.diag(own @ of_means))
        if score < best:
            best, smoother = score, tried
    value = nothing.copy()
    value[span] = smoother @ values[there]
    error = nothing.copy()
    error[span] = np.sqrt(np.einsum("ij,jk,ik->i", smoother, of_means, smoother).clip(0))
    return Curve(value, value - NORMAL_97_5 * error, value + NORMAL_97_5 * error)
