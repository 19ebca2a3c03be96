"""The series of images from which maps are computed: which files belong together."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class SeriesFile:
    """A file of a series, or several along an entity; ``data/series.toml`` explains each field."""

    query: Mapping[str, Any] = field(default_factory=dict)
    along: str | None = None
    beside: str | None = None
    optional: bool = False
    on_grid: bool = False
    volumes: bool = False
    instead: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeriesDefinition:
    """What belongs to a series, by the parameters of the steps that take it; the lead comes first.

    ``raw`` says whether it is also taken from the raw dataset; a text names the setting that asks
    for it. ``per`` is an entity of whose every value there is a series. ``directions`` says for
    programs that write gradients otherwise than BIDS has it along which axes they lie. ``unmade``
    says of a ``given`` and of a ``raw`` series of which no map can be made what the plan calls it.
    """

    name: str
    title: str
    files: Mapping[str, SeriesFile]
    shown_by: str | None = None
    raw: bool | str = False
    per: str | None = None
    directions: Mapping[str, str] = field(default_factory=dict)
    unmade: Mapping[str, str] = field(default_factory=dict)

    @property
    def lead(self) -> str:
        """The parameter of the file that all others belong to."""
        return next(iter(self.files))

    def narrowed(self, value: str | None) -> SeriesDefinition:
        """Return the series of one value of the entity ``per``, or of files without it."""
        if self.per is None:
            return self
        lead = self.files[self.lead]
        one = replace(lead, query={**lead.query, self.per: value})
        title = f"{self.title} of {value}" if value else self.title
        return replace(self, title=title, files={**self.files, self.lead: one})


@cache
def load_series_definitions() -> dict[str, SeriesDefinition]:
    """Read the registry of series, by name.

    Examples
    --------
    >>> load_series_definitions()["diffusion"].lead
    'image'
    """
    text = (files("wmhflow") / "data" / "series.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)["series"]
    return {table["name"]: _definition(table) for table in tables}


def _definition(table: Mapping[str, Any]) -> SeriesDefinition:
    held = {
        name: SeriesFile(**_with_absence(one) | {"instead": tuple(one.get("instead", ()))})
        for name, one in table["files"].items()
    }
    return SeriesDefinition(**{**table, "files": held})


def _with_absence(one: Mapping[str, Any]) -> dict[str, Any]:
    """Read an empty text in a list of values as the absence of the entity."""
    query = {
        entity: [value if value != "" else None for value in values]
        if isinstance(values, list) else values
        for entity, values in one.get("query", {}).items()
    }  # fmt: skip
    return {**one, "query": query} if query else dict(one)
