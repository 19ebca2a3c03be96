"""Ratios are exact, their scale cancels, and images that make no ratio are refused."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.contrasts import (
    check_fluid_is_bright,
    check_same_settings,
    rate_from_time,
    relative_ratio,
    transfer_ratio,
)

SHAPE = (8, 9, 10)


def times_s() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.6, 2.0, SHAPE)


@pytest.mark.parametrize(("unit", "factor"), [(1.0, 1.0), (1000.0, 1e-3)])
def test_seconds_and_milliseconds_give_one_rate(unit: float, factor: float) -> None:
    found = rate_from_time(times_s() * unit)
    assert found.seconds_per_unit == factor
    assert np.allclose(found.rate, 1 / times_s(), rtol=1e-6)


def test_no_time_has_no_rate() -> None:
    time = times_s()
    time[0], time[1], time[2] = 0, -1, np.nan
    rate = rate_from_time(time).rate
    assert np.isnan(rate[:3]).all()
    assert np.isfinite(rate[3:]).all()


@pytest.mark.parametrize("unit", [30.0, 1e-3, 1e5])
def test_a_unit_that_is_neither_is_refused(unit: float) -> None:
    with pytest.raises(UnfitImageError, match="look at its unit"):
        rate_from_time(times_s() * unit)
    with pytest.raises(UnfitImageError, match="its median is nan"):
        rate_from_time(np.zeros(SHAPE))


def test_the_unit_is_told_by_the_brain_alone() -> None:
    time = times_s()
    brain = np.zeros(SHAPE, bool)
    brain[:2] = True
    time[~brain] = 4000
    assert rate_from_time(time, brain).seconds_per_unit == 1


def test_the_transfer_ratio_is_exact_and_nothing_where_there_is_no_signal() -> None:
    off = np.full(SHAPE, 200.0)
    off[0], off[1] = 0, 2
    on = 0.63 * off
    found = transfer_ratio(on, off, noise=1.0)
    assert np.isnan(found[:2]).all()
    assert np.allclose(found[2:], 37, atol=1e-4)
    assert np.allclose(transfer_ratio(9 * on, 9 * off)[2:], 37, atol=1e-4)


def test_exchanged_and_negative_images_are_refused() -> None:
    off = np.full(SHAPE, 200.0)
    with pytest.raises(UnfitImageError, match="exchanged"):
        transfer_ratio(off, 0.7 * off)
    with pytest.raises(UnfitImageError, match="negative"):
        transfer_ratio(-off, off)


def test_settings_that_differ_are_named() -> None:
    first = {"FlipAngle": 6, "RepetitionTimeExcitation": 0.03, "EchoTime": 0.005, "Only": 1}
    names = ["FlipAngle", "RepetitionTimeExcitation", "Only", "None"]
    check_same_settings(first, {**first, "EchoTime": 0.009}, names)
    other = {"FlipAngle": 9, "RepetitionTimeExcitation": 0.04}
    with pytest.raises(UnfitImageError, match=r"FlipAngle 6 and 9; RepetitionTimeExcitation"):
        check_same_settings(first, other, names)


def test_the_scale_of_either_image_cancels() -> None:
    rng = np.random.default_rng(0)
    t1w, t2w = rng.uniform(50, 100, (2, *SHAPE))
    reference = rng.random(SHAPE) < 0.4
    found, middle = relative_ratio(t1w, t2w, reference)
    scaled, _ = relative_ratio(7 * t1w, 0.1 * t2w, reference)
    assert np.allclose(found, scaled, rtol=1e-5)
    assert np.allclose(found * middle, t1w / t2w, rtol=1e-5)
    assert np.median(found[reference]) == pytest.approx(1, rel=1e-6)


def test_no_ratio_without_signal_or_reference() -> None:
    t1w, t2w = np.full((2, *SHAPE), 5.0)
    t2w[0], t1w[1] = 0, np.nan
    found, _ = relative_ratio(t1w, t2w, np.ones(SHAPE, bool))
    assert np.isnan(found[:2]).all()
    few = np.zeros(SHAPE, bool)
    few[3, 3, :5] = True
    with pytest.raises(UnfitImageError, match="has 5 voxels"):
        relative_ratio(t1w, t2w, few)


def test_a_flair_is_no_t2w() -> None:
    fluid, white = np.zeros((2, *SHAPE), bool)
    fluid[0], white[4:] = True, True
    t2w = np.where(fluid, 300.0, 90.0)
    check_fluid_is_bright(t2w, fluid, white)
    with pytest.raises(UnfitImageError, match="FLAIR"):
        check_fluid_is_bright(np.where(fluid, 20.0, 90.0), fluid, white)
    with pytest.raises(UnfitImageError, match="no voxel of fluid"):
        check_fluid_is_bright(t2w, ~np.ones(SHAPE, bool), white)
