"""Unwrapped phases differ from what was given by whole turns, and are what was wrapped."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.susceptibility import unwrap_phase

TURN = 2 * np.pi
SHAPE = (20, 22, 18)


def smooth_phase(scale: float) -> np.ndarray:
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    return scale * (grid[0] ** 2 + 0.7 * grid[1] * grid[2] + 0.4 * np.sin(3 * grid[1]))


def wrapped(phase: np.ndarray) -> np.ndarray:
    return np.angle(np.exp(1j * phase))


@pytest.mark.parametrize("scale", [1.0, 9.0])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_phase_that_was_wrapped_comes_back_but_for_whole_turns(scale, noise) -> None:
    rng = np.random.default_rng(0)
    truth = smooth_phase(scale) + noise * rng.standard_normal(SHAPE)
    found = unwrap_phase(wrapped(truth), np.ones(SHAPE, bool))
    turns = (found - truth) / TURN
    assert np.abs(turns - np.round(turns)).max() < 1e-5
    assert np.ptp(np.round(turns)) == 0
    assert abs(np.median(found)) <= np.pi


def test_it_is_exact_where_the_true_phase_jumps() -> None:
    truth = smooth_phase(6.0)
    truth[11:] += 4.0
    found = unwrap_phase(wrapped(truth), np.ones(SHAPE, bool))
    assert np.allclose(wrapped(found), wrapped(truth), atol=1e-5)


def test_it_goes_around_noise_and_not_through_it() -> None:
    truth = smooth_phase(12.0)
    given = wrapped(truth)
    noisy = np.zeros(SHAPE, bool)
    noisy[8:14, 8:15, 6:13] = True
    given[noisy] = np.random.default_rng(0).uniform(-np.pi, np.pi, noisy.sum())
    turns = np.round((unwrap_phase(given, np.ones(SHAPE, bool)) - truth)[~noisy] / TURN)
    assert np.ptp(turns) == 0


def test_any_order_in_memory_and_any_turn_of_the_grid_give_the_same() -> None:
    rng = np.random.default_rng(3)
    given = wrapped(smooth_phase(15.0) + 0.3 * rng.standard_normal(SHAPE))
    mask = rng.random(SHAPE) < 0.97
    found = unwrap_phase(given, mask)
    assert np.array_equal(unwrap_phase(np.asfortranarray(given), np.asfortranarray(mask)), found)
    turned = unwrap_phase(given.transpose(2, 0, 1)[::-1], mask.transpose(2, 0, 1)[::-1])
    assert np.allclose(turned[::-1].transpose(1, 2, 0), found, atol=1e-5)


def test_parts_are_unwrapped_apart_and_nothing_outside_the_mask_counts() -> None:
    truth = smooth_phase(12.0)
    mask = np.ones(SHAPE, bool)
    mask[10] = False
    given = np.where(mask, wrapped(truth), np.nan)
    found = unwrap_phase(given, mask)
    assert (found[10] == 0).all()
    for part in (slice(0, 10), slice(11, None)):
        assert np.ptp(np.round((found[part] - truth[part]) / TURN)) == 0
    assert (unwrap_phase(given, np.zeros(SHAPE, bool)) == 0).all()


def test_a_phase_that_is_not_finite_and_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        unwrap_phase(np.full(SHAPE, np.nan), np.ones(SHAPE, bool))
    with pytest.raises(ValueError, match="shape"):
        unwrap_phase(np.zeros(SHAPE), np.ones((2, 2, 2), bool))
