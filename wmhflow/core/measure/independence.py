"""How many independent samples the voxels of a region are worth.

Neighbouring voxels of a map are alike: it was smoothed, interpolated, or is smooth by nature. How
alike, by their distance, is measured in normal-appearing white matter once per map. Which distances
the voxels of a region have depends on grids only, and is found once for all maps on a grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.measure.coverage import Coverage, CoverageWeights
from wmhflow.core.space.geometry import checked_affine, ras_axes, spacing_of

# Voxels are gathered in cells of about this size. Shells of 2 mm need as fine ones: in cells of
# 4 mm neighbouring shells share too many, and their difference seems surer than it is.
CELL_MM = 2.0
BLOCK_MM = 16.0
REACH_MM = 12.0
STEP_MM = 1.0
# Of a large region so many cells are looked at, evenly spread, and so many of all that is sampled:
# nearly always all of them. From 12,000 of 40,000 cells correlations of a thousandth, which are of
# many pairs, came out so unsure that the number of samples was a quarter off.
MOST_CELLS, MOST_ORIGINS = 1000, 100_000
# Of sizes and distances in mm.
DECIMALS = 3
# In what is known per distance: voxels with themselves, others of their cell, then by whole mm.
SELF, SAME_CELL = 0, 1
# A correlation that is 0 but for rounding is not positive.
LEAST_CORRELATION = 1e-9


@dataclass(frozen=True, eq=False)
class Cells:
    """The covered voxels of a map's grid, gathered in cells, and these in blocks.

    Attributes
    ----------
    of_voxel : (V,) int64 array
        Place of each covered voxel's cell in a grid with a margin all around.
    blocks : (V,) int64 array
        Number of the block of 16 mm that each covered voxel lies in, from 0 on.
    n_places, n_blocks, n_classes : int
        Places of cells, blocks, and classes of distance.
    steps, classes : (L,) int64 arrays
        From a cell's place to those of its neighbours within 12 mm, and the class of distance.
    """

    of_voxel: NDArray[np.int64]
    blocks: NDArray[np.int64]
    n_places: int
    n_blocks: int
    n_classes: int
    steps: NDArray[np.int64]
    classes: NDArray[np.int64]


def gather_cells(weights: Coverage, map_affine: ArrayLike) -> Cells:
    """Gather the covered voxels of a map's grid in cells of about 2 mm and blocks of 16 mm.

    Parameters
    ----------
    weights : CoverageWeights or RegionEntries
        Their covered voxels count; all weights on one grid that cover the same voxels share cells.
    map_affine : (4, 4) array
        Map voxel to world mm.

    Returns
    -------
    Cells
        Whole voxels along the map's own axes, in the order and direction of the world's: a grid
        that is stored in another orientation has the same ones.

    Examples
    --------
    >>> from wmhflow.core.measure.coverage import coverage_weights
    >>> weights = coverage_weights(np.ones((1, 1, 4), int), np.eye(4), (1, 1, 4), np.eye(4))
    >>> cells = gather_cells(weights, np.eye(4))
    >>> (cells.of_voxel - cells.of_voxel[0]).tolist(), cells.n_blocks
    ([0, 0, 1, 1], 1)
    """
    affine = checked_affine(map_affine)
    axes, flips = ras_axes(affine)
    # so that rounding of headers decides nothing
    spacing = np.round(spacing_of(affine)[list(axes)], DECIMALS)
    shown = np.array(weights.map_shape)[list(axes)]
    places = np.array(np.unravel_index(weights.voxels, weights.map_shape)).reshape(3, -1)
    places = places[list(axes)]
    for axis in np.flatnonzero(flips):
        places[axis] = shown[axis] - 1 - places[axis]
    size = np.maximum(1, np.rint(CELL_MM / spacing)).astype(np.int64)
    cells = places // size[:, None]
    margin = np.floor(REACH_MM / (size * spacing)).astype(np.int64)
    shape = cells.max(axis=1, initial=0) + 1 + 2 * margin
    steps, classes = _neighbours(margin, size * spacing, shape)
    per_block = np.maximum(size, np.rint(BLOCK_MM / spacing).astype(np.int64))
    blocks = places // per_block[:, None]
    numbers = np.ravel_multi_index(tuple(blocks), tuple(blocks.max(axis=1, initial=0) + 1))
    found, of_voxel = np.unique(numbers, return_inverse=True)
    return Cells(
        of_voxel=np.ravel_multi_index(tuple(cells + margin[:, None]), tuple(shape)).astype(
            np.int64
        ),
        blocks=of_voxel.astype(np.int64),
        n_places=int(shape.prod()),
        n_blocks=int(found.size),
        n_classes=SAME_CELL + 1 + int(REACH_MM / STEP_MM),
        steps=steps,
        classes=classes,
    )


def _neighbours(
    margin: NDArray[np.int64], cell_mm: NDArray[np.float64], shape: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List the steps to the neighbours within reach, and their classes of distance."""
    axes = [np.arange(-n, n + 1) for n in margin]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = np.round(np.sqrt(((offsets * cell_mm) ** 2).sum(axis=1)), DECIMALS)
    near = (distance > 0) & (distance <= REACH_MM)
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    steps = (offsets[near] @ strides).astype(np.int64)
    classes = SAME_CELL + np.maximum(1, np.rint(distance[near] / STEP_MM).astype(np.int64))
    return steps, classes


