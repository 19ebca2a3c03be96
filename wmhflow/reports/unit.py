"""The product of a person: a page that shows what every visit wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from wmhflow.plan.judging import with_notes
from wmhflow.plan.visit import Decision, ParticipantPlan
from wmhflow.products.inputs import NOTES
from wmhflow.products.product import From, Page, Place, Recipe
from wmhflow.products.unit import Unit
from wmhflow.products.visit import person_folder
from wmhflow.products.writing import written_by
from wmhflow.reports.person import write_report
from wmhflow.settings import Settings
from wmhflow.steps.kinds import step


class WrittenPage(NamedTuple):
    """A person's page."""

    page: Path


@step(mem_gb=1.0, always=True)
def write_page(
    finished: list[str],
    notes: list[dict[str, list[Decision]]],
    settings: Settings,
    participant: ParticipantPlan,
) -> WrittenPage:
    """Write a person's page and its pictures.

    Parameters
    ----------
    finished
        What each visit wrote, so that the page comes after it.
    notes
        What the voxels of each visit's files said, which the plan could not know, by its label.
    settings, participant
        The run's settings, and the person's plan.
    """
    said = {label: told for part in notes for label, told in part.items()}
    visits = tuple(with_notes(visit, said.get(visit.label, ())) for visit in participant.visits)
    return WrittenPage(write_report(settings, replace(participant, visits=visits)))


def page_units(
    participant: ParticipantPlan, units: Sequence[Unit], settings: Settings
) -> Iterable[Unit]:
    """Declare a person's page, which shows what every visit wrote.

    Parameters
    ----------
    participant
        The person's plan.
    units
        The person's other units.
    settings
        The run's settings.
    """
    visits = [unit for unit in units if NOTES in unit.products]
    page = Recipe(
        "report",
        write_page,
        takes={
            "finished": [one for unit in units for one in written_by(unit)],
            "notes": [From(unit.name, NOTES) for unit in visits],
        },
        options={"settings": settings, "participant": participant},
        makes={"page": Page("page")},
    )
    folders, place = (person_folder(participant.subject),), Place(participant.subject)
    yield Unit(f"sub-{participant.subject}", folders, place, (page,))
