"""What lies in the air along one axis of a head is a ghost; what lies there along all is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.checks.ghosts import ghost_share

SIZES = (2.0, 2.0, 5.0)
SHAPE = (120, 120, 24)


def head(width_mm: float = 150.0, length_mm: float = 180.0) -> np.ndarray:
    """An ellipsoid with a bright skin and dark fluid in its middle."""
    x, y, z = (
        (np.indices(SHAPE)[axis] - (n - 1) / 2) * size
        for axis, (n, size) in enumerate(zip(SHAPE, SIZES, strict=True))
    )
    radius = np.sqrt((2 * x / width_mm) ** 2 + (2 * y / length_mm) ** 2 + (z / 80) ** 2)
    image = np.where(radius < 1, 100.0, 0.0)
    image[(radius < 1) & (radius > 0.93)] = 130
    image[radius < 0.2] = 15
    return np.asarray(image + np.random.default_rng(0).normal(0, 3, SHAPE))


def with_ghost(image: np.ndarray, share: float, axis: int) -> np.ndarray:
    return np.asarray(image + share * np.roll(image, image.shape[axis] // 2, axis=axis))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.4])
def test_a_ghost_is_as_bright_as_it_is(share: float, axis: int) -> None:
    assert ghost_share(with_ghost(head(), share, axis), SIZES) == pytest.approx(share, rel=0.4)


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    return np.asarray(ndimage.rotate(image, degrees, axes=(0, 1), reshape=False, order=1))


@pytest.mark.parametrize(
    "image",
    [
        head(),
        head() + 500,
        1e-6 * head(),
        -300 + head(),
        turned(head(), 25),
        # padded, as of a narrow field of view
        np.where((np.indices(SHAPE)[0] > 20) & (np.indices(SHAPE)[0] < 100), head(), 0),
        # without what is not brain, and with noise outside of the head as an MP2RAGE has it
        np.where(head() > 50, head(), 0),
        np.where(head() > 50, head(), 60 * np.random.default_rng(1).random(SHAPE)),
        # in a coil that is three times as bright in front
        head() * np.linspace(0.5, 1.5, SHAPE[1])[:, None],
    ],
)
def test_no_ghost_is_seen_where_there_is_none(image: np.ndarray) -> None:
    assert ghost_share(image, SIZES) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_the_order_in_which_an_image_is_stored_does_not_matter(order: tuple[int, ...]) -> None:
    image = with_ghost(head(), 0.2, 1)
    moved = image.transpose(order)[::-1, :, ::-1]
    found = ghost_share(moved, [SIZES[axis] for axis in order])
    assert found == pytest.approx(ghost_share(image, SIZES), abs=0.02)


@pytest.mark.parametrize(
    "image",
    [np.zeros((20, 20, 20)), np.ones((20, 20, 20)), head()[30:90, 20:100], np.ones((1, 1, 1))],
)
def test_where_there_is_no_air_nothing_is_said(image: np.ndarray) -> None:
    assert ghost_share(image, SIZES) is None
