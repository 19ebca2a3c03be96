"""Tissue classes from brightness, a template's priors and neighbours, by expectation-maximisation.

Brightness is a mixture of Gaussians, one for each class [1]_. The probability of a class at a voxel
also depends on the template there, and on the classes of the six voxels beside it, as in a Potts
model solved by its mean field [2]_. Nothing is random, and sums are made block by block in a fixed
order: the same voxels give the same bits for any number of threads.

References
----------
.. [1] Van Leemput K, Maes F, Vandermeulen D, Suetens P. Automated model-based tissue classification
   of MR images of the brain. IEEE Trans Med Imaging 1999;18:897-908. doi:10.1109/42.811270
.. [2] Zhang Y, Brady M, Smith S. Segmentation of brain MR images through a hidden Markov random
   field model and the expectation-maximization algorithm. IEEE Trans Med Imaging 2001;20:45-57.
   doi:10.1109/42.906424
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from wmhflow.core.arrays.robust import weighted_median_and_spread
from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.arrays.validation import UnfitImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Sums are made over so many voxels at once, whatever the number of threads.
BLOCK = 4096
ROUNDS, TOLERANCE = 30, 1e-3
# The least spread of a class, as a share of the brightness between the 1st and 99th percentile.
LEAST_SD = 0.02
# A class that holds fewer voxels than this keeps what it was.
LEAST_VOXELS = 20.0
LEAST_PRIOR = 1e-6
# The share of voxels that fluid and tissue fill together.
MIXED_SHARE = 0.05
# So many voxels are enough for the medians that a fit begins with.
MOST_SAMPLED = 100_000
# With fluid and one tissue more nothing tells the tissue from the fluid but the priors.
MANY_CLASSES = 3
# A class less than this share as far from fluid as from the nearest tissue holds fluid. Cortex in
# thick slices is fluid in part, and nearer to it than deep grey matter is. Loose, not measured.
TAKEN_SHARE = 0.5
SQRT_2_PI = float(np.sqrt(2 * np.pi))


@dataclass(frozen=True)
class Mixture:
    """What was fitted.

    `posteriors` is (n, x, y, z), 0 outside the brain; `means` and `sds` are those of the classes,
    `voxels` how many each class holds among those that were fitted, and `expected` how many of them
    the priors give it.
    """

    posteriors: NDArray[np.float32]
    means: NDArray[np.float64]
    sds: NDArray[np.float64]
    voxels: NDArray[np.float64]
    expected: NDArray[np.float64]


def fit_mixture(
    image: NDArray[np.floating],
    brain: NDArray[np.bool_],
    priors: NDArray[np.float32],
    voxel_sizes_mm: Sequence[float],
    counted: NDArray[np.bool_] | None = None,
    prior_power: float = 1.0,
    likeness: float = 1.0,
    fluid: int | None = None,
) -> Mixture:
    """Classify the voxels of a brain.

    Parameters
    ----------
    image
        Image of any contrast and unit.
    brain
        Brain mask.
    priors
        Prior of each class, (n, x, y, z), summing to 1 inside the brain.
    voxel_sizes_mm
        Voxel size along each axis.
    counted
        Voxels that the model is fitted to; the others, and those that are not finite, keep their
        priors, and their neighbours see these. All if None.
    prior_power
        Power of the priors beside the likelihood's 1: below 1 they are trusted less.
    likeness
        By how much the logarithm of a class's probability grows if all six neighbours belong to it.
        A neighbour counts with the inverse of its distance.
    fluid
        The class that fills voxels in part, beside any other: what is as bright as neither belongs
        to that which fills more than half of it, and says nothing of the brightness of either.

    Returns
    -------
    Mixture
        Posteriors, means and spreads.

    Raises
    ------
    UnfitImageError
        If no voxel of the brain counts.
    ValueError
        If shapes differ.

    Examples
    --------
    >>> truth = np.indices((9, 9, 9))[0] // 3
    >>> image = np.array([10.0, 50.0, 90.0], np.float32)[truth]
    >>> priors = 0.1 + 0.7 * (np.arange(3)[:, None, None, None] == truth)
    >>> found = fit_mixture(image, truth >= 0, priors.astype(np.float32), (1, 1, 1))
    >>> found.means.round().tolist()
    [10.0, 50.0, 90.0]
    """
    if image.shape != brain.shape or priors.shape[1:] != brain.shape:
        raise ValueError(
            f"image {image.shape}, brain {brain.shape} and priors {priors.shape[1:]} differ in "
            "shape; bring them to one grid."
        )
    fitted = brain & np.isfinite(image)
    if counted is not None:
        fitted &= counted
    if not fitted.any():
        raise UnfitImageError(
            "no voxel of the brain is left to fit tissues to: the brain mask is empty, or all of "
            "it is lesion or not finite; look at image and masks."
        )
    free = fitted[brain]
    values = np.where(free, image[brain], 0).astype(np.float32)
    own = np.ascontiguousarray(np.nan_to_num(priors[:, brain]).T, np.float32)
    beside = neighbours(brain)
    pull = neighbour_weights(voxel_sizes_mm, likeness)
    found, means, sds = _fitted(values, free, own, beside, pull, prior_power, fluid)
    posteriors = np.zeros(priors.shape, np.float32)
    posteriors[:, brain] = found.T
    voxels, expected = (part[free].sum(axis=0, dtype=np.float64) for part in (found, own))
    return Mixture(posteriors, means, sds, voxels, expected)


def neighbours(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """List the six neighbours of each voxel of a mask, the voxels being numbered.

    Parameters
    ----------
    mask
        The voxels, 3D.

    Returns
    -------
    ndarray, (n, 6)
        Numbers of the voxels before and after along each axis; -1 where there is none.

    Examples
    --------
    >>> neighbours(np.array([[[True, True, False, True]]])).tolist()[:2]
    [[-1, -1, -1, -1, -1, 1], [-1, -1, -1, -1, 0, -1]]
    """
    number = np.full([n + 2 for n in mask.shape], -1, np.int32)
    inner = number[1:-1, 1:-1, 1:-1]
    inner[mask] = np.arange(np.count_nonzero(mask), dtype=np.int32)
    found = np.empty((np.count_nonzero(mask), 6), np.int32)
    for axis in range(3):
        for after in (0, 1):
            part = [slice(1, -1)] * 3
            part[axis] = slice(2 * after, 2 * after + mask.shape[axis])
            found[:, 2 * axis + after] = number[tuple(part)][mask]
    return found


def neighbour_weights(voxel_sizes_mm: Sequence[float], likeness: float) -> NDArray[np.float32]:
    """Weigh the six neighbours by the inverse of their distance.

    Parameters
    ----------
    voxel_sizes_mm
        Voxel size along each axis.
    likeness
        What the weights sum to.

    Returns
    -------
    ndarray, (6,)
        Weights, two for each axis.

    Examples
    --------
    >>> neighbour_weights((1, 1, 2), 5.0).tolist()
    [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]
    """
    inverse = np.repeat(1 / np.asarray(voxel_sizes_mm, np.float64), 2)
    return (likeness * inverse / inverse.sum()).astype(np.float32)


def _fitted(
    values: NDArray[np.float32],
    free: NDArray[np.bool_],
    own: NDArray[np.float32],
    beside: NDArray[np.int32],
    pull: NDArray[np.float32],
    prior_power: float,
    fluid: int | None,
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Alternate between classes of voxels and brightness of classes until means stay."""
    low, high = np.percentile(values[free], [1, 99])
    span = max(float(high - low), 1e-6 * float(np.abs(values).max()), 1e-30)
    least_sd = LEAST_SD * span
    log_prior = np.float32(prior_power) * np.log(np.maximum(own, np.float32(LEAST_PRIOR)))
    log_prior[own <= 0] = -np.inf
    means, sds = _begun(values[free], own[free], least_sd, fluid)
    apart = np.zeros(len(means), bool)
    before, after = own.copy(), own.copy()
    for _ in range(ROUNDS):
        likelihood = _likelihood(means, sds, fluid, apart)
        _classified(values, free, log_prior, beside, pull, likelihood, before, after)
        sums = _sums(values, free, after, likelihood)
        moved = _updated(sums, means, sds, least_sd)
        before, after = after, before
        taken = ~apart & _taken_by_fluid(moved[0], fluid)
        apart |= taken
        previous = means
        means, sds = (np.where(taken, *both) for both in zip((means, sds), moved, strict=True))
        if not taken.any() and np.abs(means - previous).max() < TOLERANCE * span:
            break
    return before, means, sds


