"""The interface that divides the reference grid by all label images at once, for all tables."""

from __future__ import annotations

from collections.abc import Mapping
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

from wmhflow.core.regions.partition import IN_INFARCT, IN_NAWM, IN_WMH, Partition, partition
from wmhflow.interfaces._files import load_json, load_labels, load_mask, save, save_json
from wmhflow.labels.digits import CORPUS_CALLOSUM, REST, class_of, is_callosum, shell_ordinal
from wmhflow.products.rows import TableRegion, region_of


class _PartitionInput(BaseInterfaceInputSpec):
    names = traits.List(traits.Str, mandatory=True, desc="label images, as the tables name them")
    images = InputMultiObject(File(exists=True), mandatory=True, desc="in the order of names")
    regions = traits.List(traits.Dict, mandatory=True, desc="regions that the tables may have")
    overlapping = traits.List(traits.Str, desc="images whose numbers stand for several regions")
    members = InputMultiObject(File(exists=True), desc="for each of them, the numbers per region")
    wmh = File(exists=True, mandatory=True)
    nawm = File(exists=True, mandatory=True)
    infarct = File(exists=True, desc="infarcts and other lesions that are no WMH")


class _PartitionOutput(TraitedSpec):
    labels = File(exists=True, desc="a number per combination of labels")
    columns = File(exists=True, desc="the labels of every combination")
    regions = File(exists=True, desc="regions that the tables have")


class FinestPartition(SimpleInterface):
    """Divide the reference grid by all label images at once."""

    input_spec = _PartitionInput
    output_spec = _PartitionOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        images = {
            name: load_labels(path)[0]
            for name, path in zip(inputs.names, inputs.images, strict=True)
        }
        deepest = int(shell_ordinal(images["shells"]).max(initial=0))
        images[IN_WMH] = load_mask(inputs.wmh)[0]
        images[IN_NAWM], affine = load_mask(inputs.nawm)
        if inputs.infarct:
            images[IN_INFARCT] = load_mask(inputs.infarct)[0]
        found = partition(images)
        columns = {name: values.tolist() for name, values in found.columns.items()}
        has_callosum = "lobes" in images and bool(
            (class_of(images["lobes"]) == CORPUS_CALLOSUM).any()
        )
        members = {
            name: load_json(path)
            for name, path in zip(inputs.overlapping or [], inputs.members or [], strict=True)
        }
        kept = [
            with_numbers(content, members)
            for content in inputs.regions
            if not _beyond(region_of(content), deepest)
            and (has_callosum or not _is_callosal(region_of(content)))
        ]
        self._results["labels"] = save(runtime.cwd, "partition", found.labels, affine, np.int32)
        self._results["columns"] = save_json(runtime.cwd, "columns", columns)
        self._results["regions"] = save_json(runtime.cwd, "regions", kept)
        return runtime


def with_numbers(
    content: dict[str, Any], members: Mapping[str, Mapping[str, list[int]]]
) -> dict[str, Any]:
    """Replace the regions of an image whose regions overlap by the numbers that hold them.

    Examples
    --------
    >>> with_numbers({"terms": [["tracts", [2]]]}, {"tracts": {"2": [3, 5]}})
    {'terms': [('tracts', [3, 5])]}
    """
    terms = [
        (name, [n for label in labels for n in members[name][str(label)]])
        if name in members
        else (name, labels)
        for name, labels in content["terms"]
    ]
    return {**content, "terms": terms}


def _beyond(region: TableRegion, deepest: int) -> bool:
    """Tell whether a region lies in inner shells deeper than any lesion of the person."""
    ordinals = [shell_ordinal(label) for name, labels in region.terms for label in labels
                if name == "shells"]  # fmt: skip
    return bool(ordinals) and min(ordinals) > max(deepest, REST)


def _is_callosal(region: TableRegion) -> bool:
    """Tell whether a region is of the corpus callosum alone, which not every parcellation has."""
    return any(
        all(is_callosum(name, label) for label in labels) for name, labels in region.terms if labels
    )


def load_partition(labels: str, columns: str) -> tuple[Partition, NDArray[np.float64]]:
    """Read the partition that :class:`FinestPartition` wrote, and its affine."""
    numbers, affine = load_labels(labels)
    table = {name: np.array(values, dtype=np.int64) for name, values in load_json(columns).items()}
    return Partition(numbers.astype(np.int32), table), affine


def load_table_regions(path: str) -> list[TableRegion]:
    """Read the regions that :class:`FinestPartition` wrote."""
    return [region_of(content) for content in load_json(path)]
