"""Interfaces that fill the rows of the tables: volumes, samples of maps, quality."""

from __future__ import annotations

import math
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

from wmhflow.core.checks.quality import lesion_mask_quality, likeliest_tissue
from wmhflow.core.measure.mirror import asymmetry_index
from wmhflow.core.measure.regional import region_volumes, sample_regions
from wmhflow.core.regions.lesions import lesion_centres
from wmhflow.core.regions.partition import ALL, IN_NAWM, IN_WMH, TISSUES, Row
from wmhflow.core.space.geometry import spacing_of, voxel_mm3
from wmhflow.files.images import load_volume
from wmhflow.files.itk import read_itk_affine
from wmhflow.interfaces._files import load, load_json, load_labels, load_mask, save_json
from wmhflow.interfaces.partition import load_partition, load_table_regions
from wmhflow.registries.quality import find_measure


class _VolumesInput(BaseInterfaceInputSpec):
    labels = File(exists=True, mandatory=True)
    columns = File(exists=True, mandatory=True)
    regions = File(exists=True, mandatory=True)
    lesions = File(exists=True, mandatory=True)
    intracranial = File(exists=True, mandatory=True, desc="what lies within the skull, a mask")


class _RowsOutput(TraitedSpec):
    rows = File(exists=True, desc="rows of the table")


class _VolumesOutput(_RowsOutput):
    facts = traits.Dict(desc="measures for the QC table")


class Volumes(SimpleInterface):
    """Measure every region and the lesions in it."""

    input_spec = _VolumesInput
    output_spec = _VolumesOutput

    def _run_interface(self, runtime: Any) -> Any:
        found, affine = load_partition(self.inputs.labels, self.inputs.columns)
        regions = load_table_regions(self.inputs.regions)
        lesions, _ = load_labels(self.inputs.lesions)
        rows = [Row(region.terms) for region in regions]
        centres = lesion_centres(lesions, affine)
        measured = region_volumes(found, rows, lesions, centres, voxel_mm3(affine))
        whole = float(load_mask(self.inputs.intracranial)[0].sum() * voxel_mm3(affine))
        table = [
            region.described | values | _normalised(values, whole)
            for region, values in zip(regions, measured, strict=True)
        ]
        self._results["rows"] = save_json(runtime.cwd, "volumes", table)
        self._results["facts"] = {"intracranial_volume_mm3": whole}
        return runtime


def _normalised(values: dict[str, float], whole_mm3: float) -> dict[str, float]:
    """Divide the volumes by the intracranial volume."""
    return {
        name.replace("mm3", "icv"): values[name] / whole_mm3 if whole_mm3 else math.nan
        for name in ("volume_mm3", "wmh_volume_mm3")
    }


class MapsInput(BaseInterfaceInputSpec):
    """Maps that share a grid."""

    maps = InputMultiObject(File(exists=True), mandatory=True, desc="maps on one grid")
    names = traits.List(traits.Str, mandatory=True)
    units = traits.List(traits.Str, mandatory=True)
    lows = traits.List(traits.Float, mandatory=True)
    highs = traits.List(traits.Float, mandatory=True)
    transform = File(exists=True, desc="ITK, map to reference; none: headers agree")


def load_maps(inputs: Any) -> tuple[dict[str, Any], Any]:
    """Load maps and what is valid of each, and the affine that leads to the reference's world."""
    maps = {}
    for name, path, low, high in zip(
        inputs.names, inputs.maps, inputs.lows, inputs.highs, strict=True
    ):
        data, affine, _ = load_volume(Path(path))
        values = np.asarray(data, dtype=np.float64)
        maps[name] = (values, np.isfinite(values) & (values >= low) & (values <= high))
    if inputs.transform:
        affine = np.linalg.inv(read_itk_affine(inputs.transform)) @ affine
    return maps, affine


class _SampleInput(MapsInput):
    labels = File(exists=True, mandatory=True)
    columns = File(exists=True, mandatory=True)
    regions = File(exists=True, mandatory=True)


class _SampleOutput(TraitedSpec):
    rows = File(exists=True, desc="rows of the table of maps")
    facts = traits.Dict(desc="counts for the QC table")


