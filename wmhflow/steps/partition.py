"""The step that divides the reference grid by all label images at once, for all tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.regions.partition import IN_INFARCT, IN_NAWM, IN_WMH, Partition, partition
from wmhflow.labels.digits import CORPUS_CALLOSUM, REST, class_of, is_callosum, shell_ordinal
from wmhflow.labels.rows import TableRegion, region_of
from wmhflow.steps.kinds import LabelImage, MaskImage, Rows, Table, step


class FinestPartition(NamedTuple):
    """A number per combination of labels, what each combination holds, and the tables' regions."""

    labels: LabelImage
    columns: Table
    regions: Rows


@step(mem_gb=2.0)
def divide_finest(
    names: list[str],
    images: list[LabelImage],
    regions: list[TableRegion],
    wmh: MaskImage,
    nawm: MaskImage,
    overlapping: list[str] | None = None,
    members: list[Table] | None = None,
    infarct: MaskImage | None = None,
) -> FinestPartition:
    """Divide the reference grid by all label images at once.

    Parameters
    ----------
    names, images
        Label images, as the tables name them.
    regions
        Regions that the tables may have.
    wmh, nawm
        Lesions, and normal-appearing white matter.
    overlapping, members
        Images whose numbers stand for several regions, and for each the numbers per region.
    infarct
        Infarcts and other lesions that are no WMH.
    """
    labels: dict[str, NDArray[np.integer | np.bool_]] = {
        name: image.data for name, image in zip(names, images, strict=True)
    }
    deepest = int(shell_ordinal(labels["shells"]).max(initial=0))
    has_callosum = "lobes" in labels and bool((class_of(labels["lobes"]) == CORPUS_CALLOSUM).any())
    labels |= {IN_WMH: wmh.data, IN_NAWM: nawm.data}
    if infarct is not None:
        labels[IN_INFARCT] = infarct.data
    found = partition(labels)
    overlaps = dict(zip(overlapping or [], members or [], strict=True))
    kept = [
        with_numbers(region.as_dict(), overlaps)
        for region in regions
        if not _beyond(region, deepest) and (has_callosum or not _is_callosal(region))
    ]
    return FinestPartition(
        LabelImage(found.labels, nawm.affine),
        {name: values.tolist() for name, values in found.columns.items()},
        kept,
    )


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


def as_partition(labels: LabelImage, columns: Mapping[str, list[int]]) -> Partition:
    """Make the partition that :func:`divide_finest` found."""
    table = {name: np.array(values, dtype=np.int64) for name, values in columns.items()}
    numbers: NDArray[np.int32] = labels.data.astype(np.int32, copy=False)
    return Partition(numbers, table)


def as_regions(rows: list[dict[str, Any]]) -> list[TableRegion]:
    """Make the regions that :func:`divide_finest` kept."""
    return [region_of(content) for content in rows]
