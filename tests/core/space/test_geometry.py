"""What an affine says: sizes, sides and axes, in every orientation."""

from __future__ import annotations

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from scipy.spatial.transform import Rotation

from wmhflow.core.space.geometry import (
    GeometryError,
    checked_affine,
    ras_axes,
    same_field_of_view,
    same_grid,
    spacing_of,
    world_coordinates,
)

ORIENTATIONS = [
    "".join(code) for order in permutations(("LR", "PA", "IS")) for code in product(*order)
]


def oblique(sizes=(1.0, 1.0, 1.0), angles=(0.0, 0.0, 0.0), origin=(0.0, 0.0, 0.0)):
    """Return an affine with these voxel sizes, turned by these angles in degrees."""
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag(sizes)
    affine[:3, 3] = origin
    return affine


def oriented(volume, affine, code):
    """Return the same image with its array axes running as `code` says."""
    change = ornt_transform(nib.io_orientation(affine), axcodes2ornt(code))
    moved = nib.apply_orientation(volume, change)
    return moved, affine @ inv_ornt_aff(change, volume.shape)


@given(
    st.tuples(*[st.floats(0.05, 20)] * 3),
    st.tuples(*[st.floats(-180, 180)] * 3),
)
def test_spacing_is_that_of_the_voxel_whatever_the_rotation(sizes, angles):
    assert np.allclose(spacing_of(oblique(sizes, angles)), sizes, rtol=1e-12)


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_spacing_follows_the_axes(code):
    affine = oriented(np.zeros((2, 3, 4)), oblique((1, 2, 3)), code)[1]
    world_sizes = {"L": 1, "R": 1, "P": 2, "A": 2, "I": 3, "S": 3}
    assert spacing_of(affine).tolist() == [world_sizes[letter] for letter in code]


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.eye(3), "4 x 4"),
        (np.diag([1, 1, 0, 1.0]), "singular"),
        (np.diag([1, np.nan, 1, 1.0]), "NaN"),
        (np.diag([1, np.inf, 1, 1.0]), "NaN"),
        (np.zeros((4, 4)), "last row"),
        ([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]], "singular"),
        ([[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]], "sheared"),
    ],
)
def test_unusable_affines_are_refused(affine, message):
    with pytest.raises(GeometryError, match=message):
        spacing_of(affine)


def test_tiny_voxels_are_not_singular():
    assert np.allclose(spacing_of(oblique((1e-3, 1e-3, 1e-3), (10, 20, 30))), 1e-3)


def test_a_shear_of_rounding_is_accepted():
    affine = oblique((0.9, 0.9, 3.0), (8, -5, 3)).astype(np.float32)
    assert np.allclose(spacing_of(affine), (0.9, 0.9, 3.0), rtol=1e-6)


def test_world_coordinates_agree_with_nibabel():
    affine = oblique((1, 2, 3), (20, 30, -40), (-3, 2, 1))
    points = np.random.default_rng(1).uniform(-5, 5, (10, 4, 3))
    assert np.allclose(world_coordinates(points, affine), nib.affines.apply_affine(affine, points))
    with pytest.raises(ValueError, match="three long"):
        world_coordinates([1, 2], affine)


def test_same_grid_measures_the_largest_displacement_in_mm():
    affine, shape = oblique((1, 1, 1), (3, 4, 5)), (100, 100, 100)
    turned = oblique((1, 1, 1), (3, 4, 5.001))
    farthest = np.hypot(99, 99) * np.deg2rad(0.001)
    assert same_grid(shape, affine, shape, turned, tolerance_mm=farthest * 1.1)
    assert not same_grid(shape, affine, shape, turned, tolerance_mm=farthest * 0.5)
    assert not same_grid(shape, affine, (100, 100, 99), affine)
    assert same_grid((*shape, 20), affine, shape, affine)


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_ras_axes_undo_any_orientation(code):
    volume = np.arange(24).reshape(2, 3, 4)
    affine = oblique((1, 2, 3), (4, -6, 8), (1, 2, 3))
    turned, turned_affine = oriented(volume, affine, code)
    axes = ras_axes(turned_affine)
    assert np.array_equal(axes.to_ras(turned), volume)
    assert np.array_equal(axes.from_ras(axes.to_ras(turned)), turned)


@pytest.mark.parametrize("angles", [(0, 0, 45), (45, 0, 0), (0, 45, 0), (0, 0, -45), (45, 45, 45)])
def test_ras_axes_of_a_diagonal_grid_do_not_depend_on_the_array(angles):
    volume = np.arange(24).reshape(2, 3, 4)
    affine = oblique(angles=angles)
    expected = ras_axes(affine).to_ras(volume)
    for code in ORIENTATIONS:
        change = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(code))
        turned = nib.apply_orientation(volume, change)
        turned_affine = affine @ inv_ornt_aff(change, volume.shape)
        assert np.array_equal(ras_axes(turned_affine).to_ras(turned), expected)


def test_checked_affine_returns_double_precision():
    assert checked_affine(np.eye(4, dtype=np.float32)).dtype == np.float64


def test_one_field_of_view_in_other_voxels_and_axes():
    shape, affine = (180, 220, 182), np.diag([-1.0, 1, 1, 1])
    affine[:3, 3] = [90, -126, -72]
    # slices of 5 mm, sagittal first, of which the last two millimetres are missing
    slices, n_slices = np.zeros((4, 4)), (36, 180, 220)
    slices[2, 0], slices[0, 1], slices[1, 2], slices[3, 3] = 5, 1, 1, 1
    slices[:3, 3] = [90 - 179, -126, -72 + 2]
    assert same_field_of_view(shape, affine, n_slices, slices)
    assert same_field_of_view(n_slices, slices, shape, affine)
    for change in ([0, 2, 0], [7, 0, 0], [0, 0, 7]):
        moved = slices.copy()
        moved[:3, 3] += change
        assert not same_field_of_view(shape, affine, n_slices, moved), change
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.05), -np.sin(0.05)], [np.sin(0.05), np.cos(0.05)]]
    assert not same_field_of_view(shape, affine, shape, turn @ affine)
    assert not same_field_of_view(shape, affine, (180, 220, 100), affine)
