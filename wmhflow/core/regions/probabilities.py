"""Regions that may overlap: as a partition, and weighted by probability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.regions.partition import IN_WMH, partition

# Probabilities are kept in steps, a byte each; what is computed from them is computed from what is
# kept, so that it can be computed again. A power of 2, so that a file's scale is exact.
STEPS = 128


def overlapping_labels(
    steps: NDArray[np.uint8], threshold: float
) -> tuple[NDArray[np.int32], dict[int, list[int]]]:
    """Turn regions that may overlap into one image of labels.

    Parameters
    ----------
    steps : (n, k) array
        Probabilities as :func:`wmhflow.core.regions.lookup.steps_at` gives them.
    threshold
        From which a voxel belongs to a region, 0..1.

    Returns
    -------
    labels : (n,) array
        A number per combination of regions that occurs, 0 where there is none.
    members : dict
        Per region (1 to k), the numbers of the combinations that hold it.

    Examples
    --------
    >>> labels, members = overlapping_labels(np.array([[128, 0], [90, 64], [0, 9]]), 0.5)
    >>> labels.tolist(), members
    ([1, 2, 0], {1: [1, 2], 2: [2]})
    """
    inside = steps >= threshold * STEPS - 1e-9
    nothing = np.zeros(len(steps), dtype=bool)
    images = {str(region): inside[:, region - 1] for region in range(1, steps.shape[1] + 1)}
    found = partition(images | {IN_WMH: nothing})
    members = {
        region: [int(number) + 1 for number in np.flatnonzero(found.columns[str(region)])]
        for region in range(1, steps.shape[1] + 1)
    }
    return found.labels, members


def weighted_volumes(
    steps: NDArray[np.uint8], mask: NDArray[np.bool_], voxel_mm3: float
) -> list[dict[str, float]]:
    """Measure every region, and a mask in it, each voxel weighted by its probability.

    Parameters
    ----------
    steps : (n, k) array
        Probabilities as :func:`wmhflow.core.regions.lookup.steps_at` gives them.
    mask : (n,) array of booleans
        What is measured in the regions.
    voxel_mm3
        Volume of a voxel in mm³.

    Returns
    -------
    list of dict
        ``volume_mm3``, ``wmh_volume_mm3`` and ``wmh_fraction`` (NaN for an empty region).

    Examples
    --------
    >>> steps = np.array([[128], [64]], np.uint8)
    >>> weighted_volumes(steps, np.array([False, True]), 2.0)[0]["wmh_volume_mm3"]
    1.0
    """
    rows = []
    for region in steps.T:
        whole = float(region.sum(dtype=np.int64)) / STEPS * voxel_mm3
        part = float(region[mask].sum(dtype=np.int64)) / STEPS * voxel_mm3
        rows.append(
            {
                "volume_mm3": whole,
                "wmh_volume_mm3": part,
                "wmh_fraction": part / whole if whole else float("nan"),
            }
        )
    return rows
