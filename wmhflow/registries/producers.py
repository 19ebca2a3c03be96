"""Who writes what, and under which names: ``data/producers.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

# What may end the name of an image; a pattern of a name leaves it out.
IMAGE_ENDINGS = (".nii.gz", ".nii", ".mgz", ".mgh")
# Images of other programs, and compressed ones: a mask stored so is one, though it is not read.
UNREAD_ENDINGS = (
    *(".img", ".hdr", ".nrrd", ".nhdr", ".mha", ".mhd", ".mif", ".mif.gz", ".mnc", ".dcm"),
    *(".nii.bz2", ".nii.xz", ".nii.zip", ".zip"),
)
LAYOUTS = {
    "bids": "a BIDS dataset",
    "subjects": "a folder per person or visit",
    "flat": "files of all persons, or folders of persons",
}
_ENDING = r"\.(?:nii\.gz|nii|mgz|mgh)"
_PERSON = r"(?:sub-)?[a-zA-Z0-9+]+(?:_ses-[a-zA-Z0-9+]+)?"


@dataclass(frozen=True)
class ProducerFile:
    """One kind of file that a producer writes; ``data/producers.toml`` explains the fields."""

    producer: str
    what: str
    example: str
    names: tuple[str, ...] = ()
    entities: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    unit: str | None = None
    labels: tuple[int, ...] = ()
    note: str = ""

    @property
    def is_used(self) -> bool:
        """Whether such a file can answer for something."""
        return self.what != "none"

    def fits(self, entities: Mapping[str, Any]) -> bool:
        """Tell whether a BIDS name's entities are those of this kind; an empty text is absence.

        Parameters
        ----------
        entities
            Values by long name.
        """
        return bool(self.query) and all(
            str(entities.get(name) or "") == value for name, value in self.query.items()
        )

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """Its names as regular expressions of a path's end."""
        return tuple(map(_pattern, self.names))


def _pattern(name: str) -> re.Pattern[str]:
    text = re.escape(name.removesuffix(".mgz"))
    text = text.replace(r"\*", "[^/]*").replace(r"\{image\}", "(?P<image>(?i:T1w?|FLAIR))")
    text = text.replace(r"\{person\}", _PERSON)
    ending = r"\.mgz" if name.endswith(".mgz") else _ENDING
    return re.compile(f"(?:^|.*/){text}{ending}")


@dataclass(frozen=True)
class Producer:
    """One program, and the files that it writes."""

    name: str
    title: str
    layout: str
    folder: str
    source: str
    citation: str
    link: str
    generated_by: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    files: tuple[ProducerFile, ...] = ()


@dataclass(frozen=True)
class Choice:
    """Which of several files answers: entities in order, and values that never answer."""

    order: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    never: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@cache
