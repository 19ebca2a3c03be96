"""What is wrong with a finished visit's tables: missing, changed, or of other columns."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from wmhflow.bids.writer import Column, Kind, read_object
from wmhflow.errors import InputError
from wmhflow.files.streams import open_file, said_of
from wmhflow.group.study import Visit
from wmhflow.products.columns import names
from wmhflow.products.tables import TABLES, table_columns

CHANGED = " is not as it was written: it was changed or cut"
FOREIGN = " was not written by the run that finished this visit: remove it if it is an older one's"
# Every finished visit has these.
ALWAYS = ("volumes", "lesions")
WHAT_TO_DO = (
    "Run the participant level of this person again, leave the person out, or leave out what is "
    "missing with --allow-missing."
)


CELLS: dict[Kind, tuple[str, re.Pattern[str]]] = {
    "text": ("text in UTF-8", re.compile("[^\ufffd]*")),
    "whole": ("a whole number", re.compile(r"-?\d{1,18}")),
    "number": ("a number", re.compile(r"(?i)-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?")),
    "flag": ("true or false", re.compile("true|false")),
}


class Fault(NamedTuple):
    """A table of a visit that cannot be gathered, and the sentence that says so."""

    visit: Visit
    kind: str
    said: str


def find_faults(visit: Visit) -> Iterator[Fault]:
    """Compare a visit's tables with what its record promises and what their columns declare.

    Cells are looked at only in a table that changed since it was written.

    Parameters
    ----------
    visit
        A finished visit.
    """
    record = read_object(visit.record)
    schemes = tuple(record["settings"]["zones"])
    outputs = record.get("outputs")
    if not isinstance(outputs, dict):
        outputs = {}
    for kind in TABLES:
        path = visit.table(kind)
        name = path.relative_to(visit.output_dir).as_posix()
        if not (path.exists() or path.is_symlink()):
            if kind in ALWAYS or name in outputs:
                yield Fault(visit, kind, f"{visit}: {name} is missing. {WHAT_TO_DO}")
            continue
        if outputs and name not in outputs:
            yield Fault(visit, kind, f"{visit}: {name}{FOREIGN}. {WHAT_TO_DO}")
            continue
        columns = table_columns(kind, schemes)
        what = _damage(visit, kind, outputs.get(name), names(columns))
        if what == CHANGED:
            # the cell says more, if it is one
            said = first_fault(visit, kind, columns)
            yield Fault(visit, kind, said or f"{visit}: {name}{what}. {WHAT_TO_DO}")
        elif what:
            yield Fault(visit, kind, f"{visit}: {name}{what}. {WHAT_TO_DO}")


def _damage(visit: Visit, kind: str, held: object, declared: list[str]) -> str | None:
    """Say what is wrong with a table that is there."""
    path = visit.table(kind)
    try:
        with said_of(path), open_file(path) as stream:
            header = stream.readline().rstrip(b"\r\n").decode("utf-8", "replace")
            stream.seek(0)
            content = stream.read()
    except InputError as error:
        return f" cannot be read ({error})"
    if not header:
        return ", line 1: the table is empty"
    found = header.split("\t")
    lacking = [name for name in declared if name not in found]
    foreign = [name for name in found if name not in declared]
    if lacking or foreign or len(found) != len(declared):
        what = f"lacks {lacking[0]}" if lacking else f"has {(foreign or found)[0]} besides"
        return f", line 1: its columns are not those of {kind}, it {what}"
    size, digest = (held.get(key) if isinstance(held, dict) else held for key in ("size", "sha256"))
    if isinstance(size, int) and size != len(content):
        return CHANGED
    if isinstance(digest, str) and digest != hashlib.sha256(content).hexdigest():
        return CHANGED
    return None


def first_fault(visit: Visit, kind: str, columns: tuple[Column, ...]) -> str | None:
    """Say which cell of a visit's table is the first that its column does not allow."""
    kinds = {column.name: column.kind for column in columns}
    lines = visit.table(kind).read_text(encoding="utf-8", errors="replace").split("\n")
    header = lines[0].split("\t")
    for number, line in enumerate(lines[1:], start=2):
        if number == len(lines) and not line:
            break  # the end of the last line
        cells = line.split("\t")
        if len(cells) != len(header):
            said = f"{len(cells)} cells under a header of {len(header)}"
            return said_at(visit, kind, number, said)
        for name, cell in zip(header, cells, strict=True):
            wanted, pattern = CELLS[kinds.get(name, "text")]
            if cell not in {"n/a", ""} and not pattern.fullmatch(cell):
                return said_at(
                    visit, kind, number, f"'{cell}' in the column {name} is not {wanted}"
                )
    return None


def said_at(visit: Visit, kind: str, line: int, what: str) -> str:
    """Say what is wrong in a line of a visit's table, and what to do."""
    path = visit.table(kind).relative_to(visit.output_dir)
    return f"{visit}: {path}, line {line}: {what}. {WHAT_TO_DO}"
