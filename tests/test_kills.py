"""A run that is killed outright, at moments spread over its time, is finished by the same command.

Each moment costs a run; ``WMHFLOW_KILLS`` says how many there are. The outputs are those of a run
that nobody disturbed, byte by byte, and nothing that was half written is left.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.builders import ROOT
from tests.coarse import Coarse, coarse_dataset
from tests.runs import outputs, wmhflow

pytestmark = pytest.mark.slow

MOMENTS = int(os.environ.get("WMHFLOW_KILLS", "5"))


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coarse]:
    """The dataset; temporary files of runs lie in a folder of it."""
    made = coarse_dataset(tmp_path_factory.mktemp("kills"), every=2)
    (made.folder / "tmp").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(made.folder / "tmp"))
        yield made


@pytest.fixture(scope="module")
def undisturbed(coarse: Coarse) -> tuple[dict[str, bytes], float]:
    """What a run writes, and how many seconds it takes."""
    start = time.monotonic()
    done = wmhflow(coarse.words("--nprocs", "2"))
    seconds = time.monotonic() - start
    assert done.returncode == 0, done.stdout + done.stderr
    whole = outputs(coarse.out)
    clear(coarse)
    return whole, seconds


def clear(coarse: Coarse) -> None:
    for folder in (coarse.out, coarse.out.with_name("work")):
        shutil.rmtree(folder, ignore_errors=True)


def killed_after(seconds: float, words: list[str]) -> bool:
    """Start a run, and kill it and its workers with SIGKILL; False if it had ended before."""
    command = [sys.executable, "-m", "wmhflow", *words]
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=nowhere, stderr=nowhere, cwd=ROOT)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        family = [process, *psutil.Process(process.pid).children(recursive=True)]
        for member in family:
            try:
                os.kill(member.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()
        psutil.wait_procs(family[1:], timeout=60)
        return True
    return False


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_run_killed_at_any_moment_is_finished_by_the_next(
    coarse: Coarse, undisturbed: tuple[dict[str, bytes], float], moment: int
) -> None:
    whole, seconds = undisturbed
    clear(coarse)
    words = coarse.words("--nprocs", "2")
    was_killed = killed_after(seconds * (moment + 0.5) / MOMENTS, words)
    # only where this machine was much quicker than the first time
    assert was_killed or moment > MOMENTS // 2
    done = wmhflow(words)
    assert done.returncode == 0, done.stdout + done.stderr
    after = outputs(coarse.out)
    assert after.keys() == whole.keys()
    assert [name for name in whole if after[name] != whole[name]] == []
    assert leftovers(coarse) == []


def leftovers(coarse: Coarse) -> list[Path]:
    """List what a killed run had begun to write and the next one did not take away."""
    half_written = [path for path in coarse.folder.rglob("*.part") if path.is_file()]
    return [*half_written, *(coarse.folder / "tmp").iterdir()]
