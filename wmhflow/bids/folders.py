"""Where a person's files lie below a folder that ``-d`` names, whoever wrote it.

A BIDS dataset has a folder of every person. Others have folders of persons under names of their
own, or the files of all persons side by side; and some hold further datasets. A person's job looks
into that person's folders, and lists the names of others only where the person's is not there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from wmhflow.bids.entities import entities_of
from wmhflow.bids.scan import is_folder, is_utf8, scan_person
from wmhflow.errors import InputError
from wmhflow.registries.producers import (
    IMAGE_ENDINGS,
    ProducerFile,
    inner_folders,
    recognise_entities,
    recognise_name,
)

Bids = Callable[[Path, str, list[Path]], list[tuple[Path, dict[str, Any]]]]
DESCRIPTION = "dataset_description.json"
# What these datasets hold is the program's own, and would be read again as if others had made it.
OWN_NAME = "wmhflow"
# Images and transforms; what else lies beside them is no input.
INPUT_ENDINGS = (*IMAGE_ENDINGS, ".h5", ".mat", ".lta")
# A folder of datasets has some; one with more folders is something else.
MOST_DATASETS = 200
_LABEL = "[a-zA-Z0-9+]+"
# Some name a visit's folder by its number alone, as in sub-01_1.
_FOLDER = re.compile(rf"(?:sub-)?({_LABEL})(?:_ses-({_LABEL}))?|sub-({_LABEL})_(\d+)")
_IN_NAME = re.compile(f"(?:^|_)sub-({_LABEL})(?=[_.])")
_BEFORE = re.compile(f"({_LABEL})_")
_SESSION = re.compile(rf"(?:^|_)ses-({_LABEL})(?=[_./]|$)|^sub-{_LABEL}_(\d+)$")


class Placed(NamedTuple):
    """A person's file: where it is, what its name says, and what kind of which producer it is.

    ``part`` is the inner dataset that it lies in, below the folder of ``-d``.
    """

    path: Path
    entities: Mapping[str, Any]
    kind: ProducerFile | None = None
    part: str = ""


@dataclass
class _Part:
    """A folder in which persons are looked for: a dataset, or one inside another."""

    folder: Path
    name: str = ""
    _by_label: dict[str, list[str]] = field(default_factory=dict)

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """What its dataset_description.json says; nothing if it has none that can be read."""
        try:
            content = json.loads((self.folder / DESCRIPTION).read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError):
            # that of the folder of -d is checked; an inner one only adds who wrote it
            return {}
        return content if isinstance(content, dict) else {}

    @cached_property
    def generated_by(self) -> tuple[str, ...]:
        """Who wrote it."""
        told = self.description.get("GeneratedBy", [])
        entries = told if isinstance(told, list) else []
        return tuple(str(one.get("Name")) for one in entries if isinstance(one, dict))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What lies in it, in order."""
        try:
            with os.scandir(self.folder) as entries:
                found = [one.name for one in entries if is_utf8(one.name)]
        except OSError as error:
            raise InputError(
                f"{self.folder} cannot be read ({error.strerror}); check who may read it."
            ) from None
        return tuple(sorted(name for name in found if not name.startswith(".")))

    def of_label(self, label: str) -> list[str]:
        """List the names that may be a person's, by the label in them."""
        if not self._by_label:
            for name in self.names:
                for owner in {*_owners(name), ""}:
                    self._by_label.setdefault(owner, []).append(name)
        return self._by_label.get(label, []) if label else []

    @cached_property
    def by_plain_label(self) -> Mapping[str, list[str]]:
        """The labels of persons that names hold, by what they are without zeros and capitals."""
        found: dict[str, list[str]] = {}
        for label in sorted({label for name in self.names for label in _owners(name)}):
            found.setdefault(plain_label(label), []).append(label)
        return found

    @cached_property
    def untold(self) -> tuple[str, ...]:
        """List the files that would be read if their names said whose they are."""
        return tuple(name for name in self.names if not _owners(name) and _is_used(name))


def plain_label(label: str) -> str:
    """Return a label as it may also be written: in small letters, and numbers without zeros.

    Examples
    --------
    >>> plain_label("A01"), plain_label("100"), plain_label("BL")
    ('a1', '100', 'bl')
    """
    return re.sub(r"(?<!\d)0+(?=\d)", "", label.lower())


