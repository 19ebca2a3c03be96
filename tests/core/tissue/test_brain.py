"""Brain masks: what is stripped, what is a head, and what is tidied away."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.arrays import masks
from wmhflow.core.tissue import brain
from wmhflow.core.tissue.brain_mask import refine_brain_mask


def sphere(shape, centre, radius):
    grid = np.indices(shape)
    return sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)) <= radius**2


def test_a_ball_in_air_is_stripped_and_a_head_with_a_neck_is_not() -> None:
    ball = sphere((80, 80, 80), (40, 40, 40), 34).astype(float)
    assert brain.looks_skull_stripped(ball, 8.0)
    head = ball.copy()
    head[20:60, 20:60, :40] = 2
    assert not brain.looks_skull_stripped(head, 8.0)
    assert not brain.looks_skull_stripped(ball, 1.0)


def test_background_need_not_be_zero() -> None:
    image = np.where(sphere((40, 40, 40), (20, 20, 20), 10), 5.0, -3.0)
    assert brain.background_value(image) == -3
    assert brain.filled_foreground(image).sum() == (image == 5).sum()


def test_noise_has_no_background() -> None:
    noise = np.random.default_rng(0).random((20, 20, 20))
    assert brain.background_value(noise) is None
    assert not brain.filled_foreground(noise).any()


@pytest.mark.parametrize("sizes", [(1.0, 1.0, 1.0), (0.5, 1.0, 4.0)])
def test_growing_is_in_millimetres(sizes) -> None:
    mask = np.zeros((21, 21, 21), bool)
    mask[10, 10, 10] = True
    grown = masks.within(mask, 4.0, sizes)
    for axis, size in enumerate(sizes):
        line = np.moveaxis(grown, axis, 0)[:, 10, 10]
        assert line.sum() == 1 + 2 * int(4.0 / size)


def test_shrinking_is_growing_of_the_outside_and_ends_at_no_border() -> None:
    mask = sphere((21, 21, 21), (10, 10, 10), 7)
    sizes = (1.0, 0.9999999, 1.0000001)
    assert np.array_equal(masks.deeper(mask, 2.0, sizes), ~masks.within(~mask, 2.0, (1, 1, 1)))
    nothing, everything = np.zeros((5, 5, 5), bool), np.ones((5, 5, 5), bool)
    assert not masks.within(nothing, 3.0, sizes).any()
    assert masks.deeper(everything, 3.0, sizes).all()


def test_refining_drops_air_and_a_thin_bridge_to_the_scalp() -> None:
    image = np.where(sphere((60, 60, 60), (30, 30, 30), 20), 100.0, 0.0).astype(np.float32)
    image += np.random.default_rng(0).normal(0, 3, image.shape) * (image > 0)
    image[29:31, 29:31, 50:58] = 100
    rough = sphere((60, 60, 60), (30, 30, 30), 24) | (image > 50)
    refined = refine_brain_mask(image, rough, (1, 1, 1))
    truth = sphere((60, 60, 60), (30, 30, 30), 20)
    assert 2 * (refined & truth).sum() / (refined.sum() + truth.sum()) > 0.97
    assert not refined[:, :, 53:].any()
