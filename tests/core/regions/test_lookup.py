"""Atlases at points: the nearest voxel's label, probabilities as scipy interpolates them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.regions.lookup import labels_at, steps_at
from wmhflow.core.regions.probabilities import STEPS

OBLIQUE = np.array([[1.2, 0.3, 0, -4], [-0.3, 1.1, 0.2, 2], [0, -0.2, 1.4, 1], [0, 0, 0, 1]])


@pytest.mark.parametrize("affine", [np.eye(4), np.diag([-2.0, 1, 1, 1]), OBLIQUE])
def test_points_take_what_linear_interpolation_gives(affine: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    volumes = rng.random((6, 7, 5, 3)).astype(np.float32)
    voxels = rng.uniform(-2, 8, (500, 3))
    points = voxels @ affine[:3, :3].T + affine[:3, 3]
    found = steps_at(points, volumes, affine)
    for region in range(3):
        # a volume of zeros around: what lies outside counts as 0
        padded = np.pad(volumes[..., region].astype(np.float64), 1)
        wanted = ndimage.map_coordinates(padded, voxels.T + 1, order=1, cval=0.0)
        assert np.abs(found[:, region] / STEPS - wanted).max() <= 0.5 / STEPS + 1e-6


def test_a_region_of_1_is_1_and_order_of_points_does_not_matter() -> None:
    volumes = np.ones((40, 40, 40, 2), np.float32)
    points = np.random.default_rng(2).uniform(0, 39, (70_000, 3))
    found = steps_at(points, volumes, np.eye(4))
    assert (found == STEPS).all()
    assert (steps_at(points[::-1], volumes, np.eye(4))[::-1] == found).all()


@pytest.mark.parametrize(
    ("points", "volumes"), [((4, 2), (3, 3, 3, 1)), ((4, 3), (3, 3, 3)), ((3,), (3, 3, 3, 1))]
)
def test_other_shapes_are_refused(points: tuple[int, ...], volumes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="are expected"):
        steps_at(np.zeros(points), np.zeros(volumes, np.float32), np.eye(4))


@pytest.mark.parametrize("affine", [np.eye(4), np.diag([-2.0, 1, 1, 1]), OBLIQUE])
def test_a_label_is_that_of_the_nearest_voxel(affine: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(1, 40_000, (6, 7, 5))
    voxels = rng.uniform(-2, 8, (500, 3))
    found = labels_at(voxels @ affine[:3, :3].T + affine[:3, 3], labels, affine)
    padded = np.pad(labels, 4)
    assert (found == padded[tuple(np.rint(voxels).astype(int).T + 4)]).all()


def test_a_label_image_has_three_axes() -> None:
    with pytest.raises(ValueError, match="3 axes are expected"):
        labels_at(np.zeros((4, 3)), np.zeros((3, 3, 3, 1), int), np.eye(4))
