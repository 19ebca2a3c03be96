"""The inverse of a field of displacements: where the answer is known, and where there is none."""

from __future__ import annotations

import re

import numpy as np
import pytest

from wmhflow.core.align.chains import carried
from wmhflow.core.align.inverting import (
    head_points,
    inverse_fault,
    invert_field,
    preimages,
    round_trip_mm,
)
from wmhflow.core.align.plausible import LARGEST_ERROR_MM
from wmhflow.core.align.pulling import Displacements, PointMap
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.space.grids import Grid3D, apply_affine

SHAPE = (26, 30, 24)
STRAIGHT = np.array([[5.0, 0, 0, -65], [0, 5, 0, -70], [0, 0, 5, -60], [0, 0, 0, 1]])
TURNED = rigid_matrix((0, 0, 0, 20, -10, 30), np.zeros(3)) @ np.diag([-5.0, 4.0, 6.0, 1.0])
TURNED[:3, 3] -= TURNED[:3, :3] @ (np.array(SHAPE) - 1) / 2
# in the middle of the fields, of which some move by 20 mm
INSIDE = np.random.default_rng(4).uniform(-30, 30, (400, 3))
FAR = rigid_matrix((80, -30, 20, 10, 5, -15), np.zeros(3))
STRETCH = np.diag([1.25, 0.8, 1.1, 1.0])


def smooth(points: np.ndarray) -> np.ndarray:
    x, y, z = points.T
    bent = [4 * np.sin(y / 18) * np.cos(z / 25), 5 * np.cos(x / 20), 3 * np.sin((x + z) / 22)]
    return points + np.stack(bent, axis=1)


def tripled(points: np.ndarray) -> np.ndarray:
    """Stretch the middle threefold: plain steps of the whole error never end there."""
    size = np.linalg.norm(points, axis=1, keepdims=True)
    return points * (1 + 2 * np.exp(-((size / 40) ** 2)))


# the map of points, and how far its inverse is from the truth, mm: a field is interpolated
MAPS = {
    "still": (lambda x: x, 1e-4),
    "a shift": (lambda x: x + np.array([7, -4, 2.5]), 1e-4),
    "rigid and far": (lambda x: apply_affine(FAR, x), 1e-3),
    "affine": (lambda x: apply_affine(STRETCH, x), 1e-3),
    "smooth": (smooth, 0.5),
    "smooth and far": (lambda x: apply_affine(FAR, smooth(x)), 0.5),
}


def sampled(move, affine: np.ndarray = STRAIGHT) -> Displacements:
    places = apply_affine(affine, np.moveaxis(np.indices(SHAPE), 0, -1).reshape(-1, 3))
    vectors = (move(places) - places).reshape(*SHAPE, 3)
    return Displacements(vectors.astype(np.float32), affine)


@pytest.mark.parametrize("affine", [STRAIGHT, TURNED], ids=["straight", "turned"])
@pytest.mark.parametrize(("move", "apart"), MAPS.values(), ids=MAPS)
def test_the_inverse_leads_back_to_where_points_were(move, apart: float, affine) -> None:
    field = sampled(move, affine)
    ends = move(INSIDE)
    inverse = invert_field(field)
    assert np.abs(carried(ends, [inverse]) - INSIDE).max() < apart
    assert np.abs(preimages(field, ends) - INSIDE).max() < apart
    assert np.nanmax(round_trip_mm(field, inverse, ends)) < LARGEST_ERROR_MM
    assert inverse_fault(field, ends) is None


def test_solved_points_lead_back_exactly_although_fields_are_interpolated() -> None:
    for move in (smooth, lambda x: apply_affine(FAR, smooth(x))):
        field = sampled(move)
        ends = carried(INSIDE, [PointMap(np.eye(4), field, np.eye(4))])
        assert np.abs(preimages(field, ends) - INSIDE).max() < 2e-3


def test_a_field_that_stretches_threefold_is_inverted_by_smaller_steps() -> None:
    field = sampled(tripled)
    middle = INSIDE / 4
    ends = carried(middle, [PointMap(np.eye(4), field, np.eye(4))])
    assert np.abs(preimages(field, ends) - middle).max() < 1e-2
    assert inverse_fault(field, ends) is None


def test_what_the_field_does_not_reach_stays_outside_its_grid() -> None:
    """A far field's own grid lies where points of elsewhere would fall if they stayed."""
    field = sampled(lambda x: apply_affine(FAR, x))
    inverse = invert_field(field)
    # beside the image of the field, and in the field's own box
    beside = apply_affine(FAR, np.array([[-75.0, 0, 0], [0, 0, 70], [-90, 20, 10]]))
    found = carried(beside, [inverse])
    voxels = apply_affine(np.linalg.inv(STRAIGHT), found)
    assert np.all(((voxels < -0.5) | (voxels > np.array(SHAPE) - 0.5)).any(axis=1))
    assert np.isnan(round_trip_mm(field, inverse, beside)).all()


def folding(points: np.ndarray) -> np.ndarray:
    """Turn a ball of 15 mm inside out, and leave the rest as it is."""
    size = np.linalg.norm(points - 8, axis=1, keepdims=True)
    return points - 2.4 * (points - 8) * np.exp(-((size / 12) ** 4))


def with_nan(points: np.ndarray) -> np.ndarray:
    return np.where(np.abs(points) < 3, np.nan, points)


@pytest.mark.parametrize(
    ("move", "why"),
    [
        (folding, r"folds at .* % of the head, and has no inverse there"),
        (lambda x: x * [1, 1, 0.0], "folds in 100 % of its field"),
        (lambda x: x * [-1, 1, 1], "folds in 100 % of its field"),
        (with_nan, "not finite"),
        (lambda x: x + 900, "further than a head is wide"),
    ],
)
def test_a_field_without_an_inverse_is_refused(move, why: str) -> None:
    fault = inverse_fault(sampled(move), INSIDE)
    assert fault is not None
    assert re.search(why, fault)


def test_a_field_of_another_image_is_refused() -> None:
    field = sampled(smooth)
    fault = inverse_fault(field, INSIDE + np.array([400, 0, 0]))
    assert fault is not None
    assert "belongs to another image" in fault


def test_a_fold_outside_the_head_is_none_of_it() -> None:
    field = sampled(folding)
    far = INSIDE[np.linalg.norm(INSIDE - 8, axis=1) > 32]
    assert len(far) > 100
    assert inverse_fault(field, far) is None


def test_head_points_lie_in_the_head_alone() -> None:
    affine = np.array([[0, -2.0, 0, 30], [1, 0, 0, -40], [0, 0, 3.0, -20], [0, 0, 0, 1]])
    places = np.moveaxis(np.indices((80, 30, 16)), 0, -1)
    size = np.linalg.norm(apply_affine(affine, places) - [0, 0, 4], axis=-1)
    points = head_points(Grid3D(np.where(size < 18, 100.0, 2.0).astype(np.float32), affine))
    assert len(points) > 100
    assert np.linalg.norm(points - [0, 0, 4], axis=1).max() < 18
    assert len(head_points(Grid3D(np.zeros((9, 9, 9), np.float32), np.diag([5.0, 5, 5, 1])))) == 729
