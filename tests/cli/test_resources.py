"""The defaults follow what the process may use, not what the machine has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wmhflow.cli import resources
from wmhflow.settings import Execution


def limits(tmp_path: Path, **environment: str) -> resources.Resources:
    return resources.find_resources(Execution(), environment, tmp_path)


def test_slurm_limits_processors_and_memory(tmp_path: Path) -> None:
    found = limits(tmp_path, SLURM_CPUS_PER_TASK="1", SLURM_MEM_PER_NODE="2048")
    assert (found.nprocs, found.mem_gb) == (1, 2.0)
    found = limits(tmp_path, SLURM_CPUS_PER_TASK="1", SLURM_MEM_PER_CPU="1024")
    assert found.mem_gb == 1.0


@pytest.mark.parametrize(
    ("job", "name"),
    [("JOB_ID", "NSLOTS"), ("LSB_JOBID", "LSB_DJOB_NUMPROC"), ("PBS_JOBID", "NCPUS")],
)
def test_other_schedulers_limit_processors_in_their_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str, name: str
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    found = limits(tmp_path, **{name: "2", job: "7"})
    assert (found.nprocs, found.omp_nthreads) == (2, 2)
    # somebody's own variable of that name is none of a job
    assert limits(tmp_path, **{name: "2"}).nprocs == 64


def test_the_cgroup_limits_processors_and_memory(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "memory.max").write_text(str(2 * 1024**3))
    found = limits(tmp_path)
    assert found.nprocs == 1
    assert found.mem_gb == pytest.approx(1.9)


def test_no_limit_in_the_cgroup(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert limits(tmp_path).nprocs == len(os.sched_getaffinity(0))


def test_what_was_chosen_wins(tmp_path: Path) -> None:
    chosen = Execution(nprocs=3, omp_nthreads=2, mem_gb=5.0)
    found = resources.find_resources(chosen, {"SLURM_CPUS_PER_TASK": "1"}, tmp_path)
    assert found == resources.Resources(3, 2, 5.0)


@pytest.mark.parametrize(
    ("processors", "nprocs", "threads"),
    [(1, None, 1), (2, None, 2), (2, 1, 2), (16, None, 4), (16, 2, 8), (16, 1, 16), (3, 8, 3)],
)
def test_a_step_that_runs_alone_may_use_several_processors(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    processors: int,
    nprocs: int | None,
    threads: int,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    found = resources.find_resources(Execution(nprocs=nprocs), {}, tmp_path)
    assert (found.nprocs, found.omp_nthreads) == (nprocs or processors, threads)


def test_a_read_only_home_falls_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "below"))
    folder = resources.cache_folder("numba")
    assert folder.is_dir()
    assert not folder.is_relative_to(tmp_path)


def test_a_read_only_warm_cache_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warm = tmp_path / "warm"
    warm.mkdir()
    (warm / "kernel.nbc").write_bytes(b"compiled")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(resources, "is_writable", lambda folder: _make(folder, warm))
    copied = resources._writable_cache(str(warm), "numba-test")
    assert (copied / "kernel.nbc").read_bytes() == b"compiled"


def _make(folder: Path, read_only: Path) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    return folder != read_only
