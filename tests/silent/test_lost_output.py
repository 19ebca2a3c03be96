"""Lines for a standard output that is full, or that nobody reads, are lost with a sentence."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.builders import ROOT
from wmhflow.cli.progress import Progress, person_of
from wmhflow.files import standard_output as module
from wmhflow.files.messages import write_json
from wmhflow.files.standard_output import StandardOutput

PHANTOM = ROOT / "bids_examples" / "phantom"
SAID = "wmhflow: lines for the standard output are lost (No space left on device); the run goes on."


class Disk:
    """What stands for the system's ``write``: it has room for so many bytes, for each call more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int, at_once: int = 10**6) -> None:
        self.room, self.at_once = room, at_once
        self.out, self.err = b"", b""
        monkeypatch.setattr(module.os, "write", self.write)

    def write(self, number: int, data: bytes) -> int:
        if number == 2:
            self.err += data
            return len(data)
        taken = data[: min(self.room, self.at_once)]
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(taken)
        self.out += taken
        return len(taken)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> StandardOutput:
    """An output that lost nothing yet."""
    one = StandardOutput()
    for place in ("files.messages", "files.standard_output", "cli.progress"):
        monkeypatch.setattr(f"wmhflow.{place}.standard_output", one)
    return one


def test_a_line_that_is_taken_in_parts_is_whole(
    monkeypatch: pytest.MonkeyPatch, fresh: StandardOutput
) -> None:
    disk = Disk(monkeypatch, 10**6, at_once=7)
    write_json("info", "one")
    write_json("info", "two")
    assert [json.loads(line)["message"] for line in disk.out.splitlines()] == ["one", "two"]
    assert not fresh.is_lost
    assert disk.err == b""


@pytest.mark.parametrize("room", [0, 1, 40])
def test_a_disk_that_is_full_half_way_is_said_once_and_the_next_line_is_an_object(
    monkeypatch: pytest.MonkeyPatch, fresh: StandardOutput, room: int
) -> None:
    disk = Disk(monkeypatch, room)
    write_json("info", "one")
    write_json("info", "two")
    assert fresh.is_lost
    assert disk.err.decode().startswith(SAID)
    assert disk.err.count(b"\n") == 1
    # somebody made room
    disk.room = 10**6
    write_json("info", "three")
    last = disk.out.splitlines()[-1]
    assert json.loads(last)["message"] == "three"


def test_a_standard_error_that_is_full_as_well_is_no_reason_to_end(
    monkeypatch: pytest.MonkeyPatch, fresh: StandardOutput
) -> None:
    def fail(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(module.os, "write", fail)
    write_json("info", "one")
    assert fresh.is_lost


def test_lines_of_a_log_that_cannot_be_written_cost_nothing_else(
    monkeypatch: pytest.MonkeyPatch, fresh: StandardOutput
) -> None:
    disk = Disk(monkeypatch, 0)

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    progress = Progress({"sub-01": 2}, stream=Full())
    with progress.shown():
        for name in ("zones", "shells"):
            node = SimpleNamespace(fullname=f"wf.sub_01_wf.{name}")
            progress.step(node, "start")
            progress.step(node, "end")
    assert progress.done == {"sub-01": 2}
    assert disk.err.decode().startswith(SAID)
    assert disk.err.count(b"\n") == 1


def dry_run(folder: Path, *more: str, **how: Any) -> subprocess.CompletedProcess[str]:
    words = ["-m", "wmhflow", str(PHANTOM), str(folder / "out"), "participant", "-w",
             str(folder / "work"), "--dry-run", *more]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *words], stderr=subprocess.PIPE, text=True, check=False, env=environment,
        **how,
    )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_plan_that_nobody_gets_is_no_success(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = dry_run(tmp_path, "--log-json", stdout=full)
    assert done.returncode == 1
    assert done.stderr.startswith(SAID)
    assert done.stderr.count("\n") == 1


def test_a_reader_that_is_gone_costs_a_sentence(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = dry_run(tmp_path, stdout=writing)
    os.close(writing)
    assert done.returncode == 1
    assert done.stderr == "wmhflow: nobody reads the standard output (Broken pipe).\n"


def test_a_step_that_is_for_everybody_names_no_person(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, 10**6)
    progress = Progress({"sub-template": 1}, how="json")
    for name in ("template_01_wf.template", "sub_template_wf.zones"):
        for status in ("start", "exception"):
            progress.step(SimpleNamespace(fullname=f"wf.{name}"), status)
    told = [json.loads(line) for line in disk.out.splitlines()]
    persons = [one["person"] for one in told if one.get("state")]
    assert persons == [None, None, "sub-template", "sub-template"]
    assert person_of("wf.template_01_wf.template") is None
    # a person of that name is counted as one
    assert progress.done == {"sub-template": 1}
    assert None not in progress.done
