"""Rigid alignment: starts in many directions, coarse to fine, and what is kept of them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize
from scipy.spatial.transform import Rotation

from wmhflow.core.align.similarity import Comparison, compare
from wmhflow.core.space.grids import (
    Grid3D,
    apply_affine,
    centroid_mm,
    resample_isotropic,
    resample_mask,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray


# Chosen together so that all of 80 motions of up to 40 degrees and 40 mm are found
# (docs/benchmarks.md, "Rigid registration"); none was measured by itself.
SEARCH_SPACINGS_MM = (8.0, 4.0)
ROTATIONS_TRIED_DEG = (-40.0, -20.0, 0.0, 20.0, 40.0)
DENSE_STEP_DEG = 30.0
STARTS_CLIMBED = 12
STARTS_KEPT = 3
# A climb ends where a round gains less: of where it stands, in steps, and of its score. What climbs
# only to be climbed from again need not arrive.
FINE, ROUGH = (0.02, 1e-4), (0.1, 1e-3)
# Alignments that differ by less, in degrees and mm, are one.
SAME_PLACE = 3.0


def rotation_matrix(angles_deg: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Make a rotation from angles about x, y and z, applied in this order.

    Parameters
    ----------
    angles_deg
        Three angles in degrees.

    Returns
    -------
    ndarray, (3, 3)
        The rotation.

    Examples
    --------
    >>> rotation_matrix((0, 0, 90)).round().astype(int).tolist()
    [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    """
    return np.asarray(Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix())


