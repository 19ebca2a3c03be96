"""Whether the regions of an atlas lie on the side that their names say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Smaller regions have no centre that tells anything.
LEAST_PART_MM3 = 100.0
MOST_BEYOND_HOMOLOGUE_MM, MOST_BEYOND_MIDDLE_MM = 5.0, 10.0


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


def parts_on_the_other_side(
    labels: NDArray[np.integer],
    affine: NDArray[np.float64],
    pairs: Sequence[tuple[int, int]],
    voxel_mm3: float,
) -> dict[int, float]:
    """List single regions that lie on the side of their homologue, though most lie on their own.

    Left to right is where the centre of all right regions lies from that of all left ones, so that
    a turned head makes no difference.

    Parameters
    ----------
    labels : (X, Y, Z) integer array
        In any space of a person, not exchanged as a whole (:func:`exchanged_by_mm`).
    affine : (4, 4) array
        Voxels to world mm.
    pairs
        Numbers of homologous regions, the left one first.
    voxel_mm3
        Volume of a voxel; regions below 100 mm3 are not judged.

    Returns
    -------
    dict
        By number, how far in mm the region lies to the wrong side: of its homologue, if this is
        more than 5, or of the middle between all, if this is more than 10. Middle structures lie
        5 mm beside the midline and more, and a swelling moves the midline by 10 at most.

    Examples
    --------
    >>> labels = np.zeros((60, 1, 1), int)
    >>> labels[5:15], labels[45:55] = 1, 2
    >>> labels[15:25], labels[35:45] = 4, 3
    >>> parts_on_the_other_side(labels, np.eye(4), [(1, 2), (3, 4)], 100.0)
    {3: 20.0, 4: 20.0}
    """
    voxels = np.argwhere(np.isin(labels, np.array(pairs).ravel()))
    points = voxels @ affine[:3, :3].T + affine[:3, 3]
    present, places = np.unique(labels[tuple(voxels.T)], return_inverse=True)
    counts = np.bincount(places)
    sums = np.stack([np.bincount(places, one) for one in points.T], axis=1)
    sides = [np.isin(present, [pair[side] for pair in pairs]) for side in (0, 1)]
    if not all(side.any() for side in sides):
        return {}
    left, right = (sums[side].sum(axis=0) / counts[side].sum() for side in sides)
    axis = (right - left) / max(float(np.linalg.norm(right - left)), 1e-9)
    along = (sums / counts[:, None] - (left + right) / 2) @ axis
    large = counts * voxel_mm3 >= LEAST_PART_MM3
    known = dict(zip(present[large].tolist(), along[large].tolist(), strict=True))
    found: dict[int, float] = {}
    for one, other in pairs:
        apart = known.get(one, -np.inf) - known.get(other, np.inf)
        for code, sign in ((one, 1), (other, -1)):
            beyond = sign * known.get(code, -sign * np.inf)
            if apart > MOST_BEYOND_HOMOLOGUE_MM or beyond > MOST_BEYOND_MIDDLE_MM:
                found[code] = round(max(apart, beyond), 1)
    return found


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
