"""Slices that differ in brightness, as those of interleaved two-dimensional scans do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Slices so much thicker than their voxels are wide were measured one by one.
THICK_RATIO = 1.8
# What changes over this many slices (SD) is anatomy and the coil's field, and no slice's own.
SLOW_SLICES = 2.0
# Fluid is darker than this share of a slice's brain, whose vertex is fluid in part: a slice with
# less than this share of the largest brain stays as it is.
LEAST_RATIO, LEAST_SHARE = 0.5, 0.3
FEWEST_SLICES = 5
# Fifteen simulated scans of training heads in slices of 3 to 10 mm have up to 0.043; where every
# second slice is 10 % brighter there is 0.058 and more.
MOST_OWN = 0.06


def even_slices(
    image: NDArray[np.float32], brain: NDArray[np.bool_], voxel_sizes_mm: Sequence[float]
) -> tuple[NDArray[np.float32], float | None]:
    """Make slices equally bright that are not, as every second one of an interleaved scan.

    Parameters
    ----------
    image
        Image in any unit.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    image : ndarray
        Each slice divided by its own factor; the same image where none differs by much.
    most : float or None
        The largest logarithm of a slice's own factor; None where voxels are nearly cubes or there
        are few slices.

    Examples
    --------
    >>> image = np.full((40, 40, 12), 100, np.float32)
    >>> image[:, :, ::2] *= 1.2
    >>> even, most = even_slices(image, image > 0, (1, 1, 5))
    >>> round(float(np.ptp(image))), bool(np.ptp(even[:, :, 3:-3]) < 4), round(most, 1)
    (20, True, 0.1)
    """
    axis = thick_axis(voxel_sizes_mm)
    own = (
        None
        if axis is None
        else _own_factors(np.moveaxis(image, axis, 0), np.moveaxis(brain, axis, 0))
    )
    if axis is None or own is None:
        return image, None
    most = float(np.abs(own).max())
    if most <= MOST_OWN:
        return image, most
    shape = [-1 if number == axis else 1 for number in range(3)]
    return (image / np.exp(own).reshape(shape)).astype(np.float32), most


def thick_axis(voxel_sizes_mm: Sequence[float]) -> int | None:
    """Say across which axis slices lie that are much thicker than their voxels are wide.

    Parameters
    ----------
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    int or None
        The axis; None where voxels are nearly cubes.

    Examples
    --------
    >>> thick_axis((5.0, 0.9, 0.9)), thick_axis((1.2, 1.0, 1.0))
    (0, None)
    """
    order = np.argsort(voxel_sizes_mm, kind="stable")
    largest, next_one = (float(voxel_sizes_mm[number]) for number in (order[2], order[1]))
    return int(order[2]) if largest > THICK_RATIO * next_one else None


def _own_factors(
    slices: NDArray[np.floating], brain: NDArray[np.bool_]
) -> NDArray[np.float64] | None:
    """Find the logarithm of each slice's own factor; slices lie along the first axis.

    What lies beside each other in two slices is mostly the same tissue, lesion or not: the median
    of its ratio is that of the slices. Summed up from slice to slice, the slow part is taken off.
    """
    areas = np.count_nonzero(brain, axis=(1, 2))
    least = max(LEAST_SHARE * float(areas.max(initial=0)), 1.0)
    solid = np.zeros(slices.shape, bool)
    for number in np.flatnonzero(areas >= least):
        middle = float(np.median(slices[number][brain[number]]))
        solid[number] = brain[number] & (slices[number] > max(LEAST_RATIO * middle, 0))
    steps = np.zeros(max(len(slices) - 1, 0))
    known = np.zeros(len(steps), bool)
    for number in range(len(steps)):
        both = solid[number] & solid[number + 1]
        known[number] = np.count_nonzero(both) >= LEAST_RATIO * least
        if known[number]:
            ratio = slices[number + 1][both].astype(np.float64) / slices[number][both]
            steps[number] = np.log(np.median(ratio))
    if np.count_nonzero(known) < FEWEST_SLICES - 1:
        return None
    total = np.r_[0.0, np.cumsum(steps)]
    places = np.flatnonzero(np.r_[known, False] | np.r_[False, known])
    own = np.zeros(len(slices))
    own[places] = total[places] - _slow(places, total[places])
    return own


def _slow(places: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit a line around each place, near ones counting most."""
    found = np.empty(len(values))
    for number, place in enumerate(places):
        away = (places - place).astype(np.float64)
        weight = np.exp(-0.5 * (away / SLOW_SLICES) ** 2)
        mean, middle = np.average(values, weights=weight), np.average(away, weights=weight)
        spread = np.average((away - middle) ** 2, weights=weight)
        slope = np.average((away - middle) * (values - mean), weights=weight) / spread
        found[number] = mean - slope * middle
    return found
