"""The page of a person: what it is given, and how its templates are filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wmhflow

if TYPE_CHECKING:
    from jinja2 import Environment

    from wmhflow.plan.visit import Decision

TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Shown:
    """A picture in the page: its address relative to the page, and what it shows."""

    href: str
    alt: str
    caption: str
    map_name: str | None = None


@dataclass(frozen=True)
class SectionPart:
    """What the page says of one visit in one section: its template, filled, and its pictures."""

    title: str
    anchor: str
    template: str
    values: Mapping[str, Any]
    pictures: tuple[Shown, ...] = ()
    has_heading: bool = True

    @property
    def below(self) -> tuple[Shown, ...]:
        """The pictures that the template does not set beside a map of its own."""
        names = {part.name for part in self.values.get("maps", ())}
        return tuple(shown for shown in self.pictures if shown.map_name not in names)


@dataclass(frozen=True)
class VisitPart:
    """What the page says of one visit; with a ``problem``, nothing but that."""

    anchor: str
    title: str
    sections: tuple[SectionPart, ...] = ()
    decisions: tuple[Decision, ...] = ()
    problem: str | None = None


def render(subject: str, visits: Sequence[VisitPart], methods: str) -> str:
    """Fill the page's template; all text is escaped but the methods text, which is HTML already.

    Parameters
    ----------
    subject
        Label without ``sub-``.
    visits
        In the order of the page.
    methods
        HTML.
    """
    from markupsafe import Markup

    environment = _environment()

    def body(section: SectionPart) -> Markup:
        template = environment.get_template(section.template)
        # the template has escaped what it was given
        return Markup(template.render(section.values, pictures=section.pictures))

    return environment.get_template("page.html.j2").render(
        subject=subject,
        visits=visits,
        methods=Markup(methods),
        version=wmhflow.__version__,
        body=body,
    )


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
