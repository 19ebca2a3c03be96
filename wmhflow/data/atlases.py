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

from wmhflow.data.registry import Region, load_freesurfer_codes
from wmhflow.errors import InputError

DIRECTORY_VARIABLE = "WMHFLOW_ATLAS_DIR"


@dataclass(frozen=True)
class AtlasFile:
    """A file of an atlas; without an address, it comes from a copy of one's own."""

    file: str
    address: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class AtlasDefinition:
    """What the registry says of an atlas.

    The regions are named by a table beside the image, by ``names``, or by FreeSurfer's codes.
    ``groups`` makes new regions from the numbers of the image; ``repairs`` mends the table;
    ``is_percent`` says that probabilities are written as 0 to 100.
    """

    name: str
    title: str
    kind: str
    space: str
    licence: str
    citation: str
    image: AtlasFile
    table: AtlasFile | None = None
    names: Mapping[int, str] | None = None
    codes: str | None = None
    groups: Mapping[int, tuple[int, ...]] | None = None
    repairs: Mapping[int, Mapping[str, str]] | None = None
    is_percent: bool = False

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
def load_atlases() -> dict[str, AtlasDefinition]:
    """Read the registry of atlases, by name."""
    text = (files("wmhflow.data") / "atlases.toml").read_text(encoding="utf-8")
    return {table["name"]: _definition(table) for table in tomllib.loads(text)["atlas"]}


def _definition(table: Mapping[str, Any]) -> AtlasDefinition:
    fields = dict(table)
    for key in ("image", "table"):
        if key in fields:
            fields[key] = AtlasFile(**fields[key])
    for key in ("names", "repairs", "groups"):
        if key in fields:
            fields[key] = {int(number): value for number, value in fields[key].items()}
    if "groups" in fields:
        fields["groups"] = {number: tuple(part) for number, part in fields["groups"].items()}
    return AtlasDefinition(**fields)


def atlas_directory() -> Path:
    """Return the folder that holds fetched atlases: ``WMHFLOW_ATLAS_DIR``, or a cache."""
    given = os.environ.get(DIRECTORY_VARIABLE)
    if given:
        return Path(given)
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
    return [_fetched(definition, entry) for entry in definition.files]


def _fetched(definition: AtlasDefinition, entry: AtlasFile) -> Path:
    path = cached_path(definition, entry)
    if atlas_directory().is_file():
        raise InputError(f"{atlas_directory()} is a file; set {DIRECTORY_VARIABLE} to a folder.")
    if not path.is_file():
        import pooch

        pooch.get_logger().setLevel("WARNING")
        try:
            pooch.retrieve(
                entry.address, f"sha256:{entry.sha256}", entry.file, path.parent, progressbar=False
            )
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
    """Check a file against the registry's SHA-256, if it has one.

    Raises
    ------
    InputError
        If the file is another.
    """
    if entry.sha256 is None:
        return
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != entry.sha256:
        raise InputError(
            f"{path} is not the file that the registry knows as {entry.file} (SHA-256 "
            f"{found[:12]}…, expected {entry.sha256[:12]}…); remove it and fetch it again, or give "
            "it as an atlas of its own with --atlas NAME=PATH."
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
