"""Bounding boxes, so that work is done only where there is something."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.arrays.validation import is_reversed, kernel_ready

Box = tuple[slice, slice, slice]


# By hand, not scipy's find_objects, which works in one thread and voxel by voxel: 2.8 against
# 48 ms for a ball of 90 voxels' radius in 256³, and 4.2 against 46 ms for the brightest 2 % of
# smooth noise in it (min(timeit.repeat(lambda: bounding_box(mask), number=1, repeat=5)), 2 cores).
def bounding_box(volume: NDArray[Any], searched: Box | None = None) -> Box | None:
    """Return the smallest box that holds every voxel of a mask or label image, None if empty.

    With `searched`, voxels outside that box do not count.
    """
    if is_reversed(volume):
        turned = None if searched is None else (searched[2], searched[1], searched[0])
        box = bounding_box(volume.T, turned)
        return None if box is None else (box[2], box[1], box[0])
    small = volume.dtype.itemsize == 1
    flags = kernel_ready(volume.view(np.uint8)) if small else kernel_ready(volume, np.int32)
    sides = searched or tuple(slice(0, length) for length in volume.shape)
    limits = np.array([(side.start, side.stop) for side in sides])
    length, voxels = limits[0, 1] - limits[0, 0], np.prod(limits[:, 1] - limits[:, 0])
    parts = over_ranges(
        lambda start, stop: _box_limits(flags, limits, limits[0, 0] + start, limits[0, 0] + stop),
        int(length),
        int(voxels) // 4,
    )
    low = np.min([part[0] for part in parts], axis=0)
    high = np.max([part[1] for part in parts], axis=0)
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


def enclosing_box(first: Box, second: Box) -> Box:
    """Return the smallest box that holds two."""
    low = [min(a.start, b.start) for a, b in zip(first, second, strict=True)]
    return _box(low, [max(a.stop, b.stop) for a, b in zip(first, second, strict=True)])


def _box(low: NDArray[Any] | list[int], high: NDArray[Any] | list[int]) -> Box:
    """Return the slices from `low` up to and without `high`."""
    first, second, third = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return first, second, third


@njit(cache=True, nogil=True)
def _box_limits(flags, limits, start, stop):  # type: ignore[no-untyped-def]
    """Find the lowest and highest index of a non-zero voxel along each axis (-1 if none).

    Only planes `start` to `stop` are looked at, and within `limits` along the other axes.
    """
    kind = flags.dtype.type
    begin, end = limits[2]
    low = np.array(flags.shape)
    high = np.array([-1, -1, -1])
    for i in range(start, stop):
        for j in range(limits[1, 0], limits[1, 1]):
            row = flags[i, j, begin:end]
            some = row[0]
            for k in range(row.size):
                some = kind(some | row[k])
            if some == 0:
                continue
            low[0], high[0] = min(low[0], i), max(high[0], i)
            low[1], high[1] = min(low[1], j), max(high[1], j)
            for k in range(min(low[2] - begin, row.size)):
                if row[k] != 0:
                    low[2] = begin + k
                    break
            for k in range(row.size - 1, high[2] - begin, -1):
                if k >= 0 and row[k] != 0:
                    high[2] = begin + k
                    break
    return low, high
