"""A few lines on a terminal that are drawn over again and again."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TextIO

from rich.cells import cell_len, set_cell_size

ERASE_BELOW, UP = "\x1b[J", "\x1b[{}A"
# a line that a terminal is too narrow for is cut, not continued
NO_WRAP, WRAP = "\x1b[?7l", "\x1b[?7h"
USUAL_COLUMNS, USUAL_LINES = 80, 24
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Block:
    """Lines that stay at the end of what a terminal shows.

    The cursor waits at their top, on an empty line. So a terminal that is made narrower, and breaks
    the lines anew, moves nothing above the cursor, and all below it is erased before the lines are
    drawn again: none of them is left behind. What others write begins on the empty line.

    Parameters
    ----------
    stream
        The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def size(self) -> tuple[int, int]:
        """Return how many columns and lines the terminal has now."""
        try:
            columns, lines = os.get_terminal_size(self.stream.fileno())
        except (OSError, ValueError):
            return USUAL_COLUMNS, USUAL_LINES
        # a terminal that nobody told its size says 0
        return columns or USUAL_COLUMNS, lines or USUAL_LINES

    def draw(self, lines: Sequence[str]) -> None:
        """Draw lines in the place of those before; what does not fit is cut."""
        columns, height = self.size()
        shown = [cut(line, columns - 1) for line in lines[: max(height - 2, 1)]]
        back = f"\r{UP.format(len(shown))}" if shown else "\r"
        self._write(
            f"\r{ERASE_BELOW}{NO_WRAP}" + "".join(f"\n{one}" for one in shown) + WRAP + back
        )

    def leave(self, lines: Sequence[str]) -> None:
        """Draw lines for the last time, where they stay, and go on below them."""
        columns, _ = self.size()
        shown = "".join(f"{cut(line, columns - 1)}\n" for line in lines)
        self._write(f"\r{ERASE_BELOW}{shown}")

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def cut(line: str, columns: int) -> str:
    """Cut a line to so many columns; wide letters take two, and none moves the cursor.

    Examples
    --------
    >>> cut("sub-01 zones", 8)
    'sub-01 …'
    >>> cut("sub-01", 8)
    'sub-01'
    """
    plain = CONTROL.sub(" ", line)
    if cell_len(plain) <= columns:
        return plain
    return f"{set_cell_size(plain, columns - 1)}…" if columns > 0 else ""
