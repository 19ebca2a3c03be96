"""What is wrong with a finished visit's tables: missing, changed, or of other columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from wmhflow.bids.writer import read_object
from wmhflow.errors import InputError
from wmhflow.files.streams import open_file, said_of
from wmhflow.group.study import Visit
from wmhflow.products.columns import names
from wmhflow.products.tables import TABLES, table_columns

# Every finished visit has these.
ALWAYS = ("volumes", "lesions")
WHAT_TO_DO = (
    "Run the participant level of this person again, leave the person out, or leave out what is "
    "missing with --allow-missing."
)


class Fault(NamedTuple):
    """A table of a visit that cannot be gathered, and the sentence that says so."""

    visit: Visit
    kind: str
    said: str


def find_faults(visit: Visit) -> Iterator[Fault]:
    """Compare a visit's tables with what its record promises and what their columns declare.

    Cells are not looked at.

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
        what = _damage(visit, kind, outputs.get(name), names(table_columns(kind, schemes)))
        if what:
            yield Fault(visit, kind, f"{visit}: {name}{what}. {WHAT_TO_DO}")


def _damage(visit: Visit, kind: str, size: object, declared: list[str]) -> str | None:
    """Say what is wrong with a table that is there."""
    path = visit.table(kind)
    try:
        with said_of(path), open_file(path) as stream:
            header = stream.readline().rstrip(b"\r\n").decode("utf-8", "replace")
            length = stream.seek(0, 2)
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
    if isinstance(size, int) and size != length:
        return f" holds {length} bytes where {size} were written: it was changed or cut"
    return None
