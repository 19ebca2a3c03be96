"""Registration to the template: SyN from an affine start, lesions filled, infarcts left out."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from wmhflow.ants.images import ants_image, mask_image, pointer, run_ants_registration
from wmhflow.ants.linear import register_linear
from wmhflow.ants.transforms import jacobian_determinant
from wmhflow.core.arrays.wide import reaching_out
from wmhflow.core.space.grids import (
    Grid3D,
    box_around,
    cropped,
    resample_isotropic,
    resample_mask,
    robust_range,
)
from wmhflow.core.tissue.bias import correct_bias
from wmhflow.core.wmh.filling import BRIGHT_PERCENTILE, FLUID_SHARE, fill_lesions
from wmhflow.files.itk import make_reproducible, write_itk_affine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


# The affine only starts SyN; how fine it is was not measured by itself.
AFFINE_MM = 3.0
# At 1 mm these are the levels of antsRegistrationSyNQuick.sh that have iterations (100, 70 and 50
# at 8, 4 and 2 voxels; none at 1), with fewer of them, as SyN is most of a visit's time. Chosen as
# a whole: warped ventricles and cortex overlap with the template's by 0.71 and 0.59, after that
# script by 0.66 and 0.55 (docs/benchmarks.md). Each number by itself was not measured.
SYN_LEVELS_MM, SYN_ITERATIONS, COARSEST_SYN_MM = (8.0, 4.0, 2.0), (60, 40, 10), 2.0
# SyN with this margin takes 56 instead of 67 s in a head of 256 voxels a side. Its width is a guess
# at how far the regularised field of a brain's edge reaches; it was not measured.
SYN_MARGIN_MM = 20.0
# So far beyond its brain the template is registered, in place of its whole field of view; a guess,
# with which the overlap of one head's ventricles and cortex stayed as it was.
TEMPLATE_MARGIN_MM = 12.0
# A warp that goes on from an earlier one leaves out the coarsest level. With 15 and 10 iterations
# on the others, the warp of one head ended 0.75 mm on average from where one made anew did, with
# these 0.56 mm; its ventricles and cortex met the template's better than before with both.
AGAIN_ITERATIONS = (10, 10, 4)
# Any infarct in a voxel is meant, save for what interpolation smears; not measured.
LEAST_INFARCT_SHARE = 0.05
# antsRegistration's word for "no mask here".
NO_MASK = "NA"
# From so much of the ventricles on that lies beyond the region that the affine lays over them they
# are made to meet the template's: with mutual information alone the warp stays where it began
# (docs/benchmarks.md, "Wide ventricles").
LEAST_BEYOND_MM3 = 20_000.0
STATE_FILE = "state.h5"


@dataclass(frozen=True)
class WarpFit:
    """Composite transforms between an image and the template, and how good they are.

    `affine` is what the warp began with: points of the template to points of the image, RAS mm.
    `state` is the file from which a later registration of the same brain can go on.
    """

    forward: str
    inverse: str
    metrics: dict[str, Any]
    affine: NDArray[np.float64]
    state: str = ""


@dataclass(frozen=True)
class TemplateVentricles:
    """The template's lateral ventricles: the share of fluid, 0..1, and a generous region."""

    fluid: NDArray[np.float32]
    region: NDArray[np.bool_]
    affine: NDArray[np.float64]


