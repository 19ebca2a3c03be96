"""Whether images that are divided or fitted voxel by voxel lie on each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.align.quality import foreground
from wmhflow.core.align.search import refine_rigid
from wmhflow.core.align.similarity import compare, mean_distance_mm
from wmhflow.core.space.grids import Grid3D, apply_affine, resample_isotropic, robust_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SPACING_MM, N_POINTS = 4.0, 20_000
# First step, in mm and degrees, on the way to where they fit best.
CLIMB_STEP = 2.0
# So many voxels of a head, at 4 mm, tell where it lies: a fifth of a brain.
LEAST_VOXELS = 3000


def apart_mm(fixed: Grid3D, moving: Grid3D, seed: int = 0) -> float | None:
    """Measure how far the head moved between two images that should lie on each other.

    Parameters
    ----------
    fixed, moving
        Images of one head, whatever their contrasts, in any unit; NaN counts as 0.
    seed
        Draws the points at which they are compared.

    Returns
    -------
    float or None
        How far the head is moved, on average, to where the images fit best nearby, mm. None where
        one of them shows no head.

    Examples
    --------
    >>> blank = Grid3D(np.zeros((9, 9, 9), np.float32), np.eye(4))
    >>> apart_mm(blank, blank) is None
    True
    """
    grids = [_ready(grid) for grid in (fixed, moving)]
    if any(np.ptp(grid.data) == 0 for grid in grids):
        return None
    head = foreground(grids[0])
    if np.count_nonzero(head) < LEAST_VOXELS:
        return None
    points = apply_affine(grids[0].affine, np.argwhere(head).astype(np.float64))
    pair, centre = compare(grids[0], grids[1], None, seed, N_POINTS), points.mean(axis=0)
    best, _ = refine_rigid(pair, np.eye(4), centre, CLIMB_STEP)
    return mean_distance_mm(np.eye(4), best, points)


def furthest_apart(images: Sequence[Grid3D], seed: int = 0) -> tuple[float | None, int]:
    """Find the image that lies furthest from the first.

    Parameters
    ----------
    images
        Two or more.
    seed
        As for :func:`apart_mm`.

    Returns
    -------
    tuple of float or None, and int
        As :func:`apart_mm`, and the image's place in the list; None, and 0, where none shows a
        head.
    """
    found = [(apart_mm(images[0], one, seed), place) for place, one in enumerate(images) if place]
    known = [(value, place) for value, place in found if value is not None]
    return max(known, default=(None, 0))


def _ready(grid: Grid3D) -> Grid3D:
    values: NDArray[np.float32] = np.nan_to_num(grid.data, nan=0, posinf=0, neginf=0)
    scaled = robust_range(values.astype(np.float32, copy=False))
    return resample_isotropic(Grid3D(scaled, grid.affine), SPACING_MM)
