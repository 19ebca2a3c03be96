"""Transforms that are given or found: written as ITK does, and applied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    InputMultiObject,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from wmhflow.ants.transforms import apply_transforms
from wmhflow.files.itk import write_itk_affine
from wmhflow.files.transforms import linear_matrix


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
