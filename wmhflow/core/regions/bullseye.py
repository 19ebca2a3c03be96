"""The bullseye: white matter by depth between ventricle and cortex, and by lobe.

References
----------
Sudre CH, Gomez Anson B, Davagnanam I, et al. Bullseye's representation of cerebral white matter
hyperintensities. Journal of Neuroradiology 2018;45:114-122. doi:10.1016/j.neurad.2017.10.001
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.arrays.validation import (
    check_same_shape,
    checked_distance,
    checked_labels,
    flattened,
    shaped_like,
)
from wmhflow.labels.digits import CELLS_OF_A_LOBE, LARGEST_DIGIT, LEFT_LABELS, RIGHT_LABELS


def depth(ventricle_distance: ArrayLike, cortex_distance: ArrayLike) -> NDArray[np.float32]:
    """Return how deep each voxel lies on the way from the ventricle to the cortex.

    Parameters
    ----------
    ventricle_distance, cortex_distance : (I, J, K) arrays
        Distances in mm.

    Returns
    -------
    (I, J, K) float32 array
        ``ventricle / (ventricle + cortex)``: 0 at the ventricle, 1 at the cortex. NaN where both
        are 0, or one is infinite, negative or NaN: there the way has no length.

    Raises
    ------
    ValueError
        If shapes differ or an image is not three-dimensional.
    TypeError
        If an image does not hold numbers.

    Examples
    --------
    >>> depth([[[0.0, 1.0, 0.0]]], [[[4.0, 3.0, 0.0]]]).ravel()
    array([0.  , 0.25,  nan], dtype=float32)
    """
    to_ventricle = checked_distance(ventricle_distance, "ventricle_distance")
    to_cortex = checked_distance(cortex_distance, "cortex_distance")
    check_same_shape(ventricle_distance=to_ventricle, cortex_distance=to_cortex)
    kind = np.result_type(to_ventricle, to_cortex)
    flat = flattened(to_ventricle.astype(kind, copy=False), to_cortex.astype(kind, copy=False))
    result = np.empty(to_ventricle.size, dtype=np.float32)
    over_ranges(
        lambda start, stop: _depth(*flat, result, start, stop),
        result.size,
        result.size,
    )
    return shaped_like(to_ventricle, result)


def bullseye_labels(depth: ArrayLike, lobes: ArrayLike, layers: int = 4) -> NDArray[np.int16]:
    """Label the cells of the bullseye.

    Parameters
    ----------
    depth : (I, J, K) array
        From 0 at the ventricle to 1 at the cortex, as `depth` makes it.
    lobes : (I, J, K) integer array
        10 + k on the left and 20 + k on the right, as `propagate_lobes` makes it; 0 elsewhere.
    layers : int
        Number of layers of equal depth, 1 to 9.

    Returns
    -------
    (I, J, K) int16 array
        ``100 * h + 10 * k + layer`` with h 1 on the left and 2 on the right; layer 1 lies next to
        the ventricle, depth 0 included, and each layer includes its outer edge. 0 where there is
        no lobe, and where the depth is NaN or not between 0 and 1.

    Raises
    ------
    ValueError
        If shapes differ, there are fewer than 1 or more than 9 layers, or a lobe is not 11 to 19
        or 21 to 29.
    TypeError
        If an image has the wrong type.

    Examples
    --------
    >>> bullseye_labels([[[0.0, 0.25, 0.3, 1.0]]], [[[11, 11, 25, 25]]]).ravel()
    array([111, 111, 252, 254], dtype=int16)
    """
    share = checked_distance(depth, "depth")
    lobe = checked_labels(lobes, "lobes")
    check_same_shape(depth=share, lobes=lobe)
    if layers not in range(1, LARGEST_DIGIT + 1):
        raise ValueError(f"layers is {layers}: 1 to 9 whole layers are possible")
    # Edges in the precision of the depth, so that a third lies on the edge of a third.
    edges = (np.arange(1, layers) / layers).astype(share.dtype)
    flat = flattened(share, lobe.astype(np.int32, copy=False))
    cells = np.empty(share.size, dtype=np.int16)
    wrong = over_ranges(
        lambda start, stop: _cells(*flat, edges, cells, start, stop), cells.size, cells.size
    )
    if sum(wrong):
        raise ValueError("lobes has other labels than 0, 11 to 19 (left) and 21 to 29 (right)")
    return shaped_like(share, cells)


@njit(cache=True, nogil=True)
def _cells(share, lobes, edges, cells, start, stop):  # type: ignore[no-untyped-def]
    """Fill `cells` from `start` to `stop` and return the number of lobes that are none."""
    wrong = 0
    for place in range(start, stop):
        lobe, value = lobes[place], share[place]
        cells[place] = 0
        if lobe == 0:
            continue
        if lobe <= LEFT_LABELS or lobe == RIGHT_LABELS or lobe > RIGHT_LABELS + LARGEST_DIGIT:
            wrong += 1
        elif 0 <= value <= 1:
            layer = 1
            while layer <= edges.size and edges[layer - 1] < value:
                layer += 1
            cells[place] = CELLS_OF_A_LOBE * lobe + layer
    return wrong


@njit(cache=True, nogil=True)
def _depth(to_ventricle, to_cortex, result, start, stop):  # type: ignore[no-untyped-def]
    """Fill `result` from `start` to `stop`."""
    for place in range(start, stop):
        ventricle, cortex = np.float64(to_ventricle[place]), np.float64(to_cortex[place])
        way = ventricle + cortex
        if ventricle >= 0 and cortex >= 0 and 0 < way < np.inf:
            result[place] = ventricle / way
        else:
            result[place] = np.nan
