"""Lesions of cerebellum and brain stem that are no brighter than the tissue around them.

The cerebellum's folds are finer than a warp follows: where it is off by 5 mm, the template has
white matter in plain grey matter, which is brighter than white matter and then looks like a lesion.
How bright the tissue there is needs no warp but the region's: nearly all of it is grey matter or
as bright.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.boxes import grown_box
from wmhflow.core.arrays.distance import distance_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Tissue so near is what a lesion is set beside, and it has to be brighter than so much of it; with
# less tissue than this there is nothing to set it beside.
AROUND_MM, BRIGHTEST, LEAST_AROUND_MM3 = 15.0, 0.95, 1000.0
STRUCTURE = np.ones((3, 3, 3))


def plain_below(
    mask: NDArray[np.bool_],
    brightness: NDArray[np.floating],
    below: NDArray[np.bool_],
    tissue: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
) -> NDArray[np.bool_]:
    """Find lesions of cerebellum and brain stem that do not stand out from what is around them.

    Parameters
    ----------
    mask
        Lesions.
    brightness
        FLAIR in any unit, without its bias field.
    below
        Where cerebellum and brain stem lie.
    tissue
        The brain without fluid.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray of bool
        The 26-connected components that lie in `below` with more than half of their voxels, and
        whose median is no brighter than nearly all of the tissue within 15 mm that is no lesion.

    Examples
    --------
    >>> brightness = np.ones((20, 20, 20))
    >>> lesions = np.zeros(brightness.shape, bool)
    >>> lesions[4:6, 4:6, 4:6] = lesions[14:16, 14:16, 14:16] = True
    >>> brightness[14:16, 14:16, 14:16] = 1.5
    >>> everywhere = brightness > 0
    >>> found = plain_below(lesions, brightness, everywhere, everywhere, (1.0, 1.0, 1.0))
    >>> int(found.sum()), bool(found[4, 4, 4])
    (8, True)
    """
    plain = np.zeros(mask.shape, bool)
    if not (mask & below).any():
        return plain
    labels, count = ndimage.label(mask, STRUCTURE)
    inside = np.bincount(labels[below], minlength=count + 1)
    mostly = 2 * inside > np.bincount(labels.ravel())
    usual = below & tissue & ~mask
    margin = np.ceil(AROUND_MM / np.asarray(voxel_sizes_mm)).astype(int)
    least = LEAST_AROUND_MM3 / float(np.prod(voxel_sizes_mm))
    boxes = ndimage.find_objects(labels)
    for place in np.flatnonzero(mostly[1:]):
        box = grown_box(boxes[place], margin, mask.shape)
        lesion, values = labels[box] == place + 1, brightness[box]
        near = distance_to(lesion, voxel_sizes_mm, limit=AROUND_MM) <= AROUND_MM
        around = values[near & usual[box]]
        if around.size >= least and np.median(values[lesion]) <= np.quantile(around, BRIGHTEST):
            plain[box] |= lesion
    return plain
