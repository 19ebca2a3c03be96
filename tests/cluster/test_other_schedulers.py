"""SGE, PBS and LSF: lists as their programs print them, every state that their manuals have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.schedulers import Cluster, Sent, make_cluster
from wmhflow.cluster.reading import read_submissions
from wmhflow.cluster.scheduler import Scheduler
from wmhflow.cluster.sending import grown
from wmhflow.cluster.state import TaskState, study_state
from wmhflow.cluster.submission import Cut, Needs, Task
from wmhflow.cluster.text import is_stuck, status_text
from wmhflow.errors import InputError
from wmhflow.registries.executors import load_executors

WAITS, RUNS, OVER, OPEN = "waiting", "running", "ended", "unknown"
WORDS = {
    "sge": {
        WAITS: "qw hqw hRwq Rq Eqw Ehqw EhRqw s ts S tS T tT Rs Rts RS RtS RT RtT",
        RUNS: "r t Rr Rt hr dr dt dRr dRt ds dS dT",
        OPEN: "z",
    },
    "pbs": {WAITS: "Q H W T S U B", RUNS: "R E", OVER: "F X C", OPEN: "M"},
    "lsf": {
        WAITS: "PEND PSUSP WAIT PROV", RUNS: "RUN USUSP SSUSP", "done": "DONE", OVER: "EXIT",
        # whether it still runs is not known there either
        OPEN: "UNKWN", "node": "ZOMBI",
    },
    "slurm": {
        WAITS: "PENDING CONFIGURING REQUEUED REQUEUE_FED REQUEUE_HOLD RESV_DEL_HOLD SPECIAL_EXIT "
        "SUSPENDED POWER_UP_NODE",
        RUNS: "RUNNING COMPLETING SIGNALING STAGE_OUT STOPPED RESIZING EXPEDITING",
        "done": "COMPLETED", OVER: "FAILED", "memory": "OUT_OF_MEMORY OUT_OF_ME+",
        "time": "TIMEOUT DEADLINE", "cancelled": "CANCELLED CANCELLED+",
        "node": "NODE_FAIL BOOT_FAIL PREEMPTED REVOKED LAUNCH_FAILED RECONFIG_FAIL",
    },
}  # fmt: skip


@pytest.mark.parametrize("executor", WORDS)
def test_every_word_for_a_state_is_known(executor: str) -> None:
    known = load_executors()[executor]
    told = {word: known.state_of(word) for words in WORDS[executor].values()
            for word in words.split()}  # fmt: skip
    assert told == {word: state for state, words in WORDS[executor].items()
                    for word in words.split()}  # fmt: skip


SGE = """\
job-ID     prior   name       user         state submit/start at     queue                          slots ja-task-ID
-----------------------------------------------------------------------------------------------------------------
    102 0.55500 {name} me           r     11/29/2026 20:00:00 all.q@host-192-168-10-45.open    2 1
    102 0.55500 {name} me           Eqw   11/29/2026 20:00:00                                  2 2
    102 0.55500 {name} me           tS    11/29/2026 20:00:00 all.q@n2                         2 3
    102 0.00000 {name} me           qw    11/29/2026 20:00:00                                  2 4-8:2,9
   1021 0.00000 other      me           qw    11/29/2026 20:00:00                                  2 1-3:1
    103 0.00000 wmh0000000 me           hqw   11/29/2026 20:00:00                                  1
"""  # noqa: E501
UNIVA = """\
job-ID     prior   name       user         state submit/start at     queue                          jclass                         slots ja-task-ID
------------------------------------------------------------------------------------------------------------------------------------------------
    102 0.55500 {name} me           r     11/29/2026 20:00:00 gpu.q@r8n03.cm.gemini                                             1 1
    102 0.55500 {name} me           qw    11/29/2026 20:00:00                                                                   1 2-4:1
"""  # noqa: E501
PBS = """\

pbs01:
                                                            Req'd  Req'd   Elap
