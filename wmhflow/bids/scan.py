"""A person's files in a dataset, found by looking into the person's folders and no others."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

from wmhflow.bids.entities import entities_of
from wmhflow.errors import InputError

# What a folder may be called and is not looked into: an image, or what stands beside one.
FILE_ENDINGS = (".nii", ".nii.gz", ".json", ".tsv", ".txt", ".mat", ".h5", ".lta")
log = logging.getLogger("wmhflow")
# Folders of a person or visit that hold no images that are read here; of raw data, or of what was
# made of it: maps of reactivity lie in func.
IGNORED = frozenset(("figures", "func", "eeg", "meg", "ieeg", "beh", "motion"))
IGNORED_DERIVED = IGNORED - {"func"}


def scan_person(
    root: Path, subject: str, *, raw: bool = True, others: list[Path] | None = None
) -> list[tuple[Path, dict[str, Any]]]:
    """List a person's files with their entities, in the order of their paths.

    A folder that is called as a file is listed, too: whoever needs the file says what it is.

    Parameters
    ----------
    root
        The dataset's folder.
    subject
        Label without ``sub-``.
    raw
        Whether it is the raw dataset.
    others
        Gets the files in the person's folders whose names do not begin as BIDS says.

    Raises
    ------
    InputError
        If one of the person's folders cannot be read, or is a link to nowhere.
    """
    person = f"sub-{subject}"
    found: list[tuple[Path, dict[str, Any]]] = []
    folder = root / person
    if is_folder(folder):
        ignored = IGNORED if raw else IGNORED_DERIVED
        _add_files(found, str(folder), (person,), (), ignored, others)
    elif folder.is_symlink():
        raise InputError(
            f"{folder} is a link to a folder that is not there ({folder.readlink()}): the content "
            "was not fetched; get it (datalad get), or mend the link."
        )
    return sorted(found, key=lambda one: str(one[0]))


def is_folder(path: Path | os.DirEntry[str]) -> bool:
    """Tell whether there is a folder; a link that leads to itself, or to nowhere, is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _add_files(
    found: list[tuple[Path, dict[str, Any]]],
    folder: str,
    parts: tuple[str, ...],
    above: tuple[tuple[int, int], ...],
    ignored: frozenset[str],
    others: list[Path] | None,
) -> None:
    start = "_".join(part for part in parts if part.startswith(("sub-", "ses-"))) + "_"
    is_visits = len(parts) == 1 or (len(parts) == 2 and parts[1].startswith("ses-"))
    try:
        facts = os.stat(folder)  # noqa: PTH116 - of thousands of folders
        with os.scandir(folder) as entries:
            listed = list(entries)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be read ({error.strerror}); check who may read it."
        ) from None
    here, inside = (facts.st_dev, facts.st_ino), Path(folder)
    if here in above:
        log.warning("%s is a link to a folder that it lies in: it is left out.", folder)
        return
    for entry in listed:
        if not is_utf8(entry.name):
            log.warning("%s is left out: its name is no UTF-8; rename it.", printable(entry.path))
        elif is_folder(entry) and not _is_called_as_file(entry.name, start):
            if not (entry.name.startswith(".") or (is_visits and entry.name in ignored)):
                inner = (*parts, entry.name)
                _add_files(found, entry.path, inner, (*above, here), ignored, others)
        elif entry.name.startswith(start):
            # a file of another name is another person's or visit's, see `belongs`
            # joined to its folder: to read the whole path again takes three times as long
            found.append((inside / entry.name, entities_of(entry.name, parts)))
        elif others is not None and not entry.name.startswith("."):
            others.append(Path(entry.path))


def _is_called_as_file(name: str, start: str) -> bool:
    return name.startswith(start) and name.endswith(FILE_ENDINGS)


def is_utf8(name: str) -> bool:
    r"""Tell whether a name can be written as UTF-8, which names of other alphabets' bytes cannot.

    Examples
    --------
    >>> is_utf8("sub-01_T1w.nii"), is_utf8("caf\udce9.nii")
    (True, False)
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def printable(path: str | Path) -> str:
    """Return a path that can be printed; bytes that are no text are written as numbers."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def belongs(path: Path, root: Path) -> bool:
    """Whether a file's name says the same person and session as the folders that it lies in.

    Examples
    --------
    >>> belongs(Path("/d/sub-1/ses-a/anat/sub-1_ses-a_T1w.nii.gz"), Path("/d"))
    True
    >>> belongs(Path("/d/sub-1/anat/sub-2_T1w.nii.gz"), Path("/d"))
    False
    """
    parts = path.relative_to(root).parts
    start = "_".join(part for part in parts[:-1] if re.match(r"(sub|ses)-", part))
    return bool(re.fullmatch(r"sub-[a-zA-Z0-9+]+", parts[0]) and path.name.startswith(f"{start}_"))
