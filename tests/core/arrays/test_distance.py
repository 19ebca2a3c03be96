"""Distances and owners: against brute force, scipy and edt, and in closed form."""

from __future__ import annotations

from itertools import permutations, product

import edt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from wmhflow.core.arrays.distance import distance_to, nearest, signed_distance
from wmhflow.core.arrays.keys import whole_weights

SIZES = st.sampled_from([0.1, 0.3, 0.48828125, 0.5, 0.9, 1.0, 1.2, 2.0, 3.0, 10.0 / 3.0])
SPACINGS = st.one_of(
    st.tuples(SIZES, SIZES, SIZES),
    st.tuples(*[st.floats(0.25, 5.0)] * 3),
    SIZES.map(lambda size: (size, size, size)),
)
SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, max_side=7)


@st.composite
def label_volumes(draw, largest=4):
    """Draw volumes from empty to full, of any integer type and memory order."""
    shape = draw(SHAPES)
    seed, share = draw(st.integers(0, 2**31)), draw(st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]))
    rng = np.random.default_rng(seed)
    labels = rng.integers(1, largest + 1, shape) * (rng.random(shape) < share)
    kind = draw(
        st.sampled_from([np.uint8, np.int8, np.int16, np.uint16, np.int32, np.int64, ">i2"])
    )
    return np.require(labels, kind, draw(st.sampled_from(["C", "F"])))


def brute_force(labels, spacing):
    """Return distance and smallest owner by comparing every voxel with every target."""
    targets = np.argwhere(labels)
    if len(targets) == 0:
        return np.full(labels.shape, np.inf), np.zeros(labels.shape, dtype=int)
    voxels = np.argwhere(np.ones(labels.shape))
    steps = (voxels[:, None] - targets) * np.asarray(spacing)
    apart = np.sqrt((steps**2).sum(axis=-1))
    distance = apart.min(axis=1)
    # Equal up to rounding is equal: the brute force adds the axes up in another order.
    tied = apart <= distance[:, None] * (1 + 1e-9)
    owner = np.where(tied, labels[tuple(targets.T)], np.iinfo(np.int32).max).min(axis=1)
    return distance.reshape(labels.shape), owner.reshape(labels.shape)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(label_volumes(), SPACINGS)
def test_distance_and_owner_agree_with_brute_force(labels, spacing):
    expected, expected_owner = brute_force(labels.astype(int), spacing)
    distance, owner = nearest(labels, spacing)
    assert distance.dtype == np.float32
    assert owner.dtype == np.int32
    assert np.allclose(distance, expected, rtol=3e-7, atol=0)
    assert np.array_equal(owner, expected_owner)
    assert np.array_equal(distance_to(labels, spacing), distance)


@settings(max_examples=100, deadline=None)
@given(label_volumes(), SPACINGS, st.floats(0.2, 8), st.integers(0, 2**31), st.booleans())
def test_limit_and_within_leave_the_rest_as_it_is(labels, spacing, limit, seed, compact):
    within = np.random.default_rng(seed).random(labels.shape) < 0.2
    if compact:
        within[labels.shape[0] // 2 :] = False
    everywhere, owner = nearest(labels, spacing)
    kept = within & (everywhere <= limit)
    near, near_owner = nearest(labels, spacing, limit=limit, within=within)
    assert np.array_equal(near, np.where(kept, everywhere, np.inf).astype(np.float32))
    assert np.array_equal(near_owner, np.where(kept, owner, 0))
    assert np.array_equal(distance_to(labels, spacing, limit=limit, within=within), near)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31),
    st.tuples(*[st.integers(1, 24)] * 3),
    st.tuples(*[st.floats(0.25, 5.0)] * 3),
    st.sampled_from([0.001, 0.05, 0.9]),
)
def test_distance_agrees_with_scipy_and_edt(seed, shape, spacing, share):
    mask = np.random.default_rng(seed).random(shape) < share
    mask[tuple(length // 2 for length in shape)] = True
    distance = distance_to(mask, spacing)
    reference, nearest_voxel = ndimage.distance_transform_edt(
        ~mask, sampling=spacing, return_indices=True
    )
    assert np.allclose(distance, reference, rtol=4e-7, atol=0)
    assert np.allclose(
        distance, edt.edt(~mask, anisotropy=spacing, black_border=False), rtol=1e-5, atol=1e-6
    )
    numbers = np.arange(1, mask.size + 1).reshape(shape)
    owned, owner = nearest(np.where(mask, numbers, 0), spacing)
    # The owner may be another voxel than scipy's, but never one that lies farther.
    steps = (np.array(np.unravel_index(owner - 1, shape)) - np.indices(shape)).T * spacing
    assert np.allclose(np.sqrt((steps**2).sum(-1)).T, reference, rtol=1e-6)
    assert np.array_equal(owned, distance)
    assert (owner <= numbers[tuple(nearest_voxel)]).mean() > 0.2


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.9, 0.9, 3.0), (0.3, 0.7, 1.1), (0.1, 0.1, 0.2)])
def test_ties_go_to_the_smaller_label_in_every_orientation(spacing):
    rng = np.random.default_rng(5)
    labels = rng.integers(1, 9, (9, 9, 9)) * (rng.random((9, 9, 9)) < 0.03)
    expected = nearest(labels, spacing)
    for axes in permutations(range(3)):
        for flips in product((1, -1), repeat=3):
            turn = tuple(slice(None, None, step) for step in flips)
            turned = labels.transpose(axes)[turn]
            result = nearest(turned, np.array(spacing)[list(axes)])
            for array, reference in zip(result, expected, strict=True):
                assert np.array_equal(array, reference.transpose(axes)[turn])


