"""Processes that end with the one that began them, however that ends."""

from __future__ import annotations

import ctypes
import multiprocessing.util
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from wmhflow.errors import UsageError

# A socket's name may have 104 bytes, of which multiprocessing's own folders and names take 32.
LONGEST_WITH_SOCKETS = 70
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
# of <sys/prctl.h>: which signal a process gets when its parent is gone
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent is gone; only Linux can.

    A process that another one's death does not reach would write into the work folder beside the
    next run. This may be called between fork and exec.
    """
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


@contextmanager
def deaf_to_terminals() -> Iterator[None]:
    """Let processes that are begun meanwhile ignore what a terminal sends to all of a command's.

    The program itself hears it (Ctrl-C, or that the terminal was closed), says a sentence, and ends
    them; each would write a traceback of its own.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for one in (signal.SIGINT, signal.SIGHUP):
            before[one] = signal.signal(one, signal.SIG_IGN)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def keep_sockets_short() -> None:
    """Let processes meet in a folder whose name is short enough for a socket.

    They meet by a socket in the folder for temporary files, and a socket's name may have a hundred
    bytes. Clusters give each job a folder of its own, whose name can be longer than that.

    Raises
    ------
    UsageError
        If that folder's name is too long, and no other folder can be written to.
    """
    folder = tempfile.gettempdir()
    if len(os.fsencode(folder)) <= LONGEST_WITH_SOCKETS:
        return
    for other in SHORT_FOLDERS:
        try:
            tempfile.tempdir = other
            # made now, and kept by multiprocessing until the program ends
            multiprocessing.util.get_temp_dir()
        except OSError:
            continue
        else:
            return
        finally:
            tempfile.tempdir = folder
    raise UsageError(
        f"The name of the folder for temporary files, {folder}, is too long for sockets (at most "
        f"{LONGEST_WITH_SOCKETS} bytes), and neither of {', '.join(SHORT_FOLDERS)} can be written "
        "to; set TMPDIR to a folder with a shorter name."
    )
