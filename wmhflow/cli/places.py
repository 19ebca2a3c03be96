"""Where a run may write: never into an input, a person's folder, or a dataset of somebody else's.

Links and ``..`` are followed before anything is compared.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISDIR
from typing import Any

from wmhflow.bids.folders import holds_datasets_only
from wmhflow.bids.query import check_dataset
from wmhflow.bids.scan import is_utf8, printable
from wmhflow.errors import InputError, UsageError
from wmhflow.settings import Execution, Settings

PERSON = re.compile(r"sub-[a-zA-Z0-9+]+")
# The one folder of a raw dataset that BIDS means for what others make of it.
DERIVATIVES = "derivatives"
# With less on a disk, in bytes, no step of any visit ends well.
LEAST_ROOM = 20_000_000
# folders of OUTPUT_DIR beside those of persons
OWN_FOLDERS = ("logs", "group", "phenotype")
log = logging.getLogger("wmhflow")


def check_places(settings: Settings) -> None:
    """Refuse folders that a run would write to and must not.

    Parameters
    ----------
    settings
        The run's settings.

    Raises
    ------
    UsageError
        If BIDS_DIR is no dataset, or a folder to write to is, or lies in, something that is never
        written to.
    """
    check_dataset(settings.bids_dir, "BIDS_DIR")
    if any(named.name == "raw" for named in settings.inputs.derivatives):
        raise UsageError("--derivatives: 'raw' is the name of BIDS_DIR; choose another name.")
    out = settings.output_dir
    for what, folder in _written(settings):
        place = _resolved(what, folder)
        _check_inputs(settings, what, folder, place)
        _check_persons(what, folder, place)
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{what} {folder} is a file; choose a folder.")
    _check_owner(out)
    check_is_folder(out / OWN_FOLDERS[0])
    for name in OWN_FOLDERS:
        check_own_folder(settings, out / name)


def _written(settings: Settings) -> Iterator[tuple[str, Path]]:
    """List the folders that a run writes to, the output folder first."""
    yield "OUTPUT_DIR", settings.output_dir
    yield "--work-dir", settings.execution.work_dir
    if settings.inputs.bids_database_dir is not None:
        yield "--bids-database-dir", settings.inputs.bids_database_dir


def _resolved(what: str, folder: Path) -> Path:
    if not is_utf8(str(folder)):
        raise UsageError(
            f"{what} {printable(folder)} has a name that is no UTF-8; choose another folder."
        )
    try:
        # a name that is too long, or a folder above that may not be entered
        folder.is_dir()
        return folder.resolve()
    except OSError as error:
        raise UsageError(
            f"{what} {folder} cannot be looked into ({error.strerror}); choose another folder."
        ) from None
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"{what} {folder} leads nowhere ({error}); choose another.") from None


def _check_inputs(settings: Settings, what: str, folder: Path, place: Path) -> None:
    """Refuse an input dataset, and what lies in one but for outputs in its derivatives."""
    raw = settings.bids_dir.resolve()
    inputs = [raw, *(named.path.resolve() for named in settings.inputs.derivatives)]
    if place in inputs:
        raise UsageError(
            f"{what} {folder} is one of the input datasets, which are never written to; choose "
            "another folder."
        )
    output = settings.output_dir.resolve()
    for dataset in inputs:
        if not place.is_relative_to(dataset):
            continue
        is_meant = dataset == raw and place.relative_to(raw).parts[0] == DERIVATIVES
        # beside the datasets that others made: -d all=STUDY/derivatives
        is_meant = is_meant or (place.parent == dataset and holds_datasets_only(dataset))
        # an index may lie among the outputs; work files may not, which are many and large
        among_outputs = what == "--bids-database-dir" and place.is_relative_to(output)
        if not (is_meant and (what == "OUTPUT_DIR" or among_outputs)):
            raise UsageError(
                f"{what} {folder} lies inside an input dataset ({dataset}), which is never written "
                f"to; choose another folder{_where_meant(what, raw)}."
            )


def _where_meant(what: str, raw: Path) -> str:
    return f", such as {raw / DERIVATIVES / 'wmhflow'}" if what == "OUTPUT_DIR" else ""


def _check_persons(what: str, folder: Path, place: Path) -> None:
    """Refuse what is, or lies in, a person's folder of any dataset."""
    for one in (place, *place.parents):
        is_person = PERSON.fullmatch(one.name)
        if is_person and (one.parent / "dataset_description.json").exists():
            raise UsageError(
                f"{what} {folder} lies inside a person's folder ({one}); choose another folder."
            )


