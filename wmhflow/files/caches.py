"""Folders for what is made once and used by every run, and for temporary files.

Nothing here needs a home: a user may have none, not be known to the machine, or have one that
cannot be written to.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from wmhflow.errors import UsageError

TEMPORARY_VARIABLES = ("TMPDIR", "TEMP", "TMP")
# what Unix has for temporary files; in memory where no disk can be written to
TEMPORARY, IN_MEMORY = ("/tmp", "/var/tmp", "/usr/tmp"), "/dev/shm"

# Beside numba's files: what each held when it was first seen.
SEEN_KERNELS = "seen.json"


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
    is a point. What changed inside of one, since it was first seen, is told by its checksum: numba
    never writes into a file, but puts another one in its place, and a new index with it. Where two
    processes compile one kernel at once the index stays, so that this kernel is made once more.

    Parameters
    ----------
    folder
        Numba's cache.

    Returns
    -------
    list of Path
        What was removed.
    """
    known = _known_kernels(folder)
    seen: dict[str, tuple[int, int]] = {}
    removed = []
    for path in (*folder.glob("**/*.nbi"), *folder.glob("**/*.nbc")):
        with suppress(OSError):
            content, name = path.read_bytes(), path.relative_to(folder).as_posix()
            facts = path.stat().st_ino, zlib.crc32(content)
            index = path.with_name(f"{path.name.rsplit('.', 2)[0]}.nbi").relative_to(folder)
            # every index comes before what it is of
            now, then = (one.get(index.as_posix()) for one in (seen, known))
            is_of_known = path.suffix == ".nbc" and now is not None and now == then
            inode, checksum = known.get(name, facts)
            is_changed = checksum != facts[1] and (inode == facts[0] or is_of_known)
            if content.endswith(b".") and not is_changed:
                seen[name] = facts
                continue
            path.unlink()
            removed.append(path)
    if seen != known:
        _note_kernels(folder, seen)
    return removed


def _known_kernels(folder: Path) -> dict[str, tuple[int, int]]:
    """Return inode and checksum of the kernels that were seen before, by name."""
    try:
        found = json.loads((folder / SEEN_KERNELS).read_text(encoding="utf-8"))
        return {str(name): (int(inode), int(checksum)) for name, (inode, checksum) in found.items()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}


def _note_kernels(folder: Path, seen: Mapping[str, tuple[int, int]]) -> None:
    """Note what was seen; a folder that cannot be written to is not checked next time, either."""
    with suppress(OSError):
        name = f".{SEEN_KERNELS}.{os.getpid()}"
        (folder / name).write_text(json.dumps(seen, sort_keys=True), encoding="utf-8")
        (folder / name).replace(folder / SEEN_KERNELS)


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