def _owners(name: str) -> set[str]:
    """Return the labels that a name in a dataset's folder may begin with or hold."""
    if not name.endswith(INPUT_ENDINGS):
        match = _FOLDER.fullmatch(name)
        return {match[1] or match[3]} if match else set()
    inside = _IN_NAME.search(name)
    if inside:
        return {inside[1]}
    before = _BEFORE.match(name)
    return {before[1]} if before and not _is_exact(name) else set()


def _is_used(name: str) -> bool:
    known = recognise_name(name)
    return known is not None and known[0].is_used


def _is_exact(name: str) -> bool:
    """Tell whether a name is a producer's own without anybody's label, such as fa_dti.nii."""
    known = recognise_name(name)
    stem = next((name.removesuffix(end) for end in IMAGE_ENDINGS if name.endswith(end)), name)
    return known is not None and (stem in known[0].names or name in known[0].names)


class Folders:
    """The persons below a folder that ``-d`` names.

    Parameters
    ----------
    root
        The folder.
    bids
        Lists what BIDS names in a person's folder ``sub-…``, and puts the other files into a list.
    raw
        The raw dataset, which is none of the datasets that a folder may hold.
    """

    def __init__(self, root: Path, bids: Bids | None = None, raw: Path | None = None) -> None:
        self.root = root
        self.raw = raw
        self._bids = bids or _scan
        self._own = _Part(root)

    def person(self, subject: str) -> list[Placed]:
        """List a person's files, in the order of their paths; inner datasets come last.

        Parameters
        ----------
        subject
            Label without ``sub-``.

        Raises
        ------
        InputError
            If one of the person's folders cannot be read.
        """
        return [one for part in self._parts(subject) for one in self._of_part(part, subject)]

    def nearly(self, subject: str) -> list[str]:
        """List the labels that may be a person's, but for zeros before numbers and capitals."""
        return [
            label
            for part in self._parts(subject)
            for label in part.by_plain_label.get(plain_label(subject), ())
            if label != subject
        ]

    def untold(self) -> list[str]:
        """List the files whose person cannot be told."""
        return list(self._own.untold) if self._is_open else []

    def labels(self) -> list[str]:
        """List the persons' folders and files that there are, for messages."""
        return [name for name in self._own.names if name.startswith("sub-")]

    @cached_property
    def _is_open(self) -> bool:
        """Whether files and folders may have other names than those of BIDS."""
        return not self._own.description

    @cached_property
    def _inner(self) -> tuple[_Part, ...]:
        """The datasets inside that stand where BIDS means them, or where a producer puts them."""
        found = list(_below(self._own, "derivatives"))
        for pattern in inner_folders():
            first = pattern.partition("/")[0]
            # to look for any name is to list all persons
            if self._is_open if "*" in first else is_folder(self.root / first):
                found += _matching(self._own, pattern)
        return tuple(found)

    @cached_property
    def _collected(self) -> tuple[_Part, ...]:
        """The datasets of a folder that holds datasets and nobody's files."""
        names = self._own.names
        if any(name.startswith("sub-") for name in names) or len(names) > MOST_DATASETS:
            return ()
        found: list[_Part] = []
        for name in names:
            part = _Part(self.root / name, name)
            if name == "derivatives" or part.folder.resolve() == self.raw:
                continue
            if is_folder(part.folder) and _is_others(part):
                found += (part, *_below(part, "derivatives"))
        return tuple(found)

    def _parts(self, subject: str) -> Iterator[_Part]:
        yield self._own
        if self._own.description.get("DatasetType") == "raw":
            # what others made of it are datasets of their own, to be named one by one
            return
        yield from self._inner
        if not is_folder(self.root / f"sub-{subject}"):
            yield from self._collected

    def _of_part(self, part: _Part, subject: str) -> Iterator[Placed]:
        others: list[Path] = []
        read = self._bids if part is self._own else _scan
        found = read(part.folder, subject, others)
        listed = [(path, dict(entities)) for path, entities in found]
        if (not found and not others) or (part is self._own and self._is_open):
            for name in part.of_label(subject):
                if name != f"sub-{subject}":
                    others += _files_of(part.folder / name)
        listed += [
            (path, _entities_elsewhere(part.folder, path, subject))
            for path in others
            if path.name.endswith(INPUT_ENDINGS)
        ]
        for path, entities in sorted(listed, key=lambda one: str(one[0])):
            yield _placed(part, path, entities, subject)


