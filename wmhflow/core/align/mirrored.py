"""Whether one of two aligned images of a person has left and right exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.align.quality import flattened, foreground
from wmhflow.core.align.search import refine_rigid
from wmhflow.core.align.similarity import compare
from wmhflow.core.space.grids import Grid3D, apply_affine, resample_isotropic

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPACING_MM = 4.0
# So deep in the head its outline, which is nearly the same on both sides, does not help.
INNER_MM = 12.0
# First step of the climb, mm and degrees, and how many points are compared on it and in the end.
CLIMB_STEP, CLIMB_POINTS, SCORE_POINTS = 2.0, 10_000, 40_000
FLIP = np.diag([-1.0, 1.0, 1.0, 1.0])
# Where an image turned round fits by so much better, it was turned round. Right pairs of real heads
# have 0.4 to 0.82, so that the same turned round have 1.2 and more.
MOST_MIRRORED = 1.1


def mirrored_fit(
    fixed: Grid3D, moving: Grid3D, matrix: NDArray[np.float64], seed: int = 0
) -> float | None:
    """Measure how much better two images fit if one of them is turned round, left and right.

    A brain is nearly the same on both sides, so that an image that was turned round is aligned as
    well as any by all other numbers. It is no mirror of itself within: folds, vessels and lesions
    differ.

    Parameters
    ----------
    fixed, moving
        Images scaled to 0..1.
    matrix
        Points of fixed to points of moving, RAS mm, as they are aligned.
    seed
        Draws the points that are compared.

    Returns
    -------
    float or None
        Mutual information with the moving image turned round and moved to where it then fits best
        nearby, over that as the images are; None where they have nothing in common, or no inside.
    """
    grids = [resample_isotropic(grid, SPACING_MM) for grid in (fixed, moving)]
    heads = [foreground(grid) for grid in grids]
    inner = ndimage.binary_erosion(heads[0], iterations=round(INNER_MM / SPACING_MM))
    if not inner.any():
        return None
    flat = [flattened(grid, head) for grid, head in zip(grids, heads, strict=True)]
    as_given = compare(flat[0], flat[1], inner, seed, SCORE_POINTS).score(matrix)
    if as_given <= 0:
        return None
    turned = [Grid3D(grid.data, FLIP @ grid.affine) for grid in (grids[1], flat[1])]
    centre = apply_affine(grids[0].affine, np.argwhere(heads[0]).astype(np.float64)).mean(axis=0)
    # each point to the opposite place in the head, from there as the images are aligned, and back
    there = FLIP.copy()
    there[0, 3] = 2 * centre[0]
    start = FLIP @ matrix @ there
    pair = compare(grids[0], turned[0], None, seed, CLIMB_POINTS)
    best, _ = refine_rigid(pair, start, centre, CLIMB_STEP)
    return compare(flat[0], turned[1], inner, seed, SCORE_POINTS).score(best) / as_given
