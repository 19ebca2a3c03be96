"""All rows come from one finest partition, and agree with masks made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wmhflow.core.measure.regional import distinct_rows, region_volumes, sample_regions
from wmhflow.core.regions.partition import IN_WMH, Row, partition

SHAPE = (6, 5, 4)
LEAVES = {1: (11, 21), 11: (11,), 21: (21,), 2: (12, 22)}
NOWHERE = np.zeros((0, 3), int)


def row(index: int, tissue: str = "all") -> Row:
    return Row((("zones", LEAVES[index]),), tissue)


def images(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    wmh = rng.random(SHAPE) < 0.3
    return {
        "zones": rng.choice([0, 11, 12, 21], SHAPE),
        "WMH": wmh,
        "NAWM": ~wmh & (rng.random(SHAPE) < 0.5),
    }


@settings(max_examples=30, deadline=None)
@given(arrays(np.int64, SHAPE, elements=st.integers(0, 3)), st.integers(0, 99))
def test_a_row_is_the_intersection_of_its_masks(labels: np.ndarray, seed: int) -> None:
    given_images = images(seed) | {"zones": labels}
    found = partition(given_images)
    for tissue in ("all", "WMH", "NAWM"):
        inside = np.isin(labels, (1, 3))
        if tissue != "all":
            inside &= given_images[tissue]
        numbers = found.numbers_of(Row((("zones", (1, 3)),), tissue))
        assert np.array_equal(np.isin(found.labels, numbers), inside)


def test_volumes_agree_with_masks() -> None:
    given_images = images(5)
    lesions = np.where(given_images["WMH"], np.arange(np.prod(SHAPE)).reshape(SHAPE) % 7 + 1, 0)
    indices = (1, 11, 21, 2)
    centres = np.argwhere(lesions)[::5]
    rows = [row(index) for index in indices]
    measured = region_volumes(partition(given_images), rows, lesions, centres, 2.5)
    for index, values in zip(indices, measured, strict=True):
        inside = np.isin(given_images["zones"], LEAVES[index])
        both = inside & given_images["WMH"]
        assert values["volume_mm3"] == inside.sum() * 2.5
        assert values["wmh_volume_mm3"] == both.sum() * 2.5
        assert values["n_lesions"] == np.unique(lesions[both]).size
        assert values["n_lesions_centre"] == inside[tuple(centres.T)].sum()
    assert measured[0]["volume_mm3"] == measured[1]["volume_mm3"] + measured[2]["volume_mm3"]


def test_an_empty_region_has_no_fraction_and_no_mean() -> None:
    given_images = images(5) | {"zones": np.full(SHAPE, 11)}
    found = partition(given_images)
    (values,) = region_volumes(found, [row(2)], np.zeros(SHAPE, int), NOWHERE, 1.0)
    assert values["volume_mm3"] == 0
    assert np.isnan(values["wmh_fraction"])
    maps = {"FA": (np.ones(SHAPE), np.ones(SHAPE, bool))}
    sampled = sample_regions(found, np.eye(4), maps, np.eye(4), [row(2)])["FA"]
    assert sampled["n"][0] == 0
    assert np.isnan(sampled["mean"][0])


def test_on_one_grid_a_sample_is_the_plain_mean() -> None:
    given_images = images(8)
    values = np.random.default_rng(0).normal(size=SHAPE)
    rows = [row(1, tissue) for tissue in ("all", "WMH", "NAWM")]
    maps = {"FA": (values, np.ones(SHAPE, bool))}
    sampled = sample_regions(partition(given_images), np.eye(4), maps, np.eye(4), rows)
    zone = np.isin(given_images["zones"], (11, 21))
    for i, inside in enumerate((zone, zone & given_images["WMH"], zone & given_images["NAWM"])):
        assert sampled["FA"]["mean"][i] == pytest.approx(values[inside].mean())
        assert sampled["FA"]["coverage"][i] == pytest.approx(1)


def test_where_two_regions_meet_both_must_hold() -> None:
    given_images = images(3) | {"arteries": np.random.default_rng(4).integers(0, 4, SHAPE)}
    both = Row((("zones", (11, 21)), ("arteries", (2,))))
    found = partition(given_images)
    inside = np.isin(given_images["zones"], (11, 21)) & (given_images["arteries"] == 2)
    assert np.array_equal(np.isin(found.labels, found.numbers_of(both)), inside)


def test_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        partition({"a": np.zeros((2, 2, 2), int), "b": np.zeros((2, 2, 3), int)})


def test_many_combinations_are_found_by_sorting_as_few_are_by_counting() -> None:
    rng = np.random.default_rng(11)
    shape = (9, 8, 7)
    # so many numbers that a table of all pairs would be larger than the volume by far
    images = {name: rng.integers(0, 4000, shape) for name in ("one", "other")}
    images |= {IN_WMH: rng.random(shape) < 0.5}
    found = partition(images)
    for name, image in images.items():
        back = np.concatenate([[0], found.columns[name]])[found.labels]
        assert np.array_equal(back, np.asarray(image, dtype=np.int64) * (found.labels > 0))
    together = np.stack([image.ravel().astype(int) for image in images.values()])
    assert found.labels.max() == np.unique(together[:, together.any(axis=0)], axis=1).shape[1]


def test_rows_of_the_same_numbers_are_looked_at_once() -> None:
    # zone 12 is not there, and all of zone 21 is NAWM
    zones = np.where(np.indices(SHAPE)[0] < 3, 11, 21)
    wmh = (zones == 11) & (np.indices(SHAPE)[1] < 2)
    found = partition({"zones": zones, "WMH": wmh, "NAWM": ~wmh})
    rows = [row(11), row(11, "WMH"), row(21), row(21, "NAWM"), row(2), row(21, "WMH"), row(11)]
    distinct, places = distinct_rows(found, rows)
    assert places.tolist() == [0, 1, 2, 2, 3, 3, 0]
    assert distinct == [rows[0], rows[1], rows[2], rows[4]]
