"""Interfaces that lay atlases over a person, and measure what overlaps in them."""

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
from numpy.typing import NDArray

from wmhflow.bids.atlases import Atlas, load_atlas
from wmhflow.core.geometry import spacing_of
from wmhflow.core.parcellation import lay_lobes, recode
from wmhflow.core.probabilities import overlapping_labels, steps_at, weighted_volumes
from wmhflow.data.registry import load_freesurfer_codes
from wmhflow.errors import InputError
from wmhflow.interfaces._files import load, load_labels, load_mask, save, save_json
from wmhflow.interfaces.itk import apply_transforms, load_grid, map_points


class _LayInput(BaseInterfaceInputSpec):
    atlas = traits.Str(mandatory=True, desc="NAME, or NAME=PATH")
    sides_checked = traits.Bool(False, usedefault=True)
    image = File(exists=True, mandatory=True, desc="the atlas's image: another one is another step")
    reference = File(exists=True, mandatory=True, desc="image with the grid to fill")
    brain_mask = File(exists=True, mandatory=True, desc="where probabilities are wanted")
    transforms = InputMultiObject(
        File(exists=True), mandatory=True, desc="points of the reference to points of the atlas"
    )
    threshold = traits.Float(mandatory=True, desc="from which a probability makes a region")


class _LayOutput(TraitedSpec):
    labels = File(exists=True, desc="the atlas's numbers, or one per combination of its regions")
    members = File(desc="per region, the combinations that hold it, if regions may overlap")
    steps = File(desc="probabilities in steps, a volume per region")


class LayAtlas(SimpleInterface):
    """Bring an atlas to the reference grid, once."""

    input_spec = _LayInput
    output_spec = _LayOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        atlas = load_atlas(inputs.atlas, sides_checked=inputs.sides_checked)
        if atlas.kind == "labels":
            self._results["labels"] = lay_labels(
                atlas, inputs.reference, inputs.transforms, Path(runtime.cwd)
            )
            return runtime
        steps, affine = lay_probabilities(
            atlas, inputs.reference, inputs.brain_mask, inputs.transforms
        )
        labels, members = overlapping_labels(steps, inputs.threshold)
        _check_reached(atlas, labels)
        self._results["labels"] = save(runtime.cwd, "labels", labels, affine, np.int32)
        self._results["members"] = save_json(runtime.cwd, "members", members)
        self._results["steps"] = save(runtime.cwd, "steps", steps, affine, np.uint8)
        return runtime


def lay_labels(atlas: Atlas, reference: str, transforms: list[str], folder: Path) -> str:
    """Bring labels to the reference grid by nearest neighbour."""
    own = save(folder, "atlas", atlas.data, atlas.affine, np.int32)
    laid = apply_transforms(own, reference, transforms, folder / "labels.nii", "nearest")
    _check_reached(atlas, load_labels(laid)[0])
    return laid


def _check_reached(atlas: Atlas, laid: NDArray[Any]) -> None:
    """Refuse an atlas of which nothing lies in the person."""
    if not laid.any():
        raise InputError(
            f"No region of the atlas {atlas.name} reaches the person's image; is the template the "
            "right one (--atlas-template), and the threshold of probabilities (--atlas-threshold)?"
        )


def lay_probabilities(
    atlas: Atlas, reference: str, brain_mask: str, transforms: list[str]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Bring probabilities to the brain on the reference grid, linearly; 0 outside the brain."""
    brain, affine = load_mask(brain_mask)
    points = map_points(load_grid(reference), transforms, 0)[:, brain].T
    steps = np.zeros((*brain.shape, atlas.data.shape[3]), dtype=np.uint8)
    steps[brain] = steps_at(points, atlas.data, atlas.affine)
    return steps, affine


class _WeightedInput(BaseInterfaceInputSpec):
    steps = InputMultiObject(File(exists=True), mandatory=True, desc="probabilities, per atlas")
    regions = traits.List(traits.List(traits.Dict), mandatory=True, desc="their regions, in order")
    wmh = File(exists=True, mandatory=True)


class _WeightedOutput(TraitedSpec):
    rows = File(exists=True, desc="rows of the table")


class WeightedVolumes(SimpleInterface):
    """Measure WMH in regions that may overlap, weighted by probability."""

    input_spec = _WeightedInput
    output_spec = _WeightedOutput

    def _run_interface(self, runtime: Any) -> Any:
        wmh, affine = load_mask(self.inputs.wmh)
        voxel_mm3 = float(abs(np.linalg.det(affine[:3, :3])))
        table = []
        for path, regions in zip(self.inputs.steps, self.inputs.regions, strict=True):
            measured = weighted_volumes(load(path)[0], wmh, voxel_mm3)
            table += [{**cells, **row} for cells, row in zip(regions, measured, strict=True)]
        self._results["rows"] = save_json(runtime.cwd, "weighted", table)
        return runtime


class _LobesInput(BaseInterfaceInputSpec):
    codes = File(exists=True, mandatory=True, desc="an atlas with FreeSurfer's codes, laid over")
    tissue = File(exists=True, mandatory=True, desc="the person's tissues")


class _LobesOutput(TraitedSpec):
    cortex_lobes = File(exists=True, desc="lobe of the person's cortex and deep nuclei")


class LobesFromAtlas(SimpleInterface):
    """Give the person's own cortex and deep nuclei the lobes of an atlas laid over them."""

    input_spec = _LobesInput
    output_spec = _LobesOutput

    def _run_interface(self, runtime: Any) -> Any:
        codes, _ = load_labels(self.inputs.codes)
        tissue, affine = load_labels(self.inputs.tissue)
        known = load_freesurfer_codes()
        lobes = recode(codes, {code: entry.lobe for code, entry in known.items()})
        classes = recode(codes, {code: entry.tissue for code, entry in known.items()})
        right = recode(codes, {c: entry.hemisphere == "R" for c, entry in known.items()}) > 0
        laid = lay_lobes(lobes, classes, right, tissue, spacing_of(affine))
        self._results["cortex_lobes"] = save(runtime.cwd, "cortex_lobes", laid, affine, np.uint8)
        return runtime
