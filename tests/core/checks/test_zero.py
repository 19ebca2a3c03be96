"""The value of no signal: where it is told, and where it stays 0."""

import numpy as np
import pytest

from wmhflow.core.checks.zero import zero_level

SHAPE = (30, 34, 28)


def head(noise=8.0):
    """A head of 300 with fluid of 60 in air that is noise."""
    rng = np.random.default_rng(4)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    away = np.sqrt(sum(axis**2 for axis in axes))
    clean = np.where(away < 0.8, 300.0, 0.0)
    clean[away < 0.25] = 60
    parts = rng.normal(0, noise, (2, *SHAPE))
    return np.hypot(clean + parts[0], parts[1]).astype(np.float32), away < 0.8


def padded(image, value):
    return np.pad(image, 12, constant_values=value)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("offset", [150.0, 300.0, 10000.0, -300.0, -1000.0])
def test_an_offset_is_told_in_any_unit(offset, factor):
    image, _ = head()
    moved = (image + offset) * factor
    assert zero_level(moved) == pytest.approx(offset * factor, abs=10 * factor)
    flat = np.where(image > 50, image, 0)
    assert zero_level((flat + offset) * factor) == pytest.approx(offset * factor, rel=1e-4)


def test_a_stripped_brain_on_another_value_than_0():
    image, brain = head()
    for level in (1000.0, -100.0):
        assert zero_level(np.where(brain, image, 0) + level) == level


def test_z_scores_of_a_whole_head():
    image, _ = head()
    scores = (image - image.mean()) / image.std()
    assert zero_level(scores) == pytest.approx(float(scores.min()), abs=0.05)


@pytest.mark.parametrize("noise", [0.0, 8.0, 40.0])
def test_magnitudes_stay_as_they_are(noise):
    image, brain = head(noise)
    assert zero_level(image) == 0
    assert zero_level(image - 15) == 0, "interpolation leaves a little below 0"
    # a brain without its dark parts is no image with an offset
    assert zero_level(np.where(brain & (image > 200), image, 0)) == 0
    for value in (0.0, 150.0, 4095.0, -1024.0, -2000.0):
        assert zero_level(padded(image, value)) == 0, value


def test_scores_on_0_and_nothing_at_all():
    image, brain = head()
    assert zero_level(np.where(brain, (image - 250) / 80, 0)) == 0
    assert zero_level(np.zeros(SHAPE, np.float32)) == 0
    assert zero_level(np.full(SHAPE, 7, np.float32)) == 0


@pytest.mark.parametrize("cut", [(0, 8), (1, 8), (2, 9)])
def test_a_tight_field_of_view_with_an_offset(cut):
    image, _ = head()
    moved = np.moveaxis(np.moveaxis(image, cut[0], 0)[cut[1] :], 0, cut[0]) + 5000
    assert zero_level(moved) == pytest.approx(5000, abs=10)


def test_inverted_and_wrapped_images_are_left_to_those_who_name_them():
    image, _ = head()
    assert zero_level(1000 - image) == 0
    wrapped = (image * 140).astype(np.int64).astype(np.uint16).view(np.int16)
    assert wrapped.min() < -20000
    assert zero_level(wrapped.astype(np.float32)) == 0
