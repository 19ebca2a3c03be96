"""Linear registration: many starts, one score, refined by antsRegistration."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wmhflow.ants.images import ants_image, pointer, run_ants_registration
from wmhflow.core.align.search import refine_rigid, search_rigid
from wmhflow.core.align.similarity import (
    Comparison,
    compare,
    mean_distance_mm,
)
from wmhflow.core.space.grids import Grid3D, centroid_mm, resample_isotropic, robust_range
from wmhflow.files.itk import read_itk_affine, write_itk_affine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


# These were chosen together: with them all of 80 motions are found, within 0.32 mm on average
# (docs/benchmarks.md, "Rigid registration"). Each by itself was not measured.
JUDGE_SPACING_MM = 2.0
# Of the last climb: with these, three seeds agree to 0.02 mm and the phantom's volumes by side are
# right to 1 %; a quarter of the points left 0.03 degrees and 1.4 %.
LAST_POINTS = 400_000
STARTS_REFINED = 2
# Metric, step and 1e-6 over 10 iterations are those of antsRegistrationSyN.sh, which has up to 1000
# iterations a level; the starts here are near already.
COARSE_ITERATIONS, FINEST_ITERATIONS = 200, 60
# What lies elsewhere than the header says must be better by this factor before it is believed.
HEADER_PREFERENCE = 1.02
# Alignments nearer to each other than this are one.
SAME_MM = 5.0


@dataclass(frozen=True)
class LinearFit:
    """A linear transform (fixed to moving, RAS mm), where it started from, and how good it is."""

    matrix: NDArray[np.float64]
    start: str
    mutual_information: float
    mutual_information_identity: float


def refine_linear(
    fixed: Grid3D,
    moving: Grid3D,
    start: NDArray[np.float64],
    stages: Sequence[str],
    shrink: Sequence[int],
    seed: int,
) -> NDArray[np.float64]:
    """Refine a starting position with antsRegistration and Mattes mutual information.

    Parameters
    ----------
    fixed, moving
        Images scaled to 0..1, of cubic voxels.
    start
        Points of fixed to points of moving, RAS mm.
    stages
        Kinds of transform, one after the other, such as ``Rigid`` and ``Affine``.
    shrink
        Shrink factors of the levels, coarse to fine.
    seed
        Seed of the metric's sampling.

    Returns
    -------
    ndarray, (4, 4)
        Points of fixed to points of moving, RAS mm.
    """
    images = [ants_image(grid, seed) for grid in (fixed, moving)]
    pointers = [pointer(image) for image in images]
    factors = "x".join(str(factor) for factor in shrink)
    sigmas = "x".join(f"{factor / 2 if factor > 1 else 0:g}" for factor in shrink)
    coarse = [COARSE_ITERATIONS] * (len(shrink) - 1)
    iterations = "x".join(str(number) for number in (*coarse, FINEST_ITERATIONS))
    with tempfile.TemporaryDirectory() as folder:
        initial = write_itk_affine(start, Path(folder) / "start.txt")
        arguments = ["--initial-moving-transform", initial, "--output", f"{folder}/fit"]
        for stage in stages:
            metric = f"Mattes[{pointers[0]},{pointers[1]},1,32,Regular,0.25]"
            arguments += ["--transform", f"{stage}[0.1]", "--metric", metric]
            arguments += ["--convergence", f"[{iterations},1e-6,10]"]
            arguments += ["--shrink-factors", factors, "--smoothing-sigmas", f"{sigmas}vox"]
        run_ants_registration(arguments, seed)
        return read_itk_affine(f"{folder}/fit0GenericAffine.mat")


def register_linear(
    fixed: Grid3D,
    moving: Grid3D,
    stages: Sequence[str],
    seed: int,
    spacing_mm: float = 2.0,
    angles_deg: Sequence[Sequence[float]] | None = None,
    *,
    is_scaled: bool = False,
) -> LinearFit:
    """Register from several starts and keep the best, by one score for all.

    A rigid transform is found by :func:`wmhflow.core.align.search.search_rigid` and Powell's method
    alone; any other stage goes on from there with antsRegistration.

    Parameters
    ----------
    fixed, moving
        Images in any unit and voxel size.
    stages
        Kinds of transform, such as ``Rigid`` and ``Affine``.
    seed
        Seed of the points that are compared, and of the metric's sampling.
    spacing_mm
        Finest voxel size that antsRegistration uses.
    angles_deg
        Angles about x, y and z of the starts; a grid of up to 40 degrees if None.
    is_scaled
        Whether the images are scaled to 0..1 already.

    Returns
    -------
    LinearFit
        The best alignment. It is the headers' own if nothing was better.
    """
    scaled = [fixed, moving]
    if not is_scaled:
        scaled = [Grid3D(robust_range(grid.data), grid.affine) for grid in scaled]
    judge = _judge(scaled, seed)
    pivot = centroid_mm(scaled[0])
    identity = judge.score(np.eye(4))
    near, score = refine_rigid(judge, np.eye(4), pivot)
    best = header = LinearFit(near, "header", score, identity)
    found = search_rigid(scaled[0], scaled[1], None, angles_deg, seed)
    elsewhere = [
        (name, matrix)
        for name, matrix, _ in found
        if mean_distance_mm(matrix, header.matrix, judge.points) > SAME_MM
    ]
    for name, matrix in elsewhere[:STARTS_REFINED]:
        refined, score = refine_rigid(judge, matrix, pivot)
        if score > max(best.mutual_information, header.mutual_information * HEADER_PREFERENCE):
            best = LinearFit(refined, name, score, identity)
    # a climb from afar stops a little early, and few points leave a few hundredths of a degree
    exact = _judge(scaled, seed, LAST_POINTS)
    refined, _ = refine_rigid(exact, best.matrix, pivot, step=0.5)
    best = replace(best, matrix=refined, mutual_information=judge.score(refined))
    if tuple(stages) == ("Rigid",):
        return best
    # Nothing is gained by voxels finer than both images have.
    spacing_mm = max(spacing_mm, min(fixed.finest_mm, moving.finest_mm))
    fine = [resample_isotropic(grid, spacing_mm) for grid in scaled]
    matrix = refine_linear(fine[0], fine[1], best.matrix, stages, (4, 2, 1), seed)
    score = judge.score(matrix)
    if score < best.mutual_information:
        return best
    return LinearFit(matrix, best.start, score, identity)


def _judge(scaled: Sequence[Grid3D], seed: int, n_points: int | None = None) -> Comparison:
    spacing_mm = max(JUDGE_SPACING_MM, min(grid.finest_mm for grid in scaled))
    fixed, moving = (resample_isotropic(grid, spacing_mm) for grid in scaled)
    return compare(fixed, moving, None, seed, n_points)
