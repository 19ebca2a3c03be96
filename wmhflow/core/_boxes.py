"""Bounding boxes, so that work is done only where there is something."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wmhflow.core._checks import is_reversed, kernel_ready
from wmhflow.core._threads import over_ranges

Box = tuple[slice, slice, slice]


def bounding_box(volume: NDArray) -> Box | None:
    """Return the smallest box that holds every voxel of a mask or label image, None if empty."""
    if is_reversed(volume):
        box = bounding_box(volume.T)
        return None if box is None else (box[2], box[1], box[0])
    byte_sized = volume.dtype.itemsize == 1
    flags = kernel_ready(
        volume.view(np.uint8) if byte_sized else volume.astype(np.int32, copy=False)
    )
    limits = over_ranges(
        lambda start, stop: _box_limits(flags, start, stop), flags.shape[0], flags.size // 4
    )
    low = np.min([part[0] for part in limits], axis=0)
    high = np.max([part[1] for part in limits], axis=0)
    if high[0] < 0:
        return None
    return _box(low, high + 1)


def grown_box(box: Box, margin: NDArray[np.int64], shape: tuple[int, ...]) -> Box:
    """Return `box` with `margin` voxels more on every side, within a grid of `shape`."""
    low = [max(0, part.start - int(more)) for part, more in zip(box, margin, strict=True)]
    high = [
        min(length, part.stop + int(more))
        for part, more, length in zip(box, margin, shape, strict=True)
    ]
    return _box(low, high)


def _box(low: NDArray | list[int], high: NDArray | list[int]) -> Box:
    """Return the slices from `low` up to and without `high`."""
    first, second, third = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return first, second, third


@njit(cache=True, nogil=True)
def _box_limits(flags, start, stop):  # type: ignore[no-untyped-def]
    """Find the lowest and highest index of a non-zero voxel along each axis (-1 if none).

    Only planes `start` to `stop` are looked at.
    """
    kind = flags.dtype.type
    n1, n2 = flags.shape[1:]
    low = np.array([flags.shape[0], n1, n2])
    high = np.array([-1, -1, -1])
    for i in range(start, stop):
        for j in range(n1):
            row = flags[i, j]
            some = row[0]
            for k in range(n2):
                some = kind(some | row[k])
            if some == 0:
                continue
            low[0], high[0] = min(low[0], i), max(high[0], i)
            low[1], high[1] = min(low[1], j), max(high[1], j)
            for k in range(low[2]):
                if row[k] != 0:
                    low[2] = k
                    break
            for k in range(n2 - 1, high[2], -1):
                if row[k] != 0:
                    high[2] = k
                    break
    return low, high
