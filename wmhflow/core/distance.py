"""Exact Euclidean distances in mm, and the nearest label, for voxels of any size.

The squared distance separates into one term per axis, so that three passes of one-dimensional
lower envelopes of parabolas give it exactly [1]_ [2]_. Squared distances are kept as whole
numbers of a common unit and so are exact: two targets that are equally near compare as equal,
and the smaller label wins wherever in the grid that happens and however the grid is oriented.

References
----------
.. [1] Felzenszwalb P, Huttenlocher D. Distance transforms of sampled functions. Theory of
   Computing 2012;8:415-428. doi:10.4086/toc.2012.v008a019
.. [2] Meijster A, Roerdink J, Hesselink W. A general algorithm for computing distance transforms
   in linear time. Mathematical Morphology and its Applications 2000:331-340.
   doi:10.1007/0-306-47025-X_36
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor, lcm
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from wmhflow.core._boxes import Box, bounding_box, grown_box
from wmhflow.core._checks import (
    check_same_shape,
    checked_labels,
    checked_mask,
    checked_positive,
    checked_spacing,
    kernel_flags,
    kernel_ready,
)
from wmhflow.core._threads import over_ranges

# Whole numbers, their differences and the floor of their quotients are exact in float64 up to here.
LARGEST_EXACT = 2.0**51
NANOMETRE_MM = 1e-6
# Headers hold single precision: a voxel size is known no better than this.
HEADER_PRECISION = 1.2e-7
LARGEST_DENOMINATOR = 1000


def distance_to(
    mask: ArrayLike,
    spacing: ArrayLike,
    *,
    limit: float | None = None,
    within: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """Return the distance from every voxel centre to the nearest voxel centre of a mask.

    Parameters
    ----------
    mask : (I, J, K) array of booleans or numbers
        The target: voxels that are finite and not zero.
    spacing : three floats
        Voxel sizes in mm.
    limit : float, optional
        Distances above this many mm are not searched for and are infinite.
    within : (I, J, K) array of booleans or numbers, optional
        Voxels whose distance is wanted; others are infinite. Targets outside count all the same.

    Returns
    -------
    (I, J, K) float32 array
        Distance in mm, 0 inside the target; infinite everywhere if the target is empty.

    Raises
    ------
    ValueError
        If shapes differ, an image is not three-dimensional, or a voxel size or the limit is not
        positive.
    TypeError
        If an image holds neither booleans nor numbers.

    Examples
    --------
    >>> mask = np.zeros((1, 1, 4), bool)
    >>> mask[0, 0, 0] = True
    >>> distance_to(mask, (1, 1, 0.5)).ravel()
    array([0. , 0.5, 1. , 1.5], dtype=float32)
    """
    target = checked_mask(mask, "mask")
    wanted = None if within is None else checked_mask(within, "within")
    distance = np.full(target.shape, np.inf, dtype=np.float32)
    plan = _plan(target, checked_spacing(spacing), limit, wanted)
    if plan is not None:
        sites = kernel_flags(target[plan.targets])
        _transform(sites, plan, wanted, distance, None)
    return distance


def nearest(
    labels: ArrayLike,
    spacing: ArrayLike,
    *,
    limit: float | None = None,
    within: ArrayLike | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the distance to the nearest labelled voxel centre, and that voxel's label.

    Parameters
    ----------
    labels : (I, J, K) integer array
        Targets: all voxels above 0.
    spacing : three floats
        Voxel sizes in mm.
    limit : float, optional
        Distances above this many mm are not searched for: infinite, with owner 0.
    within : (I, J, K) array of booleans or numbers, optional
        Voxels whose distance is wanted; others are infinite, with owner 0. Targets outside count
        all the same.

    Returns
    -------
    distance : (I, J, K) float32 array
        Distance in mm, 0 on a label; infinite everywhere if there is no label.
    owner : (I, J, K) int32 array
        Label of the nearest labelled voxel; of equally near ones the smallest label.

    Raises
    ------
    ValueError
        If shapes differ, an image is not three-dimensional, a label is negative or above
        2147483647, or a voxel size or the limit is not positive.
    TypeError
        If the labels are not integers.

    Examples
    --------
    >>> distance, owner = nearest(np.array([[[7, 0, 0, 0, 3]]]), (1, 1, 1))
    >>> owner.ravel()
    array([7, 7, 3, 3, 3], dtype=int32)
    """
    targets = checked_labels(labels, "labels")
    wanted = None if within is None else checked_mask(within, "within")
    distance = np.full(targets.shape, np.inf, dtype=np.float32)
    owners = np.zeros(targets.shape, dtype=np.int32)
    plan = _plan(targets != 0, checked_spacing(spacing), limit, wanted)
    if plan is not None:
        sites = kernel_ready(targets[plan.targets], np.int32)
        _transform(sites, plan, wanted, distance, owners)
    return distance, owners


