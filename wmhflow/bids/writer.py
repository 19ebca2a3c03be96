"""How a file is written: whole or not at all, the same bytes every time, untouched if unchanged."""

from __future__ import annotations

import io
import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Column = tuple[str, str, str | None]  # name, description, unit


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
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes files that only their owner can read
        os.chmod(temporary, 0o666 & ~_umask())  # noqa: PTH101
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True


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
    rounded = float(f"{value:.5e}")
    text = f"{rounded:.6g}"
    if "e" in text and abs(rounded) >= 1:
        return f"{rounded:.0f}"
    return text


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


def dictionary_of(columns: Iterable[Column]) -> dict[str, dict[str, str]]:
    """Make a table's data dictionary: description and unit of every column."""
    return {
        name: {"Description": description} | ({"Units": unit} if unit else {})
        for name, description, unit in columns
    }


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a table written by :func:`table_text`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t")
    return [dict(zip(header, line.split("\t"), strict=True)) for line in lines[1:]]
