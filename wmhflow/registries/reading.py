"""How the registries' files are read, and files of text that users give."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from wmhflow.errors import UsageError


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("wmhflow") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


def path_of(text: str) -> Path:
    """Read a path that a user gives; ``~`` is the user's home, which few shells put after ``=``.

    Parameters
    ----------
    text
        As given.

    Raises
    ------
    ValueError
        If it is empty, which would be the folder in which the user stands, and is most often a
        variable of the shell that was never set.

    Examples
    --------
    >>> path_of("/study/out/")
    PosixPath('/study/out')
    """
    if not text:
        raise ValueError("the path is empty; give one (is a variable of your shell not set?)")
    # unlike pathlib's, this leaves "~" as it is where the user has no home
    return Path(os.path.expanduser(text))  # noqa: PTH111


def read_given(path: Path, what: str, form: str, parse: Callable[[str], Any]) -> Any:
    """Read a file of text that a user gives.

    Parameters
    ----------
    path
        The file, in UTF-8; a mark of the order of bytes, which editors of Windows put before the
        text, is none of it.
    what
        How the user named it, for the message.
    form
        What it should be: ``TOML`` or ``JSON``.
    parse
        Makes values of text; it may raise ``ValueError`` or ``RecursionError``.

    Raises
    ------
    UsageError
        If there is no such file, or it is no such text.
    """
    try:
        return parse(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(f"{what} {path} does not exist; check the path.") from None
    except IsADirectoryError:
        raise UsageError(f"{what} {path} is a folder; name the file.") from None
    except PermissionError:
        raise UsageError(f"{what} {path} may not be read by you; check its permissions.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{what} {path} cannot be read as {form}: {why_unread(error)}.") from None


def parse_json(text: str) -> Any:
    """Read JSON of which no object names anything twice; Python would take the last.

    Parameters
    ----------
    text
        In JSON.

    Raises
    ------
    ValueError
        If it is none, or an object has a name twice.

    Examples
    --------
    >>> parse_json('{"run": 1, "run": 2}')
    Traceback (most recent call last):
    ...
    ValueError: it names 'run' twice; keep one
    """
    return json.loads(text, object_pairs_hook=_named_once)


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"it names '{twice[0]}' twice; keep one")
    return dict(pairs)


def why_unread(error: Exception) -> str:
    """Say why text could not be read as TOML or JSON, on one line.

    Parameters
    ----------
    error
        What the parser raised.

    Examples
    --------
    >>> why_unread(RecursionError("maximum recursion depth exceeded"))
    'it is nested too deep'
    """
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return "it is no text in UTF-8; save it as UTF-8"
    text = str(error).splitlines()
    if text and "integer string conversion" in text[0]:
        return "it has a number of thousands of digits"
    return text[0].removesuffix(".") if text else type(error).__name__


def with_absences(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return wanted entities with None where absence is meant: TOML has no null.

    Parameters
    ----------
    query
        Values by entity; ``false``, ``"none"`` and ``""`` say that a file has none of that entity.

    Examples
    --------
    >>> with_absences({"suffix": "cbf", "desc": False, "run": "none"})
    {'suffix': 'cbf', 'desc': None, 'run': None}
    """

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(one) for one in value]
        return None if value is False or value in ("", "none") else value

    return {entity: plain(value) for entity, value in query.items()}
