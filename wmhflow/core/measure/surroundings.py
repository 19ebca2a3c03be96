"""A map around lesions: means of shells with their covariance, and of fine bins of distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.arrays.validation import check_same_shape
from wmhflow.core.measure.coverage import CoverageWeights, coverage_weights
from wmhflow.core.measure.independence import (
    Cells,
    correlation_by_distance,
    gather_cells,
    pair_shares_between,
)
from wmhflow.core.measure.purity import keep_pure

BIN_MM = 0.5
# What differs by less than this part of the map's means does so by rounding to single precision.
ROUNDING = 1e-6

# Fewer blocks do not tell how much means vary from place to place.
FEWEST_BLOCKS = 20
# Correlations of shells are measured, so that a difference of two may come out surer than it is.
SMALLEST_EIGENVALUE = 1e-3


@dataclass(frozen=True, eq=False)
class _Divided:
    """S parts of shells between two distances, which do not overlap."""

    distance_mm: NDArray[np.float64]
    shell: NDArray[np.int64]
    bin: NDArray[np.int64]
    lesion_class: NDArray[np.int64]
    bin_edges: NDArray[np.float64]
    n_shells: int
    n_classes: int


@dataclass(frozen=True, eq=False)
class Strata(_Divided):
    """What lies around lesions on the grid of labels, divided by shell and by fine distance.

    Attributes
    ----------
    labels : (I, J, K) int32 array
        Numbers of S strata, from 1 on; 0 outside.
    distance_mm, shell, bin, lesion_class, bin_edges, n_shells, n_classes
        As those of :class:`Surroundings`.
    """

    labels: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Surroundings(_Divided):
    """What lies around lesions on the grid of a map, divided by shell and by fine distance.

    Attributes
    ----------
    weights : CoverageWeights
        What each of S strata covers: parts of shells between two distances. They do not overlap.
    distance_mm : (S,) array
        Mean distance from the lesion edge; below 0 inside, infinite beyond the last shell.
    shell : (S,) array of ints
        Number of the shell of each stratum, from 0 on by rising distance, the tissue beyond the
        last one at the end; -1 for what takes no part in the fit.
    bin : (S,) array of ints
        Number of its bin of distance; -1 for none.
    lesion_class : (S,) array of ints
        From 0 on.
    bin_edges : (n_bins + 1,) array
        In mm.
    n_shells, n_classes : int
        The tissue beyond the last shell included.
    cells : Cells
        The covered voxels' cells and blocks.
    """

    weights: CoverageWeights
    cells: Cells

    @property
    def n_bins(self) -> int:
        """Number of bins of distance."""
        return max(0, self.bin_edges.size - 1)

    @property
    def group(self) -> NDArray[np.int64]:
        """Number of each stratum's shell and lesion class together; -1 for none."""
        return np.where(self.shell < 0, -1, self.lesion_class * self.n_shells + self.shell)

    @cached_property
    def pairs(self) -> NDArray[np.float64]:
        """Which distances the voxels of every two groups have, found once for a grid."""
        n_groups = self.n_classes * self.n_shells
        return pair_shares_between(self.weights, self.group, n_groups, self.cells)

    @cached_property
    def entries(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The place of each entry's voxel, its stratum, and the fraction that it covers."""
        starts = self.weights.starts
        places = np.repeat(np.arange(self.weights.voxels.size), np.diff(starts))
        return places, self.weights.regions.astype(np.int64), self.weights.fractions


def surroundings_of(
    shell: ArrayLike,
    lesion_class: ArrayLike,
    distance_mm: ArrayLike,
    counts: tuple[int, int],
    label_affine: ArrayLike,
    map_shape: Sequence[int],
    map_affine: ArrayLike,
    *,
    least_purity: float = 0.0,
    excluded: NDArray[np.bool_] | None = None,
) -> Surroundings:
    """Divide what lies around lesions by shell and by fine distance, for maps on one grid.

    Parameters
    ----------
    shell, lesion_class, distance_mm, counts
        As for :func:`strata_of`.
    label_affine : (4, 4) array
        Voxel of these images to world mm.
    map_shape, map_affine
        The grid of the maps.
    least_purity, excluded
        As for :func:`surroundings_on`.

    Returns
    -------
    Surroundings

    Raises
    ------
    ValueError
        If shapes differ.
    """
    strata = strata_of(shell, lesion_class, distance_mm, counts)
    weights = coverage_weights(strata.labels, label_affine, map_shape, map_affine)
    return surroundings_on(
        strata, weights, map_affine, least_purity=least_purity, excluded=excluded
    )


def strata_of(
    shell: ArrayLike, lesion_class: ArrayLike, distance_mm: ArrayLike, counts: tuple[int, int]
) -> Strata:
    """Divide what lies around lesions by shell and by fine distance.

    Parameters
    ----------
    shell : (I, J, K) array of ints
        From 1 on by rising distance; the last number is the tissue beyond the last shell. Below 0:
        inside lesions. 0: nothing.
    lesion_class : (I, J, K) array of ints
        From 0 on; looked at where there is a shell.
    distance_mm : (I, J, K) array
        From the lesion edge, below 0 inside.
    counts : two ints
        Number of shells, the tissue beyond them included, and of lesion classes.

    Returns
    -------
    Strata
        Bins are 0.5 mm thick, open below and closed above, up to the last shell and as deep as
        lesions are.

    Raises
    ------
    ValueError
        If shapes differ.
    """
    numbers, classes, distance = (np.asarray(one) for one in (shell, lesion_class, distance_mm))
    check_same_shape(shell=numbers, lesion_class=classes, distance_mm=distance)
    n_shells, n_classes = counts
    inside = np.flatnonzero(numbers)
    of_voxel = numbers.reshape(-1)[inside].astype(np.int64)
    is_far = of_voxel == n_shells
    away = np.where(is_far, BIN_MM, distance.reshape(-1)[inside].astype(np.float64))
    # a bin is open below; rounding of single precision does not lift a voxel into the next
    rows = np.ceil(np.round(away / BIN_MM, 4)).astype(np.int64)
    deepest, n_rows = int(rows.min(initial=1)), int(rows.max(initial=0))
    bins = np.where(is_far, -1, rows - deepest)
    width = n_rows - deepest + 2
    code = classes.reshape(-1)[inside].astype(np.int64) * (n_shells + 1)
    code = (code + np.maximum(of_voxel, 0)) * width
    found, stratum = np.unique(code + bins + 1, return_inverse=True)
    labels = np.zeros(numbers.size, dtype=np.int32)
    labels[inside] = stratum + 1
    ordinal = found // width % (n_shells + 1)
    mean = np.bincount(stratum, away, found.size) / np.maximum(np.bincount(stratum), 1)
    return Strata(
        labels=labels.reshape(numbers.shape),
        distance_mm=np.where(ordinal == n_shells, np.inf, mean),
        shell=ordinal - 1,
        bin=found % width - 1,
        lesion_class=found // width // (n_shells + 1),
        bin_edges=BIN_MM * np.arange(deepest - 1, n_rows + 1, dtype=np.float64),
        n_shells=n_shells,
        n_classes=n_classes,
    )


def surroundings_on(
    strata: Strata,
    weights: CoverageWeights,
    map_affine: ArrayLike,
    *,
    least_purity: float = 0.0,
    excluded: NDArray[np.bool_] | None = None,
) -> Surroundings:
    """Set strata beside what each of them covers of a map's grid.

    Parameters
    ----------
    strata
        What lies around lesions.
    weights
        What the strata cover.
    map_affine
        Of the maps.
    least_purity, excluded
        Which map voxels count, as in :func:`~wmhflow.core.measure.purity.keep_pure`; a shell must
        cover so much of a voxel, whatever the lesion class.
    """
    if least_purity > 0 or excluded is not None:
        weights = keep_pure(weights, least_purity, excluded, together=strata.shell + 1)
    divided = {field.name: getattr(strata, field.name) for field in fields(_Divided)}
    return Surroundings(**divided, weights=weights, cells=gather_cells(weights, map_affine))


@dataclass(frozen=True, eq=False)
class MapSums:
    """A map's weights and sums in every stratum and block, and how alike its voxels are.

    Attributes
    ----------
    weight, mean : (S,) arrays
        Of every stratum; NaN for the mean of an empty one.
    residual : (blocks, S) array
        Sums of differences from the stratum's mean.
    block_weight : (blocks, S) array
        The weights that belong to them.
    spread : (groups,) array
        Standard deviation about the means of the strata.
    seen : (groups,) array
        Share of the group's weight that counts in the map.
    correlation : (n_classes,) array
        As :func:`~wmhflow.core.measure.independence.correlation_by_distance` gives it.
    """

    weight: NDArray[np.float64]
    mean: NDArray[np.float64]
    residual: NDArray[np.float64]
    block_weight: NDArray[np.float64]
    spread: NDArray[np.float64]
    seen: NDArray[np.float64]
    correlation: NDArray[np.float64]


def sum_map(values: ArrayLike, valid: ArrayLike, around: Surroundings) -> MapSums:
    """Add a map up in every stratum and block, in one pass over its grid.

    Parameters
    ----------
    values : (I, J, K) array of numbers
        The map.
    valid : (I, J, K) array of booleans
        Voxels that may count.
    around : Surroundings
        On the same grid.

    Returns
    -------
    MapSums

    Notes
    -----
    Differences are from the mean at the same distance, so that what a profile changes within a
    shell is no noise.
    """
    voxels = around.weights.voxels
    given = np.asarray(values).reshape(-1)[voxels].astype(np.float64, copy=False)
    counted = np.asarray(valid).reshape(-1)[voxels].astype(bool) & np.isfinite(given)
    places, stratum, fraction = around.entries
    n, cells = around.distance_mm.size, around.cells
    covered = _added(stratum, fraction, n)
    kept = counted[places]
    places, stratum, fraction = places[kept], stratum[kept], fraction[kept]
    weight = _added(stratum, fraction, n)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(stratum, fraction * given[places], n) / weight
    differences = fraction * (given[places] - mean[stratum])
    key = cells.blocks[places] * n + stratum
    shape, n_keys = (cells.n_blocks, n), cells.n_blocks * n
    size = float(np.abs(mean[np.isfinite(mean)]).max(initial=0))
    spread, seen = _spreads(around, stratum, fraction, differences, weight, covered, size)
    group = around.group[stratum]
    sound = (group >= 0) & (spread[group] > 0)
    scaled = differences[sound] / spread[group[sound]]
    residuals = np.bincount(places[sound], scaled, voxels.size)
    shares = np.bincount(places[sound], fraction[sound], voxels.size)
    return MapSums(
        weight=weight,
        mean=mean,
        residual=_added(key, differences, n_keys).reshape(shape),
        block_weight=_added(key, fraction, n_keys).reshape(shape),
        spread=spread,
        seen=seen,
        correlation=correlation_by_distance(residuals, shares, cells),
    )


def _added(key: NDArray[np.int64], values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Add values up by a key from 0 to n - 1."""
    return np.bincount(key, values, n).astype(np.float64, copy=False)


def _spreads(
    around: Surroundings,
    stratum: NDArray[np.int64],
    fraction: NDArray[np.float64],
    differences: NDArray[np.float64],
    weight: NDArray[np.float64],
    covered: NDArray[np.float64],
    size: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each group's deviation about the strata's means, and its share that counts."""
    n_groups = around.n_classes * around.n_shells
    inside = around.group >= 0
    squares = np.bincount(stratum, differences**2 / fraction, around.group.size)
    of_group = around.group[inside]
    totals = np.bincount(of_group, weight[inside], n_groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.bincount(of_group, squares[inside], n_groups) / totals
        seen = totals / np.bincount(of_group, covered[inside], n_groups)
    spread = np.sqrt(np.nan_to_num(variance))
    spread[spread <= ROUNDING * size] = 0.0
    return spread, np.nan_to_num(seen)


@dataclass(frozen=True, eq=False)
class ShellMeans:
    """Means of the shells of some lesion classes, the tissue beyond them last.

    Attributes
    ----------
    mean : (n,) array
        NaN for an empty shell.
    covariance : (n, n) array
        Of these means; NaN where one is empty.
    composition : (n, S) array
        Share of each stratum in each shell.
    n_blocks : int
        Blocks of 16 mm that hold voxels of a shell.
    excess : float
        How many times as much the shells vary from block to block as the correlation of voxels
        tells, at least 1. It is in the covariance, together with a correction for few blocks.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    composition: NDArray[np.float64]
    n_blocks: int
    excess: float


def shell_means(sums: MapSums, around: Surroundings, classes: ArrayLike) -> ShellMeans:
    """Join the strata of some lesion classes to shells, and find the covariance of their means.

    Parameters
    ----------
    sums : MapSums
        Of the map.
    around : Surroundings
        On its grid.
    classes : sequence of ints
        The lesion classes that count.

    Returns
    -------
    ShellMeans

    Notes
    -----
    The covariance of two means is the product of the two spreads times the correlation of voxels,
    averaged over all pairs of voxels of the two shells. One number for all of it comes from blocks
    of 16 mm: how much their sums vary beyond that, on average over all directions. (The covariance
    from the blocks themselves has too few of them around few lesions.) From so many blocks n it is
    not sure for K shells, and widened by n / (n - K) as Hotelling's statistic is [1]_.

    References
    ----------
    .. [1] Hotelling H. The generalization of Student's ratio. Annals of Mathematical Statistics
       1931;2:360-378. doi:10.1214/aoms/1177732979
    """
    wanted = np.isin(around.lesion_class, np.asarray(classes)) & (around.shell >= 0)
    member = np.zeros((around.n_shells, around.shell.size))
    member[around.shell[wanted], np.flatnonzero(wanted)] = sums.weight[wanted]
    total = member.sum(axis=1)
    with np.errstate(invalid="ignore"):
        composition = member / total[:, None]
    mean = np.where(total > 0, member @ np.nan_to_num(sums.mean), np.nan)
    mean = mean / np.where(total > 0, total, 1)
    covariance = _stationary(sums, around, composition)
    belongs = (member > 0).astype(np.float64)
    outer = belongs[:-1].sum(axis=0) > 0
    n_blocks = int(np.count_nonzero(sums.block_weight[:, outer].sum(axis=1)))
    there = np.flatnonzero(total > 0)
    excess = 1.0
    if n_blocks >= FEWEST_BLOCKS and there.size:
        parts = (sums.residual @ belongs.T)[:, there] / total[there]
        excess = _excess(covariance[np.ix_(there, there)], _between_blocks(parts))
        # as many blocks leave it unsure how much shells vary: Hotelling's correction
        unsure = n_blocks / (n_blocks - min(there.size, n_blocks // 2))
        covariance = covariance * (excess * unsure)
    return ShellMeans(mean, covariance, composition, n_blocks, excess)


def _stationary(
    sums: MapSums, around: Surroundings, composition: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the covariance of the shells' means that the correlation of voxels tells."""
    alike = around.pairs @ sums.correlation
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(sums.seen > 0, sums.spread / np.sqrt(sums.seen), 0.0)
    of_groups = _positive(alike * np.outer(scale, scale))
    share = np.zeros((around.n_shells, around.n_classes * around.n_shells))
    inside = around.group >= 0
    np.add.at(share.T, around.group[inside], composition[:, inside].T)
    found: NDArray[np.float64] = share @ of_groups @ share.T
    return found


def _positive(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Raise eigenvalues of the correlations that are next to nothing, or below it."""
    spread = np.sqrt(np.maximum(np.diag(covariance), 0))
    there = np.flatnonzero(spread > 0)
    if not there.size:
        return covariance
    scale = np.outer(spread[there], spread[there])
    values, vectors = np.linalg.eigh(covariance[np.ix_(there, there)] / scale)
    found = np.zeros_like(covariance)
    raised = (vectors * np.maximum(values, SMALLEST_EIGENVALUE)) @ vectors.T
    found[np.ix_(there, there)] = raised * scale
    return found


def _between_blocks(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance of sums over blocks, from what every block adds to them."""
    n = int(np.count_nonzero(np.abs(parts).sum(axis=1)))
    found: NDArray[np.float64] = parts.T @ parts * (n / max(n - 1, 1))
    return found


def _excess(expected: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """Return how many times as large as expected a covariance is, at least 1."""
    if not (np.diag(expected) > 0).all():
        return 1.0
    return max(1.0, float(np.trace(np.linalg.solve(expected, found))) / len(expected))


@dataclass(frozen=True, eq=False)
class BinMeans:
    """Means of fine bins of distance: NaN where a bin is empty.

    Attributes
    ----------
    mean, distance_mm : (n_bins,) arrays
        Of each bin, and its mean distance from the lesion edge.
    covariance : (n_bins, n_bins) array
        From blocks; NaN if they are too few.
    """

    mean: NDArray[np.float64]
    distance_mm: NDArray[np.float64]
    covariance: NDArray[np.float64]


def bin_means(
    sums: MapSums, around: Surroundings, classes: ArrayLike, shells: ShellMeans
) -> BinMeans:
    """Join the strata of some lesion classes to bins of distance.

    Parameters
    ----------
    sums, around, classes
        As in `shell_means`.
    shells : ShellMeans
        What that gave: the bins' covariance, from blocks, is scaled so that the variances of the
        shells are on average the same.
    """
    wanted = np.isin(around.lesion_class, np.asarray(classes)) & (around.bin >= 0)
    member = np.zeros((around.n_bins, around.bin.size))
    member[around.bin[wanted], np.flatnonzero(wanted)] = sums.weight[wanted]
    total = member.sum(axis=1)
    filled = np.where(total > 0, total, np.nan)
    distance = member @ np.where(wanted, around.distance_mm, 0.0) / filled
    mean = member @ np.nan_to_num(sums.mean) / filled
    parts = (sums.residual @ (member > 0).T) / filled
    empty = np.isnan(filled)
    if shells.n_blocks < FEWEST_BLOCKS:
        return BinMeans(mean, distance, np.full((filled.size, filled.size), np.nan))
    covariance = _between_blocks(np.where(empty, 0.0, parts))
    belongs = shells.composition > 0
    of_shells = np.nansum(np.where(belongs, sums.weight, 0.0), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = np.diag(_between_blocks((sums.residual @ belongs.T) / of_shells))
        ratio = np.diag(shells.covariance) / plain
    ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
    covariance *= float(ratio.mean()) if ratio.size else 1.0
    covariance[empty] = np.nan
    covariance[:, empty] = np.nan
    return BinMeans(mean, distance, covariance)