Job ID          Username Queue    Jobname    SessID NDS TSK Memory Time  S Time
--------------- -------- -------- ---------- ------ --- --- ------ ----- - -----
102[].pbs01     me       workq    {name}    --    1   2    4gb 00:15 B   --
102[1].pbs01    me       workq    {name}  95965   1   2 4096mb 00:15 X   --
102[2].tem-ce-* me       workq    {name}  95966   1   2    4gb 00:15 R 00:01
102[3].pbs01    me       workq    {name}    --    1   2    4gb 00:15 Q   --
1021.pbs01      me       cpuQ     cryosparc*  84478   1   6   16gb   --  R 00:00
103.pbs01       me       workq    wmh0000000    --    1   1    2gb 04:00 H   --
"""
PBS_PLAIN = """\
Job id            Name             User              Time Use S Queue
----------------  ---------------- ----------------  -------- - -----
102[].pbs01       {name}       me                       0 B workq
102[1].pbs01      {name}       me                00:01:00 E workq
102[2].pbs01      {name}       me                       0 Q workq
"""
LSF = """\
102|1|RUN|{name}[1]
102|2|PROV|{name}[2]
102|3|UNKWN|{name}[3]
102|4|DONE|{name}[4]
103|0|PEND|wmhflow-group-0000000
"""
LISTS = {
    "sge": (
        "sge", SGE,
        ", ".join(["1 running", *(f"{n} waiting" for n in (2, 3, 4, 6, 8, 9, "-"))]),
    ),
    "univa": ("sge", UNIVA, "1 running, 2 waiting, 3 waiting, 4 waiting"),
    "pbs": ("pbs", PBS, "- waiting, 1 ended, 2 running, 3 waiting, - waiting"),
    "pbs, plain": ("pbs", PBS_PLAIN, "- waiting, 1 running, 2 waiting"),
    "lsf": ("lsf", LSF, "1 running, 2 waiting, 3 unknown, 4 done, - waiting"),
}  # fmt: skip
NAMES = {"sge": "wmh3fa9c2d", "pbs": "wmh3fa9c2d", "lsf": "wmhflow-array-3fa9c2d"}


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_read_as_they_are_printed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, text, expected = LISTS[name]
    cluster = make_cluster(tmp_path, monkeypatch, executor)
    known = load_executors()[executor]
    jobs = ["102[].pbs01", "103.pbs01"] if executor == "pbs" else ["102", "103"]
    names = {"102": NAMES[executor]}
    cluster.answer(known.ask[0], text.format(name=NAMES[executor]))
    found = Scheduler(known).tasks(jobs, names)
    told = [f"{'-' if task is None else task} {one.state}" for (_, task), one in found.items()]
    assert ", ".join(told) == expected
    if executor != "pbs":
        # a job of another name that got the number
        others = Scheduler(known).tasks(jobs, {"102": "wmh0000000"})
        assert {job for job, _ in others} <= {"103"}
    # an odd line of ours is not left out, one of others is
    cluster.answer(known.ask[0], text.format(name=NAMES[executor]) + "1022 what is this\n")
    assert Scheduler(known).tasks(jobs, names) == found
    cluster.answer(known.ask[0], text.format(name=NAMES[executor]) + "102 what is this ...\n")
    with pytest.raises(InputError, match="cannot be read"):
        Scheduler(known).tasks(jobs, names)


@pytest.mark.parametrize(
    ("executor", "error", "is_gone"),
    [
        ("sge", "error: unable to contact qmaster using port 6444 on host: not found", False),
        ("pbs", "pbs_connect: Unknown Host.\nqstat: cannot connect to server (errno=15008)", False),
        ("pbs", "qstat: Unknown Job Id 102[].pbs01", True),
        ("lsf", "Failed in an LSF library call: LIM is down; try later: host not found", False),
        ("lsf", "Job <102> is not found", True),
        ("lsf", "No unfinished job found", True),
    ],
)
def test_a_scheduler_that_is_down_is_no_scheduler_that_knows_nobody(
    executor: str, error: str, is_gone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = make_cluster(tmp_path, monkeypatch, executor)
    known = load_executors()[executor]
    cluster.fail(known.ask[0], error)
    if is_gone:
        assert Scheduler(known).tasks(["102"]) == {}
    else:
        with pytest.raises(InputError, match="does not answer"):
            Scheduler(known).tasks(["102"])


# ---- what became of tasks ------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["sge", "pbs", "lsf"])
def sent(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cluster, Sent, str]]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("sent")
        cluster = make_cluster(folder, patch, request.param, people=("01", "02"))
        assert cluster.run("submit") == 0
        (submission,) = read_submissions(cluster.out)
        yield cluster, cluster.arrays()[0], submission.job_name("array", "array 0")


def first_of(cluster: Cluster) -> TaskState:
    return study_state(cluster.out, read_submissions(cluster.out)).tasks[0]


def test_tasks_end_as_each_scheduler_tells(sent: tuple[Cluster, Sent, str]) -> None:
    cluster, array, name = sent
    (folder,) = (cluster.out / "logs" / "submissions").glob("2*")
    log = folder / "tasks" / "102.1.log"
    begin = "=== wmhflow task begin: sub-01, job 102.1 on n, 1000000 ===\n"
    ask = load_executors()[cluster.executor].ask[0]
    log.write_text(begin)
    if cluster.executor == "sge":
        cluster.answer(ask, f" 102 0.5 {name} me Eqw 11/29/2026 20:00:00 2 1-2:1")
        study = study_state(cluster.out, read_submissions(cluster.out))
        log.unlink()
        assert [one.state for one in study.tasks] == ["waiting"] * 2
        assert is_stuck(study.tasks[1])
        assert "does not come by itself (Eqw)" in status_text(study)
    elif cluster.executor == "pbs":
        # one that has ended is listed as long as its array is
        rest = f"server me q {name} -- 1 2 4gb 00:15"
        listed = f"102[].{rest} B --\n102[1].{rest} {{}} --"
        cluster.answer(ask, listed.format("R"))
        assert first_of(cluster).state == "running"
        cluster.answer(ask, listed.format("X"))
        assert first_of(cluster).why == "killed"
        # what PBS itself says stands in a file of its own
        own = folder / "tasks" / "102[1].server.OU"
        for said, why in (
            ("walltime 77 exceeded limit 30", "time"),
            ("mem 9kb exceeded", "memory"),
        ):
            own.write_text(f"=>> PBS: job killed: {said}\n")
            assert first_of(cluster).why == why
        assert study_state(cluster.out, read_submissions(cluster.out)).tasks[1].why == "never"
    else:
        # it cannot be reached, and may run
        cluster.answer(ask, f"102|1|UNKWN|{name}[1]")
        assert first_of(cluster).state == "unknown"
        for reason, why in (("MEMLIMIT", "memory"), ("RUNLIMIT", "time"), ("CPULIMIT", "time"),
                            ("PREEMPT", "node"), ("FORCE_OWNER", "cancelled")):  # fmt: skip
            report = f"Sender: LSF System\n# LSBATCH: User input\nTERM_{reason}: job killed\n"
            log.write_text(begin + report)
            cluster.answer(ask, f"102|1|EXIT|{name}[1]")
            assert (first_of(cluster).state, first_of(cluster).why) == ("lost", why)
        # what a task says is there while it runs, and LSF's own goes behind it
        log.unlink()
        cluster.do(array, 1)
        text = log.read_text()
        assert text.index("task end 0") < text.index("Sender: LSF System")
        assert first_of(cluster).state == "done"


@pytest.mark.parametrize(
    ("executor", "why", "expected"),
    [
        ("slurm", "memory", (6.0, 60)),
        ("slurm", "time", (4.0, 90)),
        ("slurm", "killed", (4.0, 60)),
        ("lsf", "killed", (4.0, 60)),
        ("pbs", "killed", (4.0, 60)),
        # it tells of nobody why: the same again would be killed again
        ("sge", "killed", (6.0, 90)),
        ("sge", "never", (4.0, 60)),
        ("sge", "", (4.0, 60)),
    ],
)
def test_more_is_asked_of_what_was_or_may_have_been_too_little(
    executor: str, why: str, expected: tuple[float, int]
) -> None:
    submission: Any = SimpleNamespace(executor=executor)
    one = TaskState(Task("01"), submission, Cut(0, 1, Needs(4.0, 60, 2), "7"), 1, "lost", why)
    assert grown(one, 1.5) == Needs(*expected, 2)


def test_one_task_of_pbs_is_a_job_and_not_an_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = make_cluster(tmp_path, monkeypatch, "pbs", people=("01",))
    assert cluster.run("submit") == 0
    (submission,) = read_submissions(cluster.out)
    assert submission.cuts[0].job == "102.server"
    cluster.answer("qstat", "102.server me q wmh0000000 -- 1 2 4gb 00:15 R --")
    assert first_of(cluster).state == "running"
    assert cluster.run("cancel", "--participant-label", "01") == 0
    assert cluster.asked("qdel") == ["102"]
    cluster.answer("qstat", "102.server me q wmh0000000 -- 1 2 4gb 00:15 F --")
    log = submission.log(submission.cuts[0], 1)
    log.write_text("=== wmhflow task begin: sub-01, job 102.1 on n, 1000000 ===\n")
    (log.parent / "102.server.OU").write_text("=>> PBS: job killed: walltime 9 exceeded limit 3\n")
    assert first_of(cluster).why == "time"
    cluster.do(cluster.arrays()[0], 1)
    assert first_of(cluster).state == "done"
