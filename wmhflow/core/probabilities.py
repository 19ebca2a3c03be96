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
    found = np.zeros((len(points), probabilities.shape[3]), dtype=np.uint8)
    for region in range(probabilities.shape[3]):
        # as files are read: volume after volume, each along its first axis
        volume = np.asfortranarray(probabilities[..., region], dtype=np.float32)
        box = _box(volume)
        if box is not None:
            _fill(voxels, volume, box, found[:, region])
    return found


def _box(volume: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Return the voxels between which a volume is not 0: lowest and highest along each axis."""
    ends = []
    for axes in ((1, 2), (0, 2), (0, 1)):
        there = np.flatnonzero(volume.any(axis=axes))
        if not there.size:
            return None
        ends.append((there[0] - 1.0, there[-1] + 1.0))
    return np.array(ends)


def _fill(
    voxels: NDArray[np.float64],
    volume: NDArray[np.float32],
    box: NDArray[np.float64],
    found: NDArray[np.uint8],
) -> None:
    over_ranges(
        lambda start, stop: _interpolate(voxels, volume, box, found, start, stop),
        len(voxels),
        len(voxels),
    )


@njit(nogil=True, cache=True)
def _interpolate(voxels, volume, box, found, start, stop):  # type: ignore[no-untyped-def]
    size = volume.shape
    for n in range(start, stop):
        x, y, z = voxels[n, 0], voxels[n, 1], voxels[n, 2]
        if not (box[0, 0] < x < box[0, 1] and box[1, 0] < y < box[1, 1]):
            continue
        if not box[2, 0] < z < box[2, 1]:
            continue
        i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
        total = 0.0
        for corner in range(8):
            right, front, up = corner & 1, corner >> 1 & 1, corner >> 2
            a, b, c = i + right, j + front, k + up
            if 0 <= a < size[0] and 0 <= b < size[1] and 0 <= c < size[2]:
                weight = x - i if right else 1.0 - (x - i)
                weight *= y - j if front else 1.0 - (y - j)
                weight *= z - k if up else 1.0 - (z - k)
                total += weight * volume[a, b, c]
        found[n] = int(min(max(total, 0.0), 1.0) * STEPS + 0.5)


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
