"""One person's failure is the person's own: the others finish, and the last lines say why."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.builders import PHANTOM, ROOT
from tests.runs import outputs, phantom_words, wmhflow

pytestmark = pytest.mark.slow


def test_a_truncated_image_fails_its_person_only(tmp_path: Path) -> None:
    dataset = tmp_path / "phantom"
    shutil.copytree(PHANTOM, dataset, ignore=shutil.ignore_patterns("ses-2"))
    broken = dataset / "sub-02" / "anat" / "sub-02_FLAIR.nii.gz"
    broken.write_bytes(broken.read_bytes()[:5000])
    words = phantom_words(tmp_path / "out", tmp_path / "work", dataset=dataset)
    done = wmhflow(words)
    assert done.returncode == 1
    assert (tmp_path / "out" / "sub-01.html").is_file()
    assert not (tmp_path / "out" / "sub-02.html").exists()
    last = done.stderr.strip().splitlines()
    assert "sub-02 FAILED" in last[-2]
    assert "sub-02_FLAIR.nii.gz cannot be read to its end" in last[-2]
    assert last[-1] == "1 of 2 persons failed."


def test_a_step_that_fails_leaves_its_traceback_with_the_person(tmp_path: Path) -> None:
    dataset = tmp_path / "phantom"
    shutil.copytree(PHANTOM, dataset)
    transform = next((dataset / "derivatives" / "maps" / "sub-02").rglob("*from-asl*_xfm.txt"))
    transform.write_text(
        "#Insight Transform File V1.0\n#Transform 0\n"
        "Transform: MatrixOffsetTransformBase_double_3_3\n"
        "Parameters: 0 0 0 0 0 0 0 0 0 0 0 0\nFixedParameters: 0 0 0\n"
    )
    words = phantom_words(tmp_path / "out", tmp_path / "work", dataset=dataset)
    done = wmhflow([*words, "--participant-label", "02"])
    assert done.returncode == 1
    assert "sub-02 FAILED: sub-02 sampling CBF" in done.stderr.replace("_", " ")
    crashes = list((tmp_path / "out" / "logs" / "sub-02").rglob("crash-*.txt"))
    assert len(crashes) == 1
    assert "Traceback" in crashes[0].read_text()
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_killed_worker_ends_the_run_with_exit_1(tmp_path: Path) -> None:
    words = phantom_words(tmp_path / "out", tmp_path / "work")
    command = [sys.executable, "-m", "wmhflow", *words, "--participant-label", "02"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    _kill_busiest_child(process.pid)
    killed = time.monotonic()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert time.monotonic() - killed < 60
    assert "killed" in said
    assert "lack of memory" in said


def _kill_busiest_child(pid: int) -> None:
    """Kill the worker that has used most processor time, once one of them works hard."""
    for _ in range(600):
        time.sleep(0.1)
        busy = []
        for child in psutil.Process(pid).children(recursive=True):
            # short-lived helpers come and go between one look and the next
            with contextlib.suppress(psutil.NoSuchProcess):
                # the program's own children serve the workers, which are its grandchildren
                if child.ppid() != pid:
                    busy.append((child.cpu_times().user, child.pid))
        if busy and max(busy)[0] > 5:
            os.kill(max(busy)[1], signal.SIGKILL)
            return
    raise AssertionError("no worker became busy")


def test_a_run_that_was_cut_goes_on_from_there(tmp_path: Path) -> None:
    words = [*phantom_words(tmp_path / "out", tmp_path / "work"), "--participant-label", "02"]
    process = subprocess.Popen([sys.executable, "-m", "wmhflow", *words], cwd=ROOT)
    time.sleep(15)
    assert process.poll() is None, "the run was over before it could be cut"
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive, "workers outlive the program that was killed"
    assert wmhflow(words).returncode == 0
    for path in (tmp_path / "out").rglob("*.nii.gz"):
        gzip.decompress(path.read_bytes())
    assert not list((tmp_path / "out").rglob("*.part"))


def test_outputs_follow_what_is_asked_and_are_repaired(tmp_path: Path) -> None:
    words = phantom_words(tmp_path / "out", tmp_path / "work")
    words += ["--participant-label", "01", "--session-label", "1"]
    assert wmhflow(words).returncode == 0
    whole = outputs(tmp_path / "out")
    anat = tmp_path / "out" / "sub-01" / "ses-1" / "anat"

    damaged = anat / "sub-01_ses-1_space-T1w_desc-cortex_distance.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:5000])
    (anat / "sub-01_ses-1_desc-volumes_regions.tsv").unlink()
    assert wmhflow(words).returncode == 0
    assert outputs(tmp_path / "out") == whole

    without_maps = [word for word in words if not word.startswith("maps=")]
    assert wmhflow(without_maps).returncode == 0
    assert not list(anat.glob("*desc-maps*"))
    assert wmhflow(words).returncode == 0
    assert outputs(tmp_path / "out") == whole