def rigid_matrix(
    parameters: Sequence[float] | NDArray[np.float64], pivot: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Make a rigid transform from six numbers.

    Parameters
    ----------
    parameters
        Angles about x, y and z in degrees, and the shift of the pivot in mm.
    pivot
        Point about which is turned, RAS mm.

    Returns
    -------
    ndarray, (4, 4)
        The transform.

    Examples
    --------
    >>> rigid_matrix([0, 0, 180, 0, 3, 5], np.array([1.0, 0, 0]))[:3, 3].round().tolist()
    [2.0, 3.0, 5.0]
    """
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_matrix(parameters[:3])
    matrix[:3, 3] = pivot + np.asarray(parameters[3:]) - matrix[:3, :3] @ pivot
    return matrix


def linear_starts(
    fixed: Grid3D, moving: Grid3D, angles_deg: Sequence[Sequence[float]] | None = None
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Propose starting positions: as the headers say, centres of mass, centres of the grids.

    Parameters
    ----------
    fixed, moving
        Images scaled to 0..1.
    angles_deg
        Angles about x, y and z that are tried; all of ``ROTATIONS_TRIED_DEG`` if None.

    Yields
    ------
    tuple of str and ndarray
        A name, and angles in degrees with the shift of the fixed centre of mass in mm (see
        :func:`rigid_matrix`). The first is the header's own position, not turned. A position that
        is nearly the same as an earlier one is left out.
    """
    middles = [
        apply_affine(grid.affine, (np.array(grid.data.shape) - 1) / 2) for grid in (fixed, moving)
    ]
    shifts = {
        "header": np.zeros(3),
        "centre of mass": centroid_mm(moving) - centroid_mm(fixed),
        "centre of image": middles[1] - middles[0],
    }
    distinct: dict[str, NDArray[np.float64]] = {}
    for name, shift in shifts.items():
        if all(np.linalg.norm(shift - other) > SAME_PLACE for other in distinct.values()):
            distinct[name] = shift
    turns = angles_deg or sorted(
        itertools.product(ROTATIONS_TRIED_DEG, repeat=3), key=lambda turn: np.abs(turn).sum()
    )
    for name, shift in distinct.items():
        for angles in turns:
            turned = ", turned by " + "/".join(f"{angle:.0f}" for angle in angles)
            yield name + (turned if any(angles) else ""), np.array([*angles, *shift])


def every_turn() -> list[tuple[float, float, float]]:
    """List rotations that leave no direction further than about 25 degrees from one of them.

    Returns
    -------
    list of tuple
        Angles about x, y and z in degrees, no turn first.
    """
    step = DENSE_STEP_DEG
    around = np.arange(-180.0, 180.0, step)
    upright = np.arange(-90.0, 90.0 + step, step)
    turns = [(float(a), float(b), float(c)) for a in around for b in upright for c in around]
    return sorted(turns, key=lambda turn: np.abs(turn).sum())


def highest(
    score: Callable[[NDArray[np.float64]], float],
    start: NDArray[np.float64],
    step: float,
    rounds: int,
    tolerances: tuple[float, float] = FINE,
) -> tuple[float, NDArray[np.float64]]:
    """Climb to the nearest maximum, one direction after the other (Powell).

    Parameters
    ----------
    score
        What is to be high.
    start
        Where to begin.
    step
        First step, in the unit of the parameters.
    rounds
        How often all directions are tried, at most.
    tolerances
        When it is enough, of the parameters in steps and of the score.

    Returns
    -------
    tuple of float and ndarray
        Score and parameters.

    References
    ----------
    Powell MJD. An efficient method for finding the minimum of a function of several variables
    without calculating derivatives. Comput J 1964. doi:10.1093/comjnl/7.2.155
    """
    found = optimize.minimize(
        lambda x: -score(x * step),
        start / step,
        method="Powell",
        options={"xtol": tolerances[0], "ftol": tolerances[1], "maxiter": rounds},
    )
    return -float(found.fun), found.x * step


def climb(
    pair: Comparison,
    parameters: NDArray[np.float64],
    pivot: NDArray[np.float64],
    step: float,
    tolerances: tuple[float, float] = FINE,
) -> tuple[float, NDArray[np.float64]]:
    """Move a rigid alignment to the nearest best one.

    Parameters
    ----------
    pair
        The images.
    parameters
        Where to begin, as in :func:`rigid_matrix`.
    pivot
        Point about which is turned, RAS mm.
    step
        First step, in mm and degrees.
    tolerances
        As for :func:`highest`.

    Returns
    -------
    tuple of float and ndarray
        Score and parameters.
    """
    return highest(lambda x: pair.score(rigid_matrix(x, pivot)), parameters, step, 6, tolerances)


def refine_rigid(
    pair: Comparison, matrix: NDArray[np.float64], pivot: NDArray[np.float64], step: float = 1.0
) -> tuple[NDArray[np.float64], float]:
    """Move a rigid transform to the nearest best one.

    Parameters
    ----------
    pair
        The images.
    matrix
        Points of fixed to points of moving, RAS mm.
    pivot
        Point about which is turned, RAS mm.
    step
        First step, in mm and degrees.

    Returns
    -------
    tuple of ndarray and float
        The transform, and its score.
    """
    # Turns about the axes of the moving image's space, after the given transform
    moved = apply_affine(matrix, pivot)
    score, change = climb(
        Comparison(apply_affine(matrix, pair.points), pair.values, pair.moving, pair.to_voxels),
        np.zeros(6),
        moved,
        step,
    )
    return rigid_matrix(change, moved) @ matrix, score


def search_rigid(
    fixed: Grid3D,
    moving: Grid3D,
    mask: NDArray[np.bool_] | None = None,
    angles_deg: Sequence[Sequence[float]] | None = None,
    seed: int = 0,
) -> list[tuple[str, NDArray[np.float64], float]]:
    """Look for rigid alignments from many starts, coarse to fine.

    Every start is judged on the coarsest images; the best, and the headers' own position, climb
    there, and the best of these climb on finer images.

    Parameters
    ----------
    fixed, moving
        Images scaled to 0..1.
    mask
        Part of the fixed grid that counts, or None for all.
    angles_deg
        Angles that are tried; those of ``ROTATIONS_TRIED_DEG`` if None.
    seed
        Seed of the points that are compared.

    Returns
    -------
    list of tuple
        Name of the start, transform (fixed to moving points, RAS mm) and score, best first.
    """
    found: list[tuple[float, str, NDArray[np.float64]]] = []
    finest = min(fixed.finest_mm, moving.finest_mm)
    for level, spacing in enumerate(max(wanted, finest) for wanted in SEARCH_SPACINGS_MM):
        grids = [resample_isotropic(grid, spacing) for grid in (fixed, moving)]
        part = None if mask is None else resample_mask(mask, fixed.affine, spacing)
        pair = compare(grids[0], grids[1], part, seed)
        if level == 0:
            pivot = centroid_mm(grids[0])
            starts = list(linear_starts(grids[0], grids[1], angles_deg))
            scores = [pair.score(rigid_matrix(start, pivot)) for _, start in starts]
            chosen = apart(scores, [start for _, start in starts], STARTS_CLIMBED)
            found = [(scores[i], *starts[i]) for i in dict.fromkeys([0, *chosen])]
        climbed = [(name, *climb(pair, start, pivot, spacing, ROUGH)) for _, name, start in found]
        kept = apart(
            [score for _, score, _ in climbed], [end for _, _, end in climbed], STARTS_KEPT
        )
        found = [(climbed[i][1], climbed[i][0], climbed[i][2]) for i in kept]
    return [(name, rigid_matrix(end, pivot), score) for score, name, end in found]


def apart(
    scores: Sequence[float],
    places: Sequence[NDArray[np.float64]],
    n: int,
    same: float = SAME_PLACE,
) -> list[int]:
    """Choose the best places, none of which is nearly the same as a better one.

    Parameters
    ----------
    scores
        One for each place.
    places
        Parameters as in :func:`rigid_matrix`.
    n
        How many are wanted at most.
    same
        Places that differ by less in every parameter, in degrees and mm, are one.

    Returns
    -------
    list of int
        Numbers of the places, best first.

    Examples
    --------
    >>> apart([1.0, 3.0, 2.0], [np.zeros(6), np.full(6, 9.0), np.full(6, 8.0)], n=2)
    [1, 0]
    """
    chosen: list[int] = []
    for i in np.argsort(np.negative(scores), kind="stable"):
        if all(np.abs(places[i] - places[other]).max() > same for other in chosen):
            chosen.append(int(i))
        if len(chosen) == n:
            break
    return chosen
