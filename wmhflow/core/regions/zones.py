"""Zones of the white matter by distance from the ventricles and the cortex.

References
----------
Kim KW, MacFall JR, Payne ME. Classification of white matter lesions on magnetic resonance imaging
in elderly persons. Biological Psychiatry 2008;64:273-280. doi:10.1016/j.biopsych.2008.03.024
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.arrays.validation import (
    check_same_shape,
    checked_distance,
    checked_labels,
    checked_mask,
    flattened,
    shaped_like,
)
from wmhflow.labels.digits import (
    DEEP,
    JUXTACORTICAL,
    JUXTAVENTRICULAR,
    LEFT_LABELS,
    PERIVENTRICULAR,
    RIGHT_LABELS,
    class_of,
)
from wmhflow.labels.schemes import DEFAULT_SCHEME, ZoneScheme, zone_schemes


def zone_labels(
    ventricle_distance: ArrayLike,
    cortex_distance: ArrayLike,
    white_matter: ArrayLike,
    right: ArrayLike,
    scheme: ZoneScheme | None = None,
) -> NDArray[np.uint8]:
    """Label the zone and side of every white-matter voxel.

    Parameters
    ----------
    ventricle_distance, cortex_distance : (I, J, K) arrays
        Distances in mm. Infinite distances belong to no zone beside that surface.
    white_matter : (I, J, K) array of booleans or numbers
        White matter, WMH included.
    right : (I, J, K) array of booleans or numbers
        True in the right hemisphere.
    scheme : ZoneScheme, optional
        One of `wmhflow.labels.schemes.zone_schemes`, or another; `jv3-pv13-jc4` if left out.

    Returns
    -------
    (I, J, K) uint8 array
        10 + k on the left and 20 + k on the right; k is 1 juxtaventricular, 2 periventricular,
        3 deep, 4 juxtacortical; 0 outside the white matter. Intervals are open below and closed
        above. A voxel of both distance 0 or less is nearest of all: WMH that overlap the
        ventricle are juxtaventricular, WMH that overlap the cortex juxtacortical.

    Raises
    ------
    ValueError
        If shapes differ, or a distance is NaN in the white matter.
    TypeError
        If an image has the wrong type.

    Examples
    --------
    >>> ventricle = np.array([[[0, 3, 3.5, 20, 20]]])
    >>> cortex = np.array([[[20, 3, 20, 20, 4]]])
    >>> everywhere = np.ones((1, 1, 5), bool)
    >>> zone_labels(ventricle, cortex, everywhere, ~everywhere).ravel()
    array([11, 11, 12, 13, 14], dtype=uint8)
    """
    chosen = zone_schemes()[DEFAULT_SCHEME] if scheme is None else scheme
    to_ventricle = checked_distance(ventricle_distance, "ventricle_distance")
    to_cortex = checked_distance(cortex_distance, "cortex_distance")
    matter = checked_mask(white_matter, "white_matter")
    right_side = checked_mask(right, "right")
    check_same_shape(
        ventricle_distance=to_ventricle,
        cortex_distance=to_cortex,
        white_matter=matter,
        right=right_side,
    )
    limits = [
        -inf if limit is None else float(limit)
        for limit in (
            chosen.juxtaventricular_mm,
            chosen.juxtacortical_mm,
            chosen.periventricular_mm,
        )
    ]
    kind = np.result_type(to_ventricle, to_cortex)
    flat = flattened(
        to_ventricle.astype(kind, copy=False),
        to_cortex.astype(kind, copy=False),
        matter.view(np.uint8),
        right_side.view(np.uint8),
    )
    zones = np.empty(matter.size, dtype=np.uint8)
    bad = over_ranges(
        lambda start, stop: _zones(*flat, *limits, chosen.nearer, zones, start, stop),
        zones.size,
        zones.size,
    )
    if sum(bad):
        raise ValueError(
            f"{sum(bad)} white-matter voxels have a NaN distance to the ventricles or the cortex"
        )
    return shaped_like(to_ventricle, zones)


def lesion_continuity(
    lesion_labels: ArrayLike,
    n: int,
    ventricle_distance: ArrayLike,
    threshold_mm: float = 3.0,
) -> NDArray[np.bool_]:
    """Tell which lesions are periventricular by the continuity rule.

    Parameters
    ----------
    lesion_labels : (I, J, K) integer array
        Lesions numbered from 1 to `n`.
    n : int
        Number of lesions.
    ventricle_distance : (I, J, K) array
        Distance to the lateral ventricles in mm.
    threshold_mm : float
        How near a voxel must come, this distance included.

    Returns
    -------
    (n,) bool array
        True where any voxel of the lesion lies so near; entry ``i`` is lesion ``i + 1``. NaN
        distances are not near.

    Raises
    ------
    ValueError
        If shapes differ or a label is above `n`.
    TypeError
        If the labels are not integers.

    References
    ----------
    DeCarli C, Fletcher E, Ramey V, et al. Anatomical mapping of white matter hyperintensities.
    Stroke 2005;36:50-55. doi:10.1161/01.STR.0000150668.58689.f2

    Examples
    --------
    >>> lesion_continuity([[[1, 1, 2]]], 2, [[[3.0, 4.0, 5.0]]])
    array([ True, False])
    """
    lesions = _checked_lesions(lesion_labels, n)
    distance = checked_distance(ventricle_distance, "ventricle_distance")
    check_same_shape(lesion_labels=lesions, ventricle_distance=distance)
    voxels = lesions != 0
    near = lesions[voxels][distance[voxels] <= threshold_mm]
    result = np.zeros(n + 1, dtype=bool)
    result[near] = True
    return result[1:]


def lesion_majority(lesion_labels: ArrayLike, n: int, zones: ArrayLike) -> NDArray[np.int64]:
    """Find the zone that holds most voxels of each lesion.

    Parameters
    ----------
    lesion_labels : (I, J, K) integer array
        Lesions numbered from 1 to `n`.
    n : int
        Number of lesions.
    zones : (I, J, K) integer array
        Labels as `zone_labels` makes them; the two sides are counted together.

    Returns
    -------
    (n,) int64 array
        The zone's number k; entry ``i`` is lesion ``i + 1``. Equal counts go to the smaller k,
        which lies nearer the ventricle; a lesion outside all zones gets 0.

    Raises
    ------
    ValueError
        If shapes differ or a label is above `n`.
    TypeError
        If an image does not hold integers.

    Examples
    --------
    >>> lesion_majority([[[1, 1, 2, 2, 2]]], 2, [[[12, 11, 21, 13, 23]]])
    array([1, 3])
    """
    lesions = _checked_lesions(lesion_labels, n)
    zone = checked_labels(zones, "zones")
    check_same_shape(lesion_labels=lesions, zones=zone)
    return _most_frequent(lesions, n, class_of(zone))


def lesion_label(lesion_labels: ArrayLike, n: int, labels: ArrayLike) -> NDArray[np.int64]:
    """Find the label that holds most voxels of each lesion, whatever the labels mean.

    Parameters
    ----------
    lesion_labels : (I, J, K) integer array
        Lesions numbered from 1 to `n`.
    n : int
        Number of lesions.
    labels : (I, J, K) integer array
        Any labels, 0 outside.

    Returns
    -------
    (n,) int64 array
        Entry ``i`` is lesion ``i + 1``. Equal counts go to the smaller label; a lesion outside all
        labels gets 0.

    Raises
    ------
    ValueError
        If shapes differ or a lesion is above `n`.
    TypeError
        If an image does not hold integers.

    Examples
    --------
    >>> lesion_label([[[1, 1, 1, 2, 2]]], 3, [[[28, 8, 28, 0, 0]]])
    array([28,  0,  0])
    """
    lesions = _checked_lesions(lesion_labels, n)
    label = checked_labels(labels, "labels")
    check_same_shape(lesion_labels=lesions, labels=label)
    return _most_frequent(lesions, n, label)


def _most_frequent(lesions: NDArray[Any], n: int, label: NDArray[Any]) -> NDArray[np.int64]:
    """Return the label, other than 0, of most voxels of each lesion; the smallest among equals."""
    labelled = (lesions != 0) & (label != 0)
    pairs = np.stack([lesions[labelled], label[labelled]]).astype(np.int64)
    (lesion, number), counts = np.unique(pairs, axis=1, return_counts=True)
    found = np.zeros(n, dtype=np.int64)
    # from the rarest to the most frequent, the smaller label last among equals: the last stays
    order = np.lexsort((-number, counts))
    found[lesion[order] - 1] = number[order]
    return found


def _checked_lesions(lesion_labels: ArrayLike, n: int) -> NDArray[Any]:
    """Return the lesion labels, refusing any above `n`."""
    lesions = checked_labels(lesion_labels, "lesion_labels")
    if int(lesions.max()) > n:
        raise ValueError(f"lesion_labels has lesion {int(lesions.max())}, but there are {n}")
    return lesions


@njit(cache=True, nogil=True)
def _zones(  # type: ignore[no-untyped-def]
    to_ventricle, to_cortex, matter, right, juxtaventricular, juxtacortical, periventricular,
    nearer, zones, start, stop,
):  # fmt: skip
    """Fill `zones` from `start` to `stop` and return the number of NaN distances."""
    bad = 0
    for place in range(start, stop):
        if not matter[place]:
            zones[place] = 0
            continue
        ventricle, cortex = to_ventricle[place], to_cortex[place]
        if np.isnan(ventricle) or np.isnan(cortex):
            bad += 1
        zone = DEEP
        if nearer:
            if ventricle < cortex:
                zone = PERIVENTRICULAR
        elif ventricle <= juxtaventricular:
            zone = JUXTAVENTRICULAR
        elif cortex <= juxtacortical:
            zone = JUXTACORTICAL
        elif ventricle <= periventricular:
            zone = PERIVENTRICULAR
        zones[place] = zone + (RIGHT_LABELS if right[place] else LEFT_LABELS)
    return bad
