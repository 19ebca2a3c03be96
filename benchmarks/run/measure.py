"""Time, processor, memory and files of a command, all of its processes counted."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

GB = 1e9
# How often memory is looked at; what a process used of processors is told exactly when it ends.
EVERY_S = 0.25
ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER of Linux
SHOWN_STEPS = 6


@dataclass(frozen=True)
class Folder:
    """What lies in a folder."""

    n_files: int
    n_bytes: int

    @property
    def mb(self) -> float:
        """Size in MB of a million bytes."""
        return self.n_bytes / 1e6


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes
    ----------
    wall_s, cpu_s
        Seconds from start to end, and of all processors together.
    peak_gb
        The most memory that its processes held together, what they share counted once.
    """

    wall_s: float
    cpu_s: float
    peak_gb: float


def cost_of(words: Sequence[str], log: Path) -> Cost:
    """Run a command to its end.

    Parameters
    ----------
    words
        The command.
    log
        Where its messages go.

    Raises
    ------
    subprocess.CalledProcessError
        If it failed.
    """
    if sys.platform == "linux":
        # so that workers whose parent ended before them are waited for here, and counted
        ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1, 0, 0, 0)
    started, peak = time.perf_counter(), 0.0
    with log.open("w", encoding="utf-8") as said:
        run = subprocess.Popen(words, stdout=said, stderr=said, env=_as_installed())
        while True:
            peak = max(peak, held_gb(run.pid))
            pid, status, used = os.wait4(run.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(min(EVERY_S, 0.01 + (time.perf_counter() - started) / 10))
    wall = time.perf_counter() - started
    run.returncode = os.waitstatus_to_exitcode(status)
    cpu = used.ru_utime + used.ru_stime
    with suppress(ChildProcessError):
        while True:
            _, _, orphan = os.wait4(-1, 0)
            cpu += orphan.ru_utime + orphan.ru_stime
    if run.returncode:
        raise subprocess.CalledProcessError(run.returncode, words)
    # what the system tells of the peak is no use: a process inherits it from who started it
    return Cost(wall, cpu, peak)


def _as_installed() -> dict[str, str]:
    """Return the variables, without the one that has Python compile all modules at every start.

    A program that is installed is compiled once.
    """
    return {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def held_gb(pid: int) -> float:
    """Sum up what a process and its children hold of memory, what they share counted once."""
    total = 0.0
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += process.memory_full_info().pss / GB
    return total


def content_of(*folders: Path) -> Folder:
    """Count the files in folders and their bytes; a file of several names is one."""
    seen: dict[tuple[int, int], int] = {}
    for folder in folders:
        for path in folder.rglob("*") if folder.is_dir() else [folder]:
            if path.is_file() and not path.is_symlink():
                about = path.stat()
                seen[about.st_dev, about.st_ino] = about.st_size
    return Folder(len(seen), sum(seen.values()))


def step_seconds(work: Path) -> Counter[str]:
    """Read from a work folder how long every step ran, by name."""
    from nipype.utils.filemanip import loadpkl

    found: Counter[str] = Counter()
    for path in sorted(work.rglob("result_*.pklz")):
        result: Any = loadpkl(path)
        runtime = result.runtime
        runtimes = runtime if isinstance(runtime, list) else [runtime]
        found[path.parent.name] += sum(one.duration for one in runtimes)
    return found


def shares(seconds: Counter[str]) -> str:
    """Say which steps take most of the time, in seconds and percent of all steps'."""
    total = sum(seconds.values())
    most = seconds.most_common(SHOWN_STEPS)
    return ", ".join(f"{name} {value:.1f} s ({value / total:.0%})" for name, value in most)
