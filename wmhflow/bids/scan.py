"""A person's files in a dataset, found by looking into the person's folders and no others."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from wmhflow.bids.entities import entities_of
from wmhflow.errors import InputError

# Folders of a person or visit that hold no images that are read here.
IGNORED = frozenset(("figures", "func", "eeg", "meg", "ieeg", "beh", "motion"))


def scan_person(root: Path, subject: str) -> list[tuple[Path, dict[str, Any]]]:
    """List a person's files with their entities, in the order of their paths.

    Parameters
    ----------
    root
        The dataset's folder.
    subject
        Label without ``sub-``.

    Raises
    ------
    InputError
        If one of the person's folders cannot be read.
    """
    person = f"sub-{subject}"
    found: list[tuple[Path, dict[str, Any]]] = []
    if (root / person).is_dir():
        _add_files(found, str(root / person), (person,))
    return sorted(found, key=lambda one: str(one[0]))


def _add_files(
    found: list[tuple[Path, dict[str, Any]]], folder: str, parts: tuple[str, ...]
) -> None:
    start = "_".join(part for part in parts if part.startswith(("sub-", "ses-"))) + "_"
    is_visits = len(parts) == 1 or (len(parts) == 2 and parts[1].startswith("ses-"))
    try:
        with os.scandir(folder) as entries:
            listed = list(entries)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be read ({error.strerror}); check who may read it."
        ) from None
    for entry in listed:
        if entry.is_dir():
            if not (is_visits and entry.name in IGNORED):
                _add_files(found, entry.path, (*parts, entry.name))
        elif entry.name.startswith(start):
            # a file of another name is another person's or visit's, see `belongs`
            found.append((Path(entry.path), entities_of(entry.name, parts)))


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
