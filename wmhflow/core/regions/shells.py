"""Shells: bands of equal width around the lesions, outside and inside them.

The label of a shell is ``1000 * h + 100 * c + s``: h the hemisphere (1 left, 2 right; 0 both), c
the class of the nearest lesion (1 periventricular, 2 deep; 0 all), s the shell (1 to 40 outward,
50 the rest beyond the last one, 51 to 90 inward). The image holds the finest labels only, with h
and c above 0; those with a 0 are unions of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.arrays.boxes import bounding_box
from wmhflow.core.arrays.distance import nearest, subtract_inner_distance
from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.arrays.validation import (
    check_same_shape,
    checked_labels,
    checked_mask,
    checked_positive,
    flattened,
    shaped_like,
)
from wmhflow.labels.digits import (
    BOTH,
    DEEP_LESIONS,
    LEFT_SHELLS,
    MOST_SHELLS,
    PERIVENTRICULAR_LESIONS,
    REST,
    RIGHT_SHELLS,
    shell_label,
)
from wmhflow.labels.edges import DEFAULT_MAX_MM, DEFAULT_WIDTH_MM, edge_mm, shell_count


def shell_edges(
    width_mm: float = DEFAULT_WIDTH_MM, max_mm: float = DEFAULT_MAX_MM
) -> NDArray[np.float64]:
    """Return the edges of the shells outside the lesions.

    Parameters
    ----------
    width_mm : float
        Thickness of a shell in mm.
    max_mm : float
        Outer edge of the last shell in mm; if it is no multiple of the width, the last shell is
        thinner.

    Returns
    -------
    (n + 1,) float64 array
        Distances in mm from 0 to `max_mm`; shell s lies from ``edges[s - 1]``, not included, to
        ``edges[s]``, included.

    Raises
    ------
    ValueError
        If a number is not positive and finite, or more than 40 shells are asked for.

    Examples
    --------
    >>> shell_edges(2, 5)
    array([0., 2., 4., 5.])
    """
    width, largest = checked_positive(width_mm, "width_mm"), checked_positive(max_mm, "max_mm")
    if not (np.isfinite(width) and np.isfinite(largest)):
        raise ValueError("width_mm and max_mm must be finite")
    count = shell_count(width, largest)
    if count > MOST_SHELLS:
        raise ValueError(
            f"{count} shells of {width} mm up to {largest} mm: at most {MOST_SHELLS} are possible, "
            "choose wider shells"
        )
    return np.append(_whole_shells(count, width), largest)


def shell_labels(
    lesion_labels: ArrayLike,
    n_lesions: int,
    is_periventricular: ArrayLike,
    nawm: ArrayLike,
    spacing: ArrayLike,
    right: ArrayLike,
    *,
    width_mm: float = DEFAULT_WIDTH_MM,
    max_mm: float = DEFAULT_MAX_MM,
    inner: bool = True,
    within: ArrayLike | None = None,
) -> tuple[NDArray[np.int16], NDArray[np.int32], NDArray[np.float32]]:
    """Label the shells around every lesion, each voxel by its nearest lesion.

    Parameters
    ----------
    lesion_labels : (I, J, K) integer array
        Lesions numbered from 1 to `n_lesions`.
    n_lesions : int
        Number of lesions.
    is_periventricular : (n_lesions,) bool array
        Class of each lesion: true is periventricular, false deep.
    nawm : (I, J, K) array of booleans or numbers
        Normal-appearing white matter, where outer shells may lie; lesion voxels in it stay lesion.
    spacing : three floats
        Voxel sizes in mm.
    right : (I, J, K) array of booleans or numbers
        True in the right hemisphere.
    width_mm, max_mm : float
        As in `shell_edges`.
    inner : bool
        Whether lesion voxels get shells too, by their distance inward: from the nearest voxel
        centre that is not lesion. Inner shells all have `width_mm`; the fortieth holds whatever
        lies deeper.
    within : (I, J, K) array of booleans or numbers, optional
        Voxels whose labels, owners and distances are wanted; others have none, and an infinite
        distance. Lesions outside count all the same.

    Returns
    -------
    labels : (I, J, K) int16 array
        Shell labels as the module describes, 0 outside NAWM and lesions. Without any lesion there
        is no class that a voxel could belong to, and all labels are 0.
    owners : (I, J, K) int32 array
        Number of the nearest lesion of every voxel of the image (of equally near ones a
        periventricular one, then the smaller number); 0 everywhere if there is none.
    distance : (I, J, K) float32 array
        Distance in mm to the nearest lesion, negative inside lesions; infinite if there is none.

    Raises
    ------
    ValueError
        If shapes differ, a label is above `n_lesions`, `is_periventricular` has another length,
        or a size is not positive.
    TypeError
        If an image has the wrong type.

    Examples
    --------
    >>> lesions = np.array([[[1, 0, 0, 0, 0]]])
    >>> nawm, right = lesions == 0, np.zeros((1, 1, 5), bool)
    >>> labels, _, distance = shell_labels(
    ...     lesions, 1, [True], nawm, (1, 1, 1), right, width_mm=1, max_mm=3
    ... )
    >>> labels.ravel()
    array([1151, 1101, 1102, 1103, 1150], dtype=int16)
    >>> distance.ravel()
    array([-1.,  1.,  2.,  3.,  4.], dtype=float32)
    """
    edges = shell_edges(width_mm, max_mm)
    lesions = checked_labels(lesion_labels, "lesion_labels")
    white, right_side = checked_mask(nawm, "nawm"), checked_mask(right, "right")
    check_same_shape(lesion_labels=lesions, nawm=white, right=right_side)
    classes = _classes(is_periventricular, n_lesions, int(lesions.max()))
    distance, owners, order = _nearest_lesion(lesions, classes, spacing, within)
    inner_edges = _whole_shells(MOST_SHELLS, width_mm) if inner else np.empty(0)
    limits = edges.astype(np.float32), inner_edges.astype(np.float32)
    labels, owners = _by_distance(distance, owners, (white, right_side), (order, classes, *limits))
    return labels, owners, distance


def _nearest_lesion(
    lesions: NDArray[Any],
    classes: NDArray[np.int16],
    spacing: ArrayLike,
    within: ArrayLike | None,
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
    """Return every voxel's signed distance and nearest lesion by its rank, and who has that rank.

    Periventricular lesions come first, so that the class of a voxel equally near to both classes
    does not hang on the lesions' numbers, which a mirrored head has in another order.
    """
    order = np.concatenate([[0], 1 + np.argsort(classes[1:], kind="stable")]).astype(np.int32)
    wanted = None if within is None else checked_mask(within, "within")
    ranks = np.argsort(order).astype(np.int32)
    distance, owners = nearest(_renumbered(lesions, ranks), spacing, within=wanted)
    subtract_inner_distance(distance, lesions != 0, spacing)
    return distance, owners, order


def _by_distance(
    distance: NDArray[np.float32],
    owners: NDArray[np.int32],
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    limits: tuple[NDArray[Any], ...],
) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
    """Return the label of every voxel, and the number of the lesion that it belongs to."""
    white, right_side = masks
    flat = flattened(distance, owners, white.view(np.uint8), right_side.view(np.uint8))
    labels = np.empty(distance.size, dtype=np.int16)
    over_ranges(
        lambda start, stop: _shells(*flat, *limits, labels, start, stop), labels.size, labels.size
    )
    return shaped_like(distance, labels), shaped_like(distance, flat[1])


def _whole_shells(count: int, width_mm: float) -> NDArray[np.float64]:
    """Return where so many shells begin."""
    return np.array([edge_mm(steps, width_mm) for steps in range(count)])


def _renumbered(lesions: NDArray[Any], numbers: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give every lesion another number, in the same memory order."""
    renumbered = np.zeros_like(lesions, dtype=np.int32)
    box = bounding_box(lesions)
    if box is not None:
        renumbered[box] = numbers[lesions[box]]
    return renumbered


