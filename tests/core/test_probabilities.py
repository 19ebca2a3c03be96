"""Regions that may overlap: linear interpolation, combinations, weighted volumes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from wmhflow.core.probabilities import STEPS, overlapping_labels, steps_at, weighted_volumes

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


@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.25, 0.5, 1.0]))
def test_combinations_hold_exactly_the_voxels_of_each_region(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.integers(0, STEPS + 1, (4, 3, 2, 4)).astype(np.uint8)
    labels, members = overlapping_labels(steps, threshold)
    for region in range(1, 5):
        inside = steps[..., region - 1] / STEPS >= threshold
        assert (np.isin(labels, members[region]) == inside).all()


def test_weights_are_probabilities() -> None:
    steps = np.zeros((2, 2, 1, 2), np.uint8)
    steps[..., 0] = [[[STEPS], [STEPS // 2]], [[0], [STEPS // 4]]]
    mask = np.array([[[True], [True]], [[True], [False]]])
    first, empty = weighted_volumes(steps, mask, 8.0)
    assert first == {"volume_mm3": 14.0, "wmh_volume_mm3": 12.0, "wmh_fraction": 12 / 14}
    assert empty["volume_mm3"] == 0
    assert np.isnan(empty["wmh_fraction"])
