"""Bounding boxes, so that work is done only where there is something."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wmhflow.core._checks import kernel_flags

Box = tuple[slice, slice, slice]


def bounding_box(mask: NDArray[np.bool_]) -> Box | None:
    """Return the smallest box that holds every true voxel, or None if there is none."""
    low, high = _box_limits(kernel_flags(mask))
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
def _box_limits(flags):  # type: ignore[no-untyped-def]
    """Find the lowest and highest index of a non-zero voxel along each axis (-1 if none)."""
    n0, n1, n2 = flags.shape
    low = np.array([n0, n1, n2])
    high = np.array([-1, -1, -1])
    for i in range(n0):
        for j in range(n1):
            first = 0
            while first < n2 and flags[i, j, first] == 0:
                first += 1
            if first == n2:
                continue
            last = n2 - 1
            while flags[i, j, last] == 0:
                last -= 1
            low[0], high[0] = min(low[0], i), max(high[0], i)
            low[1], high[1] = min(low[1], j), max(high[1], j)
            low[2], high[2] = min(low[2], first), max(high[2], last)
    return low, high
