"""The outside programs that segment white matter hyperintensities and are known by name."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

from wmhflow.registries.bibliography import bibliography

OUT = "{out}"
IMAGES = {"t1w": "T1w", "flair": "FLAIR"}
# what only tells a reader about a program changes no result
_TOLD = ("title", "install", "address", "licence", "citation", "image")


@dataclass(frozen=True)
class Segmenter:
    """What the registry says of an outside segmenter; ``data/segmenters.toml`` explains each."""

    name: str
    title: str
    commands: tuple[str, ...]
    space: str
    install: str
    address: str
    licence: str
    citation: str
    output: str = OUT
    keeps_grid: bool = True
    labels: tuple[int, ...] = ()
    threshold: float | None = None
    only_image: bool = False
    image: str | None = None
    image_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    image_files: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """The images that it reads, by BIDS suffix."""
        asked = set(re.findall(r"{(\w+)}", self.line))
        return tuple(suffix for name, suffix in IMAGES.items() if name in asked)

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs that its command lines start."""
        return tuple(dict.fromkeys(shlex.split(line)[0] for line in self.commands))

    @property
    def line(self) -> str:
        """Its command lines as one text."""
        return " && ".join(self.commands)

    def running(self) -> dict[str, Any]:
        """State what decides on its result, in plain values."""
        stated = {name: value for name, value in asdict(self).items() if name not in _TOLD}
        words = {program: list(parts) for program, parts in self.image_words.items()}
        lists = {name: list(stated[name]) for name in ("commands", "labels", "image_files")}
        return stated | lists | {"image_words": words}


@cache
def load_segmenters() -> dict[str, Segmenter]:
    """Read the registry of outside segmenters, by name.

    Examples
    --------
    >>> load_segmenters()["lst-ai"].reads
    ('T1w', 'FLAIR')
    """
    text = (files("wmhflow") / "data" / "segmenters.toml").read_text(encoding="utf-8")
    return {table["name"]: _segmenter(table) for table in tomllib.loads(text)["segmenter"]}


def _segmenter(table: Mapping[str, Any]) -> Segmenter:
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in table.items()
    }
    words = table.get("image_words", {})
    fields["image_words"] = {program: tuple(parts) for program, parts in words.items()}
    return Segmenter(**fields)


def find_segmenter(command: str | None) -> Segmenter | None:
    """Look up the segmenter that a command names; None where it is a command line.

    Parameters
    ----------
    command
        As ``--wmh-command``.

    Examples
    --------
    >>> find_segmenter("samseg").labels
    (99,)
    >>> find_segmenter("tool {flair} {out}") is None
    True
    """
    return load_segmenters().get(command.strip()) if command else None


def segmenters_like(name: str) -> list[str]:
    """List the known segmenters whose name is much like another.

    Parameters
    ----------
    name
        A word.

    Examples
    --------
    >>> segmenters_like("LSTAI")
    ['lst-ai']
    """
    plain = {_plain(known): known for known in load_segmenters()}
    return [plain[near] for near in get_close_matches(_plain(name), plain, n=2, cutoff=0.7)]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def segmenters_reading(images: Iterable[str]) -> list[str]:
    """List the known segmenters that read these images and no others.

    Parameters
    ----------
    images
        BIDS suffixes, ``T1w`` or ``FLAIR``.

    Examples
    --------
    >>> "synthseg-wmh" in segmenters_reading(["FLAIR"])
    True
    """
    there = set(images)
    return [name for name, known in load_segmenters().items() if set(known.reads) <= there]


def segmenters_table() -> str:
    """Return the outside segmenters as Markdown for the documentation."""
    lines = ["| name | what | reads | container image | licence | reference |", "| --- " * 6 + "|"]
    for name, entry in load_segmenters().items():
        image = f"`{entry.image}`" if entry.image else "–"
        reference = f"doi:{bibliography()[entry.citation]['doi']}"
        title = f"[{entry.title}]({entry.address})"
        cells = (f"`{name}`", title, ", ".join(entry.reads), image, entry.licence, reference)
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| name | what is run | what of its output is WMH | how to get it |",
        "| --- " * 4 + "|",
    ]
    for name, entry in load_segmenters().items():
        commands = "<br>".join(f"`{line}`" for line in entry.commands)
        lines.append(f"| `{name}` | {commands} | {_output_words(entry)} | {entry.install} |")
    return "\n".join(lines) + "\n"


def _output_words(entry: Segmenter) -> str:
    file = f"`{entry.output}`"
    if entry.labels:
        return f"label {', '.join(map(str, entry.labels))} of {file}"
    if entry.threshold is not None:
        return f"probabilities from {entry.threshold:g} on in {file}"
    return f"the mask {file}"
