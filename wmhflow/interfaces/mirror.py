"""Interfaces that compare each region with the place that lies opposite to it."""

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
)

from wmhflow.ants.transforms import apply_transforms
from wmhflow.core.measure.mirror import asymmetry_index, free_of_lesions
from wmhflow.core.measure.regional import sample_regions
from wmhflow.core.regions.partition import Row
from wmhflow.files.itk import write_itk_affine
from wmhflow.interfaces._files import load_json, load_labels, save, save_json
from wmhflow.interfaces.measures import MapsInput, load_maps
from wmhflow.interfaces.partition import load_partition, load_table_regions
from wmhflow.labels.digits import LETTER_BOTH, LETTER_LEFT
from wmhflow.products.rows import TableRegion

TRIVIAL_LOADS = ("tissue", "continuity", "majority", "shells")


class _MirrorInput(BaseInterfaceInputSpec):
    labels = File(exists=True, mandatory=True, desc="finest partition")
    columns = File(exists=True, mandatory=True)
    forward = File(exists=True, mandatory=True, desc="reference to template")
    inverse = File(exists=True, mandatory=True, desc="template to reference")


class _MirrorOutput(TraitedSpec):
    own = File(exists=True, desc="the partition without the lesions of either side")
    opposite = File(exists=True, desc="its mirror image, without them too")


class MirrorPartition(SimpleInterface):
    """Reflect the finest partition at the template's midplane, by its warp there and back."""

    input_spec = _MirrorInput
    output_spec = _MirrorOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs, folder = self.inputs, Path(runtime.cwd)
        found, affine = load_partition(inputs.labels, inputs.columns)
        flip = write_itk_affine(np.diag([-1.0, 1.0, 1.0, 1.0]), folder / "flip.txt")
        # a point goes to the template, to the other side of it, and back
        reflected = apply_transforms(
            inputs.labels,
            inputs.labels,
            [inputs.inverse, flip, inputs.forward],
            folder / "reflected.nii",
            "nearest",
        )
        pair = free_of_lesions(found, load_labels(reflected)[0])
        for name, part in zip(("own", "opposite"), pair, strict=True):
            self._results[name] = save(runtime.cwd, name, part.labels, affine, np.int32)
        return runtime


class _SampleInput(MapsInput):
    own = File(exists=True, mandatory=True)
    opposite = File(exists=True, mandatory=True)
    columns = File(exists=True, mandatory=True)
    regions = File(exists=True, mandatory=True)


class _SampleOutput(TraitedSpec):
    rows = File(exists=True, desc="rows of the table of asymmetry")


class SampleOpposites(SimpleInterface):
    """Sample maps in every region of one side, and in the place opposite to it."""

    input_spec = _SampleInput
    output_spec = _SampleOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        regions = one_sided(load_table_regions(inputs.regions))
        rows = [Row(region.terms) for region in regions]
        maps, map_affine = load_maps(inputs)
        sampled = []
        for path in (inputs.own, inputs.opposite):
            part, affine = load_partition(path, inputs.columns)
            sampled.append(sample_regions(part, affine, maps, map_affine, rows))
        table = [
            described(region, name, unit)
            | compared(region, *(_cells(side[name], i) for side in sampled))
            for name, unit in zip(inputs.names, inputs.units, strict=True)
            for i, region in enumerate(regions)
        ]
        self._results["rows"] = save_json(runtime.cwd, "opposites", table)
        return runtime


def _cells(statistics: dict[str, Any], i: int) -> dict[str, float]:
    return {
        "n": int(statistics["n"][i]),
        "volume_mm3": float(statistics["volume_mm3"][i]),
        "value": float(statistics["mean"][i]),
    }


def one_sided(regions: list[TableRegion]) -> list[TableRegion]:
    """Keep the regions of one side: only they have an opposite."""
    return [region for region in regions if region.hemisphere != LETTER_BOTH]


def described(region: TableRegion, measure: str, unit: str) -> dict[str, Any]:
    """Begin a row of the table of asymmetry."""
    return region.described | {"measure": measure, "unit": unit}


def compared(
    region: TableRegion, own: dict[str, float], opposite: dict[str, float]
) -> dict[str, Any]:
    """Set a region beside its opposite; the index is left against right for either side's row."""
    left, right = (own, opposite) if region.hemisphere == LETTER_LEFT else (opposite, own)
    return {
        **own,
        **{f"opposite_{name}": value for name, value in opposite.items()},
        "difference": left["value"] - right["value"],
        "asymmetry": asymmetry_index(left["value"], right["value"]),
    }


class _AsymmetryInput(BaseInterfaceInputSpec):
    volumes = File(exists=True, mandatory=True, desc="rows of the table of volumes")
    regions = File(exists=True, mandatory=True)
    maps = InputMultiObject(File(exists=True), desc="rows of the maps")


class _AsymmetryOutput(TraitedSpec):
    table = File(exists=True, desc="rows of the table")


class Asymmetry(SimpleInterface):
    """Set the load of every region beside its homologue's, and gather what the maps say."""

    input_spec = _AsymmetryInput
    output_spec = _AsymmetryOutput

    def _run_interface(self, runtime: Any) -> Any:
        volumes = {(row["seg"], row["index"]): row for row in load_json(self.inputs.volumes)}
        table = [
            described(region, "wmh_fraction", "1")
            | compared(
                region,
                _load(volumes[region.seg, region.index]),
                _load(volumes[region.seg, region.homologue]),
            )
            for region in one_sided(load_table_regions(self.inputs.regions))
            if (region.seg, region.homologue) in volumes and not has_trivial_load(region)
        ]
        for path in self.inputs.maps or []:
            table += load_json(path)
        self._results["table"] = save_json(runtime.cwd, "asymmetry", table)
        return runtime


def has_trivial_load(region: TableRegion) -> bool:
    """Tell whether a region is all lesion or none by what it is."""
    return any(name.startswith(TRIVIAL_LOADS) for name, _ in region.terms)


def _load(row: dict[str, Any]) -> dict[str, float]:
    return {"n": row["n_lesions"], "volume_mm3": row["volume_mm3"], "value": row["wmh_fraction"]}
