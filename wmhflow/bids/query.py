"""What is there: a run's datasets, the files of a person in them, and which of those are meant."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from wmhflow.bids.database import Database
from wmhflow.bids.entities import meant_entity
from wmhflow.bids.folders import DESCRIPTION, Folders, Placed, looks_like_dataset
from wmhflow.bids.scan import is_folder, is_utf8, printable, scan_person
from wmhflow.errors import InputError, NothingToDoError, UsageError
from wmhflow.files.streams import open_file
from wmhflow.registries.maps import wrong_entity
from wmhflow.registries.producers import ProducerFile
from wmhflow.registries.reading import parse_json, read_given, why_unread, with_absences
from wmhflow.settings import FILTER_KINDS, Inputs

IMAGE_EXTENSIONS = (".nii.gz", ".nii")
log = logging.getLogger("wmhflow")
# What parcellations and masks may be stored as: FreeSurfer writes .mgz.
LABEL_EXTENSIONS = (*IMAGE_EXTENSIONS, ".mgz")
# What tells persons and their visits apart.
WHOSE = frozenset(("subject", "session"))
# What an image of complex values is stored as, apart from its magnitude (BIDS' entity ``part``).
# None of them shows a head, so that who asks for an image does not mean them.
NO_MAGNITUDES = frozenset(("phase", "real", "imag"))


@dataclass(frozen=True)
class FoundFile:
    """A file with its BIDS entities (by their long names) and the name of its dataset.

    ``kind`` is what the registry of producers says of such a file. Where a dataset holds others,
    ``part`` is the inner one's folder in it, and ``root`` that folder's place.
    """

    path: Path
    entities: Mapping[str, Any]
    dataset: str
    root: Path
    kind: ProducerFile | None = None
    part: str = ""

    def get(self, entity: str) -> Any:
        """Return an entity's value, or None."""
        return self.entities.get(entity)

    @cached_property
    def folder(self) -> str:
        """The folder that it lies in."""
        return os.path.dirname(self.path)  # noqa: PTH120 - asked a hundred times of a person

    @property
    def inside(self) -> Sequence[str]:
        """The names of the folders below its dataset's that it lies in."""
        start = f"{self.root}/"
        if self.folder.startswith(start):
            return self.folder[len(start) :].split("/")
        return self.path.parent.relative_to(self.root).parts

    @property
    def named(self) -> str:
        """The file's name and its dataset's, for messages."""
        inner = f"/{self.part}" if self.part else ""
        return f"{self.path.name} of {self.dataset}{inner}"

    @property
    def uri(self) -> str:
        """The file's BIDS URI."""
        inside = PurePosixPath(self.part, self.path.relative_to(self.root))
        return f"bids:{self.dataset}:{inside}"


def matches(file: FoundFile, wanted: Mapping[str, Any]) -> bool:
    """Whether a file has every wanted entity; a list means any of its values, None its absence.

    Examples
    --------
    >>> file = FoundFile(Path("x"), {"suffix": "T1w", "run": 2}, "raw", Path("."))
    >>> matches(file, {"suffix": ["T1w", "FLAIR"], "run": "02", "acquisition": None})
    True
    """
    for entity, value in wanted.items():
        has = file.entities.get(entity)
        # most often two words are the same or not, which is quicker to see than that 01 is 1
        if has == value:
            continue
        if isinstance(value, str) and (has is None or isinstance(has, str)):
            return False
        options = value if isinstance(value, list | tuple) else (value,)
        if has not in options and (has is None or not _is_among(has, options)):
            return False
    return True


def _is_among(has: Any, options: Sequence[Any]) -> bool:
    if has is None:
        return False
    if isinstance(has, int) or (isinstance(has, str) and has.isdecimal()):
        # run-01 is run 1, and echo-1 is echo 1
        numbers = [one for one in options if isinstance(has, int) or isinstance(one, int)]
        return any(str(one).isdecimal() and int(one) == int(has) for one in numbers)
    for option in options:
        if not isinstance(option, str) and option is not None and str(option) == has:
            return True
    return False