def correlation_by_distance(
    residuals: ArrayLike, shares: ArrayLike, cells: Cells
) -> NDArray[np.float64]:
    """Measure how alike two voxels of a map are, by their distance.

    Parameters
    ----------
    residuals : (V,) array
        Per covered voxel of the grid, what it differs from what is expected there, in units of
        the spread, times its share. 0 where it does not count.
    shares : (V,) array
        The share of each voxel that counts.
    cells : Cells
        The voxels' cells.

    Returns
    -------
    (n_classes,) array
        1 for a voxel with itself, then the correlation of two voxels of one cell, then by steps of
        1 mm up to 12 mm. From the first class that is not above 0 on all are 0, since beyond it
        there is noise alone [1]_. With nothing to measure it is 0 but for the first.

    Notes
    -----
    The sums of products of all pairs of cells at a distance, over those of their shares.

    References
    ----------
    .. [1] Geyer CJ. Practical Markov chain Monte Carlo. Statistical Science 1992;7:473-483.
       doi:10.1214/ss/1177011137
    """
    given, weight = np.asarray(residuals, np.float64), np.asarray(shares, np.float64)
    found = np.zeros(cells.n_classes)
    found[SELF] = 1.0
    own, own_weight = float(given @ given), float(weight @ weight)
    if own <= 0 or own_weight <= 0:
        return found
    sums = np.bincount(cells.of_voxel, given, cells.n_places)
    totals = np.bincount(cells.of_voxel, weight, cells.n_places)
    origins, _ = _spread(np.flatnonzero(totals))
    ahead = _by_class(*_one_way(cells), cells.n_classes)
    products, pairs = _pair_sums(sums, totals, origins, *ahead)
    products[SAME_CELL] = float(sums @ sums) - own
    pairs[SAME_CELL] = float(totals @ totals) - own_weight
    # the smallest number of pairs that is more than rounding
    there = pairs > 1e-6 * own_weight
    found[there] = products[there] / pairs[there] / (own / own_weight)
    found[SELF] = 1.0
    return _first_positive(found, there)


