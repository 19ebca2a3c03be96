"""Tissues with lesions in them, and normal-appearing white matter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.distance import distance_to

CSF, VENTRICLES, CORTEX, DEEP_GREY, WHITE_MATTER, WMH, INFRATENTORIAL = range(1, 8)
LEFT, RIGHT = 1, 2


def combine_tissues(
    tissue: NDArray[np.integer], hemispheres: NDArray[np.integer], wmh: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Put lesions into a tissue image and split it by hemisphere.

    A lesion's voxels are white matter whatever the segmentation called them.

    Parameters
    ----------
    tissue
        Shape (X, Y, Z), tissue classes 1 to 7 (with or without the tens of a side), 0 outside.
    hemispheres
        Same shape, 1 left and 2 right.
    wmh
        Same shape, the lesion mask.

    Returns
    -------
    ndarray of uint8
        10 + class on the left, 20 + class on the right, 0 outside.

    Examples
    --------
    >>> tissue = np.array([[[0, 5, 5]]])
    >>> sides = np.array([[[1, 1, 2]]])
    >>> combine_tissues(tissue, sides, np.array([[[False, True, False]]])).tolist()
    [[[0, 16, 25]]]
    """
    classes = np.where(wmh, WMH, np.asarray(tissue) % 10)
    return np.where(classes > 0, classes + 10 * np.asarray(hemispheres), 0).astype(np.uint8)


def normal_appearing_white_matter(
    tissue: NDArray[np.integer], spacing: Sequence[float], guard_mm: float
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Find white matter that is no lesion and keeps its distance from CSF and grey matter.

    Parameters
    ----------
    tissue
        Shape (X, Y, Z), as :func:`combine_tissues` returns it.
    spacing
        Voxel size in mm.
    guard_mm
        A voxel whose centre lies at most this far from the centre of a CSF or grey matter voxel
        is left out, in mm.

    Returns
    -------
    nawm : ndarray of bool
    removed : dict
        Number of white matter voxels left out per reason: ``lesion``, ``csf``, ``grey_matter``
        (a voxel near both counts as near CSF).
    """
    classes = np.asarray(tissue) % 10
    white = classes == WHITE_MATTER
    near_csf = _near((classes == CSF) | (classes == VENTRICLES), spacing, guard_mm)
    near_grey = _near((classes == CORTEX) | (classes == DEEP_GREY), spacing, guard_mm)
    nawm = white & ~near_csf & ~near_grey
    removed = {
        "lesion": int(np.count_nonzero(classes == WMH)),
        "csf": int(np.count_nonzero(white & near_csf)),
        "grey_matter": int(np.count_nonzero(white & near_grey & ~near_csf)),
    }
    return nawm, removed


def _near(
    target: NDArray[np.bool_], spacing: Sequence[float], guard_mm: float
) -> NDArray[np.bool_]:
    # a little more than the guard, so that float32 distances of exactly the guard count as near
    reach = guard_mm * (1 + 1e-5)
    return np.asarray(distance_to(target, spacing, limit=reach) <= reach)
