"""How fast a signal decays over the echoes of a gradient echo: R2*, with the noise floor in mind.

The logarithm of the signal is a straight line over echo time. Each echo counts with the square of
the *fitted* signal, in a few rounds: weights from the measured signal pull the rate down, and no
weights at all make late echoes, which are mostly noise, count as much as early ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.arrays.validation import UnfitImageError, checked_mask, kernel_ready
from wmhflow.core.contrasts.scaling import is_magnitude

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

LEAST_ECHOES = 3
N_ROUNDS = 3
# Signals below so many standard deviations of the noise say nothing of the decay.
FLOOR = 3.0
# A signal that has decayed by exp(-1/1.5) before the first echo cannot be told from the floor.
FASTEST = 1 / 1.5
# What is brighter than this share of the brightest hundredth of the first echo is head.
HEAD_SHARE = 0.15
# By so much of its signal a later echo may seem brighter: readouts of two directions differ.
RISING = 0.02
FEWEST_VOXELS = 100
# An image has air around the head where more than this is no air, and holds a value for it.
ALL_AIR, MOST_UNKNOWN = 0.95, 0.2


class DecayFit(NamedTuple):
    """A rate of decay in every voxel."""

    rate: NDArray[np.float32]
    """1/s; NaN where fewer than three echoes stand above the noise, or the decay is too fast."""
    signal: NDArray[np.float32]
    """Signal at echo time 0, in the unit of the images; NaN as `rate` is."""
    n_echoes: NDArray[np.uint8]
    """Echoes that stand above the noise."""


def fit_decay(
    magnitudes: Sequence[ArrayLike],
    echo_times_s: Sequence[float],
    *,
    noise: float = 0.0,
    mask: ArrayLike | None = None,
) -> DecayFit:
    """Fit a rate of decay (R2*) and the signal at echo time 0.

    A line is fitted to the logarithms, weighted by the squares of the fitted signals in three
    rounds. Echoes from the first on at which the fitted signal lies below three standard deviations
    of the noise do not count. What a gradient of the main field adds to the decay, as above the
    sinuses, is not taken away.

    Parameters
    ----------
    magnitudes : sequence of (I, J, K) arrays
        One image for each echo, in any unit; at least three.
    echo_times_s : sequence of floats
        Their echo times in seconds, all different.
    noise : float, optional
        Standard deviation of the noise in the unit of the images, as `background_noise` gives it;
        0 or NaN if unknown: then all echoes count that are above 0.
    mask : (I, J, K) array of booleans or numbers, optional
        Voxels to be fitted; others are NaN.

    Returns
    -------
    DecayFit
        Rate, signal and number of echoes.

    Raises
    ------
    ValueError
        If there are fewer than three echoes, or not one time for each; if a time is missing, not
        positive or in milliseconds, two are equal, or shapes differ.
    UnfitImageError
        If an image has negative values, as a phase has.

    References
    ----------
    .. [1] Pei M, Nguyen TD, Thimmappa ND, Salustri C, Dong F, Cooper MA, et al. Algorithm for fast
       monoexponential fitting based on auto-regression on linear operations (ARLO) of data. Magn
       Reson Med 2015;73:843-850. doi:10.1002/mrm.25137

    Examples
    --------
    >>> times = [0.005, 0.010, 0.020]
    >>> images = [np.full((1, 1, 1), 100.0 * np.exp(-30 * t)) for t in times]
    >>> fit = fit_decay(images, times)
    >>> round(float(fit.rate[0, 0, 0]), 3), round(float(fit.signal[0, 0, 0]), 2)
    (30.0, 100.0)
    """
    times = checked_echo_times(echo_times_s, len(magnitudes))
    order = np.argsort(times)
    volumes = [np.asarray(magnitudes[number], np.float32) for number in order]
    _check_magnitudes(volumes)
    shape = volumes[0].shape
    inside = np.ones(shape, bool) if mask is None else checked_mask(mask, "mask")
    if inside.shape != shape:
        raise ValueError(f"mask has shape {inside.shape} but the echoes have {shape}")
    signals = kernel_ready(np.stack([volume[inside] for volume in volumes], axis=-1), np.float32)
    floor = FLOOR * noise if np.isfinite(noise) and noise > 0 else 0.0
    fitted = np.full((len(signals), 2), np.nan, np.float32)
    counts = np.zeros(len(signals), np.uint8)
    over_ranges(
        lambda start, stop: _fit(signals, times[order], floor, fitted, counts, start, stop),
        len(signals),
        signals.size,
    )
    rate, signal = (np.full(shape, np.nan, np.float32) for _ in range(2))
    n_echoes = np.zeros(shape, np.uint8)
    rate[inside], signal[inside], n_echoes[inside] = fitted[:, 0], fitted[:, 1], counts
    return DecayFit(rate, signal, n_echoes)


def checked_echo_times(
    echo_times_s: Sequence[float], n_images: int, least: int = LEAST_ECHOES
) -> NDArray[np.float64]:
    """Return echo times in seconds; refuse missing, equal, impossible and too few ones."""
    times = np.asarray(echo_times_s, np.float64)
    if times.shape != (n_images,):
        raise ValueError(f"{times.size} echo times for {n_images} images: one for each is needed")
    if n_images < least:
        raise ValueError(f"there are {n_images} echoes: at least {least} are needed")
    if not (np.isfinite(times) & (times > 0)).all():
        raise ValueError(f"echo times {times.tolist()} s: each has to be a positive number")
    if times.max() >= 1:
        raise ValueError(
            f"echo times to {times.max():g} s: these are milliseconds; they are needed in seconds"
        )
    if np.unique(times).size < n_images:
        raise ValueError(f"two echoes have the same echo time ({times.tolist()} s)")
    return times


def _check_magnitudes(volumes: list[NDArray[np.float32]]) -> None:
    for number, volume in enumerate(volumes, 1):
        if volume.ndim != 3 or volume.shape != volumes[0].shape:
            raise ValueError(
                f"echo {number} has shape {volume.shape} but echo 1 has {volumes[0].shape}: "
                "three-dimensional images on one grid are needed"
            )
        if not np.isfinite(volume).any():
            raise UnfitImageError(f"echo {number} holds no number: every voxel is NaN or infinite")
        least, most = float(np.nanmin(volume)), float(np.nanmax(volume))
        if most <= 0 or not is_magnitude(volume):
            raise UnfitImageError(
                f"echo {number} has values from {least:g} to {most:g}: this is no magnitude; look "
                "whether it is a phase image"
            )


def background_noise(magnitude: ArrayLike) -> float:
    """Estimate the standard deviation of the noise from the air around a head.

    Where there is no signal, a magnitude has a Rayleigh distribution, whose mean square is twice
    the variance of the noise.

    Parameters
    ----------
    magnitude : (I, J, K) array
        An image of a whole head; of several echoes the last, in which least of the head is bright.

    Returns
    -------
    float
        In the unit of the image; NaN if there is no air, or it has been set to one value.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> image = np.abs(rng.normal(0, 5, (40, 40, 40)) + 1j * rng.normal(0, 5, (40, 40, 40)))
    >>> image[10:30, 10:30, 10:30] += 100
    >>> round(background_noise(image))
    5
    """
    whole = np.asarray(magnitude, np.float64)
    values = whole[np.isfinite(whole)]
    # air that was taken out is NaN, or has one value
    if values.size < (1 - MOST_UNKNOWN) * whole.size or values.size == 0:
        return float("nan")
    if np.mean(values == values.min()) > MOST_UNKNOWN:
        return float("nan")
    top = float(np.quantile(values, 0.02)) * 10.0
    low = values[values <= top]
    if not low.size:
        return float("nan")
    for _ in range(50):
        noise = float(np.sqrt(np.mean(low**2) / 2))
        kept = values[values <= 4 * noise]
        if kept.size in {low.size, 0}:
            break
        low = kept
    # where nothing is brighter than air, there is no air: a head fills the image
    is_air = 0.05 * values.size <= low.size <= ALL_AIR * values.size
    return noise if is_air else float("nan")


def off_decay(
    magnitudes: Sequence[ArrayLike], echo_times_s: Sequence[float], fit: DecayFit
) -> float:
    """Measure how far the echoes lie off the decay that was fitted to them.

    Parameters
    ----------
    magnitudes : sequence of (I, J, K) arrays
        One image for each echo, in any unit.
    echo_times_s : sequence of floats
        Their echo times in seconds.
    fit : DecayFit
        What `fit_decay` made of them.

    Returns
    -------
    float
        Of the echo that is furthest off, in the median of what is bright in the first echo, in
        shares of the fitted signal; NaN where fewer than 100 voxels tell.

    Raises
    ------
    UnfitImageError
        If a later echo is no darker than an earlier one: then echoes are in another order than
        their times, of another gain, or one is there twice.

    Examples
    --------
    >>> times = [0.005, 0.010, 0.020]
    >>> images = [np.full((5, 5, 5), 100.0 * np.exp(-30 * t)) for t in times]
    >>> off_decay(images, times, fit_decay(images, times)) < 1e-5
    True
    """
    order = [int(number) for number in np.argsort(echo_times_s)]
    times = np.asarray(echo_times_s, np.float64)[order]
    first = np.asarray(magnitudes[order[0]], np.float64)
    known = first[np.isfinite(first)]
    whole = (first > HEAD_SHARE * np.percentile(known, 99)) & (fit.n_echoes == len(order))
    whole &= np.isfinite(fit.rate)
    if np.count_nonzero(whole) < FEWEST_VOXELS:
        return float("nan")
    signals = [np.asarray(magnitudes[number], np.float64)[whole] for number in order]
    for number in range(1, len(order)):
        rise = float(np.median(np.log(signals[number] / signals[number - 1])))
        is_one = np.array_equal(signals[number], signals[number - 1])
        if rise > RISING or is_one:
            seen = "has the same values as" if is_one else f"is {100.0 * rise:.0f} % brighter than"
            raise UnfitImageError(
                f"the echo at {1000.0 * times[number]:g} ms {seen} the one at "
                f"{1000.0 * times[number - 1]:g} ms: look whether EchoTime and images belong "
                "together, and whether all were scaled alike"
            )
    rate, start = fit.rate[whole].astype(np.float64), fit.signal[whole].astype(np.float64)
    pairs = zip(signals, times, strict=True)
    return max(abs(float(np.median(s / (start * np.exp(-rate * t)))) - 1) for s, t in pairs)


@njit(cache=True, nogil=True)
def _fit(signals, times, floor, fitted, counts, start, stop):  # type: ignore[no-untyped-def]
    fastest = FASTEST / times[0]
    for voxel in range(start, stop):
        n = 0
        while n < times.size and signals[voxel, n] > 0 and np.isfinite(signals[voxel, n]):
            n += 1
        rate, level = 0.0, 0.0
        for turn in range(N_ROUNDS + 1):
            if n < LEAST_ECHOES:
                break
            w, wt, wtt, wy, wty = 0.0, 0.0, 0.0, 0.0, 0.0
            for echo in range(n):
                weight = 1.0 if turn == 0 else np.exp(-2.0 * rate * (times[echo] - times[0]))
                y = np.log(signals[voxel, echo] / signals[voxel, 0])
                w += weight
                wt += weight * times[echo]
                wtt += weight * times[echo] ** 2
                wy += weight * y
                wty += weight * times[echo] * y
            slope = (w * wty - wt * wy) / (w * wtt - wt * wt)
            rate, level = -slope, (wy - slope * wt) / w
            # by the fitted signal: by the measured one, the echoes that noise raised would be kept
            above = 0
            while above < n and _at(level, rate, times[above]) * signals[voxel, 0] > floor:
                above += 1
            n = above
        counts[voxel] = n
        if n >= LEAST_ECHOES and rate <= fastest:
            fitted[voxel, 0] = rate
            fitted[voxel, 1] = np.exp(level) * signals[voxel, 0]


@njit(cache=True, nogil=True)
def _at(level, rate, time):  # type: ignore[no-untyped-def]
    """Return a fitted signal, relative to the first measured one."""
    return np.exp(level - rate * time)
