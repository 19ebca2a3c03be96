"""What the page says of acute lesions and of voxels of spectroscopy, beside their pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wmhflow.plan.others import ACUTE
from wmhflow.reports import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wmhflow.reports.context import PlacedVoxel, VisitContext
    from wmhflow.reports.tables import TableRow

ACUTE_MASK = f"mask_{ACUTE}"
# A page is no place for the spectra of a whole study.
SHOWN_METABOLITES = 60
# Smaller shares of a voxel are left to the table.
LEAST_SHARE = 0.005


@dataclass(frozen=True)
class VoxelRow:
    """A voxel of spectroscopy: its place, and what it holds, as text."""

    name: str
    volume_ml: str
    middle: tuple[str, str, str]
    wmh: str
    nawm: str
    tissues: str


def acute_values(context: VisitContext) -> Mapping[str, Any]:
    """Gather what the page says of acute lesions, given or found by a rule.

    Parameters
    ----------
    context
        A finished visit.
    """
    quality = {row["metric"]: row["value"] for row in context.table("qc")}
    rows = context.table("acute")
    shown = [
        row | {key: tables.fixed(row[key]) for key in ("wmh_distance", "haemorrhage_distance")}
        for row in tables.largest_lesions(rows)
    ]
    by_rule = context.visit.acute_image is not None
    return {
        "links": context.links,
        "lesions": shown,
        "filled": tables.filled_columns(shown),
        "n_lesions": len(rows),
        "shown_lesions": tables.SHOWN_LESIONS,
        "is_refused": quality.get("acute_refused") == "1",
        "by": "as the rule found them (--acute-source dwi)" if by_rule else "as given",
        "orientation": context.scene.orientation,
    }


def spectra_values(context: VisitContext) -> Mapping[str, Any]:
    """Gather what the page says of voxels of spectroscopy.

    Parameters
    ----------
    context
        A finished visit.
    """
    told = context.table("metabolites")
    return {
        "links": context.links,
        "voxels": list(_voxels(context)),
        "metabolites": told[:SHOWN_METABOLITES],
        "n_metabolites": len(told),
        "orientation": context.scene.orientation,
    }


def _voxels(context: VisitContext) -> Iterator[VoxelRow]:
    rows = context.table("mrs")
    for voxel in context.voxels():
        own = [
            row
            for row in rows
            if (row["voxel"], row["seg"], row["hemisphere"]) == (voxel.name, "tissue", "B")
        ]
        yield _row(voxel, own)


def _row(voxel: PlacedVoxel, own: list[TableRow]) -> VoxelRow:
    shares = [(row["name"], tables.number(row["share"])) for row in own]
    reason = next((row["reason"] for row in own if row["reason"] != tables.MISSING), None)
    held = ", ".join(
        f"{name} {_percent(share)}"
        for name, share in sorted(shares, key=lambda one: -one[1])
        if share >= LEAST_SHARE
    )
    x, y, z = (tables.fixed(str(place)) for place in voxel.box[:3, 3])
    volume = abs(float(np.linalg.det(voxel.box[:3, :3])))
    wmh, nawm = (
        _percent(sum(tables.number(row[column]) for row in own)) if own else tables.MISSING
        for column in ("wmh_share", "nawm_share")
    )
    return VoxelRow(voxel.name, tables.millilitres(volume), (x, y, z), wmh, nawm, reason or held)


def _percent(share: float) -> str:
    return tables.MISSING if np.isnan(share) else f"{100.0 * share:.0f} %"
