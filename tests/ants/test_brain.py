"""The brain of two images without skulls: an image that ends early takes nothing from it."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

import numpy as np
import pytest
from scipy import ndimage

from tests.heads import coarse
from wmhflow.ants.brain import extract_brain, shared_brain
from wmhflow.core.space.grids import Grid3D


@pytest.fixture(scope="module")
def t1w() -> Grid3D:
    return coarse("t1w", 4.0)


@pytest.fixture(scope="module")
def inner() -> np.ndarray:
    return coarse("brain_mask", 4.0).data


def test_a_blank_slab_of_one_image_takes_nothing_from_the_brain(
    t1w: Grid3D, inner: np.ndarray
) -> None:
    head = Grid3D(t1w.data * inner, t1w.affine)
    blank = inner.copy()
    blank[:, :, int(np.flatnonzero(inner.any(axis=(0, 1)))[-1]) - 3 :] = False
    alone = extract_brain(head, t1w, inner, 1)
    for voxel_mm in (None, 12.0):
        assert np.array_equal(shared_brain(head, alone, blank, voxel_mm), alone)
    assert (inner & ~blank).sum() > 200


def test_flat_ends_of_thick_slices_are_no_end_in_the_brain(t1w: Grid3D, inner: np.ndarray) -> None:
    """A brain in slices of 16 mm has a flat top, and still tells scraps of the other image."""
    n_slices = inner.shape[2] // 4
    slices = inner[:, :, : 4 * n_slices].reshape(*inner.shape[:2], n_slices, 4).mean(axis=3)
    thick = np.zeros(inner.shape, bool)
    thick[:, :, : 4 * n_slices] = np.repeat(slices > 0.5, 4, axis=2)
    head = Grid3D(t1w.data * inner, t1w.affine)
    alone = extract_brain(head, t1w, inner, 1)
    found = [shared_brain(head, alone, thick, voxel_mm) for voxel_mm in (4.0, 16.0)]
    assert np.array_equal(found[0], inner)
    assert np.array_equal(found[1], inner & thick)


def test_fluid_that_the_other_image_lacks_is_brain_and_scraps_are_none(
    t1w: Grid3D, inner: np.ndarray
) -> None:
    """A FLAIR in thick slices of which grey and white matter was kept has no ventricles."""
    depth = ndimage.distance_transform_edt(inner)
    hollow = inner & ~(depth > 0.72 * depth.max())
    x, y, _ = np.indices(inner.shape)
    scraps = ndimage.binary_dilation(inner, iterations=2) & (x < 20) & (y > 35) & ~inner
    head = Grid3D(np.where(inner | scraps, t1w.data + 1, 0), t1w.affine)
    found = shared_brain(head, inner | scraps, hollow)
    lacking = 1 - hollow.sum() / inner.sum()
    assert 0.05 < lacking < 0.09, lacking
    assert found[inner].all()
    # but for what lies in a fissure
    assert (found & scraps).sum() < 0.3 * scraps.sum()


@pytest.mark.slow
def test_a_neck_left_on_a_brain_is_taken_off_whichever_way_the_grid_runs(
    t1w: Grid3D, inner: np.ndarray
) -> None:
    padded = np.pad(inner, ((8, 8), (8, 8), (24, 8)))
    image = np.where(padded, np.pad(t1w.data, ((8, 8), (8, 8), (24, 8))), 0)
    affine = t1w.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ [8, 8, 24]
    low = int(np.flatnonzero(padded.any(axis=(0, 1)))[0])
    x, y = np.argwhere(padded[:, :, low + 2])[:, 0], np.argwhere(padded[:, :, low + 2])[:, 1]
    i, j, _ = np.indices(padded.shape)
    around = np.hypot(i - x.mean(), j - y.mean()) < 7
    neck = around & (np.arange(padded.shape[2]) > 3) & (np.arange(padded.shape[2]) < low + 1)
    rng = np.random.default_rng(0)
    head = np.where(neck & ~padded, rng.uniform(0.5, 0.9, padded.shape), image).astype(np.float32)
    for flip in (False, True):
        data, grid = head, affine.copy()
        if flip:
            data = np.ascontiguousarray(head[:, :, ::-1])
            grid[:3, 3] += grid[:3, 2] * (head.shape[2] - 1)
            grid[:3, 2] *= -1
        found = extract_brain(Grid3D(data, grid), t1w, inner, 1)
        found = found[:, :, ::-1] if flip else found
        assert (neck & found).sum() < 0.35 * neck.sum()
        assert (padded & ~found).sum() < 0.01 * padded.sum()
    alone = extract_brain(Grid3D(image.astype(np.float32), affine), t1w, inner, 1)
    assert np.array_equal(alone, padded)
