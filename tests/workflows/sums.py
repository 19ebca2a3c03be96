"""Steps that add numbers, for tests of what carries steps out."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from wmhflow.files.template import Template
from wmhflow.steps.kinds import Columns, Folder, LabelImage, Table, step


class Total(NamedTuple):
    """A sum, and half of it if that is a whole number."""

    total: Table
    half: Table | None
    plain: int


@step(mem_gb=0.2)
def add(
    parts: list[Table] | None = None,
    one: Table | None = None,
    file: Path | None = None,
    more: int = 0,
) -> Total:
    """Add what was given, and the number in a file."""
    numbers = [part["is"] for part in [*(parts or []), *([one] if one else [])]]
    total = sum(numbers) + more + (int(file.read_text()) if file else 0)
    return Total({"is": total}, None if total % 2 else {"is": total // 2}, total)


class Line(NamedTuple):
    """A file with lines."""

    lines: Path


@step(always=True)
def write_line(log: str, line: str) -> Line:
    """Write a line at the end of a file."""
    with Path(log).open("a") as stream:
        stream.write(line)
    return Line(Path(log))


class Everything(NamedTuple):
    """What was met."""

    words: Table
    image: LabelImage
    columns: Columns
    paths: list[Path]


@step(mem_gb=0.1, threads=2)
def take_everything(
    needed: LabelImage,
    columns: Columns,
    template: Template,
    names: list[str],
    folder: Folder,
    parts: list[Table] | None = None,
    scale: float = 2.5,
    unit: str | None = None,
) -> Everything:
    """Meet every kind of parameter."""
    (folder / "made.txt").write_text("made here")
    words = {
        "template": str(template.folder),
        "names": names,
        "parts": parts,
        "scale": scale,
        "unit": unit,
        "type": str(needed.data.dtype),
    }
    return Everything(words, needed, columns, [folder / "made.txt"])


def no_step(number: int) -> Line:
    """State nothing of what is needed."""
    return Line(Path(str(number)))
