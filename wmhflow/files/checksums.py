"""What a file holds, in 64 letters."""

from __future__ import annotations

import hashlib
from pathlib import Path

from wmhflow.files.streams import open_file, said_of

_known: dict[tuple[int, ...], str] = {}


def checksum(path: Path) -> str:
    """Return the SHA-256 of what a file holds now; an unchanged file is read once in a process.

    Parameters
    ----------
    path
        A file. It counts as unchanged while its inode, size and times of last writing and of last
        change, in nanoseconds, are the same.

    Raises
    ------
    InputError
        If it is not there, or cannot be read.
    """
    with said_of(path):
        about = path.stat()
        key = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        if key not in _known:
            with open_file(path) as stream:
                _known[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _known[key]
