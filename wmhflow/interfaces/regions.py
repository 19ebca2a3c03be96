"""Interfaces that measure distances and make lesions, zones, shells and lobes from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from wmhflow.core.bullseye import depth, propagate_lobes
from wmhflow.core.distance import distance_to, signed_distance
from wmhflow.core.geometry import spacing_of
from wmhflow.core.lesions import label_lesions, lesion_measures
from wmhflow.core.nawm import CORTEX, WHITE_MATTER, WMH
from wmhflow.core.shells import shell_labels
from wmhflow.core.zones import SCHEMES, lesion_continuity, lesion_majority, zone_labels
from wmhflow.data.registry import load_regions
from wmhflow.interfaces._files import load, load_labels, load_mask, save, save_json

PERIVENTRICULAR_ZONES = (1, 2)


class _DistancesInput(BaseInterfaceInputSpec):
    tissue = File(exists=True, mandatory=True, desc="seg-tissue with lesions in it")
    ventricles = File(exists=True, mandatory=True)
    wmh = File(exists=True, mandatory=True)


class _DistancesOutput(TraitedSpec):
    ventricles = File(exists=True, desc="mm to the lateral ventricles")
    cortex = File(exists=True, desc="mm to the cortex")
    wmh = File(exists=True, desc="mm to the lesion edge, negative inside")
    depth = File(exists=True, desc="0 at the ventricle, 1 at the cortex")


class Distances(SimpleInterface):
    """Measure exact distances in mm."""

    input_spec = _DistancesInput
    output_spec = _DistancesOutput

    def _run_interface(self, runtime: Any) -> Any:
        tissue, affine = load_labels(self.inputs.tissue)
        spacing = spacing_of(affine)
        measured = {
            "ventricles": distance_to(load_mask(self.inputs.ventricles)[0], spacing),
            "cortex": distance_to(tissue % 10 == CORTEX, spacing),
            "wmh": signed_distance(load_mask(self.inputs.wmh)[0], spacing),
        }
        measured["depth"] = depth(measured["ventricles"], measured["cortex"])
        for name, distance in measured.items():
            self._results[name] = save(runtime.cwd, name, distance, affine, np.float32)
        return runtime


class _ZonesInput(BaseInterfaceInputSpec):
    tissue = File(exists=True, mandatory=True)
    ventricle_distance = File(exists=True, mandatory=True)
    cortex_distance = File(exists=True, mandatory=True)
    scheme = traits.Str(mandatory=True, desc="name of a scheme in core.zones")


class _ZonesOutput(TraitedSpec):
    zones = File(exists=True)


class Zones(SimpleInterface):
    """Divide white matter, lesions included, by distance."""

    input_spec = _ZonesInput
    output_spec = _ZonesOutput

    def _run_interface(self, runtime: Any) -> Any:
        tissue, affine = load_labels(self.inputs.tissue)
        labels = zone_labels(
            load(self.inputs.ventricle_distance)[0],
            load(self.inputs.cortex_distance)[0],
            np.isin(tissue % 10, (WHITE_MATTER, WMH)),
            tissue // 10 == 2,
            SCHEMES[self.inputs.scheme],
        )
        self._results["zones"] = save(runtime.cwd, "zones", labels, affine)
        return runtime


class _LesionsInput(BaseInterfaceInputSpec):
    wmh = File(exists=True, mandatory=True)
    tissue = File(exists=True, mandatory=True)
    ventricle_distance = File(exists=True, mandatory=True)
    cortex_distance = File(exists=True, mandatory=True)
    zones = File(exists=True, mandatory=True)
    lobes = File(exists=True, desc="seg-lobes, if there is a parcellation")
    rule = traits.Enum("continuity", "majority", desc="what makes a lesion periventricular")


class _LesionsOutput(TraitedSpec):
    lesions = File(exists=True, desc="a number per lesion")
    table = File(exists=True, desc="rows of the lesion table")
    is_periventricular = traits.List(traits.Bool(), desc="per lesion, by the chosen rule")


class Lesions(SimpleInterface):
    """Number the lesions and answer for each by every rule."""

    input_spec = _LesionsInput
    output_spec = _LesionsOutput

    def _run_interface(self, runtime: Any) -> Any:
        mask, affine = load_mask(self.inputs.wmh)
        labels, count = label_lesions(mask, affine)
        rows, periventricular = self._rows(labels, count, affine)
        self._results["lesions"] = save(runtime.cwd, "lesions", labels, affine, np.int32)
        self._results["table"] = save_json(runtime.cwd, "lesions", rows)
        self._results["is_periventricular"] = periventricular
        return runtime

    def _rows(
        self, labels: Any, count: int, affine: Any
    ) -> tuple[list[dict[str, Any]], list[bool]]:
        ventricle_distance = load(self.inputs.ventricle_distance)[0]
        measures = lesion_measures(
            labels,
            affine,
            {
                "ventricle_distance": ventricle_distance,
                "cortex_distance": load(self.inputs.cortex_distance)[0],
            },
        )
        continuity = lesion_continuity(labels, count, ventricle_distance)
        zones = load_labels(self.inputs.zones)[0] % 10
        majority = lesion_majority(labels, count, zones)
        tissue = load_labels(self.inputs.tissue)[0]
        sides = lesion_majority(labels, count, tissue // 10)
        lobes = self._lobes(labels, count)
        zone_names = {index: region.abbreviation for index, region in load_regions("zones").items()}
        rows = [
            {name: _plain(values[i]) for name, values in measures.items() if name != "n_voxels"}
            | {
                "hemisphere": {1: "L", 2: "R"}.get(int(sides[i])),
                "continuity": "PV" if continuity[i] else "deep",
                "majority": zone_names.get(int(majority[i])),
                "lobe": lobes[i],
            }
            for i in range(count)
        ]
        by_rule = {
            "continuity": [bool(answer) for answer in continuity],
            "majority": [int(zone) in PERIVENTRICULAR_ZONES for zone in majority],
        }
        return rows, by_rule[self.inputs.rule]

    def _lobes(self, labels: Any, count: int) -> list[str | None]:
        if not self.inputs.lobes:
            return [None] * count
        image = load_labels(self.inputs.lobes)[0]
        names = {index: region.name for index, region in load_regions("lobes").items()}
        return [names.get(int(lobe)) for lobe in lesion_majority(labels, count, image)]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


class _ShellsInput(BaseInterfaceInputSpec):
    lesions = File(exists=True, mandatory=True)
    nawm = File(exists=True, mandatory=True)
    tissue = File(exists=True, mandatory=True)
    is_periventricular = traits.List(traits.Bool(), mandatory=True)
    width_mm = traits.Float(mandatory=True)
    max_mm = traits.Float(mandatory=True)


class _ShellsOutput(TraitedSpec):
    shells = File(exists=True)
    distances = File(exists=True, desc="mean true distance and thickness per shell label")


class Shells(SimpleInterface):
    """Make the shells around the lesions, and inwards."""

    input_spec = _ShellsInput
    output_spec = _ShellsOutput

    def _run_interface(self, runtime: Any) -> Any:
        lesions, affine = load_labels(self.inputs.lesions)
        labels, _, distance = shell_labels(
            lesions,
            len(self.inputs.is_periventricular),
            np.array(self.inputs.is_periventricular, dtype=bool),
            load_mask(self.inputs.nawm)[0],
            spacing_of(affine),
            load_labels(self.inputs.tissue)[0] // 10 == 2,
            width_mm=self.inputs.width_mm,
            max_mm=self.inputs.max_mm,
        )
        self._results["shells"] = save(runtime.cwd, "shells", labels, affine, np.int16)
        self._results["distances"] = save_json(
            runtime.cwd, "distances", _distance_sums(labels, distance)
        )
        return runtime


def _distance_sums(labels: Any, distance: Any) -> dict[str, list[float]]:
    """Return voxel count and sum of distances per shell label, which any union can add up."""
    inside = (labels > 0) & np.isfinite(distance)
    counts = np.bincount(labels[inside])
    sums = np.bincount(labels[inside], weights=distance[inside].astype(np.float64))
    return {str(label): [int(counts[label]), sums[label]] for label in np.flatnonzero(counts)}


class _LobesInput(BaseInterfaceInputSpec):
    tissue = File(exists=True, mandatory=True)
    cortex_lobes = File(exists=True, mandatory=True, desc="lobe of cortex and of deep nuclei")


class _LobesOutput(TraitedSpec):
    lobes = File(exists=True)


class Lobes(SimpleInterface):
    """Give white matter the lobe of the nearest cortex of its own hemisphere."""

    input_spec = _LobesInput
    output_spec = _LobesOutput

    def _run_interface(self, runtime: Any) -> Any:
        tissue, affine = load_labels(self.inputs.tissue)
        given, _ = load_labels(self.inputs.cortex_lobes)
        classes, right = tissue % 10, tissue // 10 == 2
        cortex = np.where(classes == CORTEX, given, 0)
        white = np.isin(classes, (WHITE_MATTER, WMH))
        labels = propagate_lobes(cortex, right, white, right, spacing_of(affine))
        # nuclei, and cortex itself, keep the lobe that the parcellation gave them
        own = (given > 0) & ~white & (classes > 0)
        labels = np.where(own, given + np.where(right, 20, 10), labels)
        self._results["lobes"] = save(runtime.cwd, "lobes", labels, affine, np.uint8)
        return runtime
