"""A template's brain is found in a head: right place and size, whatever the skull looks like."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.align.affine import affine_matrix, align_template
from wmhflow.core.space.grids import Grid3D, apply_affine

SPACING_MM = 4.0


def blobs(shape: tuple[int, int, int], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    cloud = ndimage.gaussian_filter(rng.normal(size=shape).astype(np.float32), 1.6)
    low, high = np.quantile(cloud, [0.02, 0.98])
    return np.clip((cloud - low) / (high - low), 0.1, 1).astype(np.float32)


def ellipsoid(shape: tuple[int, int, int], radii: tuple[float, float, float]) -> np.ndarray:
    grid = np.indices(shape) - (np.array(shape) - 1).reshape(3, 1, 1, 1) / 2
    return sum((axis / radius) ** 2 for axis, radius in zip(grid, radii, strict=True)) <= 1


@pytest.mark.parametrize("scalp", [0.0, 0.4, 1.0], ids=["stripped", "grey scalp", "bright scalp"])
def test_a_smaller_brain_inside_a_scalp_is_found(scalp) -> None:
    shape = (56, 64, 56)
    affine = np.diag([SPACING_MM] * 3 + [1.0])
    affine[:3, 3] = -SPACING_MM * (np.array(shape) - 1) / 2
    mask = ellipsoid(shape, (18, 22, 17))
    template = Grid3D(np.where(mask, blobs(shape, 1), 0).astype(np.float32), affine)
    stretch = 100 * np.log([0.86, 0.9, 0.88])
    truth = affine_matrix([8, -5, 6, 6, -9, 4, *stretch, 0, 0, 0], np.zeros(3))
    back = np.linalg.inv(truth @ affine) @ affine
    brain = ndimage.affine_transform(template.data, back[:3, :3], back[:3, 3], shape, order=1)
    inside = ndimage.affine_transform(mask.astype(float), back[:3, :3], back[:3, 3], shape, order=1)
    around = ndimage.binary_dilation(inside > 0.5, iterations=4)
    skull = around & ~ndimage.binary_dilation(inside > 0.5, iterations=2)
    head = Grid3D(np.where(skull, np.float32(scalp), brain).astype(np.float32), affine)
    found, score = align_template(template, mask, head, seed=3)
    points = apply_affine(affine, np.argwhere(mask)[::40])
    error = np.linalg.norm(apply_affine(found - truth, points), axis=1)
    assert error.mean() < 1.0
    assert score > 0.5


def test_stretch_is_about_the_pivot() -> None:
    pivot = np.array([3.0, -2.0, 5.0])
    matrix = affine_matrix([10, 20, 30, 1, 2, 3, 5, -5, 8, 1, 2, 3], pivot)
    np.testing.assert_allclose(
        apply_affine(matrix, pivot[None]), [pivot + np.array([1, 2, 3])], atol=1e-12
    )
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(np.exp(0.08))


def test_a_turned_brain_is_found_under_the_top_of_a_head_with_a_long_neck() -> None:
    shape, tall = (44, 52, 44), (56, 64, 90)
    affine = np.diag([SPACING_MM] * 3 + [1.0])
    mask = ellipsoid(shape, (16, 20, 16))
    template = Grid3D(np.where(mask, blobs(shape, 1), 0).astype(np.float32), affine)
    centre = apply_affine(affine, (np.array(shape) - 1) / 2)
    truth = affine_matrix([18, -12, 10, 24, 24, 180, -8, -8, -8, 0, 0, 0], centre)
    back = np.linalg.inv(truth @ affine) @ affine
    brain = ndimage.affine_transform(template.data, back[:3, :3], back[:3, 3], tall, order=1)
    inside = ndimage.affine_transform(mask.astype(float), back[:3, :3], back[:3, 3], tall, order=1)
    around = ndimage.binary_dilation(inside > 0.5, iterations=3)
    skull = around & ~ndimage.binary_dilation(inside > 0.5, iterations=1)
    x, y, z = np.indices(tall)
    neck = (np.hypot(x - 28, y - 30) < 18) & (z < 50) & ~around
    data = np.where(neck, 0.9 * blobs(tall, 2), np.where(skull, 0.7, brain)).astype(np.float32)
    found, _ = align_template(template, mask, Grid3D(data, affine), seed=3)
    points = apply_affine(affine, np.argwhere(mask)[::40])
    assert np.linalg.norm(apply_affine(found - truth, points), axis=1).mean() < 1.5


def test_an_image_without_a_brain_is_refused(few_turns: None) -> None:
    shape = (44, 52, 44)
    affine = np.diag([SPACING_MM] * 3 + [1.0])
    mask = ellipsoid(shape, (16, 20, 16))
    template = Grid3D(np.where(mask, blobs(shape, 1), 0).astype(np.float32), affine)
    ball = ellipsoid(shape, (20, 20, 20))
    flat = Grid3D(np.where(ball, np.float32(0.7), np.float32(0)), affine)
    with pytest.raises(ValueError, match="nothing in the image is like the template's brain"):
        align_template(template, mask, flat, seed=3)
