"""Volumes with a row per person, as BIDS wants phenotypes and statistics read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from wmhflow.bids.writer import Column, read_table
from wmhflow.errors import InputError
from wmhflow.group.study import Study, Visit
from wmhflow.labels.regions import Region, load_regions
from wmhflow.products.columns import KEYS

SEGMENTATIONS = ("tissue", "zones", "lobes")


def volumes_of_persons(study: Study) -> Iterator[dict[str, Any]]:
    """Make the row of each person; the columns of a visit with a session begin with it."""
    regions = _regions()
    for person, visits in groupby(study.visits, key=lambda visit: visit.participant_id):
        row: dict[str, Any] = {"participant_id": person}
        for visit in visits:
            values = _volumes(study, visit, regions)
            row |= {_prefix(visit.session_id) + name: value for name, value in values.items()}
        yield row


def volumes_columns(study: Study) -> tuple[Column, ...]:
    """Give the columns of all sessions that anybody has."""
    sessions = sorted({visit.session_id for visit in study.visits}, key=lambda s: (s != "n/a", s))
    return (*KEYS[:1], *(column for session in sessions for column in _session_columns(session)))


def _regions() -> list[Region]:
    return [region for seg in SEGMENTATIONS for region in load_regions(seg).values()]


def _volumes(study: Study, visit: Visit, regions: Sequence[Region]) -> dict[str, Any]:
    rows, lesions = (
        None if visit in study.left_out.get(kind, ()) else _rows(visit, kind)
        for kind in ("volumes", "lesions")
    )
    cells = {(row["seg"], row["index"]): row for row in rows or []}
    values: dict[str, Any] = {"n_lesions": None if lesions is None else len(lesions)}
    for region in regions:
        found = cells.get((region.seg, str(region.index)), {})
        values[_name(region, "volume")] = found.get("volume_mm3", "n/a")
        if region.seg != "tissue":
            values[_name(region, "wmh")] = found.get("wmh_volume_mm3", "n/a")
    return values


def _rows(visit: Visit, kind: str) -> list[dict[str, str]]:
    path = visit.table(kind)
    if not path.is_file():
        raise InputError(
            f"{visit}: {path.relative_to(visit.output_dir)} is missing. Run the participant level "
            "of this person again, or leave the person out."
        )
    return read_table(path)


def _session_columns(session: str) -> list[Column]:
    columns = [Column("n_lesions", "Number of lesions", kind="whole")]
    for region in _regions():
        columns.append(Column(_name(region, "volume"), f"Volume of {region.name}", "mm^3"))
        if region.seg != "tissue":
            described = f"Volume of white matter hyperintensities in {region.name}"
            columns.append(Column(_name(region, "wmh"), described, "mm^3"))
    at = "" if session == "n/a" else f" at {session}"
    return [
        column._replace(name=_prefix(session) + column.name, description=column.description + at)
        for column in columns
    ]


def _prefix(session: str) -> str:
    return "" if session == "n/a" else f"{session}_"


def _name(region: Region, what: str) -> str:
    return f"{region.seg}_{region.abbreviation.replace('-', '_')}_{what}_mm3"
