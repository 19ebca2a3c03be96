"""Atlases and templates fetched once, and verified."""

from __future__ import annotations

import hashlib
from pathlib import Path

from wmhflow.errors import InputError
from wmhflow.registries.atlases import (
    DIRECTORY_VARIABLE,
    AtlasDefinition,
    AtlasFile,
    TemplateDefinition,
    atlas_directory,
    cached_path,
)


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