def test_unlike_steps_of_equal_length_are_a_tie():
    labels = np.zeros((11, 1, 4), dtype=int)
    labels[10, 0, 0], labels[0, 0, 3] = 2, 1
    distance, owner = nearest(labels, (0.9, 0.9, 3.0))
    assert distance[0, 0, 0] == 9.0
    assert owner[0, 0, 0] == 1
    labels[10, 0, 0], labels[0, 0, 3] = 1, 2
    # Header noise below the precision of single floats does not break the tie.
    assert nearest(labels, np.float32([0.9, 0.9, 3.0]))[1][0, 0, 0] == 1


@pytest.mark.parametrize(
    ("spacing", "steps"),
    [
        ((0.1, 1.0, 0.3), (3, 1)),
        ((0.48828125, 1.0, 0.9765625), (2, 1)),
        ((10 / 3, 1.0, 10), (3, 1)),
        ((0.9, 0.48828125, 1.2), (4, 3)),
        ((1 / 3, 2 / 7, 2 / 3), (2, 1)),
    ],
)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_voxel_sizes_in_a_simple_ratio_tie(spacing, steps, kind):
    for first, second in ((1, 2), (2, 1)):
        labels = np.zeros((5, 2, 4), dtype=int)
        labels[steps[0], 0, 0], labels[0, 0, steps[1]] = first, second
        assert nearest(labels, np.array(spacing, dtype=kind))[1][0, 0, 0] == 1


def test_three_targets_that_meet_in_one_voxel_only():
    # The middle one is lowest at a single voxel, together with both others, and must win there.
    labels = np.zeros((1, 5, 9), dtype=int)
    labels[0, 0, 4], labels[0, 4, 0], labels[0, 4, 8] = 1, 2, 3
    expected = brute_force(labels, (1, 1, 1))[1]
    assert np.array_equal(nearest(labels, (1, 1, 1))[1], expected)


@settings(max_examples=50, deadline=None)
@given(label_volumes(), SPACINGS, st.permutations([1, 2, 3, 4]))
def test_new_names_for_labels_change_owners_only_at_ties(labels, spacing, names):
    renamed = np.array([0, *names])[labels]
    distance, _ = nearest(labels, spacing)
    distance_renamed, owner_renamed = nearest(renamed, spacing)
    assert np.array_equal(distance, distance_renamed)
    for label in np.unique(owner_renamed):
        mask = renamed == label
        if label and mask.any():
            owned = owner_renamed == label
            assert np.array_equal(distance_to(mask, spacing)[owned], distance[owned])


@settings(max_examples=50, deadline=None)
@given(label_volumes(), st.sampled_from([2.0, 0.5, 4.0]), SPACINGS)
def test_larger_voxels_are_farther_apart(labels, factor, spacing):
    distance, owner = nearest(labels, spacing)
    scaled, scaled_owner = nearest(labels, np.array(spacing) * factor)
    assert np.allclose(scaled, distance * np.float32(factor), rtol=6e-7)
    assert np.array_equal(owner, scaled_owner)


def test_translation_moves_the_answer():
    rng = np.random.default_rng(2)
    part = rng.integers(1, 5, (6, 5, 4)) * (rng.random((6, 5, 4)) < 0.2)
    small, large = np.zeros((12, 11, 10), int), np.zeros((20, 20, 20), int)
    small[3:9, 3:8, 3:7], large[8:14, 7:12, 9:13] = part, part
    for one, other in zip(nearest(small, (1, 2, 3)), nearest(large, (1, 2, 3)), strict=True):
        assert np.array_equal(one[:12, :11, :10], other[5:17, 4:15, 6:16])


