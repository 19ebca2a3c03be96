"""Steps that join single voxels of spectroscopy to tissues and zones."""

from __future__ import annotations

import logging
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.measure.voxels import voxel_shares
from wmhflow.core.regions.partition import ALL, IN_NAWM, IN_WMH, Partition, Row
from wmhflow.core.space.geometry import voxel_mm3
from wmhflow.files.metabolites import read_metabolites
from wmhflow.files.places import placed_box
from wmhflow.labels.digits import (
    CORTEX,
    CSF,
    DEEP_GREY,
    INFRATENTORIAL,
    VENTRICLES,
    WHITE_OR_WMH,
    class_of,
)
from wmhflow.steps.kinds import Facts, LabelImage, Rows, Table, step
from wmhflow.steps.partition import as_partition, as_regions

TISSUE = "tissue"
# Regions of these are told whether the voxel meets them or not; of others, those that it meets.
WHOLE = (TISSUE, "zones")
# With less of it in the brain a voxel is no voxel of the brain, and nothing is told of it.
LEAST_IN_BRAIN = 0.5
CLASSES = {
    "white_share": WHITE_OR_WMH,
    "grey_share": (CORTEX, DEEP_GREY),
    "csf_share": (CSF, VENTRICLES),
    "infratentorial_share": (INFRATENTORIAL,),
}
log = logging.getLogger("wmhflow")


class VoxelRows(NamedTuple):
    """A row for every region of a voxel, one for every metabolite, and measures of the voxel."""

    regions_rows: Rows
    metabolite_rows: Rows
    facts: Facts


class Spectra(NamedTuple):
    """The rows of all voxels."""

    table: Rows
    metabolites: Rows


@step(mem_gb=2.0, seconds=2)
def join_voxel(
    name: str,
    in_file: Path,
    labels: LabelImage,
    columns: Table,
    regions: Rows,
    transforms: list[Path] | None = None,
    inverted: list[bool] | None = None,
    values: Path | None = None,
    trust: str | None = None,
) -> VoxelRows:
    """Find which share of a voxel each region fills.

    Parameters
    ----------
    name
        The voxel's.
    in_file
        Its spectrum, whose header says where it lies.
    labels, columns, regions
        The finest partition, and the tables' regions.
    transforms
        From the voxel's place to the reference, of ITK and linear, one after the other.
    inverted
        Of each of the first of them, whether its inverse is meant.
    values
        A table of its metabolites.
    trust
        The form of its header that is believed, ``sform`` or ``qform``.
    """
    placed = placed_box(in_file, transforms or [], inverted or [], trust)
    found = as_partition(labels, columns)
    described = as_regions(regions)
    tissues = {"": ALL, "wmh_": IN_WMH, "nawm_": IN_NAWM}
    rows = [Row(one.terms, tissue) for one in described for tissue in tissues.values()]
    summed = _whole_rows(found)
    shares = voxel_shares(found, labels.affine, placed, [*rows, *summed.values()])
    of_regions = shares[: len(rows)].reshape(len(described), len(tissues))
    whole = dict(zip(summed, shares[len(rows) :].tolist(), strict=True))
    volume, is_in = voxel_mm3(placed), whole["brain_share"] >= LEAST_IN_BRAIN
    reason = None if is_in else f"{_percent(whole['brain_share'])} of the voxel lie in the brain"
    if reason:
        log.warning(
            "%s: %s, where at least %s have to: its shares are n/a. Look at its header, or give "
            "the transform from-mrs_to-T1w.", in_file, reason, _percent(LEAST_IN_BRAIN),
        )  # fmt: skip
    table = [
        {"voxel": name}
        | region.described
        | {
            f"{part}share": float(share) if is_in else None
            for part, share in zip(tissues, some, strict=True)
        }
        | {"volume_mm3": float(some[0]) * volume if is_in else None, "reason": reason}
        for region, some in zip(described, of_regions, strict=True)
        if region.seg in WHOLE or (is_in and some[0] > 0)
    ]
    shown = {part: share if is_in else None for part, share in whole.items()}
    told = [
        {"voxel": name, "metabolite": one.name, "unit": one.unit, "value": one.value,
         "sd_percent": one.sd_percent, "voxel_mm3": volume, **shown, "reason": reason}
        for one in (read_metabolites(values) if values else [])
    ]  # fmt: skip
    facts = {"brain_share": whole["brain_share"], "wmh_share": shown["wmh_share"],
             "voxel_mm3": volume}  # fmt: skip
    return VoxelRows(table, told, facts)


@step(mem_gb=0.5)
def gather_voxels(rows: list[Rows], metabolites: list[Rows]) -> Spectra:
    """Put the rows of all voxels into one table.

    Parameters
    ----------
    rows, metabolites
        Of each voxel.
    """
    return Spectra(list(chain(*rows)), list(chain(*metabolites)))


def _whole_rows(found: Partition) -> dict[str, Row]:
    """Return the tissues of which the share of the whole voxel is told."""
    present = np.unique(found.columns[TISSUE])
    present = present[present > 0]

    def row(which: NDArray[np.bool_], tissue: str = ALL) -> Row:
        return Row(((TISSUE, tuple(int(one) for one in present[which])),), tissue)

    every = np.ones(present.size, dtype=bool)
    return {
        "brain_share": row(every),
        "wmh_share": row(every, IN_WMH),
        "nawm_share": row(every, IN_NAWM),
        **{part: row(np.isin(class_of(present), which)) for part, which in CLASSES.items()},
    }


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %"
