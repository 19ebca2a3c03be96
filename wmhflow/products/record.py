"""What a finished unit was made from, so that a second run knows that nothing is left to do.

A record lies in the output folder, where anybody can write: nothing in it is believed before it is
looked at, and it leads to no file outside the person's own folders.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from wmhflow.bids.writer import read_object, remove_leftovers, write_json
from wmhflow.errors import InputError, ProductError
from wmhflow.files.checksums import checksum
from wmhflow.files.versions import software_versions
from wmhflow.products.product import Place
from wmhflow.products.unit import Unit

log = logging.getLogger("wmhflow")


class Held(NamedTuple):
    """What an output held when it was written."""

    size: int
    sha256: str


def visit_record_path(place: Place) -> PurePosixPath:
    """Return where it is kept what a finished visit was made from."""
    name = f"ses-{place.session}_record.json" if place.session else "record.json"
    return PurePosixPath("logs") / f"sub-{place.subject}" / name


def page_record_path(subject: str) -> PurePosixPath:
    """Return where it is kept what a person's page and its pictures hold."""
    return PurePosixPath("logs") / f"sub-{subject}" / "page_record.json"


def made_from(unit: Unit) -> dict[str, Any]:
    """State everything that a unit's outputs depend on.

    Parameters
    ----------
    unit
        One that has a record.

    Returns
    -------
    dict
        Checksums of all inputs, the settings that change results, and versions.

    Raises
    ------
    InputError
        If an input is not there any more, or cannot be read.
    """
    inputs = {file.uri: checksum(file.path) for file in unit.inputs}
    return {"inputs": inputs, **unit.choices(), "versions": software_versions()}


def is_finished(unit: Unit, output_dir: Path) -> bool:
    """Tell whether a unit's outputs are as they were made, from the same inputs and settings.

    Parameters
    ----------
    unit
        One that has a record.
    output_dir
        Where its outputs should be.
    """
    path = _path(unit, output_dir)
    record = read_object(path)
    outputs = _outputs_of(record, path)
    if outputs is None or set(outputs) != set(unit.files):
        return False
    if not _are_intact(outputs, output_dir):
        return False
    del record["outputs"]
    try:
        return bool(record == made_from(unit))
    except InputError:
        # said when the unit is to be made again
        return False


def changed_inputs(unit: Unit, depends_on: dict[str, Any]) -> str | None:
    """Say which input is another one than when the run began, if one is.

    Parameters
    ----------
    unit
        One that has a record.
    depends_on
        What :func:`made_from` said before the run began.
    """
    try:
        now = made_from(unit)
    except InputError as error:
        return f"an input is gone while it was processed: {error}"
    if now == depends_on:
        return None
    before = depends_on["inputs"]
    others = [file.path for file in unit.inputs if now["inputs"][file.uri] != before[file.uri]]
    what = str(others[0]) if others else "an atlas or a file of the options"
    return f"{what} changed while it was processed, so that results may be of both; run it again"


def _path(unit: Unit, output_dir: Path) -> Path:
    if unit.record is None:
        raise ProductError(f"{unit.name} has no record")
    return output_dir / unit.record


def _outputs_of(record: Mapping[str, Any], path: Path) -> dict[PurePosixPath, Held] | None:
    """Read which outputs a record names; None, which is said, if it is not as it was written."""
    if not record:
        return None
    outputs = record.get("outputs")
    pairs = outputs.items() if isinstance(outputs, dict) else [("outputs", outputs)]
    found = {}
    for name, held in pairs:
        if not (isinstance(held, dict) and _is_held(held) and _is_below(name)):
            log.warning(
                "%s is not as it was written (%.60r is no output's name, size and checksum); "
                "it counts as absent, and what it is about is made anew.", path, name,
            )  # fmt: skip
            return None
        found[PurePosixPath(name)] = Held(held["size"], held["sha256"])
    return found


def _is_held(held: Mapping[str, Any]) -> bool:
    fields = set(held) == set(Held._fields)
    return fields and type(held["size"]) is int and isinstance(held["sha256"], str)


