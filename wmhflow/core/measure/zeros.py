"""Which zeros of a map are measurements, and which stand for places without data.

Most programs write 0 where they have nothing to say: beyond the field of view, outside the mask,
where a fit failed. A mean over such places is too low, and its coverage looks whole. Only how zeros
lie tells them from measurements of 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wmhflow.core.arrays.boxes import bounding_box
from wmhflow.core.arrays.components import without_holes

AUTO, DATA, MISSING = "auto", "data", "missing"
# What is smaller than this share of the map's high values is 0 but for rounding: single precision
# keeps 1e-7, and dipy's diffusivities are 1e-9 where it had no signal, a millionth of tissue's.
NEGLIGIBLE = 1e-5
HIGH_QUANTILE = 0.99
# A value of this share of a map's median is not next to 0, unless all are multiples of it.
NEAR_0, ROUNDING_OF_STEPS = 0.1, 1e-3
FACES = ndimage.generate_binary_structure(3, 1)


@dataclass(frozen=True)
class NoData:
    """Where a map's zeros stand for no data.

    Attributes
    ----------
    zero : ndarray of bool
        Every voxel of 0, or of so little that it is 0 but for rounding.
    missing : ndarray of bool
        Voxels that hold no data, though they hold a finite value.
    counts : dict of int
        How many of them fill planes of the grid, lie outside the map's mask, fill holes within it,
        or are single failures of a fit of which other maps hold data (or none does).
    """

    zero: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    counts: dict[str, int]


def find_no_data(
    values: NDArray[np.floating],
    holding: Sequence[NDArray[np.bool_]] = (),
    *,
    can_be_zero: bool = False,
    zeros: str = AUTO,
) -> NoData:
    """Find the voxels of a map that stand for no data although they are finite.

    Zeros (and the map's lowest value, if it is below 0 and on most of the grid's faces) are no data

    - in a plane of the grid that holds nothing else, such as where the field of view ends;
    - in a region that reaches the border of the grid: the outside of a mask, whatever its size;
    - where none of the other maps of the same fit holds data;
    - in a hole: a region within the map that has an inside (a voxel with six neighbours of 0);
    - voxel by voxel, where another map of the same fit holds data, if zeros are more frequent than
      the smallest value beside 0. A measurement is no more frequent at 0 than next to it.

    All other zeros are measurements. A quantity of which methods give exactly 0 in tissue (a
    fraction at its bound, negative values set to 0) keeps holes and single zeros, unless the map
    also has values below 0; and of its outside what the other maps of the fit know as inside. In a
    map that is stored in coarse steps a hole counts as well, if the voxels around it mostly hold
    the smallest step.

    Parameters
    ----------
    values : (I, J, K) array
        The map. Non-finite voxels hold no data, and are not reported as missing.
    holding : sequence of (I, J, K) arrays of bool
        What :func:`holds_data` says of other maps of the same fit on the same grid, of quantities
        that are not 0 in tissue.
    can_be_zero
        Whether methods give exactly 0 in tissue.
    zeros
        ``auto``; or ``data``, all zeros count; or ``missing``, none does.

    Returns
    -------
    NoData

    Examples
    --------
    >>> values = np.full((4, 4, 4), 0.4)
    >>> values[1, 2, 2] = 0
    >>> int(find_no_data(values).missing.sum())
    0
    >>> values[:, :, 0] = 0
    >>> found = find_no_data(values)
    >>> int(found.zero.sum()), int(found.missing.sum()), found.counts["planes"]
    (17, 16, 16)
    """
    zero, fill = _zero(values), _filled(values)
    none = np.zeros(zero.shape, dtype=bool)
    if zeros == DATA or not (zero.any() or fill.any()):
        return NoData(zero, none, {})
    if zeros == MISSING:
        return NoData(zero, zero, {"all": int(np.count_nonzero(zero))})
    void = zero | fill | ~np.isfinite(values)
    is_floor = can_be_zero and not np.any(values[~void] < 0)
    reasons = {"planes": _whole_planes(void)}
    reasons["outside"] = _outside(void, holding if is_floor else None)
    missing = (zero | fill) & (reasons["planes"] | reasons["outside"])
    rest = zero & ~missing
    reasons["failures"] = reasons["holes"] = none
    if rest.any():
        # where there is data, how far it is from 0
        strength = np.where(void, np.inf, np.abs(values))
        reasons["failures"] = _failures(strength, rest, holding, is_floor)
        if not is_floor:
            reasons["holes"] = _holes(strength, rest & ~reasons["failures"])
    missing |= reasons["failures"] | reasons["holes"]
    counts, counted = {}, none.copy()
    for reason, where in reasons.items():
        new = where & missing & ~counted
        counts[reason] = int(np.count_nonzero(new))
        counted |= new
    return NoData(zero, missing, counts)


def holds_data(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Find the voxels of a map that hold something other than 0 or a filling.

    Parameters
    ----------
    values : (I, J, K) array
        The map.

    Returns
    -------
    (I, J, K) array of bool

    Examples
    --------
    >>> holds_data(np.array([0.4, 0, np.nan]).reshape(3, 1, 1)).ravel().tolist()
    [True, False, False]
    """
    return np.isfinite(values) & ~_zero(values) & ~_filled(values)


