"""Phase without its jumps of a whole turn: exact, along the most reliable paths.

Neighbours are joined in the order of how smooth the phase is around them, each join choosing the
whole number of turns that brings the two sides together [1]_ [2]_. The result differs from what was
given by whole turns alone. Groups of voxels are kept in a forest with the turns of every voxel
relative to its parent, so that joining two groups touches one number and not every voxel.

References
----------
.. [1] Herráez MA, Burton DR, Lalor MJ, Gdeisat MA. Fast two-dimensional phase-unwrapping algorithm
   based on sorting by reliability following a noncontinuous path. Appl Opt 2002;41:7437-7444.
   doi:10.1364/AO.41.007437
.. [2] Abdul-Rahman HS, Gdeisat MA, Burton DR, Lalor MJ, Lilley F, Moore CJ. Fast and robust
   three-dimensional best path phase unwrapping algorithm. Appl Opt 2007;46:6623-6635.
   doi:10.1364/AO.46.006623
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.arrays.validation import (
    check_same_shape,
    checked_mask,
    checked_volume,
    kernel_flags,
    kernel_ready,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

TURN = 2.0 * np.pi
# Of each pair of opposite neighbours one: the 13 directions through a voxel.
DIRECTIONS = np.array(
    [
        (i, j, k)
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
        for k in (-1, 0, 1)
        if (i, j, k) > (0, 0, 0)
    ],
    np.int64,
)
# Above what any curvature can be: voxels at the border of the mask come after those within it.
AT_THE_BORDER = 100.0


def unwrap_phase(phase: ArrayLike, mask: ArrayLike) -> NDArray[np.float32]:
    """Add whole turns to a phase so that neighbours differ as little as they can.

    Parameters
    ----------
    phase : (I, J, K) array
        Phase in radians.
    mask : (I, J, K) array of booleans or numbers
        Voxels that count. Parts of it that do not touch face to face are unwrapped each by itself.

    Returns
    -------
    (I, J, K) float32 array
        Phase in radians, 0 outside of the mask. It differs from what was given by whole turns, of
        which the largest part of the mask has as many as bring its median nearest to 0.

    Raises
    ------
    ValueError
        If shapes differ, an image is not three-dimensional, or the phase is not finite in the mask.

    Examples
    --------
    >>> ramp = np.linspace(0, 12, 24).reshape(24, 1, 1)
    >>> found = unwrap_phase(np.angle(np.exp(1j * ramp)), np.ones(ramp.shape, bool))
    >>> float(np.ptp(found).round(3))
    12.0
    """
    wrapped = checked_volume(phase, "phase")
    inside = checked_mask(mask, "mask")
    check_same_shape(phase=wrapped, mask=inside)
    if not np.isfinite(wrapped[inside]).all():
        raise ValueError("phase is not finite everywhere in the mask")
    result = np.zeros(wrapped.shape, np.float32)
    if not inside.any():
        return result
    values = kernel_ready(np.where(inside, wrapped, 0), np.float64)
    flags = kernel_flags(np.ascontiguousarray(inside))
    n_voxels = int(np.count_nonzero(inside))
    number = np.full(inside.shape, -1, np.int32)
    number[inside] = np.arange(n_voxels, dtype=np.int32)
    first, second = _edges_in_order(_roughness(values, flags), flags, number)
    listed = values[inside]
    group, turns = _join(first, second, listed)
    largest = group == np.argmax(np.bincount(group))
    unwrapped = listed + TURN * turns
    unwrapped -= TURN * np.round(np.median(unwrapped[largest]) / TURN)
    result[inside] = unwrapped
    return result


def _roughness(values: NDArray[np.float64], flags: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure how little the phase around each voxel is a straight line."""
    rough = np.zeros(values.shape, np.float32)
    over_ranges(
        lambda start, stop: _second_differences(values, flags, DIRECTIONS, rough, start, stop),
        len(values),
        values.size,
    )
    return rough


def _edges_in_order(
    rough: NDArray[np.float32], flags: NDArray[np.uint8], number: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """List pairs of neighbours that share a face, the smoothest first."""
    keys, ends = [], []
    for axis in range(3):
        low = tuple(slice(0, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        both = (flags[low] & flags[high]) > 0
        keys.append((rough[low] + rough[high])[both])
        ends.append((number[low][both], number[high][both]))
    order = np.argsort(np.concatenate(keys), kind="stable")
    first, second = (np.concatenate(side)[order] for side in zip(*ends, strict=True))
    return first, second


@njit(cache=True, nogil=True)
def _second_differences(values, flags, directions, rough, start, stop):  # type: ignore[no-untyped-def]
    turn = 2.0 * np.pi
    shape = values.shape
    for i in range(start, stop):
        for j in range(shape[1]):
            for k in range(shape[2]):
                if not flags[i, j, k]:
                    continue
                total, n_found = 0.0, 0
                for d in range(directions.shape[0]):
                    a, b, c = directions[d, 0], directions[d, 1], directions[d, 2]
                    if not (0 <= i - a < shape[0] and 0 <= i + a < shape[0]):
                        continue
                    if not (0 <= j - b < shape[1] and 0 <= j + b < shape[1]):
                        continue
                    if not (0 <= k - c < shape[2] and 0 <= k + c < shape[2]):
                        continue
                    if not (flags[i - a, j - b, k - c] and flags[i + a, j + b, k + c]):
                        continue
                    before = values[i, j, k] - values[i - a, j - b, k - c]
                    after = values[i + a, j + b, k + c] - values[i, j, k]
                    before -= turn * np.rint(before / turn)
                    after -= turn * np.rint(after / turn)
                    total += (after - before) ** 2
                    n_found += 1
                n_missing = directions.shape[0] - n_found
                mean = total / n_found if n_found else 0.0
                rough[i, j, k] = np.sqrt(mean) + AT_THE_BORDER * n_missing


@njit(cache=True, nogil=True)
def _join(first, second, phase):  # type: ignore[no-untyped-def]
    """Join neighbours in order; return each voxel's group, and its turns within the group."""
    n_voxels = phase.size
    parent = np.arange(n_voxels).astype(np.int32)
    turns = np.zeros(n_voxels, np.int32)
    size = np.ones(n_voxels, np.int32)
    for edge in range(first.size):
        a, b = first[edge], second[edge]
        root_a, root_b = _lift(parent, turns, a), _lift(parent, turns, b)
        if root_a == root_b:
            continue
        own_a = turns[a] if a != root_a else 0
        own_b = turns[b] if b != root_b else 0
        wanted = -int(np.rint((phase[b] - phase[a]) / (2.0 * np.pi)))
        shift = own_a + wanted - own_b
        if size[root_a] >= size[root_b]:
            parent[root_b], turns[root_b] = root_a, shift
            size[root_a] += size[root_b]
        else:
            parent[root_a], turns[root_a] = root_b, -shift
            size[root_b] += size[root_a]
    for voxel in range(n_voxels):
        _lift(parent, turns, voxel)
    return parent, turns


@njit(cache=True, nogil=True)
def _lift(parent, turns, voxel):  # type: ignore[no-untyped-def]
    """Hang a voxel, and all above it, on its root; return the root."""
    root, total = voxel, 0
    while parent[root] != root:
        total += turns[root]
        root = parent[root]
    while parent[voxel] != root and voxel != root:
        above, own = parent[voxel], turns[voxel]
        parent[voxel], turns[voxel] = root, total
        total -= own
        voxel = above
    return root
