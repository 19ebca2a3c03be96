"""Which slices are shown: through the lesions where there are some, else spread over the brain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.reports.drawing.planes import NORMAL_AXIS

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Slices at the very rim of the brain show nothing; slices are spread over what lies between.
SPREAD = (0.22, 0.82)


def spread_slices(brain: NDArray[np.bool_], plane: str, count: int) -> list[int]:
    """Choose slices at equal steps through the brain.

    Parameters
    ----------
    brain
        3D mask; the whole grid is used if it is empty.
    plane
        ``axial``, ``coronal`` or ``sagittal``.
    count
        How many at most; fewer if the brain has fewer slices.

    Returns
    -------
    list of int
        Ascending, without repetition.
    """
    occupied = np.flatnonzero(_area(brain, plane))
    if not occupied.size:
        occupied = np.arange(brain.shape[NORMAL_AXIS[plane]])
    places = np.linspace(*SPREAD, count) if count > 1 else np.array([0.5])
    chosen = np.rint(occupied[0] + places * (occupied[-1] - occupied[0])).astype(int)
    return sorted(set(chosen.tolist()))


def through(mask: NDArray[np.bool_], plane: str, count: int) -> list[int]:
    """Choose slices at equal steps through all of a mask, half a step from either end.

    Parameters
    ----------
    mask
        3D; the whole grid is used if it is empty.
    plane
        ``axial``, ``coronal`` or ``sagittal``.
    count
        How many at most; every slice where there are no more.

    Returns
    -------
    list of int
        Ascending, a whole number of slices apart.

    Examples
    --------
    >>> (
    ...     through(np.ones((1, 1, 12), bool), "axial", 4),
    ...     through(np.ones((3, 1, 1), bool), "sagittal", 4),
    ... )
    ([1, 4, 7, 10], [0, 1, 2])
    """
    occupied = np.flatnonzero(_area(mask, plane))
    if not occupied.size:
        occupied = np.arange(mask.shape[NORMAL_AXIS[plane]])
    first, length = int(occupied[0]), int(occupied[-1] - occupied[0]) + 1
    step = -(-length // count)
    n_slices = -(-length // step)
    # what the steps do not fill is left over at both ends alike
    start = first + (length - 1 - step * (n_slices - 1)) // 2
    return [start + step * number for number in range(n_slices)]


def lesion_slices(
    lesions: NDArray[np.bool_], brain: NDArray[np.bool_], plane: str, count: int
) -> list[int]:
    """Choose slices that pass through the lesions, spread over all of them.

    The slices with lesions are divided into as many runs as are wanted, and of each run the
    slice with the largest lesion area is taken that is not next to the one before. Where there
    are too few, slices spread over the brain fill up.

    Parameters
    ----------
    lesions, brain
        3D masks of one shape.
    plane
        ``axial``, ``coronal`` or ``sagittal``.
    count
        How many at most.

    Returns
    -------
    list of int
        Ascending, without repetition.

    Examples
    --------
    >>> lesions = np.zeros((9, 9, 9), bool)
    >>> lesions[4, 4, 2:4] = lesions[4, 3, 3] = lesions[2, 2, 7] = True
    >>> lesion_slices(lesions, np.ones((9, 9, 9), bool), "axial", 2)
    [3, 7]
    """
    area = _area(lesions, plane)
    occupied = np.flatnonzero(area)
    gap = occupied.size / (2 * count)
    chosen: list[int] = []
    for run in np.array_split(occupied, min(count, max(occupied.size, 1))):
        apart = run[run - chosen[-1] >= gap] if chosen else run
        candidates = apart if apart.size else run[-1:]
        if candidates.size:
            chosen.append(int(candidates[area[candidates].argmax()]))
    fill = [index for index in spread_slices(brain, plane, count) if index not in chosen]
    return sorted([*chosen, *fill[: count - len(chosen)]])


def _area(mask: NDArray[np.bool_], plane: str) -> NDArray[np.int64]:
    others = tuple(axis for axis in range(3) if axis != NORMAL_AXIS[plane])
    return np.count_nonzero(mask, axis=others)
