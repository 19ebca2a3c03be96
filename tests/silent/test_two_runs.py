"""Two runs at once, and what a killed run leaves behind."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.builders import ROOT
from tests.products.kinds import settings
from wmhflow.bids.writer import replacing, write_text
from wmhflow.cli.batches import Problem
from wmhflow.cli.holding import held_persons
from wmhflow.errors import InputError
from wmhflow.files import locks
from wmhflow.files.locks import HeldError, Lock, scratch_folder, sweep_scratch
from wmhflow.group.run import run_group
from wmhflow.plan.visit import ParticipantPlan, VisitPlan
from wmhflow.products.dataset import write_dataset_files

HOLD = """
import sys, time
from pathlib import Path
from wmhflow.files.locks import Lock
lock = Lock(Path(sys.argv[1])).take()
print("held", flush=True)
time.sleep(600)
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a lock."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_keeps_others_out_and_is_given_back_by_a_kill(tmp_path: Path, number: int) -> None:
    path = tmp_path / "logs" / ".lock"
    with holder(path) as process:
        with pytest.raises(HeldError, match=f"process {process.pid} on "):
            Lock(path).take()
        begun = time.monotonic()
        with pytest.raises(HeldError):
            Lock(path).take(wait_s=0.2)
        assert time.monotonic() - begun >= 0.2
        os.kill(process.pid, number)
        process.wait()
        # the file is still there, and holds nobody off
        assert path.is_file()
        with Lock(path).take():
            pass
    assert not path.exists()


@pytest.mark.acts("--wait-minutes")
def test_a_person_whom_another_run_holds_is_waited_for_and_planned_anew(tmp_path: Path) -> None:
    asked = replace(settings(), output_dir=tmp_path)
    waits = replace(asked, execution=replace(asked.execution, wait_minutes=1))
    seen = ParticipantPlan("01", ())
    problems: list[Problem] = []
    replanned: list[str] = []

    def replan(subject: str) -> ParticipantPlan:
        replanned.append(subject)
        return replace(seen, visits=(VisitPlan("01", "b"),))

    with holder(waits.output_dir / "logs" / "sub-01" / ".lock") as process:
        with held_persons(asked, [seen], problems) as held:
            assert held == []
        assert "another run works on this person" in problems.pop().why
        threading.Timer(0.3, process.kill).start()
        with held_persons(waits, [seen], problems, replan) as held:
            assert [plan.visits[0].session for plan in held] == ["b"]
    assert (problems, replanned) == ([], ["01"])


