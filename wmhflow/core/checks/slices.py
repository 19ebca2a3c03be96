"""Slices that were lost, or are darker than those beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What is brighter than this share of nearly the brightest is head.
HEAD_SHARE, NEARLY_BRIGHTEST = 0.1, 99.5
# Slices beside which both neighbours show this share of the largest slice's head are compared. A
# ball as large as a head (80 mm) has less in its uppermost 15 mm, which are scalp and dark bone: a
# thick slice through bone alone is darker than both that are beside it.
LEAST_SHARED = 0.35
# So many voxels along each axis of a slice are enough.
ALONG_SLICE = 128


def darkest_slice(values: NDArray[Any]) -> float | None:
    """Measure how bright the slice is that is darkest beside its neighbours.

    Parameters
    ----------
    values
        Image of shape (X, Y, Z), finite, in any unit, as it was taken.

    Returns
    -------
    float or None
        The lowest of all slices along any axis: its mean over that of its two neighbours, where
        both show head; 0 for one that is blank. None where no slice has two such neighbours.

    Examples
    --------
    >>> image = np.full((9, 9, 9), 100.0)
    >>> image[:, :, 4] = 25
    >>> darkest_slice(np.pad(image, 1))
    0.25
    """
    some = values[::2, ::2, ::2]
    low, high = float(some.min()), float(np.percentile(some, NEARLY_BRIGHTEST))
    if not high > low:
        return None
    bound = low + HEAD_SHARE * (high - low)
    found = [_darkest_along(np.moveaxis(values, axis, 0), low, bound) for axis in range(3)]
    return min((one for one in found if one is not None), default=None)


def _darkest_along(slices: NDArray[Any], low: float, bound: float) -> float | None:
    steps = [max(1, n // ALONG_SLICE) for n in slices.shape[1:]]
    some = slices[:, :: steps[0], :: steps[1]]
    heads = some > bound
    least = LEAST_SHARED * np.count_nonzero(heads, axis=(1, 2)).max()
    found = []
    for number in range(1, len(some) - 1):
        shared = heads[number - 1] & heads[number + 1]
        if np.count_nonzero(shared) < max(least, 1):
            continue
        own, *beside = (
            float(some[n][shared].mean()) - low for n in (number, number - 1, number + 1)
        )
        found.append(max(own, 0.0) / (sum(beside) / 2))
    return min(found, default=None)
