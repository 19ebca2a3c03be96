"""Lobes of the cortex, and of the white matter next to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.arrays.boxes import bounding_box, enclosing_box
from wmhflow.core.arrays.distance import owners_in_box
from wmhflow.core.arrays.validation import (
    check_same_shape,
    checked_labels,
    checked_mask,
)
from wmhflow.labels.digits import (
    BASAL_GANGLIA,
    CORTEX,
    DEEP_GREY,
    LARGEST_DIGIT,
    LEFT_LABELS,
    NO_LOBE,
    RIGHT_LABELS,
    WMH,
    class_of,
    is_right,
)


def lay_lobes(
    lobes: NDArray[np.integer],
    classes: NDArray[np.integer],
    right: NDArray[np.bool_],
    tissue: NDArray[np.integer],
    spacing: NDArray[np.float64],
) -> NDArray[np.uint8]:
    """Give a person's own cortex and deep nuclei the lobes of an atlas that was laid over them.

    The warp brings gyri near to each other and not onto each other, so that every voxel of cortex
    takes the lobe of the nearest parcel of its hemisphere, whatever lies on it, and every voxel of
    deep grey that of the nearest nucleus. What has no lobe there, as the insula, gives none.
    Lesions in the atlas's deep nuclei belong to these.

    Parameters
    ----------
    lobes, classes, right
        Shape (X, Y, Z), of the atlas: lobe 1 to 5 or 0, tissue class, and whether the code is of
        the right side.
    tissue
        Shape (X, Y, Z), of the person: 10 or 20 for the side, plus the class.
    spacing
        Voxel sizes in mm.

    Returns
    -------
    ndarray of uint8
        Lobe of the person's cortex (1 to 4, 0 none) and deep nuclei (5), 0 elsewhere.

    Examples
    --------
    >>> lobes, classes = np.array([[[1, 0, 0, 2]]]), np.array([[[3, 0, 0, 3]]])
    >>> tissue = np.array([[[15, 13, 15, 13]]])
    >>> lay_lobes(lobes, classes, classes < 0, tissue, np.ones(3)).ravel().tolist()
    [0, 1, 0, 2]
    """
    own, on_right = class_of(tissue), is_right(tissue)
    laid = np.zeros(np.shape(tissue), dtype=np.uint8)
    for kind in (CORTEX, DEEP_GREY):
        parcels = np.where(classes == kind, np.where(lobes > 0, lobes, NO_LOBE), 0)
        found = class_of(propagate_lobes(parcels, right, own == kind, on_right, spacing))
        laid[own == kind] = found[own == kind]
    laid[laid == NO_LOBE] = 0
    # lesions in the nuclei are included: no tissue says that they lie there
    laid[(own == WMH) & (lobes == BASAL_GANGLIA)] = BASAL_GANGLIA
    return laid


def propagate_lobes(
    cortex_lobes: ArrayLike,
    right_cortex: ArrayLike,
    white_matter: ArrayLike,
    right: ArrayLike,
    spacing: ArrayLike,
) -> NDArray[np.uint8]:
    """Give every white-matter voxel the lobe of the nearest cortex of its own hemisphere.

    Parameters
    ----------
    cortex_lobes : (I, J, K) integer array
        Lobe k of every cortex voxel, 1 to 9; 0 elsewhere.
    right_cortex : (I, J, K) array of booleans or numbers
        True where the cortex is of the right hemisphere.
    white_matter : (I, J, K) array of booleans or numbers
        Voxels that are to get a lobe.
    right : (I, J, K) array of booleans or numbers
        True where the white matter is of the right hemisphere.
    spacing : three floats
        Voxel sizes in mm.

    Returns
    -------
    (I, J, K) uint8 array
        10 + k on the left, 20 + k on the right, the smaller k of equally near ones; 0 outside the
        white matter and in a hemisphere that has no cortex.

    Raises
    ------
    ValueError
        If shapes differ, a lobe is above 9 or a voxel size is not positive.
    TypeError
        If an image has the wrong type.

    Examples
    --------
    >>> cortex = np.array([[[1, 0, 0, 0, 2]]])
    >>> left = np.zeros((1, 1, 5), bool)
    >>> propagate_lobes(cortex, left, cortex == 0, left, (1, 1, 1)).ravel()
    array([ 0, 11, 11, 12,  0], dtype=uint8)
    """
    lobes = checked_labels(cortex_lobes, "cortex_lobes")
    right_source = checked_mask(right_cortex, "right_cortex")
    matter, right_side = checked_mask(white_matter, "white_matter"), checked_mask(right, "right")
    check_same_shape(
        cortex_lobes=lobes, right_cortex=right_source, white_matter=matter, right=right_side
    )
    if lobes.max() > LARGEST_DIGIT:
        raise ValueError(f"cortex_lobes has lobe {lobes.max()}: lobes are numbered from 1 to 9")
    result = np.zeros_like(lobes, dtype=np.uint8)
    boxes = bounding_box(lobes), bounding_box(matter)
    if boxes[0] is None or boxes[1] is None:
        return result
    head = enclosing_box(boxes[0], boxes[1])
    small = lobes[head].astype(np.uint8, order="K")
    for side, on_right in ((LEFT_LABELS, False), (RIGHT_LABELS, True)):
        source = small * (right_source[head] == on_right)
        found = owners_in_box(source, spacing, matter[head] & (right_side[head] == on_right))
        if found is not None:
            box, owners = found
            np.add(owners, side, out=result[head][box], where=owners != 0, casting="unsafe")
    return result