@dataclass(frozen=True)
class WarpStart:
    """Where a registration that knows more goes on from: an earlier one's affine, and its state.

    Without a state the warp is made anew.
    """

    affine: NDArray[np.float64]
    state: str | os.PathLike[str] | None = None


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
    state: str | os.PathLike[str] | None = None,
    save_state: str | os.PathLike[str] | None = None,
    fluid: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
) -> tuple[str, str]:
    """Run SyN with mutual information from an affine start, or from where another run ended.

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
    state
        What an earlier run saved: its end is the start, and the affine is its own.
    save_state
        Where the end is saved for a later run.
    fluid
        Shares 0..1 of the ventricles in both, which are to meet; they count as much as the images.

    Returns
    -------
    tuple of str
        Paths of the composite transform and of its inverse (``.h5``).
    """
    images = {"fixed": ants_image(template, seed), "moving": ants_image(moving, seed)}
    for name, grid, mask in (("fixed", template, template_mask), ("moving", moving, moving_mask)):
        if mask is not None:
            images[f"{name}_mask"] = mask_image(mask, grid.affine, seed)
    if fluid is not None:
        for name, grid, share in zip(("fixed", "moving"), (template, moving), fluid, strict=True):
            images[f"{name}_fluid"] = ants_image(Grid3D(share, grid.affine), seed)
    where = {name: pointer(image) for name, image in images.items()}
    voxel_mm = template.finest_mm
    factors = [max(round(spacing / voxel_mm), 1) for spacing in spacings_mm]
    with tempfile.TemporaryDirectory() as folder:
        if state is None:
            start = write_itk_affine(affine, Path(folder) / "start.txt")
            arguments = ["--initial-moving-transform", start]
        else:
            arguments = ["--restore-state", str(state)]
        if save_state is not None:
            arguments += ["--save-state", str(save_state)]
        arguments += ["--output", prefix]
        # step, smoothing and bins as antspyx's SyN has them by default; antsRegistrationSyN.sh
        # takes half of the step. The end (1e-6 over 6 iterations, there 10) was not measured.
        arguments += ["--write-composite-transform", "1", "--transform", "SyN[0.2,3,0]"]
        arguments += ["--metric", f"Mattes[{where['fixed']},{where['moving']},1,32]"]
        if fluid is not None:
            pair = ",".join(where[f"{name}_fluid"] for name in ("fixed", "moving"))
            arguments += ["--metric", f"MeanSquares[{pair},1,0]"]
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
    start: WarpStart | None = None,
    ventricles: TemplateVentricles | None = None,
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
    start
        An earlier registration of the same brain, which this one goes on from; from the beginning
        if None.
    ventricles
        Those of the template, which the person's are made to meet where they are very wide; the
        images alone count if None.

    Returns
    -------
    WarpFit
        Transforms and their metrics.
    """
    unlike = [mask for mask in (wmh, infarct) if mask is not None]
    weight = ~np.any(unlike, axis=0) if unlike else None
    corrected = correct_bias(reference.data, brain_mask, reference.voxel_sizes_mm, weight)
    filled_mm3 = 0.0
    if wmh is not None:
        filled_mm3 = float(np.count_nonzero(wmh) * reference.voxel_mm3)
        known = brain_mask if infarct is None else brain_mask & ~infarct
        corrected = fill_lesions(corrected, wmh, known, reference.voxel_sizes_mm)
    brain = Grid3D(robust_range(np.where(brain_mask, corrected, 0)), reference.affine)
    fit = register_brains(brain, template, out_dir, seed, template_mask, infarct, start, ventricles)
    return replace(fit, metrics=fit.metrics | {"wmh_filled_mm3": filled_mm3})


def register_brains(
    brain: Grid3D,
    template: Grid3D,
    out_dir: str | os.PathLike[str],
    seed: int,
    template_mask: NDArray[np.bool_] | None = None,
    infarct: NDArray[np.bool_] | None = None,
    start: WarpStart | None = None,
    ventricles: TemplateVentricles | None = None,
) -> WarpFit:
    """Register a brain to the template: affine from several starts, SyN.

    Parameters
    ----------
    brain
        Scaled to 0..1, 0 outside, bias corrected.
    template, out_dir, seed, template_mask, infarct, start, ventricles
        As for :func:`register_to_template`.

    Returns
    -------
    WarpFit
        Transforms and their metrics; those of the affine only if it was found here.
    """
    folder = Path(out_dir).absolute()
    # SyN gains nothing from a grid finer than the person's own voxels
    working_mm = float(np.clip(brain.finest_mm, template.finest_mm, COARSEST_SYN_MM))
    goal_mask = template.data > 0 if template_mask is None else template_mask
    whole = resample_isotropic(Grid3D(robust_range(template.data), template.affine), working_mm)
    whole_brain = resample_mask(goal_mask, template.affine, working_mm)
    # the finest level at which there is something to smooth
    levels_mm = [level for level in SYN_LEVELS_MM if level > 1.5 * working_mm]
    state = None if start is None else start.state
    iterations = list(SYN_ITERATIONS if state is None else AGAIN_ITERATIONS)[: len(levels_mm)]
    if state is not None and len(levels_mm) > 1:
        levels_mm, iterations = levels_mm[1:], iterations[1:]
    metrics: dict[str, Any] = {}
    if start is None:
        fit = register_linear(whole, brain, ("Affine",), seed, spacing_mm=AFFINE_MM)
        affine = fit.matrix
        metrics = {"start": fit.start, "mutual_information_affine": fit.mutual_information}
    else:
        affine = start.affine
    # what lies further from the brain costs time and says nothing
    inside = Grid3D(whole_brain.astype(np.float32), whole.affine)
    goal_box = box_around(inside, TEMPLATE_MARGIN_MM)
    goal, goal_brain = cropped(whole, goal_box), whole_brain[goal_box]
    box = box_around(brain, SYN_MARGIN_MM)
    part = cropped(brain, box)
    working = resample_isotropic(part, working_mm)
    outside = None if infarct is None else ~infarct[box]
    fluid = _fluid_to_meet(part, ventricles, affine, outside, goal_box, working_mm)
    forward, inverse = register_nonlinear(
        goal,
        working,
        affine,
        str(folder / "xfm"),
        seed,
        iterations=iterations,
        spacings_mm=levels_mm,
        template_mask=ndimage.binary_dilation(goal_brain, iterations=3),
        moving_mask=None if infarct is None else _without(infarct[box], part.affine, working_mm),
        state=state,
        save_state=folder / STATE_FILE if state is None else None,
        fluid=fluid,
    )
    jacobian = jacobian_determinant(goal, forward, seed)[goal_brain]
    metrics |= {"jacobian_min": float(jacobian.min()), "jacobian_max": float(jacobian.max())}
    if ventricles is not None:
        met = 0.0 if fluid is None else float(fluid[1].sum(dtype=np.float64)) * working.voxel_mm3
        metrics["ventricles_met_mm3"] = met
    return WarpFit(forward, inverse, metrics, affine, str(state or folder / STATE_FILE))


def _fluid_to_meet(
    brain: Grid3D,
    ventricles: TemplateVentricles | None,
    affine: NDArray[np.float64],
    counted: NDArray[np.bool_] | None,
    goal_box: tuple[slice, ...],
    working_mm: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Bring the ventricles of template and person to their working grids, if they are to meet."""
    wide = None if ventricles is None else wide_ventricles(brain, ventricles, affine, counted)
    if ventricles is None or wide is None:
        return None
    own = resample_isotropic(Grid3D(ventricles.fluid, ventricles.affine), working_mm)
    theirs = Grid3D(wide.astype(np.float32), brain.affine)
    return own.data[goal_box], resample_isotropic(theirs, working_mm).data