def answers(file: FoundFile, question: Mapping[str, Any]) -> bool:
    """Whether a file answers a question: phases answer one alone that names the part.

    Examples
    --------
    >>> file = FoundFile(Path("x"), {"suffix": "T1w", "part": "phase"}, "raw", Path("."))
    >>> answers(file, {"suffix": "T1w"}), answers(file, {"suffix": "T1w", "part": "phase"})
    (False, True)
    """
    if file.entities.get("part") in NO_MAGNITUDES and "part" not in question:
        return False
    return matches(file, question)


class Dataset:
    """One BIDS dataset, of which one person's files are known at a time.

    Parameters
    ----------
    name, root
        How it is called, and its folder.
    read
        Lists the files of a person, by label, with what they are.
    folders
        Where they lie, of a derivative dataset.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        read: Callable[[str], list[Placed]],
        folders: Folders | None = None,
    ) -> None:
        self.name = name
        self.root = root
        self.folders = folders
        self._read = read
        # who plans person after person asks many times for one, and never again for the last
        self._subject: str | None = None
        self._files: list[FoundFile] = []

    def of(self, subject: str) -> list[FoundFile]:
        """Return the files of one person."""
        if self._subject != subject:
            self._files = [self._found(one) for one in self._read(subject)]
            self._subject = subject
        return self._files

    def _found(self, one: Placed) -> FoundFile:
        root = self.root / one.part if one.part else self.root
        return FoundFile(one.path, one.entities, self.name, root, one.kind, one.part)


class _PersonFiles:
    """One person's files in some datasets, by suffix, which nearly every question names."""

    def __init__(self, datasets: Sequence[Dataset]) -> None:
        self.datasets = datasets
        self._subject: str | None = None
        self._files: list[FoundFile] = []
        self._by_suffix: dict[str, list[FoundFile]] = {}
        self._images: dict[Any, list[tuple[FoundFile, int]]] = {}
        self._numbers: dict[tuple[Any, ...], int] = {}

    def of(self, subject: str, suffix: Any) -> list[FoundFile]:
        by_suffix = self.by_suffix(subject)
        return by_suffix.get(suffix, []) if isinstance(suffix, str) else self._files

    def by_suffix(self, subject: str) -> Mapping[str, list[FoundFile]]:
        if self._subject != subject:
            self._files = [file for dataset in self.datasets for file in dataset.of(subject)]
            self._by_suffix = {}
            for file in self._files:
                self._by_suffix.setdefault(str(file.get("suffix")), []).append(file)
            self._images = {}
            self._subject = subject
        return self._by_suffix

    def images(self, subject: str, suffix: Any) -> list[tuple[FoundFile, int]]:
        """Return a person's images, each with the number of what its name says but the person."""
        files = self.of(subject, suffix)
        key = suffix if isinstance(suffix, str) else None
        if key not in self._images:
            self._images[key] = [
                (file, self._number(file))
                for file in files
                if file.get("extension") in IMAGE_EXTENSIONS
            ]
        return self._images[key]

    def _number(self, file: FoundFile) -> int:
        told = tuple(one for one in file.entities.items() if one[0] not in WHOSE)
        return self._numbers.setdefault(told, len(self._numbers))


