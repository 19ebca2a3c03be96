"""Regions ordered by region alone, and means without entries: the same as merged regions'."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.measure.test_sampling import centred
from wmhflow.core.measure.coverage import (
    CoverageWeights,
    coverage_weights,
    merge_regions,
    union_entries,
)
from wmhflow.core.measure.means import union_means
from wmhflow.core.measure.statistics import region_statistics

SHAPE = (4, 5, 6)
UNIONS = [(100, [1, 2]), (7, [5]), (50, [2, 3, 4, 5]), (200, [1, 2, 3, 4, 5]), (9, [77]), (3, [])]


def scene(seed: int) -> tuple[CoverageWeights, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 6, (7, 6, 8))
    grid = centred(SHAPE, (1.4, 1.1, 1.3), rng.uniform(-20, 20, 3))
    weights = coverage_weights(labels, centred(labels.shape, (1, 1, 1)), SHAPE, grid)
    values = rng.normal(size=SHAPE)
    values[rng.random(SHAPE) < 0.1] = np.nan
    return weights, values, rng.random(SHAPE) < 0.8


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_entries_by_region_are_those_of_merged_regions(seed: int) -> None:
    weights, values, valid = scene(seed)
    merged, entries = merge_regions(weights, UNIONS), union_entries(weights, UNIONS)
    for one, other in zip(merged.by_region, entries.by_region, strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(merged.voxels, entries.voxels)
    assert np.array_equal(merged.volume_mm3, entries.volume_mm3)
    found = [region_statistics(values, one, valid) for one in (merged, entries)]
    for name, column in found[0].items():
        assert np.array_equal(column, found[1][name], equal_nan=True), name


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_means_are_those_of_merged_regions(seed: int) -> None:
    weights, values, valid = scene(seed)
    expected = region_statistics(values, merge_regions(weights, UNIONS), valid)
    found = union_means(values, weights, UNIONS, valid)
    assert found["n"].tolist() == expected["n"].tolist()
    assert found["volume_mm3"].tolist() == expected["volume_mm3"].tolist()
    assert np.allclose(found["mean"], expected["mean"], rtol=1e-12, atol=1e-12, equal_nan=True)


def test_a_constant_map_has_exactly_that_mean_in_every_union() -> None:
    weights, _, _ = scene(1)
    mean = union_means(np.full(SHAPE, 0.1), weights, UNIONS)["mean"]
    assert (mean[:4] == 0.1).all()
    assert np.isnan(mean[4:]).all()


def test_only_the_regions_that_are_wanted_are_summarised() -> None:
    weights, values, valid = scene(2)
    entries = union_entries(weights, UNIONS)
    every = region_statistics(values, entries, valid)
    some = region_statistics(values, entries, valid, only=[3, 0])
    for name, column in every.items():
        assert np.array_equal(column[[3, 0]], some[name], equal_nan=True), name


@pytest.mark.parametrize("n", [1, 40, 3000])
def test_values_are_sorted_alike_however_much_of_the_map_a_region_holds(n: int) -> None:
    rng = np.random.default_rng(n)
    labels = np.full((1, 1, 3200), 2)
    labels[..., :n] = 1
    # many equal values, zeros of both signs among them
    values = np.round(rng.normal(size=labels.shape), 1)
    weights = coverage_weights(labels, np.eye(4), labels.shape, np.eye(4))
    found = region_statistics(values, weights)
    own = values[labels == 1]
    assert found["median"][0] == np.median(own)
    assert found["n"][0] == n
    assert found["mean"][0] == pytest.approx(own.mean(), abs=1e-12)
    assert found["mad"][0] == pytest.approx(np.median(np.abs(own - np.median(own))), abs=1e-12)


def test_unions_are_checked() -> None:
    weights, values, _ = scene(3)
    with pytest.raises(ValueError, match="new region twice"):
        union_entries(weights, [(1, [1]), (1, [2])])
    with pytest.raises(ValueError, match="old region twice"):
        union_means(values, weights, [(1, [1, 1])])
    with pytest.raises(ValueError, match="values has shape"):
        union_means(values[1:], weights, UNIONS)
    assert union_entries(weights, []).by_region[1].size == 0
