"""How far the change of a map around a lesion reaches: the width of the penumbra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

FEWEST_SHELLS = 4
GRID_STEP_MM = 0.05


@dataclass(frozen=True)
class Penumbra:
    """How far the tissue around a lesion differs from the tissue far away.

    `width_mm`, with its 95 % confidence limits `width_lo` and `width_hi`, is where the profile
    meets its `plateau`; `peak_mm` where it turns, if it does. `amplitude` is the fitted difference
    from the plateau at the peak, or at the lesion's edge where there is none. `model` is
    ``flat``, ``hinge``, ``two hinges`` or ``none``; `reason` says why a number is missing (NaN),
    and is empty if none is.
    """

    width_mm: float = np.nan
    width_lo: float = np.nan
    width_hi: float = np.nan
    peak_mm: float = np.nan
    plateau: float = np.nan
    amplitude: float = np.nan
    model: str = "none"
    reason: str = ""


def fit_penumbra(
    distance_mm: ArrayLike,
    mean: ArrayLike,
    n_effective: ArrayLike,
    sd: ArrayLike,
    *,
    plateau_mean: float,
    plateau_n_effective: float,
    plateau_sd: float,
) -> Penumbra:
    """Find where a profile meets its far plateau.

    Parameters
    ----------
    distance_mm : (n,) array
        Mean distance of each shell from the lesion in mm, rising.
    mean, n_effective, sd : (n,) arrays
        The map's mean, effective number of voxels and standard deviation in each shell. Shells
        with NaN in any are left out.
    plateau_mean, plateau_n_effective, plateau_sd : float
        The same for the tissue beyond the last shell.

    Returns
    -------
    Penumbra

    Raises
    ------
    ValueError
        If the arrays differ in length or the distances do not rise.

    Notes
    -----
    Three models are fitted by least squares, weighted by the squared standard error of each mean:
    a constant; one that changes linearly up to the width and is constant beyond (a hinge [1]_);
    and one with a second hinge nearer the lesion, at which the profile turns back. The smallest
    AICc decides [2]_. Confidence limits are those widths at which the best fit is not worse than
    Student's t allows, with the standard errors widened where the fit is worse than they explain;
    they are as exact as the grid of 0.05 mm. A width at the last shell is none: the plateau was
    not reached, and nothing is said.

    References
    ----------
    .. [1] Hinkley DV. Inference about the intersection in two-phase regression. Biometrika
       1969;56:495-504. doi:10.1093/biomet/56.3.495
    .. [2] Hurvich CM, Tsai CL. Regression and time series model selection in small samples.
       Biometrika 1989;76:297-307. doi:10.1093/biomet/76.2.297

    Examples
    --------
    >>> distance = np.arange(1.0, 14, 2)
    >>> fit = fit_penumbra(
    ...     distance,
    ...     1 + 0.1 * np.maximum(0, 6 - distance),
    ...     np.full(7, 99),
    ...     np.full(7, 0.1),
    ...     plateau_mean=1.0,
    ...     plateau_n_effective=999,
    ...     plateau_sd=0.1,
    ... )
    >>> fit.model, round(fit.width_mm, 1), round(fit.amplitude, 2)
    ('hinge', 6.0, 0.6)
    """
    columns = np.array([distance_mm, mean, n_effective, sd], dtype=np.float64)
    if columns.ndim != 2:
        raise ValueError("distance_mm, mean, n_effective and sd must be lists of one length")
    usable = np.isfinite(columns).all(axis=0) & (columns[2] > 0)
    columns = columns[:, usable]
    if (np.diff(columns[0]) <= 0).any():
        raise ValueError("distance_mm does not rise from shell to shell")
    if not np.isfinite([plateau_mean, plateau_n_effective, plateau_sd]).all():
        return Penumbra(reason="there is no tissue beyond the last shell to compare with")
    if columns.shape[1] < FEWEST_SHELLS:
        return Penumbra(
            plateau=plateau_mean,
            reason=f"only {columns.shape[1]} shells have data, {FEWEST_SHELLS} are needed",
        )
    # The plateau is one more shell, so far away that no hinge reaches it.
    points = np.column_stack([columns, [np.inf, plateau_mean, plateau_n_effective, plateau_sd]])
    return _best_model(points[0], points[1], _weights(points[1], points[2], points[3]))


class _Fits(NamedTuple):
    """Least-squares fits of one model for every place of its hinges."""

    places: NDArray[np.float64]
    misfit: NDArray[np.float64]
    coefficients: NDArray[np.float64]

    def best(self) -> int:
        """Return the row of the smallest misfit, the middle one of equally small ones."""
        smallest = np.flatnonzero(self.misfit <= self.misfit.min() * (1 + 1e-9) + 1e-12)
        return int(smallest[smallest.size // 2])


def _weights(
    mean: NDArray[np.float64], n_effective: NDArray[np.float64], sd: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return one over the squared standard error of each mean."""
    # Without a floor a map without noise would have infinite weights.
    floor = 1e-6 * (np.ptp(mean) or 1.0)
    return 1 / np.maximum(sd / np.sqrt(n_effective), floor) ** 2


