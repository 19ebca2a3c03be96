"""Linear registration: rigid between images of one person, affine to the template."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from wmhflow.core.alignment import (
    ACCEPTABLE,
    Comparison,
    alignment_quality,
    compare,
    edges,
    every_turn,
    mean_distance_mm,
    poor_numbers,
    refine_rigid,
    search_rigid,
)
from wmhflow.core.brain import stands_free
from wmhflow.core.geometry import same_field_of_view
from wmhflow.core.grids import Grid3D, centroid_mm, resample_isotropic, robust_range
from wmhflow.errors import InputError
from wmhflow.interfaces.itk import (
    ants_image,
    apply_transforms,
    load_grid,
    pointer,
    read_itk_affine,
    run_ants_registration,
    write_itk_affine,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

JUDGE_SPACING_MM = 2.0
STARTS_REFINED = 2
# What lies elsewhere than the header says must be better by this factor before it is believed.
HEADER_PREFERENCE = 1.02
# Alignments nearer to each other than this are one.
SAME_MM = 5.0
# Two brains in one field of view, without their skulls, were registered by whoever made them, and
# stay as they lie if a search would move them by less on average; in thick slices it errs by more.
REGISTERED_WITHIN_MM, REGISTERED_WITHIN_VOXELS = 2.0, 0.5


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
    iterations = "x".join(["200"] * (len(shrink) - 1) + ["60"])
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
) -> LinearFit:
    """Register from several starts and keep the best, by one score for all.

    A rigid transform is found by :func:`wmhflow.core.alignment.search_rigid` and Powell's method
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

    Returns
    -------
    LinearFit
        The best alignment. It is the headers' own if nothing was better.
    """
    scaled = [Grid3D(robust_range(grid.data), grid.affine) for grid in (fixed, moving)]
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
    # a climb from afar stops a little early
    refined, score = refine_rigid(judge, best.matrix, pivot, step=0.5)
    best = replace(best, matrix=refined, mutual_information=score)
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


def _judge(scaled: Sequence[Grid3D], seed: int) -> Comparison:
    spacing_mm = max(JUDGE_SPACING_MM, min(grid.finest_mm for grid in scaled))
    fixed, moving = (resample_isotropic(grid, spacing_mm) for grid in scaled)
    return compare(fixed, moving, None, seed)


@dataclass(frozen=True)
class RigidFit:
    """A rigid alignment, the numbers that judge it, and how often it was tried anew.

    `search_displacement_mm` is how far the best place that was found lies from the headers'; the
    fit is the headers' own where the images were registered already.
    """

    fit: LinearFit
    quality: dict[str, float]
    n_retries: int
    search_displacement_mm: float = 0.0

    @property
    def poor(self) -> dict[str, float]:
        """The numbers that say that the alignment is bad; empty if it is good."""
        return poor_numbers(self.quality)


def register_rigid(
    fixed: Grid3D,
    moving: Grid3D,
    seed: int,
    retry: bool = True,
) -> RigidFit:
    """Align two images of one person; where the result is poor, look in all directions.

    Parameters
    ----------
    fixed, moving
        Images in any unit and voxel size.
    seed
        Seed of the points that are compared and of the displacements that judge.
    retry
        Whether a poor alignment is tried anew: with turns in all directions, then with the edges
        of the images in the place of their intensities.

    Returns
    -------
    RigidFit
        The best of what was tried, by its mutual information ratio; what the headers say, if the
        images were registered before (see :func:`registered_before`) and lie nearly as well.
    """
    scaled = [Grid3D(robust_range(grid.data), grid.affine) for grid in (fixed, moving)]

    def attempt(pair: Sequence[Grid3D], turns: Sequence[Sequence[float]] | None) -> RigidFit:
        fit = register_linear(pair[0], pair[1], ("Rigid",), seed, angles_deg=turns)
        quality = alignment_quality(scaled[0], scaled[1], fit.matrix, seed)
        return RigidFit(fit, quality, 0)

    best = attempt(scaled, None)
    others = (scaled, [edges(grid) for grid in scaled]) if retry and best.poor else ()
    for n_retries, pair in enumerate(others, start=1):
        tried = attempt(pair, every_turn())
        better = max(best, tried, key=lambda one: one.quality["mutual_information_ratio"])
        best = replace(better, n_retries=n_retries)
        if not best.poor:
            break
    apart = best.quality["displacement_mm"]
    best = replace(best, search_displacement_mm=apart)
    largest = max(*fixed.voxel_sizes_mm, *moving.voxel_sizes_mm)
    allowed = max(REGISTERED_WITHIN_MM, REGISTERED_WITHIN_VOXELS * largest)
    if apart > allowed or best.poor or not registered_before(fixed, moving):
        return best
    before = best.fit.mutual_information_identity
    given = LinearFit(np.eye(4), "header", before, before)
    kept = replace(best, fit=given, quality=alignment_quality(*scaled, given.matrix, seed))
    return best if kept.poor else kept


def registered_before(fixed: Grid3D, moving: Grid3D) -> bool:
    """Tell whether two images come from an earlier registration: one field of view, no skulls.

    Parameters
    ----------
    fixed, moving
        Images of one person.

    Returns
    -------
    bool
        False for whole heads, as a scanner makes them, even where it makes them on one grid.
    """
    grids = fixed.data.shape, fixed.affine, moving.data.shape, moving.affine
    if not same_field_of_view(*grids):
        return False
    return all(stands_free(grid.data, grid.voxel_mm3) for grid in (fixed, moving))


def rigid_metrics(
    found: RigidFit, centre: NDArray[np.float64], judged: bool = True
) -> dict[str, Any]:
    """Describe a rigid alignment in numbers.

    Parameters
    ----------
    found
        The alignment.
    centre
        Point (RAS mm) whose displacement is the translation.
    judged
        Whether the numbers that judge the alignment are wanted.

    Returns
    -------
    dict
        ``mutual_information``, ``mutual_information_identity`` (nats), ``rotation_deg``,
        ``translation_mm``, ``start``, ``search_displacement_mm``, and, if judged, ``retries`` and
        what :func:`wmhflow.core.alignment.alignment_quality` gives.
    """
    matrix = found.fit.matrix
    cosine = (np.trace(matrix[:3, :3]) - 1) / 2
    moved = nib.affines.apply_affine(matrix, centre) - centre
    metrics = {
        "mutual_information": found.fit.mutual_information,
        "mutual_information_identity": found.fit.mutual_information_identity,
        "rotation_deg": float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
        "translation_mm": float(np.linalg.norm(moved)),
        "start": found.fit.start,
        "search_displacement_mm": found.search_displacement_mm,
    }
    return metrics | ({"retries": found.n_retries} | found.quality if judged else {})


def refuse_poor(found: RigidFit, moving: str, fixed: str) -> None:
    """Fail where an alignment is bad.

    Parameters
    ----------
    found
        The alignment.
    moving, fixed
        The files, for the message.

    Raises
    ------
    InputError
        If one of the numbers that judge it lies outside its bounds.
    """
    if not found.poor:
        return
    numbers = ", ".join(
        f"{name} {value:.3g} (at least {ACCEPTABLE[name][0]:g})"
        for name, value in found.poor.items()
    )
    raise InputError(
        f"{moving} could not be aligned to {fixed}: {numbers}; look at the two images, give a "
        "transform, or go on with --registration-qc flag."
    )


class _RigidInput(BaseInterfaceInputSpec):
    fixed = File(exists=True, mandatory=True, desc="image that stays")
    moving = File(exists=True, mandatory=True, desc="image that is aligned to it")
    quality = traits.Enum("flag", "fail", "off", usedefault=True, desc="what a bad one leads to")
    moving_name = traits.Str(desc="how messages name the moving image")
    fixed_name = traits.Str(desc="how messages name the fixed image")
    seed = traits.Int(42, usedefault=True, desc="seed of the metric's sampling")


class _RigidOutput(TraitedSpec):
    transform = File(exists=True, desc="ITK text file, fixed points to moving points")
    warped = File(exists=True, desc="moving image on the fixed grid")
    metrics = traits.Dict(desc="how good the alignment is")


class RigidRegistration(SimpleInterface):
    """Align two images of one person."""

    input_spec = _RigidInput
    output_spec = _RigidOutput

    def _run_interface(self, runtime: Any) -> Any:
        fixed, moving = load_grid(self.inputs.fixed), load_grid(self.inputs.moving)
        judged = self.inputs.quality != "off"
        found = register_rigid(fixed, moving, self.inputs.seed, retry=judged)
        if self.inputs.quality == "fail":
            names = self.inputs.moving_name, self.inputs.fixed_name
            refuse_poor(found, names[0] or self.inputs.moving, names[1] or self.inputs.fixed)
        out = Path(runtime.cwd)
        self._results["transform"] = write_itk_affine(found.fit.matrix, out / "rigid.txt")
        self._results["warped"] = apply_transforms(
            self.inputs.moving,
            self.inputs.fixed,
            [self._results["transform"]],
            out / "warped.nii.gz",
        )
        centre = centroid_mm(Grid3D(robust_range(fixed.data), fixed.affine))
        self._results["metrics"] = rigid_metrics(found, centre, judged)
        return runtime
