"""Folders for what is made once and used by every run, and for temporary files.

Nothing here needs a home: a user may have none, not be known to the machine, or have one that
cannot be written to.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from wmhflow.errors import UsageError

TEMPORARY_VARIABLES = ("TMPDIR", "TEMP", "TMP")
# what Unix has for temporary files; in memory where no disk can be written to
TEMPORARY, IN_MEMORY = ("/tmp", "/var/tmp", "/usr/tmp"), "/dev/shm"


def is_writable(folder: Path) -> bool:
    """Tell whether files can be made in a folder, which is made if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def set_temporary_folder(own: Path | None = None) -> Path:
    """Choose where this process and its children make temporary files.

    Python's own choice ends with the folder in which the user stands, which may be a dataset that
    is never written to.

    Parameters
    ----------
    own
        A folder that comes before the system's, and is made; one that the user named comes first.

    Raises
    ------
    UsageError
        If no folder can be written to.
    """
    named = [os.environ[name] for name in TEMPORARY_VARIABLES if os.environ.get(name)]
    there = [[Path(name) for name in names if Path(name).is_dir()] for names in (named, TEMPORARY)]
    for folder in (*there[0], *([own] if own else []), *there[1], Path(IN_MEMORY)):
        if folder.is_absolute() and is_writable(folder):
            tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
            return folder
    raise UsageError("No folder for temporary files can be written to; set TMPDIR to one.")


def cache_folder(name: str) -> Path:
    """Find a folder of the user's for a cache, or one for temporary files if home is read-only."""
    given = os.environ.get("XDG_CACHE_HOME")
    home = Path(given) if given else Path(os.path.expanduser("~")) / ".cache"  # noqa: PTH111
    # A user without a home stays "~" here, which is no folder.
    if home.is_absolute() and is_writable(home / "wmhflow" / name):
        return home / "wmhflow" / name
    shared = Path(tempfile.gettempdir()) / f"wmhflow-cache-{os.getuid()}"
    if _is_own(shared) and is_writable(shared / name):
        return shared / name
    return Path(tempfile.mkdtemp(prefix="wmhflow-cache-"))


def remove_damaged_kernels(folder: Path) -> list[Path]:
    """Remove compiled kernels that a full disk or a power cut left in part; they are made again.

    Numba would end with the first of them, whatever is asked for. Each is a pickle, whose last byte
    is a point; what else may be wrong in one is not looked for.

    Parameters
    ----------
    folder
        Numba's cache.

    Returns
    -------
    list of Path
        What was removed.
    """
    removed = []
    for path in (*folder.glob("**/*.nbi"), *folder.glob("**/*.nbc")):
        with suppress(OSError):
            with path.open("rb") as stream:
                stream.seek(max(0, path.stat().st_size - 1))
                end = stream.read()
            if end != b".":
                path.unlink()
                removed.append(path)
    return removed


def _is_own(folder: Path) -> bool:
    """Make a folder that nobody else may write to; compiled code of strangers must not be run."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o022


if __name__ == "__main__":
    remove_damaged_kernels(Path(os.environ["NUMBA_CACHE_DIR"]))