def _check_owner(out: Path) -> None:
    """Refuse a folder that holds a dataset that this program did not make."""
    description = out / "dataset_description.json"
    content = _content(description)
    if content is None:
        if _is_foreign(out):
            state = "cannot be read" if description.exists() else "is missing"
            raise UsageError(
                f"OUTPUT_DIR {out} holds a dataset, and nothing says that wmhflow made it (its "
                f"dataset_description.json {state}); choose another folder."
            )
        return
    makers = content.get("GeneratedBy")
    names = [one.get("Name") for one in makers if isinstance(one, dict)] if isinstance(
        makers, list) else []  # fmt: skip
    if "wmhflow" not in names:
        title = str(content.get("Name", "without a name"))[:80]
        raise UsageError(
            f"OUTPUT_DIR {out} is another dataset ('{title}'), which wmhflow did not make; choose "
            "another folder."
        )


def _content(description: Path) -> dict[str, Any] | None:
    """Read a dataset's description; None if there is none that can be read."""
    try:
        content = json.loads(description.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _is_foreign(out: Path) -> bool:
    """Tell whether a folder without a description holds people or a text of others."""
    try:
        names = [path.name for path in out.iterdir()]
    except OSError:
        # not there yet; what cannot be read cannot be written to either, which is said later
        return False
    if not any(PERSON.fullmatch(name) or name in {"README", "participants.tsv"} for name in names):
        return False
    # declarations import what is slow, and most runs need not look
    from wmhflow.products.dataset import README

    start = README.splitlines()[0].encode()
    try:
        is_ours = (out / "README").read_bytes()[:100].startswith(start)
    except OSError:
        is_ours = False
    records = (out / "logs").glob("sub-*/*record.json")
    return not (is_ours or (out / "logs" / "CITATION.md").exists() or any(records))


def unwritable(settings: Settings) -> Iterator[str]:
    """Say of the folders that a run writes to which cannot be made or written to; nothing is made.

    Of a work folder that nobody chose it is said only: where the run will be, it may lie elsewhere.

    Parameters
    ----------
    settings
        The run's settings.

    Yields
    ------
    str
        A sentence for each.
    """
    for what, folder in _written(settings):
        why = why_unwritable(folder)
        said = f"{what} {folder} cannot be written to ({why}); choose another folder."
        if why and folder == Execution().work_dir.absolute():
            log.warning("%s", said)
        elif why:
            yield said


def why_unwritable(folder: Path) -> str:
    """Say why a folder, or the nearest one above it that is there, cannot be written to, if so.

    Parameters
    ----------
    folder
        It need not be there.

    Examples
    --------
    >>> why_unwritable(Path("/dev/null/out"))
    '/dev/null is no folder'
    """
    for place in (folder, *folder.absolute().parents):
        try:
            facts = place.stat()
        except (FileNotFoundError, NotADirectoryError):
            if place.is_symlink():
                return f"{place} is a link that leads nowhere"
            continue
        except OSError as error:
            return error.strerror or str(error)
        if not S_ISDIR(facts.st_mode):
            return f"{place} is no folder"
        if not os.access(place, os.W_OK | os.X_OK):
            return f"{place} does not allow it"
        disk = os.statvfs(place)
        free = disk.f_bavail * disk.f_frsize
        # some network disks tell no size
        is_full = disk.f_blocks > 0 and free < LEAST_ROOM
        return f"{place} has {free / 1e6:.0f} MB left" if is_full else ""
    return ""


def check_is_folder(place: Path) -> None:
    """Refuse a file where a folder of the outputs is meant.

    Parameters
    ----------
    place
        Such as a person's folder.

    Raises
    ------
    UsageError
        Naming the file.
    """
    if place.exists() and not place.is_dir():
        raise UsageError(
            f"{place} is a file, where a folder of the outputs is meant; move it away."
        )


def check_own_folder(settings: Settings, folder: Path) -> None:
    """Refuse a folder of the output dataset that a link leads into an input.

    Parameters
    ----------
    settings
        The run's settings.
    folder
        Such as a person's in the output folder.

    Raises
    ------
    InputError
        If what is written there would lie in an input dataset.
    """
    try:
        place = folder.resolve()
    except (OSError, RuntimeError) as error:
        raise InputError(f"{folder} leads nowhere ({error}); remove this link.") from None
    if place.is_relative_to(settings.output_dir.resolve()):
        return
    inputs = (settings.bids_dir, *(named.path for named in settings.inputs.derivatives))
    for dataset in inputs:
        if place.is_relative_to(dataset.resolve()):
            raise InputError(
                f"{folder} is a link into an input dataset ({place}), which is never written to; "
                "remove the link."
            )
