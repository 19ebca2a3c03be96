"""What a file holds, in 64 letters."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, read once in a run."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
