"""How far the change of a map around a lesion reaches: the width of the penumbra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST_SHELLS = 4
GRID_STEP_MM, PAIR_STEP_MM = 0.05, 0.2
# Steps between the smallest and the largest width of the draws, when these are looked at closely.
FINE_STEPS, FINE_PAIR_STEPS, CLOSER_LOOKS = 200, 24, 3
DRAWS, FAR_GAIN = 400, 80.0
# What is flat by chance may look like a ramp as often as this.
FLAT_P = 0.05
LIMITS = (0.025, 0.975)
# Gains that differ by less than this part of them are equal.
ROUNDING = 1e-10
# Of the range of a profile: the place of an image, and interpolated values, are not known better.
EXACT = 1e-4
SINGLE = float(np.finfo(np.float32).eps)
PARAMETERS = {"flat": 1, "hinge": 3, "two hinges": 5}


@dataclass(frozen=True)
class Penumbra:
    """How far the tissue around a lesion differs from the tissue far away.

    `width_mm`, with its 95 % confidence limits `width_lo` and `width_hi`, is where the profile
    meets its `plateau`; `peak_mm` where it turns, if it does. `amplitude` is the fitted difference
    from the plateau at the peak, or at the lesion's edge where there is none. `model` is
    ``flat``, ``hinge``, ``two hinges`` or ``none``; `p_flat` is the probability that a flat profile
    looks as little flat as this one; `reason` says why a number is missing (NaN), and is empty if
    none is.
    """

    width_mm: float = np.nan
    width_lo: float = np.nan
    width_hi: float = np.nan
    peak_mm: float = np.nan
    plateau: float = np.nan
    amplitude: float = np.nan
    p_flat: float = np.nan
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
    seed: int = 1,
) -> Penumbra:
    """Find where a profile of independent means meets its far plateau.

    Parameters
    ----------
    distance_mm : (n,) array
        Mean distance of each shell from the lesion in mm, rising.
    mean, n_effective, sd : (n,) arrays
        The map's mean, number of independent samples and standard deviation in each shell. Shells
        with NaN in any are left out.
    plateau_mean, plateau_n_effective, plateau_sd : float
        The same for the tissue beyond the last shell.
    seed : int
        Of the draws.

    Returns
    -------
    Penumbra

    Raises
    ------
    ValueError
        If the arrays differ in length or the distances do not rise.

    Notes
    -----
    As `fit_shells`, for means whose errors do not depend on each other and shells that lie at one
    distance each. Neighbouring shells of an image are no such: there `fit_shells` is right.

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
    columns = np.column_stack(
        [columns[:, usable], [np.inf, plateau_mean, plateau_n_effective, plateau_sd]]
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = columns[3] ** 2 / columns[2]
    if not np.isfinite(columns[1:, -1]).all():
        columns[1, -1] = np.nan
    return fit_shells(
        columns[0], columns[1], np.diag(np.nan_to_num(variance)), np.eye(variance.size), seed=seed
    )


def fit_shells(
    distance_mm: ArrayLike,
    mean: ArrayLike,
    covariance: ArrayLike,
    composition: ArrayLike,
    *,
    seed: int = 1,
) -> Penumbra:
    """Find where a profile meets its far plateau, from the means of shells and their covariance.

    Parameters
    ----------
    distance_mm : (S,) array
        Mean distance from the lesion edge of what shells consist of; infinite beyond the last.
    mean : (n,) array
        Of each shell, by rising distance, and last of the tissue beyond. NaN for an empty one.
    covariance : (n, n) array
        Of these means.
    composition : (n, S) array
        Share of each stratum in each shell.
    seed : int
        Of the draws.

    Returns
    -------
    Penumbra

    Raises
    ------
    ValueError
        If shapes do not fit, or the shells' distances do not rise.

    Notes
    -----
    Three models are fitted by generalised least squares: a constant; one that changes linearly up
    to the width and is constant beyond (a hinge [1]_); and one with a second hinge nearer the
    lesion, at which the profile turns. A model's value in a shell is its mean over the distances of
    the shell's voxels. The smallest AICc decides [2]_. A hinge is also tested against the constant:
    where there is no break it has no place [3]_, and so the largest improvement over all places is
    compared with that of draws from a flat profile; above p = 0.05 it is flat. Limits are
    percentiles of the widths of 400 profiles drawn about this one, each fitted again; where the
    model fits worse than the covariance explains, they are widened. One at the last shell is none.

    References
    ----------
    .. [1] Hinkley DV. Inference about the intersection in two-phase regression. Biometrika
       1969;56:495-504. doi:10.1093/biomet/56.3.495
    .. [2] Hurvich CM, Tsai CL. Regression and time series model selection in small samples.
       Biometrika 1989;76:297-307. doi:10.1093/biomet/76.2.297
    .. [3] Davies RB. Hypothesis testing when a nuisance parameter is present only under the
       alternative. Biometrika 1987;74:33-43. doi:10.1093/biomet/74.1.33

    Examples
    --------
    >>> distance = np.array([1.0, 3.0, 5.0, 7.0, 9.0, np.inf])
    >>> mean = 1 + 0.1 * np.maximum(0, 6 - distance)
    >>> fit = fit_shells(distance, mean, 1e-6 * np.eye(6), np.eye(6))
    >>> fit.model, round(fit.width_mm, 2), fit.p_flat < 0.05
    ('hinge', 6.0, True)
    """
    strata, values, spread, shares = (
        np.asarray(one, np.float64) for one in (distance_mm, mean, covariance, composition)
    )
    if spread.shape != (values.size, values.size) or shares.shape != (values.size, strata.size):
        raise ValueError(
            f"{values.size} means, {strata.size} strata: covariance {spread.shape} or composition "
            f"{shares.shape} has another size"
        )
    if not np.isfinite(values[-1]):
        return Penumbra(reason="there is no tissue beyond the last shell to compare with")
    kept = np.isfinite(values)
    profile = _Profile.of(strata, values[kept], spread[np.ix_(kept, kept)], shares[kept])
    if (np.diff(profile.shells) <= 0).any():
        raise ValueError("distance_mm does not rise from shell to shell")
    if profile.shells.size < FEWEST_SHELLS:
        reason = f"only {profile.shells.size} shells have data, {FEWEST_SHELLS} are needed"
        return Penumbra(plateau=float(values[-1]), reason=reason)
    noise = np.random.default_rng(seed).standard_normal((DRAWS, profile.values.size))
    return _best_model(profile, noise)


class _Profile(NamedTuple):
    """Means, whitened: multiplied by what makes their errors independent and of size 1."""

    strata: NDArray[np.float64]
    shares: NDArray[np.float64]
    shells: NDArray[np.float64]
    values: NDArray[np.float64]
    whitener: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        strata: NDArray[np.float64],
        mean: NDArray[np.float64],
        covariance: NDArray[np.float64],
        shares: NDArray[np.float64],
    ) -> _Profile:
        """Whiten means; without a floor a map without noise would have infinite weights."""
        # nor does what single precision cannot hold, or a shift of a thousandth of a millimetre
        # brings about, tell one shell from another
        size = max(EXACT * np.ptp(mean), SINGLE * np.abs(mean).max())
        floor = (size or 1.0) ** 2
        raised = covariance + np.diag(np.maximum(floor - np.diag(covariance), 0))
        whitener = np.linalg.inv(np.linalg.cholesky(raised))
        inside = np.isfinite(strata)
        near = np.where(inside, strata, 0.0)
        return cls(strata, shares, (shares @ near)[:-1], whitener @ mean, whitener)

    @property
    def constant(self) -> NDArray[np.float64]:
        """The whitened column of a constant, of length 1."""
        column = self.whitener.sum(axis=1)
        unit: NDArray[np.float64] = column / np.linalg.norm(column)
        return unit

    def ramps(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the whitened shells' means of a ramp of slope 1 down to each place: a row each."""
        heights = np.maximum(0, places[:, None] - self.strata) @ self.shares.T
        found: NDArray[np.float64] = heights @ self.whitener.T
        return found


class _Best(NamedTuple):
    """Of every profile its best hinges, what they gain, and how far the width could lie elsewhere.

    The shells do not tell some places from others: a hinge before the second shell begins lies at
    any place there as well. All widths from `low` to `high` are as good as that of `place`.
    """

    place: NDArray[np.float64]
    gain: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def or_better(self, other: _Best) -> _Best:
        """Take over what is better by more than rounding."""
        better = other.gain > self.gain + _rounding(self.gain)
        place = np.where(better[:, None], other.place, self.place)
        return _Best(
            place, *(np.where(better, b, a) for a, b in zip(self[1:], other[1:], strict=True))
        )


class _Fits(NamedTuple):
    """For every place of the hinges (a row) and every profile: how much better than a constant."""

    places: NDArray[np.float64]
    gains: NDArray[np.float64]

    @property
    def best(self) -> _Best:
        """The largest gain of each profile; rounding never decides between places that are equal.

        Of equal places the first counts; of the first profile, the one in the middle.
        """
        gain = self.gains.max(axis=0)
        equal = self.gains >= gain - _rounding(gain)
        width = self.places[:, :1]
        rows = equal.argmax(axis=0)
        rows[0] = _middle(self.places, np.flatnonzero(equal[:, 0]))
        low = np.where(equal, width, np.inf).min(axis=0)
        high = np.where(equal, width, -np.inf).max(axis=0)
        return _Best(self.places[rows], gain, low, high)


def _rounding(gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what gains of one size differ by rounding at most."""
    return np.where(np.isfinite(gain), ROUNDING * np.abs(gain) + 1e-12, 0.0)


def _middle(places: NDArray[np.float64], rows: NDArray[np.int64]) -> int:
    """Return the row that lies nearest to the middle of some rows' places, the first of such."""
    among = places[rows]
    middle = (among.min(axis=0) + among.max(axis=0)) / 2
    away = np.abs(among - middle).sum(axis=1)
    return int(rows[np.flatnonzero(away <= away.min() + ROUNDING)[0]])


def _fit_hinges(
    profile: _Profile, values: NDArray[np.float64], places: NDArray[np.float64]
) -> _Fits:
    """Fit a constant and a ramp down to each place to whitened profiles, a column each."""
    ramps = profile.ramps(places)
    unit = profile.constant
    ramps = ramps - np.outer(ramps @ unit, unit)
    length = np.linalg.norm(ramps, axis=1)
    ramps /= np.where(length > 1e-9 * length.max(initial=0), length, np.inf)[:, None]
    return _Fits(places[:, None], (ramps @ values) ** 2)


def _fit_pairs(
    profile: _Profile,
    values: NDArray[np.float64],
    outer: NDArray[np.float64],
    inner: NDArray[np.float64],
) -> _Fits:
    """Fit a constant and two ramps to whitened profiles; those that do not turn gain nothing."""
    unit = profile.constant
    first, second = (
        ramps - np.outer(ramps @ unit, unit)
        for ramps in (profile.ramps(outer), profile.ramps(inner))
    )
    long = np.maximum(np.linalg.norm(first, axis=1), 1e-300)
    first = first / long[:, None]
    along = (first * second).sum(axis=1)
    second = second - along[:, None] * first
    short = np.linalg.norm(second, axis=1)
    sound = short > 1e-9 * np.abs(along)
    second = second / np.where(sound, short, np.inf)[:, None]
    one, two = first @ values, second @ values
    inner_slope = two / np.where(sound, short, np.inf)[:, None]
    outer_slope = (one - along[:, None] * inner_slope) / long[:, None]
    turns = outer_slope * (outer_slope + inner_slope) < 0
    return _Fits(np.column_stack([outer, inner]), np.where(turns, one**2 + two**2, -np.inf))


def _pairs_of(shells: NDArray[np.float64], grid: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """List outer and inner hinges between which a shell lies, or the slope there means nothing."""
    outer, inner = (axis.ravel() for axis in np.meshgrid(grid, grid))
    margin = GRID_STEP_MM / 2
    apart = np.searchsorted(shells, outer - margin) > np.searchsorted(shells, inner + margin)
    return [outer[apart], inner[apart]]


def _grid(shells: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Return the places at which a hinge may lie, the last shell's included."""
    n = max(1, int(np.ceil((shells[-1] - shells[0]) / step - 1e-9)))
    found: NDArray[np.float64] = shells[-1] - step * np.arange(n)[::-1]
    return found


def _best_model(profile: _Profile, noise: NDArray[np.float64]) -> Penumbra:
    """Fit the three models, choose one, and say what it means."""
    unit, values = profile.constant, profile.values
    flat = values - (values @ unit) * unit
    misfit = float(flat @ flat)
    grid, coarse = (_grid(profile.shells, step) for step in (GRID_STEP_MM, PAIR_STEP_MM))
    places = {
        "hinge": grid[:, None],
        "two hinges": np.column_stack(_pairs_of(profile.shells, coarse)),
    }
    gains = {"flat": 0.0} | {
        key: float(_refits(profile, values[:, None], rows).gain[0]) if rows.size else -np.inf
        for key, rows in places.items()
    }
    chance = _fit_hinges(profile, noise.T, grid).gains.max(axis=0)
    seen = float(_fit_hinges(profile, values[:, None], grid).gains.max())
    p_flat = float((1 + np.count_nonzero(chance >= seen)) / (1 + chance.size))
    name = min(gains, key=lambda key: _aicc(misfit - gains[key], PARAMETERS[key], values.size))
    if name == "hinge" and p_flat > FLAT_P:
        name = "flat"
    if name == "flat":
        plateau = float((values @ unit) / (profile.whitener.sum(axis=1) @ unit))
        reason = "no change with distance"
        return Penumbra(plateau=plateau, p_flat=p_flat, model=name, reason=reason)
    worse = max(1.0, (misfit - gains[name]) / (values.size - PARAMETERS[name]))
    drawn = values[:, None] + np.sqrt(worse) * noise.T
    found = _refits(profile, np.column_stack([values, drawn]), places[name], worse)
    return _described(profile, name, found, p_flat)


def _refits(
    profile: _Profile,
    values: NDArray[np.float64],
    places: NDArray[np.float64],
    worse: float = 1.0,
) -> _Best:
    """Return each profile's best places of the hinges, looked at closely, and what they gain.

    The first profile is the measured one, the others are drawn about it with a noise whose variance
    is `worse`.
    """
    n_hinges = places.shape[1]
    # noise of size 1 does not make up for more than this in the best of all draws
    own = _fit_at(profile, values[:, :1], places).gains[:, 0]
    near = places[own >= own.max() - FAR_GAIN * worse]
    best = _fit_at(profile, values, near).best
    first, last = places.min(axis=0), places.max(axis=0)
    step = np.full(n_hinges, GRID_STEP_MM if n_hinges == 1 else PAIR_STEP_MM)
    n = FINE_STEPS if n_hinges == 1 else FINE_PAIR_STEPS
    for _ in range(CLOSER_LOOKS):
        # a step more than where nearly all lie, but not beyond the ends
        low, high = (np.quantile(best.place, q, axis=0) for q in (0.005, 0.995))
        low = np.maximum(np.minimum(low, best.place[0]) - step, first)
        high = np.minimum(np.maximum(high, best.place[0]) + step, last)
        finer = (high - low) / (n - 1)
        if (finer >= step).all():
            break
        axes = [np.linspace(a, b, n) for a, b in zip(low, high, strict=True)]
        fine = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, n_hinges)
        if n_hinges > 1:
            fine = fine[fine[:, 0] - fine[:, 1] > PAIR_STEP_MM]
        best, step = best.or_better(_fit_at(profile, values, fine).best), np.minimum(step, finer)
    return best


def _fit_at(profile: _Profile, values: NDArray[np.float64], places: NDArray[np.float64]) -> _Fits:
    if places.shape[1] == 1:
        return _fit_hinges(profile, values, places[:, 0])
    return _fit_pairs(profile, values, places[:, 0], places[:, 1])


def _described(profile: _Profile, name: str, found: _Best, p_flat: float) -> Penumbra:
    """Turn the hinges of the profile and of those drawn into numbers and reasons."""
    own = found.place[0]
    end = float(profile.shells[-1]) - GRID_STEP_MM / 2
    if own[0] >= end:
        # Then peak and amplitude rest on a plateau that was not seen.
        return Penumbra(p_flat=p_flat, reason="the plateau is not reached within the shells")
    design = np.vstack([profile.whitener.sum(axis=1), profile.ramps(own)])
    plateau, *slopes = np.linalg.lstsq(design.T, profile.values, rcond=None)[0]
    at = float(own[1]) if own.size > 1 else 0.0
    low = float(np.quantile(found.low[1:], LIMITS[0]))
    high = float(np.quantile(found.high[1:], LIMITS[1]))
    reached = high < end
    return Penumbra(
        width_mm=float(own[0]),
        width_lo=min(low, float(own[0])),
        width_hi=max(high, float(own[0])) if reached else np.nan,
        peak_mm=float(own[1]) if own.size > 1 else np.nan,
        plateau=float(plateau),
        amplitude=float(np.array(slopes) @ np.maximum(0, own - at)),
        p_flat=p_flat,
        model=name,
        reason="" if reached else "the upper limit lies beyond the last shell",
    )


def _aicc(misfit: float, parameters: int, points: int) -> float:
    """Return Akaike's criterion corrected for few points; infinite if there are too few."""
    spare = points - parameters - 1
    if spare < 1:
        return np.inf
    return misfit + 2 * parameters + 2 * parameters * (parameters + 1) / spare
