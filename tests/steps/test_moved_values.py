"""Maps of images whose values were all moved by one number are those of images that were not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from wmhflow.core.diffusion.gradients import FSL
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.labels.digits import LEFT, VENTRICLES, WHITE_MATTER, with_side
from wmhflow.steps.apparent import map_adc
from wmhflow.steps.diffusion import fit_tensors
from wmhflow.steps.diffusion_models import fit_ivims
from wmhflow.steps.echoes import map_decay
from wmhflow.steps.kinds import LabelImage, MaskImage
from wmhflow.steps.ratios import map_t1_over_t2, map_transfer
from wmhflow.steps.uptake import map_uptake

N = 36
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
RADIUS = np.linalg.norm((np.indices((N, N, N)).T - (N - 1) / 2).T, axis=0)
HEAD, FLUID, REGION = RADIUS < 15, RADIUS < 4, (RADIUS > 8) & (RADIUS < 14)
DIRECTIONS = (
    np.array([[1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1]]) / 2**0.5
)
SIGMA = 8.0
Change = Callable[[np.ndarray], np.ndarray]


def scanned(signal: Any, seed: int) -> np.ndarray:
    """Give a magnitude the noise of two channels, so that air is no constant."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, SIGMA, (2, N, N, N))
    return np.hypot(signal * HEAD + noise[0], noise[1]).astype(np.float32)


def grid(signal: Any, change: Change, seed: int) -> Grid3D:
    return Grid3D(change(scanned(signal, seed)).astype(np.float32), AFFINE)


def series(folder: Path, b: list[float], change: Change) -> dict[str, Any]:
    """Write a series of MD 0.8e-3 and 3e-3 in fluid, and its table."""
    diffusivity = np.where(FLUID, 3e-3, 0.8e-3)
    bright = np.where(FLUID, 1500, 1000)
    data = [scanned(bright * np.exp(-one * diffusivity), n) for n, one in enumerate(b)]
    path = folder / "x.nii"
    nib.save(nib.Nifti1Image(change(np.stack(data, axis=-1)).astype(np.float32), AFFINE), path)
    (folder / "x.bval").write_text(" ".join(f"{one:g}" for one in b), encoding="utf-8")
    return {"image": path, "bval": folder / "x.bval", "volumes": list(range(len(b)))}


