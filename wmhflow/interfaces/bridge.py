"""The way from the program's template to another one, registered once and kept."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)
from numpy.typing import NDArray

import wmhflow
from wmhflow.bids.sidecars import software_versions
from wmhflow.bids.writer import write_bytes
from wmhflow.core.bridge import drawn_labels, drawn_priors
from wmhflow.core.grids import Grid3D, robust_range
from wmhflow.core.parcellation import recode
from wmhflow.data.atlases import atlas_directory
from wmhflow.data.registry import load_freesurfer_codes
from wmhflow.errors import InputError
from wmhflow.interfaces._files import load, load_labels, load_mask
from wmhflow.interfaces.itk import correct_bias, load_grid, resample_through
from wmhflow.interfaces.segmentation import extract_brain
from wmhflow.interfaces.warp import register_brains

log = logging.getLogger("wmhflow")
# Below this the two images are not of the same anatomy, or the registration failed.
LEAST_CORRELATION = 0.6
# What an atlas and the template are drawn from.
DRAWN_PRIORS = ("cortex", "deep_grey", "csf", "ventricles", "infratentorial")


class _BridgeInput(BaseInterfaceInputSpec):
    image = File(exists=True, mandatory=True, desc="T1w of the other template, or an atlas")
    has_labels = traits.Bool(False, usedefault=True, desc="the image holds FreeSurfer's codes")
    template_t1w = File(exists=True, mandatory=True, desc="the program's template, skull-stripped")
    template_mask = File(exists=True, mandatory=True, desc="its brain")
    cortex = File(exists=True, mandatory=True, desc="the template's priors")
    deep_grey = File(exists=True, mandatory=True)
    csf = File(exists=True, mandatory=True)
    ventricles = File(exists=True, mandatory=True)
    infratentorial = File(exists=True, mandatory=True)
    seed = traits.Int(42, usedefault=True, desc="seed of everything random")


class _BridgeOutput(TraitedSpec):
    forward = File(exists=True, desc="points of the program's template to points of the other one")


class BridgeTemplates(SimpleInterface):
    """Register the image of another template to the program's own, or take it from the cache."""

    input_spec = _BridgeInput
    output_spec = _BridgeOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        out = Path(runtime.cwd) / "bridge.h5"
        kept = kept_bridge(Path(inputs.image), Path(inputs.template_t1w), inputs.seed)
        if is_whole(kept):
            shutil.copyfile(kept, out)
        else:
            register_bridge(inputs, out)
            keep(out, kept)
        self._results["forward"] = str(out)
        return runtime


def kept_bridge(image: Path, template_t1w: Path, seed: int) -> Path:
    """Return where the transform between two images is kept, for this version of the program."""
    told = hashlib.sha256(image.read_bytes())
    # not the file's bytes: a compressed file holds when it was written
    template = load_grid(template_t1w)
    told.update(template.data.tobytes() + template.affine.tobytes())
    made_by = {"wmhflow": wmhflow.__version__, "antspyx": software_versions()["antspyx"]}
    told.update(json.dumps([made_by, seed]).encode())
    return atlas_directory() / "bridges" / f"{told.hexdigest()[:20]}.h5"


def keep(made: Path, kept: Path) -> None:
    """Put a transform into the cache, whole or not at all; a read-only cache stays as it is."""
    try:
        write_bytes(kept, made.read_bytes())
    except OSError as error:
        # the next run makes it again: slower, and the same bytes
        log.warning("%s cannot be kept (%s): every run makes it anew.", kept, error.strerror)


def is_whole(kept: Path) -> bool:
    """Tell whether a transform is in the cache and can be read to its end."""
    import h5py

    try:
        with h5py.File(kept) as stored:
            return "TransformGroup" in stored
    except OSError:
        return False


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
