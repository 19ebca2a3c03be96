"""Exact Euclidean distances in mm, and the nearest label, for voxels of any size.

The squared distance separates into one term per axis, so that three passes along the axes, each a
minimum over shifted parabolas, give it exactly [1]_ [2]_. Squared distances are kept as whole
numbers of a common unit and so are exact: two targets that are equally near compare as equal,
and the smaller label wins wherever in the grid that happens and however the grid is oriented.

Where the papers build lower envelopes voxel by voxel, here whole rows are lowered at once, nearest
rows first, until no row farther away can lower anything: with a processor's vector instructions
that is several times faster on heads, where distances are short against the image.

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
    is_reversed,
    kernel_flags,
    kernel_ready,
)
from wmhflow.core._threads import over_ranges

# Squared distances are whole numbers up to here, which leaves 16 bits for 65,535 owners; where
# that would round the voxel sizes too much, up to the second, which leaves 11.
LARGEST_EXACT, LARGEST_FINE = 2.0**46, 2.0**51
LEAST_FINE_WEIGHT = 2.0**23
KEY_BITS = 62
# Keys below this, and the sum of two, fit into 32 bits.
LARGEST_NARROW = 1 << 31
# Rows lowered before it is looked again how much there is left to lower.
LOWERED_BETWEEN_LOOKS = 4
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
    return _measured(checked_mask(mask, "mask"), spacing, limit, within, owned=False)[0]


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
    return _measured(checked_labels(labels, "labels"), spacing, limit, within, owned=True)


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


def _measured(
    target: NDArray,
    spacing: ArrayLike,
    limit: float | None,
    within: ArrayLike | None,
    *,
    owned: bool,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return distance and owner in the memory order of the target; no owners if not `owned`."""
    sizes = checked_spacing(spacing)
    wanted = None if within is None else checked_mask(within, "within")
    turned = is_reversed(target)
    if turned:
        target, sizes = target.T, sizes[::-1].copy()
        wanted = None if wanted is None else wanted.T
    distance = np.full(target.shape, np.inf, dtype=np.float32)
    owners = np.zeros(target.shape if owned else (1, 1, 1), dtype=np.int32)
    plan = _plan(target, sizes, limit, wanted, owned=owned)
    if plan is not None:
        _transform(target, plan, wanted, distance, owners if owned else None)
    return (distance.T, owners.T) if turned else (distance, owners)


class _Keys(NamedTuple):
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


class _Plan(NamedTuple):
    """Where the targets and the wanted voxels lie, the keys, and the labels that owners stand for.

    Without `names` owners are labels; with them, places in the list.
    """

    targets: Box
    wanted: Box
    keys: _Keys
    names: NDArray[np.int32] | None


def _plan(
    target: NDArray,
    spacing: NDArray[np.float64],
    limit: float | None,
    within: NDArray[np.bool_] | None,
    *,
    owned: bool,
) -> _Plan | None:
    """Decide which boxes to work in, and in which keys; None if no distance can be finite."""
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
    first, second, third = (
        slice(outer.start + part.start, outer.start + part.stop)
        for outer, part in zip(searched, inner, strict=True)
    )
    targets = (first, second, third)
    reaches = np.array(
        [max(a.stop, b.stop) - min(a.start, b.start) for a, b in zip(targets, wanted, strict=True)]
    )
    keys = _keys(spacing, reaches, reach, int(target[targets].max()) if owned else 0)
    if keys.kind is np.uint32 or not owned:
        return _Plan(targets, wanted, keys, None)
    names = _label_names(target[targets])
    return _Plan(targets, wanted, _keys(spacing, reaches, reach, names.size - 1), names)


def _keys(
    spacing: NDArray[np.float64], reaches: NDArray[np.int64], reach: float, largest_owner: int
) -> _Keys:
    """Choose whole units and the width of keys for distances up to `reach` mm."""
    bits = largest_owner.bit_length()
    weights, unit = whole_weights(spacing, reaches, 2.0 ** (KEY_BITS - bits))
    farthest = int((weights * reaches.astype(np.float64) ** 2).sum())
    if np.isfinite(reach):
        # The part in a thousand million keeps a voxel that lies exactly at the limit.
        farthest = min(farthest, floor((reach / unit) ** 2 * (1 + 1e-9)))
    cap = (farthest + 1) << bits
    kind = np.uint32 if cap < LARGEST_NARROW else np.uint64
    return _Keys(weights.astype(np.uint64) << np.uint64(bits), unit, kind, kind(cap), kind(bits))


def _label_names(labels: NDArray) -> NDArray[np.int32]:
    """Return 0 and the labels that occur, rising, so that places in the list stand for labels."""
    return np.unique(np.append(labels.ravel(), 0)).astype(np.int32)


