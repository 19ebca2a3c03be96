"""The atlases that the program knows by name, and where their files are kept."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from wmhflow.registries.bibliography import bibliography

DIRECTORY_VARIABLE = "WMHFLOW_ATLAS_DIR"


@dataclass(frozen=True)
class AtlasFile:
    """A file of an atlas; without an address, it comes from a copy of one's own."""

    file: str
    address: str | None = None
    sha256: str | None = None
    md5: str | None = None

    @property
    def digest(self) -> tuple[str, str] | None:
        """The kind of checksum that its publisher gives, and its value."""
        known = ((kind, getattr(self, kind)) for kind in ("sha256", "md5"))
        return next(((kind, value) for kind, value in known if value), None)


@dataclass(frozen=True)
class TemplateDefinition:
    """A template that atlases lie on, and its T1w image."""

    name: str
    title: str
    image: AtlasFile

    @property
    def path(self) -> Path:
        """Where its image is kept."""
        return atlas_directory() / "templates" / self.image.file


@dataclass(frozen=True)
class AtlasDefinition:
    """What the registry says of an atlas.

    The regions are named by a table beside the image, by ``names``, or by FreeSurfer's codes.
    ``groups`` makes new regions from the numbers of the image; ``repairs`` mends the table and
    ``header`` (shape and affine) the header of an image of that shape;
    ``is_percent`` says that probabilities are written as 0 to 100. ``bridge`` says what is
    registered to the program's template: the ``images`` of the two templates, or the atlas's own
    ``labels``. ``territories`` marks an atlas of arteries, ``ventricles`` what in it is none.
    """

    name: str
    title: str
    kind: str
    template: str
    licence: str
    citation: str
    image: AtlasFile
    table: AtlasFile | None = None
    names: Mapping[int, str] | None = None
    codes: str | None = None
    groups: Mapping[int, tuple[int, ...]] | None = None
    repairs: Mapping[int, Mapping[str, str]] | None = None
    header: Mapping[str, Any] | None = None
    is_percent: bool = False
    bridge: str = "images"
    territories: bool = False
    ventricles: tuple[int, ...] = ()

    @property
    def files(self) -> tuple[AtlasFile, ...]:
        """The image, and the table if it has one of its own."""
        own = self.table if self.table and (self.table.address or not self.image.address) else None
        return (self.image, own) if own else (self.image,)

    @property
    def can_be_fetched(self) -> bool:
        """Whether every file has an address."""
        return all(entry.address for entry in self.files)


@cache
def _registry() -> dict[str, Any]:
    return tomllib.loads((files("wmhflow") / "data" / "atlases.toml").read_text(encoding="utf-8"))


@cache
def load_atlases() -> dict[str, AtlasDefinition]:
    """Read the registry of atlases, by name."""
    return {table["name"]: _definition(table) for table in _registry()["atlas"]}


@cache
def load_templates() -> dict[str, TemplateDefinition]:
    """Read the registry of the templates that atlases lie on, by name."""
    return {
        table["name"]: TemplateDefinition(
            table["name"], table["title"], AtlasFile(**table["image"])
        )
        for table in _registry()["template"]
    }


def _definition(table: Mapping[str, Any]) -> AtlasDefinition:
    fields = dict(table)
    for key in ("image", "table"):
        if key in fields:
            fields[key] = AtlasFile(**fields[key])
    for key in ("names", "repairs", "groups"):
        if key in fields:
            fields[key] = {int(number): value for number, value in fields[key].items()}
    fields["ventricles"] = tuple(fields.get("ventricles", ()))
    if "groups" in fields:
        fields["groups"] = {number: tuple(part) for number, part in fields["groups"].items()}
    return AtlasDefinition(**fields)


def atlases_table() -> str:
    """Return the atlases as Markdown for the documentation."""
    lines = ["| name | what | kind | template | licence | reference |", "| --- " * 6 + "|"]
    for name, entry in load_atlases().items():
        reference = f"doi:{bibliography()[entry.citation]['doi']}"
        template = f"{entry.template}{', by its own labels' if entry.bridge == 'labels' else ''}"
        cells = (f"`{name}`", entry.title, entry.kind, template, entry.licence, reference)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def atlas_directory() -> Path:
    """Return the folder that holds fetched atlases: ``WMHFLOW_ATLAS_DIR``, or a cache."""
    given = os.environ.get(DIRECTORY_VARIABLE)
    if given:
        # steps run in folders of their own, where a relative path would mean something else
        return Path(os.path.expanduser(given)).absolute()  # noqa: PTH111 - a user without a home
    import pooch

    return Path(pooch.os_cache("wmhflow")) / "atlases"


def cached_path(definition: AtlasDefinition, entry: AtlasFile) -> Path:
    """Return where a file of an atlas is kept."""
    return atlas_directory() / definition.name / entry.file
