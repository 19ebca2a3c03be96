"""Codes become tissues and sides; a mirrored head gives the mirrored answer."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.regions.lobes import lay_lobes
from wmhflow.core.tissue.parcellation import complete_hemispheres, recode, unknown_codes


def test_recode_and_unknown() -> None:
    codes = np.array([[[0, 2, 41, 999, 999]]])
    assert recode(codes, {2: 5, 41: 6}).tolist() == [[[0, 5, 6, 0, 0]]]
    assert unknown_codes(codes, {2: 5, 41: 6}) == {999: 2}


@pytest.mark.parametrize("width", [4, 5])
def test_completion_is_the_same_for_the_mirrored_head(width: int) -> None:
    rng = np.random.default_rng(3)
    sides = np.zeros((width, 7, 6), int)
    sides[0] = rng.integers(0, 2, (7, 6))
    sides[-1] = 2 * sides[0]
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    completed = complete_hemispheres(sides, affine)
    swapped = np.where(sides > 0, 3 - sides, 0)[::-1]
    mirrored = complete_hemispheres(swapped, affine)
    off_midline = np.arange(width) != (width - 1) / 2
    assert np.array_equal((3 - mirrored[::-1])[off_midline], completed[off_midline])


def test_the_affine_decides_what_is_near() -> None:
    sides = np.zeros((5, 5, 1), int)
    sides[0, 2], sides[2, 0] = 1, 2
    assert complete_hemispheres(sides, np.diag([1.0, 3.0, 1, 1]))[2, 2, 0] == 1
    assert complete_hemispheres(sides, np.diag([3.0, 1.0, 1, 1]))[2, 2, 0] == 2


def test_a_missing_side_is_refused() -> None:
    with pytest.raises(ValueError, match="both a left and a right"):
        complete_hemispheres(np.ones((2, 2, 2), int), np.eye(4))


def test_cortex_and_nuclei_take_the_lobe_of_the_nearest_parcel_of_their_side() -> None:
    rng = np.random.default_rng(7)
    shape = (9, 8, 7)
    classes = rng.choice([0, 0, 3, 4, 5], shape)
    lobes = np.where(classes == 3, rng.integers(0, 5, shape), 0)
    lobes[classes == 4] = rng.choice([0, 5], (classes == 4).sum())
    right = rng.random(shape) < 0.5
    tissue = rng.choice([0, 13, 14, 15, 16, 23, 24, 25, 26], shape)
    spacing = np.array([1.0, 1.5, 2.0])
    laid = lay_lobes(lobes, classes, right, tissue, spacing)
    for voxel in np.argwhere(tissue > 0):
        own, side = divmod(int(tissue[tuple(voxel)]), 10)[::-1]
        if own in (5, 6):
            in_nuclei = own == 6 and lobes[tuple(voxel)] == 5
            assert laid[tuple(voxel)] == (5 if in_nuclei else 0)
            continue
        parcels = np.argwhere((classes == own) & (right == (side == 2)))
        away = (((parcels - voxel) * spacing) ** 2).sum(axis=1)
        nearest = {int(lobes[tuple(p)]) for p in parcels[np.isclose(away, away.min())]}
        assert laid[tuple(voxel)] in nearest


def test_a_side_without_parcels_gets_no_lobe() -> None:
    tissue = np.array([[[13, 23, 13]]])
    classes, lobes = np.array([[[3, 0, 0]]]), np.array([[[2, 0, 0]]])
    laid = lay_lobes(lobes, classes, classes < 0, tissue, np.ones(3))
    assert laid.ravel().tolist() == [2, 0, 2]
