"""A person's report: one HTML page with pictures and tables of every visit.

It is made from finished outputs alone (and, for the pictures of how maps are aligned, from the
maps themselves), so that it can be made anew at any time, and gives the same bytes each time.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from wmhflow.bids.writer import write_bytes, write_text
from wmhflow.products.methods import citation_files
from wmhflow.products.product import page_path
from wmhflow.products.record import note_page
from wmhflow.products.used import methods_of
from wmhflow.reports.context import VisitContext
from wmhflow.reports.page import Shown, VisitPart, render
from wmhflow.reports.pictures import PICTURES
from wmhflow.reports.sections import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from wmhflow.plan.visit import ParticipantPlan
    from wmhflow.reports.pictures import Picture
    from wmhflow.settings import Settings


def write_report(
    settings: Settings,
    participant: ParticipantPlan,
    drawn: Mapping[str, Mapping[str, Iterable[Picture]]] | None = None,
) -> Path:
    """Write a person's page and its pictures.

    Parameters
    ----------
    settings
        The run's settings; finished outputs are read from its output folder.
    participant
        The person's plan.
    drawn
        By the label of a visit, what was drawn of it before: pictures by the key of their row.

    Returns
    -------
    Path
        The page. A visit without finished outputs is named in it with the reason.

    Raises
    ------
    InputError
        If an image or a transform cannot be read.
    """
    import matplotlib.style

    # a user's matplotlibrc must not change the pictures
    with matplotlib.style.context("default"):
        contexts = [VisitContext(settings, visit) for visit in participant.reported]
        visits = [_visit_part(one, (drawn or {}).get(one.visit.label, {})) for one in contexts]
    subject, page = participant.subject, page_path(participant.subject)
    path = settings.output_dir / page
    write_text(path, render(subject, visits, _methods(settings, contexts)))
    pictures = [
        shown.href for visit in visits for part in visit.sections for shown in part.pictures
    ]
    names = [page, *(PurePosixPath(unquote(href)) for href in pictures)]
    note_page(subject, settings.output_dir, dict.fromkeys(names))
    return path


def _methods(settings: Settings, contexts: list[VisitContext]) -> str:
    """Write the methods text of a person's visits, those that cannot be processed left out."""
    shown = [context for context in contexts if context.visit.problem is None]
    used = {name for context in shown for name in methods_of(context.unit, context.visit)}
    text = citation_files(settings, used)["CITATION.html"].replace("<h2>Methods</h2>\n", "")
    return text.replace("<h2>", "<h3>").replace("</h2>", "</h3>")


def _visit_part(context: VisitContext, drawn: Mapping[str, Iterable[Picture]]) -> VisitPart:
    visit = context.visit
    if context.problem is not None:
        return VisitPart(
            context.anchor, context.title, decisions=visit.decisions, problem=context.problem
        )
    pictures = _draw(context, drawn)
    parts = (section.part(context, tuple(pictures[section.key])) for section in SECTIONS)
    sections = tuple(part for part in parts if part is not None)
    return VisitPart(context.anchor, context.title, sections)


def _draw(context: VisitContext, drawn: Mapping[str, Iterable[Picture]]) -> dict[str, list[Shown]]:
    """Draw and save every picture of a visit that is not drawn yet, by section."""
    shown: dict[str, list[Shown]] = {section.key: [] for section in SECTIONS}
    addresses: set[str] = set()
    for maker in PICTURES:
        # a picture without a section would never be seen: an error, also where nothing is drawn
        section = shown[maker.section]
        made = drawn[maker.key] if maker.key in drawn else maker.pictures(context)
        for picture in made:
            saved = _save(context, picture)
            if saved.href in addresses:
                raise ValueError(f"two pictures are called {saved.href}: the last is {maker.key}")
            addresses.add(saved.href)
            section.append(saved)
    return shown


def _save(context: VisitContext, picture: Picture) -> Shown:
    path = context.figure_path(picture.desc, picture.suffix)
    write_bytes(context.settings.output_dir / path, picture.png)
    return Shown(quote(path.as_posix()), picture.alt, picture.caption, picture.map_name)
