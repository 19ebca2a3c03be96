"""Lesions are filled with the white matter around them, whatever else lies there."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.wmh.filling import fill_lesions

SHAPE = (40, 40, 40)


@pytest.mark.parametrize(
    ("white", "cortex", "fluid", "lesion"), [(100, 68, 22, 75), (70, 85, 12, 130)]
)
def test_a_lesion_beside_a_ventricle_becomes_white(
    white: float, cortex: float, fluid: float, lesion: float
) -> None:
    rng = np.random.default_rng(0)
    tissue = np.full(SHAPE, white, float)
    tissue[:, :, 30:] = cortex
    tissue[14:20, 10:30, 10:20] = fluid
    lesions = np.zeros(SHAPE, bool)
    lesions[20:26, 12:28, 12:20] = True
    tissue[lesions] = lesion
    data = (tissue + rng.normal(0, 3, SHAPE)).astype(np.float32)
    brain = np.ones(SHAPE, bool)
    filled = fill_lesions(data, lesions, brain, (1.0, 1.0, 1.0))
    assert abs(filled[lesions] - white).max() < 2
    assert (filled[~lesions] == data[~lesions]).all()


def test_an_even_ventricle_beside_uneven_white_matter_is_no_model() -> None:
    rng = np.random.default_rng(2)
    x, y, z = np.indices((60, 60, 60)) - 30
    radius = np.sqrt(x**2 + y**2 + z**2)
    data = np.where(radius < 20, 22 + rng.normal(0, 1, radius.shape), 100.0)
    data[radius >= 20] += rng.normal(0, 8, int((radius >= 20).sum()))
    lesions = (radius >= 20) & (radius < 22)
    data[lesions] = 75
    filled = fill_lesions(data.astype(np.float32), lesions, radius < 29, (1.0, 1.0, 1.0))
    assert abs(filled[lesions] - 100).max() < 5


def test_where_nothing_lies_around_nothing_changes() -> None:
    data = np.random.default_rng(1).random((5, 5, 5), dtype=np.float32)
    everywhere = np.ones((5, 5, 5), bool)
    assert (fill_lesions(data, everywhere, everywhere, (1, 1, 1)) == data).all()
    assert (fill_lesions(data, ~everywhere, everywhere, (1, 1, 1)) == data).all()
