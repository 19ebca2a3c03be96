"""What the accuracy benchmark calls a known motion is one, in the header and in the voxels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.accuracy import rigid
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.space.grids import Grid3D, apply_affine, centroid_mm

OBLIQUE = rigid_matrix([4, -6, 10, 20, -30, 5], np.zeros(3)) @ np.diag([1.0, 1.0, 3.0, 1.0])


def blob() -> Grid3D:
    data = np.zeros((40, 44, 16), np.float32)
    data[14:24, 18:30, 6:10] = 1
    return Grid3D(ndimage.gaussian_filter(data, (2, 2, 0.7)), OBLIQUE)


def test_motions_are_rigid_within_their_limits_and_the_same_every_time() -> None:
    drawn = list(rigid.motions(50, 3))
    for motion, again in zip(drawn, rigid.motions(50, 3), strict=True):
        assert np.array_equal(motion, again)
        assert np.allclose(motion[:3, :3] @ motion[:3, :3].T, np.eye(3))
        assert np.linalg.det(motion) == pytest.approx(1)
        assert np.linalg.norm(motion[:3, 3]) <= rigid.LARGEST_SHIFT_MM
    turned = [np.degrees(np.arccos((np.trace(m[:3, :3]) - 1) / 2)) for m in drawn]
    assert max(turned) > 40


@pytest.mark.parametrize("move", [rigid.in_header, rigid.by_resampling])
def test_a_motion_takes_the_content_along(move) -> None:
    grid = blob()
    motion = rigid_matrix([10, -25, 30, 8, -12, 15], centroid_mm(grid))
    moved = move(grid, motion)
    assert np.allclose(centroid_mm(moved), apply_affine(motion, centroid_mm(grid)), atol=0.3)
    volume = [np.abs(np.linalg.det(one.affine)) * one.data.sum() for one in (grid, moved)]
    assert volume[1] == pytest.approx(volume[0], rel=0.02)


def test_resampling_keeps_the_headers_directions_and_sizes() -> None:
    moved = rigid.by_resampling(blob(), next(rigid.motions(1, 0)))
    assert np.allclose(moved.affine[:3, :3], OBLIQUE[:3, :3])


def test_thick_slices_hold_the_same_content() -> None:
    grid = blob()
    thick = rigid.in_slices(grid, (0.5, 0.5, 5.0))
    assert np.allclose(np.linalg.norm(thick.affine[:3, :3], axis=0), [0.5, 0.5, 5.0])
    assert np.allclose(centroid_mm(thick), centroid_mm(grid), atol=0.3)


def test_errors_are_distances() -> None:
    shift = rigid_matrix([0, 0, 0, 3, 4, 0], np.zeros(3))
    assert rigid.errors_mm(shift, np.eye(4), np.zeros((2, 3))).tolist() == [5, 5]
