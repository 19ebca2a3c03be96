"""The visits' tables of one kind, one after the other, in one table of the study.

Nothing is held but one batch of rows, so that memory does not grow with the number of visits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

from wmhflow.bids.writer import Column, Kind, replacing, write_json
from wmhflow.errors import InputError
from wmhflow.group.faults import Fault, first_fault, said_at
from wmhflow.group.meanings import Meanings
from wmhflow.group.study import Study, Visit
from wmhflow.products.columns import KEYS, names
from wmhflow.products.tables import table_columns

BATCH_BYTES = 16 * 2**20  # of text; about 110,000 rows of map samples, one row group of Parquet
TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "whole": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
}


class Batch(NamedTuple):
    """Lines of a gathered table, and the visits that they come from."""

    lines: bytes
    visits: tuple[Visit, ...]


def gather(study: Study, kind: str, on_fault: Callable[[Fault], object] | None = None) -> None:
    """Write one kind of table of all visits as TSV, as Parquet, and its dictionary.

    If no visit has such rows, the files of an earlier run are removed.

    Parameters
    ----------
    study
        The visits, in the order of the rows.
    kind
        A key of :data:`wmhflow.products.tables.TABLES`.
    on_fault
        Called with every table that does not hold what its columns declare; its rows are left out.

    Raises
    ------
    InputError
        If a table of a visit does not hold what its columns declare, and there is no
        ``on_fault``; nothing is written then.
    """
    columns = (*KEYS, *table_columns(kind, study.schemes))
    path = study.table(kind)
    batches = iter_batches(study.with_table(kind), kind, columns)
    first = next(batches, None)
    if first is None:
        for ending in (".tsv", ".json", ".parquet"):
            path.with_suffix(ending).unlink(missing_ok=True)
        return
    meanings = Meanings(kind, columns)
    with (
        replacing(path, path.with_suffix(".parquet")) as (text, typed),
        parquet.ParquetWriter(typed, schema_of(columns), compression="zstd") as writer,
    ):
        text.write("\t".join(names(columns)).encode() + b"\n")
        for batch in chain([first], batches):
            sound, typed_rows = _sound(batch, kind, columns, on_fault)
            writer.write_table(typed_rows)
            text.write(sound.lines)
            meanings.add(typed_rows, sound.visits)
    write_json(path.with_suffix(".json"), meanings.dictionary())


def _sound(
    batch: Batch,
    kind: str,
    columns: tuple[Column, ...],
    on_fault: Callable[[Fault], object] | None,
) -> tuple[Batch, pa.Table]:
    """Leave out the visits of a batch whose tables do not hold what their columns declare."""
    try:
        return batch, typed_table(batch, kind, columns)
    except InputError:
        if on_fault is None:
            raise
    left = []
    for visit in batch.visits:
        try:
            typed_table(Batch(keyed_lines(visit, kind, columns), (visit,)), kind, columns)
        except InputError as error:
            on_fault(Fault(visit, kind, str(error)))
        else:
            left.append(visit)
    lines = b"".join(keyed_lines(visit, kind, columns) for visit in left)
    sound = Batch(lines, tuple(left))
    return sound, typed_table(sound, kind, columns) if lines else schema_of(columns).empty_table()


def iter_batches(
    visits: Sequence[Visit], kind: str, columns: tuple[Column, ...]
) -> Iterator[Batch]:
    """Go through the lines of a gathered table, some megabytes at a time."""
    lines: list[bytes] = []
    held: list[Visit] = []
    size = 0
    for visit in visits:
        found = keyed_lines(visit, kind, columns)
        if found:
            lines.append(found)
            held.append(visit)
            size += len(found)
        if size >= BATCH_BYTES:
            yield Batch(b"".join(lines), tuple(held))
            lines, held, size = [], [], 0
    if lines:
        yield Batch(b"".join(lines), tuple(held))


def keyed_lines(visit: Visit, kind: str, columns: tuple[Column, ...]) -> bytes:
    """Return the lines of a visit's table with the row keys in front.

    Parameters
    ----------
    visit
        The visit; without such a table it has no lines.
    kind
        The kind of table.
    columns
        All columns of the gathered table, keys included. Cells of a table that has just these are
        copied as they are; else columns are put in order, left out, or ``n/a`` where they lack.
    """
    path = visit.table(kind)
    if not path.is_file():
        return b""
    header, _, body = path.read_bytes().replace(b"\r\n", b"\n").partition(b"\n")
    if not header:
        raise InputError(said_at(visit, kind, 1, "the table is empty"))
    if not body:
        return b""
    lines = body.removesuffix(b"\n")
    keys = f"{visit.participant_id}\t{visit.session_id}\t".encode()
    wanted = names(columns)[len(KEYS) :]
    if header != "\t".join(wanted).encode() or _has_empty_cells(lines):
        lines = _arranged(lines, header.decode(errors="replace").split("\t"), wanted)
    return keys + lines.replace(b"\n", b"\n" + keys) + b"\n"


def _has_empty_cells(lines: bytes) -> bool:
    edges = lines.startswith(b"\t") or lines.endswith(b"\t")
    return edges or any(pair in lines for pair in (b"\t\t", b"\t\n", b"\n\t"))


def _arranged(lines: bytes, header: list[str], wanted: list[str]) -> bytes:
    """Bring cells into the wanted order; a line of the wrong length stays so, to be found."""
    place_of = {name: place for place, name in enumerate(header)}
    places = [place_of.get(name) for name in wanted]
    arranged = []
    for line in lines.split(b"\n"):
        cells = line.split(b"\t")
        if len(cells) == len(header):
            cells = [b"n/a" if at is None else cells[at] or b"n/a" for at in places]
        else:
            cells = []
        arranged.append(b"\t".join(cells))
    return b"\n".join(arranged)


def schema_of(columns: tuple[Column, ...]) -> pa.Schema:
    """Return the types that the columns have in every study, whatever is missing in it."""
    return pa.schema([(column.name, TYPES[column.kind]) for column in columns])


def typed_table(batch: Batch, kind: str, columns: tuple[Column, ...]) -> pa.Table:
    """Read lines of a gathered table with the types of their columns; ``n/a`` is null.

    Raises
    ------
    InputError
        If a cell is not what its column declares: which one, of which person.
    """
    try:
        typed = csv.read_csv(
            pa.BufferReader(batch.lines),
            read_options=csv.ReadOptions(column_names=names(columns)),
            parse_options=csv.ParseOptions(delimiter="\t", quote_char=False, double_quote=False),
            convert_options=csv.ConvertOptions(
                column_types=schema_of(columns),
                null_values=["n/a"],
                strings_can_be_null=True,
                true_values=["true"],
                false_values=["false"],
            ),
        )
        for column in typed.columns:
            if not pa.types.is_floating(column.type):
                continue
            if pc.any(pc.invert(pc.is_finite(column))).as_py():
                raise pa.ArrowInvalid("a number that is not finite")
        return typed
    except pa.ArrowInvalid as error:
        faults = (first_fault(visit, kind, columns) for visit in batch.visits)
        unknown = f"The {kind} of {batch.visits[0]} to {batch.visits[-1]} cannot be read: {error}"
        raise InputError(next(filter(None, faults), unknown)) from error
