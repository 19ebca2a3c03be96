"""A real Slurm of one node, for tests that send jobs; it needs root, and ``local-slurm``."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.builders import ROOT

STARTER = ROOT.parent / "shared" / "slurm" / "local-slurm"
# the site kills what uses more memory than it asked for, as most do, and small arrays are allowed
SITE = """
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
MaxArraySize=9
KillWait=5
"""


@contextmanager
def real_slurm(folder: Path) -> Iterator[Path]:
    """Start a cluster of one node; jobs have their temporary files in a folder of it.

    Another ``local-slurm`` than the one beside the repository is named by ``WMHFLOW_SLURM``.
    """
    starter = Path(os.environ.get("WMHFLOW_SLURM", STARTER))
    if not starter.exists():
        pytest.skip(f"there is no {starter}")
    if os.getuid() != 0:
        pytest.skip("local-slurm needs root")
    conf = folder / "slurm.conf"
    # it is started with the usual ports first: by one test at a time
    with only_one("wmhflow-slurm.lock"):
        started = subprocess.run(
            [starter, "start", folder], capture_output=True, text=True, check=False
        )
        if started.returncode:
            pytest.skip(f"no Slurm could be started: {started.stderr[-300:]}")
        subprocess.run([starter, "stop", folder], check=True)
        time.sleep(3)
    try:
        lines = [line for line in conf.read_text().splitlines() if "JobAcctGather" not in line]
        # with ports of its own, or another cluster's jobs would be its own
        ports = "SlurmctldPort={}\nSlurmdPort={}\n".format(*free_ports(2))
        conf.write_text(SITE + ports + "\n".join(lines) + "\n")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(conf))
            for daemon in ("slurmctld", "slurmd"):
                subprocess.run([daemon, "-f", conf], check=True)
            until(lambda: "idle" in said("sinfo", "--noheader", "--format=%T"), 60)
            (folder / "tmp").mkdir()
            patch.setenv("TMPDIR", str(folder / "tmp"))
            patch.setenv("PYTHONPATH", str(ROOT))
            yield folder
    finally:
        # what a test that failed left behind would go on without its scheduler
        subprocess.run(["scancel", "--user=root"], check=False, env=os.environ | {
            "SLURM_CONF": str(folder / "slurm.conf")})  # fmt: skip
        time.sleep(8)
        subprocess.run([starter, "stop", folder], check=False)


@contextmanager
def only_one(name: str) -> Iterator[None]:
    """Wait until no other process does this."""
    with (Path(tempfile.gettempdir()) / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def free_ports(number: int) -> list[int]:
    """Return ports on which nothing listens."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def said(*words: str) -> str:
    """Return what a command prints."""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def until(is_so: Any, seconds: float, every_s: float = 0.5) -> Any:
    """Wait until something holds; asking takes time as well, from what is waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = is_so()
        if found:
            return found
        time.sleep(every_s)
    raise AssertionError(f"not within {seconds} s")


def kill_task(person: str, out: Path) -> bool:
    """Kill all that runs of a person's task, as nobody announces it; False if nothing runs."""
    mark = f"--participant-label {person} "
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if mark in words and str(out) in words:
            parent = process.parent()
            family = [parent, process, *process.children(recursive=True)]
            # first all stand still: once one is gone, the scheduler would ask the others to end
            for sent in (signal.SIGSTOP, signal.SIGKILL):
                for one in family:
                    if one is not None:
                        with suppress(psutil.NoSuchProcess):
                            one.send_signal(sent)
            return True
    return False
