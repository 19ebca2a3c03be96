"""Two templates registered to each other, so that an atlas of one can be laid over the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmhflow.ants.bias import correct_bias
from wmhflow.ants.brain import extract_brain
from wmhflow.ants.transforms import resample_through
from wmhflow.ants.warp import register_brains
from wmhflow.core.space.grids import Grid3D, robust_range
from wmhflow.core.tissue.bridge import drawn_labels, drawn_priors
from wmhflow.core.tissue.parcellation import recode
from wmhflow.errors import InputError
from wmhflow.files.grids import load_grid
from wmhflow.interfaces._files import load, load_labels, load_mask
from wmhflow.labels.freesurfer import load_freesurfer_codes

# Below this the two images are not of the same anatomy, or the registration failed.
LEAST_CORRELATION = 0.6
# What an atlas and the template are drawn from.
DRAWN_PRIORS = ("cortex", "deep_grey", "csf", "ventricles", "infratentorial")


def register_bridge(inputs: Any, out: Path) -> None:
    """Register, and write the transform from the program's template to the other one.

    Raises
    ------
    InputError
        If the result is none.
    """
    template = load_grid(inputs.template_t1w)
    brain = load_grid(inputs.template_mask).data > 0
    if inputs.has_labels:
        moving, template = drawn_pair(inputs, template.affine)
    else:
        moving = head_without_skull(load_grid(inputs.image), template, brain, inputs.seed)
    fit = register_brains(moving, template, out.parent, inputs.seed, template_mask=brain)
    laid = resample_through(moving, template, [fit.forward])
    likeness = float(np.corrcoef(laid[brain], template.data[brain])[0, 1])
    if not likeness > LEAST_CORRELATION or fit.metrics["jacobian_min"] <= 0:
        raise InputError(
            f"{inputs.image} could not be registered to the program's template (correlation "
            f"{likeness:.2f}, smallest Jacobian {fit.metrics['jacobian_min']:.2f}); is it the T1w "
            "image of the template that the atlas lies on?"
        )
    Path(fit.forward).replace(out)


def head_without_skull(
    head: Grid3D, template: Grid3D, brain: NDArray[np.bool_], seed: int
) -> Grid3D:
    """Find the brain in a template's T1w, and even it out."""
    mask = extract_brain(head, template, brain, seed)
    corrected = correct_bias(head, mask, seed)
    return Grid3D(robust_range(np.where(mask, corrected, 0)), head.affine)


def drawn_pair(inputs: Any, affine: NDArray[np.float64]) -> tuple[Grid3D, Grid3D]:
    """Draw an atlas with FreeSurfer's codes, and the template, alike."""
    codes, own_affine = load_labels(inputs.image)
    tissue = recode(codes, {c: entry.tissue for c, entry in load_freesurfer_codes().items()})
    priors = [load(getattr(inputs, name))[0] for name in DRAWN_PRIORS[:3]]
    masks = [load_mask(getattr(inputs, name))[0] for name in DRAWN_PRIORS[3:]]
    return Grid3D(drawn_labels(tissue), own_affine), Grid3D(drawn_priors(*priors, *masks), affine)
