"""Components, holes and measures of lesions, in any orientation and number."""

from __future__ import annotations

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from scipy import ndimage

from wmhflow.core.regions.lesions import (
    count_hole_voxels,
    fill_holes,
    label_lesions,
    lesion_centres,
    lesion_measures,
)
from wmhflow.core.space.geometry import world_coordinates

OBLIQUE = np.array(
    [[0.98, -0.1, 0.05, -7], [0.11, 1.48, -0.1, 3], [-0.05, 0.09, 2.97, 2], [0, 0, 0, 1]]
)
OBLIQUE[:3, :3] = (
    np.linalg.svd(OBLIQUE[:3, :3])[0] @ np.linalg.svd(OBLIQUE[:3, :3])[2] * [1, 1.5, 3]
)
SHAPE = st.tuples(*[st.integers(1, 12)] * 3)


def random_mask(seed, shape, share):
    return np.random.default_rng(seed).random(shape) < share


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), SHAPE, st.sampled_from([0.0, 0.02, 0.1, 0.3, 1.0]))
def test_components_are_those_of_scipy(seed, shape, share):
    mask = random_mask(seed, shape, share)
    labels, n = label_lesions(mask, OBLIQUE)
    reference, expected = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    assert n == expected
    assert labels.dtype == np.int32
    pairs = np.unique(np.stack([labels[mask], reference[mask]]), axis=1)
    assert pairs.shape[1] == n
    assert np.array_equal(labels != 0, mask)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), SHAPE)
def test_numbers_do_not_depend_on_the_orientation_of_the_array(seed, shape):
    mask = random_mask(seed, shape, 0.05)
    expected, n = label_lesions(mask, OBLIQUE)
    for order in permutations(("LR", "PA", "IS")):
        for code in product(*order):
            change = ornt_transform(nib.io_orientation(OBLIQUE), axcodes2ornt(code))
            turned = nib.apply_orientation(mask, change)
            affine = OBLIQUE @ inv_ornt_aff(change, mask.shape)
            labels, count = label_lesions(turned, affine)
            assert count == n
            assert np.array_equal(labels, nib.apply_orientation(expected, change))


def test_numbers_rise_from_left_to_right():
    mask = np.zeros((9, 3, 3), dtype=np.uint8)
    mask[[0, 4, 8], 1, 1] = 255
    assert label_lesions(mask, np.eye(4))[0][[0, 4, 8], 1, 1].tolist() == [1, 2, 3]
    assert label_lesions(mask, np.diag([-1, 1, 1, 1]))[0][[0, 4, 8], 1, 1].tolist() == [3, 2, 1]


def test_corners_connect():
    mask = np.zeros((2, 2, 2))
    mask[0, 0, 0] = mask[1, 1, 1] = 0.3
    assert label_lesions(mask, np.eye(4))[1] == 1


def test_more_lesions_than_sixteen_bits_hold():
    mask = np.zeros((101, 101, 101), dtype=bool)
    mask[::2, ::2, ::2] = True
    labels, n = label_lesions(mask, np.eye(4))
    assert n == 51**3 > 65_535
    measures = lesion_measures(labels, np.eye(4), {"depth": labels.astype(np.float32)})
    assert np.array_equal(measures["index"], np.arange(1, n + 1))
    assert (measures["n_voxels"] == 1).all()
    assert np.array_equal(measures["depth_min"], measures["index"])
    # Numbered in RAS order: x slowest.
    assert np.array_equal(np.lexsort((measures["z"], measures["y"], measures["x"])), np.arange(n))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), SHAPE, st.sampled_from([0.0, 0.3, 0.6, 0.8, 1.0]))
def test_holes_are_those_of_scipy(seed, shape, share):
    mask = random_mask(seed, shape, share)
    expected = ndimage.binary_fill_holes(mask)
    assert np.array_equal(fill_holes(mask), expected)
    assert count_hole_voxels(mask) == expected.sum() - mask.sum()


def test_a_shell_is_filled_and_a_bay_is_not():
    ball = sum(g**2 for g in np.indices((15, 15, 15)) - 7) <= 36
    core = sum(g**2 for g in np.indices((15, 15, 15)) - 7) <= 9
    hollow = ball & ~core
    assert count_hole_voxels(hollow) == core.sum()
    assert np.array_equal(fill_holes(hollow), ball)
    hollow[7, 7, :8] = False
    assert count_hole_voxels(hollow) == 0
    assert np.array_equal(fill_holes(hollow), hollow)


