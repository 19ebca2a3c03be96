"""What the system refuses and no part of the program foresaw, said in a sentence."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from wmhflow.bids.scan import printable
from wmhflow.errors import InputError, UsageError, WmhflowError
from wmhflow.files.space import is_full, no_space
from wmhflow.files.standard_output import nobody_reads

log = logging.getLogger("wmhflow")


def check_place() -> None:
    """Refuse to begin in a folder that somebody removed: no relative path means anything there.

    Raises
    ------
    UsageError
        If the folder in which the user stands is gone.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise UsageError(
            f"The folder in which you stand is not there any more ({error.strerror}); change into "
            "one that is."
        ) from None


def explain(error: OSError | MemoryError) -> WmhflowError:
    """Say what the system refused.

    Parameters
    ----------
    error
        What it raised; its traceback is a message of ``-vv``.
    """
    log.debug("The system refused something.", exc_info=error)
    if isinstance(error, MemoryError):
        return InputError("There is not enough memory; give more, or raise the limit (ulimit -v).")
    if isinstance(error, BrokenPipeError) and nobody_reads():
        # what is still to be written there must not fail once more when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return InputError(f"nobody reads the standard output ({error.strerror}).")
    if is_full(error):
        return no_space(Path(error.filename).parent if error.filename else "the disk")
    return _about_place() or _about_path(error)


def _about_place() -> UsageError | None:
    try:
        check_place()
    except UsageError as gone:
        return gone
    return None


def _about_path(error: OSError) -> InputError:
    # of two, such as of a file that takes its place, the second is the one that is meant
    path = error.filename2 or error.filename
    if path is None or error.strerror is None:
        return InputError(f"The system refused something: {error}.")
    named = printable(os.fsdecode(path))
    return InputError(
        f"{named} cannot be used ({error.strerror}); look at what it is, and who may read and "
        "write it."
    )
