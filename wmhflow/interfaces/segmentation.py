"""Template priors, brain extraction, tissue classes, ventricles and WMH as nipype interfaces."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from wmhflow.ants.brain import extract_brain
from wmhflow.ants.priors import brought_to_brain, wmh_priors
from wmhflow.ants.tissue import segment_tissue
from wmhflow.ants.transforms import average_through
from wmhflow.core.arrays.components import keep_large
from wmhflow.core.space.grids import Grid3D, box_of, cropped, uncropped
from wmhflow.core.tissue import labelling as tissue
from wmhflow.core.tissue.brain import Shown, filled_foreground, what_is_shown
from wmhflow.core.wmh import segmentation as wmh
from wmhflow.core.wmh.edges import LEAST_LESION_MM3, agreeing
from wmhflow.core.wmh.model import LesionModel
from wmhflow.errors import InputError
from wmhflow.files.grids import load_grid, save_like
from wmhflow.files.template import write_template_priors

if TYPE_CHECKING:
    from numpy.typing import NDArray


class _PriorsInput(BaseInterfaceInputSpec):
    resolution = traits.Enum(1, 2, usedefault=True, desc="voxel size in mm")


class _PriorsOutput(TraitedSpec):
    t1w = File(exists=True, desc="skull-stripped template")
    brain_mask = File(exists=True, desc="its brain")
    csf = File(exists=True, desc="probability of CSF")
    cortex = File(exists=True, desc="probability of cortical grey matter")
    deep_grey = File(exists=True, desc="probability of basal ganglia and thalamus")
    white = File(exists=True, desc="probability of white matter")
    ventricles = File(exists=True, desc="generous region of the lateral ventricles")
    infratentorial = File(exists=True, desc="cerebellum and brain stem")


class TemplatePriors(SimpleInterface):
    """Write the packaged template and the priors drawn on it into the working folder."""

    input_spec = _PriorsInput
    output_spec = _PriorsOutput

    def _run_interface(self, runtime: Any) -> Any:
        self._results.update(write_template_priors(Path(runtime.cwd), self.inputs.resolution))
        return runtime


class _BrainInput(BaseInterfaceInputSpec):
    image = File(exists=True, mandatory=True, desc="T1w or FLAIR, whole head or skull-stripped")
    template_t1w = File(exists=True, mandatory=True, desc="skull-stripped template")
    template_mask = File(exists=True, mandatory=True, desc="its brain")
    other = File(exists=True, desc="another image of the person, in its own space")
    other_transform = File(exists=True, desc="image points to points of the other image")
    seed = traits.Int(42, usedefault=True, desc="seed of everything random")


class _BrainOutput(TraitedSpec):
    brain_mask = File(exists=True, desc="brain on the image's grid")


class BrainExtraction(SimpleInterface):
    """Find the brain."""

    input_spec = _BrainInput
    output_spec = _BrainOutput

    def _run_interface(self, runtime: Any) -> Any:
        head = load_grid(self.inputs.image)
        other = load_grid(self.inputs.other) if self.inputs.other else None
        mask = extract_brain(
            head,
            load_grid(self.inputs.template_t1w),
            load_grid(self.inputs.template_mask).data > 0,
            self.inputs.seed,
            self._brain_of_other(head, other) if other is not None else None,
            max(other.voxel_sizes_mm) if other is not None else None,
        )
        out = Path(runtime.cwd) / "brain_mask.nii.gz"
        self._results["brain_mask"] = save_like(mask, self.inputs.image, out, np.uint8)
        return runtime

    def _brain_of_other(self, head: Grid3D, other: Grid3D) -> NDArray[np.bool_] | None:
        """Bring the brain of the other image, if it is skull-stripped, to the head's grid."""
        if what_is_shown(other.data, other.voxel_mm3) is not Shown.BRAIN:
            return None
        transforms = [self.inputs.other_transform]
        inside = filled_foreground(other.data)
        body, reached = (
            average_through(Grid3D(values.astype(np.float32), other.affine), head, transforms) > 0.5
            for values in (inside, np.ones_like(inside))
        )
        return body | ~reached


class _TissueInput(BaseInterfaceInputSpec):
    image = File(exists=True, mandatory=True, desc="T1w, or FLAIR if there is none")
    brain_mask = File(exists=True, mandatory=True, desc="brain")
    csf = File(exists=True, mandatory=True, desc="warped prior")
    cortex = File(exists=True, mandatory=True, desc="warped prior")
    deep_grey = File(exists=True, mandatory=True, desc="warped prior")
    white = File(exists=True, mandatory=True, desc="warped prior")
    ventricles = File(exists=True, mandatory=True, desc="warped region of the ventricles")
    infratentorial = File(exists=True, mandatory=True, desc="warped mask")
    hemispheres = File(exists=True, mandatory=True, desc="a side for every voxel")
    lesion_mask = File(exists=True, desc="lesions, on the image's grid")
    infarct_mask = File(exists=True, desc="infarcts, on the image's grid")
    seed = traits.Int(42, usedefault=True, desc="seed of everything random")


class _TissueOutput(TraitedSpec):
    tissue = File(exists=True, desc="labels, 10 + k left and 20 + k right")
    ventricles = File(exists=True, desc="lateral ventricles")
    bias_corrected = File(exists=True, desc="the image without its bias field")


