"""Registration to the template: SyN from an affine start, lesions filled, infarcts left out."""

from __future__ import annotations

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

from wmhflow.ants.warp import WarpFit, register_to_template
from wmhflow.core.wmh.filling import LEAST_AGAIN_ML
from wmhflow.files.grids import load_grid
from wmhflow.files.itk import read_itk_affine, write_itk_affine

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


def _load_optional_mask(path: Any) -> NDArray[np.bool_] | None:
    """Load a mask if its path was given."""
    return load_grid(path).data > 0 if path else None
