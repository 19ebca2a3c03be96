"""Where deep grey matter lies that wide ventricles have pushed aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# What is less likely is the blur of what lies elsewhere.
LIKELY = 0.5


def beyond_the_wall(
    covered: NDArray[np.float32], fluid: NDArray[np.bool_], voxel_sizes_mm: Sequence[float]
) -> NDArray[np.float32]:
    """Lay what fluid covers as far beyond the fluid's wall as it lies within.

    Parameters
    ----------
    covered
        Probability of a tissue, 0..1; what is likely in the fluid counts.
    fluid
        Wide places of fluid.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        Probability outside of the fluid, 0..1; 0 in it.

    Examples
    --------
    >>> fluid = np.arange(8).reshape(8, 1, 1) < 4
    >>> covered = np.isin(np.arange(8), (2, 3)).astype(np.float32).reshape(8, 1, 1)
    >>> beyond_the_wall(covered, fluid, (1, 1, 1)).ravel().tolist()
    [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    """
    found = np.zeros(fluid.shape, np.float32)
    inside = fluid & (covered > LIKELY)
    if not inside.any():
        return found
    depth = ndimage.distance_transform_edt(fluid, sampling=voxel_sizes_mm)
    away, wall = ndimage.distance_transform_edt(
        ~fluid, sampling=voxel_sizes_mm, return_indices=True
    )
    near = (away > 0) & (away <= depth[inside].max())
    places = np.argwhere(near).T
    # the wall lies between the nearest voxel of fluid and the next one towards the place
    mirrored = 2 * wall[:, near] - places
    step = np.sign(places - wall[:, near])
    steepest = np.abs(places - wall[:, near]) == np.abs(places - wall[:, near]).max(axis=0)
    mirrored += step * steepest
    sides = np.array(fluid.shape)[:, None]
    kept = np.all((mirrored >= 0) & (mirrored < sides), axis=0)
    there = tuple(mirrored[:, kept])
    found[tuple(places[:, kept])] = np.where(inside[there], covered[there], 0)
    return found
