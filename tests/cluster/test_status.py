"""How far everybody is: from logs, the scheduler's answers, and what was written."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.schedulers import Cluster, Sent, make_cluster
from wmhflow.cli import checking
from wmhflow.cli import cluster as command
from wmhflow.cli.progress import Progress
from wmhflow.cli.steptimes import Expected, StepTimes
from wmhflow.cluster.estimate import Estimate, Learnt, learn, needs_from
from wmhflow.cluster.reading import read_submissions
from wmhflow.cluster.scheduler import Scheduler
from wmhflow.cluster.state import PROGRESS, STEP_KILLED, WHYS, TaskState, study_state
from wmhflow.cluster.submission import Cut, Needs, Task
from wmhflow.registries.executors import load_executors
from wmhflow.workflows.plugin import KILLED

BEGIN = "=== wmhflow task begin: sub-01, job 102.1 on node7, {} ===\n"
END = "=== wmhflow task end {}: sub-01, job 102.1 on node7, 1000600 ===\n"
STEP = "[1:20] 0 of 1 persons, 30 of 40 steps; now: sub-01 zones\n"
FAILED = "sub-01 FAILED: sub-01 inputs: T1w is noise. (traceback in /x)\n1 of 1 persons failed.\n"
Made = Callable[..., Cluster]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    def make(executor: str = "slurm", people: tuple[str, ...] = ("01",)) -> Cluster:
        return make_cluster(tmp_path, monkeypatch, executor, people)

    return make


@pytest.fixture
def sent(made: Made, capsys: pytest.CaptureFixture[str]) -> tuple[Cluster, Sent]:
    """One person, of whom everything is played."""
    cluster = made()
    assert cluster.run("submit", "--mem-gb", "4", "--time", "60") == 0
    capsys.readouterr()
    return cluster, cluster.arrays()[0]


def state_of(cluster: Cluster) -> tuple[str, str, str]:
    (one,) = study_state(cluster.out, read_submissions(cluster.out)).tasks
    return one.state, one.why, one.sentence


def say(cluster: Cluster, array: Sent, *parts: str) -> None:
    cluster.log_of(array, 1).write_text("".join(parts).format(1000000), encoding="utf-8")


SGE = """\
job-ID prior name user state submit/start at queue slots ja-task-ID
-----
 102 0.55500 wmhflow-ar me r 11/29/2026 20:00:00 all.q@n1 2 1
 102 0.00000 wmhflow-ar me qw 11/29/2026 20:00:00 2 4-6:1,9
 103 0.00000 wmhflow-gr me hqw 11/29/2026 20:00:00 1
