"""Processes that end with the one that began them, however that ends."""

from __future__ import annotations

import ctypes
import signal
import sys

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
