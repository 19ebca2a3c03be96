"""What only a run of the program in processes of its own shows: workers, their death, and resuming.

A segmenter of the user's own runs within the worker that runs its step. It tells the test that it
is there, so that nothing has to be guessed from times, and waits as long as the test wants.
"""

from __future__ import annotations

import gzip
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.builders import ROOT
from tests.coarse import BETWEEN_IMAGES, Coarse, coarse_dataset
from tests.runs import outputs, wmhflow

pytestmark = pytest.mark.slow

SEGMENTER = """
import os, pathlib, shutil, sys, time
folder, out, parent = pathlib.Path(sys.argv[1]), sys.argv[3], os.getppid()
(folder / "threads").write_text(os.environ["NUMBA_NUM_THREADS"])
(folder / "partial").write_text(str(parent))
(folder / "partial").rename(folder / "worker")
while (folder / "wait").exists() and os.getppid() == parent:
    time.sleep(0.05)
shutil.copyfile(folder / "mask.nii.gz", out)
"""


def segmented(folder: Path, visits: list[tuple[str, str | None]]) -> Coarse:
    """Make a dataset of 6 mm voxels whose first person's mask the segmenter gives."""
    coarse = coarse_dataset(folder, visits, every=2, without=["sub-01_cbf.nii.gz"])
    given = coarse.find("sub-01_space-T1w_label-WMH_mask.nii.gz")
    given.rename(folder / "mask.nii.gz")
    return coarse


def words_of(coarse: Coarse, *more: str, out: Path | None = None) -> list[str]:
    arguments = ["-c", SEGMENTER, str(coarse.folder), "{t1w}", "{out}"]
    return coarse.words("--wmh-command", shlex.join([sys.executable, *arguments]), *more, out=out)


def begun(words: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "wmhflow", *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for an event of a run; the limit only ends what hangs."""
    deadline = time.monotonic() + 300
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the run never came so far"
        time.sleep(0.05)


@pytest.mark.acts("--nprocs", "--mem-gb", "--verbose")
def test_a_killed_worker_fails_its_person_and_the_other_finishes(tmp_path: Path) -> None:
    coarse = segmented(tmp_path, [("01", None), ("02", None)])
    (tmp_path / "wait").touch()
    process = begun(words_of(coarse, "--nprocs", "2", "--mem-gb", "6", "-v"))
    wait_for((tmp_path / "worker").is_file, process)
    os.kill(int((tmp_path / "worker").read_text()), signal.SIGKILL)
    said, complained = process.communicate(timeout=300)
    assert process.returncode == 1, said
    last = complained.strip().splitlines()
    assert last[-1] == "1 of 2 persons failed."
    assert "sub-01 FAILED" in last[-2]
    assert "killed" in last[-2]
    assert "lack of memory" in last[-2]
    assert not (coarse.out / "sub-01.html").exists()
    assert (coarse.out / "sub-02.html").is_file()
    (log,) = (coarse.out / "logs").glob("*.log")
    assert scheduled(log) == (6.0, 2)


def scheduled(log: Path) -> tuple[float, int]:
    """Read from nipype's messages, which are there when more is said, what may be used."""
    text = log.read_text(encoding="utf-8")
    found = re.search(r"memory \(GB\): [\d.]+/([\d.]+), Free processors: \d+/(\d+)", text)
    assert found, text[:2000]
    return float(found[1]), int(found[2])


@pytest.mark.acts("--omp-nthreads", "--use-plugin", "--write-graph", "--resource-monitor")
def test_a_run_that_was_cut_goes_on_from_there(tmp_path: Path) -> None:
    coarse = segmented(tmp_path, [("01", None)])
    (tmp_path / "wait").touch()
    words = words_of(coarse)
    process = begun(words)
    wait_for((tmp_path / "worker").is_file, process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive, "workers outlive the program that was killed"
    before = results(coarse)
    assert before
    (tmp_path / "wait").unlink()

    plugin = tmp_path / "plugin.yml"
    plugin.write_text("plugin: MultiProc\nplugin_args: {n_procs: 1}\n")
    more = ["--omp-nthreads", "2", "--use-plugin", str(plugin), "--nprocs", "2", "-v"]
    done = wmhflow([*words, *more, "--write-graph", "--resource-monitor"])
    assert done.returncode == 0, done.stdout + done.stderr
    # what was finished before the cut was not made again
    after = results(coarse)
    assert {name: after[name] for name in before} == before
    for path in coarse.out.rglob("*.nii.gz"):
        gzip.decompress(path.read_bytes())
    assert not list(coarse.out.rglob("*.part"))

    assert (tmp_path / "threads").read_text() == "2"
    logs = coarse.out / "logs"
    assert [scheduled(path)[1] for path in logs.glob("*.log") if path.stat().st_size] == [1]
    (graph,) = logs.glob("*.dot")
    assert "given_wmh" in graph.read_text(encoding="utf-8")
    (resources,) = logs.glob("*_resources.tsv")
    header, *seconds = resources.read_text(encoding="utf-8").splitlines()
    assert header.startswith("seconds\t")
    assert len(seconds) > 2

    state = {path: path.stat().st_mtime_ns for path in coarse.out.rglob("*") if path.is_file()}
    assert wmhflow(words).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in state} == state


def results(coarse: Coarse) -> dict[str, int]:
    """List the steps that are finished, and when; those that shall always run again left out."""
    work = coarse.out.with_name("work")
    found = {path.parent.name: path for path in work.rglob("result_*.pklz")}
    return {name: path.stat().st_mtime_ns for name, path in found.items()
            if name in ("reference", "other_anatomical", "given_tissues")}  # fmt: skip


def test_two_visits_side_by_side_give_the_bytes_of_one_after_the_other(tmp_path: Path) -> None:
    """Also what a registration found, which processes beside it must not change."""
    visits = [("01", "a"), ("01", "b")]
    coarse = coarse_dataset(tmp_path, visits, every=2, without=BETWEEN_IMAGES)
    made = []
    for n in ("1", "2"):
        done = wmhflow(coarse.words("--nprocs", n, out=tmp_path / f"out{n}"))
        assert done.returncode == 0, done.stdout + done.stderr
        assert (
            len(list((tmp_path / f"out{n}").rglob("*_from-FLAIR_to-T1w_mode-image_xfm.txt"))) == 2
        )
        made.append(outputs(tmp_path / f"out{n}"))
        (tmp_path / "work").rename(tmp_path / f"work{n}")
    one, two = made
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