def test_ball_and_slab_in_closed_form():
    errors = []
    for size in (2.0, 1.0, 0.5):
        axis = np.arange(-20, 20 + size / 2, size)
        radius = np.sqrt(sum(a**2 for a in np.meshgrid(axis, axis, axis)))
        distance = distance_to(radius <= 8, (size, size, size))
        outside = radius > 8
        errors.append(np.abs(distance - (radius - 8))[outside].mean())
    # The surface is known to about half a voxel, so that the error falls with its size.
    assert errors[0] < 1.0
    assert errors[1] < 0.6 * errors[0]
    assert errors[2] < 0.6 * errors[1]
    slab = np.zeros((9, 4, 4), dtype=bool)
    slab[:2] = True
    assert np.array_equal(distance_to(slab, (1.5, 1, 1))[1:, 0, 0], np.arange(8) * np.float32(1.5))


def test_signed_distance_of_a_slab():
    slab = np.zeros((1, 1, 9), dtype=bool)
    slab[..., 2:7] = True
    signed = signed_distance(slab, (1, 1, 2)).ravel()
    assert signed.tolist() == [4, 2, -2, -4, -6, -4, -2, 2, 4]


@settings(max_examples=80, deadline=None)
@given(label_volumes(), SPACINGS)
def test_signed_distance_is_both_distances(labels, spacing):
    mask = labels != 0
    expected = np.where(mask, -distance_to(~mask, spacing), distance_to(mask, spacing))
    assert np.array_equal(signed_distance(mask, spacing), expected)
    assert np.array_equal(
        signed_distance(mask, spacing, limit=2),
        np.where(np.abs(expected) <= 2, expected, np.copysign(np.inf, expected)),
    )


def test_empty_and_full_targets():
    nothing, everything = np.zeros((3, 4, 5), bool), np.ones((3, 4, 5), bool)
    assert np.isinf(distance_to(nothing, (1, 1, 1))).all()
    distance, owner = nearest(nothing, (1, 1, 1))
    assert np.isposinf(distance).all()
    assert not owner.any()
    assert not distance_to(everything, (1, 1, 1)).any()
    assert np.isposinf(signed_distance(nothing, (1, 1, 1))).all()
    assert np.isneginf(signed_distance(everything, (1, 1, 1))).all()
    assert np.isinf(distance_to(everything, (1, 1, 1), within=nothing)).all()


def test_a_limit_keeps_the_voxel_that_lies_on_it():
    mask = np.zeros((1, 1, 12), dtype=bool)
    mask[..., 0] = True
    for size in (0.9, 0.3, 1 / 3, 0.7):
        distance = distance_to(mask, (1, 1, size), limit=6 * size)
        assert np.isfinite(distance).sum() == 7


def test_not_a_number_is_not_a_target():
    mask = np.array([[[np.nan, 0.0, 0.5, np.inf]]])
    assert distance_to(mask, (1, 1, 1)).ravel().tolist() == [2, 1, 0, 1]


def test_the_number_of_threads_changes_nothing(monkeypatch):
    rng = np.random.default_rng(3)
    labels = rng.integers(1, 50, (60, 70, 80)) * (rng.random((60, 70, 80)) < 0.001)
    within = rng.random(labels.shape) < 0.9
    results = []
    for threads in ("1", "2", "7"):
        monkeypatch.setattr("wmhflow.core.arrays.threads.thread_count", lambda n=threads: int(n))
        results.append(nearest(labels, (0.7, 1.1, 3.0), within=within))
    for distance, owner in results[1:]:
        assert np.array_equal(distance, results[0][0])
        assert np.array_equal(owner, results[0][1])


def test_large_labels_survive():
    labels = np.zeros((2, 2, 2), dtype=np.uint32)
    labels[0, 0, 0] = 2**31 - 1
    assert (nearest(labels, (1, 1, 1))[1] == 2**31 - 1).all()
    labels[0, 0, 0] = 2**31
    with pytest.raises(ValueError, match="above"):
        nearest(labels, (1, 1, 1))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((np.ones((2, 2)), (1, 1, 1)), {}, ValueError, "three-dimensional"),
        ((np.ones((0, 2, 2)), (1, 1, 1)), {}, ValueError, "no voxels"),
        ((np.ones((2, 2, 2)), (1, 1)), {}, ValueError, "three voxel sizes"),
        ((np.ones((2, 2, 2)), (1, 0, 1)), {}, ValueError, "positive"),
        ((np.ones((2, 2, 2)), (1, -1, 1)), {}, ValueError, "positive"),
        ((np.ones((2, 2, 2)), (1, np.nan, 1)), {}, ValueError, "positive"),
        ((np.ones((2, 2, 2)), (1, 1, 1)), {"limit": 0}, ValueError, "limit"),
        ((np.ones((2, 2, 2)), (1, 1, 1)), {"limit": np.nan}, ValueError, "limit"),
        ((np.ones((2, 2, 2)), (1, 1, 1)), {"within": np.ones((2, 2, 3))}, ValueError, "one grid"),
        ((np.full((2, 2, 2), "a"), (1, 1, 1)), {}, TypeError, "mask"),
        ((np.ones((2, 2, 2), complex), (1, 1, 1)), {}, TypeError, "mask"),
    ],
)
def test_wrong_arguments_are_named(arguments, options, error, message):
    with pytest.raises(error, match=message):
        distance_to(*arguments, **options)


