"""Means over blocks of voxels, and what is found on blocks laid over voxels again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def block_factors(voxel_sizes_mm: Sequence[float], edge_mm: float) -> tuple[int, ...]:
    """Say how many voxels a block has along each axis, for blocks that are nearly cubes.

    Parameters
    ----------
    voxel_sizes_mm
        Voxel size along each axis.
    edge_mm
        Edge that the blocks should have.

    Returns
    -------
    tuple of int
        At least one voxel along each axis.

    Examples
    --------
    >>> block_factors((0.47, 0.47, 8.0), 4.0)
    (9, 9, 1)
    """
    return tuple(max(round(edge_mm / float(size)), 1) for size in voxel_sizes_mm)


def block_means(
    values: NDArray[np.floating], counted: NDArray[np.bool_], factors: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Average what counts over blocks that begin at the array's first voxel.

    Parameters
    ----------
    values
        Array of shape (x, y, z).
    counted
        Voxels that count.
    factors
        Voxels of a block along each axis; blocks at the far faces may reach beyond the array.

    Returns
    -------
    means, share : float32 arrays
        The mean of what counts in each block, that of all that counts where nothing does; and the
        share of each block that counts.

    Examples
    --------
    >>> means, share = block_means(
    ...     np.arange(5.0).reshape(5, 1, 1), np.ones((5, 1, 1), bool), (2, 1, 1)
    ... )
    >>> means.ravel().tolist(), share.ravel().tolist()
    ([0.5, 2.5, 4.0], [1.0, 1.0, 0.5])
    """
    total = _block_sums(np.where(counted, values, 0), factors)
    number = _block_sums(counted, factors)
    everywhere = float(total.sum() / number.sum()) if number.any() else 0.0
    means = np.full(total.shape, everywhere)
    np.divide(total, number, out=means, where=number > 0)
    return means.astype(np.float32), (number / np.prod(factors)).astype(np.float32)


def _block_sums(values: NDArray[Any], factors: Sequence[int]) -> NDArray[np.float64]:
    summed = values.astype(np.float64)
    for axis, factor in enumerate(factors):
        if factor == 1:
            continue
        starts = np.arange(0, summed.shape[axis], factor)
        summed = np.add.reduceat(summed, starts, axis=axis)
    return summed


def over_blocks(
    found: NDArray[np.floating], factors: Sequence[int], shape: Sequence[int]
) -> NDArray[np.float32]:
    """Lay what was found on blocks over their voxels, linearly between the blocks' centres.

    Parameters
    ----------
    found
        A value for each block.
    factors
        Voxels of a block along each axis.
    shape
        Shape of the array of voxels.

    Returns
    -------
    ndarray
        A value for each voxel; beyond the outermost centres that of the nearest.

    Examples
    --------
    >>> over_blocks(
    ...     np.array([0.5, 2.5, 4.5]).reshape(3, 1, 1), (2, 1, 1), (5, 1, 1)
    ... ).ravel().tolist()
    [0.5, 1.0, 2.0, 3.0, 4.0]
    """
    laid = np.asarray(found, np.float64)
    for axis, (factor, length) in enumerate(zip(factors, shape, strict=True)):
        if factor == 1:
            continue
        place = np.clip((np.arange(length) + 0.5) / factor - 0.5, 0, laid.shape[axis] - 1)
        lower = np.minimum(place.astype(int), max(laid.shape[axis] - 2, 0))
        part = np.expand_dims(place - lower, [other for other in range(3) if other != axis])
        upper = np.minimum(lower + 1, laid.shape[axis] - 1)
        laid = np.take(laid, lower, axis) * (1 - part) + np.take(laid, upper, axis) * part
    return laid.astype(np.float32)
