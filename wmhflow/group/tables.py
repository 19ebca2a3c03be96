"""Every person's tables gathered into one of each kind, with the person and visit as row keys."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wmhflow.bids.query import check_dataset, find_subjects
from wmhflow.bids.writer import (
    Column,
    dictionary_of,
    read_table,
    table_text,
    write_bytes,
    write_json,
    write_text,
)
from wmhflow.errors import NothingToDoError
from wmhflow.labels.regions import Region, load_regions
from wmhflow.products.columns import names
from wmhflow.products.dataset import write_dataset_files
from wmhflow.products.outputs import ENDINGS, TABLES, record_path, table_columns
from wmhflow.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

KEYS: tuple[Column, ...] = (
    ("participant_id", "The person", None),
    ("session_id", "The visit; n/a if the person has no sessions", None),
)
WHOLE_COLUMNS = ("index", "n", "opposite_n", "n_lesions", "n_lesions_centre")
TEXT_COLUMNS = (
    *(
        "participant_id",
        "session_id",
        "seg",
        "name",
        "hemisphere",
        "tissue",
        "map",
        "unit",
        "measure",
    ),
    *("lesion_class", "shell", "axis", "continuity", "majority", "lobe", "territory"),
    *("model", "reason", "metric", "verdict"),
)
WIDE_SEGMENTATIONS = ("tissue", "zones", "lobes")


@dataclass(frozen=True)
class Visit:
    """A finished visit."""

    participant_id: str
    session_id: str
    folder: Path

    @property
    def keys(self) -> dict[str, str]:
        """The row keys."""
        return {"participant_id": self.participant_id, "session_id": self.session_id}

    def table(self, kind: str) -> Path:
        """Return where the visit's table of one kind lies."""
        session = "" if self.session_id == "n/a" else f"_{self.session_id}"
        return self.folder / f"{self.participant_id}{session}_{ENDINGS[kind]}.tsv"


def run_group(settings: Settings) -> int:
    """Gather the tables of a study.

    Parameters
    ----------
    settings
        The run's settings.

    Returns
    -------
    int
        0; persons of the dataset that have no tables are named.

    Raises
    ------
    NothingToDoError
        If nobody has tables yet.
    """
    check_dataset(settings.bids_dir, "BIDS_DIR")
    subjects = find_subjects(settings.bids_dir, settings.inputs.participant_label)
    visits = list(find_visits(settings, subjects))
    if not visits:
        raise NothingToDoError(
            f"{settings.output_dir} holds no person's tables; run the participant level first."
        )
    if settings.reporting.dry_run:
        print("\n".join(f"{visit.participant_id} {visit.session_id}" for visit in visits))
        return 0
    if not (settings.output_dir / "dataset_description.json").is_file():
        write_dataset_files(settings)
    group = settings.output_dir / "group"
    schemes = zone_schemes(settings, visits)
    _say_where_atlases_differ(settings, visits)
    for kind in TABLES:
        columns = table_columns(kind, schemes)
        _write_gathered(group / f"{ENDINGS[kind]}.tsv", visits, kind, columns)
    write_phenotype(settings.output_dir / "phenotype", visits)
    _say_who_is_missing(subjects, visits)
    print(f"{len(visits)} visits gathered; tables are in {group}.")
    return 0


def find_visits(settings: Settings, subjects: Sequence[str]) -> Iterator[Visit]:
    """Go through the finished visits, in order of person and session; name the others."""
    wanted = {f"ses-{label}" for label in settings.inputs.session_label}
    for subject in subjects:
        person = settings.output_dir / f"sub-{subject}"
        sessions = sorted(folder.name for folder in person.glob("ses-*") if folder.is_dir())
        folders = [(name, person / name / "anat") for name in sessions]
        for session, folder in folders or [("n/a", person / "anat")]:
            visit = Visit(f"sub-{subject}", session, folder)
            if wanted and session not in wanted:
                continue
            label = None if session == "n/a" else session.removeprefix("ses-")
            if (settings.output_dir / record_path(subject, label)).is_file():
                yield visit
            elif folder.is_dir():
                print(
                    f"{visit.participant_id} {session} is not finished and left out.",
                    file=sys.stderr,
                )


def zone_schemes(settings: Settings, visits: Sequence[Visit]) -> tuple[str, ...]:
    """Return the zone schemes that the visits were made with; say so where they differ."""
    found: dict[tuple[str, ...], str] = {}
    for visit in visits:
        label = None if visit.session_id == "n/a" else visit.session_id.removeprefix("ses-")
        path = settings.output_dir / record_path(visit.participant_id.removeprefix("sub-"), label)
        made_with = tuple(json.loads(path.read_text(encoding="utf-8"))["settings"]["zones"])
        found.setdefault(made_with, f"{visit.participant_id} {visit.session_id}")
    if len(found) > 1:
        said = "; ".join(f"{who}: {' '.join(schemes)}" for schemes, who in found.items())
        print(
            f"Visits were made with different --zones ({said}): rows of zones do not compare, and "
            "columns that some lack are n/a there.",
            file=sys.stderr,
        )
    return tuple(dict.fromkeys(scheme for schemes in found for scheme in schemes))


