"""Interfaces that lay atlases over a person, and measure what overlaps in them."""

from __future__ import annotations

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

from wmhflow.ants.transforms import map_points
from wmhflow.core.regions.lobes import lay_lobes
from wmhflow.core.regions.lookup import as_volumes, labels_at, steps_at, voxels_of
from wmhflow.core.regions.probabilities import overlapping_labels, weighted_volumes
from wmhflow.core.space.geometry import spacing_of, voxel_mm3, world_coordinates
from wmhflow.core.tissue.parcellation import recode
from wmhflow.errors import InputError
from wmhflow.files.atlases import load_atlas
from wmhflow.interfaces._files import (
    Columns,
    load_columns,
    load_labels,
    load_mask,
    save,
    save_columns,
    save_json,
)
from wmhflow.labels.freesurfer import load_freesurfer_codes


class _PointsInput(BaseInterfaceInputSpec):
    masks = InputMultiObject(
        File(exists=True), mandatory=True, desc="voxels above 0 of any of them are looked up"
    )
    transforms = InputMultiObject(
        File(exists=True), mandatory=True, desc="points of the person to points of the template"
    )


class _PointsOutput(TraitedSpec):
    points = File(exists=True, desc="where each voxel lies in the template, RAS mm")


class PointsInTemplate(SimpleInterface):
    """Find the place of every voxel of the brain in a template, once for all atlases on it."""

    input_spec = _PointsInput
    output_spec = _PointsOutput

    def _run_interface(self, runtime: Any) -> Any:
        masks = [load_mask(path) for path in self.inputs.masks]
        mask, affine = np.any([mask for mask, _ in masks], axis=0), masks[0][1]
        centres = world_coordinates(voxels_of(mask), affine)
        points = map_points(centres, self.inputs.transforms, 0).astype(np.float32)
        self._results["points"] = save_columns(runtime.cwd, "points", Columns(points, mask, affine))
        return runtime


class _LayInput(BaseInterfaceInputSpec):
    atlas = traits.Str(mandatory=True, desc="NAME, or NAME=PATH")
    sides_checked = traits.Bool(False, usedefault=True)
    image = File(exists=True, mandatory=True, desc="the atlas's image: another one is another step")
    points = File(exists=True, mandatory=True, desc="places of voxels in the atlas's template")
    threshold = traits.Float(mandatory=True, desc="from which a probability makes a region")


class _LayOutput(TraitedSpec):
    labels = File(exists=True, desc="the atlas's numbers, or one per combination of its regions")
    members = File(desc="per region, the combinations that hold it, if regions may overlap")
    steps = File(desc="probabilities in steps, a column per region")


class LayAtlas(SimpleInterface):
    """Bring an atlas to the reference grid, once; 0 where no place was looked up."""

    input_spec = _LayInput
    output_spec = _LayOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        atlas = load_atlas(inputs.atlas, sides_checked=inputs.sides_checked)
        points, mask, affine = load_columns(inputs.points)
        if atlas.kind == "labels":
            found = labels_at(points, atlas.data, atlas.affine)
        else:
            steps = steps_at(points, atlas.data, atlas.affine)
            found, members = overlapping_labels(steps, inputs.threshold)
            self._results["members"] = save_json(runtime.cwd, "members", members)
            self._results["steps"] = save_columns(
                runtime.cwd, "steps", Columns(steps, mask, affine)
            )
        if not found.any():
            raise InputError(
                f"No region of the atlas {atlas.name} reaches the person's brain; is the template "
                "the right one (--atlas-template), and the threshold of probabilities "
                "(--atlas-threshold)?"
            )
        labels = as_volumes(found, mask)
        self._results["labels"] = save(runtime.cwd, "labels", labels, affine, np.int32)
        return runtime


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
        table = []
        for path, regions in zip(self.inputs.steps, self.inputs.regions, strict=True):
            steps, mask, _ = load_columns(path)
            measured = weighted_volumes(steps, wmh[tuple(voxels_of(mask).T)], voxel_mm3(affine))
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