def _classes(is_periventricular: ArrayLike, n_lesions: int, largest: int) -> NDArray[np.int16]:
    """Return where the numbers of every lesion's shells begin, 0 for lesion number 0."""
    flags = np.asarray(is_periventricular, dtype=bool)
    if flags.shape != (n_lesions,):
        raise ValueError(
            f"is_periventricular has shape {flags.shape}: one entry for each of the {n_lesions} "
            "lesions is needed"
        )
    if largest > n_lesions:
        raise ValueError(f"lesion_labels has lesion {largest}, but there are {n_lesions}")
    classes = shell_label(BOTH, np.where(flags, PERIVENTRICULAR_LESIONS, DEEP_LESIONS), 0)
    return np.concatenate([[0], classes]).astype(np.int16)


@njit(cache=True, nogil=True)
def _shells(  # type: ignore[no-untyped-def]
    distance, owners, white, right, order, classes, edges, inner_edges, labels, start, stop
):
    """Fill `labels` from `start` to `stop`, and turn owners from places in `order` to lesions."""
    for place in range(start, stop):
        labels[place] = 0
        if owners[place] == 0:
            continue
        owner = order[owners[place]]
        owners[place] = owner
        mm = distance[place]
        if mm < 0 and inner_edges.size > 0:
            shell = REST + _interval(-mm, inner_edges)
        elif mm > 0 and white[place]:
            shell = _interval(mm, edges)
            if shell == edges.size:
                shell = REST
        else:
            continue
        side = RIGHT_SHELLS if right[place] else LEFT_SHELLS
        labels[place] = side + classes[owner] + shell


@njit(cache=True, nogil=True)
def _interval(value, edges):  # type: ignore[no-untyped-def]
    """Return the number of edges below `value`: s where it lies in (edges[s - 1], edges[s]]."""
    low, high = 0, edges.size
    while low < high:
        middle = (low + high) // 2
        if edges[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low
