"""Squared distances as whole numbers of one unit, and the keys that hold them with an owner.

Whole numbers make ties exact: two targets that are equally near compare as equal, wherever in the
grid that happens and however the grid is oriented.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor, lcm
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

KEY_BITS = 62
# Owners up to the first leave 51 bits for squared distances, up to the second 46.
FEW_OWNERS, MANY_OWNERS = (1 << 11) - 1, (1 << 16) - 1
# Keys below this, and the sum of two, fit into 32 bits.
LARGEST_NARROW = 1 << 31
NANOMETRE_MM = 1e-6
# Headers hold single precision: a voxel size is known no better than this.
HEADER_PRECISION = 1.2e-7
# A squared distance is known to twice that, and single precision rounds the limit and the answer.
LIMIT_TOLERANCE = 4e-7
LARGEST_DENOMINATOR = 1000
# Whole weights below the first are rounded by more than the precision of a header; below the
# second, by more than 4e-6 of a voxel size.
LEAST_FINE_WEIGHT, LEAST_WEIGHT = 2.0**23, 2.0**16
FARTHEST_UNITS = 2.0**60


class Keys(NamedTuple):
    """How distance and owner share one number.

    A key holds the squared distance in whole units and below it, in `bits` bits, the owner: the
    smallest key is the nearest target and, of equally near ones, the smallest label. `steps` are
    the keys of one voxel along each axis; keys of `cap` or more are out of reach.
    """

    steps: NDArray[np.uint64]
    unit_mm: float
    kind: type[np.uint32] | type[np.uint64]
    cap: np.uint32 | np.uint64
    bits: np.uint32 | np.uint64


def choose_keys(
    spacing: NDArray[np.float64],
    shape: tuple[int, ...],
    reaches: NDArray[np.int64],
    reach: float,
    largest_owner: int,
) -> Keys:
    """Choose the unit of squared distances, and the width of keys.

    Parameters
    ----------
    spacing : (3,) float64 array
        Voxel sizes in mm.
    shape : three ints
        Shape of the whole image. The unit follows from it and not from the boxes that are worked
        in, so that a box or a limit changes no digit of a distance.
    reaches : (3,) int array
        Number of voxels along each axis over which distances reach.
    reach : float
        Distances above this many mm are out of reach; may be infinite.
    largest_owner : int
        Owners lie between 0 and this.

    Returns
    -------
    Keys
        In 32 bits if the farthest key fits.
    """
    bits = largest_owner.bit_length()
    room = next((few for few in (FEW_OWNERS, MANY_OWNERS) if largest_owner <= few), largest_owner)
    weights, unit = whole_weights(spacing, np.array(shape), 2.0 ** (KEY_BITS - room.bit_length()))
    farthest = int((weights * reaches.astype(np.float64) ** 2).sum())
    units = min(reach / unit, FARTHEST_UNITS)
    farthest = min(farthest, floor(units**2 * (1 + LIMIT_TOLERANCE)))
    cap = (farthest + 1) << bits
    kind = np.uint32 if cap < LARGEST_NARROW else np.uint64
    return Keys(weights.astype(np.uint64) << np.uint64(bits), unit, kind, kind(cap), kind(bits))


def whole_weights(
    spacing: NDArray[np.float64],
    lengths: NDArray[np.int64],
    largest: float = 2.0 ** (KEY_BITS - FEW_OWNERS.bit_length()),
) -> tuple[NDArray[np.float64], float]:
    """Express squared voxel sizes as whole numbers of one unit.

    Parameters
    ----------
    spacing : (3,) float64 array
        Voxel sizes in mm.
    lengths : (3,) int array
        Number of voxels along each axis.
    largest : float
        Squared distances stay below this whole number, a power of two.

    Returns
    -------
    weights : (3,) float64 array
        Whole numbers; ``sqrt(weights @ steps**2) * unit`` is the distance in mm of a step.
    unit : float
        In mm.

    Raises
    ------
    ValueError
        If the voxel sizes are so unequal that the smallest would be off by more than 4e-6.

    Notes
    -----
    Voxel sizes that are whole nanometres, to the precision of an image header, are taken as such,
    and sizes in a ratio of small whole numbers as exactly so: then 10 steps of 0.9 mm and 3 steps
    of 3 mm are equally long, as they should be. What is left is rounded, by less than 4e-7 for
    voxels up to 1:20 in grids up to 1000.

    Examples
    --------
    >>> whole_weights(np.array([0.9, 0.9, 3.0]), np.array([256, 256, 40]))
    (array([  9.,   9., 100.]), 0.3)
    """
    squares = lengths.astype(np.float64) ** 2
    sizes = _without_rounding(spacing)
    steps, base = _common_steps(sizes)
    if steps is not None and steps**2 @ squares < largest:
        return steps**2, base
    # An even power, so that the unit is exact too.
    power = 2 * ceil(np.log2(largest / (sizes**2 @ squares)) / 2 - 1)
    weights = np.rint(sizes**2 * 2.0**power)
    if weights.min() < LEAST_WEIGHT:
        raise ValueError(
            f"voxel sizes {spacing.tolist()} mm are too unequal for exact distances over "
            f"{lengths.tolist()} voxels: resample the image to thicker voxels first"
        )
    for pair in ([0, 1], [0, 2], [1, 2]):
        # Two axes of three in a simple ratio: ties between them are as real.
        steps, base = _common_steps(sizes[pair])
        if steps is not None and base**2 * 2.0**power >= LEAST_FINE_WEIGHT:
            weights[pair] = steps**2 * np.rint(base**2 * 2.0**power)
            break
    return weights, 2.0 ** (-power / 2)


def _without_rounding(spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take voxel sizes that are whole nanometres to a header's precision as exactly that."""
    nanometres = np.rint(spacing / NANOMETRE_MM) / round(1 / NANOMETRE_MM)
    near = np.abs(nanometres - spacing) <= HEADER_PRECISION * spacing
    return np.where(near, nanometres, spacing)


def _common_steps(sizes: NDArray[np.float64]) -> tuple[NDArray[np.float64] | None, float]:
    """Return sizes as small whole numbers of a common base, if they are so, and the base."""
    smallest = float(sizes.min())
    ratios = [Fraction(size / smallest).limit_denominator(LARGEST_DENOMINATOR) for size in sizes]
    parts = lcm(*(ratio.denominator for ratio in ratios))
    steps = np.array([float(ratio * parts) for ratio in ratios])
    base = smallest / parts
    close = np.abs(steps * base - sizes) <= HEADER_PRECISION * sizes
    return (steps if close.all() else None), base