def test_a_lock_is_taken_again_by_the_same_process_after_its_release(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    for _ in range(2):
        with Lock(path).take(), pytest.raises(HeldError):
            Lock(path).take()
        assert not path.exists()


def test_a_lock_that_was_given_back_in_between_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was removed after it was opened locks nobody out."""
    path, flock, first = tmp_path / ".lock", fcntl.flock, []

    def slow(handle: int, how: int) -> None:
        flock(handle, how)
        if not first:
            first.append(handle)
            path.unlink()

    monkeypatch.setattr(fcntl, "flock", slow)
    with Lock(path).take(wait_s=1), pytest.raises(HeldError):
        Lock(path).take()


@pytest.mark.parametrize("number", sorted(locks.CANNOT))
def test_a_file_system_that_cannot_lock_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with caplog.at_level(logging.WARNING, "wmhflow"), Lock(tmp_path / ".lock").take():
        pass
    assert "cannot lock files" in caplog.text


def people(out: Path, *labels: str):
    chosen = replace(settings(), output_dir=out)
    return chosen, [ParticipantPlan(label, ()) for label in labels]


def test_a_person_of_another_run_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    chosen, plans = people(tmp_path, "01", "02", "03")
    problems: list[Problem] = []
    with (
        holder(tmp_path / "logs" / "sub-02" / ".lock"),
        held_persons(chosen, plans, problems) as held,
        held_persons(chosen, plans[:1], problems) as again,
    ):
        assert [plan.subject for plan in held] == ["01", "03"]
        assert again == []
    assert [problem.person for problem in problems] == ["sub-02", "sub-01"]
    assert all("another run works on this person (process" in one.why for one in problems)
    # the one that was killed left its file, which holds nobody off
    assert [path.parent.name for path in (tmp_path / "logs").rglob(".lock")] == ["sub-02"]


def test_a_lock_that_cannot_be_made_costs_its_person(tmp_path: Path) -> None:
    chosen, plans = people(tmp_path, "01", "02")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "sub-01").write_text("a file")
    problems: list[Problem] = []
    with held_persons(chosen, plans, problems) as held:
        assert [plan.subject for plan in held] == ["02"]
    assert "cannot be made" in problems[0].why


def test_what_a_killed_run_left_of_a_person_is_swept_and_no_other_s(tmp_path: Path) -> None:
    chosen, plans = people(tmp_path, "01")
    mine = [".sub-01.html.x.part", "sub-01/ses-1/anat/.a.part", "sub-01/figures/.f.png.y.part",
            "logs/sub-01/.record.json.x.part"]  # fmt: skip
    others = [".sub-011.html.x.part", "sub-02/anat/.a.part", "logs/.CITATION.md.x.part",
              "sub-01/anat/a.part", ".README.x.part"]  # fmt: skip
    for name in (*mine, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with held_persons(chosen, plans, []):
        pass
    assert [name for name in mine if (tmp_path / name).exists()] == []
    assert [name for name in others if not (tmp_path / name).exists()] == []


def test_what_a_killed_run_left_of_the_dataset_is_swept(tmp_path: Path) -> None:
    chosen, _ = people(tmp_path)
    left = [".README.x.part", ".dataset_description.json.x.part", "logs/.CITATION.md.y.part",
            ".seg-zones_dseg.tsv.x.part"]  # fmt: skip
    (tmp_path / "logs").mkdir()
    for name in (*left, ".sub-02.html.x.part"):
        (tmp_path / name).touch()
    write_dataset_files(chosen)
    assert [path.name for path in tmp_path.rglob(".*.part")] == [".sub-02.html.x.part"]
    assert not (tmp_path / "logs" / ".lock").exists()


@pytest.mark.parametrize("length", [10, 200, 255])
def test_a_temporary_file_is_named_after_the_file_and_not_too_long(
    tmp_path: Path, length: int
) -> None:
    path = tmp_path / "a".rjust(length, "x")
    with replacing(path):
        (part,) = tmp_path.glob(".*.part")
        assert part.name.startswith(f".{path.name[:9]}")
    assert write_text(path, "b")


def test_the_group_level_runs_once_at_a_time(tmp_path: Path) -> None:
    chosen = replace(settings(), output_dir=tmp_path, level="group")
    record = tmp_path / "logs" / "sub-01" / "ses-1_record.json"
    record.parent.mkdir(parents=True)
    record.write_text('{"settings": {"zones": ["jv3-pv13-jc4"]}}')
    (tmp_path / "sub-01" / "ses-1").mkdir(parents=True)
    with (
        holder(tmp_path / "logs" / "group" / ".lock"),
        pytest.raises(InputError, match="Another run"),
    ):
        run_group(chosen)
    assert not list((tmp_path / "group").glob("*.tsv"))


def test_temporary_folders_of_killed_runs_go_and_those_of_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folders = {name: tmp_path / f"{locks.SCRATCH}{name}" for name in ("killed", "alive", "young")}
    for folder in folders.values():
        folder.mkdir()
        (folder / "x").write_text("left")
    (tmp_path / "other").mkdir()
    (tmp_path / f"{locks.SCRATCH}link").symlink_to(tmp_path / "other")
    with holder(folders["alive"] / "lock"):
        for name in ("killed", "alive"):
            os.utime(folders[name], (0, 0))
        sweep_scratch(tmp_path)
        assert {name for name, folder in folders.items() if folder.exists()} == {"alive", "young"}
        with scratch_folder() as own:
            assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(own)
            assert own.parent == tmp_path
        assert not own.exists()
        assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(tmp_path)
    assert (tmp_path / "other").is_dir()


def test_errors_that_are_not_about_locking_are_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: int) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="broken"):
        Lock(tmp_path / ".lock").take()
