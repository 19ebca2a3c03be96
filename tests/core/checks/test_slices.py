"""A slice that was lost is seen along any axis; what ends or fades by itself is none."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.checks.slices import darkest_slice

SHAPE = (40, 50, 20)


def head(floor: float = 0.0) -> np.ndarray:
    """An ellipsoid that does not fill its box, of uneven brightness."""
    places = np.indices(SHAPE) - (np.array(SHAPE)[:, None, None, None] - 1) / 2
    inside = sum((2.2 * place / n) ** 2 for place, n in zip(places, SHAPE, strict=True)) < 1
    bright = 100 * (1 + places[2] / 40) + np.random.default_rng(0).normal(0, 5, SHAPE)
    return np.asarray(floor + np.where(inside, bright, 0))


def with_slice(share: float, axis: int = 2, floor: float = 0.0) -> np.ndarray:
    image = head()
    np.moveaxis(image, axis, 0)[SHAPE[axis] // 2 + 1] *= share
    return np.asarray(image + floor)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_a_slice_is_as_dark_as_it_is(share: float, axis: int) -> None:
    assert darkest_slice(with_slice(share, axis)) == pytest.approx(share, abs=0.08)


@pytest.mark.parametrize("floor", [-500.0, 200.0])
def test_an_offset_does_not_matter(floor: float) -> None:
    assert darkest_slice(with_slice(0.3, 2, floor)) == pytest.approx(0.3, abs=0.05)


def test_where_slices_end_nothing_was_lost() -> None:
    assert darkest_slice(head()) == pytest.approx(1, abs=0.1)
    assert darkest_slice(head()[:, :, 8:]) == pytest.approx(1, abs=0.1)
    # blank slices above the head, as of a padded image
    assert darkest_slice(np.pad(head(), 6)) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("image", [np.zeros((9, 9, 9)), np.ones((9, 9, 9)), head()[20:22, :2, :2]])
def test_of_what_shows_nothing_nothing_is_said(image: np.ndarray) -> None:
    assert darkest_slice(image) is None


@pytest.mark.parametrize("slice_mm", [5.0, 6.0, 7.2, 8.0])
@pytest.mark.parametrize("above_mm", [0.0, 2.0, 4.0])
def test_a_slice_through_the_bone_of_the_vertex_was_not_lost(
    slice_mm: float, above_mm: float
) -> None:
    across = np.arange(-90, 91, 3.0)
    heights = np.arange(-84 + above_mm, 85, slice_mm)
    inside_mm = 80 - np.sqrt(sum(np.meshgrid(across**2, across**2, heights**2, indexing="ij")))
    image = np.where(inside_mm > 0, 150.0, 0)
    image[(inside_mm > 6) & (inside_mm < 14)] = 15
    image[inside_mm >= 14] = 100
    found = darkest_slice(image)
    assert found is not None
    assert found > 0.65