def _begun(
    values: NDArray[np.float32], own: NDArray[np.float32], least_sd: float, fluid: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Begin with what most of a class's voxels are, by the priors: medians and their spreads.

    Where ventricles are far wider than the template's, a quarter of what the priors call white
    matter is fluid. A standard deviation holds both, and the class then keeps both. Of what they
    call deep grey matter most may be fluid, which is left out then: the class would be the fluid's.
    """
    # a sample is enough for a median
    step = max(1, len(values) // MOST_SAMPLED)
    seen, weights = values[::step].astype(np.float64), own[::step].astype(np.float64)
    everything = weighted_median_and_spread(seen, np.ones(len(seen)))

    def begun(weight: NDArray[np.float64]) -> tuple[float, float]:
        held = weight.sum() * step >= LEAST_VOXELS
        return weighted_median_and_spread(seen, weight) if held else everything

    found = [begun(weight) for weight in weights.T]
    means = np.array([mean for mean, _ in found])
    for number in np.flatnonzero(_taken_by_fluid(means, fluid)):
        others = np.delete(means, [number, fluid])
        tissue = others[np.argmin(np.abs(others - means[number]))]
        middle = (means[fluid] + tissue) / 2
        # a class of which nothing else is left keeps what it began with
        solid = weights[:, number] * ((seen > middle) == (tissue > middle))
        if solid.sum() * step >= LEAST_VOXELS:
            found[number] = begun(solid)
    return np.array([mean for mean, _ in found]), np.array([max(sd, least_sd) for _, sd in found])


def _taken_by_fluid(means: NDArray[np.float64], fluid: int | None) -> NDArray[np.bool_]:
    """Mark the classes that are far nearer to fluid than to any tissue.

    Examples
    --------
    >>> _taken_by_fluid(np.array([30.0, 70.0, 20.0, 100.0]), 0).tolist()
    [False, False, True, False]
    """
    taken = np.zeros(len(means), bool)
    if fluid is None or len(means) < MANY_CLASSES:
        return taken
    for number in range(len(means)):
        others = np.delete(means, [number, fluid])
        nearest_tissue = np.abs(others - means[number]).min(initial=np.inf)
        away = np.abs(means[number] - means[fluid])
        taken[number] = away < TAKEN_SHARE * nearest_tissue
    taken[fluid] = False
    return taken


def _likelihood(
    means: NDArray[np.float64],
    sds: NDArray[np.float64],
    fluid: int | None,
    apart: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Describe the classes' likelihoods: a row each.

    Mean, inverse of the spread and its logarithm; then from and to where a part of fluid is
    possible, and the logarithm of its density, which is the same on either side of the middle; last
    from and to where values say something of the class. One that is kept `apart` learns nothing
    from beyond its middle to fluid: it would become the fluid's, where a ventricle fills its place.
    """
    found = np.zeros((len(means), 8), np.float64)
    found[:, 6], found[:, 7] = -np.inf, np.inf
    found[:, :3] = np.stack([means, 1 / sds, -np.log(sds)], axis=1)
    found[:, 3], found[:, 4], found[:, 5] = np.inf, -np.inf, -np.inf
    if fluid is not None:
        others = np.delete(np.arange(len(means)), fluid)
        gaps = np.maximum(np.abs(means - means[fluid]), sds)
        middles = (means + means[fluid]) / 2
        nearest = others[np.argmin(gaps[others])]
        density = np.log(MIXED_SHARE * SQRT_2_PI / gaps[nearest])
        found[:, 3] = np.minimum(middles, means)
        found[:, 4] = np.maximum(middles, means)
        found[fluid, 3:5] = sorted((means[fluid], middles[nearest]))
        found[:, 5] = density
        brighter = means > means[fluid]
        found[:, 6] = np.where(apart & brighter, middles, -np.inf)
        found[:, 7] = np.where(apart & ~brighter, middles, np.inf)
    return found.astype(np.float32)


def _updated(
    sums: NDArray[np.float64],
    means: NDArray[np.float64],
    sds: NDArray[np.float64],
    least_sd: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take means and spreads from what classes hold; one that holds hardly anything keeps its."""
    weight, first, second = sums.T
    held = weight >= LEAST_VOXELS
    safe = np.where(held, weight, 1.0)
    mean = np.where(held, first / safe, means)
    variance = np.maximum(second / safe - mean**2, 0)
    return mean, np.where(held, np.maximum(np.sqrt(variance), least_sd), sds)


def _sums(
    values: NDArray[np.float32],
    free: NDArray[np.bool_],
    weights: NDArray[np.float32],
    likelihood: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Sum weights, weighted values and their squares by class, in an order that threads keep."""
    n_blocks = -(-len(values) // BLOCK)
    parts = np.zeros((n_blocks, weights.shape[1], 3))
    over_ranges(
        lambda start, stop: _sum_blocks(start, stop, values, free, weights, likelihood, parts),
        n_blocks,
        len(values),
    )
    return np.asarray(parts.sum(axis=0))


def _classified(
    values: NDArray[np.float32],
    free: NDArray[np.bool_],
    log_prior: NDArray[np.float32],
    beside: NDArray[np.int32],
    pull: NDArray[np.float32],
    likelihood: NDArray[np.float32],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
) -> None:
    """Write the classes of all voxels, seen beside those that their neighbours had before."""
    over_ranges(
        lambda start, stop: _classify_voxels(
            start, stop, values, free, log_prior, beside, pull, likelihood, before, after
        ),
        len(values),
        len(values),
    )


@njit(cache=True, nogil=True)
def _pure(value, row):  # type: ignore[no-untyped-def]
    away = (value - row[0]) * row[1]
    return row[2] - np.float32(0.5) * away * away


@njit(cache=True, nogil=True)
def _sum_blocks(  # type: ignore[no-untyped-def]
    start, stop, values, free, weights, likelihood, parts
):
    n_classes = weights.shape[1]
    for block in range(start, stop):
        for voxel in range(block * BLOCK, min((block + 1) * BLOCK, len(values))):
            if not free[voxel]:
                continue
            value = np.float64(values[voxel])
            for number in range(n_classes):
                weight = np.float64(weights[voxel, number])
                row = likelihood[number]
                if not row[6] <= values[voxel] <= row[7]:
                    continue
                if row[3] < values[voxel] < row[4]:
                    # only so far as the voxel is of one class
                    pure = _pure(values[voxel], row)
                    if pure < row[5]:
                        weight *= np.exp(pure - row[5])
                parts[block, number, 0] += weight
                parts[block, number, 1] += weight * value
                parts[block, number, 2] += weight * value * value


@njit(cache=True, nogil=True)
def _classify_voxels(  # type: ignore[no-untyped-def]
    start, stop, values, free, log_prior, beside, pull, likelihood, before, after
):
    n_classes = log_prior.shape[1]
    score = np.empty(n_classes, np.float32)
    for voxel in range(start, stop):
        if not free[voxel]:
            continue
        for number in range(n_classes):
            row = likelihood[number]
            density = _pure(values[voxel], row)
            if row[3] < values[voxel] < row[4]:
                density = max(density, row[5])
            score[number] = log_prior[voxel, number] + density
        for side in range(6):
            other = beside[voxel, side]
            if other >= 0:
                for number in range(n_classes):
                    score[number] += pull[side] * before[other, number]
        best = score[0]
        for number in range(1, n_classes):
            best = max(best, score[number])
        if not np.isfinite(best):
            continue
        total = np.float32(0)
        for number in range(n_classes):
            score[number] = np.exp(score[number] - best)
            total += score[number]
        for number in range(n_classes):
            after[voxel, number] = score[number] / total
