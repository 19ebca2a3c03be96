"""Interfaces that measure distances and make lesions, zones, shells and lobes from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
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

from wmhflow.core.arrays.distance import distance_to, signed_distance
from wmhflow.core.measure.load import load_curve
from wmhflow.core.regions.bullseye import bullseye_labels, depth
from wmhflow.core.regions.lesions import label_lesions, lesion_measures
from wmhflow.core.regions.lobes import propagate_lobes
from wmhflow.core.regions.shells import shell_labels
from wmhflow.core.regions.zones import (
    lesion_continuity,
    lesion_label,
    lesion_majority,
    zone_labels,
)
from wmhflow.core.space.geometry import spacing_of, voxel_mm3
from wmhflow.interfaces._files import load, load_labels, load_mask, save, save_json
from wmhflow.labels.digits import (
    BASAL_GANGLIA,
    CORPUS_CALLOSUM,
    CORTEX,
    DEEP,
    LEFT,
    LETTERS,
    PERIVENTRICULAR,
    PERIVENTRICULAR_ZONES,
    RIGHT,
    WHITE_OR_WMH,
    class_of,
    is_right,
    side_of,
    with_side,
)
from wmhflow.labels.regions import load_regions
from wmhflow.labels.schemes import zone_schemes
from wmhflow.products.columns import majority_columns

DEPTH_BINS, MM_PER_BIN, MM_BINS = 20, 1.0, 40


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
            "cortex": distance_to(class_of(tissue) == CORTEX, spacing),
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
    scheme = traits.Str(mandatory=True, desc="name of a zone scheme")


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
            np.isin(class_of(tissue), WHITE_OR_WMH),
            is_right(tissue),
            zone_schemes()[self.inputs.scheme],
        )
        self._results["zones"] = save(runtime.cwd, "zones", labels, affine)
        return runtime


class _LesionsInput(BaseInterfaceInputSpec):
    wmh = File(exists=True, mandatory=True)
    tissue = File(exists=True, mandatory=True)
    ventricle_distance = File(exists=True, mandatory=True)
    cortex_distance = File(exists=True, mandatory=True)
    zones = InputMultiObject(File(exists=True), mandatory=True, desc="one per scheme")
    schemes = traits.List(traits.Str, mandatory=True, desc="in the order of zones")
    lobes = File(exists=True, desc="seg-lobes, if there are lobes")
    territories = File(exists=True, desc="an atlas of arteries, laid over")
    territory_names = traits.Dict(traits.Int, traits.Str, desc="its regions")
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
        majorities = [
            lesion_majority(labels, count, load_labels(zones)[0]) for zones in self.inputs.zones
        ]
        tissue = load_labels(self.inputs.tissue)[0]
        sides = lesion_majority(labels, count, side_of(tissue))
        lobes = self._lobes(labels, count)
        territories = self._territories(labels, count)
        zone_names = {index: region.abbreviation for index, region in load_regions("zones").items()}
        rows = [
            {name: _plain(values[i]) for name, values in measures.items() if name != "n_voxels"}
            | {
                "hemisphere": LETTERS[int(sides[i])] if sides[i] else None,
                "continuity": "PV" if continuity[i] else "deep",
                "lobe": lobes[i],
                "territory": territories[i],
            }
            | {
                column: zone_names.get(int(majority[i]))
                for column, majority in zip(
                    majority_columns(self.inputs.schemes), majorities, strict=True
                )
            }
            for i in range(count)
        ]
        by_rule = {
            "continuity": [bool(answer) for answer in continuity],
            "majority": [int(zone) in PERIVENTRICULAR_ZONES for zone in majorities[0]],
        }
        return rows, by_rule[self.inputs.rule]

    def _lobes(self, labels: Any, count: int) -> list[str | None]:
        if not self.inputs.lobes:
            return [None] * count
        image = load_labels(self.inputs.lobes)[0]
        names = {index: region.name for index, region in load_regions("lobes").items()}
        return [names.get(int(lobe)) for lobe in lesion_majority(labels, count, image)]

    def _territories(self, labels: Any, count: int) -> list[str | None]:
        if not self.inputs.territories:
            return [None] * count
        image, names = load_labels(self.inputs.territories)[0], self.inputs.territory_names
        image = np.where(np.isin(image, list(names)), image, 0)
        return [names.get(int(number)) for number in lesion_label(labels, count, image)]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


class _ClassesInput(BaseInterfaceInputSpec):
    lesions = File(exists=True, mandatory=True)
    tissue = File(exists=True, mandatory=True)
    zones = File(exists=True, desc="zones of which the largest part counts; none: continuity")
    ventricle_distance = File(exists=True, desc="for continuity")


class _ClassesOutput(TraitedSpec):
    classes = File(exists=True, desc="lesions, whole, labelled as their zone")


class LesionClasses(SimpleInterface):
    """Label every lesion whole, by the zone that a rule gives it."""

    input_spec = _ClassesInput
    output_spec = _ClassesOutput

    def _run_interface(self, runtime: Any) -> Any:
        lesions, affine = load_labels(self.inputs.lesions)
        count = int(lesions.max(initial=0))
        if self.inputs.zones:
            zone = lesion_majority(lesions, count, load_labels(self.inputs.zones)[0])
        else:
            near = lesion_continuity(lesions, count, load(self.inputs.ventricle_distance)[0])
            zone = np.where(near, PERIVENTRICULAR, DEEP)
        side = side_of(load_labels(self.inputs.tissue)[0])
        labels = with_side(np.concatenate([[0], zone])[lesions], side)
        self._results["classes"] = save(runtime.cwd, "classes", labels, affine, np.uint8)
        return runtime


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
            is_right(load_labels(self.inputs.tissue)[0]),
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
        classes, right = class_of(tissue), is_right(tissue)
        cortex = np.where(classes == CORTEX, given, 0)
        white = np.isin(classes, WHITE_OR_WMH)
        labels = propagate_lobes(cortex, right, white, right, spacing_of(affine))
        # nuclei and corpus callosum keep what the parcellation gave them
        own = np.isin(given, (BASAL_GANGLIA, CORPUS_CALLOSUM)) & (classes > 0)
        labels = np.where(own, with_side(given, np.where(right, RIGHT, LEFT)), labels)
        self._results["lobes"] = save(runtime.cwd, "lobes", labels, affine, np.uint8)
        return runtime


class _BullseyeInput(BaseInterfaceInputSpec):
    depth = File(exists=True, mandatory=True)
    lobes = File(exists=True, mandatory=True)
    layers = traits.Int(mandatory=True)


class _BullseyeOutput(TraitedSpec):
    bullseye = File(exists=True)


class Bullseye(SimpleInterface):
    """Divide white matter, and the deep nuclei, by depth and lobe."""

    input_spec = _BullseyeInput
    output_spec = _BullseyeOutput

    def _run_interface(self, runtime: Any) -> Any:
        lobes, affine = load_labels(self.inputs.lobes)
        cells = bullseye_labels(load(self.inputs.depth)[0], lobes, self.inputs.layers)
        self._results["bullseye"] = save(runtime.cwd, "bullseye", cells, affine, np.int16)
        return runtime


class _LoadInput(BaseInterfaceInputSpec):
    tissue = File(exists=True, mandatory=True)
    wmh = File(exists=True, mandatory=True)
    depth = File(exists=True, mandatory=True)
    ventricle_distance = File(exists=True, mandatory=True)
    cortex_distance = File(exists=True, mandatory=True)


class _LoadOutput(TraitedSpec):
    table = File(exists=True, desc="rows of the table")


class LoadCurves(SimpleInterface):
    """Measure which share of white matter is hyperintense, by depth and by distance in mm."""

    input_spec = _LoadInput
    output_spec = _LoadOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        tissue, affine = load_labels(inputs.tissue)
        wmh, white = load_mask(inputs.wmh)[0], np.isin(class_of(tissue), WHITE_OR_WMH)
        depth_edges = np.arange(DEPTH_BINS + 1) / DEPTH_BINS
        mm_edges = [*(np.arange(MM_BINS + 1) * MM_PER_BIN).tolist(), np.inf]
        rows: list[dict[str, Any]] = []
        for axis, path, edges in (
            ("depth", inputs.depth, depth_edges.tolist()),
            ("ventricle_mm", inputs.ventricle_distance, mm_edges),
            ("cortex_mm", inputs.cortex_distance, mm_edges),
        ):
            position = load(path)[0]
            for hemisphere, sides in (("B", (LEFT, RIGHT)), ("L", (LEFT,)), ("R", (RIGHT,))):
                here = white & np.isin(side_of(tissue), sides)
                curve = load_curve(position, here, wmh & here, edges, voxel_mm3(affine))
                rows += _curve_rows(axis, hemisphere, edges, curve)
        self._results["table"] = save_json(runtime.cwd, "load", rows)
        return runtime


def _curve_rows(
    axis: str, hemisphere: str, edges: Sequence[float], curve: Mapping[str, Any]
) -> list[dict[str, Any]]:
    return [
        {
            "axis": axis,
            "lo": low,
            "hi": high if np.isfinite(high) else None,
            "hemisphere": hemisphere,
            **{name: float(values[i]) for name, values in curve.items()},
        }
        for i, (low, high) in enumerate(pairwise(edges))
    ]
