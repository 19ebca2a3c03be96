"""Standard output as a file that may be full, or that nobody reads any more: lines of it go whole.

That it takes no more is said once, by the program's own process, on the standard error.
"""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress
from multiprocessing import parent_process


class StandardOutput:
    """The process's standard output, line by line.

    Attributes
    ----------
    is_lost
        Whether a line could not be written.
    """

    def __init__(self) -> None:
        self.is_lost = False
        # whether the last line ends in its middle
        self._is_cut = False

    def write_line(self, line: str) -> None:
        """Write a line in one piece, as workers write to the same file.

        Parameters
        ----------
        line
            Without its end. One that cannot be written, or not to its end, is lost; the next one
            begins on a line of its own.
        """
        rest = f"{line}\n".encode()
        if self._is_cut:
            rest = b"\n" + rest
        try:
            while rest:
                n_written = os.write(1, rest)
                rest = rest[n_written:]
                self._is_cut = bool(rest)
        except OSError as error:
            self.lose(error)

    def lose(self, error: OSError) -> None:
        """Take note that a line could not be written, and say so the first time.

        Parameters
        ----------
        error
            What the system said.
        """
        if not self.is_lost and parent_process() is None:
            why = error.strerror or type(error).__name__
            said = (
                f"wmhflow: lines for the standard output are lost ({why}); the run goes on. "
                "OUTPUT_DIR/logs and the exit code say how it ended.\n"
            )
            # a standard error that is full as well leaves the exit code
            with suppress(OSError):
                os.write(2, said.encode())
        self.is_lost = True


standard_output = StandardOutput()


def nobody_reads() -> bool:
    """Tell whether the standard output is a pipe that nobody reads any more."""
    asked = select.poll()
    asked.register(1, select.POLLOUT)
    return any(event & select.POLLERR for _, event in asked.poll(0))


def fill_standard_streams() -> None:
    """Open nothing in the place of standard streams that are closed, as for some daemons.

    The next file that is opened would take the number of one, and what libraries print there would
    be written into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # the lowest number that is free is given, and lower ones are open by now
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
