"""The units of a person, by kind: each kind is a function and a row here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

from wmhflow.plan.visit import ParticipantPlan
from wmhflow.products.unit import Unit
from wmhflow.products.visit import visit_unit
from wmhflow.reports.unit import page_units
from wmhflow.settings import Settings

Maker = Callable[[ParticipantPlan, Sequence[Unit], Settings], Iterable[Unit]]


def visit_units(
    participant: ParticipantPlan, _: Sequence[Unit], settings: Settings
) -> Iterable[Unit]:
    """Declare every visit of a person that can be processed."""
    return [visit_unit(visit, settings) for visit in participant.visits if visit.problem is None]


# In order: a kind takes from those before it.
KINDS: tuple[Maker, ...] = (visit_units, page_units)


def units_of(participant: ParticipantPlan, settings: Settings) -> list[Unit]:
    """List the units of a person.

    Parameters
    ----------
    participant
        The plan; visits that have a problem are left out.
    settings
        The run's settings.
    """
    units: list[Unit] = []
    for make in KINDS:
        units += make(participant, tuple(units), settings)
    return units


def missing_files(units: Iterable[Unit], output_dir: Path) -> list[PurePosixPath]:
    """List what units promised and what does not exist.

    Parameters
    ----------
    units
        Such as those of a person.
    output_dir
        Where it should be.
    """
    promised = (path for unit in units for path in unit.files)
    return [path for path in promised if not (output_dir / path).is_file()]
