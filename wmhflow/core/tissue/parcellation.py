"""FreeSurfer's codes as tissues and sides."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.arrays.codes import count_codes, fits_table
from wmhflow.core.arrays.distance import distance_to
from wmhflow.core.space.geometry import spacing_of, world_coordinates
from wmhflow.labels.digits import LEFT, RIGHT


def recode(codes: NDArray[np.integer], table: Mapping[int, int]) -> NDArray[np.uint8]:
    """Replace every code by its entry in a table; codes that are not in it become 0.

    Parameters
    ----------
    codes
        Shape (X, Y, Z), any integers.
    table
        New value (0 to 255) per code.

    Examples
    --------
    >>> recode(np.array([[[2, 41, 999]]]), {2: 5, 41: 5}).tolist()
    [[[5, 5, 0]]]
    """
    given = np.asarray(codes)
    if fits_table(given):
        lookup = np.zeros(int(given.max(initial=0)) + 1, dtype=np.uint8)
        for code, value in table.items():
            if 0 <= code < lookup.size:
                lookup[code] = value
        return lookup[given]
    present, inverse = np.unique(given, return_inverse=True)
    lookup = np.array([table.get(int(code), 0) for code in present], dtype=np.uint8)
    return lookup[inverse].reshape(np.shape(codes))


def unknown_codes(codes: NDArray[np.integer], table: Mapping[int, int]) -> dict[int, int]:
    """Count the voxels of every code, other than 0, that a table does not know."""
    return {
        int(code): int(count)
        for code, count in zip(*count_codes(np.asarray(codes)), strict=True)
        if code != 0 and int(code) not in table
    }


def complete_hemispheres(
    sides: NDArray[np.integer], affine: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Give every voxel the side of the nearest voxel whose side is known.

    A voxel that is equally near to both goes to the side of the plane halfway between the two
    sides' centres on which it lies, so that a mirrored head gives the mirrored answer.

    Parameters
    ----------
    sides
        Shape (X, Y, Z): 1 left, 2 right, 0 unknown.
    affine
        Shape (4, 4), voxel to world mm.

    Returns
    -------
    ndarray of uint8
        1 and 2 only.

    Raises
    ------
    ValueError
        If one of the sides is absent.

    Examples
    --------
    >>> complete_hemispheres(np.array([[[1]], [[0]], [[0]], [[2]]]), np.eye(4)).ravel().tolist()
    [1, 1, 2, 2]
    """
    known = np.asarray(sides)
    left, right = known == LEFT, known == RIGHT
    if not left.any() or not right.any():
        raise ValueError("both a left and a right label are needed to tell the sides apart")
    spacing = spacing_of(affine)
    difference = distance_to(left, spacing) - distance_to(right, spacing)
    completed = np.where(difference < 0, LEFT, RIGHT).astype(np.uint8)
    tied = difference == 0
    completed[tied] = np.where(_beyond_midplane(left, right, tied, affine), RIGHT, LEFT)
    return completed


def _beyond_midplane(
    left: NDArray[np.bool_],
    right: NDArray[np.bool_],
    asked: NDArray[np.bool_],
    affine: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Tell for every voxel asked whether it lies on the right of the plane between both sides."""
    centre_left, centre_right = (
        world_coordinates(np.argwhere(side).mean(axis=0), affine) for side in (left, right)
    )
    points = world_coordinates(np.argwhere(asked), affine)
    middle = (centre_left + centre_right) / 2
    return np.asarray((points - middle) @ (centre_right - centre_left) > 0)
