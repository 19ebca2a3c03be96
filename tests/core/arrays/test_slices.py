"""Slices that differ in brightness are made equal; what differs in them otherwise stays."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.arrays.slices import even_slices

SIZES = (2.0, 2.0, 6.0)
N_SLICES = 24


def head(lesions: bool = True):
    """Draw grey and white matter and fluid under a coil's field, with lesions in some slices."""
    x, y, z = np.indices((70, 84, N_SLICES), dtype=np.float32)
    away = ((x - 34.5) / 32) ** 2 + ((y - 41.5) / 39) ** 2 + ((z - 11.5) / 12) ** 2
    brain = away < 1
    image = np.where(away > 0.75, 120, 100) + np.random.default_rng(1).normal(0, 4, brain.shape)
    image[np.hypot(x - 34.5, y - 41.5) < 9] = 25
    if lesions:
        # a band that comes and goes from slice to slice
        image[(np.abs(x - 34.5) > 10) & (np.abs(x - 34.5) < 16) & (z % 5 < 3) & (z > 8)] = 170
    return (image * (1 + 0.01 * y) * (1 + 0.015 * z) * brain).astype(np.float32), brain


def differing(kind):
    """Give each slice a factor."""
    number = np.arange(N_SLICES)
    return {
        "none": np.ones(N_SLICES),
        "slow": 1 + 0.02 * number,
        "every second": np.where(number % 2, 1.2, 1.0),
        "every third": np.where(number % 3, 1.0, 1.25),
        "one": np.where(number == 11, 1.25, 1.0),
        "by chance": np.exp(np.random.default_rng(5).normal(0, 0.1, N_SLICES)),
    }[kind]


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("kind", ["every second", "every third", "one", "by chance"])
def test_slices_that_differ_are_made_equal_along_any_axis(kind, axes) -> None:
    image, brain = head()
    uneven = (image * differing(kind)).astype(np.float32)
    found, most = even_slices(
        np.transpose(uneven, axes), np.transpose(brain, axes), [SIZES[axis] for axis in axes]
    )
    assert most is not None
    assert most > 0.06
    left = np.log(np.transpose(found, np.argsort(axes))[brain] / image[brain])
    number = np.broadcast_to(np.arange(N_SLICES), brain.shape)[brain]
    factors = np.array([np.median(left[number == one]) for one in range(4, 20)])
    # from slice to slice; a slow change is no matter
    before = np.abs(np.diff(np.log(differing(kind))[4:20])).max()
    assert np.abs(np.diff(factors)).max() < 0.3 * before


@pytest.mark.parametrize("lesions", [False, True])
@pytest.mark.parametrize("kind", ["none", "slow"])
def test_what_differs_slowly_or_by_lesions_stays_to_the_bit(kind, lesions) -> None:
    image, brain = head(lesions)
    image = (image * differing(kind)).astype(np.float32)
    found, most = even_slices(image, brain, SIZES)
    assert found is image
    assert most is not None
    assert most < 0.04


@pytest.mark.parametrize(
    ("sizes", "slices"), [((1.0, 1.0, 1.0), 24), ((1.0, 1.0, 1.5), 24), (SIZES, 4), (SIZES, 1)]
)
def test_volumes_and_few_slices_stay(sizes, slices) -> None:
    image, brain = (part[:, :, 10 : 10 + slices] for part in head())
    uneven = (image * differing("every second")[: image.shape[2]]).astype(np.float32)
    found, most = even_slices(uneven, brain, sizes)
    assert found is uneven
    assert most is None


def test_an_empty_brain_and_blank_slices_are_no_trouble() -> None:
    image, brain = head()
    assert even_slices(image, np.zeros_like(brain), SIZES) == (image, None)
    image[:, :, 12] = 0
    found, _ = even_slices(image * differing("every second").astype(np.float32), brain, SIZES)
    assert np.isfinite(found).all()
