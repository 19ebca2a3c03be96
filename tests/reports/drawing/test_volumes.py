"""Every way of storing an image becomes one order: right, front, up."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.reports.drawing.planes import edge_letters
from wmhflow.reports.drawing.volumes import Volume, bounding_box, obliquity_deg, to_ras

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


def test_the_box_holds_the_mask_and_its_margin_in_millimetres():
    mask = np.zeros((30, 30, 30), dtype=bool)
    mask[10:12, 0:3, 20:30] = True
    box = bounding_box(mask, np.array([2.0, 3.0, 6.0]))
    assert [(edge.start, edge.stop) for edge in box] == [(7, 15), (0, 5), (19, 30)]
    whole = bounding_box(np.zeros((4, 5, 6), dtype=bool), np.ones(3))
    assert [(edge.start, edge.stop) for edge in whole] == [(0, 4), (0, 5), (0, 6)]
