"""How a file is written: whole or not at all, the same bytes every time, untouched if unchanged."""

from __future__ import annotations

import filecmp
import glob
import io
import json
import logging
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np

from wmhflow.errors import InputError
from wmhflow.files.space import full_disk_told
from wmhflow.registries.quality import explain_measures
from wmhflow.registries.reading import why_unread

# A name has 255 bytes, of which the temporary one needs some.
LONGEST_START = 200
# The largest that the program writes has some kilobytes.
MOST_JSON_BYTES = 2**26
log = logging.getLogger("wmhflow")

Kind = Literal["text", "whole", "number", "flag"]


class Column(NamedTuple):
    """A column of a table: what its cells mean, their unit and what kind of value they hold.

    ``levels`` says of texts that occur in it what each stands for. With ``holds_measures`` they are
    measures of the registry of quality, which says it.
    """

    name: str
    description: str
    unit: str | None = None
    kind: Kind = "number"
    levels: tuple[tuple[str, str], ...] = ()
    holds_measures: bool = False


def write_bytes(path: Path, content: bytes) -> bool:
    """Write a file whole or not at all, and only if its content differs.

    Parameters
    ----------
    path
        The file; its folder is made.
    content
        All of it.

    Returns
    -------
    bool
        Whether anything was written.
    """
    if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content:
        return False
    with replacing(path) as (stream,):
        stream.write(content)
    return True


@contextmanager
def replacing(*paths: Path) -> Iterator[tuple[BinaryIO, ...]]:
    """Open a temporary file for each path; at the end they take their places together.

    After an error none of them does. A file whose content would be the same is left untouched.

    Parameters
    ----------
    paths
        The files; their folders are made.
    """
    with ExitStack() as stack:
        stack.enter_context(full_disk_told(paths[0].parent))
        streams = tuple(stack.enter_context(_temporary(path)) for path in paths)
        yield streams
        for stream in streams:
            stream.flush()
        changed = [
            (stream, path)
            for stream, path in zip(streams, paths, strict=True)
            if not (path.is_file() and filecmp.cmp(stream.name, path, shallow=False))
        ]
        for stream, _ in changed:
            os.fsync(stream.fileno())
        for stream, path in changed:
            # mkstemp makes files that only their owner can read; some disks know no permissions
            with suppress(PermissionError):
                os.chmod(stream.name, 0o666 & ~_umask())  # noqa: PTH101
            os.replace(stream.name, path)  # noqa: PTH105


@contextmanager
def _temporary(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # named after the file, so that whoever works on the file alone knows it for a leftover
    start = f".{path.name[:LONGEST_START]}."
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=start, suffix=".part")
    try:
        os.close(handle)
        # by its name, which a stream made from the handle would not know
        with Path(name).open("wb") as stream:
            yield stream
    finally:
        Path(name).unlink(missing_ok=True)


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Remove the temporary files of a run that was killed while it wrote.

    Parameters
    ----------
    folder
        Where they lie, and where nobody writes now what they are about.
    name
        How the files begin that they are about; all by default.
    """
    for path in folder.glob(f".{glob.escape(name)}*.part"):
        path.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_text(path: Path, text: str) -> bool:
    """Write a text file like :func:`write_bytes`."""
    return write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, content: Mapping[str, Any]) -> bool:
    """Write a JSON file like :func:`write_bytes`."""
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_object(path: Path | str) -> dict[str, Any]:
    """Read what :func:`write_json` wrote; nothing if there is no such file, or it is damaged.

    A damaged one is said: too large, too deep, no UTF-8, no JSON, or no object.
    """
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - a plan reads many
            if os.fstat(stream.fileno()).st_size > MOST_JSON_BYTES:
                raise ValueError(f"it has more than {MOST_JSON_BYTES // 2**20} MB")
            text = stream.readall().decode("utf-8-sig")
        content = json.loads(text.replace("\r\n", "\n").replace("\r", "\n"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning("%s cannot be read (%s); it counts as absent.", path, why_unread(error))
        return {}
    if not isinstance(content, dict):
        log.warning("%s holds no JSON object; it counts as absent.", path)
        return {}
    return content


def format_value(value: Any) -> str:
    """Write one table cell: six significant digits, ``n/a`` for what is missing.

    Examples
    --------
    >>> [format_value(value) for value in (1234567.0, 0.1 + 0.2, float("nan"), None, 3, "JV", True)]
    ['1234570', '0.3', 'n/a', 'n/a', '3', 'JV', 'true']
    """
    if value is None:
        return "n/a"
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return _format_float(float(value))
    return str(value) or "n/a"


def _format_float(value: float) -> str:
    if not math.isfinite(value):
        return "n/a"
    if value == 0:
        return "0"
    text = f"{value:.6g}"
    return f"{float(text):.0f}" if "e" in text and abs(value) >= 1 else text


def table_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Write a table as tab-separated text with one header line.

    Parameters
    ----------
    columns
        Names in order.
    rows
        A mapping per row; an absent column is ``n/a``.
    """
    stream = io.StringIO()
    stream.write("\t".join(columns) + "\n")
    for row in rows:
        stream.write("\t".join(format_value(row.get(name)) for name in columns) + "\n")
    return stream.getvalue()


def dictionary_of(
    columns: Sequence[Column], measures: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """Make a table's data dictionary: description, unit and levels of every column.

    Parameters
    ----------
    columns
        Of the table.
    measures
        What stands in the column that holds measures of quality, if one does.
    """
    explained = explain_measures(measures)
    levels = {one.name: explained if one.holds_measures else dict(one.levels) for one in columns}
    return {
        column.name: {"Description": column.description}
        | ({"Units": column.unit} if column.unit else {})
        | ({"Levels": levels[column.name]} if levels[column.name] else {})
        for column in columns
    }


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a table written by :func:`table_text`.

    Raises
    ------
    InputError
        If it is not as it was written.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        header = lines[0].split("\t")
        if lines[-1] or not lines[0]:
            raise ValueError("its end is missing" if lines[0] else "it is empty")
        return [dict(zip(header, line.split("\t"), strict=True)) for line in lines[1:-1]]
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is not as it was written ({error}); remove it, and run the participant level "
            "of this person again."
        ) from None