def test_filling_leaves_the_given_mask_alone():
    mask = np.ones((3, 3, 3), dtype=bool)
    mask[1, 1, 1] = False
    fill_holes(mask)
    assert not mask[1, 1, 1]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**31),
    SHAPE,
    st.sampled_from([0.0, 0.05, 0.5]),
    st.sampled_from([1, 1000, 10**8]),
)
def test_measures_agree_with_a_loop_of_masks(seed, shape, share, factor):
    rng = np.random.default_rng(seed)
    labels = rng.integers(1, 6, shape) * (rng.random(shape) < share) * factor
    distance = rng.random(shape).astype(np.float32)
    distance[rng.random(shape) < 0.3] = np.nan
    distance[rng.random(shape) < 0.1] = np.inf
    measures = lesion_measures(labels, OBLIQUE, {"a": distance, "b": labels})
    index = np.unique(labels[labels > 0])
    assert np.array_equal(measures["index"], index)
    assert {array.shape for array in measures.values()} == {index.shape}
    for row, label in enumerate(index):
        voxels = np.argwhere(labels == label)
        assert measures["n_voxels"][row] == len(voxels)
        assert measures["volume_mm3"][row] == pytest.approx(4.5 * len(voxels))
        centre = [measures[axis][row] for axis in "xyz"]
        assert np.allclose(centre, world_coordinates(voxels, OBLIQUE).mean(axis=0))
        sides = (np.ptp(voxels, axis=0) + 1) * [1, 1.5, 3]
        assert measures["extent_mm"][row] == pytest.approx(sides.max())
        inside = distance[labels == label]
        smallest = np.nan if np.isnan(inside).all() else np.nanmin(inside)
        assert np.array_equal(measures["a_min"][row], smallest, equal_nan=True)
        assert measures["b_min"][row] == label


def test_no_lesion_gives_empty_columns():
    labels, n = label_lesions(np.zeros((3, 4, 5)), np.eye(4))
    assert n == 0
    measures = lesion_measures(labels, np.eye(4), {"depth": np.zeros((3, 4, 5))})
    assert "depth_min" in measures
    assert all(column.shape == (0,) for column in measures.values())


def test_memory_order_changes_nothing():
    mask = random_mask(4, (8, 9, 10), 0.1)
    assert np.array_equal(
        label_lesions(np.asfortranarray(mask), OBLIQUE)[0], label_lesions(mask, OBLIQUE)[0]
    )


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="mask has 2 dimensions"):
        label_lesions(np.ones((2, 2)), np.eye(4))
    with pytest.raises(TypeError, match="integers"):
        lesion_measures(np.ones((2, 2, 2)), np.eye(4))
    with pytest.raises(ValueError, match="depth has shape"):
        lesion_measures(np.ones((2, 2, 2), int), np.eye(4), {"depth": np.ones((2, 2, 3))})
    with pytest.raises(ValueError, match="singular"):
        label_lesions(np.ones((2, 2, 2)), np.diag([1, 1, 0, 1]))


@given(st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_a_lesion_s_centre_is_its_voxel_nearest_to_the_centroid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (5, 6, 7)) * (rng.random((5, 6, 7)) < 0.3)
    affine = np.diag([1.0, 1.5, 2.0, 1.0])
    present = np.unique(labels[labels > 0])
    for label, voxel in zip(present, lesion_centres(labels, affine), strict=True):
        own = np.argwhere(labels == label)
        away = np.linalg.norm((own - own.mean(axis=0)) * (1, 1.5, 2), axis=1)
        assert labels[tuple(voxel)] == label
        assert np.linalg.norm((voxel - own.mean(axis=0)) * (1, 1.5, 2)) <= away.min() + 1e-3


@pytest.mark.parametrize("turn", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_a_lesion_s_centre_does_not_depend_on_the_orientation(turn: tuple[int, ...]) -> None:
    labels = np.zeros((6, 6, 6), int)
    labels[1:3, 1:5, 2:4] = 1  # an even box: eight voxels are equally near to the centroid
    flipped = labels[tuple(slice(None, None, step) for step in turn)]
    affine = np.diag([*map(float, turn), 1.0])
    affine[:3, 3] = [5 if step < 0 else 0 for step in turn]
    (voxel,) = lesion_centres(flipped, affine)
    assert (affine @ [*voxel, 1])[:3].tolist() == [1, 2, 2]
