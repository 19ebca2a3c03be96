"""Statistics of a map in every region, each voxel weighted by the fraction that is covered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.arrays.validation import checked_mask
from wmhflow.core.measure.coverage import Coverage

# Values are sorted by so many bits at a time.
DIGIT_BITS = 11
# A region with more than a share of 1/32 of all values is sorted by a place for each of these.
SHARE_BITS = 5
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Two cumulated weights closer than this part of the whole are the same up to rounding.
SAME_WEIGHT = 1e-9


def region_statistics(
    values: ArrayLike,
    weights: Coverage,
    valid: ArrayLike | None = None,
    only: Sequence[int] | None = None,
) -> dict[str, NDArray[Any]]:
    """Summarise a map in every region, weighting each voxel by the fraction that is covered.

    Parameters
    ----------
    values : (I, J, K) array of numbers
        The map, on the grid of `weights`. NaN and infinite voxels do not count; zeros do.
    weights : CoverageWeights or RegionEntries
        What each region covers.
    valid : (I, J, K) array of booleans or numbers, optional
        Voxels that may count, for instance those inside the map's valid range.
    only : sequence of ints, optional
        Places of the regions that are wanted, in this order; all by default.

    Returns
    -------
    dict of (R,) arrays
        ``index`` (int64)
            The region's label.
        ``n`` (int64)
            Number of counted voxels of which the region covers any part.
        ``n_effective``
            Kish's effective number, ``sum(w)**2 / sum(w**2)``.
        ``volume_mm3``
            The region's own volume, counted or not.
        ``coverage``
            Volume covered by counted voxels over the region's own volume.
        ``mean``
            ``sum(w * x) / sum(w)``.
        ``sd``
            Standard deviation for reliability weights: the weighted variance about the mean times
            ``n_effective / (n_effective - 1)``; NaN for a single voxel.
        ``median``, ``q05``, ``q25``, ``q75``, ``q95``
            Quantiles of the distribution by volume: the smallest value up to which the share of
            the weight reaches q; the mean of this and the next where the share is exactly q. So
            the median of equal weights is the usual one, and a voxel split in two changes
            nothing.
        ``mad``
            Median absolute deviation from the median, by the same definition, not scaled.

        A region that no valid voxel covers has n and coverage 0, and NaN elsewhere save for its
        index and volume; one without volume has no coverage either.

    Raises
    ------
    ValueError
        If the map or `valid` is not on the grid of the weights.
    TypeError
        If the map does not hold real numbers.

    References
    ----------
    Hyndman RJ, Fan Y. Sample quantiles in statistical packages. The American Statistician
    1996;50:361-365 (definition 2). doi:10.1080/00031305.1996.10473566

    Examples
    --------
    >>> from wmhflow.core.measure.coverage import coverage_weights
    >>> weights = coverage_weights(np.ones((1, 1, 4), int), np.eye(4), (1, 1, 4), np.eye(4))
    >>> statistics = region_statistics([[[1.0, 2.0, 4.0, np.nan]]], weights)
    >>> {name: float(statistics[name][0]) for name in ("n", "coverage", "median", "mad")}
    {'n': 3.0, 'coverage': 0.75, 'median': 2.0, 'mad': 1.0}
    """
    sampled, counted = counted_values(values, weights, valid)
    rows = np.arange(weights.index.size) if only is None else np.asarray(only, dtype=np.int64)
    return _summaries(sampled, counted, weights, rows)


def counted_values(
    values: ArrayLike, weights: Coverage, valid: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read a map at the covered voxels.

    Parameters
    ----------
    values, weights, valid
        As for :func:`region_statistics`.

    Returns
    -------
    values : (V,) float64 array
    counted : (V,) array of bool
        Whether each of them is finite, and valid.

    Raises
    ------
    ValueError, TypeError
        As :func:`region_statistics`.
    """
    image = np.asarray(values)
    if image.dtype.kind not in "fiub":
        raise TypeError(f"values has type {image.dtype}: a map of real numbers is needed")
    sampled = _gathered(image, weights, "values").astype(np.float64)
    counted = np.isfinite(sampled)
    if valid is not None:
        counted &= _gathered(checked_mask(valid, "valid"), weights, "valid")
    return sampled, counted


