"""Interfaces that prepare images and masks on the reference grid and name its tissues."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    InputMultiObject,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from wmhflow.ants.priors import PRIORS_MARGIN_MM, template_x
from wmhflow.ants.transforms import apply_transforms, resample_through
from wmhflow.core.regions.lesions import count_hole_voxels, fill_holes
from wmhflow.core.regions.nawm import (
    combine_tissues,
    normal_appearing_white_matter,
    without_infarct,
)
from wmhflow.core.space.geometry import spacing_of, voxel_mm3
from wmhflow.core.space.grids import Grid3D, box_around, cropped, uncropped
from wmhflow.core.tissue.parcellation import complete_hemispheres, recode, unknown_codes
from wmhflow.core.wmh.model import GIVEN_THRESHOLD
from wmhflow.errors import InputError
from wmhflow.files.grids import load_grid
from wmhflow.files.images import load_volume
from wmhflow.interfaces._files import load, load_labels, load_mask, save
from wmhflow.labels.digits import LETTERS, VENTRICLES
from wmhflow.labels.freesurfer import load_freesurfer_codes

PROBABILITIES, MASKS = ("csf", "cortex", "deep_grey", "white"), ("ventricles", "infratentorial")


class _PrepareInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="raw 3D image")


class _PrepareOutput(TraitedSpec):
    out_file = File(exists=True, desc="single precision, finite, position in both forms")
    facts = traits.Dict(desc="voxels that were NaN or infinite and became 0")


class PrepareImage(SimpleInterface):
    """Make an image safe to compute with; its grid stays as it is."""

    input_spec = _PrepareInput
    output_spec = _PrepareOutput

    def _run_interface(self, runtime: Any) -> Any:
        data, affine, _ = load_volume(Path(self.inputs.in_file))
        values = np.asarray(data, dtype=np.float32)
        finite = np.isfinite(values)
        self._results["facts"] = {"nonfinite_voxels": int(np.count_nonzero(~finite))}
        self._results["out_file"] = save(
            runtime.cwd, "prepared", np.where(finite, values, 0), affine, np.float32
        )
        return runtime


class _GivenMaskInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="mask or probability image as given")
    reference = File(exists=True, mandatory=True, desc="image with the grid to fill")
    transforms = InputMultiObject(File(exists=True), desc="from the mask's space to the reference")
    is_probability = traits.Bool(False, usedefault=True)
    fill_holes = traits.Bool(False, usedefault=True)
    what = traits.Str("wmh", usedefault=True, desc="put before the names of the counts")


class _GivenMaskOutput(TraitedSpec):
    mask = File(exists=True, desc="mask on the reference grid")
    probseg = File(desc="probabilities on the reference grid, if they were given")
    facts = traits.Dict(desc="counts for the QC table")


class GivenMask(SimpleInterface):
    """Bring a given lesion mask to the reference grid, once, by nearest neighbour."""

    input_spec = _GivenMaskInput
    output_spec = _GivenMaskOutput

    def _run_interface(self, runtime: Any) -> Any:
        path = Path(self.inputs.in_file)
        data, affine, _ = load_volume(path)
        values = np.nan_to_num(np.asarray(data, dtype=np.float32), posinf=0.0, neginf=0.0)
        native = values if self.inputs.is_probability else (values != 0).astype(np.float32)
        placed, grid = self._place(runtime.cwd, native, affine)
        mask = placed > GIVEN_THRESHOLD if self.inputs.is_probability else placed != 0
        what, given = self.inputs.what, _volume(native > 0.5, affine)
        facts = {
            f"{what}_nonfinite_voxels": int(np.count_nonzero(~np.isfinite(data))),
            f"{what}_given_volume_mm3": given,
            f"{what}_hole_voxels": int(count_hole_voxels(mask)),
            f"{what}_kept_fraction": _volume(mask, grid) / given if given else None,
        }
        mask = fill_holes(mask) if self.inputs.fill_holes else mask
        if self.inputs.is_probability:
            self._results["probseg"] = save(runtime.cwd, "probseg", placed, grid, np.float32)
        self._results["mask"] = save(runtime.cwd, what, mask, grid)
        self._results["facts"] = facts
        return runtime

    def _place(self, folder: str, values: Any, affine: Any) -> tuple[Any, Any]:
        native = save(folder, "native", values, affine, np.float32)
        interpolation = "linear" if self.inputs.is_probability else "nearest"
        placed = apply_transforms(
            native,
            self.inputs.reference,
            self.inputs.transforms or [],
            Path(folder) / "placed.nii",
            interpolation,
        )
        data, grid, _ = load_volume(Path(placed))
        return data, grid


def _volume(mask: Any, affine: Any) -> float:
    return float(np.count_nonzero(mask) * voxel_mm3(affine))


class _WithoutInfarctInput(BaseInterfaceInputSpec):
    wmh = File(exists=True, mandatory=True)
    infarct = File(exists=True, mandatory=True, desc="on the same grid")
    probseg = File(exists=True, desc="probability of WMH")
    with_rims = traits.Bool(False, usedefault=True, desc="lesions mostly inside go as a whole")


class _WithoutInfarctOutput(TraitedSpec):
    wmh = File(exists=True, desc="WMH outside the infarct")
    probseg = File(desc="probability of WMH, 0 where they were removed")
    facts = traits.Dict(desc="counts for the QC table")


class WithoutInfarct(SimpleInterface):
    """Take the voxels of infarcts out of WMH."""

    input_spec = _WithoutInfarctInput
    output_spec = _WithoutInfarctOutput

    def _run_interface(self, runtime: Any) -> Any:
        wmh, affine = load_mask(self.inputs.wmh)
        infarct, _ = load_mask(self.inputs.infarct)
        left, removed = without_infarct(wmh, infarct, with_rims=self.inputs.with_rims)
        self._results["wmh"] = save(runtime.cwd, "wmh", left, affine)
        if self.inputs.probseg:
            gone = infarct | (wmh & ~left)
            probability = np.where(gone, 0, load(self.inputs.probseg)[0])
            self._results["probseg"] = save(runtime.cwd, "probseg", probability, affine, np.float32)
        self._results["facts"] = {
            **{f"wmh_removed_{reason}_voxels": count for reason, count in removed.items()},
            "infarct_volume_mm3": _volume(infarct, affine),
        }
        return runtime


class _ParcellationInput(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc="FreeSurfer-coded label image as given")
    reference = File(exists=True, mandatory=True, desc="image with the grid to fill")
    transforms = InputMultiObject(File(exists=True), desc="from its space to the reference")


class _ParcellationOutput(TraitedSpec):
    tissue = File(exists=True, desc="tissue classes 1 to 7")
    ventricles = File(exists=True, desc="lateral ventricles")
    brain_mask = File(exists=True, desc="everything that has a tissue")
    hemispheres = File(exists=True, desc="1 left, 2 right, everywhere")
    cortex_lobes = File(exists=True, desc="lobe of every cortical voxel")
    facts = traits.Dict(desc="counts for the QC table")


class TissuesFromParcellation(SimpleInterface):
    """Read tissues, ventricles, sides and lobes from a given FreeSurfer-coded parcellation."""

    input_spec = _ParcellationInput
    output_spec = _ParcellationOutput

    def _run_interface(self, runtime: Any) -> Any:
        codes, affine = self._place(runtime.cwd)
        known = load_freesurfer_codes()
        side = {letter: digit for digit, letter in LETTERS.items()}
        tissue = recode(codes, {code: entry.tissue for code, entry in known.items()})
        sides = recode(codes, {code: side[entry.hemisphere] for code, entry in known.items()})
        lobes = recode(codes, {code: entry.lobe for code, entry in known.items()})
        unknown = unknown_codes(codes, {code: entry.tissue for code, entry in known.items()})
        images = {
            "tissue": tissue,
            "ventricles": tissue == VENTRICLES,
            "brain_mask": tissue > 0,
            "hemispheres": complete_hemispheres(sides, affine),
            "cortex_lobes": lobes,
        }
        for name, image in images.items():
            self._results[name] = save(runtime.cwd, name, image, affine)
        self._results["facts"] = {"parcellation_unknown_voxels": sum(unknown.values())}
        return runtime

    def _place(self, folder: str) -> tuple[Any, Any]:
        data, affine, _ = load_volume(Path(self.inputs.in_file))
        native = save(folder, "native", np.nan_to_num(data), affine, np.int32)
        placed = apply_transforms(
            native,
            self.inputs.reference,
            self.inputs.transforms or [],
            Path(folder) / "placed.nii",
            "nearest",
        )
        codes, grid = load_labels(placed)
        if not codes.any():
            raise InputError(
                f"{self.inputs.in_file} has no label on the reference grid; check its header."
            )
        return codes, grid


class _WarpPriorsInput(BaseInterfaceInputSpec):
    brain_mask = File(exists=True, mandatory=True, desc="brain on the reference grid")
    inverse = File(exists=True, mandatory=True, desc="transform from the template to the reference")
    csf = File(exists=True, mandatory=True, desc="probability")
    cortex = File(exists=True, mandatory=True, desc="probability")
    deep_grey = File(exists=True, mandatory=True, desc="probability")
    white = File(exists=True, mandatory=True, desc="probability")
    ventricles = File(exists=True, mandatory=True, desc="mask")
    infratentorial = File(exists=True, mandatory=True, desc="mask")


class _WarpPriorsOutput(TraitedSpec):
    csf = File(exists=True)
    cortex = File(exists=True)
    deep_grey = File(exists=True)
    white = File(exists=True)
    ventricles = File(exists=True)
    infratentorial = File(exists=True)
    hemispheres = File(exists=True, desc="completed, so that every voxel has a side")


class WarpPriors(SimpleInterface):
    """Bring the template's priors to the brain: masks by nearest neighbour.

    Further than 10 mm from it they are 0; hemispheres have a side everywhere.
    """

    input_spec = _WarpPriorsInput
    output_spec = _WarpPriorsOutput

    def _run_interface(self, runtime: Any) -> Any:
        brain = load_grid(self.inputs.brain_mask)
        box = box_around(brain, PRIORS_MARGIN_MM)
        part, inverse = cropped(brain, box), [self.inputs.inverse]
        grids = {name: load_grid(getattr(self.inputs, name)) for name in (*PROBABILITIES, *MASKS)}
        for name, grid in grids.items():
            is_mask = name in MASKS
            warped = resample_through(grid, part, inverse, "nearest" if is_mask else "linear")
            whole = uncropped(warped, box, brain.data.shape)
            dtype = np.uint8 if is_mask else np.float32
            self._results[name] = save(runtime.cwd, name, whole, brain.affine, dtype)
        x = template_x(grids["white"].data.shape, grids["white"].affine)
        warped = resample_through(Grid3D(x, grids["white"].affine), part, inverse)
        # exactly 0 is what lies outside the template's field of view
        sides = uncropped(
            np.where(warped < 0, 1, np.where(warped > 0, 2, 0)), box, brain.data.shape
        )
        self._results["hemispheres"] = save(
            runtime.cwd, "hemispheres", complete_hemispheres(sides, brain.affine), brain.affine
        )
        return runtime


class _CombineInput(BaseInterfaceInputSpec):
    tissue = File(exists=True, mandatory=True)
    hemispheres = File(exists=True, mandatory=True)
    wmh = File(exists=True, mandatory=True)
    infarct = File(exists=True, desc="infarcts and other lesions that are no WMH")
    guard_mm = traits.Either(None, traits.Float, desc="distance kept from CSF and grey matter")


class _CombineOutput(TraitedSpec):
    tissue = File(exists=True, desc="seg-tissue with lesions in it")
    nawm = File(exists=True, desc="normal-appearing white matter")
    facts = traits.Dict(desc="counts for the QC table")


class CombineTissues(SimpleInterface):
    """Put the lesions into the tissue image and find normal-appearing white matter."""

    input_spec = _CombineInput
    output_spec = _CombineOutput

    def _run_interface(self, runtime: Any) -> Any:
        tissue, affine = load_labels(self.inputs.tissue)
        hemispheres, _ = load_labels(self.inputs.hemispheres)
        wmh, _ = load_mask(self.inputs.wmh)
        spacing = spacing_of(affine)
        combined = combine_tissues(tissue, hemispheres, wmh)
        guard = self.inputs.guard_mm or float(spacing.min())
        infarct = load_mask(self.inputs.infarct)[0] if self.inputs.infarct else None
        nawm, removed = normal_appearing_white_matter(combined, spacing, guard, infarct)
        self._results["tissue"] = save(runtime.cwd, "tissue", combined, affine)
        self._results["nawm"] = save(runtime.cwd, "nawm", nawm, affine)
        self._results["facts"] = {
            **{f"nawm_removed_{reason}_voxels": count for reason, count in removed.items()},
            "tissue_guard_mm": guard,
        }
        return runtime