class SampleMaps(SimpleInterface):
    """Sample maps that share a grid in every region, each in its own grid."""

    input_spec = _SampleInput
    output_spec = _SampleOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        found, affine = load_partition(inputs.labels, inputs.columns)
        regions = load_table_regions(inputs.regions)
        described = [
            region.described | {"tissue": tissue} for region in regions for tissue in TISSUES
        ]
        rows = [Row(region.terms, tissue) for region in regions for tissue in TISSUES]
        maps, map_affine = load_maps(inputs)
        first = next(iter(maps.values()))[0]
        seen = {FIELD_OF_VIEW: (np.zeros(first.shape), np.ones(first.shape, dtype=bool))}
        sampled = sample_regions(found, affine, maps | seen, map_affine, rows)
        table = [
            cells
            | {"map": name, "unit": unit}
            | {key: _number(values[i]) for key, values in sampled[name].items() if key != "index"}
            for name, unit in zip(inputs.names, inputs.units, strict=True)
            for i, cells in enumerate(described)
        ]
        self._results["rows"] = save_json(runtime.cwd, "maps", table)
        self._results["facts"] = self._facts(maps, sampled, described)
        return runtime

    def _facts(
        self, maps: dict[str, Any], sampled: dict[str, Any], rows: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Tell how much of white matter, lesions and NAWM each map covers, and why not more."""
        places = {
            (row["seg"], row["index"], row["tissue"]): number for number, row in enumerate(rows)
        }
        field = {
            name: sampled[FIELD_OF_VIEW]["coverage"][places[row]] for name, row in WHITE.items()
        }
        facts: dict[str, Any] = {}
        for name in self.inputs.names:
            values, valid = maps[name]
            facts[f"map_{name}_invalid_voxels"] = int(np.count_nonzero(~valid))
            facts[f"map_{name}_nonfinite_voxels"] = int(np.count_nonzero(~np.isfinite(values)))
            for part, row in WHITE.items():
                facts[f"map_{name}_coverage_{part}"] = float(sampled[name]["coverage"][places[row]])
            facts[f"map_{name}_nawm_outside_field_of_view"] = float(1 - field["NAWM"])
            covered = float(sampled[name]["coverage"][places[WHITE["NAWM"]]])
            facts[f"map_{name}_nawm_invalid"] = max(0.0, round(float(field["NAWM"]) - covered, 9))
        return facts


# rows of seg-tissue, both sides together, that tell how much of the tissues of interest a map sees
WHITE = {
    "white_matter": ("tissue", 5, ALL),
    "WMH": ("tissue", 6, IN_WMH),
    "NAWM": ("tissue", 5, IN_NAWM),
}
FIELD_OF_VIEW = "field of view"


def _number(value: Any) -> int | float:
    number = value.item()
    return number if isinstance(number, int) else float(number)


PRIORS = ("csf", "cortex", "deep_grey", "white", "ventricles")


class _MaskQualityInput(BaseInterfaceInputSpec):
    lesions = File(exists=True, mandatory=True)
    tissue = File(exists=True, desc="tissue classes by someone who was not told of the lesions")
    csf = File(exists=True, desc="warped prior; the priors stand in for a tissue that was told")
    cortex = File(exists=True, desc="warped prior")
    deep_grey = File(exists=True, desc="warped prior")
    white = File(exists=True, desc="warped prior")
    ventricles = File(exists=True, desc="warped region of the ventricles")
    brain_mask = File(exists=True, mandatory=True)
    nawm = File(exists=True, mandatory=True)
    flair = File(exists=True, desc="FLAIR on the reference grid")


class _MaskQualityOutput(TraitedSpec):
    facts = traits.Dict(desc="measures for the QC table")


class MaskQuality(SimpleInterface):
    """Measure what tells a sound lesion mask from a wrong one."""

    input_spec = _MaskQualityInput
    output_spec = _MaskQualityOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        lesions, affine = load_labels(inputs.lesions)
        self._results["facts"] = lesion_mask_quality(
            lesions,
            load_labels(inputs.tissue)[0] if inputs.tissue else self._expected_tissue(),
            load_mask(inputs.brain_mask)[0],
            load_mask(inputs.nawm)[0],
            spacing_of(affine),
            load(inputs.flair)[0] if inputs.flair else None,
        )
        return runtime

    def _expected_tissue(self) -> Any:
        priors = [load(getattr(self.inputs, name))[0] for name in PRIORS]
        return likeliest_tissue(*priors[:-1], priors[-1] > 0.5)


class _QualityInput(BaseInterfaceInputSpec):
    facts = InputMultiObject(traits.Dict, mandatory=True, desc="what the steps measured")
    prefixes = traits.List(traits.Str, mandatory=True, desc="put before the names of each step")
    volumes = File(exists=True, mandatory=True)


class Quality(SimpleInterface):
    """Gather what the steps counted into the table of quality."""

    input_spec = _QualityInput
    output_spec = _RowsOutput

    def _run_interface(self, runtime: Any) -> Any:
        facts = _volume_facts(load_json(self.inputs.volumes))
        for prefix, group in zip(self.inputs.prefixes, self.inputs.facts, strict=True):
            facts |= {f"{prefix}{name}": value for name, value in group.items()}
        rows = [
            quality_row(metric, value)
            for metric, value in facts.items()
            if value is None or isinstance(value, int | float)
        ]
        self._results["rows"] = save_json(runtime.cwd, "quality", rows)
        return runtime


def quality_row(metric: str, value: float | None) -> dict[str, Any]:
    """Judge one measured value by its bounds."""
    known = find_measure(metric)
    low, high = (known.low, known.high) if known else (None, None)
    verdict = "info"
    if (low is not None or high is not None) and value is not None and not math.isnan(value):
        inside = (low is None or value >= low) and (high is None or value <= high)
        verdict = "ok" if inside else "check"
    return {"metric": metric, "value": value, "low": low, "high": high, "verdict": verdict}


def _volume_facts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    volume = {
        (row["name"], row["hemisphere"]): row["volume_mm3"]
        for row in rows
        if row["seg"] == "tissue"
    }
    name = "white matter hyperintensity"
    left, right = volume[f"left {name}", "L"], volume[f"right {name}", "R"]
    return {
        "ventricle_volume_mm3": volume["lateral ventricle", "B"],
        "wmh_volume_mm3": volume[name, "B"],
        "wmh_asymmetry": asymmetry_index(left, right),
    }
