"""How much of one large voxel, such as that of spectroscopy, each region of a partition fills."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.measure.regional import region_weights
from wmhflow.core.space.geometry import checked_affine

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from wmhflow.core.regions.partition import Partition, Row

ONE_VOXEL = (1, 1, 1)


def voxel_shares(
    found: Partition,
    label_affine: NDArray[np.float64],
    voxel_affine: ArrayLike,
    rows: Sequence[Row],
) -> NDArray[np.float64]:
    """Compute which share of a voxel each region fills, exactly.

    Parameters
    ----------
    found
        The partition on the reference grid.
    label_affine : (4, 4) array
        Reference voxel to world mm.
    voxel_affine : (4, 4) array
        From the index (0, 0, 0) of a grid of one voxel, whose middle that is, to the reference's
        world mm; its first three columns are the voxel's edges.
    rows
        The regions; they may overlap each other.

    Returns
    -------
    (n,) float64 array
        From 0 to 1, in the order of the rows; what lies beyond the partition is in none.

    Examples
    --------
    A voxel of 2 mm, half of which lies in a region of one voxel's width:

    >>> from wmhflow.core.regions.partition import Row, partition
    >>> mask = np.zeros((4, 4, 4), np.int32)
    >>> mask[:2] = 1
    >>> found = partition({"one": mask, "WMH": mask * 0, "NAWM": mask * 0})
    >>> voxel = np.diag([2.0, 2, 2, 1])
    >>> voxel[:3, 3] = 1.5
    >>> voxel_shares(found, np.eye(4), voxel, [Row((("one", (1,)),))]).round(9).tolist()
    [0.5]
    """
    affine = checked_affine(voxel_affine)
    weights = region_weights(found, label_affine, ONE_VOXEL, affine, rows)
    begins, _, fractions = weights.by_region
    shares = [fractions[a:b].sum() for a, b in pairwise(begins)]
    # what is more than the whole is rounding
    return np.minimum(np.array(shares, np.float64), 1.0)
