"""Fields in closed form, fields from outside, and what is inverted again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.space.grids import Grid3D
from wmhflow.core.susceptibility import (
    field_of,
    invert_field,
    invert_whole_field,
    local_field,
    main_field_direction,
)

N, RADIUS_MM = 40, 8.0


def places(affine: np.ndarray, n: int = N) -> np.ndarray:
    """Place of every voxel in mm from the middle of the grid."""
    index = np.indices((n, n, n)).reshape(3, -1)
    mm = affine[:3, :3] @ (index - (n - 1) / 2)
    return mm.reshape(3, n, n, n)


def oblique(sizes: tuple[float, float, float]) -> np.ndarray:
    a, b = np.deg2rad([25, -15])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_y @ np.diag(sizes)
    return affine


def ball(affine: np.ndarray, radius: float = RADIUS_MM) -> np.ndarray:
    """How much of each voxel lies in a ball, by 4³ points."""
    total = np.zeros((N, N, N))
    parts = (np.arange(4) + 0.5) / 4 - 0.5
    for shift in np.stack(np.meshgrid(parts, parts, parts)).reshape(3, -1).T:
        mm = places(affine) + (affine[:3, :3] @ shift)[:, None, None, None]
        total += (mm**2).sum(axis=0) <= radius**2
    return total / 64


def field_of_a_ball(affine: np.ndarray, radius: float = RADIUS_MM) -> np.ndarray:
    """Return a third of (a/r)³ · (3cos² − 1) around a ball of susceptibility 1; 0 within."""
    mm = places(affine)
    r = np.sqrt((mm**2).sum(axis=0))
    cosine = mm[2] / np.where(r > 0, r, 1)
    return np.where(r > radius, (radius / np.maximum(r, radius)) ** 3 * (3 * cosine**2 - 1) / 3, 0)


GRIDS = {
    "cubes": np.diag([1.0, 1.0, 1.0, 1.0]),
    "slices": np.diag([1.0, 1.0, 1.5, 1.0]),
    "flipped": np.diag([-1.0, 1.0, -1.0, 1.0]),
    "lying": np.array([[1.0, 0, 0, 0], [0, 0, 1.0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1]]),
    "oblique": oblique((1.0, 1.0, 1.2)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_the_field_of_a_ball_is_that_of_the_books(name: str) -> None:
    affine = GRIDS[name]
    found, truth = field_of(ball(affine), affine), field_of_a_ball(affine)
    r = np.sqrt((places(affine) ** 2).sum(axis=0))
    outside = r > RADIUS_MM + 2
    within = r < RADIUS_MM - 2
    scale = np.abs(truth).max()
    assert np.abs(found - truth)[outside].max() < 0.02 * scale
    assert np.abs(found[within]).mean() < 0.02 * scale


def test_the_main_field_lies_along_z_of_the_world() -> None:
    assert np.allclose(main_field_direction(GRIDS["lying"]), [0, -1, 0])
    direction = main_field_direction(GRIDS["oblique"])
    rotation = GRIDS["oblique"][:3, :3] / np.linalg.norm(GRIDS["oblique"][:3, :3], axis=0)
    assert np.allclose(rotation @ direction, [0, 0, 1])
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    with pytest.raises(ValueError, match="right angles"):
        main_field_direction(sheared)


def brain_and_sources(affine: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a round brain, what it holds (ppm), and strong sources outside of it."""
    mm = places(affine)
    brain = (mm**2).sum(axis=0) < 12.5**2
    inner = np.zeros(brain.shape)
    for centre, chi in (((4, 3, 0), 0.1), ((-5, -2, 3), -0.05), ((0, -5, -5), 0.06)):
        near = ((mm - np.array(centre)[:, None, None, None]) ** 2).sum(axis=0) < 3**2
        inner[near & brain] = chi
    outer = np.zeros(brain.shape)
    outer[2:5, 16:24, 16:24] = 9.0
    outer[16:24, 16:24, 35:38] = -3.0
    return brain, inner, ndimage.gaussian_filter(outer, 0.8)


@pytest.mark.parametrize("name", ["cubes", "oblique"])
def test_what_lies_outside_is_taken_away(name: str) -> None:
    affine = GRIDS[name]
    sizes = Grid3D(np.zeros((1, 1, 1)), affine).voxel_sizes_mm
    brain, inner, outer = brain_and_sources(affine)
    own = field_of(inner, affine)
    whole = own + field_of(outer, affine)
    assert np.std(whole[brain]) > 10 * np.std(own[brain])
    found = local_field(whole, brain, sizes)
    assert (found.mask <= brain).all()
    assert found.mask.sum() > 0.7 * brain.sum()
    alone = local_field(field_of(outer, affine), brain, sizes)
    assert np.std(alone.field[found.mask]) < 0.35 * np.std(own[found.mask])
    assert np.corrcoef(found.field[found.mask], own[found.mask])[0, 1] > 0.85


@pytest.mark.parametrize("name", ["cubes", pytest.param("oblique", marks=pytest.mark.slow)])
def test_sources_come_back_from_their_field_and_from_the_whole_field(name: str) -> None:
    affine = GRIDS[name]
    brain, inner, outer = brain_and_sources(affine)
    own = field_of(inner, affine)
    found = invert_field(own, brain, affine, n_iterations=30)
    assert error(found, inner, brain) < 0.3
    whole, told = invert_whole_field(own + field_of(outer, affine), brain, affine, n_iterations=30)
    assert (told <= brain).all()
    assert error(whole, inner, told) < 0.5


def error(found: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    a, b = (part[mask] - part[mask].mean() for part in (found, truth))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def test_a_field_that_is_not_finite_an_empty_and_a_thin_mask_are_refused() -> None:
    field, mask = np.zeros((9, 9, 9)), np.ones((9, 9, 9), bool)
    with pytest.raises(ValueError, match="not finite"):
        invert_field(np.full_like(field, np.nan), mask, np.eye(4))
    with pytest.raises(ValueError, match="empty"):
        invert_field(field, ~mask, np.eye(4))
    thin = np.zeros_like(mask)
    thin[4] = True
    for function in (lambda: local_field(field, thin, (1, 1, 1)),
                     lambda: invert_whole_field(field, thin, np.eye(4))):  # fmt: skip
        with pytest.raises(ValueError, match="too thin"):
            function()