def _summaries(
    sampled: NDArray[np.float64],
    counted: NDArray[np.bool_],
    weights: Coverage,
    rows: NDArray[np.int64],
) -> dict[str, NDArray[Any]]:
    """Run the kernel over the sampled values and name what it gives."""
    begins, places, fractions = weights.by_region
    rising, ranks = _ranked(sampled, counted)
    quantiles = np.array(QUANTILES)
    n = np.zeros(rows.size, dtype=np.int64)
    sums, squares = np.zeros(n.size), np.zeros(n.size)
    moments = np.full((n.size, quantiles.size + 3), np.nan)
    over_ranges(
        lambda start, stop: _statistics(
            (rising, ranks), (begins, places, fractions), rows, quantiles, start, stop,
            n, sums, squares, moments,
        ),
        n.size,
        places.size,
    )  # fmt: skip
    volume_mm3 = weights.volume_mm3[rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        coverage = sums * weights.map_voxel_mm3 / volume_mm3
        n_effective = np.where(n > 0, sums**2 / squares, np.nan)
    return {
        "index": weights.index[rows],
        "n": n,
        "n_effective": n_effective,
        "volume_mm3": volume_mm3,
        "coverage": np.where(volume_mm3 > 0, np.where(n > 0, coverage, 0.0), np.nan),
        "mean": moments[:, 0],
        "sd": moments[:, 1],
        "median": moments[:, 4],
        "q05": moments[:, 2],
        "q25": moments[:, 3],
        "q75": moments[:, 5],
        "q95": moments[:, 6],
        "mad": moments[:, 7],
    }


def _gathered(image: NDArray[Any], weights: Coverage, name: str) -> NDArray[Any]:
    """Return the covered voxels of `image`, whatever its memory order, without copying it."""
    if image.shape != weights.map_shape:
        raise ValueError(
            f"{name} has shape {image.shape}, but the weights are for a map of {weights.map_shape}"
        )
    if image.flags.c_contiguous:
        return image.reshape(-1)[weights.voxels]
    return image[np.unravel_index(weights.voxels, weights.map_shape)]


def _ranked(
    sampled: NDArray[np.float64], counted: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return the values that count in rising order, and the place of each voxel's among them.

    Equal values, such as both zeros, stay in the order of their voxels. What does not count has the
    place -1. So values are sorted once, and regions by whole numbers of few digits.
    """
    there = np.flatnonzero(counted)
    given = sampled[there]
    # both zeros are equal: numpy's stable sort takes them so
    order = there[np.argsort(given, kind="stable")]
    ranks = np.full(sampled.size, -1, dtype=np.int32)
    ranks[order] = np.arange(order.size, dtype=np.int32)
    return sampled[order], ranks


@njit(cache=True, nogil=True)
def _statistics(  # type: ignore[no-untyped-def]
    sample, entries, rows, quantiles, start, stop, n, sums, squares, moments
):
    """Fill n, sum of weights, sum of their squares, and moments and quantiles of some regions."""
    rising, ranks = sample
    begins, places, fractions = entries
    largest = 0
    for row in range(start, stop):
        largest = max(largest, begins[rows[row] + 1] - begins[rows[row]])
    own, spare = np.empty(largest, dtype=np.uint32), np.empty(largest, dtype=np.uint32)
    w, spare_w = np.empty(largest), np.empty(largest)
    x = np.empty(largest)
    # for regions that hold much of the map: weights by rank, and a bit for each that has one
    by_rank, marks = np.zeros(rising.size), np.zeros((rising.size >> 6) + 1, dtype=np.uint64)
    for row in range(start, stop):
        count = 0
        for entry in range(begins[rows[row]], begins[rows[row] + 1]):
            rank = ranks[places[entry]]
            if rank >= 0:
                own[count], w[count] = rank, fractions[entry]
                count += 1
        if count == 0:
            continue
        if count > rising.size >> SHARE_BITS:
            _spread_out(own, w, count, by_rank, marks)
        else:
            own, w, spare, spare_w = _sorted(own, w, spare, spare_w, count)
        total = square = 0.0
        for slot in range(count):
            x[slot] = rising[own[slot]]
            total += w[slot]
            square += w[slot] * w[slot]
        n[row], sums[row], squares[row] = count, total, square
        _describe(x[:count], w[:count], total, square, quantiles, moments[row])


@njit(cache=True, nogil=True)
def _spread_out(keys, w, count, by_rank, marks):  # type: ignore[no-untyped-def]
    """Sort the first `count` keys, which all differ, and their weights by a place for every key."""
    one, last = np.uint64(1), np.uint64(63)
    for slot in range(count):
        by_rank[keys[slot]] = w[slot]
        marks[keys[slot] >> 6] |= one << (np.uint64(keys[slot]) & last)
    slot = 0
    for word in range(marks.size):
        left = marks[word]
        if left == 0:
            continue
        marks[word] = 0
        for bit in range(64):
            if (left >> np.uint64(bit)) & one:
                key = (word << 6) + bit
                keys[slot], w[slot] = key, by_rank[key]
                slot += 1


@njit(cache=True, nogil=True)
def _sorted(keys, w, spare, spare_w, count):  # type: ignore[no-untyped-def]
    """Sort the first `count` keys and their weights by digits; return the arrays, results first."""
    varying = np.uint32(0)
    for slot in range(1, count):
        varying |= keys[slot] ^ keys[0]
    # only the bits up to the highest that differs are looked at
    high = 0
    while high < 32 and (varying >> np.uint32(high)) != 0:
        high += 1
    passes = (high + DIGIT_BITS - 1) // DIGIT_BITS
    mask = np.uint32((1 << DIGIT_BITS) - 1)
    slots = np.empty(1 << DIGIT_BITS, dtype=np.int64)
    for digits in range(passes):
        shift = np.uint32(digits * DIGIT_BITS)
        slots[:] = 0
        for slot in range(count):
            slots[(keys[slot] >> shift) & mask] += 1
        end = 0
        for digit in range(slots.size):
            end, slots[digit] = end + slots[digit], end
        for slot in range(count):
            digit = (keys[slot] >> shift) & mask
            spare[slots[digit]], spare_w[slots[digit]] = keys[slot], w[slot]
            slots[digit] += 1
        keys, spare, w, spare_w = spare, keys, spare_w, w
    return keys, w, spare, spare_w


@njit(cache=True, nogil=True)
def _describe(x, w, total, squares, quantiles, out):  # type: ignore[no-untyped-def]
    """Fill `out` with mean, SD, the quantiles and MAD of sorted values."""
    # Relative to the first value, so that a constant region has exactly that mean.
    moved = 0.0
    for slot in range(x.size):
        moved += w[slot] * (x[slot] - x[0])
    mean = x[0] + moved / total
    out[0] = mean
    if x.size > 1:
        spread = 0.0
        for slot in range(x.size):
            spread += w[slot] * (x[slot] - mean) ** 2
        out[1] = np.sqrt(spread / (total - squares / total))
    place, cumulated = 0, w[0]
    for q in range(quantiles.size):
        share = quantiles[q] * total
        while place + 1 < x.size and cumulated < share - SAME_WEIGHT * total:
            place += 1
            cumulated += w[place]
        out[2 + q] = x[place]
        if place + 1 < x.size and cumulated <= share + SAME_WEIGHT * total:
            out[2 + q] = 0.5 * (x[place] + x[place + 1])
    out[2 + quantiles.size] = _deviation(x, w, total, out[2 + quantiles.size // 2])


@njit(cache=True, nogil=True)
def _deviation(x, w, total, median):  # type: ignore[no-untyped-def]
    """Return the weighted median of the distances of sorted values from their median."""
    upper = np.searchsorted(x, median)
    lower = upper - 1
    cumulated, share, reached = 0.0, 0.5 * total, np.nan
    # The nearest value left on either side is the next larger deviation.
    while lower >= 0 or upper < x.size:
        if upper >= x.size or (lower >= 0 and median - x[lower] <= x[upper] - median):
            deviation, weight = median - x[lower], w[lower]
            lower -= 1
        else:
            deviation, weight = x[upper] - median, w[upper]
            upper += 1
        if not np.isnan(reached):
            return 0.5 * (reached + deviation)
        cumulated += weight
        if cumulated > share + SAME_WEIGHT * total:
            return deviation
        if cumulated >= share - SAME_WEIGHT * total:
            reached = deviation
    return reached
