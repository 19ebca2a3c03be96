"""Whether the signals of a series fall as its b-values say: a table may be that of another one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.diffusion.gradients import UnfitSeriesError

# From this b on no tissue is as bright as without weighting, s/mm²; below it, noise may decide.
SURELY_DARKER_B = 300.0
# b-values within this share of each other are one, and so are the signals of a whole head there:
# directions change its median by a twentieth on a real series (13 directions, b = 1000), drift of
# the scanner by up to a tenth (Vos et al. 2017, doi:10.1002/mrm.26124); b = 2000 in the place of
# 1000 halves it.
SAME_B, UNEVEN = 0.05, 1.5
# As many voxels tell the median of a head.
ENOUGH_VOXELS = 50_000


def signal_levels(signals: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how bright each volume is: its median over the voxels that count.

    Parameters
    ----------
    signals : ndarray of shape (n, g)
        A row for each voxel, a column for each volume.

    Returns
    -------
    ndarray of shape (g,)
        In the unit of the signals; NaN where a volume has no value.

    Examples
    --------
    >>> signal_levels(np.array([[4.0, 2.0], [6.0, np.nan]])).tolist()
    [5.0, 2.0]
    """
    some = signals[:: max(1, len(signals) // ENOUGH_VOXELS)]
    levels = np.full(some.shape[1], np.nan)
    for volume, values in enumerate(np.asarray(some, dtype=np.float64).T):
        known = values[np.isfinite(values)]
        if known.size:
            levels[volume] = np.median(known)
    return levels


def uneven_volumes(
    levels: NDArray[np.float64],
    bvals: NDArray[np.float64],
    b0_limit: float,
    volumes: NDArray[np.integer],
) -> list[int]:
    """Find the volumes that are brighter or darker than the others of their b-value.

    Parameters
    ----------
    levels : ndarray of shape (g,)
        What :func:`signal_levels` gives.
    bvals : ndarray of shape (g,)
        s/mm².
    b0_limit
        Up to which b a volume counts as without weighting, s/mm².
    volumes : ndarray of shape (g,)
        Their numbers in the series, from 0 on, for messages.

    Returns
    -------
    list of int
        Numbers of the volumes, by half as much again and more off the median of their b-value.

    Raises
    ------
    UnfitSeriesError
        If a volume holds nothing, or weighted ones are as bright as those without weighting: then
        the b-values are not those of these volumes.

    Examples
    --------
    >>> b, number = np.array([0.0, 1000, 1000, 1000]), np.arange(4)
    >>> uneven_volumes(np.array([100.0, 45, 46, 20]), b, 50.0, number)
    [3]
    """
    empty = volumes[~(levels > 0)]
    if empty.size == levels.size:
        # there is nothing to compare, and nothing will be fitted
        return []
    if empty.size:
        raise UnfitSeriesError(
            f"{listed(empty)} {'hold' if empty.size > 1 else 'holds'} no signal in the middle of "
            "the head (0, below 0, or NaN): take it out, with its b-value and its direction"
        )
    plain, weighted = bvals <= b0_limit, bvals >= SURELY_DARKER_B
    if plain.any() and weighted.any():
        brightest = int(np.argmax(np.where(weighted, levels, -np.inf)))
        darkest = int(np.argmin(np.where(plain, levels, np.inf)))
        if levels[brightest] >= levels[darkest]:
            raise UnfitSeriesError(
                f"volume {volumes[brightest] + 1} (b = {bvals[brightest]:.0f}) is brighter than "
                f"volume {volumes[darkest] + 1}, which is one without weighting: the b-values are "
                "not those of these volumes, or are in another order"
            )
    found = []
    for place, number in enumerate(volumes):
        same = np.abs(bvals - bvals[place]) <= SAME_B * bvals[place]
        if bvals[place] <= b0_limit:
            same = plain
        ratio = levels[place] / np.median(levels[same])
        if max(ratio, 1 / ratio) >= UNEVEN:
            found.append(int(number))
    return found


def listed(volumes: NDArray[np.integer]) -> str:
    """Name volumes by their numbers from 1 on.

    Parameters
    ----------
    volumes
        Their numbers from 0 on.

    Examples
    --------
    >>> listed(np.array([0])), listed(np.array([0, 4]))
    ('volume 1', 'volumes 1, 5')
    """
    numbers = ", ".join(str(int(one) + 1) for one in volumes[:10])
    more = f" and {volumes.size - 10} more" if volumes.size > 10 else ""
    return f"volume{'s' * (volumes.size > 1)} {numbers}{more}"
