"""Linear registration: rigid between images of one person, affine to the template."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from wmhflow.ants.rigid import refuse_poor, register_rigid, rigid_metrics
from wmhflow.ants.transforms import apply_transforms
from wmhflow.core.space.grids import Grid3D, centroid_mm, robust_range
from wmhflow.files.grids import load_grid
from wmhflow.files.itk import write_itk_affine

if TYPE_CHECKING:
    pass


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
