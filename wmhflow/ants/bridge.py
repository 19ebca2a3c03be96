"""Two templates registered to each other, so that an atlas of one can be laid over the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wmhflow.ants.brain import extract_brain
from wmhflow.ants.transforms import resample_through
from wmhflow.ants.warp import register_brains
from wmhflow.core.space.grids import Grid3D, robust_range
from wmhflow.core.tissue.bias import correct_bias
from wmhflow.core.tissue.bridge import drawn_labels, drawn_priors
from wmhflow.core.tissue.parcellation import recode
from wmhflow.errors import InputError
from wmhflow.files.template import Template
from wmhflow.labels.freesurfer import load_freesurfer_codes

# Below this the two images are not of the same anatomy, or the registration failed.
LEAST_CORRELATION = 0.6


def register_bridge(
    image: Grid3D, template: Template, seed: int, out: Path, *, has_labels: bool, name: str
) -> None:
    """Register, and write the transform from the program's template to the other one.

    Parameters
    ----------
    image
        T1w of the other template, or an atlas with FreeSurfer's codes.
    template
        The program's template.
    seed
        Seed of everything random.
    out
        Where the transform is written, ``.h5``.
    has_labels
        Whether the image holds FreeSurfer's codes.
    name
        How messages name the image.

    Raises
    ------
    InputError
        If the result is none.
    """
    fixed, brain = template.grid("t1w"), template.mask("brain_mask")
    if has_labels:
        moving, fixed = drawn_pair(image, template)
    else:
        moving = head_without_skull(image, fixed, brain, seed)
    fit = register_brains(moving, fixed, out.parent, seed, template_mask=brain)
    laid = resample_through(moving, fixed, [fit.forward])
    likeness = float(np.corrcoef(laid[brain], fixed.data[brain])[0, 1])
    if not likeness > LEAST_CORRELATION or fit.metrics["jacobian_min"] <= 0:
        raise InputError(
            f"{name} could not be registered to the program's template (correlation "
            f"{likeness:.2f}, smallest Jacobian {fit.metrics['jacobian_min']:.2f}); is it the T1w "
            "image of the template that the atlas lies on?"
        )
    Path(fit.forward).replace(out)


def head_without_skull(
    head: Grid3D, template: Grid3D, brain: NDArray[np.bool_], seed: int
) -> Grid3D:
    """Find the brain in a template's T1w, and even it out."""
    mask = extract_brain(head, template, brain, seed)
    corrected = correct_bias(head.data, mask, head.voxel_sizes_mm)
    return Grid3D(robust_range(np.where(mask, corrected, 0)), head.affine)


def drawn_pair(atlas: Grid3D, template: Template) -> tuple[Grid3D, Grid3D]:
    """Draw an atlas with FreeSurfer's codes, and the template, alike."""
    codes = np.rint(atlas.data).astype(np.int32)
    tissue = recode(codes, {c: entry.tissue for c, entry in load_freesurfer_codes().items()})
    cortex, deep_grey, csf = (template.grid(name).data for name in ("cortex", "deep_grey", "csf"))
    ventricles, infratentorial = (template.mask(name) for name in ("ventricles", "infratentorial"))
    drawn = drawn_priors(cortex, deep_grey, csf, ventricles, infratentorial)
    return Grid3D(drawn_labels(tissue), atlas.affine), Grid3D(drawn, template.grid("t1w").affine)