def whole_weights(
    spacing: NDArray[np.float64], lengths: NDArray[np.int64], largest: float = LARGEST_FINE
) -> tuple[NDArray[np.float64], float]:
    """Express squared voxel sizes as whole numbers of one unit.

    Parameters
    ----------
    spacing : (3,) float64 array
        Voxel sizes in mm.
    lengths : (3,) int array
        Number of voxels along each axis over which distances can reach.
    largest : float
        Squared distances stay below this whole number, a power of two.

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
    precision, for voxels up to 1:20 in grids up to 1000 with up to 2047 owners.

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
    if close.all() and steps**2 @ squares < min(largest, LARGEST_FINE):
        return steps**2, smallest / parts
    for bound in (min(largest, LARGEST_EXACT), min(largest, LARGEST_FINE)):
        # An even power, so that the unit is exact too.
        power = 2 * ceil(np.log2(bound / (spacing**2 @ squares)) / 2 - 1)
        weights = np.maximum(np.rint(spacing**2 * 2.0**power), 1.0)
        if weights.min() >= LEAST_FINE_WEIGHT:
            break
    return weights, 2.0 ** (-power / 2)


def _transform(
    target: NDArray,
    plan: _Plan,
    within: NDArray[np.bool_] | None,
    distance: NDArray[np.float32],
    owners: NDArray[np.int32] | None,
) -> None:
    """Fill the wanted box of `distance`, and of `owners` where given."""
    sites, keys = _sites(target[plan.targets], plan.names), plan.keys
    offsets = np.array([t.start - w.start for t, w in zip(plan.targets, plan.wanted, strict=True)])
    shape = [part.stop - part.start for part in plan.wanted]
    partial = np.empty((sites.shape[0], shape[1], shape[2]), dtype=keys.kind)
    lowest = np.empty(partial.shape[:2], dtype=keys.kind)
    extents = np.empty((*partial.shape[:2], 2), dtype=np.int64)
    over_ranges(
        lambda start, stop: _in_planes(
            sites, partial, lowest, extents, keys.steps, offsets, keys.cap, start, stop
        ),
        sites.shape[0],
        partial.size,
    )
    everywhere = within is None
    chosen = np.empty((1, 1, 1), np.uint8) if within is None else kernel_flags(within[plan.wanted])
    owned = owners is not None
    owners = np.empty((1, 1, 1), dtype=np.int32) if owners is None else owners[plan.wanted]
    over_ranges(
        lambda start, stop: _across_planes(
            partial, lowest, extents, keys.steps[0], offsets[0], keys.cap, keys.bits, keys.unit_mm,
            chosen, everywhere, distance[plan.wanted], owners, owned, start, stop,
        ),
        shape[1],
        shape[0] * shape[1] * shape[2],
    )  # fmt: skip
    if owned and plan.names is not None:
        owners[...] = plan.names[owners]


def _sites(target: NDArray, names: NDArray[np.int32] | None) -> NDArray:
    """Return what the kernel reads: bytes for a mask, numbers for labels or their places."""
    if target.dtype == np.bool_:
        return kernel_flags(target)
    if names is not None:
        return np.searchsorted(names, target).astype(np.int32)
    return kernel_ready(target, np.int32)


@njit(cache=True, nogil=True)
def _in_planes(sites, partial, lowest, extents, steps, offsets, cap, start, stop):  # type: ignore[no-untyped-def]
    """Fill planes `start` to `stop` of `partial` with keys by the sites of the plane itself.

    `lowest` gets the least key of each row, `extents` where in the row keys are below `cap`; rows
    without any are left as they are.
    """
    n_rows, wanted_rows = sites.shape[1], partial.shape[1]
    rows = np.empty((n_rows, partial.shape[2]), dtype=partial.dtype)
    row_lowest = np.empty(n_rows, dtype=partial.dtype)
    row_extents = np.empty((n_rows, 2), dtype=np.int64)
    for i in range(start, stop):
        for j in range(n_rows):
            _along_row(sites[i, j], rows[j], steps[2], offsets[2], cap, row_extents[j])
            row_lowest[j] = _smallest(rows[j, row_extents[j, 0] : row_extents[j, 1]], cap)
        for j in range(wanted_rows):
            row = partial[i, j]
            row[:] = cap
            _spread(
                row, rows, row_lowest, row_extents, steps[1], j - offsets[1], 0, row.size, cap,
                extents[i, j],
            )  # fmt: skip
            lowest[i, j] = _smallest(row[extents[i, j, 0] : extents[i, j, 1]], cap)


@njit(cache=True, nogil=True)
def _across_planes(  # type: ignore[no-untyped-def]
    partial, lowest, extents, step, offset, cap, bits, unit, chosen, everywhere, distance, owners,
    owned, start, stop,
):  # fmt: skip
    """Write distance and owner of the chosen voxels, for rows `start` to `stop` of every plane."""
    kind = partial.dtype.type
    n_planes, length = partial.shape[0], partial.shape[2]
    # The rows of one plane after the other lie far apart: brought together they stay in the cache.
    rows = np.empty((n_planes, length), dtype=partial.dtype)
    row = np.empty(length, dtype=partial.dtype)
    extent = np.empty(2, dtype=np.int64)
    owner_bits = (kind(1) << bits) - kind(1)
    for j in range(start, stop):
        row_lowest, row_extents = lowest[:, j].copy(), extents[:, j].copy()
        for i in range(n_planes):
            for k in range(extents[i, j, 0], extents[i, j, 1]):
                rows[i, k] = partial[i, j, k]
        for i in range(distance.shape[0]):
            low, high = 0, length
            if everywhere:
                row[:] = cap
            else:
                low, high = _open(chosen[i, j], row, cap)
            _spread(row, rows, row_lowest, row_extents, step, i - offset, low, high, cap, extent)
            for k in range(extent[0], extent[1]):
                key = row[k]
                if key < cap and (everywhere or chosen[i, j, k] != 0):
                    distance[i, j, k] = np.sqrt(np.float64(key >> bits)) * unit
                    if owned:
                        owners[i, j, k] = key & owner_bits


@njit(cache=True, nogil=True)
def _open(chosen, row, cap):  # type: ignore[no-untyped-def]
    """Set chosen voxels to `cap` and others to 0, which nothing can lower; return their range."""
    low, high = row.size, 0
    for k in range(row.size):
        row[k] = cap if chosen[k] != 0 else row.dtype.type(0)
    for k in range(row.size):
        if chosen[k] != 0:
            low = k
            break
    for k in range(row.size - 1, low - 1, -1):
        if chosen[k] != 0:
            high = k + 1
            break
    return low, high


@njit(cache=True, nogil=True)
def _along_row(sites, keys, step, offset, cap, extent):  # type: ignore[no-untyped-def]
    """Fill `keys` by the sites of one row, and `extent` with the range below `cap`."""
    owned = sites.itemsize > 1  # the bytes of a mask are no owners
    extent[0], extent[1] = 0, 0
    some = sites[0]
    for s in range(sites.size):
        some = sites.dtype.type(some | sites[s])
    if some == 0:
        return
    site, last = 0, -1
    for p in range(keys.size):
        while site < sites.size and site + offset <= p:
            if sites[site] != 0:
                last = site
            site += 1
        keys[p] = cap
        if last >= 0:
            keys[p] = _key(step, p - last - offset, sites[last] if owned else 0, cap)
    site, last = sites.size - 1, -1
    extent[0] = keys.size
    for p in range(keys.size - 1, -1, -1):
        while site >= 0 and site + offset >= p:
            if sites[site] != 0:
                last = site
            site -= 1
        if last >= 0:
            keys[p] = min(keys[p], _key(step, last + offset - p, sites[last] if owned else 0, cap))
        if keys[p] < cap:
            extent[0] = p
            extent[1] = max(extent[1], p + 1)


@njit(cache=True, nogil=True)
def _key(step, apart, owner, cap):  # type: ignore[no-untyped-def]
    """Return the key of a site some voxels away, `cap` if it is out of reach."""
    key = step * np.uint64(apart * apart) + np.uint64(owner)
    return type(cap)(key) if key < np.uint64(cap) else cap


@njit(cache=True, nogil=True)
def _spread(row, rows, lowest, extents, step, place, low, high, cap, extent):  # type: ignore[no-untyped-def]
    """Lower `row`, which lies at `place` among `rows`, to the least key of any of them.

    The nearest rows come first. It ends when the step alone is more than the largest key left
    between `low` and `high`, so that few of the rows are read.
    """
    kind = row.dtype.type
    extent[0], extent[1] = high, low
    worst, since = cap, 0
    n = rows.shape[0]
    for apart in range(max(0, -place, place - n + 1), max(place, n - 1 - place) + 1):
        key = step * np.uint64(apart * apart)
        if key >= np.uint64(worst):
            break
        rise = kind(key)
        for side in range(1 if apart == 0 else 2):
            other = place + apart if side == 0 else place - apart
            if other < 0 or other >= n or lowest[other] >= worst - rise:
                continue
            begin, end = max(low, extents[other, 0]), min(high, extents[other, 1])
            if begin >= end:
                continue
            _lower(row[begin:end], rows[other, begin:end], rise)
            extent[0], extent[1] = min(extent[0], begin), max(extent[1], end)
            since += 1
        if since >= LOWERED_BETWEEN_LOOKS:
            worst, since = _largest(row[low:high]), 0


@njit(cache=True, nogil=True)
def _lower(row, other, rise):  # type: ignore[no-untyped-def]
    """Lower `row` to `other` plus `rise` (compiled to vector instructions)."""
    kind = row.dtype.type
    for k in range(row.size):
        row[k] = min(row[k], kind(other[k] + rise))


@njit(cache=True, nogil=True)
def _largest(row):  # type: ignore[no-untyped-def]
    """Return the largest key of a row."""
    largest = row[0]
    for k in range(row.size):
        largest = max(largest, row[k])
    return largest


@njit(cache=True, nogil=True)
def _smallest(row, cap):  # type: ignore[no-untyped-def]
    """Return the smallest key of a row, `cap` if it is empty."""
    smallest = cap
    for k in range(row.size):
        smallest = min(smallest, row[k])
    return smallest
