"""Directions follow fibres in the right table alone: a wrong one is named, or nobody can tell."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders import DATA
from tests.core.diffusion.series import directions
from wmhflow.core.diffusion import (
    conventions,
    fibre_coherence,
    fit_tensor,
    image_axes,
    main_directions,
    name_of,
    read_gradients,
    tissue_fa,
)
from wmhflow.files.images import load_series

REAL = DATA / "diffusion" / "ds000114_sub-01_ses-test_desc-trunc_dwi.nii.gz"


def rings() -> tuple[np.ndarray, np.ndarray]:
    """Thin bundles along four circles that lie obliquely: directions (X, Y, Z, 3), and FA."""
    place = np.moveaxis(np.indices((18, 19, 20)), 0, -1) - np.array([8.3, 9.1, 9.6])
    along, fa = np.zeros(place.shape), np.full(place.shape[:3], 0.05)
    for axis, radius in (((3, 5, 8), 8), ((-5, 2, 3), 7), ((2, -7, 3), 6), ((8, 1, -4), 4)):
        normal = np.array(axis) / np.linalg.norm(axis)
        height = place @ normal
        apart = np.linalg.norm(place - height[..., None] * normal, axis=-1) - radius
        inside = np.hypot(height, apart) < 1.1
        tangent = np.cross(normal, place[inside])
        along[inside] = tangent / np.linalg.norm(tangent, axis=1, keepdims=True)
        fa[inside] = 0.6
    return along, fa


def test_24_conventions_are_different() -> None:
    every = [np.round(one).astype(int) for one in conventions()]
    keys = {min(one.tobytes(), (-one).tobytes()) for one in every}
    assert (len(every), len(keys)) == (24, 24)
    assert name_of(np.eye(3)) == "as given"


def test_every_wrong_convention_of_fibres_in_rings_is_found() -> None:
    fibres, fa = rings()
    for wrong in conventions():
        found = fibre_coherence(fibres @ wrong.T, fa, np.ones(3))
        mended = conventions()[found.best] @ wrong
        assert np.allclose(mended, np.eye(3)) or np.allclose(mended, -np.eye(3))
        assert found.is_right is bool(np.allclose(wrong, np.eye(3)))


@pytest.mark.skipif(not REAL.exists(), reason="the real series lies in shared/data/diffusion")
def test_23_of_23_wrong_conventions_of_a_real_series_are_found() -> None:
    data, affine = load_series(REAL)
    start = str(REAL).removesuffix(".nii.gz")
    bvals, written = np.loadtxt(f"{start}.bval"), np.loadtxt(f"{start}.bvec")
    gradients = read_gradients(bvals, written, affine, "FSL", data.shape[3])
    mask = (data > 0).all(axis=3) & (data[..., 0] > 310)
    fit = fit_tensor(data[mask], gradients)
    fa, along = np.full(mask.shape, np.nan), np.zeros((*mask.shape, 3))
    fa[mask] = tissue_fa(fit.fa, fit.md, fit.rd)
    along[mask] = main_directions(fit.tensors) @ image_axes(affine)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    right = [fibre_coherence(along @ wrong.T, fa, spacing).is_right for wrong in conventions()]
    assert right == [True] + 23 * [False]


def test_where_no_fibre_leads_anywhere_nobody_can_tell() -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        pick = directions(200)[rng.integers(200, size=(14, 14, 14))]
        found = fibre_coherence(pick, np.full((14, 14, 14), 0.5), np.ones(3))
        assert (found.is_right, found.words) == (None, "cannot tell")
    empty = fibre_coherence(pick, np.full((14, 14, 14), 0.1), np.ones(3))
    assert (empty.is_right, empty.second) == (None, 1.0)


def test_noise_fluid_and_failed_fits_have_no_fibres() -> None:
    fa, md, rd = np.full(4, 0.5), np.array([0.1, 0.8, 2.5, 0.8]) * 1e-3, np.array([1, 1, 1, 0.0])
    assert np.isfinite(tissue_fa(fa, md, rd)).tolist() == [False, True, False, False]
