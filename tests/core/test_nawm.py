"""Lesions are white matter, and NAWM keeps its distance from everything else."""

from __future__ import annotations

import numpy as np

from wmhflow.core.nawm import combine_tissues, normal_appearing_white_matter


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