def wide_ventricles(
    brain: Grid3D,
    ventricles: TemplateVentricles,
    affine: NDArray[np.float64],
    counted: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_] | None:
    """Find a person's ventricles if they are far wider than the affine explains.

    Parameters
    ----------
    brain
        T1w or FLAIR, 0 outside the brain.
    ventricles
        The template's.
    affine
        Points of the template to points of the brain, RAS mm.
    counted
        Where fluid may be theirs; everywhere if None.

    Returns
    -------
    ndarray or None
        Wide places full of fluid that lie in the template's region in part; None if little of them
        lies beyond it.
    """
    data = brain.data
    inside = data > 0
    if not inside.any():
        return None
    fluid = inside & (data < FLUID_SHARE * np.percentile(data[inside], BRIGHT_PERCENTILE))
    if counted is not None:
        fluid &= counted
    matrix = np.linalg.inv(affine @ ventricles.affine) @ brain.affine
    values = ventricles.region.astype(np.float32)
    laid = ndimage.affine_transform(values, matrix[:3, :3], matrix[:3, 3], data.shape, order=1)
    return reaching_out(fluid, laid > 0.5, LEAST_BEYOND_MM3, brain.voxel_sizes_mm)


def _without(
    infarct: NDArray[np.bool_], affine: NDArray[np.float64], spacing_mm: float
) -> NDArray[np.bool_] | None:
    """Return where SyN's metric counts: everywhere but in an infarct and right beside it."""
    if not infarct.any():
        return None
    # any of it in a voxel counts, or small infarcts would be lost in voxels larger than their own
    grown = Grid3D(ndimage.binary_dilation(infarct).astype(np.float32), affine)
    return resample_isotropic(grown, spacing_mm).data < LEAST_INFARCT_SHARE