class TissueSegmentation(SimpleInterface):
    """Label the tissues of the brain and find the lateral ventricles."""

    input_spec = _TissueInput
    output_spec = _TissueOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs, out = self.inputs, Path(runtime.cwd)
        image = load_grid(inputs.image)
        labels, ventricles, corrected = segment_tissue(
            image,
            _load_on_grid(inputs.brain_mask, image) > 0,
            _load_priors(inputs, image),
            _load_on_grid(inputs.lesion_mask, image) > 0,
            inputs.seed,
            _load_on_grid(inputs.infarct_mask, image) > 0,
        )
        for name, data, dtype in (
            ("tissue", labels, np.uint8),
            ("ventricles", ventricles, np.uint8),
            ("bias_corrected", corrected, np.float32),
        ):
            self._results[name] = save_like(data, inputs.image, out / f"{name}.nii.gz", dtype)
        return runtime


def _load_priors(inputs: Any, image: Grid3D) -> tissue.WarpedPriors:
    loaded = {
        field.name: _load_on_grid(getattr(inputs, field.name), image)
        for field in dataclasses.fields(tissue.WarpedPriors)
    }
    for name in ("ventricles", "infratentorial"):
        loaded[name] = loaded[name] > 0.5
    loaded["hemispheres"] = np.rint(loaded["hemispheres"]).astype(np.uint8)
    return tissue.WarpedPriors(**loaded)


def _load_on_grid(path: Any, image: Grid3D) -> NDArray[np.float32]:
    """Load an image that must lie on a grid; nothing given is an image of zeros."""
    if not path:
        return np.zeros(image.data.shape, np.float32)
    data = load_grid(path).data
    if data.shape != image.data.shape:
        raise InputError(f"{path} is not on the grid of its image; resample it first.")
    return data


class _WMHInput(BaseInterfaceInputSpec):
    flair = File(exists=True, mandatory=True, desc="FLAIR in its own space")
    t1w = File(exists=True, desc="T1w in its own space")
    reference = File(exists=True, mandatory=True, desc="the one of the two that is the reference")
    brain_mask = File(exists=True, mandatory=True, desc="brain on the reference grid")
    other_transform = File(exists=True, desc="reference points to points of the other image")
    reference_name = traits.Enum("T1w", "FLAIR", mandatory=True)
    inverse = File(exists=True, mandatory=True, desc="template to reference")
    csf = File(exists=True, mandatory=True, desc="template's probability")
    cortex = File(exists=True, mandatory=True, desc="template's probability")
    deep_grey = File(exists=True, mandatory=True, desc="template's probability")
    white = File(exists=True, mandatory=True, desc="template's probability")
    ventricles = File(exists=True, mandatory=True, desc="template's region of the ventricles")


class _WMHOutput(TraitedSpec):
    mask = File(exists=True, desc="WMH on the reference grid")
    probseg = File(exists=True, desc="probability of WMH on the reference grid")
    numbers = traits.Dict(desc="the numbers that the mask rests on")


class WMHSegmentation(SimpleInterface):
    """Segment white matter hyperintensities on the FLAIR's grid; bring them to the reference."""

    input_spec = _WMHInput
    output_spec = _WMHOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs, out = self.inputs, Path(runtime.cwd)
        flair, reference = load_grid(inputs.flair), load_grid(inputs.reference)
        moved = inputs.reference_name == "T1w"
        to_reference = [inputs.other_transform] if moved else []
        found = self._segment(flair, to_reference)
        # half of a voxel covered is a voxel of lesion; the probability follows the mask
        share, probability = found.share, found.probability
        if moved:
            brain = load_grid(inputs.brain_mask)
            share, probability = brought_to_brain(found, flair.affine, brain, to_reference)
        sizes = reference.voxel_sizes_mm
        mask = keep_large(share >= 0.5, LEAST_LESION_MM3, sizes)
        probability = agreeing(probability, mask, LesionModel().threshold)
        files = out / "wmh_mask.nii.gz", out / "wmh_probseg.nii.gz"
        self._results["mask"] = save_like(mask, inputs.reference, files[0], np.uint8)
        self._results["probseg"] = save_like(probability, inputs.reference, files[1], np.float32)
        self._results["numbers"] = found.numbers()
        return runtime

    def _segment(self, flair: Grid3D, to_reference: list[str]) -> wmh.WMHResult:
        """Bring brain, priors and T1w to the FLAIR, in the brain's box, and segment."""
        inverse = [True for _ in to_reference]
        brain = average_through(load_grid(self.inputs.brain_mask), flair, to_reference, inverse)
        brain = brain > 0.5
        if not brain.any():
            raise InputError(f"{self.inputs.brain_mask} holds nothing of {self.inputs.flair}.")
        box = box_of(brain)
        part = cropped(flair, box)
        names = ("csf", "cortex", "deep_grey", "white", "ventricles")
        priors = wmh_priors(
            part,
            {name: getattr(self.inputs, name) for name in names},
            [*to_reference, self.inputs.inverse],
            [*inverse, False],
        )
        t1w = None
        if self.inputs.t1w:
            # with a FLAIR for a reference the transform leads from it to the T1w already
            chain = to_reference or [self.inputs.other_transform]
            t1w = average_through(load_grid(self.inputs.t1w), part, chain, inverse or [False])
        found = wmh.segment_wmh(part.data, t1w, priors, brain[box], flair.voxel_sizes_mm)
        whole = {
            name: uncropped(getattr(found, name), box, flair.data.shape)
            for name in ("mask", "probability", "share")
        }
        return dataclasses.replace(found, **whole)
