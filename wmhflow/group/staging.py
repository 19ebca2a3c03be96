"""The study's files are made in a folder of their own, and take their places together."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import filecmp
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from wmhflow.errors import UsageError

STAGE, LOCK, OLD = ".group-", ".lock", "old"
AT_FDCWD, RENAME_EXCHANGE = -100, 2


def check_own_places(output_dir: Path) -> None:
    """Refuse what stands where the study's folders go and is none, before anything is made.

    Parameters
    ----------
    output_dir
        The folder that holds ``group`` and ``phenotype``.

    Raises
    ------
    UsageError
        If one of them is a file or a link to nowhere, or ``group``, which takes its place as one,
        a link.
    """
    for name in ("group", "phenotype"):
        place = output_dir / name
        if place.is_symlink() and (name == "group" or not place.exists()):
            raise UsageError(
                f"{place} is a link, where a folder is meant that the study's tables are written "
                "to; remove the link, or choose another OUTPUT_DIR."
            )
        if place.exists() and not place.is_dir():
            raise UsageError(
                f"{place} is a file, where the folder of the study's tables is meant; move it away."
            )


@contextlib.contextmanager
def stage_in(output_dir: Path) -> Iterator[Path]:
    """Give a folder to make the study's files in; it is removed at the end, whatever happens.

    What a run that was killed left of such folders is removed as well.

    Parameters
    ----------
    output_dir
        The folder that holds ``group``.
    """
    _sweep(output_dir)
    stage = Path(tempfile.mkdtemp(dir=output_dir, prefix=STAGE))
    try:
        # a lock ends with its process, however that ends
        with (stage / LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _sweep(output_dir: Path) -> None:
    """Remove folders of runs that were killed; one between two renames gives the old files back."""
    for stage in output_dir.glob(f"{STAGE}*"):
        try:
            with (stage / LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # another run is at work
        except OSError:
            # it was killed before there was a lock, or after its files were removed
            pass
        group = output_dir / "group"
        if (stage / OLD).is_dir() and not group.exists():
            (stage / OLD).replace(group)
        shutil.rmtree(stage, ignore_errors=True)


def install(stage: Path, output_dir: Path, is_ours: frozenset[str]) -> None:
    """Put what was made in its place: the folder ``group`` as one, and then the other files.

    Parameters
    ----------
    stage
        What :func:`stage_in` gave, filled.
    output_dir
        The folder that holds ``group``.
    is_ours
        Names in ``group`` that the program writes; whatever else lies there stays there.
    """
    new, place = stage / "group", output_dir / "group"
    new.mkdir(exist_ok=True)
    if place.is_dir():
        _keep(place, new, is_ours)
    if not _is_same(place, new):
        _exchange(new, place, stage / OLD)
    for path in sorted(stage.rglob("*")):
        target = output_dir / path.relative_to(stage)
        is_made = path.is_file() and path.name != LOCK and path.parts[len(stage.parts)] != "group"
        if is_made and OLD not in path.relative_to(stage).parts:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not (target.is_file() and filecmp.cmp(path, target, shallow=False)):
                path.replace(target)


def _keep(place: Path, new: Path, is_ours: frozenset[str]) -> None:
    """Take over what does not change, as it is, and what is none of the program's files."""
    for path in place.iterdir():
        made = new / path.name
        if made.exists():
            if path.is_file() and filecmp.cmp(path, made, shallow=False):
                made.unlink()
                _link(path, made)
        elif path.name in is_ours:
            continue  # nobody has such rows any more
        elif path.is_dir() and not path.is_symlink():
            shutil.copytree(path, made, symlinks=True)
        elif not (path.name.startswith(".") and path.name.endswith(".part")):
            _link(path, made)


def _link(path: Path, made: Path) -> None:
    """Give a file a second name, or copy it where the file system has no second names."""
    try:
        os.link(path, made, follow_symlinks=False)
    except OSError:
        shutil.copy2(path, made, follow_symlinks=False)


def _is_same(place: Path, new: Path) -> bool:
    if not place.is_dir():
        return False
    names = {path.name for path in place.iterdir()}
    if names != {path.name for path in new.iterdir()}:
        return False
    return all((place / name).samefile(new / name) for name in names if (new / name).is_file())


def _exchange(new: Path, place: Path, old: Path) -> None:
    """Exchange two folders at one stroke, or, where the system cannot, at two."""
    if not place.exists():
        new.replace(place)
        return
    with contextlib.suppress(PermissionError):
        new.chmod(place.stat().st_mode)
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = (os.fsencode(new), os.fsencode(place))
    if rename is None or rename(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE):
        place.replace(old)
        new.replace(place)
