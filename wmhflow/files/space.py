"""A full disk, said with the folder that has no space left."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wmhflow.errors import NoSpaceError

# the disk is full, the user's share of it is, a file may not be as large
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
PROBE_BYTES = 2**16


def is_full(error: BaseException) -> bool:
    """Tell whether an error says that something could not be written for lack of space.

    Examples
    --------
    >>> is_full(OSError(errno.ENOSPC, "full")), is_full(OSError(errno.EACCES, "forbidden"))
    (True, False)
    """
    return isinstance(error, OSError) and error.errno in FULL


def no_space(folder: Path | str) -> NoSpaceError:
    """Say that a folder has no space left."""
    return NoSpaceError(
        f"No space left on {folder}; free some there, and the same command goes on from here"
    )


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Say of which folder the disk is full while something is written there.

    Raises
    ------
    NoSpaceError
        In the place of the system's error.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise no_space(folder) from error
        raise


def full_folder(folders: Iterable[Path | str]) -> Path | None:
    """Find the first folder in which hardly anything can be written for lack of space.

    Parameters
    ----------
    folders
        Folders; those that are not there are left out.
    """
    for folder in map(Path, folders):
        try:
            with tempfile.TemporaryFile(dir=folder) as stream:
                stream.write(os.urandom(PROBE_BYTES))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            if is_full(error):
                return folder
    return None