def _scan(root: Path, subject: str, others: list[Path]) -> list[tuple[Path, dict[str, Any]]]:
    return scan_person(root, subject, raw=False, others=others)


def _below(part: _Part, name: str) -> Iterator[_Part]:
    """List the datasets in one of a dataset's folders."""
    folder = part.folder / name
    if part.description.get("DatasetType") == "raw" or not is_folder(folder):
        return
    for child in _Part(folder).names:
        inner = _Part(folder / child, f"{part.name}/{name}/{child}".strip("/"))
        if is_folder(inner.folder) and _is_others(inner):
            yield inner


def _matching(part: _Part, pattern: str) -> Iterator[_Part]:
    for folder in sorted(part.folder.glob(pattern)):
        if is_folder(folder):
            yield _Part(folder, folder.relative_to(part.folder).as_posix())


def _is_others(part: _Part) -> bool:
    """Tell whether a dataset that nobody named is somebody else's work."""
    return not any(OWN_NAME in name.lower() for name in part.generated_by)


def _files_of(path: Path) -> Iterator[Path]:
    """List a file itself, or the files in a folder; links that lead out of the folder are not."""
    if not is_folder(path):
        yield path
        return
    for folder, inner, names in os.walk(path):
        inner[:] = [name for name in inner if not name.startswith(".")]
        yield from (Path(folder, name) for name in names if is_utf8(name) and name[0] != ".")


def _entities_elsewhere(root: Path, path: Path, subject: str) -> dict[str, Any]:
    """Read whose a file is from its own name, or from the folders that it lies in."""
    parts = path.relative_to(root).parts
    found: dict[str, Any] = {"subject": subject}
    owner = _IN_NAME.search(path.name)
    if len(parts) == 1 and path.name.startswith(f"sub-{subject}_"):
        # beside other persons' files, and named as BIDS says
        return dict(entities_of(path.name))
    if owner:
        found["subject"] = owner[1]
    session = next((told for one in reversed(parts) if (told := _SESSION.search(one))), None)
    if session:
        found["session"] = session[1] or session[2]
    ending = next(end for end in INPUT_ENDINGS if path.name.endswith(end))
    return found | {"extension": ending}


def _placed(part: _Part, path: Path, entities: dict[str, Any], subject: str) -> Placed:
    """Say what kind of file it is, and by which entities it is found."""
    known = None
    if entities.get("subject", subject) == subject and path.name.endswith(IMAGE_ENDINGS):
        known = recognise_name(_inside(path, part.folder))
    kind = known[0] if known else recognise_entities(entities, part.generated_by)
    if known and known[0].is_used:
        # what the name says beside, such as a run
        entities = {**entities_of(path.name), **entities, **known[1]}
    return Placed(path, entities, kind, part.name)


def _inside(path: Path, folder: Path) -> str:
    """Return a file's path below a folder, as text: pathlib takes longer than all that follows."""
    start = f"{folder}/"
    text = str(path)
    return text[len(start) :] if text.startswith(start) else path.relative_to(folder).as_posix()


def looks_like_dataset(root: Path) -> bool:
    """Tell whether a folder without a description holds persons, or datasets.

    Parameters
    ----------
    root
        The folder that ``-d`` names.
    """
    folders = Folders(root)
    names = folders._own.names[:MOST_DATASETS]
    if any(name.startswith("sub-") or _IN_NAME.search(name) or _is_used(name) for name in names):
        return True
    if folders._inner or any((one.folder / DESCRIPTION).is_file() for one in folders._collected):
        return True
    return any(
        _is_used(path.relative_to(root).as_posix())
        for name in names[:20]
        if is_folder(root / name)
        for path in _files_of(root / name)
    )


def holds_datasets_only(root: Path) -> bool:
    """Tell whether a folder is no dataset itself and holds some.

    Parameters
    ----------
    root
        The folder that ``-d`` names.
    """
    folders = Folders(root)
    if not is_folder(root) or (root / DESCRIPTION).exists():
        return False
    return any((one.folder / DESCRIPTION).is_file() for one in folders._collected)
