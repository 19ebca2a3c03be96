"""The wide places of a mask: what no sulcus and no thin layer is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.boxes import bounding_box, grown_box
from wmhflow.core.arrays.components import keep_components
from wmhflow.core.arrays.distance import distance_to
from wmhflow.core.arrays.masks import deeper, within

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

# Sulci and cisterns of a head are mostly narrower than twice this; what lies this far around the
# middle of a wide place belongs to it. Both are loose, not measured.
WIDE_MM, AROUND_MM = 4.0, 5.0
# A wide place reaches out of a region, and is not only near it, with this share of its middle in
# the region. Loose, not measured.
LEAST_IN_REGION = 0.15
# A pocket lies in the region with at most this share, and its neck is at most this share as wide.
# Chosen among 36 settings on 25 simulated people of training heads in voxels of 1 mm and in slices
# of 5 mm: three tenths in the region cut off horns. Widths are told apart in steps.
MOST_IN_REGION, NECK_SHARE, STEP_MM = 0.1, 0.7, 0.5
# A pocket holds at most this share of what the mask has in the region, and is at most so many times
# as large as a ball of its depth: other places are a ventricle that the region does not follow.
# Cavities planted in these people have up to 0.17 and 5.4; where tissue beside the ventricles of
# these heads was lost up to 90 ml, places of 19 and 50 ml have 0.12 and 22, and 0.44 and 34.
MOST_OF_REGION, MOST_BALLS = 0.2, 6.0
# So much more than the neck's half width is taken away around the middle of a pocket.
POCKET_RIM_MM = 1.0


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
    found &= ~side_pockets(found, region, voxel_sizes_mm)
    beyond = np.count_nonzero(found & ~region) * float(np.prod(voxel_sizes_mm))
    return found if beyond >= least_beyond_mm3 else None


def side_pockets(
    mask: NDArray[np.bool_], region: NDArray[np.bool_], voxel_sizes_mm: Sequence[float]
) -> NDArray[np.bool_]:
    """Find wide parts of a mask that lie beyond a region and hang on the rest by a narrow neck.

    So lies the cavity of an old infarct that opens into a ventricle. What of a ventricle lies
    beyond its region hangs on it in full width.

    Parameters
    ----------
    mask
        Any mask.
    region
        Where the rest of the mask lies.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        Parts of the mask that reach further than 4 mm from its outside, lie in the region with a
        tenth at most, and are joined to the rest, if at all, by necks that are at most seven tenths
        as wide as they are themselves. None of them holds more than a fifth of what lies in the
        region, or is more than six times as large as a ball of its depth.

    Examples
    --------
    >>> mask = np.zeros((50, 24, 24), bool)
    >>> mask[2:20, 2:22, 2:22] = mask[20:24, 9:15, 9:15] = mask[24:44, 2:22, 2:22] = True
    >>> region = np.zeros(mask.shape, bool)
    >>> region[:22] = True
    >>> pocket = side_pockets(mask, region, (1, 1, 1))
    >>> bool(pocket[34, 12, 12]), bool(pocket[10, 12, 12])
    (True, False)
    >>> mask[20:24, 2:22, 2:22] = True
    >>> bool(side_pockets(mask, region, (1, 1, 1)).any())
    False
    """
    found = np.zeros(mask.shape, bool)
    tight = bounding_box(mask)
    if tight is None:
        return found
    box = grown_box(tight, np.ones(3, np.int64), mask.shape)
    part, inside = mask[box], region[box]
    # the image's edge is an edge of the mask, too
    depth = distance_to(~np.pad(part, 1), voxel_sizes_mm)[1:-1, 1:-1, 1:-1]
    beyond = (depth > WIDE_MM) & ~inside
    if not beyond.any():
        return found
    pockets = np.zeros(part.shape, bool)
    most_in_region = MOST_OF_REGION * np.count_nonzero(part & inside)
    voxel_mm3 = float(np.prod(voxel_sizes_mm))
    widest = NECK_SHARE * float(depth[beyond].max())
    for neck_mm in np.arange(STEP_MM, widest, STEP_MM).tolist():
        for middle, deepest in _middles(depth, neck_mm, beyond & ~pockets, inside):
            pocket = within(middle, neck_mm + POCKET_RIM_MM, voxel_sizes_mm) & part
            most = MOST_BALLS * 4 / 3 * np.pi * deepest**3
            if (
                np.count_nonzero(pocket & inside) <= most_in_region
                and np.count_nonzero(pocket) * voxel_mm3 <= most
            ):
                pockets |= pocket
    found[box] = pockets
    return found


def _middles(
    depth: NDArray[np.float32],
    neck_mm: float,
    beyond: NDArray[np.bool_],
    region: NDArray[np.bool_],
) -> Iterator[tuple[NDArray[np.bool_], float]]:
    """List what hangs together beyond the region where necks of a half width are cut."""
    labels, n_labels = ndimage.label(depth > neck_mm)
    if n_labels == 0:
        return
    counts = np.bincount(labels.ravel(), minlength=n_labels + 1)[1:]
    in_region = np.bincount(labels[region], minlength=n_labels + 1)[1:]
    numbers = np.arange(1, n_labels + 1)
    deepest = np.asarray(ndimage.maximum(np.where(beyond, depth, 0), labels, numbers))
    wide = deepest > max(WIDE_MM, neck_mm / NECK_SHARE)
    for place in np.flatnonzero(wide & (in_region <= MOST_IN_REGION * counts)):
        yield labels == place + 1, float(deepest[place])