def signed_distance(
    mask: ArrayLike, spacing: ArrayLike, *, limit: float | None = None
) -> NDArray[np.float32]:
    """Return the distance to a mask, negative inside it.

    Parameters
    ----------
    mask : (I, J, K) array of booleans or numbers
        Voxels that are finite and not zero.
    spacing : three floats
        Voxel sizes in mm.
    limit : float, optional
        Distances above this many mm, inside or outside, are infinite.

    Returns
    -------
    (I, J, K) float32 array
        Outside the mask the distance in mm to its nearest voxel centre; inside, minus the
        distance to the nearest voxel centre outside it. Never 0. A mask that is empty gives
        plus infinity, one that fills the image minus infinity.

    Raises
    ------
    ValueError, TypeError
        As `distance_to`.

    Examples
    --------
    >>> signed_distance(np.array([[[0, 1, 1, 1, 0]]]), (1, 1, 2)).ravel()
    array([ 2., -2., -4., -2.,  2.], dtype=float32)
    """
    inside = checked_mask(mask, "mask")
    distance = distance_to(inside, spacing, limit=limit)
    subtract_inner_distance(distance, inside, spacing, limit=limit)
    return distance


def subtract_inner_distance(
    distance: NDArray[np.float32],
    inside: NDArray[np.bool_],
    spacing: ArrayLike,
    *,
    limit: float | None = None,
) -> None:
    """Subtract, inside a mask and in place, the distance to the nearest voxel outside it.

    Parameters
    ----------
    distance : (I, J, K) float32 array
        Distance to the mask in mm, 0 inside it; changed in place.
    inside : (I, J, K) bool array
        The mask.
    spacing : three floats
        Voxel sizes in mm.
    limit : float, optional
        Distances above this many mm are infinite.

    Examples
    --------
    >>> distance = np.zeros((1, 1, 3), np.float32)
    >>> subtract_inner_distance(distance, np.array([[[True, True, False]]]), (1, 1, 1))
    >>> distance.ravel()
    array([-2., -1.,  0.], dtype=float32)
    """
    box = bounding_box(inside)
    if box is None:
        return
    # The nearest voxel outside a mask never lies more than one step outside its bounding box.
    box = grown_box(box, np.ones(3, dtype=np.int64), inside.shape)
    part = inside[box]
    inward = distance_to(~part, spacing, limit=limit, within=part)
    np.subtract(distance[box], inward, out=distance[box], where=part)


class _Plan(NamedTuple):
    """Where the targets and the wanted voxels lie, and the unit of the whole-number distances."""

    targets: Box
    wanted: Box
    weights: NDArray[np.float64]
    unit_mm: float
    limit: float


def _plan(
    target: NDArray[np.bool_],
    spacing: NDArray[np.float64],
    limit: float | None,
    within: NDArray[np.bool_] | None,
) -> _Plan | None:
    """Decide which boxes to work in; None if no distance can be finite."""
    reach = np.inf if limit is None else checked_positive(limit, "limit")
    wanted: Box | None = (
        slice(0, target.shape[0]),
        slice(0, target.shape[1]),
        slice(0, target.shape[2]),
    )
    if within is not None:
        check_same_shape(mask=target, within=within)
        wanted = bounding_box(within)
    if wanted is None:
        return None
    margin = np.minimum(np.ceil(reach / spacing) + 1, max(target.shape)).astype(np.int64)
    searched = grown_box(wanted, margin, target.shape)
    inner = bounding_box(target[searched])
    if inner is None:
        return None
    targets = tuple(
        slice(outer.start + part.start, outer.start + part.stop)
        for outer, part in zip(searched, inner, strict=True)
    )
    reaches = np.array(
        [max(a.stop, b.stop) - min(a.start, b.start) for a, b in zip(targets, wanted, strict=True)]
    )
    weights, unit = whole_weights(spacing, reaches)
    # The part in a thousand million keeps a voxel that lies exactly at the limit.
    largest = np.inf if np.isinf(reach) else float(floor((reach / unit) ** 2 * (1 + 1e-9)))
    return _Plan((targets[0], targets[1], targets[2]), wanted, weights, unit, largest)


