"""The typical size of a map is that of the middle of the brain, however the map was masked."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from wmhflow.core.measure.typical import typical_size

SHAPE = (24, 28, 20)
INSIDE = 0.8


def brain(background: str) -> NDArray[np.float64]:
    """A ball of values about 0.8 (of either sign), in a field of what a program may leave there."""
    noise = np.random.default_rng(3).normal(size=(2, *SHAPE))
    place = np.moveaxis(np.indices(SHAPE), 0, -1) - (np.array(SHAPE) - 1) / 2
    inside = np.linalg.norm(place / (np.array(SHAPE) / 2), axis=-1) < 0.9
    fill = {"zero": 0.0, "nan": np.nan, "rounding": 1e-9, "air": 40 * noise[1], "inf": np.inf}
    return np.where(inside, INSIDE + 0.05 * noise[0], fill[background])


@pytest.mark.parametrize("background", ["zero", "nan", "rounding", "air", "inf"])
def test_what_lies_around_the_brain_does_not_count(background: str) -> None:
    assert typical_size(brain(background)) == pytest.approx(INSIDE, rel=0.02)


def test_one_voxel_decides_nothing() -> None:
    values = brain("zero")
    values[12, 14, 10] = 1e6
    values[0, 0, 0] = -1e4
    assert typical_size(values) == pytest.approx(INSIDE, rel=0.02)


def test_sign_and_scale_come_through() -> None:
    values = brain("zero")
    assert typical_size(-values * 1000) == pytest.approx(1000 * typical_size(values))


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(SHAPE),
        np.full(SHAPE, np.nan),
        np.full(SHAPE, 0.7),
        np.where(np.indices(SHAPE).sum(axis=0) < 4, brain("zero") + 1, 0),
    ],
    ids=["nothing", "not a number", "one value", "a few voxels"],
)
def test_what_tells_nothing_is_not_a_number(values: NDArray[np.float64]) -> None:
    assert np.isnan(typical_size(values))
