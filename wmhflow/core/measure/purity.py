"""Map voxels that hold too little of a region, or too much CSF, to stand for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.measure.coverage import CoverageWeights

# Headers round where voxels lie, so that one that lies wholly within a region is covered by less
# than all of it, and pieces of up to 1e-4 are left out: a share this close to a bound reaches it.
ROUNDING = 1e-3


def keep_pure(
    weights: CoverageWeights,
    least_purity: float = 0.0,
    excluded: NDArray[np.bool_] | None = None,
    exempt: Sequence[int] = (),
    together: ArrayLike | None = None,
) -> CoverageWeights:
    """Keep of every region the map voxels that it covers enough of.

    Parameters
    ----------
    weights
        What each region covers of each map voxel.
    least_purity
        The smallest fraction of a map voxel, 0 to 1, that a region must cover for it to count.
    excluded
        Map voxels that count for no region, shape (I, J, K), such as those with too much CSF.
    exempt
        Places of regions, from 0 on, for which excluded voxels count all the same.
    together
        A number from 0 on for each region, shape (R,). Regions of one number, which must not
        overlap, are parts of one: what they cover of a voxel is added up before it is looked at.
        By default each region stands for itself.

    Returns
    -------
    CoverageWeights
        With the regions' own volumes as they were, so that their coverage tells what was left out.

    Examples
    --------
    >>> from wmhflow.core.measure.coverage import coverage_weights
    >>> weights = coverage_weights([[[1, 1, 1, 2]]], np.eye(4), (1, 1, 1), np.diag([1, 1, 8, 1.0]))
    >>> weights.fractions.round(3).tolist()
    [0.375, 0.125]
    >>> keep_pure(weights, 0.2).fractions.round(3).tolist()
    [0.375]
    """
    entries = np.diff(weights.starts)
    covered: NDArray[np.floating] = weights.fractions
    if together is not None:
        of_region = np.asarray(together, dtype=np.int64)
        places = np.repeat(np.arange(entries.size), entries)
        key = places * (int(of_region.max(initial=0)) + 1) + of_region[weights.regions]
        _, whole = np.unique(key, return_inverse=True)
        covered = np.asarray(np.bincount(whole, weights.fractions), np.float64)[whole]
    kept = covered >= least_purity - ROUNDING
    if excluded is not None:
        # an entry belongs to a voxel, and so do as many entries as lie between its starts
        out = np.repeat(excluded.ravel()[weights.voxels], entries)
        is_exempt = np.zeros(weights.index.size, dtype=bool)
        is_exempt[list(exempt)] = True
        kept &= ~out | is_exempt[weights.regions]
    before = np.concatenate([[0], np.cumsum(kept)])
    sizes = np.diff(before[weights.starts])
    there = sizes > 0
    return replace(
        weights,
        voxels=weights.voxels[there],
        starts=np.concatenate([[0], np.cumsum(sizes[there])]).astype(np.int64),
        regions=weights.regions[kept],
        fractions=weights.fractions[kept],
    )


def holds_more(weights: CoverageWeights, places: Sequence[int], most: float) -> NDArray[np.bool_]:
    """Find map voxels of which some regions cover more than a share, by more than rounding.

    Parameters
    ----------
    weights, places
        As for :func:`share_of`.
    most
        The share, 0 to 1.

    Returns
    -------
    ndarray of shape (I, J, K)
    """
    return np.asarray(share_of(weights, places) > most + ROUNDING)


def share_of(weights: CoverageWeights, places: Sequence[int]) -> NDArray[np.float64]:
    """Return which share of each map voxel some regions cover together.

    Parameters
    ----------
    weights
        What each region covers of each map voxel.
    places
        Places of regions that do not overlap, from 0 on.

    Returns
    -------
    ndarray of shape (I, J, K)
        0 to 1.

    Examples
    --------
    >>> from wmhflow.core.measure.coverage import coverage_weights
    >>> weights = coverage_weights([[[1, 2, 0, 0]]], np.eye(4), (1, 1, 1), np.diag([1, 1, 8, 1.0]))
    >>> share_of(weights, [0, 1]).round(3).tolist()
    [[[0.25]]]
    """
    image = np.zeros(int(np.prod(weights.map_shape)))
    chosen = np.isin(weights.regions, np.asarray(places, dtype=np.int64))
    voxels = np.repeat(weights.voxels, np.diff(weights.starts))[chosen]
    np.add.at(image, voxels, weights.fractions[chosen])
    return np.minimum(image, 1.0).reshape(weights.map_shape)