def _say_where_atlases_differ(settings: Settings, visits: Sequence[Visit]) -> None:
    """Name atlases of one name that were other files, or laid over in another way."""
    found: dict[str, dict[str, str]] = {}
    for visit in visits:
        label = None if visit.session_id == "n/a" else visit.session_id.removeprefix("ses-")
        path = settings.output_dir / record_path(visit.participant_id.removeprefix("sub-"), label)
        record = json.loads(path.read_text(encoding="utf-8"))
        threshold = record["settings"].get("atlas_threshold")
        for name, atlas in record.get("atlases", {}).items():
            made_with = json.dumps([atlas, threshold], sort_keys=True)
            who = f"{visit.participant_id} {visit.session_id}"
            found.setdefault(name, {}).setdefault(made_with, who)
    for name, ways in found.items():
        if len(ways) > 1:
            print(
                f"The atlas {name} is not the same in all visits (file, template or threshold; see "
                f"{' and '.join(list(ways.values())[:3])}): its rows do not compare.",
                file=sys.stderr,
            )


def _say_who_is_missing(subjects: Sequence[str], visits: Sequence[Visit]) -> None:
    there = {visit.participant_id for visit in visits}
    missing = [f"sub-{subject}" for subject in subjects if f"sub-{subject}" not in there]
    if missing:
        shown = ", ".join(missing[:10]) + (" …" if len(missing) > 10 else "")
        print(f"{len(missing)} persons have no tables and are left out: {shown}", file=sys.stderr)


def _write_gathered(
    path: Path, visits: Sequence[Visit], kind: str, columns: tuple[Column, ...]
) -> None:
    """Write one kind of table as TSV, as Parquet, and its dictionary."""
    rows: list[dict[str, str]] = []
    for visit in visits:
        if visit.table(kind).is_file():
            rows += [visit.keys | row for row in read_table(visit.table(kind))]
    if not rows:
        # of an earlier run, which gathered what is not there any more
        for ending in (".tsv", ".json", ".parquet"):
            path.with_suffix(ending).unlink(missing_ok=True)
        return
    everything = (*KEYS, *columns)
    rows = [{name: row.get(name, "n/a") for name in names(everything)} for row in rows]
    write_text(path, table_text(names(everything), rows))
    write_json(path.with_suffix(".json"), dictionary_of(everything))
    write_bytes(path.with_suffix(".parquet"), parquet_bytes(names(everything), rows))


def parquet_bytes(columns: Sequence[str], rows: Sequence[dict[str, str]]) -> bytes:
    """Write rows of text as a Parquet file with typed columns; ``n/a`` is null.

    Parameters
    ----------
    columns
        Names in order.
    rows
        Cells as text, as a TSV file holds them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = [_typed(name, [row[name] for row in rows]) for name in columns]
    stream = io.BytesIO()
    pq.write_table(pa.table(dict(zip(columns, arrays, strict=True))), stream, compression="zstd")
    return stream.getvalue()


def _typed(name: str, cells: Sequence[str]) -> pa.Array:
    """Make a column of the type that its name has in every study, whatever is missing in this."""
    import pyarrow as pa

    present = [None if cell == "n/a" else cell for cell in cells]
    if name in TEXT_COLUMNS or name.startswith("majority_"):
        return pa.array(present, type=pa.string())
    if name in WHOLE_COLUMNS:
        return pa.array([None if c is None else int(c) for c in present], type=pa.int64())
    return pa.array([None if c is None else float(c) for c in present], type=pa.float64())


def write_phenotype(folder: Path, visits: Sequence[Visit]) -> None:
    """Write the volumes with a row per person, as BIDS wants phenotypes and statistics read them.

    Parameters
    ----------
    folder
        The dataset's ``phenotype`` folder.
    visits
        The visits; the columns of one with a session begin with it.
    """
    rows: dict[str, dict[str, Any]] = {}
    for visit in visits:
        row = rows.setdefault(visit.participant_id, {"participant_id": visit.participant_id})
        row |= {f"{_prefix(visit.session_id)}{name}": v for name, v in _wide_values(visit).items()}
    sessions = sorted(
        {visit.session_id for visit in visits}, key=lambda name: (name != "n/a", name)
    )
    columns = [*KEYS[:1], *(column for session in sessions for column in _wide_columns(session))]
    write_text(folder / "wmhflow_volumes.tsv", table_text([c[0] for c in columns], rows.values()))
    dictionary: dict[str, Any] = {
        "MeasurementToolMetadata": {
            "Description": "Volumes of regions and of white matter hyperintensities in them"
        }
    }
    write_json(folder / "wmhflow_volumes.json", dictionary | dictionary_of(columns))


def _prefix(session: str) -> str:
    return "" if session == "n/a" else f"{session}_"


def _wide_values(visit: Visit) -> dict[str, Any]:
    cells = {(row["seg"], row["index"]): row for row in read_table(visit.table("volumes"))}
    values: dict[str, Any] = {"n_lesions": len(read_table(visit.table("lesions")))}
    for region in _wide_regions():
        found = cells.get((region.seg, str(region.index)), {})
        values[_wide_name(region, "volume")] = found.get("volume_mm3", "n/a")
        if region.seg != "tissue":
            values[_wide_name(region, "wmh")] = found.get("wmh_volume_mm3", "n/a")
    return values


def _wide_regions() -> list[Region]:
    return [region for seg in WIDE_SEGMENTATIONS for region in load_regions(seg).values()]


def _wide_columns(session: str) -> tuple[Column, ...]:
    columns: list[Column] = [("n_lesions", "Number of lesions", None)]
    for region in _wide_regions():
        columns.append((_wide_name(region, "volume"), f"Volume of {region.name}", "mm^3"))
        if region.seg != "tissue":
            described = f"Volume of white matter hyperintensities in {region.name}"
            columns.append((_wide_name(region, "wmh"), described, "mm^3"))
    at = "" if session == "n/a" else f" at {session}"
    return tuple((_prefix(session) + name, text + at, unit) for name, text, unit in columns)


def _wide_name(region: Region, what: str) -> str:
    return f"{region.seg}_{region.abbreviation.replace('-', '_')}_{what}_mm3"
