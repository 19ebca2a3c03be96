"""The lateral ventricles from a person's own CSF and the region where the template has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.components import keep_components, without_holes
from wmhflow.core.arrays.masks import deeper, within
from wmhflow.core.arrays.wide import side_pockets, wide_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# All four were chosen by eye on real heads and the template; with them ventricles reach a Dice of
# 0.89 to 0.95 on five simulated heads (docs/benchmarks.md). Each by itself was not measured.
# Choroid plexus and partial volume leave gaps of about this width.
GAP_MM = 2.0
# A separate piece (a horn cut off by a narrow isthmus) must be at least this large.
LEAST_PIECE_MM3 = 40.0
REGION_RIM_MM = 2.5
# An enlarged ventricle may reach this far beyond the template's region, and as far as it goes where
# the template has white or deep grey matter: no cistern or sulcus lies there.
BEYOND_PRIOR_MM = 4.0
LIKELY_INNER = 0.5
# Where the ventricles hold this share of a wide place, they hold all of it, if the template has no
# cistern there: elsewhere than in the region it has tissue in so much of the place.
LEAST_HELD, LEAST_TISSUE = 0.5, 0.8


def lateral_ventricles(
    csf: NDArray[np.bool_],
    region: NDArray[np.bool_],
    cortex_prior: NDArray[np.float32],
    inner_prior: NDArray[np.float32],
    voxel_sizes_mm: Sequence[float],
) -> NDArray[np.bool_]:
    """Find the lateral ventricles, horns and choroid plexus included.

    Parameters
    ----------
    csf
        The person's CSF.
    region
        Generous region around the lateral ventricles, without third ventricle and cisterns.
    cortex_prior
        Probability of cortex, 0..1; the ventricles do not grow beyond the region where it
        is above 0.1.
    inner_prior
        Probability of white or deep grey matter, 0..1. Fluid where it is above 0.5 takes the place
        of these: the ventricles grow into it however far it reaches.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        The ventricles, without holes, and without wide cavities beyond the region that open into
        them by a narrow neck.
    """
    # A dark lesion at the region's rim is no ventricle: a piece must reach the region's middle.
    middle = deeper(region, REGION_RIM_MM, voxel_sizes_mm)
    found = _large_pieces(csf & region, middle, voxel_sizes_mm)
    if not found.any():
        return found
    # Outside the region only what hangs together with a wide front, such as an enlarged horn.
    reach = within(region, BEYOND_PRIOR_MM, voxel_sizes_mm) | (inner_prior > LIKELY_INNER)
    free = csf & (cortex_prior < 0.1) & reach
    broad = deeper(free, 1.0, voxel_sizes_mm)
    grown = ndimage.binary_propagation(found & broad, mask=broad) | found
    grown = (within(grown & ~region, 1.5, voxel_sizes_mm) & free & ~region) | found
    tissue = reach | (cortex_prior + inner_prior > LIKELY_INNER)
    held = [(grown, LEAST_HELD), (tissue, LEAST_TISSUE)]
    grown |= wide_places(csf, held, voxel_sizes_mm)
    grown = _without_pockets(grown, region, voxel_sizes_mm)
    closed = deeper(within(grown, GAP_MM, voxel_sizes_mm), GAP_MM, voxel_sizes_mm)
    return without_holes(grown | (closed & region))


def _without_pockets(
    ventricles: NDArray[np.bool_], region: NDArray[np.bool_], sizes_mm: Sequence[float]
) -> NDArray[np.bool_]:
    """Leave out cavities of old infarcts that open into a ventricle, and what is left of them."""
    pockets = side_pockets(ventricles, region, sizes_mm)
    if not pockets.any():
        return ventricles

    def held(labels: NDArray[np.int32], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.bincount(labels[region], minlength=counts.size + 1)[1:] > 0

    return keep_components(ventricles & ~pockets, held)


def _large_pieces(
    mask: NDArray[np.bool_], middle: NDArray[np.bool_], sizes_mm: Sequence[float]
) -> NDArray[np.bool_]:
    """Keep the components of some size that reach the middle, or at least the largest one."""

    def chosen(labels: NDArray[np.int32], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        large = counts * float(np.prod(sizes_mm)) >= LEAST_PIECE_MM3
        large &= np.bincount(labels[middle], minlength=counts.size + 1)[1:] > 0
        return large if large.any() else np.arange(counts.size) == np.argmax(counts)

    return keep_components(mask, chosen)
