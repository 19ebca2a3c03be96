"""The wide places of a mask: what no sulcus and no thin layer is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.arrays.components import keep_components
from wmhflow.core.arrays.masks import deeper, within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Sulci and cisterns of a head are mostly narrower than twice this; what lies this far around the
# middle of a wide place belongs to it. Both are loose, not measured.
WIDE_MM, AROUND_MM = 4.0, 5.0
# A wide place reaches out of a region, and is not only near it, with this share of its middle in
# the region. Loose, not measured.
LEAST_IN_REGION = 0.15


def wide_places(
    mask: NDArray[np.bool_],
    within_shares: Sequence[tuple[NDArray[np.bool_], float]],
    voxel_sizes_mm: Sequence[float],
) -> NDArray[np.bool_]:
    """Find the wide places of a mask that lie in other masks by some share.

    Parameters
    ----------
    mask
        Any mask, such as fluid.
    within_shares
        Where a place has to lie in part: other masks, and how much of the middle of a place
        (further than 4 mm from the mask's outside) has to lie in each.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        The part of the mask up to 5 mm from the middle of such a place; empty if there is none.

    Examples
    --------
    >>> mask = np.zeros((30, 30, 30), bool)
    >>> mask[5:25, 5:25, 5:25] = mask[25:, 14:16, 14:16] = True
    >>> seeds = np.zeros(mask.shape, bool)
    >>> seeds[:12] = True
    >>> found = wide_places(mask, [(seeds, 0.1)], (1, 1, 1))
    >>> bool(found[15, 15, 15]), bool(found[28, 15, 15])
    (True, False)
    """
    middle = deeper(mask, WIDE_MM, voxel_sizes_mm)

    def held(labels: NDArray[np.int32], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        kept = np.ones(counts.size, bool)
        for other, share in within_shares:
            inside = np.bincount(labels[other], minlength=counts.size + 1)[1:]
            kept &= inside >= share * counts
        return kept

    kept = keep_components(middle, held, by_faces=True)
    if not kept.any():
        return kept
    return within(kept, AROUND_MM, voxel_sizes_mm) & mask


def reaching_out(
    mask: NDArray[np.bool_],
    region: NDArray[np.bool_],
    least_beyond_mm3: float,
    voxel_sizes_mm: Sequence[float],
) -> NDArray[np.bool_] | None:
    """Find the wide places of a mask that lie in a region in part and reach far out of it.

    Parameters
    ----------
    mask
        Any mask, such as fluid.
    region
        Where a part of a place has to lie, such as where the template has the ventricles.
    least_beyond_mm3
        How much of the places has to lie beyond the region.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray or None
        The places; None if less of them lies beyond the region.

    Examples
    --------
    >>> fluid = np.zeros((30, 30, 30), bool)
    >>> fluid[5:25, 5:25, 5:25] = True
    >>> region = np.zeros(fluid.shape, bool)
    >>> region[:15] = True
    >>> bool(reaching_out(fluid, region, 3000.0, (1, 1, 1))[20, 15, 15])
    True
    >>> reaching_out(fluid, region, 5000.0, (1, 1, 1)) is None
    True
    """
    found = wide_places(mask, [(region, LEAST_IN_REGION)], voxel_sizes_mm)
    beyond = np.count_nonzero(found & ~region) * float(np.prod(voxel_sizes_mm))
    return found if beyond >= least_beyond_mm3 else None
