"""Steps that bring images of one person together, and the person to the template."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from wmhflow.ants.rigid import refuse_poor, register_rigid, rigid_metrics
from wmhflow.ants.warp import TemplateVentricles, WarpStart, register_to_template
from wmhflow.core.space.geometry import voxel_mm3
from wmhflow.core.space.grids import Grid3D, centroid_mm, robust_range
from wmhflow.core.wmh.filling import LEAST_AGAIN_ML
from wmhflow.files.itk import read_itk_affine, write_itk_affine
from wmhflow.files.template import Template
from wmhflow.steps.alignment import mirrored_facts, say_mirrored, say_which_form_fits
from wmhflow.steps.kinds import Facts, Folder, MaskImage, about, step


class RigidAlignment(NamedTuple):
    """A rigid transform, and how good it is."""

    transform: Path
    metrics: Facts


@step(mem_gb=2.0, seconds=10, ants=True)
def align_rigidly(
    fixed: Grid3D,
    moving: Grid3D,
    quality: str,
    moving_name: str,
    fixed_name: str,
    seed: int,
    folder: Folder,
    trust: str | None = None,
) -> RigidAlignment:
    """Align two images of one person.

    Parameters
    ----------
    fixed, moving
        The image that stays, and the one that is aligned to it.
    quality
        What a bad alignment leads to: ``flag``, ``fail`` or ``off``.
    moving_name, fixed_name
        How messages name the images.
    seed
        Seed of the metric's sampling.
    folder
        Where the transform is written.
    trust
        The form of headers that is believed, ``sform`` or ``qform``.

    Returns
    -------
    RigidAlignment
        ITK text file from points of fixed to points of moving.

    Raises
    ------
    InputError
        If the alignment is bad, and ``quality`` is ``fail``.
    """
    judged = quality != "off"
    if judged:
        say_which_form_fits(fixed, moving, (fixed_name, moving_name), seed, trust)
    found = register_rigid(fixed, moving, seed, retry=judged)
    if quality == "fail":
        refuse_poor(found, moving_name, fixed_name)
    transform = write_itk_affine(found.fit.matrix, folder / "rigid.txt")
    pair = [Grid3D(robust_range(grid.data), grid.affine) for grid in (fixed, moving)]
    metrics = rigid_metrics(found, centroid_mm(pair[0]), judged)
    if judged:
        metrics |= mirrored_facts(pair[0], pair[1], found.fit.matrix, seed)
        say_mirrored(metrics, (moving_name, fixed_name), quality)
    return RigidAlignment(Path(transform), metrics)


def _ventricles_of(template: Template) -> TemplateVentricles:
    """Take the template's lateral ventricles."""
    csf, region = template.grid("csf"), template.mask("ventricles")
    return TemplateVentricles((csf.data * region).astype(np.float32), region, csf.affine)


class Warp(NamedTuple):
    """Composite transforms between a person and the template, ``.h5``, and how good they are."""

    forward: Path
    inverse: Path
    metrics: Facts


class FirstWarp(NamedTuple):
    """A warp, and what a later one goes on from.

    ``affine`` is what it began with (template points to reference points, ITK text), and ``state``
    where it ended.
    """

    forward: Path
    inverse: Path
    affine: Path
    state: Path
    metrics: Facts


@step(mem_gb=3.0, seconds=60, ants=True)
def warp_to_template(
    reference: Grid3D,
    brain_mask: MaskImage,
    template: Template,
    seed: int,
    source: str,
    folder: Folder,
    wmh: MaskImage | None = None,
    infarct: MaskImage | None = None,
) -> FirstWarp:
    """Register a person's image to the template.

    Parameters
    ----------
    reference
        T1w or FLAIR.
    brain_mask
        Brain on its grid.
    template
        The template.
    seed
        Seed of the metric's sampling.
    source
        How messages name the reference.
    folder
        Where transforms are written.
    wmh
        WMH on the reference grid, filled like white matter; None if unknown.
    infarct
        Infarcts on the reference grid, kept out of the metric.
    """
    with about(source):
        fit = register_to_template(
            reference,
            brain_mask.data,
            template.grid("t1w"),
            folder,
            seed,
            template_mask=template.mask("brain_mask"),
            wmh=None if wmh is None else wmh.data,
            infarct=None if infarct is None else infarct.data,
            ventricles=_ventricles_of(template),
        )
    affine = write_itk_affine(fit.affine, folder.absolute() / "affine.txt")
    forward, inverse, state = (Path(path) for path in (fit.forward, fit.inverse, fit.state))
    return FirstWarp(forward, inverse, Path(affine), state, fit.metrics)


@step(mem_gb=3.0, seconds=30, ants=True)
def warp_again(
    reference: Grid3D,
    brain_mask: MaskImage,
    template: Template,
    wmh: MaskImage,
    forward: Path,
    inverse: Path,
    affine: Path,
    metrics: Facts,
    seed: int,
    source: str,
    folder: Folder,
    infarct: MaskImage | None = None,
    state: Path | None = None,
) -> Warp:
    """Go on registering a person's image to the template, now that WMH are known, if they matter.

    Parameters
    ----------
    reference, brain_mask, template, seed, source, folder, infarct
        As for :func:`warp_to_template`.
    wmh
        WMH on the reference grid.
    forward, inverse, affine, metrics
        What was found before the WMH were known; the affine is kept.
    state
        Where that warp ended, to go on from; the warp is made anew from the affine if None.
    """
    if np.count_nonzero(wmh.data) * voxel_mm3(wmh.affine) < 1000 * LEAST_AGAIN_ML:
        return Warp(forward, inverse, metrics)
    with about(source):
        fit = register_to_template(
            reference,
            brain_mask.data,
            template.grid("t1w"),
            folder,
            seed,
            template_mask=template.mask("brain_mask"),
            wmh=wmh.data,
            infarct=None if infarct is None else infarct.data,
            start=WarpStart(read_itk_affine(affine), state),
            ventricles=_ventricles_of(template),
        )
    return Warp(Path(fit.forward), Path(fit.inverse), metrics | fit.metrics)
