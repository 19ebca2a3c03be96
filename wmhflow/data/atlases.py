"""The atlases that the program knows by name, and where their files are kept."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from wmhflow.data.registry import Region, bibliography, load_freesurfer_codes
from wmhflow.errors import InputError

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
    return tomllib.loads((files("wmhflow.data") / "atlases.toml").read_text(encoding="utf-8"))


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
        return Path(given).expanduser().absolute()
    import pooch

    return Path(pooch.os_cache("wmhflow")) / "atlases"


def cached_path(definition: AtlasDefinition, entry: AtlasFile) -> Path:
    """Return where a file of an atlas is kept."""
    return atlas_directory() / definition.name / entry.file


def fetch(definition: AtlasDefinition) -> list[Path]:
    """Fetch what is missing of an atlas, and verify all of it.

    Parameters
    ----------
    definition
        An atlas of the registry.

    Returns
    -------
    list of Path
        Its files.

    Raises
    ------
    InputError
        If it cannot be fetched, or a file is not the one that the registry knows.
    """
    if not definition.can_be_fetched:
        raise InputError(
            f"The atlas {definition.name} cannot be fetched ({definition.licence}); give a copy of "
            f"your own as --atlas {definition.name}=PATH, or put {definition.image.file} into "
            f"{cached_path(definition, definition.image).parent}."
        )
    return [_fetched(cached_path(definition, entry), entry) for entry in definition.files]


def fetch_template(template: TemplateDefinition) -> Path:
    """Fetch the image of a template if it is not there, and verify it.

    Raises
    ------
    InputError
        If it cannot be fetched, or the file is not the one that the registry knows.
    """
    if not template.image.address and not template.path.is_file():
        raise InputError(f"The image of the template {template.name} {how_to_get(template)}.")
    return _fetched(template.path, template.image)


def how_to_get(template: TemplateDefinition) -> str:
    """Say in half a sentence how the image of a template that is not there is got."""
    if template.image.address:
        return (
            f"is fetched by 'wmhflow atlas fetch {template.name}'; offline, get "
            f"{template.image.address} elsewhere and put it into {template.path.parent}"
        )
    return (
        f"cannot be fetched: put your copy, called {template.image.file}, into "
        f"{template.path.parent}, or name it with --atlas-template ATLAS=IMAGE"
    )


def _fetched(path: Path, entry: AtlasFile) -> Path:
    if atlas_directory().is_file():
        raise InputError(f"{atlas_directory()} is a file; set {DIRECTORY_VARIABLE} to a folder.")
    if not path.is_file():
        import pooch

        pooch.get_logger().setLevel("WARNING")
        try:
            digest = ":".join(entry.digest) if entry.digest else None
            pooch.retrieve(entry.address, digest, entry.file, path.parent, progressbar=False)
            # pooch makes files that only their owner can read, and a cache may be shared
            path.chmod(path.stat().st_mode | 0o444)
        except ValueError as error:
            raise InputError(
                f"{entry.address} is not the file that the registry knows ({error}); it may have "
                "changed. Nothing was kept."
            ) from None
        except Exception as error:  # noqa: BLE001 - whatever the network does is said
            raise InputError(
                f"{entry.file} could not be fetched ({type(error).__name__}); on a machine "
                f"with a network get {entry.address} and put it into {path.parent}."
            ) from None
    verify(path, entry)
    return path


def verify(path: Path, entry: AtlasFile) -> None:
    """Check a file against the registry's checksum, if it has one.

    Raises
    ------
    InputError
        If the file is another.
    """
    if entry.digest is None:
        return
    kind, expected = entry.digest
    found = hashlib.new(kind, path.read_bytes(), usedforsecurity=False).hexdigest()
    if found != expected:
        raise InputError(
            f"{path} is not the file that the registry knows as {entry.file} ({kind.upper()} "
            f"{found[:12]}…, expected {expected[:12]}…); remove it and fetch it again, or give it "
            "as a file of your own (--atlas NAME=PATH, --atlas-template NAME=IMAGE)."
        )


def freesurfer_regions(seg: str) -> dict[int, Region]:
    """Name regions by FreeSurfer's codes, left and right as homologues."""
    from wmhflow.data.label_tables import swapped_name

    codes = load_freesurfer_codes()
    by_name = {entry.name for entry in codes.values()}
    return {
        code: Region(
            seg,
            code,
            entry.name,
            entry.name,
            entry.hemisphere,
            other if (other := swapped_name(entry.name)) in by_name else None,
            (),
            f"#{(code * 2654435761) % 0xFFFFFF:06x}",
        )
        for code, entry in codes.items()
    }