def middle(values: np.ndarray, region: np.ndarray) -> float:
    """Return the median; NaN where there is no value."""
    known = values[region & np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def of_decay(_: Path, change: Change) -> tuple[float, Any]:
    times = [0.005, 0.010, 0.015, 0.020]
    echoes = [grid(1000 * np.exp(-20 * t), change, n) for n, t in enumerate(times)]
    # given in another order than they were taken
    found = map_decay(echoes[::-1], times[::-1])
    return middle(found.rate.data, REGION), found.facts


def of_transfer(_: Path, change: Change) -> tuple[float, Any]:
    found = map_transfer(grid(1000, change, 1), grid(600, change, 2))
    return middle(found.ratio.data, REGION), found.facts


def of_ratio(_: Path, change: Change) -> tuple[float, Any]:
    t2w = grid(np.where(FLUID, 1500, np.where(RADIUS < 7, 800, 500)), change, 1)
    t1w = grid(np.where(FLUID, 150, np.where(RADIUS < 7, 600, 800)), lambda image: image, 2)
    fluid, white = with_side(VENTRICLES, LEFT), with_side(WHITE_MATTER, LEFT)
    labels = LabelImage(np.where(FLUID, fluid, np.where(HEAD, white, 0)), AFFINE)
    lesion = MaskImage((RADIUS < 7) & ~FLUID, AFFINE)
    found = map_t1_over_t2(t2w, t1w, labels, lesion, 6.0)
    return middle(found.ratio.data, (RADIUS > 5) & (RADIUS < 6)), found.facts


def of_uptake(folder: Path, change: Change) -> tuple[float, Any]:
    path = folder / "pet.nii"
    activity = scanned(np.where(RADIUS < 7, 1500, 1000), 1)
    nib.save(nib.Nifti1Image(change(activity).astype(np.float32), AFFINE), path)
    region = LabelImage(REGION.astype(np.int32), AFFINE)
    none = MaskImage(np.zeros((N, N, N), bool), AFFINE)
    found = map_uptake(path, region, none, "SUVR", "region", [], [], [])
    return middle(found.ratio.data, RADIUS < 6), found.facts


def of_tensor(folder: Path, change: Change) -> tuple[float, Any]:
    given = series(folder, [0.0, *[1000.0] * 6], change)
    vectors = np.vstack([np.zeros(3), DIRECTIONS]).T
    np.savetxt(folder / "x.bvec", vectors, fmt="%.6f")
    found = fit_tensors(**given, convention=FSL, bvec=folder / "x.bvec")
    return 1000 * middle(found.md.data, REGION), found.facts


def of_adc(folder: Path, change: Change) -> tuple[float, Any]:
    found = map_adc(**series(folder, [0.0, 1000.0], change))
    return 1000 * middle(found.adc.data, REGION), found.facts


def of_ivim(folder: Path, change: Change) -> tuple[float, Any]:
    found = fit_ivims(**series(folder, [0.0, 20, 50, 100, 200, 400, 800], change))
    return 1000 * middle(found.d.data, REGION), found.facts


# each with what it gives, and how near to it noise lets it come
MAPS = {
    "R2*": (of_decay, 20.0, 0.3),
    "MTR": (of_transfer, 40.0, 0.5),
    "T1w/T2w": (of_ratio, (600 / 800) / (800 / 500), 0.06),
    "SUVR": (of_uptake, 1.5, 0.01),
    "MD": (of_tensor, 0.8, 0.01),
    "ADC": (of_adc, 0.8, 0.01),
    "IVIM D": (of_ivim, 0.8, 0.03),
}
CHANGES: dict[str, Change] = {
    "as scanned": lambda image: image,
    "moved": lambda image: image + 1000,
    "moved far": lambda image: image + 20000,
    "masked, and moved": lambda image: np.where(_inside(image), image, 0) + 1000,
    "not known outside, and not moved": lambda image: np.where(_inside(image), image, np.nan),
}


def _inside(image: np.ndarray) -> np.ndarray:
    return HEAD if image.ndim == 3 else HEAD[..., None]


# all of them take half a minute
QUICK = {("R2*", "moved"), ("MTR", "masked, and moved"), ("SUVR", "moved far"),
         ("MD", "moved"), ("ADC", "not known outside, and not moved")}  # fmt: skip
PAIRS = [
    pytest.param(name, change, marks=[] if (name, change) in QUICK else [pytest.mark.slow])
    for name in MAPS
    for change in CHANGES
]


@pytest.mark.parametrize(("name", "change"), PAIRS)
def test_a_number_added_to_all_values_changes_no_map(
    tmp_path: Path, name: str, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, truth, near = MAPS[name]
    with caplog.at_level(logging.WARNING):
        value, facts = make(tmp_path, CHANGES[change])
    assert value == pytest.approx(truth, abs=near)
    is_moved = "and moved" in change or change.startswith("moved")
    assert ("where there is no signal" in caplog.text) == is_moved
    assert (facts["air_share"] > 0.1) == is_moved


@pytest.mark.slow
@pytest.mark.parametrize("name", MAPS)
def test_a_smaller_number_that_bends_the_map_is_marked(tmp_path: Path, name: str) -> None:
    make, truth, near = MAPS[name]
    try:
        value, facts = make(tmp_path, lambda image: image + 180)
    except InputError:
        # without a mask air is taken for head, and a weighted volume seems the brighter one
        assert make in (of_ivim, of_tensor)
        return
    # below the bound from which on it is taken off, and above that of the table of quality
    assert 0.1 < facts["air_share"] < 0.2
    assert abs(value - truth) > near


@pytest.mark.parametrize("make", [of_decay, of_transfer])
def test_a_little_below_0_is_a_magnitude_and_a_phase_is_none(
    tmp_path: Path, make: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Splines leave some beside bright edges, whatever the noise."""

    def ringing(image: np.ndarray) -> np.ndarray:
        return np.where((RADIUS > 15) & (RADIUS < 16), -60, image)

    truth = 20.0 if make is of_decay else 40.0
    assert make(tmp_path, ringing)[0] == pytest.approx(truth, abs=0.5)
    assert make(tmp_path, lambda image: image - 500)[1]["refused"] == 1
    assert "negative values" in caplog.text or "no magnitude" in caplog.text
