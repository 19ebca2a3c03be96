"""Zeros of a map that stand for no data lower no mean; zeros that were measured count.

Every row plants zeros in the phantom's FA. Its MD holds data everywhere, its own FA is NaN outside
the brain.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from tests.builders import PHANTOM, save_image
from wmhflow.core.measure.zeros import find_no_data, holds_data
from wmhflow.registries.maps import load_maps as load_registry
from wmhflow.steps.measures import LoadedMaps, MapOptions, load_maps

DWI = PHANTOM / "derivatives" / "maps" / "sub-01" / "ses-1" / "dwi"
FIT = "sub-01_ses-1_model-tensor"


class Brain(NamedTuple):
    """FA and MD of the phantom, where its brain is, and its white matter."""

    fa: np.ndarray
    md: np.ndarray
    affine: np.ndarray
    inside: np.ndarray
    white: np.ndarray


@cache
def brain() -> Brain:
    fa, md = (nib.load(DWI / f"{FIT}_param-{name}_dwimap.nii.gz") for name in ("fa", "md"))
    values = np.asarray(fa.dataobj, dtype=np.float64)
    inside = np.isfinite(values)
    white = ndimage.binary_erosion(inside & (values > 0.35))
    return Brain(values, np.asarray(md.dataobj, dtype=np.float64), fa.affine, inside, white)


def scattered(share: float) -> np.ndarray:
    drawn = np.random.default_rng(0).random(brain().fa.shape) < share
    # none beside another, and none at the brain's edge
    alone = ndimage.convolve(drawn.astype(int), np.ones((3, 3, 3), int), mode="constant") == 1
    return drawn & alone & ndimage.binary_erosion(brain().inside, iterations=2)


def first() -> np.ndarray:
    where = np.zeros(brain().fa.shape, bool)
    where[tuple(np.argwhere(scattered(0.05))[0])] = True
    return where


def box() -> np.ndarray:
    where = np.zeros(brain().fa.shape, bool)
    where[20:30, 30:40, 30:40] = True
    return where


def planes(axis: int, *which: slice) -> np.ndarray:
    where = np.zeros(brain().fa.shape, bool)
    for part in which:
        np.moveaxis(where, axis, 0)[part] = True
    return where


def oblique() -> np.ndarray:
    i, _, k = np.indices(brain().fa.shape)
    return k < 15 + 0.3 * i


def rim(width: int) -> np.ndarray:
    return ~ndimage.binary_erosion(brain().inside, iterations=width)


def loaded(folder: Path, fa: Any, sisters: bool, can_be_zero: bool, zeros: str) -> LoadedMaps:
    files = [save_image(folder / "fa.nii", fa, brain().affine)]
    options = [MapOptions("FA", "1", 0.0, 1.0, can_be_zero, "one fit")]
    if sisters:
        files.append(save_image(folder / "md.nii", brain().md, brain().affine))
        options.append(MapOptions("MD", "mm^2/s", 0.0, 0.01, False, "one fit"))
    return load_maps(files, options, None, zeros)


NO_DATA: dict[str, tuple[Callable[[], Any], bool, bool, str]] = {
    "the lower part was not scanned": (lambda: planes(2, slice(0, 30)), True, False, "planes"),
    "nor the front": (lambda: planes(1, slice(50, None)), False, False, "planes"),
    "nor a side": (lambda: planes(0, slice(0, 30)), True, True, "planes"),
    "slices in the middle were dropped": (
        lambda: planes(2, slice(30, 31), slice(36, 38)), False, False, "planes"),
    "an oblique field of view": (oblique, True, False, "outside"),
    "a mask three voxels too narrow": (lambda: rim(3), True, False, "outside"),
    "the same of a fraction": (lambda: rim(3), True, True, "outside"),
    "the same without another map": (lambda: rim(3), False, True, "outside"),
    "a fit that failed in a region": (box, True, False, "failures"),
    "a hole in the mask": (box, False, False, "holes"),
    "a fit that failed here and there": (lambda: scattered(0.05), True, False, "failures"),
}  # fmt: skip


@pytest.mark.parametrize(("where", "sisters", "can_be_zero", "why"), NO_DATA.values(), ids=NO_DATA)
def test_zeros_for_no_data_do_not_count(
    where: Any, sisters: bool, can_be_zero: bool, why: str, tmp_path: Path
) -> None:
    here, fa, white = where(), brain().fa, brain().white
    changed = np.where(here, 0, fa)
    changed = np.where(brain().inside, changed, 0)
    found = loaded(tmp_path, changed, sisters, can_be_zero, "auto")
    values, valid = found.maps["FA"]
    lost = white & here
    assert lost.sum() > 100
    assert not (valid & lost).any()
    assert values[white & valid].mean() == pytest.approx(fa[white & ~here].mean(), abs=1e-3)
    assert np.array_equal(valid & white, white & ~here)
    assert found.no_data["FA"].counts[why] >= lost.sum() * 0.5
    # and by the option, all of them count or none does
    for zeros, n_valid in (("data", white.sum()), ("missing", (white & ~here).sum())):
        valid = loaded(tmp_path, changed, sisters, can_be_zero, zeros).maps["FA"][1]
        assert (valid & white).sum() == n_valid


MEASURED: dict[str, tuple[Callable[[], Any], bool, bool]] = {
    "single zeros": (lambda: scattered(0.05), False, False),
    "single zeros of a fraction": (lambda: scattered(0.05), True, True),
    "a fraction that is 0 in a region": (box, True, True),
    "the same without another map": (box, False, True),
    "one zero beside another map": (first, True, False),
}  # fmt: skip


@pytest.mark.parametrize(("where", "sisters", "can_be_zero"), MEASURED.values(), ids=MEASURED)
def test_zeros_that_were_measured_count(
    where: Any, sisters: bool, can_be_zero: bool, tmp_path: Path
) -> None:
    here = where() & brain().inside
    assert here.any()
    found = loaded(tmp_path, np.where(here, 0, brain().fa), sisters, can_be_zero, "auto")
    assert found.maps["FA"][1][here].all()


def test_the_phantom_s_own_maps_lose_their_background_alone(tmp_path: Path) -> None:
    for name, file in (("CBF", "perf/sub-01_ses-1_cbf"), ("Chimap", "anat/sub-01_ses-1_Chimap")):
        image = nib.load(DWI.parent / f"{file}.nii.gz")
        values = np.asarray(image.dataobj, dtype=np.float64)
        definition = load_registry()[name]
        found = find_no_data(values, can_be_zero=definition.can_be_zero)
        single = found.zero & ~found.missing
        assert 0 < single.sum() < 1000
        # the background is what reaches the corner of the grid
        background = ndimage.label(found.zero)[0]
        assert np.array_equal(found.missing, background == background[0, 0, 0])


def steps(high: int) -> np.ndarray:
    """Make a ramp in whole steps from 0 on, within a rim of higher values."""
    i, j, k = np.indices((21, 21, 21))
    distance = np.maximum.reduce([abs(i - 10), abs(j - 10), abs(k - 10)])
    return np.clip(distance - 4, 0, high).astype(float)


BACKGROUNDS: dict[str, tuple[Any, bool]] = {
    "a map in coarse steps runs out to 0": (steps(5), False),
    "a region of 0 amid high values": (np.where(steps(5) > 0, 9.0, 0.0), True),
    "nothing but 0": (np.zeros((5, 5, 5)), True),
    "one value": (np.full((5, 5, 5), 2.0), False),
    "a background of 1e-9, as dipy's": (
        np.pad(np.full((8, 8, 8), 7e-4), 5, constant_values=1e-9), True),
    "a background of -1": (np.pad(np.full((8, 8, 8), 0.5), 5, constant_values=-1.0), True),
    "single precision's 0": (np.pad(np.full((8, 8, 8), 0.5), 5, constant_values=1e-30), True),
    "small numbers of tissue": (np.pad(np.full((8, 8, 8), 0.5), 5, constant_values=0.01), False),
    "signs on both sides": (np.linspace(-1, 1, 9 * 9 * 9).reshape(9, 9, 9), False),
}  # fmt: skip


@pytest.mark.parametrize(("values", "missing"), BACKGROUNDS.values(), ids=BACKGROUNDS)
def test_what_is_0_is_told_by_the_map_s_own_values(values: Any, missing: bool) -> None:
    found = find_no_data(values)
    assert found.missing.any() == missing
    if missing:
        assert np.array_equal(found.missing, values == values.min())


def test_where_no_map_of_a_fit_holds_data_nobody_measured() -> None:
    fw, fa = np.full((9, 9, 9), 0.3), np.full((9, 9, 9), 0.4)
    fw[4, 4, 4:6] = 0
    fa[4, 4, 4] = 0
    found = find_no_data(fw, [holds_data(fa)], can_be_zero=True)
    assert np.argwhere(found.missing).tolist() == [[4, 4, 4]]
    fa[4, 4, 4] = np.nan
    assert find_no_data(fw, [holds_data(fa)], can_be_zero=True).missing.sum() == 1


@pytest.mark.parametrize("can_be_zero", [True, False])
def test_single_precision_finds_the_places_that_double_precision_finds(can_be_zero: bool) -> None:
    rng = np.random.default_rng(7)
    values = rng.uniform(0.001, 1, (14, 15, 16)).astype(np.float32)
    values[values < 0.1] = np.round(values[values < 0.1], 2)
    values[:, :2], values[5:9, 6:10, 6:10], values[3, 4, 5] = 0, 0, np.nan
    other = rng.uniform(0.5, 1, values.shape) > 0.52
    # as small as rounding, and around one and a half times the smallest
    values[10, 11, :6] = np.float32([9.9e-6, 1.01e-5, 1e-5, 0.015, 0.0150001, 0.0149999])
    one, two = (
        find_no_data(kind, [other], can_be_zero=can_be_zero)
        for kind in (values, values.astype(np.float64))
    )
    assert np.array_equal(one.missing, two.missing)
    assert np.array_equal(one.zero, two.zero)
    assert one.counts == two.counts
    assert 0 < one.missing.sum() < one.missing.size
