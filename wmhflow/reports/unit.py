"""The product of a person: a page that shows what every visit wrote."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from wmhflow.plan.visit import ParticipantPlan
from wmhflow.products.product import Page, Place, Recipe
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
    finished: list[list[str]], settings: Settings, participant: ParticipantPlan
) -> WrittenPage:
    """Write a person's page and its pictures.

    Parameters
    ----------
    finished
        What each visit wrote, so that the page comes after it.
    settings, participant
        The run's settings, and the person's plan.
    """
    return WrittenPage(write_report(settings, participant))


def person_unit(participant: ParticipantPlan, visits: list[Unit], settings: Settings) -> Unit:
    """Declare a person's page.

    Parameters
    ----------
    participant
        The person's plan.
    visits
        The units of its visits.
    settings
        The run's settings.
    """
    page = Recipe(
        "report",
        write_page,
        takes={"finished": [one for unit in visits for one in written_by(unit)]},
        options={"settings": settings, "participant": participant},
        makes={"page": Page("page")},
    )
    folders, place = (person_folder(participant.subject),), Place(participant.subject)
    return Unit(f"sub-{participant.subject}", folders, place, (page,))