def _best_model(
    distance: NDArray[np.float64], mean: NDArray[np.float64], weights: NDArray[np.float64]
) -> Penumbra:
    """Fit the three models, choose one, and say what it means."""
    shells = distance[:-1]
    grid = np.arange(shells[0] + GRID_STEP_MM, shells[-1] + GRID_STEP_MM / 2, GRID_STEP_MM)
    flat = _fit(np.empty((1, 0)), distance, mean, weights)
    hinge = _fit(grid[:, None], distance, mean, weights)
    outer, inner = (axis.ravel() for axis in np.meshgrid(grid, grid))
    # A shell at least must lie between the hinges, or the slope between them means nothing.
    margin = GRID_STEP_MM / 2
    apart = np.searchsorted(shells, outer - margin) > np.searchsorted(shells, inner + margin)
    pairs = _fit(np.column_stack([outer, inner])[apart], distance, mean, weights)
    slopes = pairs.coefficients[:, 1:]
    turning = slopes[:, 0] * slopes.sum(axis=1) < 0
    turned = _Fits(*(field[turning] for field in pairs))
    models = {"flat": (flat, 1), "hinge": (hinge, 3), "two hinges": (turned, 5)}
    name = min(models, key=lambda key: _aicc(*models[key], mean.size))
    fits, parameters = models[name]
    row = fits.best()
    plateau = float(fits.coefficients[row, 0])
    if name == "flat":
        return Penumbra(plateau=plateau, model=name, reason="no change with distance")
    return _described(name, fits, row, mean.size - parameters, float(grid[-1]))


def _described(name: str, fits: _Fits, row: int, freedom: int, last: float) -> Penumbra:
    """Turn the best fit of a model with hinges into numbers and reasons."""
    widths, plateau = fits.places[:, 0], float(fits.coefficients[row, 0])
    peak = float(fits.places[row, 1]) if fits.places.shape[1] > 1 else np.nan
    at = 0.0 if np.isnan(peak) else peak
    amplitude = float(fits.coefficients[row, 1:] @ np.maximum(0, fits.places[row] - at))
    smallest = float(fits.misfit[row])
    scale = max(1.0, smallest / freedom)
    allowed = widths[fits.misfit <= smallest + scale * float(stdtrit(freedom, 0.975)) ** 2]
    low, high = float(allowed.min()), float(allowed.max())
    end = last - GRID_STEP_MM / 2
    if widths[row] >= end:
        # Then peak and amplitude rest on a plateau that was not seen.
        return Penumbra(reason="the plateau is not reached within the shells")
    reached = high < end
    return Penumbra(
        width_mm=float(widths[row]),
        width_lo=low,
        width_hi=high if reached else np.nan,
        peak_mm=peak,
        plateau=plateau,
        amplitude=amplitude,
        model=name,
        reason="" if reached else "the upper limit lies beyond the last shell",
    )


def _fit(
    places: NDArray[np.float64],
    distance: NDArray[np.float64],
    mean: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> _Fits:
    """Fit a constant and one ramp down to each hinge, for every row of `places`."""
    ramps = np.maximum(0, places[:, :, None] - distance)
    design = np.concatenate([np.ones((len(places), 1, distance.size)), ramps], axis=1)
    normal = (design * weights) @ design.transpose(0, 2, 1)
    moments = (design * weights) @ mean
    coefficients = np.linalg.solve(normal, moments[..., None])[..., 0]
    left = mean - np.einsum("rc,rcp->rp", coefficients, design)
    return _Fits(places, (left**2 * weights).sum(axis=1), coefficients)


def _aicc(fits: _Fits, parameters: int, points: int) -> float:
    """Return Akaike's criterion corrected for few points; infinite if there are too few."""
    spare = points - parameters - 1
    if spare < 1 or fits.misfit.size == 0:
        return np.inf
    return float(fits.misfit.min()) + 2 * parameters + 2 * parameters * (parameters + 1) / spare
