"""Intravoxel incoherent motion: slow diffusion, and the share of what moves faster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# From this b on perfusion has gone from the signal, and up to this one its logarithm is a straight
# line, s/mm² (2 % for scanners that write 1010).
LEAST_SLOW_B, LARGEST_SLOW_B = 200.0, 1000.0 * 1.02
# b-values this close are one, s/mm².
SAME_B = 2.5


@dataclass(frozen=True)
class IvimFit:
    """Diffusivity and the share of perfusion; NaN where there is no fit.

    Attributes
    ----------
    diffusivity : ndarray of shape (n,)
        D, mm²/s.
    fraction : ndarray of shape (n,)
        f; below 0 where noise makes it so.
    """

    diffusivity: NDArray[np.float64]
    fraction: NDArray[np.float64]


def fit_ivim(signals: NDArray[np.float32], bvals: NDArray[np.float64]) -> IvimFit:
    """Fit D from the higher b-values and f from what they lack at b = 0, in two steps.

    D is the slope of the logarithms from b = 200 on, weighted by the squared signal; f is what
    their line lacks at b = 0 (Le Bihan et al. 1988, doi:10.1148/radiology.168.2.3393671). Volumes
    of one b are averaged geometrically first, which leaves the trace.

    Parameters
    ----------
    signals : ndarray of shape (n, g)
        A row for each voxel.
    bvals : ndarray of shape (g,)
        s/mm², 0 among them.

    Returns
    -------
    IvimFit

    Examples
    --------
    >>> b = np.array([0.0, 20, 50, 100, 200, 500, 1000])
    >>> signal = 100 * (0.9 * np.exp(-b * 0.8e-3) + 0.1 * np.exp(-b * 20e-3))
    >>> fit = fit_ivim(signal[None], b)
    >>> round(float(fit.diffusivity[0]) * 1e3, 2), round(float(fit.fraction[0]), 2)
    (0.8, 0.1)
    """
    sound = (np.isfinite(signals) & (signals > 0)).all(axis=1)
    diffusivity, fraction = np.full(len(signals), np.nan), np.full(len(signals), np.nan)
    logs = np.log(np.asarray(signals[sound], dtype=np.float64))
    slow = [b for b in _distinct(bvals) if LEAST_SLOW_B - SAME_B <= b <= LARGEST_SLOW_B + SAME_B]
    means = np.stack([_mean(logs, bvals, b) for b in slow], axis=1)
    at_zero = _mean(logs, bvals, 0.0)
    # relative to b = 0, so that no weight overflows
    weights = np.exp(2 * (means - at_zero[:, None]))
    b = np.array(slow)
    total = weights.sum(axis=1)
    middle = (weights @ b) / total
    level = (weights * means).sum(axis=1) / total
    apart = b - middle[:, None]
    slope = (weights * apart * (means - level[:, None])).sum(axis=1) / (weights * apart**2).sum(
        axis=1
    )
    diffusivity[sound] = -slope
    fraction[sound] = 1 - np.exp(level - slope * middle - at_zero)
    return IvimFit(diffusivity, fraction)


def _distinct(bvals: NDArray[np.float64]) -> list[float]:
    found: list[float] = []
    for b in np.sort(bvals):
        if not found or b - found[-1] > SAME_B:
            found.append(float(b))
    return found


def _mean(logs: NDArray[np.float64], bvals: NDArray[np.float64], b: float) -> NDArray[np.float64]:
    return np.asarray(logs[:, np.abs(bvals - b) <= SAME_B].mean(axis=1))
