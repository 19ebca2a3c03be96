"""Lesions are white matter, and NAWM keeps its distance from everything else."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.regions.nawm import (
    combine_tissues,
    normal_appearing_white_matter,
    without_infarct,
)


def slab() -> np.ndarray:
    """CSF, two voxels of cortex, white matter, ventricle along the first axis."""
    tissue = np.full((20, 5, 5), 15)
    tissue[0], tissue[1:3], tissue[-1] = 11, 13, 12
    return tissue


def test_a_lesion_is_white_matter_whatever_it_was_called() -> None:
    tissue, wmh = slab(), np.zeros((20, 5, 5), bool)
    wmh[2:4] = True
    combined = combine_tissues(tissue, np.ones_like(tissue), wmh)
    assert (combined[wmh] == 16).all()
    assert (combined[~wmh] == tissue[~wmh]).all()


def test_sides_come_from_the_hemispheres() -> None:
    sides = np.ones((20, 5, 5), int)
    sides[:, 3:] = 2
    combined = combine_tissues(slab(), sides, np.zeros((20, 5, 5), bool))
    assert (combined[:, :3] // 10 == 1).all()
    assert (combined[:, 3:] // 10 == 2).all()


def test_the_guard_is_in_mm() -> None:
    tissue = slab()
    for spacing, guard, kept in (((1, 1, 1), 1.0, 14), ((1, 1, 1), 2.0, 12), ((2, 1, 1), 2.0, 14)):
        nawm, removed = normal_appearing_white_matter(tissue, spacing, guard)
        assert nawm[:, 2, 2].sum() == kept
        per_side = (16 - kept) // 2 * 25
        assert removed == {"lesion": 0, "csf": per_side, "grey_matter": per_side}


def test_lesions_are_not_nawm_and_do_not_push_it_away() -> None:
    wmh = np.zeros((20, 5, 5), bool)
    wmh[10] = True
    combined = combine_tissues(slab(), np.ones((20, 5, 5), int), wmh)
    nawm, removed = normal_appearing_white_matter(combined, (1, 1, 1), 1.0)
    assert not nawm[10].any()
    assert nawm[9].all()
    assert nawm[11].all()
    assert removed["lesion"] == 25


def test_infarcts_are_taken_out_of_lesions_and_counted() -> None:
    wmh, infarct = np.zeros((2, 20, 5, 5), bool)
    wmh[8:12], infarct[10:14] = True, True
    left, removed = without_infarct(wmh, infarct)
    assert removed == {"infarct": 2 * 25, "infarct_rim": 0}
    assert left[8:10].all()
    assert left.sum() == 2 * 25
    with pytest.raises(ValueError, match="infarct has shape"):
        without_infarct(wmh, infarct[1:])


@pytest.mark.parametrize(("reach", "rim"), [(2, 2 * 25), (4, 0), (5, 0)])
def test_a_lesion_mostly_inside_goes_with_its_rim(reach: int, rim: int) -> None:
    wmh, infarct = np.zeros((2, 20, 5, 5), bool)
    infarct[2:6] = True
    wmh[2 : 6 + reach] = True  # four planes inside, some beyond
    wmh[15:17] = True  # another lesion, far away
    left, removed = without_infarct(wmh, infarct, with_rims=True)
    assert removed == {"infarct": 4 * 25, "infarct_rim": rim}
    assert left[15:17].all()
    assert left[6 : 6 + reach].all() == (rim == 0)
    assert not left[2:6].any()


@pytest.mark.parametrize(("spacing", "near"), [((1, 1, 1), 1), ((2, 1, 1), 0), ((0.5, 1, 1), 2)])
def test_nawm_keeps_its_distance_from_infarcts(spacing: tuple[float, ...], near: int) -> None:
    infarct = np.zeros((20, 5, 5), bool)
    infarct[9:11] = True
    nawm, removed = normal_appearing_white_matter(slab(), spacing, 1.0, infarct)
    assert removed["infarct"] == (2 + 2 * near) * 25
    assert not nawm[9 - near : 11 + near].any()
    assert nawm[8 - near].all()
    assert nawm[11 + near].all()


def test_every_voxel_of_white_matter_is_nawm_or_has_one_reason() -> None:
    infarct, wmh = np.zeros((2, 20, 5, 5), bool)
    infarct[:6], wmh[12:14] = True, True
    tissue = combine_tissues(slab(), np.ones((20, 5, 5), int), wmh)
    nawm, removed = normal_appearing_white_matter(tissue, (1, 1, 1), 1.0, infarct)
    white = np.count_nonzero(np.isin(tissue % 10, (5, 6)))
    assert nawm.sum() + sum(removed.values()) == white
    without = normal_appearing_white_matter(tissue, (1, 1, 1), 1.0)[1]
    assert "infarct" not in without
    assert removed["csf"] == without["csf"]
