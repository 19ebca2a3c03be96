"""A known decay comes back, however slow, noisy or buried; and what is no magnitude is refused."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.contrasts import background_noise, fit_decay

# the ten echoes of the study of 299 people
TIMES = 0.0068 + 0.0041 * np.arange(10)
SHAPE = (20, 20, 20)


def echoes(rate: float, noise: float = 0.0, times: np.ndarray = TIMES) -> list[np.ndarray]:
    """Magnitudes of a signal of 1 that decays, with the noise of a receiver."""
    rng = np.random.default_rng(1)
    parts = rng.standard_normal((2, len(times), *SHAPE)) * noise
    return [
        np.abs(np.exp(-rate * time) + parts[0, number] + 1j * parts[1, number])
        for number, time in enumerate(times)
    ]


@pytest.mark.parametrize("rate", [0.0, 2.0, 20.0, 60.0, 95.0])
@pytest.mark.parametrize("times", [TIMES, TIMES[::-1], np.array([0.004, 0.005, 0.03])])
def test_without_noise_the_rate_and_the_signal_are_exact(rate: float, times: np.ndarray) -> None:
    fit = fit_decay(echoes(rate, times=times), times)
    assert np.abs(fit.rate - rate).max() < 2e-3
    assert np.abs(fit.signal - 1).max() < 1e-4
    assert (fit.n_echoes == len(times)).all()


@pytest.mark.parametrize(("rate", "snr", "bias"), [(20, 50, 0.1), (20, 15, 0.5), (60, 15, 2.5)])
def test_noise_moves_the_mean_by_little(rate: float, snr: float, bias: float) -> None:
    fit = fit_decay(echoes(rate, 1 / snr), TIMES, noise=1 / snr)
    assert abs(np.nanmean(fit.rate) - rate) < bias
    assert np.isfinite(fit.rate).mean() > 0.98


def test_a_decay_into_the_noise_has_no_rate() -> None:
    fit = fit_decay(echoes(300, 1 / 15), TIMES, noise=1 / 15)
    assert np.isnan(fit.rate).mean() > 0.99
    # without the floor a number would come out, and a wrong one; but none above the fastest
    fit = fit_decay(echoes(300, 1 / 15), TIMES)
    assert not (fit.rate > 1 / (1.5 * TIMES[0])).any()


def test_echoes_after_the_decay_into_the_noise_do_not_count() -> None:
    fit = fit_decay(echoes(60.0), TIMES, noise=0.1)
    assert (fit.n_echoes == np.count_nonzero(np.exp(-60 * TIMES) > 0.3)).all()
    assert np.abs(fit.rate - 60).max() < 2e-3


def test_voxels_outside_the_mask_and_without_signal_are_not_a_number() -> None:
    images = echoes(20.0)
    images[0][0] = np.nan
    images[1][1] = 0
    mask = np.ones(SHAPE, bool)
    mask[2] = False
    fit = fit_decay(images, TIMES, mask=mask)
    assert np.isnan(fit.rate[:3]).all()
    assert np.isfinite(fit.rate[3:]).all()


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (TIMES[:9], "9 echo times for 10 images"),
        ([*TIMES[:9], np.nan], "has to be a positive number"),
        ([*TIMES[:9], TIMES[0]], "same echo time"),
        (TIMES * 1000, "milliseconds"),
        (-TIMES, "has to be a positive number"),
    ],
)
def test_echo_times_that_cannot_be_are_refused(times: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_decay(echoes(20.0), times)


def test_two_echoes_a_phase_and_another_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        fit_decay(echoes(20.0)[:2], TIMES[:2])
    phase = [np.random.default_rng(0).uniform(-3, 3, SHAPE) for _ in TIMES]
    with pytest.raises(UnfitImageError, match="phase image"):
        fit_decay(phase, TIMES)
    other = echoes(20.0)
    other[3] = other[3][:-1]
    with pytest.raises(ValueError, match="echo 4 has shape"):
        fit_decay(other, TIMES)


def test_noise_is_read_from_the_air_and_not_where_there_is_none() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, 40, 40, 40)) * 7
    head = np.zeros((40, 40, 40))
    head[10:30, 10:30, 10:30] = 150
    image = np.abs(head + noise[0] + 1j * noise[1])
    assert background_noise(image) == pytest.approx(7, rel=0.03)
    assert np.isnan(background_noise(np.where(head > 0, image, 0)))
    assert np.isnan(background_noise(np.full((5, 5, 5), 3.0)))
