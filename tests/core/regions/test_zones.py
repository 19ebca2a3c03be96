"""Zones: every limit on its right side, and the rules that give a lesion its class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wmhflow.core.arrays.distance import distance_to
from wmhflow.core.regions.zones import (
    lesion_continuity,
    lesion_label,
    lesion_majority,
    zone_labels,
)
from wmhflow.labels.schemes import DEFAULT_SCHEME, ZoneScheme, zone_schemes

JV, PV, D, JC = 1, 2, 3, 4
SCHEMES = zone_schemes()
LIMITS = [0, 2.99, 3, 3.01, 4, 4.01, 10, 10.01, 12, 12.01, 13, 13.01, 14, 14.01, 40, np.inf]
FAR = 50.0


def zones_of(ventricle, cortex, scheme):
    """Return k for lists of distances."""
    ventricle, cortex = np.broadcast_arrays(ventricle, cortex)
    everywhere = np.ones((1, 1, ventricle.size), dtype=bool)
    labels = zone_labels(
        ventricle.reshape(1, 1, -1), cortex.reshape(1, 1, -1), everywhere, ~everywhere, scheme
    )
    return (labels.ravel() - 10).tolist()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (DEFAULT_SCHEME, [JV] * 3 + [PV] * 8 + [D] * 5),
        ("pv10", [PV] * 7 + [D] * 9),
        ("pv12", [PV] * 9 + [D] * 7),
        ("pv4-14", [JV] * 5 + [PV] * 8 + [D] * 3),
        ("nearer", [PV] * 15 + [D]),
    ],
)
def test_limits_by_ventricle_distance_are_open_below_and_closed_above(name, expected):
    assert zones_of(LIMITS, FAR, SCHEMES[name]) == expected


def test_juxtacortical_yields_to_juxtaventricular_only():
    scheme = SCHEMES[DEFAULT_SCHEME]
    assert zones_of([0, 3, 3.01, 13, 20], 4, scheme) == [JV, JV, JC, JC, JC]
    assert zones_of([0, 3, 3.01, 13, 20], 4.01, scheme) == [JV, JV, PV, PV, D]


def test_wmh_that_overlap_a_surface_belong_to_it():
    scheme = SCHEMES[DEFAULT_SCHEME]
    assert zones_of([0, 0, 20], [20, 0, 0], scheme) == [JV, JV, JC]


def test_nearer_is_strict():
    assert zones_of([5, 5, 5], [5, 6, 4], SCHEMES["nearer"]) == [D, PV, D]


def test_surfaces_that_are_missing_have_no_zone():
    assert zones_of(np.inf, np.inf, SCHEMES[DEFAULT_SCHEME]) == [D]
    assert zones_of(np.inf, 1, SCHEMES["pv10"]) == [D]


def test_each_scheme_gives_only_its_zones():
    rng = np.random.default_rng(0)
    ventricle, cortex = rng.uniform(0, 30, (2, 4000))
    for name, scheme in SCHEMES.items():
        assert scheme.name == name
        assert tuple(np.unique(zones_of(ventricle, cortex, scheme))) == scheme.zones


def test_own_schemes_are_possible():
    assert zones_of([1, 6, 7], 1, ZoneScheme("own", periventricular_mm=6)) == [PV, PV, D]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.tuples(*[st.integers(1, 9)] * 3))
def test_the_zones_and_sides_divide_the_white_matter(seed, shape):
    rng = np.random.default_rng(seed)
    ventricle, cortex = rng.uniform(0, 20, (2, *shape)).astype(np.float32)
    matter, right = rng.random(shape) < 0.6, rng.random(shape) < 0.5
    labels = zone_labels(ventricle, cortex, matter, right)
    assert labels.dtype == np.uint8
    k = np.select([ventricle <= 3, cortex <= 4, ventricle <= 13], [JV, JC, PV], D)
    assert np.array_equal(labels, np.where(matter, k + np.where(right, 20, 10), 0))
    for order in (np.asfortranarray, lambda a: a[::-1][::-1], lambda a: a.astype(">f4")):
        assert np.array_equal(zone_labels(order(ventricle), order(cortex), matter, right), labels)


def test_zones_of_a_slab_are_as_thick_as_their_limits():
    ventricle, cortex = np.zeros((2, 60, 3, 3), dtype=bool)
    ventricle[:1], cortex[-1:] = True, True
    spacing, matter = (0.5, 1, 1), ~(ventricle | cortex)
    labels = zone_labels(
        distance_to(ventricle, spacing), distance_to(cortex, spacing), matter, matter
    )
    counts = np.bincount(labels[:, 1, 1], minlength=25)[21:]
    # 58 voxels of 0.5 mm: 3 mm, then up to 13 mm, then the rest, then 4 mm at the cortex.
    assert counts.tolist() == [6, 20, 24, 8]


def test_not_a_number_is_refused_in_white_matter_only():
    distance = np.full((1, 1, 2), 5.0)
    distance[0, 0, 1] = np.nan
    everywhere, first = np.ones((1, 1, 2), bool), np.array([[[True, False]]])
    assert zone_labels(distance, distance, first, first).ravel().tolist() == [22, 0]
    with pytest.raises(ValueError, match="1 white-matter voxels have a NaN"):
        zone_labels(distance, distance, everywhere, everywhere)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.tuples(*[st.integers(1, 7)] * 3), st.integers(0, 6))
def test_rules_per_lesion_agree_with_loops(seed, shape, n):
    rng = np.random.default_rng(seed)
    lesions = rng.integers(0, n + 1, shape)
    distance = rng.integers(0, 9, shape).astype(float)
    zones = rng.choice([0, 11, 12, 13, 14, 21, 22, 23, 24], shape)
    continuity, majority = (
        lesion_continuity(lesions, n, distance),
        lesion_majority(lesions, n, zones),
    )
    assert continuity.shape == majority.shape == (n,)
    for lesion in range(1, n + 1):
        mask = lesions == lesion
        assert continuity[lesion - 1] == (distance[mask] <= 3).any()
        counts = [(zones[mask] % 10 == k).sum() if k else 0 for k in range(5)]
        assert majority[lesion - 1] == int(np.argmax(counts))


def test_equal_majorities_go_to_the_zone_nearer_the_ventricle():
    assert lesion_majority([[[1, 1, 1, 1]]], 1, [[[13, 14, 22, 0]]]).tolist() == [2]
    assert lesion_majority([[[1, 1]]], 1, [[[0, 0]]]).tolist() == [0]


def test_any_label_may_hold_most_of_a_lesion():
    rng = np.random.default_rng(5)
    n, shape = 9, (12, 9, 7)
    lesions = rng.integers(0, n + 1, shape)
    labels = rng.choice([0, 1, 8, 11, 28, 1028, 2028], shape)
    found = lesion_label(lesions, n, labels)
    for lesion in range(1, n + 1):
        present, counts = np.unique(labels[(lesions == lesion) & (labels > 0)], return_counts=True)
        assert found[lesion - 1] == present[counts == counts.max()].min()
    # 28 is not 8 of another side
    assert lesion_label([[[1, 1, 1]]], 1, [[[28, 8, 28]]]).tolist() == [28]
    assert lesion_label([[[1, 1, 0]]], 2, [[[0, 0, 5]]]).tolist() == [0, 0]


def test_continuity_includes_its_threshold():
    lesions, distance = np.array([[[1, 2, 3]]]), np.array([[[3.0, 3.1, np.nan]]])
    assert lesion_continuity(lesions, 3, distance).tolist() == [True, False, False]
    assert lesion_continuity(lesions, 3, distance, 4.0).tolist() == [True, True, False]


def test_wrong_arguments_are_named():
    image = np.ones((2, 2, 2))
    with pytest.raises(ValueError, match="cortex_distance has shape"):
        zone_labels(image, np.ones((2, 2, 3)), image, image)
    with pytest.raises(ValueError, match="white_matter has 2 dim"):
        zone_labels(image, image, np.ones((2, 2)), image)
    with pytest.raises(TypeError, match="ventricle_distance"):
        zone_labels(np.full((2, 2, 2), "a"), image, image, image)
    with pytest.raises(ValueError, match="lesion 5, but there are 2"):
        lesion_continuity(np.full((2, 2, 2), 5), 2, image)
    with pytest.raises(ValueError, match="zones has shape"):
        lesion_majority(np.ones((2, 2, 2), int), 1, np.ones((1, 2, 2), int))
