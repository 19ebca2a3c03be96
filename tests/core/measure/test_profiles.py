"""Profiles over shells."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.measure.coverage import coverage_weights
from wmhflow.core.measure.penumbra import Penumbra, fit_penumbra
from wmhflow.core.measure.profiles import profile
from wmhflow.core.measure.statistics import region_statistics
from wmhflow.core.regions.shells import shell_labels


def sampled(values, labels):
    weights = coverage_weights(labels, np.eye(4), labels.shape, np.eye(4))
    return region_statistics(values, weights)


def same_columns(column):
    """Return statistics that all have the same values."""
    return {name: list(column) for name in ("index", "n_effective", "mean", "sd", "median")}


def test_a_planted_profile_is_found_again():
    lesions = np.zeros((3, 3, 61), dtype=int)
    lesions[..., 30] = 1
    labels, _, distance = shell_labels(lesions, 1, [False], lesions == 0, (1, 1, 1), lesions < 0)
    shells = [1200 + s for s in range(1, 8)]
    values = 1 + np.exp(-np.maximum(distance, 0) / 3)
    distances = ndimage.mean(distance, labels, shells)
    # Two voxels on each side, at 1 and 2 mm, at 3 and 4 mm ...
    assert np.allclose(distances, np.arange(1.5, 15, 2))
    columns = profile(sampled(values, labels), shells, 1250, distances)
    steps = np.arange(1, 15).reshape(7, 2)
    assert np.allclose(columns["mean"], (1 + np.exp(-steps / 3)).mean(axis=1))
    rest = (1 + np.exp(-np.arange(15, 31) / 3)).mean()
    assert np.allclose(columns["reference_mean"], rest)
    assert np.allclose(columns["difference"], columns["mean"] - rest)
    assert (columns["n_effective"] == 36).all()
    assert columns["shell"].tolist() == shells


def test_shells_come_in_the_order_asked_for_and_missing_ones_are_empty():
    statistics = {
        "index": np.array([3, 1, 9]),
        "n_effective": np.array([4.0, 5.0, 6.0]),
        "mean": np.array([30.0, 10.0, 1.0]),
        "sd": np.array([3.0, 1.0, 9.0]),
        "median": np.array([31.0, 11.0, 2.0]),
    }
    columns = profile(statistics, [1, 2, 3], 9)
    for name, expected in {
        "mean": [10, np.nan, 30],
        "median": [11, np.nan, 31],
        "sd": [1, np.nan, 3],
        "n_effective": [5, np.nan, 4],
        "reference_mean": [1, 1, 1],
        "difference": [9, np.nan, 29],
        "distance_mean": [np.nan] * 3,
    }.items():
        assert np.array_equal(columns[name], expected, equal_nan=True), name


def test_without_a_reference_there_is_no_difference():
    statistics = same_columns([1])
    columns = profile(statistics, [1], 50)
    assert columns["mean"].tolist() == [1]
    assert np.isnan(columns["difference"]).all()
    assert np.isnan(columns["reference_mean"]).all()


def test_wrong_arguments_are_named():
    statistics = same_columns([1, 1])
    with pytest.raises(ValueError, match="region twice"):
        profile(statistics, [1], 50)
    statistics = same_columns([1])
    with pytest.raises(ValueError, match="for 1 shells"):
        profile(statistics, [1], 50, [1.0, 2.0])
    with pytest.raises(KeyError, match="median"):
        profile({"index": [1], "n_effective": [1], "mean": [1], "sd": [1]}, [1], 50)


SHELLS = np.arange(1.0, 14, 2)


def fitted(truth, *, noise=0.0, seed=0, n=400, sd=0.2, plateau=None, distance=SHELLS):
    """Fit the profile of a function of distance, with the noise that its errors promise."""
    rng = np.random.default_rng(seed)
    values = truth(distance) + noise * rng.normal(0, sd / np.sqrt(n), distance.size)
    return fit_penumbra(
        distance,
        values,
        np.full(distance.size, n),
        np.full(distance.size, sd),
        plateau_mean=truth(np.array(99.0)) if plateau is None else plateau,
        plateau_n_effective=100 * n,
        plateau_sd=sd,
    )


def ramp(width, slope=0.05, plateau=0.7):
    """Return a profile that reaches its plateau at `width`."""
    return lambda distance: plateau + slope * np.maximum(0, width - distance)


def tent(distance):
    """Return an inverted U: its peak at 4 mm, its plateau from 10 mm."""
    return 0.4 + 0.05 * np.maximum(0, 10 - distance) - 0.15 * np.maximum(0, 4 - distance)


@pytest.mark.parametrize("width", [3.5, 6.0, 7.25, 10.0, 11.5])
@pytest.mark.parametrize("slope", [0.05, -0.05])
def test_the_width_of_a_ramp_is_found(width, slope):
    fit = fitted(ramp(width, slope))
    assert fit.model == "hinge"
    assert fit.reason == ""
    assert fit.width_mm == pytest.approx(width, abs=0.06)
    assert fit.width_lo <= fit.width_mm <= fit.width_hi
    assert fit.plateau == pytest.approx(0.7, abs=1e-3)
    assert fit.amplitude == pytest.approx(slope * width, rel=0.03)
    assert np.isnan(fit.peak_mm)


def test_a_turning_profile_has_a_second_hinge():
    fit = fitted(tent, n=10_000)
    assert fit.model == "two hinges"
    assert fit.peak_mm == pytest.approx(4, abs=0.1)
    assert fit.width_mm == pytest.approx(10, abs=0.1)
    assert fit.amplitude == pytest.approx(0.3, abs=0.01)
    assert fit.plateau == pytest.approx(0.4, abs=1e-3)


def test_units_do_not_matter():
    one, other = fitted(tent, n=10_000), fitted(lambda d: 1000 * tent(d), n=10_000, sd=200)
    for name in ("width_mm", "width_lo", "width_hi", "peak_mm"):
        assert getattr(one, name) == pytest.approx(getattr(other, name))
    assert other.amplitude == pytest.approx(1000 * one.amplitude)


@pytest.mark.slow
def test_the_confidence_interval_holds_the_truth_as_often_as_it_says():
    fits = [fitted(ramp(6.4), noise=1, seed=seed) for seed in range(100)]
    assert sum(fit.width_lo <= 6.4 <= fit.width_hi for fit in fits) >= 90
    # It is no wider than needed either: it follows the noise.
    widths = [fit.width_hi - fit.width_lo for fit in fits]
    precise = [fitted(ramp(6.4), noise=1, seed=seed, n=40_000) for seed in range(20)]
    assert np.median([fit.width_hi - fit.width_lo for fit in precise]) < 0.2 * np.median(widths)


def test_noise_alone_gives_no_width():
    fits = [fitted(lambda d: 0.5 + 0 * d, noise=1, seed=seed) for seed in range(100)]
    flat = [fit for fit in fits if fit.model == "flat"]
    assert len(flat) >= 92
    assert all(np.isnan(fit.width_mm) and fit.reason == "no change with distance" for fit in flat)


def test_a_profile_that_goes_on_changing_has_no_width():
    fit = fitted(ramp(30), plateau=0.7)
    assert np.isnan(fit.width_mm)
    assert "not reached" in fit.reason
    assert np.isnan([fit.width_lo, fit.width_hi, fit.peak_mm, fit.amplitude]).all()


def test_a_limit_beyond_the_last_shell_is_open():
    fit = fitted(ramp(11.0, 0.004), n=100)
    assert fit.model in {"hinge", "flat"}
    fit = fitted(ramp(12.0, 0.02), n=150)
    assert fit.width_mm == pytest.approx(12, abs=0.2)
    assert np.isnan(fit.width_hi)
    assert "upper limit" in fit.reason


def test_missing_data_gives_a_reason():
    assert "only 3 shells" in fitted(ramp(3), distance=SHELLS[:3]).reason
    assert "beyond the last shell" in fitted(ramp(3), plateau=np.nan).reason
    means = ramp(6)(SHELLS)
    means[2:6] = np.nan
    numbers = np.full(7, 50.0)
    ends = {"plateau_mean": 0.7, "plateau_n_effective": 9, "plateau_sd": 0.1}
    fit = fit_penumbra(SHELLS, means, numbers, numbers, **ends)
    assert "only 3 shells" in fit.reason
    assert isinstance(fit, Penumbra)
    with pytest.raises(ValueError, match="does not rise"):
        fit_penumbra(SHELLS[::-1], ramp(6)(SHELLS), numbers, numbers, **ends)
    with pytest.raises(ValueError, match="inhomogeneous"):
        fit_penumbra(SHELLS, ramp(6)(SHELLS), numbers[1:], numbers, **ends)


def test_a_map_without_noise_is_fitted():
    fit = fitted(ramp(6), sd=0.0)
    assert fit.width_mm == pytest.approx(6, abs=0.06)
    assert fitted(lambda d: 1 + 0 * d, sd=0.0).model == "flat"
