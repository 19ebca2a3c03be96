"""Where the cerebellum and the brain stem are, and how much of each lesion lies in them.

Zones and lobes know no tentorium: this tells lesions below it apart, beside them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.arrays.distance import nearest
from wmhflow.core.arrays.validation import (
    Spacing,
    check_same_shape,
    checked_labels,
    checked_mask,
    checked_volume,
)
from wmhflow.labels.digits import CSF, INFRATENTORIAL, class_of

_CEREBRUM, _BELOW = 1, 2


def infratentorial_region(
    tissue: NDArray[np.integer],
    wmh: NDArray[np.bool_],
    spacing: Spacing,
    placed: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Find the tissue of cerebellum and brain stem, lesions in it included.

    A lesion's voxel that the tissues call fluid, or that lies outside of them, belongs to the
    nearest tissue: a rim of the fourth ventricle is below, one of a sulcus is not.

    Parameters
    ----------
    tissue
        Shape (X, Y, Z), tissue classes 1 to 7 (with or without the tens of a side), 0 outside.
    wmh
        Same shape, lesions.
    spacing
        Voxel size in mm.
    placed
        Same shape, where a warp has cerebellum and brain stem; lesions there are below whatever
        the tissues call them. For tissues that call lesions white matter, as computed ones do.

    Returns
    -------
    ndarray of bool
        Equally near to both, a voxel belongs to the cerebrum.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> tissue = np.array([[[15, 17, 17, 1, 1, 0]]])
    >>> wmh = np.array([[[True, True, False, True, False, False]]])
    >>> infratentorial_region(tissue, wmh, (1, 1, 1)).astype(int).tolist()
    [[[0, 1, 1, 1, 0, 0]]]
    """
    classes = class_of(checked_volume(tissue, "tissue"))
    lesion = checked_mask(wmh, "wmh")
    check_same_shape(tissue=classes, wmh=lesion)
    below = np.asarray(classes == INFRATENTORIAL)
    if placed is not None:
        there = checked_mask(placed, "placed")
        check_same_shape(tissue=classes, placed=there)
        below |= lesion & there
    unknown = ~below & ((classes == 0) | (classes == CSF))
    unsure = lesion & unknown
    if not (below.any() and unsure.any()):
        return below
    known = np.where(unknown, 0, np.where(below, _BELOW, _CEREBRUM))
    _, owner = nearest(known.astype(np.uint8), spacing, within=unsure)
    return below | (unsure & (owner == _BELOW))


def infratentorial_shares(
    lesion_labels: ArrayLike, n: int, infratentorial: ArrayLike
) -> NDArray[np.float64]:
    """Measure which share of every lesion's voxels lies in cerebellum and brain stem.

    Parameters
    ----------
    lesion_labels : (I, J, K) integer array
        Lesions numbered from 1 to `n`.
    n : int
        Number of lesions.
    infratentorial : (I, J, K) array of booleans or numbers
        As `infratentorial_region` makes it.

    Returns
    -------
    (n,) float array
        0 to 1; entry ``i`` is lesion ``i + 1``, NaN for a number that no voxel has.

    Raises
    ------
    ValueError
        If shapes differ or a label is above `n`.

    Examples
    --------
    >>> infratentorial_shares([[[1, 1, 2, 2]]], 2, [[[0, 1, 1, 1]]])
    array([0.5, 1. ])
    """
    lesions = checked_labels(lesion_labels, "lesion_labels")
    below = checked_mask(infratentorial, "infratentorial")
    check_same_shape(lesion_labels=lesions, infratentorial=below)
    if int(lesions.max()) > n:
        raise ValueError(f"lesion_labels has lesion {int(lesions.max())}, but there are {n}")
    sizes = np.bincount(lesions.ravel(), minlength=n + 1)[1:]
    inside = np.bincount(lesions[below], minlength=n + 1)[1:]
    return np.where(sizes > 0, inside / np.maximum(sizes, 1), np.nan)
