"""Cases that hang or die, for the tests of the harness; a worker imports this and little else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.verdicts import SAME, Verdict

HANGS, DIES = 1, 2


def make(_: Path) -> Callable[[int], Verdict]:
    """Make what runs a case: one hangs, one dies, and all others are well."""

    def run(number: int) -> Verdict:
        if number == HANGS:
            time.sleep(60)
        if number == DIES:
            os.kill(os.getpid(), signal.SIGSEGV)
        return Verdict(SAME)

    return run