def _is_below(name: str) -> bool:
    """Tell whether a name leads to a file below the folder that it begins in."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts \
        and "\0" not in name and str(path) == name  # fmt: skip


def _are_intact(outputs: Mapping[PurePosixPath, Held], output_dir: Path) -> bool:
    """Tell whether outputs hold what they held; the first that does not is said."""
    for name, held in outputs.items():
        path = output_dir / name
        try:
            # the size first: it is there without reading
            same = path.stat().st_size == held.size and checksum(path) == held.sha256
            why = "is not what was written (damaged, or edited)"
        except OSError as error:
            same, why = False, f"cannot be read ({error.strerror})"
        if not same:
            log.warning("%s %s: it is made anew.", path, why)
            return False
    return True


def begin_again(unit: Unit, output_dir: Path) -> None:
    """Take back that a unit is finished, and remove what it promised then and not any more.

    Otherwise a table of a map that was withdrawn would stay and be gathered at the group level.
    What a run that was killed had begun to write goes, too; nothing writes yet.
    """
    for folder in {(output_dir / path).parent for path in unit.files}:
        if _lies_below(folder, output_dir):
            remove_leftovers(folder)
    path = _path(unit, output_dir)
    outputs = _outputs_of(read_object(path), path) or {}
    path.unlink(missing_ok=True)
    for name in set(outputs) - set(unit.files):
        found = output_dir / name
        own = _is_of(name, unit.place) and _lies_below(found.parent, output_dir)
        if own and (found.is_file() or found.is_symlink()):
            found.unlink()


def _is_of(name: PurePosixPath, place: Place) -> bool:
    """Tell whether an output lies in the folder of a person and visit."""
    folder = (f"sub-{place.subject}", *([f"ses-{place.session}"] if place.session else []))
    return name.parts[: len(folder)] == folder


def _lies_below(folder: Path, output_dir: Path) -> bool:
    """Tell whether a folder lies in the output folder, wherever links lead."""
    try:
        return folder.resolve().is_relative_to(output_dir.resolve())
    except (OSError, RuntimeError):
        # a link that leads to itself
        return False


def write_record(unit: Unit, output_dir: Path, depends_on: dict[str, Any]) -> None:
    """Note that a unit is finished; this is the last thing written for it.

    Parameters
    ----------
    unit
        One that has a record.
    output_dir
        Where its outputs are.
    depends_on
        What :func:`made_from` said before the run began.
    """
    write_json(_path(unit, output_dir), depends_on | _held(unit.files, output_dir))


def _held(names: Iterable[PurePosixPath], output_dir: Path) -> dict[str, Any]:
    paths = {name: output_dir / name for name in names}
    held = {name: Held(path.stat().st_size, checksum(path)) for name, path in paths.items()}
    return {"outputs": {str(name): one._asdict() for name, one in held.items()}}


def note_page(subject: str, output_dir: Path, names: Iterable[PurePosixPath]) -> None:
    """Note what a person's page and its pictures hold, and remove pictures that it had before.

    A picture that the page does not show any more is of a map or a region that was withdrawn.

    Parameters
    ----------
    subject
        Label without ``sub-``.
    output_dir
        Where they are.
    names
        The page and its pictures.
    """
    path, shown = output_dir / page_record_path(subject), list(names)
    for name in set(_outputs_of(read_object(path), path) or {}) - set(shown):
        found = output_dir / name
        if _is_of(name, Place(subject)) and _lies_below(found.parent, output_dir):
            found.unlink(missing_ok=True)
    write_json(path, _held(shown, output_dir))


def is_page_whole(subject: str, output_dir: Path, page: PurePosixPath) -> bool:
    """Tell whether a person's page and its pictures are as they were written.

    Parameters
    ----------
    subject
        Label without ``sub-``.
    output_dir
        Where they should be.
    page
        The page; without a record it counts as whole if it is there.
    """
    path = output_dir / page_record_path(subject)
    if not path.exists():
        return (output_dir / page).is_file()
    outputs = _outputs_of(read_object(path), path)
    return outputs is not None and page in outputs and _are_intact(outputs, output_dir)