def check_dataset(root: Path, what: str) -> None:
    """Refuse a folder that is no BIDS dataset.

    Parameters
    ----------
    root
        The dataset's folder.
    what
        How the user named it, for the message.

    Raises
    ------
    UsageError
        If the folder, or a readable dataset_description.json in it, does not exist.
    """
    if not is_utf8(str(root)):
        raise UsageError(
            f"{what} {printable(root)} has a name that is no UTF-8; rename it, or link to it."
        )
    if not is_folder(root):
        raise UsageError(
            f"{what} {root} is not a folder, or one that you may not look into; check the path."
        )
    description = root / "dataset_description.json"
    try:
        with open_file(description) as stream:
            content = json.loads(stream.read().decode("utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(
            f"{what} {root} has no dataset_description.json, so it is no BIDS dataset; "
            "check the path or add the file."
        ) from None
    except (ValueError, RecursionError, OSError) as error:
        raise UsageError(f"{description} cannot be read: {why_unread(error)}.") from None
    except InputError as error:
        raise UsageError(str(error)) from None
    if not isinstance(content, dict):
        raise UsageError(f"{description} holds no object of JSON; write Name and BIDSVersion.")
    missing = [key for key in ("Name", "BIDSVersion") if key not in content]
    if missing:
        raise UsageError(f"{description} lacks {' and '.join(missing)}, which BIDS requires.")


def find_subjects(bids_dir: Path, wanted: Sequence[str]) -> list[str]:
    """List the persons to process.

    Parameters
    ----------
    bids_dir
        The raw dataset.
    wanted
        Labels without ``sub-``; all persons if empty.

    Raises
    ------
    UsageError
        If a wanted person does not exist.
    NothingToDoError
        If the dataset has no persons at all.
    """
    unknown = [label for label in wanted if not _is_person(bids_dir, label)]
    if wanted and not unknown:
        # one job of ten thousand need not know the others
        return sorted(set(wanted))
    there, others = _persons(bids_dir)
    if unknown:
        raise UsageError(
            f"--participant-label: {bids_dir} has no sub-{unknown[0]}; it has "
            f"{_some(there) or 'no persons at all'}."
        )
    if not there:
        meant = f"; {_misnamed(others)}" if others else "."
        raise NothingToDoError(f"{bids_dir} has no folder of a person (sub-…){meant}")
    if others and not wanted:
        log.warning("%s: %s", bids_dir, _misnamed(others))
    return there


def _misnamed(names: Sequence[str]) -> str:
    """Say of folders that seem to be persons' why nobody is looked for in them."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    are = "are no persons' folders" if len(names) > 1 else "is no person's folder"
    return (
        f"{', '.join(names[:3])}{more} {are}, and not read: such a name is sub- and letters or "
        "digits, without a hyphen, an underscore or a blank. Rename what is one."
    )


def _is_person(bids_dir: Path, label: str) -> bool:
    folder = bids_dir / f"sub-{label}"
    is_label = bool(re.fullmatch(r"[a-zA-Z0-9+]+", label))
    return is_label and (is_folder(folder) or (folder.is_symlink() and not folder.exists()))


def _persons(bids_dir: Path) -> tuple[list[str], list[str]]:
    """List the labels of persons, and folders that seem to be persons' and are not called so."""
    try:
        with os.scandir(bids_dir) as entries:
            listed = list(entries)
    except OSError as error:
        raise UsageError(
            f"BIDS_DIR {bids_dir} cannot be read ({error.strerror}); check who may read it."
        ) from None
    labels, others = [], []
    for entry in listed:
        # a link to nowhere is a person of whom the content was not fetched
        if re.fullmatch(r"sub-[a-zA-Z0-9+]+", entry.name):
            if is_folder(entry) or (entry.is_symlink() and not Path(entry.path).exists()):
                labels.append(entry.name.removeprefix("sub-"))
        elif re.match(r"sub[-_]", entry.name, re.IGNORECASE) and is_folder(entry):
            others.append(printable(entry.name))
    return sorted(labels), sorted(others)


def _some(labels: Sequence[str]) -> str:
    shown = ", ".join(f"sub-{label}" for label in labels[:8])
    return f"{shown} and {len(labels) - 8} more" if len(labels) > 8 else shown


def read_filters(path: Path | None) -> dict[str, dict[str, Any]]:
    """Read ``--bids-filter-file``: BIDS entities per kind of input.

    Raises
    ------
    UsageError
        If the file is missing, is no JSON, names an unknown kind, has values of another type, or
        writes an entity otherwise than by its long name.
    """
    if path is None:
        return {}
    content = read_given(path, "--bids-filter-file", "JSON", parse_json)
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise UsageError(f"--bids-filter-file {path} must hold an object of objects.")
    unknown = sorted(set(content) - set(FILTER_KINDS))
    unknown = [section for section in unknown if not re.fullmatch(r"(map|series)\.\w+", section)]
    if unknown:
        raise UsageError(
            f"--bids-filter-file {path} names '{unknown[0]}'; known are {', '.join(FILTER_KINDS)}, "
            "and map.NAME or series.NAME for one of them."
        )
    for kind, wanted in content.items():
        wrong = wrong_entity(wanted) or _false_entity(wanted)
        if wrong is not None:
            raise UsageError(f"--bids-filter-file {path}: '{kind}' has {wrong}; correct it.")
        for entity in wanted:
            meant = meant_entity(entity)
            if meant != entity:
                # no file would have it, and what is narrowed so would be left out in silence
                raise UsageError(
                    f"--bids-filter-file {path}: '{kind}' has '{entity}', which no file has; "
                    f"'{meant}' seems to be meant."
                )
    return {section: with_absences(wanted) for section, wanted in content.items()}


def _false_entity(wanted: Mapping[str, Any]) -> str | None:
    """Say which entity is false: JSON has a null for absence, and of `mt` false could mean off."""
    for entity, value in wanted.items():
        if any(one is False for one in (value if isinstance(value, list) else [value])):
            return f"'{entity}', which is false (null says that a file has none)"
    return None


@dataclass(frozen=True)
class Query:
    """All datasets of a run, of which one person's files are read at a time."""

    raw: Dataset
    derivatives: tuple[Dataset, ...]
    filters: Mapping[str, Mapping[str, Any]]

    def raw_images(self, kind: str, subject: str, **wanted: Any) -> list[FoundFile]:
        """Find raw images of one person; ``kind`` names the section of the filter file."""
        return self._narrow(kind, self._raw_files.of(subject, wanted.get("suffix")), wanted)

    def derived(self, kind: str, subject: str, **wanted: Any) -> list[FoundFile]:
        """Find files of one person in the derivative datasets.

        ``kind`` is as for :meth:`raw_images`; ``map.FA`` is narrowed as ``map`` and as itself.
        What lies among functional data answers for maps and transforms alone.
        """
        found = self._narrow(kind, self._derived_files.of(subject, wanted.get("suffix")), wanted)
        if not found or kind.partition(".")[0] in ("map", "transform", ""):
            return found
        return [file for file in found if file.get("datatype") != "func"]

    def derived_suffixes(self, subject: str) -> Collection[str]:
        """Return the suffixes that a person's files in the derivative datasets have."""
        return self._derived_files.by_suffix(subject).keys()

    def derived_images(
        self, kind: str, subject: str, question: Mapping[str, Any]
    ) -> list[FoundFile]:
        """Find images as :meth:`derived` does, by a question that is asked of everybody.

        Whether a name answers is found out once, since people's files are called alike.
        """
        if self.filters or not WHOSE.isdisjoint(question):
            return self.derived(kind, subject, **question, extension=list(IMAGE_EXTENSIONS))
        # it is kept, so that no other one can come to stand in its place in memory
        _, known = self._answers.setdefault(id(question), (question, {}))
        found = []
        for file, number in self._derived_files.images(subject, question.get("suffix")):
            if number not in known:
                known[number] = answers(file, question)
            if known[number]:
                found.append(file)
        return found

    @cached_property
    def _answers(self) -> dict[int, tuple[Mapping[str, Any], dict[int, bool]]]:
        return {}

    def given(self, subject: str) -> list[FoundFile]:
        """List all files of one person in the derivative datasets."""
        return self._derived_files.of(subject, None)

    @cached_property
    def known(self) -> dict[Hashable, Any]:
        """What was found out for one person and is so for all of the run, by what it is about."""
        return {}

    @cached_property
    def _raw_files(self) -> _PersonFiles:
        return _PersonFiles((self.raw,))

    @cached_property
    def _derived_files(self) -> _PersonFiles:
        return _PersonFiles(self.derivatives)

    def _narrow(
        self, kind: str, files: Iterable[FoundFile], wanted: Mapping[str, Any]
    ) -> list[FoundFile]:
        found = [file for file in files if answers(file, wanted)]
        if not found or not self.filters:
            return found
        for section in dict.fromkeys((kind.partition(".")[0], kind)):
            narrowing = self.filters.get(section)
            if narrowing:
                found = [file for file in found if matches(file, narrowing)]
        return found


def open_query(bids_dir: Path, inputs: Inputs) -> Query:
    """Open the raw dataset and the derivatives; nobody's files are read before they are asked for.

    Parameters
    ----------
    bids_dir
        The raw dataset.
    inputs
        Derivative datasets, filter file and database folder.

    Raises
    ------
    UsageError
        If one of the datasets is none.
    """
    named: dict[Path, str] = {}
    for dataset in inputs.derivatives:
        check_derivatives(dataset.path, f"--derivatives {dataset.name}")
        first = named.setdefault(dataset.path.resolve(), dataset.name)
        if first != dataset.name:
            raise UsageError(
                f"--derivatives {first} and {dataset.name} are one folder ({dataset.path}); name "
                "it once."
            )
    database = inputs.bids_database_dir
    raw = bids_dir.resolve()
    return Query(
        _raw(raw, database),
        tuple(_derived(one.name, one.path.resolve(), database, raw) for one in inputs.derivatives),
        read_filters(inputs.bids_filter_file),
    )


def check_derivatives(root: Path, what: str) -> None:
    """Refuse a folder of ``-d`` that holds no dataset, and nothing of a producer that writes none.

    Parameters
    ----------
    root
        The folder.
    what
        How the user named it, for the message.

    Raises
    ------
    UsageError
        As :func:`check_dataset`; a description may be missing where persons' files are there.
    """
    is_there = is_utf8(str(root)) and is_folder(root)
    if is_there and not (root / DESCRIPTION).exists():
        try:
            if looks_like_dataset(root):
                return
        except InputError as error:
            raise UsageError(str(error)) from None
    check_dataset(root, what)


def _raw(root: Path, database: Path | None) -> Dataset:
    def read(subject: str) -> list[Placed]:
        found = scan_person(root, subject) if database is None else index.person(subject)
        return [Placed(path, entities) for path, entities in found]

    index = Database(database or root, "raw", root, raw=True)
    return Dataset("raw", root, read)


def _derived(name: str, root: Path, database: Path | None, raw: Path) -> Dataset:
    if database is None or not (root / DESCRIPTION).exists():
        folders = Folders(root, raw=raw)
        return Dataset(name, root, folders.person, folders)
    index = Database(database, name, root, raw=False)

    def read(folder: Path, subject: str, others: list[Path]) -> list[tuple[Path, dict[str, Any]]]:
        scan_person(folder, subject, raw=False, others=others)
        return index.person(subject)

    folders = Folders(root, read, raw)
    return Dataset(name, root, folders.person, folders)


def misnamed_files(query: Query, subject: str) -> list[Path]:
    """List the raw images of a person whose names the BIDS standard does not know.

    Parameters
    ----------
    query
        The run's datasets.
    subject
        Label without ``sub-``.
    """
    root = query.raw.root
    images = (
        os.path.join(folder, name)  # noqa: PTH118
        for folder, _, names in os.walk(root / f"sub-{subject}")
        for name in names
        # what the file manager of a Mac puts beside every file begins with a dot
        if ".nii" in name and not name.startswith(".") and is_utf8(name)
    )
    start = len(str(root))
    return [
        Path(path) for path in sorted(images) if not _is_bids(_anonymous(path[start:], subject))
    ]


def _anonymous(path: str, subject: str) -> str:
    """Leave out who it is: people's files are called alike, and the standard is slow to ask."""
    for end in "/_":
        path = path.replace(f"sub-{subject}{end}", f"sub-x{end}")
    return path


@cache
def _is_bids(path: str) -> bool:
    from bids_validator import BIDSValidator

    return bool(BIDSValidator().is_bids(path))
