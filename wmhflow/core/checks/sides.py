"""Whether the regions of an atlas lie on the side that their names say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def sides_on_the_wrong_side(
    labels: NDArray[np.integer], affine: NDArray[np.float64], hemispheres: Mapping[int, str]
) -> list[int]:
    """List the regions whose centroid lies on the other side of x = 0 than their name says.

    Parameters
    ----------
    labels : (X, Y, Z) integer array
        In a space whose midplane is x = 0.
    affine : (4, 4) array
        Voxels to world mm.
    hemispheres
        ``L``, ``R`` or ``B`` by number; ``B`` and regions without a voxel are not judged.

    Examples
    --------
    >>> labels = np.array([[[1]], [[2]]])
    >>> affine = np.array([[1.0, 0, 0, -0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    >>> sides_on_the_wrong_side(labels, affine, {1: "R", 2: "R"})
    [1]
    """
    voxels = np.argwhere(labels)
    numbers = labels[tuple(voxels.T)]
    x = voxels @ affine[0, :3] + affine[0, 3]
    n_labels = int(max(numbers.max(initial=0), *hemispheres, 0)) + 1
    counts = np.bincount(numbers, minlength=n_labels)
    sums = np.bincount(numbers, weights=x, minlength=n_labels)
    sign = {"L": -1, "R": 1}
    return [
        region
        for region, side in hemispheres.items()
        if side in sign and counts[region] and sums[region] * sign[side] <= 0
    ]


def exchanged_by_mm(
    labels: NDArray[np.integer], affine: NDArray[np.float64], hemispheres: Mapping[int, str]
) -> float:
    """Tell how far left regions lie to the right of right ones, all of a side taken together.

    Parameters
    ----------
    labels : (X, Y, Z) integer array
        In any space of a person, or of a template.
    affine : (4, 4) array
        Voxels to world mm.
    hemispheres
        ``L`` or ``R`` by number; others are not judged.

    Returns
    -------
    float
        x of the left side's centre over the right side's, mm: negative where left is left. NaN
        where a side has no voxel.

    Examples
    --------
    >>> labels = np.array([[[1]], [[2]]])
    >>> exchanged_by_mm(labels, np.eye(4), {1: "L", 2: "R"})
    -1.0
    """
    centres = []
    for side in ("L", "R"):
        numbers = [number for number, of in hemispheres.items() if of == side]
        voxels = np.argwhere(np.isin(labels, numbers))
        if voxels.size == 0:
            return float("nan")
        centres.append(float(voxels.mean(axis=0) @ affine[0, :3] + affine[0, 3]))
    return centres[0] - centres[1]


def centres_x(probabilities: NDArray[np.floating], affine: NDArray[np.float64]) -> NDArray[Any]:
    """Return the x in mm of every volume's centre, weighted by probability; NaN if it is empty.

    Parameters
    ----------
    probabilities : (X, Y, Z, n) array
        0..1.
    affine : (4, 4) array
        Voxels to world mm.
    """
    # sums along each axis are enough, and no list of voxels is made
    totals = [probabilities.sum(axis=axes, dtype=np.float64) for axes in ((1, 2), (0, 2), (0, 1))]
    whole = totals[0].sum(axis=0)
    moments = sum(
        affine[0, axis] * (np.arange(len(total)) @ total) for axis, total in enumerate(totals)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, moments / whole + affine[0, 3], np.nan)
