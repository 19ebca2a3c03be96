"""How much of the head's signal lies in the air beside it, as ghosts and folded heads do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wmhflow.core.arrays.validation import Spacing

# The head is brighter than this share of the usual brightness of what is not air; a ghost is not.
HEAD_SHARE = 0.5
# So far from the head nothing of it is left in the air.
CLEAR_MM = 8.0
# Air is looked at in line with the middle of the head: as deep behind its outline as this share of
# its deepest place.
MIDDLE = 0.5
# Fewer voxels of air along an axis tell nothing.
LEAST_AIR = 200
# Slices are thicker than this times the voxels in them.
THICK = 1.5
# Voxels are averaged to about this size first: ghosts are large, and noise is not.
COARSE_MM = 3.0


def ghost_share(values: NDArray[Any], voxel_sizes_mm: Spacing) -> float | None:
    """Measure how much brighter the air is in line with the head along one axis than another.

    Whatever moves while an image is taken, or lies outside its field of view, appears again along
    the axis of phase encoding alone. Noise, an offset and padding are alike along all axes.

    Parameters
    ----------
    values
        Image of shape (X, Y, Z), finite, in any unit, as it was taken.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    float or None
        The largest difference between two axes of a slice, over the brightness of the head; slices
        are those along the two finest axes, or of cubes any. None where there is no air along two
        axes, as in a tight field of view.

    References
    ----------
    Giannelli M, Diciotti S, Tessa C, Mascalchi M. Characterization of Nyquist ghost in EPI-fMRI
    acquisition sequences implemented on two clinical 1.5 T MR scanner systems: effect of readout
    bandwidth and echo spacing. Journal of Applied Clinical Medical Physics 11(4):3237, 2010.
    doi:10.1120/jacmp.v11i4.3237

    Examples
    --------
    >>> image = np.zeros((60, 60, 10))
    >>> image[15:45, 15:45] = 100
    >>> image[15:45, :15] = image[15:45, 45:] = 30
    >>> round(ghost_share(image, (3, 3, 5)), 2)
    0.3
    """
    small, sizes = _averaged(np.asarray(values, np.float32), voxel_sizes_mm)
    head = _head(small)
    if not head.any():
        return None
    air = ndimage.distance_transform_edt(~head, sampling=sizes) > CLEAR_MM
    spacing = np.asarray(voxel_sizes_mm, np.float64)
    axes = [axis for axis in range(3) if spacing[axis] <= THICK * np.sort(spacing)[1]]
    found = [small[air & _in_line(head, sizes, axis)] for axis in axes]
    means = [float(one.mean()) for one in found if one.size >= LEAST_AIR]
    if len(means) < 2:
        return None
    height = float(small[head].mean()) - min(means)
    return (max(means) - min(means)) / height if height > 0 else None


def _averaged(
    values: NDArray[np.float32], voxel_sizes_mm: Spacing
) -> tuple[NDArray[np.float32], list[float]]:
    """Average blocks of voxels; what does not fill a block at the end is left out."""
    steps = [
        max(1, min(round(COARSE_MM / size), n))
        for size, n in zip(voxel_sizes_mm, values.shape, strict=True)
    ]
    for axis, step in enumerate(steps):
        n = values.shape[axis] // step
        moved = np.moveaxis(values, axis, 0)
        # one part of each block after the other: no copy of all is made
        total = sum(
            (moved[part : n * step : step] for part in range(1, step)), moved[: n * step : step]
        )
        values = np.moveaxis(total / np.float32(step), 0, axis)
    return values, [size * step for size, step in zip(voxel_sizes_mm, steps, strict=True)]


def _head(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Find the largest bright thing, and what it encloses in slices of any plane."""
    low, high = np.percentile(values, (2, 99))
    shown = values[values > low + HEAD_SHARE / 2 * (high - low)]
    if not shown.size:
        return np.zeros(values.shape, np.bool_)
    bright = values > low + HEAD_SHARE * (float(np.median(shown)) - low)
    parts, _ = ndimage.label(bright)
    counts = np.bincount(parts.ravel())
    head = parts == 1 + int(np.argmax(counts[1:]))
    for axis in range(3):
        planes = np.moveaxis(head, axis, 0)
        for plane in planes:
            plane[...] = ndimage.binary_fill_holes(plane)
    return np.asarray(head, np.bool_)


def _in_line(head: NDArray[np.bool_], sizes: Sequence[float], axis: int) -> NDArray[np.bool_]:
    """Mark what lies in line with the middle of the head along an axis."""
    across = [size for other, size in enumerate(sizes) if other != axis]
    depth = ndimage.distance_transform_edt(np.pad(head.any(axis=axis), 1), sampling=across)
    middle = depth[1:-1, 1:-1] > MIDDLE * depth.max()
    return np.broadcast_to(np.expand_dims(middle, axis), head.shape)