def _zero(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Find what is 0 but for rounding."""
    strength = np.abs(values)
    tissue = strength[np.isfinite(strength) & (strength > 0)]
    if not tissue.size:
        return np.asarray(strength == 0)
    # a background that is nearly 0 may be most of the map
    place = int(HIGH_QUANTILE * (tissue.size - 1))
    high = np.float64(np.partition(tissue, place)[place])
    return np.asarray(strength <= NEGLIGIBLE * high)


def _filled(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Find a value below 0, and below all others, that most voxels on the grid's faces hold.

    Some programs write -1 for what is outside. One value in more than half of all these places is
    no measurement.
    """
    faces = np.concatenate(
        [np.take(values, end, axis=axis).ravel() for axis in range(3) for end in (0, -1)]
    )
    fill = np.sort(faces)[faces.size // 2]
    if fill < 0 and np.isfinite(fill) and np.count_nonzero(faces == fill) * 2 > faces.size:
        finite = values[np.isfinite(values)]
        if finite.min() == fill < finite.max():
            return np.asarray(values == fill)
    return np.zeros(values.shape, dtype=bool)


def _whole_planes(void: NDArray[np.bool_]) -> NDArray[np.bool_]:
    planes = np.zeros(void.shape, dtype=bool)
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        # a plane of a single voxel is a line of the map
        if min(void.shape[other] for other in others) > 1:
            planes |= void.all(axis=others, keepdims=True)
    return planes & void


def _outside(
    void: NDArray[np.bool_], inside: Sequence[NDArray[np.bool_]] | None
) -> NDArray[np.bool_]:
    """Find what reaches the border of the grid by shared faces; a single voxel is no region.

    Where 0 may be a measurement (`inside` says what other maps hold), passages of one voxel are
    closed, and what a map with an outside of its own holds as inside stays.
    """
    if inside is None:
        box = bounding_box(~void)
        if box is None:
            return void & _beside(void)
        # all beyond the box of the data reaches the border
        near = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
        found = void.copy()
        found[near] = ~without_holes(~void[near])
        return np.asarray(found & _beside(void))
    core = ndimage.binary_erosion(void, FACES, border_value=1)
    found = ndimage.binary_dilation(~without_holes(~core) & core, FACES) & void
    for holds in inside:
        rim = holds & ndimage.binary_dilation(~holds, FACES)
        # a map that is 0 along most of the rim was eroded, and is not 0 there by measurement
        if np.any(found & ~holds) and np.count_nonzero(rim & found) * 2 <= np.count_nonzero(rim):
            found &= ~holds
    return np.asarray(found)


def _beside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the voxels that share a face with a voxel of a mask."""
    found = np.zeros(mask.shape, dtype=bool)
    for axis in range(mask.ndim):
        here, there = np.moveaxis(found, axis, 0), np.moveaxis(mask, axis, 0)
        here[1:] |= there[:-1]
        here[:-1] |= there[1:]
    return found


def _failures(
    strength: NDArray[np.floating],
    zero: NDArray[np.bool_],
    holding: Sequence[NDArray[np.bool_]],
    is_floor: bool,
) -> NDArray[np.bool_]:
    """Find zeros of which the other maps of the fit tell that there is no measurement."""
    if not holding:
        return np.zeros(zero.shape, dtype=bool)
    held = np.any(holding, axis=0)
    unknown = zero & ~held
    if is_floor:
        return np.asarray(unknown)
    alone = zero & held
    next_to_zero = np.count_nonzero(_is_smallest(strength))
    return np.asarray(zero if np.count_nonzero(alone) > next_to_zero else unknown)


def _holes(strength: NDArray[np.floating], zero: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find regions of zeros with an inside, unless the map runs out to 0 around them in steps."""
    core = ndimage.binary_erosion(zero, FACES, border_value=0)
    if not core.any():
        return np.zeros(zero.shape, dtype=bool)
    holes = np.asarray(ndimage.binary_propagation(core, FACES, mask=zero))
    around = ndimage.binary_dilation(holes, FACES) & np.isfinite(strength)
    runs_out = np.count_nonzero(around & _is_smallest(strength)) * 2 > np.count_nonzero(around)
    return np.zeros(zero.shape, dtype=bool) if runs_out else holes


def _is_smallest(strength: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Find the voxels of the value nearest to 0, and what rounds to it, if it is no typical one."""
    held = strength[np.isfinite(strength)]
    least = held.min(initial=np.inf)
    if not held.size or 2 * least > held.max() or _is_far_from_0(held, np.float64(least)):
        return np.zeros(strength.shape, dtype=bool)
    # in double precision, which the values need not have
    return np.asarray(strength <= 1.5 * np.float64(least))


def _is_far_from_0(held: NDArray[np.floating], least: np.float64) -> bool:
    """Tell whether a map has no values near 0 at all, though it is not stored in steps.

    Where the lowest T1 of a brain is that of white matter, one of 0 is none next to it.
    """
    if least <= NEAR_0 * np.median(held):
        return False
    steps = held / least
    return bool(np.abs(steps - np.rint(steps)).max() > ROUNDING_OF_STEPS)
