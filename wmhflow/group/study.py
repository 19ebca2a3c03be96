"""The finished visits of a study, and where what they were made with differs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from wmhflow.bids.writer import read_object, read_table
from wmhflow.errors import InputError
from wmhflow.group.alike import Alike
from wmhflow.group.changed import Changed
from wmhflow.labels.schemes import scheme_names
from wmhflow.products.product import Place
from wmhflow.products.record import visit_record_path
from wmhflow.products.tables import QC_TABLE, TABLES
from wmhflow.settings import Settings


@dataclass(frozen=True, slots=True)
class Visit:
    """A finished visit; the session of a person who has none is ``n/a``."""

    output_dir: Path
    participant_id: str
    session_id: str

    @property
    def place(self) -> Place:
        """The person and visit, without prefixes."""
        label = None if self.session_id == "n/a" else self.session_id.removeprefix("ses-")
        return Place(self.participant_id.removeprefix("sub-"), label)

    @property
    def record(self) -> Path:
        """Where it is kept what the visit was made from."""
        return self.output_dir / visit_record_path(self.place)

    @property
    def folder(self) -> Path:
        """Where the visit's images and tables lie."""
        return self.table("volumes").parent

    def table(self, kind: str) -> Path:
        """Return where the visit's table of one kind lies."""
        return self.output_dir / TABLES[kind].path(self.place)

    def __str__(self) -> str:
        return f"{self.participant_id} {self.session_id}"


@dataclass(frozen=True)
class Study:
    """The finished visits in order of person and session, and all zone schemes among them.

    ``written_to`` holds ``group`` and ``phenotype`` while they are made; by default the folder that
    holds the visits. ``left_out`` are the visits of which a kind of table cannot be gathered.
    ``layers_p`` is what ``--layers-p`` says, if anything.
    """

    output_dir: Path
    visits: tuple[Visit, ...]
    schemes: tuple[str, ...]
    written_to: Path | None = None
    left_out: Mapping[str, Set[Visit]] = field(default_factory=dict)
    layers_p: float | None = None

    @property
    def folder(self) -> Path:
        """The folder in which the study's files are made."""
        return self.written_to or self.output_dir

    def table(self, kind: str) -> Path:
        """Return where the gathered table of one kind lies; its Parquet file lies beside it."""
        return self.folder / "group" / f"{TABLES[kind].ending}.tsv"

    def with_table(self, kind: str) -> tuple[Visit, ...]:
        """Return the visits of which a kind of table can be gathered, if they have it."""
        without = self.left_out.get(kind, frozenset())
        return tuple(visit for visit in self.visits if visit not in without)


def find_visits(settings: Settings, subjects: Sequence[str]) -> Iterator[Visit]:
    """Go through the finished visits, in order of person and session; name the others."""
    wanted = {f"ses-{label}" for label in settings.inputs.session_label}
    for subject in subjects:
        person = settings.output_dir / f"sub-{subject}"
        sessions = sorted(folder.name for folder in person.glob("ses-*") if folder.is_dir())
        for session in sessions or ["n/a"]:
            visit = Visit(settings.output_dir, f"sub-{subject}", session)
            if wanted and session not in wanted:
                continue
            if visit.record.is_file():
                yield visit
            elif visit.folder.is_dir():
                print(f"{visit} is not finished and left out.", file=sys.stderr)


def read_study(
    output_dir: Path,
    visits: Sequence[Visit],
    on_damage: Callable[[InputError], object] | None = None,
    settings: Settings | None = None,
) -> Study:
    """Read each visit's record once, and say where visits were made in ways that do not compare.

    Parameters
    ----------
    output_dir
        The folder that holds all of them.
    visits
        The finished visits.
    on_damage
        Called with what is wrong with a record; its visit is left out.
    settings
        The run's: options that were given and the visits were not made with are said, and inputs
        that were edited since.

    Raises
    ------
    InputError
        If a record is damaged, and there is no ``on_damage``.
    """
    zones: dict[tuple[str, ...], Visit] = {}
    atlases: dict[str, dict[str, Visit]] = {}
    alike, changed = Alike(settings), Changed(settings) if settings else None
    sound = []
    for visit in visits:
        record = read_object(visit.record)
        try:
            schemes, ways = _made_with(visit, record)
        except InputError as error:
            if on_damage is None:
                raise
            on_damage(error)
            continue
        sound.append(visit)
        alike.note(str(visit), record, partial(_holds_nothing, visit))
        if changed:
            changed.note(str(visit), visit.record, record)
        zones.setdefault(schemes, visit)
        for name, made_with in ways.items():
            atlases.setdefault(name, {}).setdefault(made_with, visit)
    _say_where_zones_differ(zones)
    _say_where_atlases_differ(atlases)
    alike.say()
    if changed:
        changed.say()
    schemes = tuple(dict.fromkeys(scheme for schemes in zones for scheme in schemes))
    return Study(output_dir, tuple(sound), schemes)


def _holds_nothing(visit: Visit, part: str) -> bool:
    """Tell from a visit's table of quality whether a given mask was empty."""
    try:
        rows = read_table(visit.output_dir / QC_TABLE.path(visit.place))
        volumes = [row["value"] for row in rows if row["metric"] == f"{part}_given_volume_mm3"]
        return [float(volume) for volume in volumes] == [0.0]
    except (InputError, KeyError, ValueError):
        # nobody can tell: the copy is named
        return False


def _made_with(visit: Visit, record: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Read the zone schemes of a visit, and how each of its atlases was laid, from its record."""
    stated, atlases = record.get("settings"), record.get("atlases", {})
    settings: dict[str, Any] = stated if isinstance(stated, dict) else {}
    schemes = settings.get("zones")
    known = isinstance(schemes, list) and set(map(str, schemes)) <= set(scheme_names())
    if not known or not schemes or not isinstance(atlases, dict):
        raise InputError(f"{visit.record} is damaged; process {visit} again.")
    threshold = settings.get("atlas_threshold")
    ways = {name: json.dumps([laid, threshold], sort_keys=True) for name, laid in atlases.items()}
    return tuple(map(str, schemes)), ways


def _say_where_zones_differ(found: dict[tuple[str, ...], Visit]) -> None:
    if len(found) > 1:
        said = "; ".join(f"{visit}: {' '.join(schemes)}" for schemes, visit in found.items())
        print(
            f"Visits were made with different --zones ({said}): rows of zones do not compare, and "
            "columns that some lack are n/a there.",
            file=sys.stderr,
        )


def _say_where_atlases_differ(found: dict[str, dict[str, Visit]]) -> None:
    """Name atlases of one name that were other files, or laid over in another way."""
    for name, ways in found.items():
        if len(ways) > 1:
            print(
                f"The atlas {name} is not the same in all visits (file, template or threshold; see "
                f"{' and '.join(str(visit) for visit in list(ways.values())[:3])}): its rows do "
                "not compare.",
                file=sys.stderr,
            )