def test_labels_must_be_whole_and_positive():
    with pytest.raises(TypeError, match="integers"):
        nearest(np.ones((2, 2, 2)), (1, 1, 1))
    with pytest.raises(ValueError, match="negative"):
        nearest(np.full((2, 2, 2), -1), (1, 1, 1))


@given(
    st.floats(0.05, 5), st.tuples(*[st.floats(1, 20)] * 3), st.tuples(*[st.integers(1, 1000)] * 3)
)
def test_whole_weights_are_exact_and_close(size, ratios, lengths):
    spacing = size * np.array(ratios)
    weights, unit = whole_weights(spacing, np.array(lengths))
    assert np.array_equal(weights, np.rint(weights))
    assert weights @ np.square(lengths, dtype=float) < 2.0**52
    # half a unit of at least 2**49 / (1e6 * 801) units, and the square root halves it again
    assert np.allclose(np.sqrt(weights) * unit, spacing, rtol=3.6e-7, atol=0)


@given(st.lists(st.integers(20, 500), min_size=3, max_size=3), st.integers(1, 8), st.integers(0, 2))
def test_a_voxel_exactly_at_the_limit_is_kept_whatever_the_header_rounds(hundredths, steps, axis):
    sizes = np.float32(np.array(hundredths) / 100)
    shape = [1, 1, 1]
    shape[axis] = 12
    mask = np.zeros(shape, bool)
    mask.flat[0] = True
    everywhere = distance_to(mask, sizes).ravel()
    for limit in (float(sizes[axis]) * steps, everywhere[steps]):
        limited = distance_to(mask, sizes, limit=limit).ravel()
        assert np.array_equal(limited[: steps + 1], everywhere[: steps + 1])
        assert np.isinf(limited[steps + 1 :]).all()


@pytest.mark.parametrize("third", [0.488281, 1.0417, 0.123457])
@pytest.mark.parametrize("shape", [(4, 1, 2), (8, 8, 8), (5, 11, 5), (60, 90, 11)])
def test_ties_between_two_axes_hold_whatever_the_third(shape, third):
    owners = []
    for first, second in ((1, 2), (2, 1)):
        labels = np.zeros(shape, int)
        labels[3, 0, 0], labels[0, 0, 1] = first, second
        owners.append(nearest(labels, np.float32([0.3, third, 0.9]))[1][0, 0, 0])
    assert owners == [1, 1]


@given(st.tuples(*[st.floats(0.25, 5)] * 3), st.integers(1, 39))
def test_boxes_change_no_digit(spacing, edge):
    mask = np.zeros((3, 40, 40), bool)
    mask[0, 0, 0] = True
    within = np.zeros_like(mask)
    within[:, :edge, :edge] = True
    everywhere = distance_to(mask, spacing)
    assert np.array_equal(distance_to(mask, spacing, within=within)[within], everywhere[within])


def test_a_limit_may_be_as_large_as_numbers_get():
    mask = np.zeros((1, 1, 4), bool)
    mask[0, 0, 0] = True
    for limit in (1e155, np.finfo(float).max, np.inf):
        assert distance_to(mask, (1, 1, 1), limit=limit).ravel().tolist() == [0, 1, 2, 3]


def test_voxels_too_unequal_for_whole_numbers_are_refused():
    mask = np.ones((50, 50, 50), bool)
    with pytest.raises(ValueError, match="too unequal"):
        distance_to(mask, (1e-3, 1.2345678, 1e3))
    assert distance_to(mask, (1e-3, 1.0, 1e2)).max() == 0


def test_wrong_shapes_are_named_as_the_caller_wrote_them():
    labels = np.ones((3, 4, 6), int, order="F")
    with pytest.raises(
        ValueError, match=r"within has shape \(3, 4, 5\) but labels has \(3, 4, 6\)"
    ):
        nearest(labels, (1, 1, 1), within=np.ones((3, 4, 5)))