def whole_weights(
    spacing: NDArray[np.float64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """Express squared voxel sizes as whole numbers of one unit.

    Parameters
    ----------
    spacing : (3,) float64 array
        Voxel sizes in mm.
    lengths : (3,) int array
        Number of voxels along each axis over which distances can reach.

    Returns
    -------
    weights : (3,) float64 array
        Whole numbers; ``sqrt(weights @ steps**2) * unit`` is the distance in mm of a step.
    unit : float
        In mm.

    Notes
    -----
    Voxel sizes that are whole nanometres, to the precision of an image header, are taken as such,
    and sizes in a ratio of small whole numbers as exactly so: then 10 steps of 0.9 mm and 3 steps
    of 3 mm are equally long, as they should be. Others are rounded to better than single
    precision, for voxels up to 1:20 in grids up to 1000.

    Examples
    --------
    >>> whole_weights(np.array([0.9, 0.9, 3.0]), np.array([256, 256, 40]))
    (array([  9.,   9., 100.]), 0.3)
    """
    squares = lengths.astype(np.float64) ** 2
    nanometres = np.rint(spacing / NANOMETRE_MM) / round(1 / NANOMETRE_MM)
    sizes = np.where(
        np.abs(nanometres - spacing) <= HEADER_PRECISION * spacing, nanometres, spacing
    )
    smallest = float(sizes.min())
    ratios = [Fraction(size / smallest).limit_denominator(LARGEST_DENOMINATOR) for size in sizes]
    parts = lcm(*(ratio.denominator for ratio in ratios))
    steps = np.array([float(ratio * parts) for ratio in ratios])
    close = np.abs(steps * (smallest / parts) - sizes) <= HEADER_PRECISION * sizes
    if close.all() and steps**2 @ squares < LARGEST_EXACT:
        return steps**2, smallest / parts
    # An even power, so that the unit is exact too.
    power = 2 * ceil(np.log2(LARGEST_EXACT / (spacing**2 @ squares)) / 2 - 1)
    return np.maximum(np.rint(spacing**2 * 2.0**power), 1.0), 2.0 ** (-power / 2)


def _transform(
    sites: NDArray,
    plan: _Plan,
    within: NDArray[np.bool_] | None,
    distance: NDArray[np.float32],
    owners: NDArray[np.int32] | None,
) -> None:
    """Fill the wanted box of `distance`, and of `owners` where given."""
    offsets = [t.start - w.start for t, w in zip(plan.targets, plan.wanted, strict=True)]
    origin = np.array([part.start for part in plan.wanted])
    shape = [part.stop - part.start for part in plan.wanted]
    partial = np.empty((sites.shape[0], shape[1], shape[2]), dtype=np.float64)
    none = np.empty((1, 1, 1), dtype=np.int32)
    owned = owners is not None
    partial_owners = np.empty(partial.shape, dtype=np.int32) if owned else none
    over_ranges(
        lambda start, stop: _rows_and_columns(
            sites, partial, partial_owners, owned, plan.weights, offsets[1], offsets[2],
            plan.limit, start, stop,
        ),
        sites.shape[0],
        partial.size,
    )  # fmt: skip
    chosen = (
        np.empty((1, 1, 1), dtype=np.uint8) if within is None else kernel_flags(within[plan.wanted])
    )
    over_ranges(
        lambda start, stop: _planes(
            partial, partial_owners, owned, plan.weights[0], offsets[0], plan.limit, plan.unit_mm,
            chosen, within is not None, distance, none if owners is None else owners, origin,
            shape[0], start, stop,
        ),
        shape[1],
        shape[0] * shape[1] * shape[2],
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _rows_and_columns(  # type: ignore[no-untyped-def]
    sites, partial, partial_owners, owned, weights, offset1, offset2, limit, start, stop
):
    """Fill planes `start` to `stop` with squared distances inside the plane (axes 1 and 2)."""
    n1 = sites.shape[1]
    wanted1, wanted2 = partial.shape[1], partial.shape[2]
    values = np.empty((wanted2, n1))
    value_owners = np.zeros((wanted2, n1), dtype=np.int32)
    positions = np.empty(n1, dtype=np.int64)
    begins = np.empty(n1)
    line = np.empty(wanted1)
    line_owners = np.zeros(wanted1, dtype=np.int32)
    for i in range(start, stop):
        for j in range(n1):
            _nearest_in_row(
                sites[i, j], values[:, j], value_owners[:, j], owned, weights[2], offset2, limit
            )
        for k in range(wanted2):
            found = _envelope(values[k], weights[1], offset1, positions, begins)
            if found == 0:
                partial[i, :, k] = np.inf
                continue
            _evaluate(
                values[k], value_owners[k], owned, weights[1], offset1, positions, begins, found,
                line, line_owners,
            )  # fmt: skip
            for p in range(wanted1):
                partial[i, p, k] = line[p] if line[p] <= limit else np.inf
            if owned:
                for p in range(wanted1):
                    partial_owners[i, p, k] = line_owners[p]


@njit(cache=True, nogil=True)
def _planes(  # type: ignore[no-untyped-def]
    partial, partial_owners, owned, weight, offset, limit, unit, chosen, choosing,
    distance, owners, origin, wanted, start, stop,
):  # fmt: skip
    """Finish along axis 0 for `start` to `stop` of axis 1, and turn squares into mm."""
    n0, n2 = partial.shape[0], partial.shape[2]
    values = np.empty((n2, n0))
    value_owners = np.zeros((n2, n0), dtype=np.int32)
    positions = np.empty(n0, dtype=np.int64)
    begins = np.empty(n0)
    line = np.empty(wanted)
    line_owners = np.zeros(wanted, dtype=np.int32)
    for j in range(start, stop):
        for i in range(n0):
            for k in range(n2):
                values[k, i] = partial[i, j, k]
            if owned:
                for k in range(n2):
                    value_owners[k, i] = partial_owners[i, j, k]
        for k in range(n2):
            found = _envelope(values[k], weight, offset, positions, begins)
            if found == 0:
                continue
            _evaluate(
                values[k], value_owners[k], owned, weight, offset, positions, begins, found,
                line, line_owners,
            )  # fmt: skip
            for p in range(wanted):
                if line[p] <= limit and (not choosing or chosen[p, j, k]):
                    a, b, c = p + origin[0], j + origin[1], k + origin[2]
                    distance[a, b, c] = np.sqrt(line[p]) * unit
                    if owned:
                        owners[a, b, c] = line_owners[p]


@njit(cache=True, nogil=True)
def _nearest_in_row(row, values, owners, owned, weight, offset, limit):  # type: ignore[no-untyped-def]
    """Fill `values` with the squared distance to the nearest site of one row."""
    n, wanted = row.size, values.size
    site, last = 0, -1
    for p in range(wanted):
        while site < n and site + offset <= p:
            if row[site] != 0:
                last = site
            site += 1
        values[p] = np.inf
        if last >= 0:
            values[p] = weight * (p - last - offset) ** 2
            owners[p] = row[last]
    site, last = n - 1, -1
    for p in range(wanted - 1, -1, -1):
        while site >= 0 and site + offset >= p:
            if row[site] != 0:
                last = site
            site -= 1
        if last >= 0:
            value = weight * (last + offset - p) ** 2
            if value < values[p] or (value == values[p] and row[last] < owners[p]):
                values[p] = value
                owners[p] = row[last]
        if values[p] > limit:
            values[p] = np.inf


@njit(cache=True, nogil=True)
def _envelope(values, weight, offset, positions, begins):  # type: ignore[no-untyped-def]
    """Find the parabolas that are lowest at some voxel, and return how many there are.

    `positions` gets their places in `values`, `begins` the first voxel at which each is at least
    as low as the one before. One that is lowest only together with others is kept too, since it
    may carry the smaller label.
    """
    top = -1
    for place in range(values.size):
        if values[place] == np.inf:
            continue
        begin = -np.inf
        while top >= 0:
            other = positions[top]
            # Both parabolas are whole numbers at whole places, so the crossing is exact enough
            # for its floor and ceiling to be exact.
            crossing = (
                values[place]
                - values[other]
                + weight * ((place + offset) ** 2 - (other + offset) ** 2)
            ) / (2.0 * weight * (place - other))
            if begins[top] > np.floor(crossing):
                top -= 1
                continue
            begin = np.ceil(crossing)
            break
        top += 1
        positions[top] = place
        begins[top] = begin
    return top + 1


@njit(cache=True, nogil=True)
def _evaluate(  # type: ignore[no-untyped-def]
    values, owners, owned, weight, offset, positions, begins, found, line, line_owners
):
    """Fill `line` with the lower envelope, and `line_owners` with the smallest owner on it."""
    current = 0
    for p in range(line.size):
        while current + 1 < found and begins[current + 1] < p:
            current += 1
        place = positions[current]
        best = values[place] + weight * (p - place - offset) ** 2
        owner = owners[place]
        following = current + 1
        while following < found and begins[following] <= p:
            place = positions[following]
            value = values[place] + weight * (p - place - offset) ** 2
            if value < best or (value == best and owners[place] < owner):
                best = value
                owner = owners[place]
            following += 1
        line[p] = best
        if owned:
            line_owners[p] = owner
