"""What is there: the one module that asks pybids."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from wmhflow.errors import NothingToDoError, UsageError
from wmhflow.settings import Inputs, NamedPath

FILTER_KINDS = ("t1w", "flair", "wmh", "infarct", "parcellation", "transform", "map")
IMAGE_EXTENSIONS = (".nii.gz", ".nii")


@dataclass(frozen=True)
class FoundFile:
    """A file with its BIDS entities (pybids' long names) and the name of its dataset."""

    path: Path
    entities: Mapping[str, Any]
    dataset: str
    root: Path

    def get(self, entity: str) -> Any:
        """Return an entity's value, or None."""
        return self.entities.get(entity)

    @property
    def uri(self) -> str:
        """The file's BIDS URI."""
        return f"bids:{self.dataset}:{self.path.relative_to(self.root).as_posix()}"


def matches(file: FoundFile, wanted: Mapping[str, Any]) -> bool:
    """Whether a file has every wanted entity; a list means any of its values, None its absence.

    Examples
    --------
    >>> file = FoundFile(Path("x"), {"suffix": "T1w", "run": 2}, "raw", Path("."))
    >>> matches(file, {"suffix": ["T1w", "FLAIR"], "run": "2", "acquisition": None})
    True
    """
    for entity, value in wanted.items():
        options = value if isinstance(value, list | tuple) else [value]
        has = file.get(entity)
        if not any((has is None) if o is None else (str(has) == str(o)) for o in options):
            return False
    return True


class Dataset:
    """One BIDS dataset, of which only the persons asked for are read."""

    def __init__(
        self, name: str, root: Path, subjects: Sequence[str], *, raw: bool, database: Path | None
    ) -> None:
        self.name = name
        self.root = root
        self._of: dict[str, list[FoundFile]] = {}
        for file in _index(name, root, subjects, raw=raw, database=database):
            self._of.setdefault(str(file.get("subject")), []).append(file)

    def of(self, subject: str) -> list[FoundFile]:
        """Return the files of one person."""
        return self._of.get(subject, [])


def _index(
    name: str, root: Path, subjects: Sequence[str], *, raw: bool, database: Path | None
) -> list[FoundFile]:
    from bids import BIDSLayout, BIDSLayoutIndexer

    # pybids has no entity 'param', which tells FA from MD in a dwimap
    extra = str(files("wmhflow") / "data" / "bids_entities.json")
    indexer = BIDSLayoutIndexer(
        validate=False, index_metadata=False, ignore=_ignored(subjects if not database else ())
    )
    layout = BIDSLayout(
        root,
        validate=False,
        indexer=indexer,
        is_derivative=not raw,
        config=["bids", "derivatives", extra],
        database_path=_database_path(database, name, root) if database else None,
    )
    found = (
        FoundFile(Path(file.path), dict(file.get_entities()), name, root)
        for file in layout.get(subject=list(subjects))
        if belongs(Path(file.path), root)
    )
    return sorted(found, key=lambda file: str(file.path))


def _database_path(database: Path, name: str, root: Path) -> Path:
    # another dataset of the same name must not find this one's index
    return database / f"{name}-{hashlib.sha256(str(root).encode()).hexdigest()[:12]}"


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


def _ignored(subjects: Sequence[str]) -> list[re.Pattern[str]]:
    """Patterns of what is not worth walking into: other persons, and folders without images."""
    patterns = [re.compile(r"^/(sourcedata|derivatives|code|stimuli|logs|models|\.[^/]*)(/|$)")]
    patterns.append(
        re.compile(r"^/sub-[^/]+/(ses-[^/]+/)?(figures|func|eeg|meg|ieeg|beh|motion)(/|$)")
    )
    if subjects:
        wanted = "|".join(re.escape(subject) for subject in subjects)
        patterns.append(re.compile(rf"^/sub-(?!(?:{wanted})(/|$))"))
    return patterns


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
    if not root.is_dir():
        raise UsageError(f"{what} {root} is not a folder; check the path.")
    description = root / "dataset_description.json"
    try:
        content = json.loads(description.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{what} {root} has no dataset_description.json, so it is no BIDS dataset; "
            "check the path or add the file."
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{description} cannot be read: {error}.") from None
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
    # one look at the folder's names: pybids would walk through every person's files
    there = sorted(
        entry.name.removeprefix("sub-")
        for entry in bids_dir.iterdir()
        if re.fullmatch(r"sub-[a-zA-Z0-9+]+", entry.name) and entry.is_dir()
    )
    unknown = [label for label in wanted if label not in there]
    if unknown:
        raise UsageError(
            f"--participant-label: {bids_dir} has no sub-{unknown[0]}; it has "
            f"{_some(there) or 'no persons at all'}."
        )
    if not there:
        raise NothingToDoError(f"{bids_dir} has no folder of a person (sub-…).")
    return sorted(set(wanted)) or there


def _some(labels: Sequence[str]) -> str:
    shown = ", ".join(f"sub-{label}" for label in labels[:8])
    return f"{shown} and {len(labels) - 8} more" if len(labels) > 8 else shown


def read_filters(path: Path | None) -> dict[str, dict[str, Any]]:
    """Read ``--bids-filter-file``: BIDS entities per kind of input.

    Raises
    ------
    UsageError
        If the file is missing, is no JSON, or names an unknown kind.
    """
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"--bids-filter-file {path} does not exist.") from None
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"--bids-filter-file {path} cannot be read as JSON: {error}.") from None
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise UsageError(f"--bids-filter-file {path} must hold an object of objects.")
    unknown = sorted(set(content) - set(FILTER_KINDS))
    if unknown:
        raise UsageError(
            f"--bids-filter-file {path} names '{unknown[0]}'; known are {', '.join(FILTER_KINDS)}."
        )
    return content


