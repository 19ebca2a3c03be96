"""Registration with ANTs: rigid between images of one person, non-linear to the template."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    InputMultiObject,
    SimpleInterface,
    TraitedSpec,
    traits,
)
from scipy import ndimage

from wmhflow.bids.transforms import linear_matrix
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
from wmhflow.core.filling import LEAST_AGAIN_ML, fill_lesions
from wmhflow.core.geometry import same_field_of_view
from wmhflow.core.grids import (
    Grid3D,
    box_around,
    centroid_mm,
    cropped,
    resample_isotropic,
    resample_mask,
    robust_range,
)
from wmhflow.errors import InputError
from wmhflow.interfaces.itk import (
    ants_image,
    apply_transforms,
    correct_bias,
    jacobian_determinant,
    load_grid,
    make_reproducible,
    mask_image,
    pointer,
    read_itk_affine,
    run_ants_registration,
    write_itk_affine,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

JUDGE_SPACING_MM = 2.0
AFFINE_MM = 3.0
SYN_LEVELS_MM, SYN_ITERATIONS, COARSEST_SYN_MM = (8.0, 4.0, 2.0), (60, 40, 10), 2.0
SYN_MARGIN_MM = 20.0
LEAST_INFARCT_SHARE = 0.05
# antsRegistration's word for "no mask here".
NO_MASK = "NA"
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


@dataclass(frozen=True)
class WarpFit:
    """Composite transforms between an image and the template, and how good they are.

    `affine` is what the warp began with: points of the template to points of the image, RAS mm.
    """

    forward: str
    inverse: str
    metrics: dict[str, Any]
    affine: NDArray[np.float64]


def register_nonlinear(
    template: Grid3D,
    moving: Grid3D,
    affine: NDArray[np.float64],
    prefix: str,
    seed: int,
    iterations: Sequence[int],
    spacings_mm: Sequence[float],
    template_mask: NDArray[np.bool_] | None = None,
    moving_mask: NDArray[np.bool_] | None = None,
) -> tuple[str, str]:
    """Run SyN with mutual information from an affine start.

    Parameters
    ----------
    template, moving
        Brain images scaled to 0..1; their own voxel size is the finest.
    affine
        Points of the template to points of moving, RAS mm.
    prefix
        Beginning of the output files' names.
    seed
        Seed of the metric's sampling.
    iterations
        Iterations of each level.
    spacings_mm
        Voxel size of each level, coarse to fine.
    template_mask, moving_mask
        Where the metric counts, or None for everywhere.

    Returns
    -------
    tuple of str
        Paths of the composite transform and of its inverse (``.h5``).
    """
    images = {
        "fixed": ants_image(template, seed),
        "moving": ants_image(moving, seed),
    }
    if template_mask is not None:
        images["fixed_mask"] = mask_image(template_mask, template.affine, seed)
    if moving_mask is not None:
        images["moving_mask"] = mask_image(moving_mask, moving.affine, seed)
    where = {name: pointer(image) for name, image in images.items()}
    voxel_mm = template.finest_mm
    factors = [max(round(spacing / voxel_mm), 1) for spacing in spacings_mm]
    with tempfile.TemporaryDirectory() as folder:
        start = write_itk_affine(affine, Path(folder) / "start.txt")
        arguments = ["--initial-moving-transform", start, "--output", prefix]
        arguments += ["--write-composite-transform", "1", "--transform", "SyN[0.2,3,0]"]
        arguments += ["--metric", f"Mattes[{where['fixed']},{where['moving']},1,32]"]
        arguments += ["--convergence", f"[{'x'.join(map(str, iterations))},1e-6,6]"]
        arguments += ["--shrink-factors", "x".join(map(str, factors))]
        arguments += ["--smoothing-sigmas", "x".join(f"{f / 2:g}" for f in factors) + "vox"]
        masks = [where.get(name, NO_MASK) for name in ("fixed_mask", "moving_mask")]
        arguments += ["--masks", f"[{masks[0]},{masks[1]}]"]
        run_ants_registration(arguments, seed)
    written = f"{prefix}Composite.h5", f"{prefix}InverseComposite.h5"
    for path in written:
        make_reproducible(Path(path))
    return written


def register_to_template(
    reference: Grid3D,
    brain_mask: NDArray[np.bool_],
    template: Grid3D,
    out_dir: str | os.PathLike[str],
    seed: int,
    template_mask: NDArray[np.bool_] | None = None,
    wmh: NDArray[np.bool_] | None = None,
    infarct: NDArray[np.bool_] | None = None,
    affine: NDArray[np.float64] | None = None,
) -> WarpFit:
    """Register a person's image to the template: N4, affine from several starts, SyN.

    WMH are filled with the brightness of the white matter around them. To leave them out of SyN's
    metric would take its edge from the ventricle beside them: with 38 ml planted in a simulated
    head, its ventricles then came out 3.6 mm from where they lie without WMH (2.1 mm with WMH as
    they are, 0.2 mm with WMH filled, 0.4 mm with another random seed).

    Parameters
    ----------
    reference
        T1w or FLAIR.
    brain_mask
        The person's brain on the reference's grid.
    template
        Skull-stripped template.
    out_dir
        Folder of the transforms.
    seed
        Seed of the metric's sampling.
    template_mask
        Brain of the template; its non-zero voxels if None.
    wmh
        WMH on the reference's grid.
    infarct
        What does not count in SyN's metric: other tissue, or none, than the template has there.
    affine
        Points of the template to points of the reference (RAS mm), known from before; found if
        None.

    Returns
    -------
    WarpFit
        Transforms and their metrics.
    """
    unlike = [mask for mask in (wmh, infarct) if mask is not None]
    weight = ~np.any(unlike, axis=0) if unlike else None
    corrected = correct_bias(reference, brain_mask, seed, weight)
    filled_mm3 = 0.0
    if wmh is not None:
        filled_mm3 = float(np.count_nonzero(wmh) * reference.voxel_mm3)
        known = brain_mask if infarct is None else brain_mask & ~infarct
        corrected = fill_lesions(corrected, wmh, known, reference.voxel_sizes_mm)
    brain = Grid3D(robust_range(np.where(brain_mask, corrected, 0)), reference.affine)
    fit = register_brains(brain, template, out_dir, seed, template_mask, infarct, affine)
    return replace(fit, metrics=fit.metrics | {"wmh_filled_mm3": filled_mm3})


def register_brains(
    brain: Grid3D,
    template: Grid3D,
    out_dir: str | os.PathLike[str],
    seed: int,
    template_mask: NDArray[np.bool_] | None = None,
    infarct: NDArray[np.bool_] | None = None,
    affine: NDArray[np.float64] | None = None,
) -> WarpFit:
    """Register a brain to the template: affine from several starts, SyN.

    Parameters
    ----------
    brain
        Scaled to 0..1, 0 outside, bias corrected.
    template, out_dir, seed, template_mask, infarct, affine
        As for :func:`register_to_template`.

    Returns
    -------
    WarpFit
        Transforms and their metrics; those of the affine only if it was found here.
    """
    # SyN gains nothing from a grid finer than the person's own voxels
    working_mm = float(np.clip(brain.finest_mm, template.finest_mm, COARSEST_SYN_MM))
    goal_mask = template.data > 0 if template_mask is None else template_mask
    goal = resample_isotropic(Grid3D(robust_range(template.data), template.affine), working_mm)
    # the finest level at which there is something to smooth
    levels_mm = [level for level in SYN_LEVELS_MM if level > 1.5 * working_mm]
    goal_brain = resample_mask(goal_mask, template.affine, working_mm)
    metrics: dict[str, Any] = {}
    if affine is None:
        fit = register_linear(goal, brain, ("Rigid", "Affine"), seed, spacing_mm=AFFINE_MM)
        affine = fit.matrix
        metrics = {"start": fit.start, "mutual_information_affine": fit.mutual_information}
    # what lies further from the brain costs time and says nothing
    box = box_around(brain, SYN_MARGIN_MM)
    part = cropped(brain, box)
    working = resample_isotropic(part, working_mm)
    forward, inverse = register_nonlinear(
        goal,
        working,
        affine,
        str(Path(out_dir).absolute() / "xfm"),
        seed,
        iterations=SYN_ITERATIONS[: len(levels_mm)],
        spacings_mm=levels_mm,
        template_mask=ndimage.binary_dilation(goal_brain, iterations=3),
        moving_mask=None if infarct is None else _without(infarct[box], part.affine, working_mm),
    )
    jacobian = jacobian_determinant(goal, forward, seed)[goal_brain]
    metrics |= {"jacobian_min": float(jacobian.min()), "jacobian_max": float(jacobian.max())}
    return WarpFit(forward, inverse, metrics, affine)


def _without(
    infarct: NDArray[np.bool_], affine: NDArray[np.float64], spacing_mm: float
) -> NDArray[np.bool_] | None:
    """Return where SyN's metric counts: everywhere but in an infarct and right beside it."""
    if not infarct.any():
        return None
    # any of it in a voxel counts, or small infarcts would be lost in voxels larger than their own
    grown = Grid3D(ndimage.binary_dilation(infarct).astype(np.float32), affine)
    return resample_isotropic(grown, spacing_mm).data < LEAST_INFARCT_SHARE


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


