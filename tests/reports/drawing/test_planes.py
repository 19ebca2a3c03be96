"""Cuts through volumes, and where they lie in the world."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.reports.drawing.planes import (
    NORMAL_AXIS,
    PLANES,
    cut,
    display_range,
    sample_slice,
    slice_position_mm,
    thick_plane,
)
from wmhflow.reports.drawing.volumes import Volume, bounding_box

RAS = np.array([[2.0, 0, 0, -10], [0, 3.0, 0, -20], [0, 0, 5.0, -30], [0, 0, 0, 1]])


def test_columns_run_right_and_rows_run_up():
    data = np.zeros((4, 5, 6))
    data[3, 1, 5] = 1.0
    box = bounding_box(np.zeros((4, 5, 6), bool), np.ones(3))
    assert np.argwhere(cut(data, "axial", 5, box)).tolist() == [[1, 3]]
    assert np.argwhere(cut(data, "coronal", 1, box)).tolist() == [[5, 3]]
    assert np.argwhere(cut(data, "sagittal", 3, box)).tolist() == [[5, 1]]


def test_resampling_on_the_own_grid_changes_nothing():
    volume = Volume(np.random.default_rng(2).random((5, 6, 7)).astype(np.float32), RAS)
    box = (slice(0, 5), slice(1, 6), slice(0, 7))
    for plane, index in (("axial", 6), ("coronal", 2), ("sagittal", 0)):
        sampled = sample_slice(volume, np.eye(4), volume, plane, index, box)
        np.testing.assert_allclose(sampled, cut(volume.data, plane, index, box), atol=1e-6)


def test_a_transform_moves_by_millimetres_and_outside_is_missing():
    volume = Volume(np.arange(5.0).reshape(5, 1, 1).astype(np.float32), RAS)
    shift = np.eye(4)
    shift[0, 3] = 4.0  # two voxels to the right
    box = (slice(0, 5), slice(0, 1), slice(0, 1))
    sampled = sample_slice(volume, shift, volume, "axial", 0, box)
    np.testing.assert_allclose(sampled[0], [2, 3, 4, np.nan, np.nan])


@pytest.mark.parametrize("turn_deg", [0.0, 25.0])
@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("plane", PLANES)
def test_the_plane_of_thick_slices_is_told_however_they_are_stored(plane, axes, turn_deg):
    sizes = np.array([0.9, 0.9, 0.9])
    sizes[NORMAL_AXIS[plane]] = 5.0
    angle = np.deg2rad(turn_deg)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    affine = np.eye(4)
    affine[:3, :3] = (turn @ np.diag(sizes * (-1, 1, -1)))[:, list(axes)]
    assert thick_plane(affine) == plane
    affine[:3, :3] = (turn @ np.diag([1.0, 1.2, 1.5]))[:, list(axes)]
    assert thick_plane(affine) is None


def test_positions_are_world_millimetres():
    volume = Volume(np.zeros((5, 5, 5)), RAS)
    box = (slice(0, 5), slice(0, 5), slice(0, 5))
    assert slice_position_mm(volume, "axial", 2, box) == -20
    assert slice_position_mm(volume, "sagittal", 4, box) == -2


def test_the_grey_range_ignores_background_and_what_is_missing():
    low, high = display_range([np.array([np.nan, 0, 0, 0, 5.0, 6.0, 7.0])])
    assert 5 <= low < high <= 7