"""
PBS = """\
Job id            Name             User              Time Use S Queue
----------------  ---------------- ----------------  -------- - -----
102[].server      wmhflow-array    me                       0 B workq
102[1].server     wmhflow-array    me                00:01:00 R workq
102[2].server     wmhflow-array    me                       0 Q workq
"""
CANCEL = "slurmstepd: error: *** JOB 102 ON n CANCELLED AT 2026 ***\n"
CASES = {
    # the log, the line of squeue, the line of sacct: state and why
    "not begun": (None, "102|1|PENDING|Resources|1:00:00", "", "waiting", ""),
    "begins": (None, "102|1|RUNNING|None|59:00", "", "running", ""),
    "runs": (BEGIN + STEP, "102|1|RUNNING|None|59:00", "", "running", ""),
    "put back": (BEGIN + STEP, "102|1|PENDING|BeginTime|1:00:00", "", "waiting", ""),
    "failed": (BEGIN + FAILED + END.format(1), "102|1|FAILED|None|1:00", "", "failed", ""),
    "no space": (
        BEGIN + "sub-01 FAILED: No space left on /tmp; free\n" + END.format(1),
        "102|1|FAILED|None|1:00", "", "failed", "space",
    ),
    "memory, by its log": (
        BEGIN + STEP + "slurmstepd: error: StepId=102.batch exceeded memory limit (3 > 2)\n"
        + CANCEL, "102|1|FAILED|JobLaunchFailure|1:00", "", "lost", "memory",
    ),
    "memory, by the account": (
        BEGIN + STEP, "", "102_1|OUT_OF_MEMORY|60|\n102_1.batch|OUT_OF_MEMORY|60|4194304K",
        "lost", "memory",
    ),
    "memory of a worker": (
        BEGIN + f"sub-01 FAILED: zones: {KILLED}\n" + END.format(1), "102|1|FAILED|None|1:00", "",
        "lost", "memory",
    ),
    "memory, and cancelled by that": (
        BEGIN + STEP + "Exceeded job memory limit\n" + CANCEL, "102|1|CANCELLED|None|1:00", "",
        "lost", "memory",
    ),
    "time, by its log": (
        BEGIN + STEP + "slurmstepd: *** JOB 102 ON n CANCELLED AT x DUE TO TIME LIMIT ***\n"
        + END.format(143), "", "", "lost", "time",
    ),
    "time, by squeue": (BEGIN + STEP, "102|1|TIMEOUT|TimeLimit|0:00", "", "lost", "time"),
    "node": (BEGIN + STEP, "102|1|NODE_FAIL|NodeDown|1:00", "", "lost", "node"),
    "cancelled": (BEGIN + CANCEL + END.format(143), "102|1|CANCELLED|None|1:00", "", "lost",
                  "cancelled"),
    "cancelled before it began": (None, "102|1|CANCELLED|None|1:00", "", "lost", "cancelled"),
    "killed": (BEGIN + STEP, "102|1|FAILED|None|1:00", "", "lost", "killed"),
    "forgotten by the scheduler": (BEGIN + STEP, "", "", "lost", "killed"),
    "never begun, and forgotten": (None, "", "", "lost", "never"),
    "never begun, by the account": (None, "", "102_1|CANCELLED by 0|0|", "lost", "cancelled"),
    "ended before it said a word": (None, "102|1|FAILED|None|1:00", "", "lost", "killed"),
    "the caches' job failed": (None, "101||FAILED|None|1:00\n102|1|CANCELLED|None|1:00", "", "lost",
                               "caches"),
    "outputs gone": (BEGIN + END.format(0), "102|1|COMPLETED|None|1:00", "", "lost", "gone"),
}  # fmt: skip


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Sent]]:
    with pytest.MonkeyPatch.context() as patch:
        cluster = make_cluster(tmp_path_factory.mktemp("played"), patch, people=("01",))
        assert cluster.run("submit") == 0
        yield cluster, cluster.arrays()[0]


@pytest.mark.parametrize("case", CASES)
def test_a_state_is_told_from_log_scheduler_and_account(
    played: tuple[Cluster, Sent], case: str
) -> None:
    cluster, array = played
    log, asked, account, state, why = CASES[case]
    cluster.log_of(array, 1).unlink(missing_ok=True)
    if log is not None:
        say(cluster, array, log)
    cluster.answer("squeue", f"{asked}\n")
    cluster.answer("sacct", f"{account}\n")
    if account:
        (cluster.folder / "sacct.err").unlink(missing_ok=True)
    else:
        cluster.fail("sacct", "Slurm accounting storage is disabled")
    found = state_of(cluster)
    assert found[:2] == (state, why)
    if why in WHYS:
        assert found[2].startswith(WHYS[why])
    if case == "failed":
        assert found[2] == "sub-01 inputs: T1w is noise. (traceback in /x)"


def test_done_is_who_has_a_record(sent: tuple[Cluster, Sent]) -> None:
    cluster, array = sent
    say(cluster, array, BEGIN, END.format(0))
    record = cluster.out / "logs" / "sub-01" / "record.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    assert state_of(cluster)[0] == "done"
    record.unlink()
    assert state_of(cluster)[:2] == ("lost", "gone")


def test_what_runs_says_its_step_and_the_time_left(
    sent: tuple[Cluster, Sent], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster, array = sent
    began = int(time.time()) - 300
    text = BEGIN.replace("{}", str(began)) + STEP
    cluster.log_of(array, 1).write_text(text, encoding="utf-8")
    cluster.answer("squeue", "102|1|RUNNING|None|55:00\n")
    assert cluster.run("status") == 0
    said = capsys.readouterr().out
    assert "sub-01: sub-01 zones, since " in said
    # 30 of 40 steps took five minutes
    assert "(5 min), about 2 min left, its limit ends in 55:00" in said
    assert cluster.run("status", "--json") == 0
    (one,) = json.loads(capsys.readouterr().out)["tasks"]
    assert (one["step"], one["since"], one["job"]) == ("sub-01 zones", began, "102_1")
    assert 95 < one["left_s"] < 110
    assert one["asked"] == {"mem_gb": 4.0, "minutes": 60, "cpus": 2}


def test_a_scheduler_that_does_not_answer_is_said(
    sent: tuple[Cluster, Sent], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster, array = sent
    say(cluster, array, BEGIN)
    cluster.fail("squeue", "slurm_load_jobs error: Unable to contact slurm controller")
    assert state_of(cluster)[0] == "unknown"
    assert cluster.run("status") == 0
    assert "squeue does not answer: slurm_load_jobs error" in capsys.readouterr().out
    # nothing is sent or ended on a guess
    assert cluster.resume() == 2
    assert cluster.run("cancel") == 1
    assert cluster.run("submit") == 2
    cluster.fail("squeue", "slurm_load_jobs error: Invalid job id specified")
    assert state_of(cluster)[:2] == ("lost", "killed")


def test_everything_is_cancelled(
    sent: tuple[Cluster, Sent], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster, _ = sent
    others = "101|N/A|RUNNING|None|5:00\n103|N/A|PENDING|Dependency|1:00\n"
    cluster.answer("squeue", f"102|1|RUNNING|None|55:00\n{others}")
    assert cluster.run("cancel") == 0
    assert cluster.asked("scancel") == ["101 102 103"]
    said = capsys.readouterr().out
    assert "1 waiting or running tasks were cancelled" in said
    assert "--resume" in said
    cluster.fail("scancel", "Access denied")
    assert cluster.run("cancel") == 1
    assert "Access denied" in capsys.readouterr().err


def test_watching_ends_when_nobody_runs(
    sent: tuple[Cluster, Sent],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster, _ = sent
    cluster.answer("squeue", "102|1|PENDING|Priority|1:00\n")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            cluster.answer("squeue", "102|1|CANCELLED|None|1:00\n")

    # the module's own alone: subprocess sleeps, too
    monkeypatch.setattr(command, "time", SimpleNamespace(sleep=sleep))
    assert cluster.run("status", "--watch") == 1
    said = capsys.readouterr().out
    # what did not change is not said again
    assert (len(slept), said.count("the last is")) == (3, 2)
    assert "it was cancelled" in said


def test_nothing_submitted_and_damaged_notes_are_said(
    sent: tuple[Cluster, Sent], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster, _ = sent
    note = read_submissions(cluster.out)[0].folder / "submission.json"
    note.write_text('{"cuts": 3}')
    assert cluster.run("status") == 1
    assert "is not as it was written" in capsys.readouterr().err
    cluster.out = cluster.folder / "other"
    assert cluster.run("status") == 70
    assert cluster.run("cancel") == 70
    assert "Nothing was submitted into" in capsys.readouterr().err


def test_the_group_and_the_caches_have_a_state(
    sent: tuple[Cluster, Sent], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster, _ = sent
    cluster.answer("squeue", "101|N/A|RUNNING|None|1:00\n103|N/A|PENDING|Dependency|1:00\n")
    study = study_state(cluster.out, read_submissions(cluster.out))
    assert study.jobs == {"caches": "running", "group": "waiting"}
    cluster.answer("squeue", "102|1|PENDING|None|1:00\n103|N/A|FAILED|None|1:00\n")
    capsys.readouterr()
    assert cluster.run("status") == 0
    assert "The group level failed (log: " in capsys.readouterr().out


def test_the_next_submission_learns_what_tasks_used(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = made(people=("01", "02", "03", "04"))
    assert cluster.run("submit", "--participant-label", "01", "02", "03") == 0
    (array,) = cluster.arrays()
    cluster.do(array, 1, 2, 3)
    (submission,) = read_submissions(cluster.out)
    expected = submission.estimate
    (cluster.folder / "sacct.err").unlink()
    used_kb = int(expected["mem_gb"] * 3 * 1024**2)
    seconds = int(expected["minutes"] * 60 * 20)
    cluster.answer(
        "sacct",
        "".join(
            f"{array.job}_{n}|COMPLETED|{seconds}|\n{array.job}_{n}.batch|COMPLETED|9|{used_kb}K\n"
            for n in (1, 2, 3)
        ),
    )
    study = study_state(cluster.out, [submission])
    assert [one.state for one in study.tasks] == ["done"] * 3
    learnt = learn(study.tasks, 2)
    assert (learnt.n_memory, learnt.n_minutes) == (3, 3)
    assert learnt.memory == pytest.approx(3, rel=0.01)
    assert learnt.minutes == pytest.approx(20, rel=0.1)
    capsys.readouterr()
    assert cluster.run("submit", "--participant-label", "04") == 0
    assert "earlier tasks used at most 3.00 times that memory (3 tasks)" in capsys.readouterr().out
    before, after = (one.cuts[0].needs for one in read_submissions(cluster.out))
    assert after.mem_gb >= 2.5 * before.mem_gb
    assert after.minutes > before.minutes
    # other numbers of processors tell nothing
    assert learn(study.tasks, 4) == Learnt()


# of three tasks that ended well: GB and minutes of each, whether each made all steps, and what is
# learnt (the estimate is 3 GB and 12 minutes, 4 GB and 40 minutes were asked for)
USED: dict[str, tuple[float | None, float, bool, Learnt]] = {
    "half of it": (1.5, 6, True, Learnt(0.5, 0.5, 3, 3)),
    "twice as much": (6, 24, True, Learnt(2, 2, 3, 3)),
    "who were done before": (0.3, 0.05, False, Learnt()),
    "who went on from what was there": (1.5, 3, False, Learnt()),
    "and needed more all the same": (6, 24, False, Learnt(2, 2, 3, 3)),
    "what started the container alone": (0.04, 6, True, Learnt(1, 0.5, 0, 3)),
    "nothing is known of memory": (None, 6, True, Learnt(1, 0.5, 0, 3)),
}


@pytest.mark.parametrize(("mem_gb", "minutes", "whole", "expected"), USED.values(), ids=USED)
def test_less_is_learnt_from_whole_tasks_alone(
    mem_gb: float | None, minutes: float, whole: bool, expected: Learnt
) -> None:
    submission: Any = SimpleNamespace(estimate={"mem_gb": 3.0, "minutes": 12.0})
    cut = Cut(0, 3, Needs(4.0, 40, 2), "7")
    tasks = [
        TaskState(Task(str(n)), submission, cut, n, "done",
                  minutes=minutes, mem_gb=mem_gb, is_whole=whole)
        for n in (1, 2, 3)
    ]  # fmt: skip
    assert learn(tasks, 2) == expected
    # two tell nothing, and that is not told as what was learnt
    assert learn(tasks[:2], 2) == Learnt()


WHOLE = {
    "its steps": ((BEGIN, STEP, END), True),
    "nothing was left to do": ((BEGIN, END), False),
    "it began twice": ((BEGIN, STEP, BEGIN.format(1000300), STEP, END), False),
}


@pytest.mark.parametrize(("parts", "is_whole"), WHOLE.values(), ids=WHOLE)
def test_a_task_that_made_all_steps_is_told(
    sent: tuple[Cluster, Sent], parts: tuple[str, ...], is_whole: bool
) -> None:
    cluster, array = sent
    (cluster.out / "logs/sub-01").mkdir()
    (cluster.out / "logs/sub-01/record.json").write_text("{}")
    say(cluster, array, *(part.replace("{}:", "0:") for part in parts))
    submissions = read_submissions(cluster.out)
    (one,) = study_state(cluster.out, submissions).tasks
    assert (one.state, one.is_whole) == ("done", is_whole)
    # who was sent before may go on from there
    again = [replace(submissions[0], id="20200101-000000"), submissions[0]]
    (one,) = study_state(cluster.out, again).tasks
    assert not one.is_whole


@pytest.mark.parametrize(
    "line", ["18446744073709551615K|600", "65G|600", "0|600", "-1K|600", "1024M|999999999"]
)
def test_an_account_that_overflowed_is_not_believed(sent: tuple[Cluster, Sent], line: str) -> None:
    cluster, array = sent
    say(cluster, array, BEGIN, STEP, END.replace("{}:", "0:"))
    memory, seconds = line.split("|")
    (cluster.folder / "sacct.err").unlink()
    cluster.answer("sacct", f"{array.job}_1|COMPLETED|{seconds}|{memory}\n")
    (one,) = study_state(cluster.out, read_submissions(cluster.out)).tasks
    # what the log says counts in its place
    assert one.minutes == 10
    assert one.mem_gb == (1 if memory == "1024M" else None)


def test_few_tasks_teach_nothing() -> None:
    assert needs_from(Estimate(1.0, 5.0, 1), learn([], 2), 2).mem_gb == 1.5


def test_what_the_kernel_measured_is_read(sent: tuple[Cluster, Sent]) -> None:
    cluster, array = sent
    end = END.format(0).replace(" ===", f", peak {3 * 1024**3} ===")
    say(cluster, array, BEGIN, end)
    (one,) = study_state(cluster.out, read_submissions(cluster.out)).tasks
    assert (one.mem_gb, one.minutes) == (3.0, 10.0)


@pytest.mark.parametrize(
    ("executor", "answer", "expected"),
    [
        ("slurm", "102|4|RUNNING|None|1:00", {("102", 4): "running"}),
        (
            "sge",
            SGE,
            {("102", 1): "running", ("102", 4): "waiting", ("102", 5): "waiting",
             ("102", 6): "waiting", ("102", 9): "waiting", ("103", None): "waiting"},
        ),
        (
            "pbs",
            PBS,
            {("102", None): "waiting", ("102", 1): "running", ("102", 2): "waiting"},
        ),
        (
            "lsf", "102|1|RUN\n102|2|PEND\n102|3|EXIT\n103|0|PEND\n",
            {("102", 1): "running", ("102", 2): "waiting", ("102", 3): "ended",
             ("103", None): "waiting"},
        ),
    ],
)  # fmt: skip
def test_each_schedulers_list_is_read(
    made: Made, executor: str, answer: str, expected: dict[tuple[str, int | None], str]
) -> None:
    cluster = made(executor)
    scheduler = Scheduler(load_executors()[executor])
    cluster.answer(scheduler.executor.ask[0], answer)
    found = scheduler.tasks(["102[].server" if executor == "pbs" else "102", "103"])
    assert {place: one.state for place, one in found.items()} == expected


@pytest.mark.parametrize(
    ("limit", "partition", "minutes"),
    [("main* 1-02:00:00", None, 1560), ("main* 8:00:00\nlong 2-00:00:00", "long", 2880),
     ("main* infinite", None, None), ("main* 8:00:00", "none", None), ("debug 30:00", "debug", 30)],
)  # fmt: skip
def test_a_partitions_time_limit_is_read(
    made: Made, limit: str, partition: str | None, minutes: int | None
) -> None:
    made().answer("sinfo", f"{limit}\n")
    assert Scheduler(load_executors()["slurm"]).longest_minutes(partition) == minutes


@pytest.mark.parametrize(("seconds", "said"), [(None, ""), (9.0, "less than"), (90.0, "about")])
def test_what_other_parts_of_the_program_say_is_understood(
    seconds: float | None, said: str
) -> None:
    assert STEP_KILLED in KILLED
    names = [f"wf.sub_01_wf.{name}" for name in ("zones", "shells")]
    times, step = StepTimes(), Expected("a", 1_000_000, 1.0)
    if seconds is not None:
        times.add(step, seconds)
    progress = Progress({"sub-01": 7}, "batch 2: ", dict.fromkeys(names, step), times)
    for name in names:
        progress.step(SimpleNamespace(fullname=name), "start")
    assert (said + " 1 min left" if seconds == 9 else said) in progress.line()
    found = PROGRESS.search(progress.line())
    assert found
    told = (found["done"], found["total"], found["now"])
    assert told == ("0", "7", "sub-01 zones, sub-01 shells")


# ---- check ---------------------------------------------------------------------------------------


def test_a_study_that_can_be_sent_is_found_well(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = made(people=("01", "02", "03"))
    cluster.answer("sinfo", "main* 2:00:00\n")
    assert cluster.run("check") == 0
    said = capsys.readouterr().out
    for words in ("3 of 3 visits can be processed", "A task would ask for", "15 min of 2 h 00",
                  "arrays of up to 1000", "free", "Nothing is wrong."):  # fmt: skip
        assert words in said
    assert not cluster.out.exists()
    assert cluster.sent() == []


def test_what_would_end_tasks_is_found(
    made: Made, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = made(people=("01", "02"))
    (cluster.raw / "sub-03").mkdir()
    cut = cluster.raw / "sub-02" / "anat" / "sub-02_T1w.nii.gz"
    cut.write_bytes(b"")
    cluster.answer("sinfo", "main* 0:10:00 256\n")
    assert cluster.run("check", "--mem-gb", "0.5", "--image", "/none.sif") == 1
    said = capsys.readouterr().out
    wrong = [line.split()[1].rstrip(":") for line in said.splitlines() if line.startswith("WRONG")]
    assert wrong == ["plans", "memory", "time", "memory", "container"]
    assert "a task would ask for 0.5 GB, and a node of the default partition has 0.2 GB" in said
    assert "sub-02_T1w.nii.gz" in said
    monkeypatch.setenv("PATH", "/nowhere")
    assert cluster.run("check") == 1
    assert "sbatch is not installed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("printed", "state"),
    [("wmhflow {version}", "ok"), ("wmhflow 99", "?"), ("no such image", "WRONG")],
)
def test_the_container_is_asked_for_its_version(
    made: Made, printed: str, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.stubs import make_program
    from wmhflow import __version__

    cluster = made()
    code = f"print({printed.format(version=__version__)!r})"
    make_program(cluster.folder / "programs", "docker", code)
    assert cluster.run("check", "--image", "lab/wmhflow") == (state == "WRONG")
    (line,) = [one for one in capsys.readouterr().out.splitlines() if " container: " in one]
    assert line.startswith(state)


def test_the_room_that_is_needed_counts_visits_and_voxels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand people, as two that were looked at: one visit of 256 a side, and three smaller."""
    usual = Estimate(3.0, 10.0, 256**3, n_visits=1, all_voxels=256**3)
    small = Estimate(3.0, 10.0, 128**3, n_visits=3, all_voxels=3 * 128**3)
    settings = SimpleNamespace(
        output_dir=tmp_path / "out", execution=SimpleNamespace(work_dir=tmp_path / "work")
    )
    monkeypatch.setattr(checking, "has_work_dir", lambda _: True)
    monkeypatch.setattr(checking.shutil, "disk_usage", lambda _: SimpleNamespace(free=70 * 1024**3))
    found = checking.Findings()
    checking._look_at_disks(settings, 1000, [usual, small], found)
    room, scratch = found.lines
    # 500 of the one and 500 of the other: (1 + 3/8) × 500 × 0.1 GB
    assert room.endswith("has 70.0 GB free, and about 68.8 GB will be needed "
                         "(a quota of your own is not seen here)")  # fmt: skip
    assert " about 0.6 GB will be needed" in scratch
    checking._look_at_disks(settings, 1100, [usual, small], found)
    assert found.wrong == 1
    assert "about 75.6 GB will be needed; make room" in found.lines[2]


def test_to_ask_how_far_everybody_is_loads_nothing_that_only_a_run_needs(tmp_path):
    code = (
        "import sys, wmhflow.cli.main, wmhflow.cluster.text\n"
        f"sys.argv = ['wmhflow', 'status', {str(tmp_path)!r}]\n"
        "code = wmhflow.cli.main.main()\n"
        "print(code, sorted({'numba', 'scipy.ndimage', 'ants'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["70", "[]"]
