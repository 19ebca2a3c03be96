"""Locks that the system itself gives back, whatever ends the process that holds them."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.util import Finalize
from pathlib import Path
from types import TracebackType

log = logging.getLogger("wmhflow")

# what file systems say that cannot lock, such as some of a network
CANNOT = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTSUP}
SCRATCH = "wmhflow-run-"
# later than multiprocessing's own folder, which has -100
AFTER_POOLS = -200
# between the making of a folder and its lock
YOUNG_S = 60.0
LOCKED_YOUNG_S = 1.0


class HeldError(Exception):
    """Another process holds the lock; the message says which."""


class Lock:
    """A file that one process at a time holds; it is gone when nobody does.

    Parameters
    ----------
    path
        The file; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def take(self, wait_s: float = 0.0) -> Lock:
        """Hold the lock.

        Where the file system cannot lock, that is said, and the lock counts as held.

        Parameters
        ----------
        wait_s
            How long to wait for another process to give it back.

        Raises
        ------
        HeldError
            If another process holds it.
        OSError
            If the file cannot be made.
        """
        deadline = time.monotonic() + wait_s
        while not self._try():
            if time.monotonic() >= deadline:
                raise HeldError(self._holder())
            time.sleep(0.05)
        return self

    def _try(self) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno in CANNOT:
                log.warning(
                    "%s: this file system cannot lock files (%s), so nothing keeps two runs from "
                    "working on the same at once; see to it yourself.", self.path, error.strerror,
                )  # fmt: skip
                return True
            if isinstance(error, BlockingIOError):
                return False
            raise
        if not self._is_still_there(handle):
            # who held it took the file away in between
            os.close(handle)
            return False
        with suppress(OSError):
            # only told to others: a full disk does not matter
            os.truncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
        self._handle = handle
        return True

    def _is_still_there(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), self.path.stat())
        except FileNotFoundError:
            return False

    def _holder(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8", errors="replace")[:200] or "another one"
        except OSError:
            return "another one"

    def release(self) -> None:
        """Give the lock back."""
        if self._handle is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Lock:
        return self if self._handle is not None else self.take()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.release()


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give this process and its children a folder of their own for temporary files.

    It is removed at the end; those of runs that were killed are removed here.
    """
    before, named = tempfile.gettempdir(), os.environ.get("TMPDIR")
    sweep_scratch(Path(before))
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH))
    lock = Lock(folder / "lock").take()
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        os.environ.pop("TMPDIR")
        if named is not None:
            os.environ["TMPDIR"] = named
        lock.release()
        # multiprocessing takes its own folder away, when this process ends
        if any(folder.glob("pymp-*")):
            Finalize(None, shutil.rmtree, (folder, True), exitpriority=AFTER_POOLS)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def sweep_scratch(parent: Path) -> None:
    """Remove the folders of one's own runs that were killed.

    Parameters
    ----------
    parent
        Where they lie.
    """
    for folder in parent.glob(f"{SCRATCH}*"):
        try:
            about = folder.lstat()
            own = about.st_uid == os.getuid() and folder.is_dir() and not folder.is_symlink()
            # a run locks its folder at once; one without a lock may be a run's that begins just now
            young_s = LOCKED_YOUNG_S if (folder / "lock").exists() else YOUNG_S
            if own and time.time() - about.st_mtime > young_s:
                with Lock(folder / "lock").take():
                    shutil.rmtree(folder, ignore_errors=True)
        except (HeldError, OSError) as error:
            log.debug("%s stays: %s", folder, error)
