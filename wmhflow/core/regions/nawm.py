"""Tissues with lesions in them, and normal-appearing white matter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.arrays.masks import within
from wmhflow.core.arrays.validation import Spacing, check_same_shape, checked_mask
from wmhflow.core.regions.lesions import label_lesions
from wmhflow.labels.digits import (
    CORTEX,
    CSF,
    DEEP_GREY,
    VENTRICLES,
    WHITE_MATTER,
    WMH,
    class_of,
    with_side,
)


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
    classes = np.where(wmh, WMH, class_of(np.asarray(tissue)))
    return with_side(classes, np.asarray(hemispheres)).astype(np.uint8)


def without_infarct(
    wmh: NDArray[np.bool_], infarct: NDArray[np.bool_], *, with_rims: bool = False
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Take the voxels of infarcts out of a lesion mask.

    An infarct is as bright on FLAIR as a WMH, and of another origin. What segments WMH segments
    infarcts too, and a little beyond where the infarct's mask ends.

    Parameters
    ----------
    wmh, infarct
        Masks of one shape (X, Y, Z).
    with_rims
        Whether a lesion (26-connected) of which more than half lies inside the infarct is the
        infarct, and goes as a whole.

    Returns
    -------
    wmh : ndarray of bool
    removed : dict
        Number of WMH voxels inside the infarct (``infarct``) and beyond it (``infarct_rim``).

    Examples
    --------
    >>> wmh = np.array([[[True, True, True, False]]])
    >>> infarct = np.array([[[False, True, True, True]]])
    >>> left, removed = without_infarct(wmh, infarct)
    >>> left.tolist(), removed
    ([[[True, False, False, False]]], {'infarct': 2, 'infarct_rim': 0})
    >>> without_infarct(wmh, infarct, with_rims=True)[1]
    {'infarct': 2, 'infarct_rim': 1}
    """
    wmh, infarct = checked_mask(wmh, "wmh"), checked_mask(infarct, "infarct")
    check_same_shape(wmh=wmh, infarct=infarct)
    left = wmh & ~infarct
    rim = np.zeros_like(left)
    if with_rims:
        labels, count = label_lesions(wmh, np.eye(4))
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        inside = np.bincount(labels[infarct], minlength=count + 1)
        is_infarct = 2 * inside > sizes
        is_infarct[0] = False
        rim = left & is_infarct[labels]
    removed = {"infarct": np.count_nonzero(wmh & infarct), "infarct_rim": np.count_nonzero(rim)}
    return left & ~rim, {reason: int(count) for reason, count in removed.items()}


def normal_appearing_white_matter(
    tissue: NDArray[np.integer],
    spacing: Spacing,
    guard_mm: float,
    infarct: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Find white matter that is no lesion and keeps its distance from CSF, grey matter, infarcts.

    Parameters
    ----------
    tissue
        Shape (X, Y, Z), as :func:`combine_tissues` returns it.
    spacing
        Voxel size in mm.
    guard_mm
        A voxel whose centre lies at most this far from the centre of a voxel of CSF, grey matter
        or infarct is left out, in mm.
    infarct
        Same shape, infarcts and other lesions that are no WMH; None if unknown.

    Returns
    -------
    nawm : ndarray of bool
    removed : dict
        Number of white matter voxels left out per reason: ``lesion``, ``infarct`` (if there is a
        mask), ``csf``, ``grey_matter``. A voxel has the first reason that holds for it.
    """
    classes = class_of(np.asarray(tissue))
    left = classes == WHITE_MATTER
    removed = {"lesion": int(np.count_nonzero(classes == WMH))}
    reasons = {
        "infarct": infarct,
        "csf": (classes == CSF) | (classes == VENTRICLES),
        "grey_matter": (classes == CORTEX) | (classes == DEEP_GREY),
    }
    for reason, target in reasons.items():
        if target is not None:
            near = left & within(target, guard_mm, spacing)
            removed[reason] = int(np.count_nonzero(near))
            left = left & ~near
    return left, removed