def _content() -> dict[str, Any]:
    text = (files("wmhflow") / "data" / "producers.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def load_producers() -> dict[str, Producer]:
    """Read the registry of producers, by name.

    Examples
    --------
    >>> load_producers()["wmh-synthseg"].files[0].labels
    (77,)
    """
    return {table["name"]: _producer(table) for table in _content()["producer"]}


def _producer(table: Mapping[str, Any]) -> Producer:
    told = {name: _plain(value) for name, value in table.items() if name != "file"}
    rows = [
        ProducerFile(table["name"], **{name: _plain(value) for name, value in row.items()})
        for row in table["file"]
    ]
    return Producer(**told, files=tuple(rows))


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@cache
def _by_names() -> tuple[tuple[re.Pattern[str], ProducerFile], ...]:
    """List the patterns of names that are no BIDS: exact ones first, what is not used last."""
    rows = [
        (not row.is_used, "*" in name or "{" in name, pattern, row)
        for producer in load_producers().values()
        for row in producer.files
        for name, pattern in zip(row.names, row.patterns, strict=True)
    ]
    exact = [row for row in rows if not row[1]]
    loose = sorted((row for row in rows if row[1]), key=lambda row: row[0])
    return tuple((pattern, row) for _, _, pattern, row in (*exact, *loose))


@cache
def _literals() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return how names that are no BIDS end, and of those that end in any way what they hold.

    Nearly no file has such a name, which is seen at once so; the patterns are a hundred.
    """
    ends, held = [], []
    for producer in load_producers().values():
        for name in (name for row in producer.files for name in row.names):
            pieces = re.split(r"\*|\{image\}|\{person\}", name.removesuffix(".mgz"))
            if pieces[-1]:
                ends.append(pieces[-1])
            else:
                held.append(max(pieces, key=len))
    return tuple(dict.fromkeys(ends)), tuple(dict.fromkeys(held))


def _may_be_named(path: str) -> bool:
    """Tell whether a pattern of a name can fit; the patterns say whether one does."""
    stem = next(path.removesuffix(ending) for ending in IMAGE_ENDINGS if path.endswith(ending))
    ends, held = _literals()
    return stem.endswith(ends) or any(piece in path for piece in held)


def recognise_name(path: str) -> tuple[ProducerFile, dict[str, Any]] | None:
    """Say what a file is by a name that is the producer's own.

    Parameters
    ----------
    path
        The file's name, with the folders below the dataset's.

    Returns
    -------
    (ProducerFile, dict) or None
        The kind, and the BIDS entities that the name stands for.

    Examples
    --------
    >>> kind, entities = recognise_name("sub-01_T1w_synthseg.nii.gz")
    >>> kind.producer, entities["suffix"], entities["space"]
    ('synthseg', 'dseg', 'T1w')
    >>> recognise_name("sub-01_T1w.nii.gz")
    """
    if not path.endswith(IMAGE_ENDINGS) or not _may_be_named(path):
        return None
    for pattern, row in _by_names():
        match = pattern.fullmatch(path)
        if match is None:
            continue
        image = match.groupdict().get("image")
        space = {"space": _image_space(image)} if image else {}
        return row, {**space, **row.entities}
    return None


def _image_space(image: str) -> str:
    return "FLAIR" if image.upper() == "FLAIR" else "T1w"


def recognise_entities(
    entities: Mapping[str, Any], generated_by: Sequence[str]
) -> ProducerFile | None:
    """Say what a file of a BIDS name is, in a dataset that says who wrote it.

    Parameters
    ----------
    entities
        Values by long name.
    generated_by
        The names under GeneratedBy in its dataset's description.

    Examples
    --------
    >>> recognise_entities({"suffix": "cbf"}, ["ASLPrep"]).unit
    'mL/100g/min'
    """
    if not generated_by:
        return None
    return next((row for row in _written_by(tuple(generated_by)) if row.fits(entities)), None)


@cache
def _written_by(programs: tuple[str, ...]) -> tuple[ProducerFile, ...]:
    """List the kinds of files that are told by BIDS entities, of the producers that these are."""
    names = set(programs)
    return tuple(
        row
        for producer in load_producers().values()
        if names & set(producer.generated_by)
        for row in producer.files
        if row.query
    )


def inner_folders() -> tuple[str, ...]:
    """List the folders below a dataset's in which producers keep persons."""
    return tuple(one for producer in load_producers().values() for one in producer.inside)


def looks_like_wmh(name: str, suffix: str | None) -> bool:
    """Tell whether a file seems to be a mask of WMH by its name.

    Parameters
    ----------
    name
        The file's name.
    suffix
        What stands last in it, if it is BIDS; a name that is not BIDS is judged by its words alone.

    Examples
    --------
    >>> looks_like_wmh("sub-01_desc-wmh_mask.nii.gz", "mask")
    True
    >>> looks_like_wmh("sub-01_desc-lesionfilled_T1w.nii.gz", "T1w")
    False
    >>> looks_like_wmh("sub-01_label-WMH_mask.NII.GZ", "mask")
    True
    """
    table = _content()["wmh"]
    is_kind = suffix is None or suffix.lower() in table["kinds"]
    text = name.lower()
    is_image = text.endswith((*IMAGE_ENDINGS, *UNREAD_ENDINGS))
    return is_kind and is_image and any(word in text for word in table["words"])


@cache
def find_choice(name: str) -> Choice:
    """Return how one of several files is chosen for a map, or for ``WMH``.

    Examples
    --------
    >>> find_choice("WMH").never["desc"]
    ('annotated',)
    >>> find_choice("a map of one's own").order
    {'desc': ('',)}
    """
    table = dict(_content()["choice"].get(name, {}))
    never = {entity: tuple(values) for entity, values in table.pop("never", {}).items()}
    return Choice({"desc": ("",)} | {key: tuple(value) for key, value in table.items()}, never)


def producer_page(producer: Producer) -> str:
    """Return what is read of a producer as a page of Markdown.

    Parameters
    ----------
    producer
        One of the registry.
    """
    doi = f" (doi:{producer.citation})" if producer.citation else ""
    lines = [
        f"# {producer.title}",
        "",
        f"[{producer.title}]({producer.link}){doi}. Names as of {producer.source}.",
        "",
        f"What to name with `-d {producer.name}=FOLDER`: {producer.folder}.",
        "",
        *_described(producer),
        "| read as | file, for example | unit |",
        "| --- | --- | --- |",
    ]
    for row in producer.files:
        unit = row.unit or "–"
        lines.append(f"| {_what(row)} | `{row.example}` | {unit} |")
    notes = [f"- {_what(row)}: {row.note}" for row in producer.files if row.note]
    return "\n".join([*lines, *(["", *notes] if notes else [])]) + "\n"


def _described(producer: Producer) -> list[str]:
    if producer.layout == "bids":
        return []
    text = "It needs no `dataset_description.json`."
    patterns = [f"`{name}`" for row in producer.files for name in row.names if row.is_used]
    if not patterns:
        return [text, ""]
    return [f"{text} Names that are read (`*` is any text): {', '.join(patterns)}.", ""]


def _what(row: ProducerFile) -> str:
    words = {"none": "not used", "companion": "image that is registered in a map's place"}
    labels = f", and label {', '.join(map(str, row.labels))} as WMH" if row.labels else ""
    return words.get(row.what, row.what) + labels


def producers_table() -> str:
    """Return the producers as Markdown, with links to their pages."""
    lines = ["| producer | what is read | folder |", "| --- " * 3 + "|"]
    for name, producer in load_producers().items():
        what = dict.fromkeys(row.what for row in producer.files if row.is_used)
        link = f"[{producer.title}](/_generated/producers/{name}.md)"
        lines.append(f"| {link} | {', '.join(what)} | {LAYOUTS[producer.layout]} |")
    return "\n".join(lines) + "\n"
