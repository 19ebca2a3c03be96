"""Orientation, slices and resampling of the report's images."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.reports.volumes import (
    NORMAL_AXIS,
    Volume,
    bounding_box,
    cut,
    display_range,
    edge_letters,
    lesion_slices,
    obliquity_deg,
    sample_slice,
    slice_position_mm,
    spread_slices,
    to_ras,
)

RAS = np.array([[2.0, 0, 0, -10], [0, 3.0, 0, -20], [0, 0, 5.0, -30], [0, 0, 0, 1]])


def stored_as(volume: Volume, axes: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Volume:
    """Store a volume in another order of axes without moving anything in the world."""
    data, affine = volume.data, volume.affine.copy()
    for axis in np.flatnonzero(flips):
        affine[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
        affine[:3, axis] *= -1
        data = np.flip(data, axis)
    return Volume(data.transpose(axes), affine[:, [*axes, 3]])


def world_of(volume: Volume, value: float) -> np.ndarray:
    voxel = np.argwhere(volume.data == value)[0]
    return volume.affine[:3, :3] @ voxel + volume.affine[:3, 3]


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
@pytest.mark.parametrize("flips", [(True, False, False), (True, True, False), (False, True, True)])
def test_every_storage_becomes_the_same_right_front_up_volume(axes, flips):
    volume = Volume(np.random.default_rng(1).random((4, 5, 6)), RAS)
    turned = to_ras(stored_as(volume, axes, flips))
    np.testing.assert_array_equal(turned.data, volume.data)
    np.testing.assert_allclose(turned.affine, volume.affine)


def test_an_oblique_volume_keeps_its_voxels_where_they_are():
    angle = np.radians(20)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    oblique = stored_as(Volume(np.arange(60.0).reshape(3, 4, 5), turn @ RAS), (1, 2, 0), (1, 0, 1))
    turned = to_ras(oblique)
    np.testing.assert_allclose(world_of(turned, 17.0), world_of(oblique, 17.0))
    assert (np.diag(turned.affine)[:3] > 0).all()
    assert obliquity_deg(turned.affine) == pytest.approx(20)


def test_letters_at_the_edges_follow_the_affine_and_not_the_array():
    ras = Volume(np.zeros((3, 3, 3)), RAS)
    las = stored_as(ras, (0, 1, 2), (True, False, False))
    assert edge_letters(ras, "axial") == edge_letters(ras, "coronal") == ("L", "R")
    assert edge_letters(las, "axial") == ("R", "L")
    assert edge_letters(to_ras(las), "axial") == ("L", "R")
    assert edge_letters(ras, "sagittal") == ("P", "A")


def test_columns_run_right_and_rows_run_up():
    data = np.zeros((4, 5, 6))
    data[3, 1, 5] = 1.0
    box = bounding_box(np.zeros((4, 5, 6), bool), np.ones(3))
    assert np.argwhere(cut(data, "axial", 5, box)).tolist() == [[1, 3]]
    assert np.argwhere(cut(data, "coronal", 1, box)).tolist() == [[5, 3]]
    assert np.argwhere(cut(data, "sagittal", 3, box)).tolist() == [[5, 1]]


@pytest.mark.parametrize("plane", NORMAL_AXIS)
@pytest.mark.parametrize("count", [1, 3, 6])
def test_slices_pass_through_lesions_and_are_spread(plane, count):
    lesions = np.zeros((40, 40, 40), dtype=bool)
    lesions[8:14, 8:14, 8:14] = lesions[25:33, 25:33, 25:33] = True
    chosen = lesion_slices(lesions, np.ones_like(lesions), plane, count)
    through = np.moveaxis(lesions, NORMAL_AXIS[plane], 0)
    assert len(chosen) == len(set(chosen)) == count
    assert all(through[index].any() for index in chosen)
    if count > 1:
        assert min(chosen) < 14
        assert max(chosen) >= 25


def test_a_single_voxel_lesion_is_met_and_other_slices_fill_up():
    lesions = np.zeros((20, 20, 20), dtype=bool)
    lesions[3, 4, 17] = True
    chosen = lesion_slices(lesions, np.ones_like(lesions), "axial", 4)
    assert 17 in chosen
    assert len(chosen) == 4


def test_without_lesions_or_brain_there_are_still_slices():
    nothing = np.zeros((20, 20, 20), dtype=bool)
    assert lesion_slices(nothing, nothing, "axial", 3) == spread_slices(nothing, "axial", 3)
    assert len(spread_slices(nothing, "coronal", 3)) == 3
    assert spread_slices(np.ones((5, 5, 1), bool), "axial", 4) == [0]


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


def test_positions_are_world_millimetres():
    volume = Volume(np.zeros((5, 5, 5)), RAS)
    box = (slice(0, 5), slice(0, 5), slice(0, 5))
    assert slice_position_mm(volume, "axial", 2, box) == -20
    assert slice_position_mm(volume, "sagittal", 4, box) == -2


def test_the_grey_range_ignores_background_and_what_is_missing():
    low, high = display_range([np.array([np.nan, 0, 0, 0, 5.0, 6.0, 7.0])])
    assert 5 <= low < high <= 7
