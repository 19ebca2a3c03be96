"""The width of the penumbra does not hang on the last digits of what it is made of."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.accuracy import penumbra
from wmhflow.core.measure.penumbra import Penumbra, fit_shells
from wmhflow.core.measure.surroundings import shell_means, sum_map

# shells of 2 mm, in strata of 0.5 mm, and what lies beyond them
STRATA = np.append(np.arange(0.25, 14, 0.5), np.inf)
SHARES = np.zeros((8, STRATA.size))
SHARES[np.arange(28) // 4, np.arange(28)] = 0.25
SHARES[7, 28] = 1.0
# few lesions have few voxels in their shells
ERROR = {"few": 0.25, "many": 0.1}
NUMBERS = ("width_mm", "width_lo", "width_hi", "peak_mm")


def profile_of(planted: str) -> np.ndarray:
    """Return the height of what is planted in every stratum."""
    near = np.where(np.isfinite(STRATA), STRATA, 99.0)
    if planted == "flat":
        return 0 * near
    if planted == "hinge":
        return np.maximum(0, 6 - near) / 6
    if planted == "short hinge":
        return np.maximum(0, 1.5 - near) / 1.5
    if planted == "early peak":
        return np.maximum(0, 3.5 - near) - 2.5 * np.maximum(0, 1.5 - near)
    return np.maximum(0, 10 - near) / 6 - np.maximum(0, 4 - near) * 5 / 12


def drawn(planted: str, lesions: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the means of shells, of which neighbours are alike, and say their covariance."""
    apart = np.abs(np.subtract.outer(np.arange(8), np.arange(8)))
    error = ERROR[lesions] * np.array([1.2, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.1])
    covariance = 0.4**apart * np.outer(error, error)
    noise = np.linalg.cholesky(covariance) @ np.random.default_rng(seed).standard_normal(8)
    return 5 + SHARES @ profile_of(planted) + noise, covariance


def shaken(values: np.ndarray, rng: np.random.Generator, part: float) -> np.ndarray:
    """Return values of which each is off by up to so small a part of it."""
    return values * (1 + part * rng.uniform(-1, 1, values.shape))


def moved_by(first: Penumbra, other: Penumbra) -> float:
    """Return the most that a number in mm differs; infinite if model or reason do."""
    if (first.model, first.reason) != (other.model, other.reason):
        return np.inf
    pairs = [(getattr(first, name), getattr(other, name)) for name in NUMBERS]
    # a number that one lacks is a difference
    return max(
        np.inf if np.isnan(a) != np.isnan(b) else np.nan_to_num(abs(a - b)) for a, b in pairs
    )


@pytest.mark.parametrize("lesions", ["few", pytest.param("many", marks=pytest.mark.slow)])
@pytest.mark.parametrize("planted", ["flat", "hinge", "two hinges", "short hinge", "early peak"])
def test_last_digits_do_not_move_the_width(planted, lesions):
    mean, covariance = drawn(planted, lesions, 1)
    first = fit_shells(STRATA, mean, covariance, SHARES)
    for seed in range(50):
        rng = np.random.default_rng([seed, 3])
        # a covariance stays symmetric
        lower = np.tril(shaken(covariance, rng, 1e-12))
        spread = lower + np.tril(lower, -1).T
        again = fit_shells(STRATA, shaken(mean, rng, 1e-12), spread, shaken(SHARES, rng, 1e-12))
        assert moved_by(first, again) <= 1e-3, (first, again)


@pytest.mark.parametrize("planted", ["short hinge", "early peak"])
def test_what_shells_do_not_tell_apart_is_in_the_interval(planted):
    """A hinge within the first shell gives the same means wherever in it, and so for two hinges."""
    truth = {"short hinge": (1.5, 1.0, 2.25), "early peak": (3.5, 3.2, 4.25)}
    width, first, last = truth[planted]
    mean, covariance = 5 + SHARES @ profile_of(planted), 1e-8 * np.eye(8)
    found = fit_shells(STRATA, mean, covariance, SHARES)
    assert found.width_lo <= width <= found.width_hi
    assert found.width_lo == pytest.approx(first, abs=0.21)
    assert found.width_hi == pytest.approx(last, abs=0.21)
    assert found.width_mm == pytest.approx((first + last) / 2, abs=0.21)


@pytest.mark.parametrize("height", [0.0, 0.7, 1234.5])
def test_rounding_of_a_map_that_is_the_same_everywhere_is_no_profile(height):
    for seed in range(10):
        mean = shaken(np.full(8, height), np.random.default_rng(seed), 1e-15)
        assert fit_shells(STRATA, mean, np.zeros((8, 8)), SHARES).model == "flat"


@pytest.mark.slow
@pytest.mark.parametrize("lesions", penumbra.LESIONS)
@pytest.mark.parametrize("shape", ["flat", *penumbra.SHAPES])
def test_last_digits_of_a_map_do_not_move_the_width(shape, lesions):
    """The same of whole maps, from voxels on, where a width is least sure."""
    head = penumbra.simulated_head(penumbra.LESIONS[lesions], 0)
    values = 5 + penumbra.noise(4.7, 0)
    if shape != "flat":
        values += penumbra.SHAPES[shape].height(head.distance)
    everywhere = np.ones(values.shape, bool)

    def fitted(given):
        means = shell_means(sum_map(given, everywhere, head.around), head.around, [0])
        strata = head.around.distance_mm
        return fit_shells(strata, means.mean, means.covariance, means.composition)

    first = fitted(values)
    for seed in range(50):
        again = fitted(shaken(values, np.random.default_rng(seed), 1e-12))
        assert moved_by(first, again) <= 1e-3, (first, again)