class _TemplateInput(BaseInterfaceInputSpec):
    reference = File(exists=True, mandatory=True, desc="T1w or FLAIR")
    brain_mask = File(exists=True, mandatory=True, desc="brain on the reference grid")
    template = File(exists=True, mandatory=True, desc="skull-stripped template")
    template_mask = File(exists=True, desc="brain of the template")
    wmh = File(exists=True, desc="filled like white matter, on the reference grid")
    infarct = File(exists=True, desc="kept out of the metric, on the reference grid")
    seed = traits.Int(42, usedefault=True, desc="seed of the metric's sampling")


class _TemplateOutput(TraitedSpec):
    forward = File(exists=True, desc="reference to template, composite .h5")
    inverse = File(exists=True, desc="template to reference, composite .h5")
    metrics = traits.Dict(desc="how good the alignment is")


class _FirstOutput(_TemplateOutput):
    affine = File(exists=True, desc="template points to reference points, ITK text")


class TemplateRegistration(SimpleInterface):
    """Register a person's image to the template."""

    input_spec = _TemplateInput
    output_spec = _FirstOutput

    def _run_interface(self, runtime: Any) -> Any:
        fit = _registered(self.inputs, runtime.cwd)
        affine = Path(runtime.cwd) / "affine.txt"
        self._results["affine"] = write_itk_affine(fit.affine, affine.absolute())
        self._results.update(forward=fit.forward, inverse=fit.inverse, metrics=fit.metrics)
        return runtime


