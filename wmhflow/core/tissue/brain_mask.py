"""A rough brain mask made exact by the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.components import largest_component, without_holes
from wmhflow.core.arrays.masks import deeper, within
from wmhflow.core.arrays.robust import median_and_spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def refine_brain_mask(
    data: NDArray[np.float32],
    rough: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
) -> NDArray[np.bool_]:
    """Tidy a warped brain mask by the image: no air, no bright scalp, one smooth body.

    Parameters
    ----------
    data
        Image in any unit.
    rough
        Warped mask, right to a few mm.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        The mask. Its inside, 6 mm and more below the surface, is that of the rough mask.
    """
    if not rough.any():
        return rough
    # The distances and shares in this function were chosen by eye on real heads; the masks that
    # they give are measured with the tissues (docs/benchmarks.md).
    inside = deeper(rough, 6.0, voxel_sizes_mm)
    core = data[inside] if inside.any() else data[rough]
    middle, spread = median_and_spread(core)
    plausible = (data > 0.08 * middle) & (data < middle + 4 * spread)
    kept = inside | (rough & plausible)
    # Bridges to dura and eyes are thinner than 4 mm.
    opened = largest_component(deeper(kept, 2.0, voxel_sizes_mm) | inside)
    body = within(opened, 2.5, voxel_sizes_mm) & kept
    sigma = [1.5 / size for size in voxel_sizes_mm]
    smooth = ndimage.gaussian_filter(body.astype(np.float32), sigma) > 0.5
    return without_holes(largest_component(smooth))
