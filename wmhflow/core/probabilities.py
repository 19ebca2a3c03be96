"""Regions that may overlap: their probabilities at points of another space, and as a partition."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wmhflow.core._threads import over_ranges
from wmhflow.core.regional import IN_WMH, partition

# Probabilities are kept in steps, a byte each; what is computed from them is computed from what is
# kept, so that it can be computed again. A power of 2, so that a file's scale is exact.
STEPS = 128


def steps_at(
    points: NDArray[np.float64], probabilities: NDArray[np.float32], affine: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Interpolate the volumes of a probabilistic atlas linearly at points.

    Parameters
    ----------
    points : (n, 3) array
        In the atlas's world, RAS mm.
    probabilities : (X, Y, Z, k) array
        0..1.
    affine : (4, 4) array
        Atlas voxels to its world.

    Returns
    -------
    (n, k) uint8 array
        In steps of 1 / ``STEPS``; outside the atlas's field of view counts as 0.

    Raises
    ------
    ValueError
        If the shapes are others.

    Examples
    --------
    >>> volumes = np.array([0.0, 1.0], np.float32).reshape(2, 1, 1, 1)
    >>> steps_at(np.array([[0.25, 0, 0], [9, 0, 0]]), volumes, np.eye(4)).ravel().tolist()
    [32, 0]
    """
    if probabilities.ndim != 4 or points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(
            f"points of shape {points.shape} and probabilities of shape {probabilities.shape}; "
            "(n, 3) and (X, Y, Z, k) are expected"
        )
    to_voxels = np.linalg.inv(affine)
    voxels = points @ to_voxels[:3, :3].T + to_voxels[:3, 3]
    volumes = np.ascontiguousarray(probabilities, dtype=np.float32)
    found = np.zeros((len(points), probabilities.shape[3]), dtype=np.uint8)
    over_ranges(
        lambda start, stop: _interpolate(voxels, volumes, found, start, stop),
        len(points),
        len(points),
    )
    return found


@njit(nogil=True, cache=True)
def _interpolate(voxels, volumes, found, start, stop):  # type: ignore[no-untyped-def]
    size = volumes.shape
    sums = np.empty(size[3])
    low = np.empty(3, np.int64)
    part = np.empty(3)
    for n in range(start, stop):
        inside = True
        for axis in range(3):
            place = voxels[n, axis]
            if not -1.0 < place < size[axis]:
                inside = False
                break
            low[axis] = int(np.floor(place))
            part[axis] = place - low[axis]
        if not inside:
            continue
        sums[:] = 0.0
        for corner in range(8):
            weight = 1.0
            here = True
            i, j, k = low[0] + (corner & 1), low[1] + (corner >> 1 & 1), low[2] + (corner >> 2)
            weight *= part[0] if corner & 1 else 1.0 - part[0]
            weight *= part[1] if corner >> 1 & 1 else 1.0 - part[1]
            weight *= part[2] if corner >> 2 else 1.0 - part[2]
            here = 0 <= i < size[0] and 0 <= j < size[1] and 0 <= k < size[2]
            if here and weight > 0.0:
                for region in range(size[3]):
                    sums[region] += weight * volumes[i, j, k, region]
        for region in range(size[3]):
            found[n, region] = int(min(max(sums[region], 0.0), 1.0) * STEPS + 0.5)


def overlapping_labels(
    steps: NDArray[np.uint8], threshold: float
) -> tuple[NDArray[np.int32], dict[int, list[int]]]:
    """Turn regions that may overlap into one image of labels.

    Parameters
    ----------
    steps : (X, Y, Z, k) array
        Probabilities as :func:`steps_at` gives them.
    threshold
        From which a voxel belongs to a region, 0..1.

    Returns
    -------
    labels : (X, Y, Z) array
        A number per combination of regions that occurs, 0 where there is none.
    members : dict
        Per region (1 to k), the numbers of the combinations that hold it.

    Examples
    --------
    >>> labels, members = overlapping_labels(np.array([[[[128, 0], [90, 64], [0, 9]]]]), 0.5)
    >>> labels.tolist(), members
    ([[[1, 2, 0]]], {1: [1, 2], 2: [2]})
    """
    inside = steps >= threshold * STEPS - 1e-9
    nothing = np.zeros(steps.shape[:3], dtype=bool)
    images = {str(region): inside[..., region - 1] for region in range(1, steps.shape[3] + 1)}
    found = partition(images | {IN_WMH: nothing})
    members = {
        region: [int(number) + 1 for number in np.flatnonzero(found.columns[str(region)])]
        for region in range(1, steps.shape[3] + 1)
    }
    return found.labels, members


def weighted_volumes(
    steps: NDArray[np.uint8], mask: NDArray[np.bool_], voxel_mm3: float
) -> list[dict[str, float]]:
    """Measure every region, and a mask in it, each voxel weighted by its probability.

    Parameters
    ----------
    steps : (X, Y, Z, k) array
        Probabilities as :func:`steps_at` gives them.
    mask : (X, Y, Z) array of booleans
        What is measured in the regions.
    voxel_mm3
        Volume of a voxel in mm³.

    Returns
    -------
    list of dict
        ``volume_mm3``, ``wmh_volume_mm3`` and ``wmh_fraction`` (NaN for an empty region).

    Examples
    --------
    >>> steps = np.array([[[[128], [64]]]], np.uint8)
    >>> weighted_volumes(steps, np.array([[[False, True]]]), 2.0)[0]["wmh_volume_mm3"]
    1.0
    """
    rows = []
    for region in range(steps.shape[3]):
        volume = steps[..., region]
        whole = float(volume.sum(dtype=np.int64)) / STEPS * voxel_mm3
        part = float(volume[mask].sum(dtype=np.int64)) / STEPS * voxel_mm3
        rows.append(
            {
                "volume_mm3": whole,
                "wmh_volume_mm3": part,
                "wmh_fraction": part / whole if whole else float("nan"),
            }
        )
    return rows