class _AgainInput(_TemplateInput):
    wmh = File(exists=True, mandatory=True, desc="filled like white matter, on the same grid")
    forward = File(exists=True, mandatory=True, desc="what was found before the WMH were known")
    inverse = File(exists=True, mandatory=True)
    affine = File(exists=True, mandatory=True, desc="its affine, which is kept")
    metrics = traits.Dict(mandatory=True)


class TemplateRegistrationAgain(SimpleInterface):
    """Register a person's image to the template anew, now that WMH are known, if they matter."""

    input_spec = _AgainInput
    output_spec = _TemplateOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        wmh = load_grid(inputs.wmh)
        if np.count_nonzero(wmh.data > 0) * wmh.voxel_mm3 < 1000 * LEAST_AGAIN_ML:
            self._results.update(
                forward=inputs.forward, inverse=inputs.inverse, metrics=inputs.metrics
            )
            return runtime
        affine = read_itk_affine(inputs.affine)
        fit = _registered(inputs, runtime.cwd, affine)
        metrics = inputs.metrics | fit.metrics
        self._results.update(forward=fit.forward, inverse=fit.inverse, metrics=metrics)
        return runtime


def _registered(inputs: Any, folder: str, affine: NDArray[np.float64] | None = None) -> WarpFit:
    """Register the image of a node's inputs to the template."""
    return register_to_template(
        load_grid(inputs.reference),
        load_grid(inputs.brain_mask).data > 0,
        load_grid(inputs.template),
        folder,
        inputs.seed,
        template_mask=_load_optional_mask(inputs.template_mask),
        wmh=_load_optional_mask(inputs.wmh),
        infarct=_load_optional_mask(inputs.infarct),
        affine=affine,
    )


class _ConvertInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="linear transform of any program")
    moving = File(exists=True, mandatory=True, desc="image that it moves")
    fixed = File(exists=True, mandatory=True, desc="image that it leads to")


class _ConvertOutput(TraitedSpec):
    transform = File(exists=True, desc="ITK text file")


class ConvertTransform(SimpleInterface):
    """Write a linear transform of FSL or FreeSurfer as ITK does."""

    input_spec = _ConvertInput
    output_spec = _ConvertOutput

    def _run_interface(self, runtime: Any) -> Any:
        paths = [Path(getattr(self.inputs, name)) for name in ("in_file", "moving", "fixed")]
        out = Path(runtime.cwd) / "transform.txt"
        self._results["transform"] = write_itk_affine(linear_matrix(*paths), out)
        return runtime


class _ApplyInput(BaseInterfaceInputSpec):
    moving = File(exists=True, mandatory=True, desc="image to resample")
    reference = File(exists=True, mandatory=True, desc="image with the grid to fill")
    transforms = InputMultiObject(File(exists=True), desc="the last is applied first")
    invert = InputMultiObject(traits.Bool(), desc="whether the inverse is meant, for each")
    interpolation = traits.Enum("linear", "nearest", "bspline", usedefault=True)


class _ApplyOutput(TraitedSpec):
    resampled = File(exists=True, desc="the moving image on the reference's grid")


class ApplyTransforms(SimpleInterface):
    """Resample an image through transforms."""

    input_spec = _ApplyInput
    output_spec = _ApplyOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        self._results["resampled"] = apply_transforms(
            inputs.moving,
            inputs.reference,
            inputs.transforms or [],
            Path(runtime.cwd) / "resampled.nii.gz",
            inputs.interpolation,
            inputs.invert or None,
        )
        return runtime


def _load_optional_mask(path: Any) -> NDArray[np.bool_] | None:
    """Load a mask if its path was given."""
    return load_grid(path).data > 0 if path else None
