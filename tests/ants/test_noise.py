"""Noise is measured and taken out, and edges stay."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.ants.noise import without_noise
from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.space.grids import Grid3D
from wmhflow.core.wmh.noise import noise_sd

SHAPE = (32, 32, 20)
INSIDE = np.zeros(SHAPE, bool)
INSIDE[3:-3, 3:-3, 3:-3] = True
LESION = np.zeros(SHAPE, bool)
LESION[12:19, 12:19, 8:13] = True


def noisy(sd: float, scale: float = 100.0) -> np.ndarray:
    rng = np.random.default_rng(1)
    clean = scale * (1 + 0.5 * LESION) * INSIDE
    return np.hypot(*(rng.normal(0, sd * scale, SHAPE) + part for part in (clean, 0))).astype(
        np.float32
    )


@pytest.mark.parametrize("sd", [0.02, 0.1, 0.2])
@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_noise_is_measured_in_any_unit(sd: float, scale: float) -> None:
    found = noise_sd(noisy(sd, scale), INSIDE, INSIDE.astype(np.float32), (1, 1, 1))
    assert abs(found - sd) < 0.1 * sd


def test_without_three_voxels_in_a_row_there_is_nothing_to_measure() -> None:
    assert np.isnan(noise_sd(noisy(0.1), np.zeros(SHAPE, bool), np.ones(SHAPE), (1, 1, 1)))


@pytest.mark.parametrize("thick_axis", [None, 0, 2])
@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_noise_goes_and_the_lesion_stays(thick_axis: int | None, scale: float) -> None:
    sizes = np.ones(4)
    if thick_axis is not None:
        sizes[thick_axis] = 5.0
    image = Grid3D(noisy(0.12, scale), np.diag(sizes))
    found = without_noise(image, INSIDE, 0).data
    white, seen = INSIDE & ~LESION, found / scale
    assert seen[white].std() < 0.6 * (image.data / scale)[white].std()
    assert abs(seen[LESION].mean() - 1.5) < 0.03
    assert abs(seen[white].mean() - 1) < 0.03
    assert np.array_equal(found[~INSIDE], image.data[~INSIDE])


def interpolated(sd: float, times: tuple[int, int, int]) -> np.ndarray:
    """Give each voxel's noise to the finer voxels that a scanner makes of it, smoothly."""
    rng = np.random.default_rng(2)
    fine = np.array(SHAPE) * times
    parts = []
    for _ in range(2):
        noise = ndimage.gaussian_filter(rng.normal(0, 1, fine), [0.4 * (n > 1) * n for n in times])
        parts.append(sd * noise / noise.std())
    clean = np.kron((1 + 0.5 * LESION) * INSIDE, np.ones(times))
    return np.hypot(clean + parts[0], parts[1]).astype(np.float32)


@pytest.mark.parametrize("times", [(2, 2, 1), (3, 3, 1), (1, 2, 2)])
@pytest.mark.parametrize("sd", [0.05, 0.15])
def test_noise_that_a_scanner_interpolated_is_noise(times: tuple[int, int, int], sd: float) -> None:
    sizes = tuple(1.2 / n if n > 1 else 5.0 for n in times)
    inside = np.kron(INSIDE, np.ones(times)) > 0
    image = interpolated(sd, times)
    found = noise_sd(image, inside, inside.astype(np.float32), sizes)
    assert abs(found - sd) < 0.25 * sd
    # voxels side by side hide a part of it
    assert noise_sd(image, inside, inside.astype(np.float32), (9, 9, 9)) < 0.75 * sd


def test_nothing_but_one_value_is_no_image() -> None:
    with pytest.raises(UnfitImageError, match="noise"):
        without_noise(Grid3D(np.full(SHAPE, 7, np.float32), np.eye(4)), INSIDE, 0)
