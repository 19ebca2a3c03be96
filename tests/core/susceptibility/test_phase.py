"""Phases are read however they are stored, and refused where they cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.susceptibility import (
    check_sign,
    field_of,
    phases_in_radians,
    quantify_susceptibility,
    reference_offset,
)

N, HZ_PER_PPM = 28, 42.577478 * 3
TIMES = np.array([0.004, 0.009, 0.014, 0.019])
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
WAYS = {
    "radians": lambda turned: turned,
    "from 0": lambda turned: turned % (2 * np.pi),
    "milliradians": lambda turned: 1000 * turned,
    "12 bits": lambda turned: np.round((turned + np.pi) / (2 * np.pi) * 4095),
    "signed": lambda turned: np.round(turned / np.pi * 4096),
    "degrees": np.degrees,
    "degrees from 0": lambda turned: np.degrees(turned) % 360,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_phase_is_read_however_it_is_stored(way: str) -> None:
    truth = np.random.default_rng(0).uniform(-np.pi, np.pi, (2, 20, 20, 20))
    found = phases_in_radians(list(WAYS[way](truth)))
    apart = np.exp(1j * (np.array(found) - truth))
    # the same but for a constant, which is no field
    assert np.abs(np.angle(apart / apart.ravel()[0])).max() < 0.003


def test_a_stated_unit_counts_and_what_is_no_turn_is_refused() -> None:
    small = [np.linspace(-1, 1, 27).reshape(3, 3, 3)]
    for unit, factor in (("rad", 1), ("mrad", 1000), ("degrees", 180 / np.pi)):
        assert np.allclose(phases_in_radians([factor * small[0]], unit), small)
    for phases, unit, why in (
        (small, None, "no turn in radians"),
        ([500 * small[0]], "rad", "no turn in radians"),
        (small, "Hz", "its unit is 'Hz'"),
        ([np.full((3, 3, 3), np.nan)], "rad", "not finite"),
    ):
        with pytest.raises(UnfitImageError, match=why):
            phases_in_radians(phases, unit)


def scan() -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray, np.ndarray]:
    """Return phases, magnitudes, brain and susceptibility of a round brain."""
    mm = 2 * (np.indices((N, N, N)) - (N - 1) / 2)
    brain = (mm**2).sum(axis=0) < 23**2
    chi = np.zeros(brain.shape)
    for centre, value in (((10, 6, 0), 0.12), ((-12, 0, 6), -0.06)):
        chi[((mm - np.array(centre)[:, None, None, None]) ** 2).sum(axis=0) < 7**2] = value
    chi = ndimage.gaussian_filter(chi, 0.6)
    field = HZ_PER_PPM * field_of(chi, AFFINE) + 1.2 * mm[0] - 0.02 * mm[1] * mm[2]
    rng = np.random.default_rng(1)
    signals = [
        np.where(brain, np.exp(1j * (0.5 + 0.01 * mm[1] + 2 * np.pi * field * t) - 20 * t), 0)
        + 0.02 * (rng.standard_normal(brain.shape) + 1j * rng.standard_normal(brain.shape))
        for t in TIMES
    ]
    return [np.angle(s) for s in signals], [np.abs(s) for s in signals], brain, chi


@pytest.mark.slow
def test_susceptibility_comes_back_from_noisy_wrapped_phases() -> None:
    phases, magnitudes, brain, chi = scan()
    found = quantify_susceptibility(phases, magnitudes, TIMES, brain, AFFINE, 3.0)
    assert found.mask.sum() > 0.7 * brain.sum()
    assert np.isnan(found.chi_ppm[~found.mask]).all()
    assert np.nanmean(found.chi_ppm) == pytest.approx(0, abs=1e-6)
    a, b = (part[found.mask] - part[found.mask].mean() for part in (found.chi_ppm, chi))
    assert np.linalg.norm(a - b) / np.linalg.norm(b) < 0.5
    # at another field strength the same phases are another susceptibility, in proportion
    shuffled = [2, 0, 3, 1]
    other = quantify_susceptibility(
        [phases[i] for i in shuffled], [magnitudes[i] for i in shuffled], TIMES[shuffled],
        brain, AFFINE, 3.0,
    )  # fmt: skip
    assert np.allclose(other.chi_ppm[found.mask], found.chi_ppm[found.mask], atol=1e-6)


def bad_scans():
    phases, magnitudes, brain, _ = scan()
    gradient = np.linspace(-1, 1, N)[:, None, None]
    alternating = [p + (i % 2) * (0.8 + gradient) for i, p in enumerate(phases)]
    turning = np.arctan2(*(np.indices((N, N, N))[:2] - (N - 1) / 2 + 0.1))
    rng = np.random.default_rng(0)
    noise = [rng.uniform(-np.pi, np.pi, brain.shape) for _ in TIMES]
    return {
        "bipolar": (alternating, magnitudes, TIMES, brain, 3.0, "bipolar"),
        "open fringes": ([p + turning for p in phases], magnitudes, TIMES, brain, 3.0, "fringes"),
        "noise": (noise, magnitudes, TIMES, brain, 3.0, "not of one scan"),
        "fewer magnitudes": (phases, magnitudes[:3], TIMES, brain, 3.0, "3 magnitudes"),
        "two echoes": (phases[:2], magnitudes[:2], TIMES[:2], brain, 3.0, "at least 3"),
        "other times": (phases, magnitudes, TIMES[:3], brain, 3.0, "one for each"),
        "equal times": (phases, magnitudes, TIMES * [1, 1, 0, 0] + 0.01, brain, 3.0, "same echo"),
        "milliseconds": (phases, magnitudes, TIMES * 1000, brain, 3.0, "seconds between 0 and 1"),
        "no field": (phases, magnitudes, TIMES, brain, 0.0, "in tesla"),
        "another grid": (phases, magnitudes, TIMES, brain[1:], 3.0, "one grid"),
    }


@pytest.mark.parametrize("what", list(bad_scans()))
def test_a_scan_that_cannot_be_used_is_refused_with_the_reason(what: str) -> None:
    phases, magnitudes, times, brain, strength, why = bad_scans()[what]
    with pytest.raises(ValueError, match=why):
        quantify_susceptibility(phases, magnitudes, times, brain, AFFINE, strength)


def test_the_sign_is_told_by_iron_and_the_reference_by_a_region() -> None:
    check_sign(0.1, -0.02)
    for iron, white in ((-0.1, 0.02), (float("nan"), 0.0), (0.01, 0.01)):
        with pytest.raises(UnfitImageError, match="opposite sign"):
            check_sign(iron, white)
    chi = np.linspace(0, 1, 64).reshape(4, 4, 4)
    half = np.where(chi > 0.5, 0.5, 0.0)
    assert np.isnan(reference_offset(chi, half))
    assert reference_offset(chi, 2 * half) == pytest.approx(chi[chi > 0.5].mean())
