"""The product of a person: a page that shows what every visit wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from wmhflow.plan.judging import with_notes
from wmhflow.plan.visit import Decision, ParticipantPlan, VisitPlan
from wmhflow.products.inputs import NOTES
from wmhflow.products.product import From, Page, Place, Recipe, Work
from wmhflow.products.unit import Unit
from wmhflow.products.visit import person_folder
from wmhflow.products.writing import written_by, written_images
from wmhflow.reports.early import WithoutTables, draw_early, load_drawn, save_drawn
from wmhflow.reports.person import write_report
from wmhflow.settings import Settings
from wmhflow.steps.kinds import Folder, step


class DrawnPictures(NamedTuple):
    """A file of pictures that :func:`wmhflow.reports.early.load_drawn` reads."""

    pictures: Path


@step(mem_gb=1.0, seconds=6.0, always=True)
def draw_pictures(
    written: list[str],
    notes: list[dict[str, list[Decision]]],
    settings: Settings,
    visit: VisitPlan,
    folder: Folder,
) -> DrawnPictures:
    """Draw the pictures of a visit that show images alone.

    Parameters
    ----------
    written
        The images and transforms that were written, so that pictures come after them.
    notes
        As for :func:`write_page`.
    settings, visit
        The run's settings, and the visit's plan.
    folder
        Where pictures wait for the page.
    """
    told = [one for part in notes for one in part.get(visit.label, ())]
    context = WithoutTables(settings, with_notes(visit, told))
    path = folder / "pictures.zip"
    save_drawn(path, visit.label, draw_early(context))
    return DrawnPictures(path)


class WrittenPage(NamedTuple):
    """A person's page."""

    page: Path


@step(mem_gb=1.0, seconds=5.0, always=True)
def write_page(
    finished: list[str],
    notes: list[dict[str, list[Decision]]],
    settings: Settings,
    participant: ParticipantPlan,
    drawn: list[Path] | None = None,
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
    drawn
        Pictures that are there already, a file for each visit that has some.
    """
    said = {label: told for part in notes for label, told in part.items()}
    visits = tuple(with_notes(visit, said.get(visit.label, ())) for visit in participant.visits)
    early = dict(load_drawn(path) for path in drawn or ())
    return WrittenPage(write_report(settings, replace(participant, visits=visits), early))


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
    plans = {Place(visit.subject, visit.session): visit for visit in participant.visits}
    # where nothing is sampled the tables are there as soon as the images are
    sampled = [(unit, plans[unit.place]) for unit in visits if plans[unit.place].maps]
    early = [_early(number, unit, visit, settings) for number, (unit, visit) in enumerate(sampled)]
    page = Recipe(
        "report",
        write_page,
        takes={
            "finished": [one for unit in units for one in written_by(unit)],
            "notes": [From(unit.name, NOTES) for unit in visits],
            "drawn": [recipe.name for recipe in early] or None,
        },
        options={"settings": settings, "participant": participant},
        makes={"page": Page("page")},
    )
    folders, place = (person_folder(participant.subject),), Place(participant.subject)
    yield Unit(f"sub-{participant.subject}", folders, place, (*early, page))


def _early(number: int, unit: Unit, visit: VisitPlan, settings: Settings) -> Recipe:
    """Declare what of a visit is drawn before its tables are there."""
    key = f"pictures_{number + 1}"
    return Recipe(
        key,
        draw_pictures,
        takes={"written": written_images(unit), "notes": [From(unit.name, NOTES)]},
        options={"settings": settings, "visit": visit},
        makes={"pictures": Work(key)},
    )
