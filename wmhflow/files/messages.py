"""How messages reach a user: as plain lines, beside a display, or as lines of JSON.

The process of the program and its workers write alike, each message in one piece, so that lines of
several processes do not mix.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from wmhflow.files.standard_output import standard_output
from wmhflow.settings import Reporting

PLAIN, QUIET, JSON_LINES = "plain", "quiet", "json"
# a display of progress may stand below the cursor
ERASE_BELOW = "\x1b[J"
PERSON = re.compile(r"\bsub-[0-9A-Za-z+]+")
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


def how_said(reporting: Reporting) -> str:
    """Name how messages are to be said: ``plain``, ``quiet`` or ``json``.

    Parameters
    ----------
    reporting
        The settings.
    """
    return JSON_LINES if reporting.log_json else QUIET if reporting.quiet else PLAIN


class Lines(logging.StreamHandler[TextIO]):
    """Messages as lines; on a terminal each erases the display, which is then drawn below it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        text = super().format(record)
        return f"\r{ERASE_BELOW}{text}" if self.stream.isatty() else text


class JsonHandler(logging.Handler):
    """Messages as JSON, one object a line, on standard output."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message."""
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
        elif record.exc_text:
            # of another process
            text = f"{text}\n{record.exc_text}"
        given = getattr(record, "told", {})
        write_json(record.levelname.lower(), text, **given)


def write_json(level: str, message: str, **more: Any) -> None:
    """Write one object of JSON on a line of standard output: a message, and what it is about.

    Parameters
    ----------
    level
        ``debug``, ``info``, ``warning`` or ``error``.
    message
        A sentence.
    **more
        Further fields; ``person`` is read from the message where it is not given.
    """
    named = PERSON.search(message)
    told = {"time": _now(), "level": level, "person": named[0] if named else None, "step": None}
    # a reader that is gone, or a full disk, is no reason to end
    standard_output.write_line(json.dumps(told | {"message": message} | more, ensure_ascii=True))


def _now() -> str:
    """Return the time with its zone, to the millisecond (ISO 8601)."""
    return datetime.now(UTC).astimezone().isoformat(timespec="milliseconds")


class JsonStream(io.TextIOBase):
    """What takes the place of an output stream: every line that is printed becomes an object.

    Parameters
    ----------
    level
        Of its lines.
    """

    def __init__(self, level: str) -> None:
        self.level = level
        self._begun = ""

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Write the lines that are whole."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(str.strip, lines):
            write_json(self.level, line)
        return len(text)

    def finish(self) -> None:
        """Write what is left of a line."""
        self.write("\n")


def start_messages(how: str, verbose: int = 0, form: str = "%(name)s: %(message)s") -> None:
    """Let this process's messages come as the user wants them.

    Parameters
    ----------
    how
        ``plain``, ``quiet`` (errors alone) or ``json``.
    verbose
        0 for warnings, 1 for more, 2 for all.
    form
        Of plain lines.
    """
    handler: logging.Handler = JsonHandler() if how == JSON_LINES else Lines(sys.stderr)
    handler.setFormatter(logging.Formatter(form))
    level = logging.ERROR if how == QUIET else LEVELS[min(verbose, 2)]
    logging.basicConfig(level=level, handlers=[handler])
    if verbose < 2:
        for name in ("nipype", "bids", "numba", "matplotlib", "PIL"):
            logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def streams_of(reporting: Reporting) -> Iterator[None]:
    """Let what is printed meanwhile come as the user wants it.

    Parameters
    ----------
    reporting
        The settings: with ``log_json`` every line becomes an object on standard output; with
        ``quiet`` nothing comes there, unless it is what was asked for.
    """
    asked_for = reporting.dry_run or reporting.boilerplate_only
    with ExitStack() as stack:
        if reporting.log_json:
            streams = JsonStream("info"), JsonStream("error")
            stack.enter_context(redirect_stdout(streams[0]))
            stack.enter_context(redirect_stderr(streams[1]))
            for one in streams:
                stack.callback(one.finish)
        elif reporting.quiet and not asked_for:
            nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            stack.enter_context(redirect_stdout(nowhere))
        yield
