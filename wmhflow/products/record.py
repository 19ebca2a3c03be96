"""What a finished unit was made from, so that a second run knows that nothing is left to do."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from wmhflow.bids.writer import read_object, remove_leftovers, write_json
from wmhflow.errors import InputError, ProductError
from wmhflow.files.checksums import checksum
from wmhflow.files.versions import software_versions
from wmhflow.products.product import Place
from wmhflow.products.unit import Unit


def visit_record_path(place: Place) -> PurePosixPath:
    """Return where it is kept what a finished visit was made from."""
    name = f"ses-{place.session}_record.json" if place.session else "record.json"
    return PurePosixPath("logs") / f"sub-{place.subject}" / name


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
    """Tell whether a unit's outputs exist and were made from the same inputs and settings.

    Parameters
    ----------
    unit
        One that has a record.
    output_dir
        Where its outputs should be.
    """
    record = read_object(_path(unit, output_dir))
    outputs = record.pop("outputs", {})
    if set(outputs) != {str(path) for path in unit.files}:
        return False
    if not all(_has_size(output_dir, name, size) for name, size in outputs.items()):
        return False
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


def _has_size(folder: Path, name: str, size: int) -> bool:
    path = folder / PurePosixPath(name)
    return path.is_file() and path.stat().st_size == size


def begin_again(unit: Unit, output_dir: Path) -> None:
    """Take back that a unit is finished, and remove what it promised then and not any more.

    Otherwise a table of a map that was withdrawn would stay and be gathered at the group level.
    What a run that was killed had begun to write goes, too; nothing writes yet.
    """
    for folder in {(output_dir / path).parent for path in unit.files}:
        remove_leftovers(folder)
    path = _path(unit, output_dir)
    outputs = read_object(path).get("outputs", {})
    path.unlink(missing_ok=True)
    for name in set(outputs) - {str(name) for name in unit.files}:
        (output_dir / PurePosixPath(name)).unlink(missing_ok=True)


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
    outputs = {str(path): (output_dir / path).stat().st_size for path in unit.files}
    write_json(_path(unit, output_dir), depends_on | {"outputs": outputs})