def _first_positive(found: NDArray[np.float64], there: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Keep correlations up to the first that is not positive; classes without pairs are passed."""
    kept = np.zeros(found.size)
    kept[SELF] = 1.0
    for place in range(SAME_CELL, found.size):
        if there[place] and found[place] <= LEAST_CORRELATION:
            break
        kept[place] = min(found[place], 1.0) if there[place] else 0.0
    return kept


def pair_shares(weights: Coverage, cells: Cells) -> NDArray[np.float64]:
    """Find which distances the pairs of voxels of each region have.

    Parameters
    ----------
    weights : CoverageWeights or RegionEntries
        What each region covers.
    cells : Cells
        Of the same covered voxels.

    Returns
    -------
    (R, n_classes) array
        Share of all pairs, weighted, in each class of distance: what is missing from 1 lies
        further apart than 12 mm. NaN for a region without voxels.

    Notes
    -----
    The variance of a region's mean is that of a voxel times the sum of these shares, each times the
    correlation at that distance; so one over this sum is the number of independent samples.
    """
    begins, places, fractions = weights.by_region
    shares = np.full((weights.index.size, cells.n_classes), np.nan)
    near = (*_by_class(cells.steps, cells.classes, cells.n_classes), _class_of_step(cells))
    over_ranges(
        lambda start, stop: _shares_of_regions(
            (begins, places, fractions), cells.of_voxel, near, cells.n_places, start, stop, shares
        ),
        weights.index.size,
        places.size,
    )  # fmt: skip
    return shares


def pair_shares_between(
    weights: CoverageWeights, group: ArrayLike, n_groups: int, cells: Cells
) -> NDArray[np.float64]:
    """Find which distances the voxels of one group of regions have from those of another.

    Parameters
    ----------
    weights : CoverageWeights
        Of regions that do not overlap.
    group : (R,) array of ints
        The group of each region, from 0 on; below 0: none.
    n_groups : int
        Number of groups.
    cells : Cells
        Of the same covered voxels.

    Returns
    -------
    (n_groups, n_groups, n_classes) array
        As `pair_shares` has it, for every two groups. 0 where a group is empty.
    """
    of_region = np.asarray(group, dtype=np.int64)
    owner = of_region[weights.regions]
    voxel = np.repeat(np.arange(weights.voxels.size), np.diff(weights.starts))
    counted = owner >= 0
    key = voxel[counted] * n_groups + owner[counted]
    known, entry = np.unique(key, return_inverse=True)
    fractions = np.bincount(entry, weights.fractions[counted], known.size)
    total = np.bincount(known % n_groups, fractions, n_groups)
    own = np.zeros((n_groups, n_groups))
    _same_place(known // n_groups, known % n_groups, fractions, own)
    # the same again by cells
    key = cells.of_voxel[known // n_groups] * n_groups + known % n_groups
    cell_keys, entry = np.unique(key, return_inverse=True)
    sums = np.bincount(entry, fractions, cell_keys.size)
    by_class = np.zeros((cells.n_classes, n_groups, n_groups))
    origins, scale = _spread(np.unique(cell_keys // n_groups))
    _between_groups(
        (cell_keys // n_groups, cell_keys % n_groups, sums), origins,
        *_by_class(*_one_way(cells), cells.n_classes), cells.n_places, by_class,
    )  # fmt: skip
    shares = np.ascontiguousarray(by_class.transpose(1, 2, 0)) * scale
    _same_place(cell_keys // n_groups, cell_keys % n_groups, sums, shares[..., SAME_CELL])
    shares[..., SAME_CELL] -= own
    shares[..., SELF] = own
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = shares / np.outer(total, total)[..., None]
    return np.where(np.isfinite(scaled), scaled, 0.0)


def independent_samples(
    shares: ArrayLike, correlation: ArrayLike, n_weights: ArrayLike, n_valid: ArrayLike
) -> NDArray[np.float64]:
    """Count the independent samples that the voxels of each region are worth.

    Parameters
    ----------
    shares : (R, n_classes) array
        As `pair_shares` gives them.
    correlation : (n_classes,) array
        As `correlation_by_distance` gives it.
    n_weights : (R,) array
        Kish's effective number of all voxels that the region covers: one over the first class.
    n_valid : (R,) array
        The same of those that count in the map. NaN where none does.

    Returns
    -------
    (R,) array
        Not above `n_valid`, and not below 1; a region of which the map shows a part has the same
        part of its samples. NaN where no voxel counts.

    Examples
    --------
    >>> independent_samples([[0.1, 0.9]], [1.0, 0.5], [10.0], [10.0]).round(2)
    array([1.82])
    """
    alike = np.asarray(shares, np.float64) @ np.asarray(correlation, np.float64)
    valid, every = np.asarray(n_valid, np.float64), np.asarray(n_weights, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        samples = np.minimum(valid / every, 1.0) / alike
    return np.where(np.isnan(valid), np.nan, np.fmin(valid, np.maximum(samples, 1.0)))


def _one_way(cells: Cells) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return one of every two opposite steps, and their classes."""
    ahead = cells.steps > 0
    return cells.steps[ahead], cells.classes[ahead]


def _by_class(
    steps: NDArray[np.int64], classes: NDArray[np.int64], n_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return steps by their class, rising in each, and where those of each class begin."""
    order = np.argsort(classes, kind="stable")
    return steps[order], np.searchsorted(classes[order], np.arange(n_classes + 1)).astype(np.int64)


def _class_of_step(cells: Cells) -> NDArray[np.uint8]:
    """Return the class of every step, the one of no step in the middle; SELF where none is near."""
    reach = int(np.abs(cells.steps).max(initial=0))
    found = np.full(2 * reach + 1, SELF, np.uint8)
    found[cells.steps + reach] = cells.classes
    return found


def _spread(places: NDArray[np.int64]) -> tuple[NDArray[np.int64], float]:
    """Choose cells evenly out of all, if they are many; and for how many each of them stands."""
    if places.size <= MOST_ORIGINS:
        return places, 1.0
    chosen = places[np.arange(MOST_ORIGINS) * places.size // MOST_ORIGINS]
    return chosen, places.size / MOST_ORIGINS


@njit(cache=True, nogil=True)
def _pair_sums(sums, totals, filled, steps, begins):  # type: ignore[no-untyped-def]
    """Add up products of sums, and of totals, of all pairs of cells by class of distance.

    Class by class, so that what is added up stays in the processor's registers.
    """
    n_classes = begins.size - 1
    products, pairs = np.zeros(n_classes), np.zeros(n_classes)
    for place in filled:
        value, weight = sums[place], totals[place]
        for near in range(n_classes):
            product, pair = products[near], pairs[near]
            for step in range(begins[near], begins[near + 1]):
                other = place + steps[step]
                # both are 0 where nothing is
                product += value * sums[other]
                pair += weight * totals[other]
            products[near], pairs[near] = product, pair
    return products, pairs


@njit(cache=True, nogil=True)
def _shares_of_regions(  # type: ignore[no-untyped-def]
    entries, of_voxel, near, n_places, start, stop, shares
):
    """Fill the shares of pairs of regions `start` to `stop`."""
    begins, places, fractions = entries
    totals = np.zeros(n_places)
    found = np.empty(n_places, dtype=np.int64)
    for region in range(start, stop):
        n_found, own, total = 0, 0.0, 0.0
        for entry in range(begins[region], begins[region + 1]):
            place, fraction = of_voxel[places[entry]], fractions[entry]
            if totals[place] == 0.0:
                found[n_found] = place
                n_found += 1
            totals[place] += fraction
            own += fraction * fraction
            total += fraction
        if n_found == 0:
            continue
        # in an order that does not depend on how the map is stored
        found[:n_found].sort()
        squares = 0.0
        for cell in range(n_found):
            squares += totals[found[cell]] ** 2
        row = shares[region]
        row[:] = 0.0
        looked_at = _add_pairs(totals, found[:n_found], near, row)
        row *= 1.0 / (looked_at * total)
        row[SELF] = own / (total * total)
        row[SAME_CELL] = (squares - own) / (total * total)
        for cell in range(n_found):
            totals[found[cell]] = 0.0


@njit(cache=True, nogil=True)
def _add_pairs(totals, found, near, row):  # type: ignore[no-untyped-def]
    """Add up a region's pairs of cells in `row` by class; return what the cells looked at hold.

    Of a cell either all places within reach are looked at, class by class, or, if they are fewer,
    the region's cells. Sums have the same order: that of the places.
    """
    steps, begins, class_of_step = near
    reach, looked_at = class_of_step.size // 2, 0.0
    n_looked = min(found.size, MOST_CELLS)
    low = high = 0
    for turn in range(n_looked):
        place = found[turn * found.size // n_looked]
        weight = totals[place]
        looked_at += weight
        while found[low] < place - reach:
            low += 1
        while high < found.size and found[high] <= place + reach:
            high += 1
        if 2 * (high - low) < steps.size:
            for cell in range(low, high):
                other = found[cell]
                row[class_of_step[other - place + reach]] += weight * totals[other]
            continue
        for one in range(row.size):
            added = row[one]
            for step in range(begins[one], begins[one + 1]):
                added += weight * totals[place + steps[step]]
            row[one] = added
    return looked_at


@njit(cache=True, nogil=True)
def _same_place(voxels, groups, fractions, own):  # type: ignore[no-untyped-def]
    """Add up products of what groups have of the same voxel or cell; sorted by place."""
    begin = 0
    for entry in range(voxels.size + 1):
        if entry == voxels.size or voxels[entry] != voxels[begin]:
            for one in range(begin, entry):
                for other in range(begin, entry):
                    own[groups[one], groups[other]] += fractions[one] * fractions[other]
            begin = entry


@njit(cache=True, nogil=True)
def _between_groups(  # type: ignore[no-untyped-def]
    entries, origins, steps, class_begins, n_places, shares
):
    """Add up products of the sums of two groups in two cells, by class; sorted by place.

    What the cells of one class around a cell hold of each group is added up before it is multiplied
    with what the cell itself holds. Sums have the order of the places, and of the steps.
    """
    places, groups, sums = entries
    n_groups = shares.shape[1]
    # where the entries of each place begin
    begins = np.zeros(n_places + 1, dtype=np.int64)
    for entry in range(places.size):
        begins[places[entry] + 1] += 1
    for place in range(n_places):
        begins[place + 1] += begins[place]
    around = np.zeros(n_groups)
    for place in origins:
        for near in range(class_begins.size - 1):
            if class_begins[near] == class_begins[near + 1]:
                continue
            around[:] = 0.0
            for step in range(class_begins[near], class_begins[near + 1]):
                there = place + steps[step]
                for other in range(begins[there], begins[there + 1]):
                    around[groups[other]] += sums[other]
            # the pair counts as seen from either cell
            for one in range(begins[place], begins[place + 1]):
                group, own = groups[one], sums[one]
                for other in range(n_groups):
                    product = own * around[other]
                    shares[near, group, other] += product
                    shares[near, other, group] += product
