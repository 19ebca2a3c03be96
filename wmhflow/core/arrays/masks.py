"""Masks that grow and shrink by exact distances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.arrays.distance import distance_to

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wmhflow.core.arrays.validation import Spacing


# Voxel sizes that come from an oblique affine are off by so much, and distances with them.
ROUNDING = 1e-5


def within(
    mask: NDArray[np.bool_], distance_mm: float, voxel_sizes_mm: Spacing
) -> NDArray[np.bool_]:
    """Find the voxels at most some distance from a mask.

    Parameters
    ----------
    mask
        Any mask.
    distance_mm
        The distance.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        The mask, grown.
    """
    reach = distance_mm * (1 + ROUNDING)
    return distance_to(mask, voxel_sizes_mm, limit=reach) <= reach


def deeper(
    mask: NDArray[np.bool_], distance_mm: float, voxel_sizes_mm: Spacing
) -> NDArray[np.bool_]:
    """Find the voxels of a mask that lie more than some distance from its outside.

    Parameters
    ----------
    mask
        Any mask.
    distance_mm
        The distance.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        The mask, shrunk.
    """
    reach = distance_mm * (1 + ROUNDING)
    return distance_to(~mask, voxel_sizes_mm, limit=reach) > reach
