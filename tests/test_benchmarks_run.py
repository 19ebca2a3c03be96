"""What the benchmarks of whole runs and of scale say is what was done."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.run.__main__ import Measured, asked_table, figures, table
from benchmarks.run.measure import Cost, Folder, content_of, cost_of
from benchmarks.scale.simulate import Site, Task, simulate

BUSY = "import time\nwhile time.process_time() < 0.4: pass"
# a grandchild that outlives its parent
ORPHAN = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BUSY!r}])"
TASK = Task("a person", 600.0, 4.0, 100, 100, 100, start_s=0.0, spread=0.0)


def test_a_command_is_measured(tmp_path: Path) -> None:
    code = f"held = bytearray(80_000_000); {BUSY}"
    cost = cost_of([sys.executable, "-S", "-c", code], tmp_path / "log.txt")
    assert 0.3 <= cost.cpu_s < 3
    assert cost.wall_s >= 0.3
    assert 0.08 < cost.peak_gb < 0.5


def test_a_process_that_outlives_its_parent_is_counted(tmp_path: Path) -> None:
    cost = cost_of([sys.executable, "-S", "-c", ORPHAN], tmp_path / "log.txt")
    assert cost.cpu_s >= 0.3


def test_a_command_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        cost_of([sys.executable, "-S", "-c", "raise SystemExit(3)"], tmp_path / "log.txt")


def test_files_are_counted_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_bytes(b"12345")
    (tmp_path / "a" / "same").hardlink_to(tmp_path / "a" / "one")
    (tmp_path / "a" / "link").symlink_to("one")
    (tmp_path / "two").write_bytes(b"12")
    assert content_of(tmp_path / "a") == Folder(1, 5)
    assert content_of(tmp_path / "a", tmp_path / "two") == Folder(2, 7)


def test_what_is_more_than_asked_is_missed() -> None:
    run = Measured(
        "one person with ten maps", Cost(14.0, 25.0, 2.6), Folder(401, 299_000_000),
        Folder(90, 61_000_000), Counter(zones=3.0, shells=1.0),
    )  # fmt: skip
    asked = list(figures([run]))
    assert [one.is_missed for one in asked] == [False, True, False, True, True]
    assert asked_table(asked).count("**missed**") == 3
    assert "zones 3.0 s (75%)" in table([run])


def test_a_node_holds_as_many_tasks_as_its_processors_and_memory() -> None:
    node = Site(1, starts_s=1e6, full_slowdown=1.0)
    found = simulate(node, TASK, 3200)
    assert found.at_once == 32
    # a hundred rounds of ten minutes
    assert found.people_an_hour == pytest.approx(32 * 6, rel=1e-3)
    assert found.limit == "processors"
    large = simulate(node, replace(TASK, mem_gb=16.0), 3200)
    assert large.at_once == 16
    assert large.people_an_hour == pytest.approx(16 * 6, rel=1e-3)
    assert large.limit == "memory"


def test_the_scheduler_and_the_file_system_limit_a_large_cluster() -> None:
    site = Site(10_000, starts_s=2.0)
    found = simulate(site, TASK, 20_000)
    assert found.limit == "scheduler"
    assert found.people_an_hour == pytest.approx(2 * 3600, rel=0.1)
    slow = simulate(replace(site, starts_s=1e6, mb_s=100.0), TASK, 20_000)
    assert slow.limit == "file system, bytes"
    assert slow.people_an_hour == pytest.approx(100 / 200 * 3600)
    many = simulate(replace(site, starts_s=1e6, files_s=10.0), TASK, 20_000)
    assert many.limit == "file system, files"
    assert many.people_an_hour == pytest.approx(10 / 100 * 3600)