@dataclass(frozen=True)
class Query:
    """All datasets of a run, indexed for the persons asked for."""

    raw: Dataset
    derivatives: tuple[Dataset, ...]
    filters: Mapping[str, Mapping[str, Any]]

    def raw_images(self, kind: str, subject: str, **wanted: Any) -> list[FoundFile]:
        """Find raw images of one person; ``kind`` names the section of the filter file."""
        return self._narrow(kind, self.raw.of(subject), wanted)

    def derived(self, kind: str, subject: str, **wanted: Any) -> list[FoundFile]:
        """Find files of one person in the derivative datasets."""
        files = [file for dataset in self.derivatives for file in dataset.of(subject)]
        return self._narrow(kind, files, wanted)

    def _narrow(
        self, kind: str, files: Iterable[FoundFile], wanted: Mapping[str, Any]
    ) -> list[FoundFile]:
        narrowing = self.filters.get(kind, {})
        return [file for file in files if matches(file, wanted) and matches(file, narrowing)]


def open_query(bids_dir: Path, subjects: Sequence[str], inputs: Inputs) -> Query:
    """Index the raw dataset and the derivatives for the persons asked for.

    Parameters
    ----------
    bids_dir
        The raw dataset.
    subjects
        Labels without ``sub-``.
    inputs
        Derivative datasets, filter file and database folder.

    Raises
    ------
    UsageError
        If one of the datasets is none.
    """
    for dataset in inputs.derivatives:
        check_dataset(dataset.path, f"--derivatives {dataset.name}")
    database = inputs.bids_database_dir
    return Query(
        Dataset("raw", bids_dir.resolve(), subjects, raw=True, database=database),
        tuple(_derivative(named, subjects, database) for named in inputs.derivatives),
        read_filters(inputs.bids_filter_file),
    )


def _derivative(named: NamedPath, subjects: Sequence[str], database: Path | None) -> Dataset:
    return Dataset(named.name, named.path.resolve(), subjects, raw=False, database=database)


def misnamed_files(query: Query, subject: str) -> list[Path]:
    """List the raw images of a person whose names the BIDS standard does not know.

    Parameters
    ----------
    query
        The indexed datasets.
    subject
        Label without ``sub-``.
    """
    from bids_validator import BIDSValidator

    validator = BIDSValidator()
    root = query.raw.root
    return [
        path
        for path in sorted((root / f"sub-{subject}").rglob("*.nii*"))
        if not validator.is_bids("/" + path.relative_to(root).as_posix())
    ]
