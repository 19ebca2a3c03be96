"""Bounding boxes: as tight as numpy finds them, in every order and inside another box."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wmhflow.core.arrays import threads as _threads
from wmhflow.core.arrays.boxes import bounding_box, enclosing_box, grown_box


def expected(volume, searched):
    inside = np.zeros(volume.shape, bool)
    inside[searched] = volume[searched] != 0
    if not inside.any():
        return None
    return tuple(slice(int(p.min()), int(p.max()) + 1) for p in np.nonzero(inside))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**31),
    st.tuples(*[st.integers(1, 9)] * 3),
    st.sampled_from([0.0, 0.01, 0.1, 0.9]),
    st.sampled_from([np.bool_, np.uint8, np.int8, np.int16, np.int32]),
    st.sampled_from("CF"),
    st.booleans(),
)
def test_a_box_is_as_tight_as_can_be(seed, shape, share, kind, order, whole):
    rng = np.random.default_rng(seed)
    volume = np.require(rng.random(shape) < share, kind, order)
    ends = [np.sort(rng.choice(n + 1, 2, replace=False)) for n in shape]
    searched = tuple(slice(int(a), int(b)) for a, b in ends)
    if whole:
        searched = tuple(slice(0, n) for n in shape)
        assert bounding_box(volume) == expected(volume, searched)
    assert bounding_box(volume, searched) == expected(volume, searched)


def test_ranges_without_voxels_do_not_widen_the_box(monkeypatch):
    monkeypatch.setattr(_threads, "SMALLEST_TASK", 1)
    monkeypatch.setattr(_threads, "thread_count", lambda: 4)
    volume = np.zeros((16, 4, 40), np.uint8)
    volume[9, 2, 33] = 1
    searched = (slice(0, 16), slice(0, 4), slice(30, 40))
    assert bounding_box(volume, searched) == (slice(9, 10), slice(2, 3), slice(33, 34))


@pytest.mark.parametrize(("margin", "wanted"), [(0, (2, 4)), (1, (1, 5)), (9, (0, 6))])
def test_a_grown_box_stays_in_the_grid(margin, wanted):
    side = slice(2, 4)
    grown = grown_box((side, side, side), np.full(3, margin), (6, 6, 6))
    assert grown == (slice(*wanted),) * 3


def test_a_box_encloses_two():
    first, second = (slice(1, 3),) * 3, (slice(2, 7), slice(0, 1), slice(1, 2))
    assert enclosing_box(first, second) == (slice(1, 7), slice(0, 3), slice(1, 3))
