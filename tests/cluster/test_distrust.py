"""A scheduler as its users fear it: late, forgetful, counting anew, and asked by others as well."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.schedulers import Cluster, make_cluster
from tests.stubs import make_program
from wmhflow.cluster import scheduler as asking
from wmhflow.cluster.reading import read_submissions
from wmhflow.cluster.seeking import names_by_number
from wmhflow.cluster.state import Study, study_state
from wmhflow.cluster.submission import Submission
from wmhflow.files.locks import Lock
from wmhflow.registries.executors import load_executors

Made = Callable[..., Cluster]
Said = pytest.CaptureFixture[str]

# lists what was sent, by name or as waiting
LISTS = """
import json, os, re, sys
folder = {folder!r}
sent = os.path.join(folder, 'sent.jsonl')
notes = [json.loads(line) for line in open(sent)] if os.path.exists(sent) else []
if os.path.exists(os.path.join(folder, 'hidden')):
    notes = []
words = dict(word.partition('=')[::2] for word in sys.argv[1:])
with open(os.path.join(folder, 'squeue.asked'), 'a') as stream:
    print(*sys.argv[1:], file=stream)
for note in notes:
    (name,) = [line[11:] for line in note['header'] if line.startswith('--job-name=')]
    count = [line for line in note['header'] if line.startswith('--array=')]
    if '--name' in words:
        if name in words['--name'].split(','):
            print(note['job'] + '|' + name)
    elif note['job'] in words['--jobs'].split(','):
        task = '[' + re.sub('%.*', '', count[0][8:]) + ']' if count else 'N/A'
        print(note['job'], task, 'PENDING', 'Priority', '15:00', name, sep='|')
"""
# takes the job as it should, and says something else
TAKES = """#!/bin/sh
{before}
answer=$({real} "$@") || exit
case $2 in *{which}) ;; *) echo "$answer"; exit 0 ;; esac
{after}
"""
SOCKET = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setattr(asking, "SEEK_WAITS_S", (0.0, 0.0))

    def make(executor: str = "slurm", people: tuple[str, ...] = ("01", "02")) -> Cluster:
        cluster = make_cluster(tmp_path, monkeypatch, executor, people)
        if executor == "slurm":
            (cluster.folder / "programs" / "squeue").unlink()
            lists = LISTS.format(folder=str(cluster.folder))
            make_program(cluster.folder / "programs", "squeue", lists)
        return cluster

    return make


def behave(cluster: Cluster, which: str, after: str, before: str = "") -> Path:
    """Let ``sbatch`` answer otherwise for one script; return the one that answers well."""
    program = cluster.folder / "programs" / "sbatch"
    real = program.with_name("sbatch.real")
    program.rename(real)
    program.write_text(TAKES.format(real=real, which=which, after=after, before=before))
    program.chmod(0o755)
    return real


def study_of(cluster: Cluster) -> Study:
    return study_state(cluster.out, read_submissions(cluster.out))


def states_of(cluster: Cluster) -> list[str]:
    return [one.state for one in study_of(cluster).tasks]


# ---- taken, and not answered for -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "after"),
    [
        ("array.sh", f"echo '{SOCKET}' >&2; exit 1"),
        ("array.sh", "exit 0"),
        ("array.sh", "sleep 3"),
        ("caches.sh", "echo Unable to contact slurm controller >&2; exit 1"),
        ("group.sh", f"echo '{SOCKET}' >&2; exit 1"),
    ],
)
def test_a_job_that_was_taken_and_not_answered_for_is_not_sent_again(
    made: Made, monkeypatch: pytest.MonkeyPatch, which: str, after: str
) -> None:
    cluster = made()
    behave(cluster, which, after)
    if after == "sleep 3":
        monkeypatch.setattr(asking, "PATIENCE_S", 1.5)
    assert cluster.run("submit") == 0
    assert len(cluster.sent()) == 3
    (submission,) = read_submissions(cluster.out)
    assert [submission.caches, submission.cuts[0].job, submission.group] == ["101", "102", "103"]
    assert states_of(cluster) == ["waiting"] * 2


def test_one_that_is_listed_late_is_found_later(made: Made, capsys: Said) -> None:
    cluster = made()
    hidden = cluster.folder / "hidden"
    real = behave(cluster, "array.sh", f"echo '{SOCKET}' >&2; touch {hidden}; exit 1")
    assert cluster.run("submit") == 1
    told = capsys.readouterr().err
    assert "sbatch did not say whether it took" in told
    assert "if it comes later, wmhflow status finds it" in told
    (submission,) = read_submissions(cluster.out)
    assert submission.cuts[0].job is None
    # not listed, and no account: by all that is known, it was not taken
    assert states_of(cluster) == ["lost"] * 2
    hidden.unlink()
    real.rename(real.with_name("sbatch"))
    assert states_of(cluster) == ["waiting"] * 2
    assert cluster.resume() == 70
    assert "2 are waiting or running" in capsys.readouterr().err
    assert len(cluster.arrays()) == 1
    assert cluster.run("submit") == 2


@pytest.mark.parametrize("n_noted", [1, 2, 3])
def test_a_kill_between_a_jobs_sending_and_its_note_sends_nothing_twice(
    made: Made, monkeypatch: pytest.MonkeyPatch, n_noted: int
) -> None:
    cluster = made()
    write, n_written = Submission.write, 0

    def killed(self: Submission) -> None:
        nonlocal n_written
        n_written += 1
        if n_written > n_noted:
            raise KeyboardInterrupt
        write(self)

    with monkeypatch.context() as patch:
        patch.setattr(Submission, "write", killed)
        assert cluster.run("submit") == 130
    assert len(cluster.sent()) == n_noted
    if n_noted == 1:
        # only the caches' job was sent
        assert states_of(cluster) == ["lost"] * 2
        return
    assert states_of(cluster) == ["waiting"] * 2
    if n_noted == 2:
        # by their logs, when the scheduler has forgotten them
        cluster.do(cluster.arrays()[0], 1, 2)
        (cluster.folder / "hidden").touch()
        assert states_of(cluster) == ["done"] * 2
    assert cluster.resume() == 70
    assert len(cluster.arrays()) == 1
    # from now on it is noted
    assert read_submissions(cluster.out)[0].cuts[0].job == "102"


def test_a_scheduler_that_cannot_be_asked_leaves_it_open_what_was_sent(made: Made) -> None:
    cluster = made()
    (cluster.folder / "refuse").touch()
    assert cluster.run("submit") == 1
    squeue = cluster.folder / "programs" / "squeue"
    squeue.write_text("#!/bin/sh\necho slurm_load_jobs error: Unable to contact >&2; exit 1\n")
    assert states_of(cluster) == ["unknown"] * 2
    assert cluster.resume() == 2


def test_a_script_that_was_sent_again_by_hand_is_followed(made: Made) -> None:
    cluster = made()
    assert cluster.run("submit") == 0
    array = cluster.arrays()[0]
    cluster.do(array, 1)
    squeue = cluster.folder / "programs" / "squeue"
    # of the first, nothing is known any more
    squeue.write_text(squeue.read_text().replace("for note in notes:", "for note in notes[3:]:"))
    assert states_of(cluster) == ["done", "lost"]
    script = read_submissions(cluster.out)[0].folder / "array.sh"
    subprocess.run(["sbatch", "--parsable", script], check=True, stdout=subprocess.DEVNULL)
    assert states_of(cluster) == ["waiting"] * 2
    assert cluster.resume() == 70
    cluster.do(cluster.arrays()[-1], 2)
    assert states_of(cluster) == ["waiting", "done"]


def test_every_job_has_a_name_that_no_other_has() -> None:
    first = Submission("a", Path(), Path(), Path(), "slurm", (), created=1.0)
    second, other = replace(first, created=2.0), replace(first, id="a-2")
    scripts = (("caches", "caches"), ("array", "array 0"), ("array", "array 1000"))
    names = [one.job_name(*words) for one in (first, second, other) for words in scripts]
    assert len(set(names)) == 9
    assert re.fullmatch(r"wmhflow-array-[0-9a-f]{7}", names[1])
    # lists of these schedulers show ten signs of a name
    assert all(len(replace(first, executor=one).job_name("array", "x")) == 10
               for one in ("sge", "pbs"))  # fmt: skip


FOUND = {
    "sge": ("qstat", " 207 0.5 {name} me qw 11/29/2026 20:00:00 2 1-2:1\n", "207"),
    "pbs": ("qselect", "207[].server\n", "207[].server"),
    "lsf": ("bjobs", "206|other\n207|{name}[1]\n207|{name}[2]\n", "207"),
}


@pytest.mark.parametrize("executor", FOUND)
def test_each_scheduler_finds_a_job_by_its_name(made: Made, executor: str) -> None:
    program, answer, job = FOUND[executor]
    cluster = made(executor, people=())
    name = Submission("a", Path(), Path(), Path(), executor, ()).job_name("array", "array 0")
    if executor == "pbs":
        path = cluster.folder / "programs" / "qselect"
        path.write_text(f"#!/bin/sh\n[ $4 != {name} ] || echo {answer}")
        path.chmod(0o755)
    else:
        cluster.answer(program, answer.format(name=name))
    found = asking.Scheduler(load_executors()[executor]).find([name, "wmhflow-other"])
    assert found == {name: job}


# ---- numbers that are given again ----------------------------------------------------------------


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, dict[str, str]]]:
    """Two persons who were submitted, and how the jobs are called; rows below play the answers."""
    with pytest.MonkeyPatch.context() as patch:
        cluster = make_cluster(tmp_path_factory.mktemp("once"), patch, people=("01", "02"))
        assert cluster.run("submit") == 0
        (submission,) = read_submissions(cluster.out)
        yield cluster, names_by_number(submission)


@pytest.fixture
def played(once: tuple[Cluster, dict[str, str]]) -> Iterator[tuple[Cluster, dict[str, str]]]:
    yield once
    cluster, _ = once
    (folder,) = (cluster.out / "logs" / "submissions").glob("2*")
    for path in [*(folder / "tasks").iterdir(), *cluster.folder.glob("s*.txt")]:
        path.unlink()
    for path in (*cluster.folder.glob("*.asked"), *cluster.folder.glob("s*.err")):
        path.unlink()
    cluster.fail("sacct", "Slurm accounting storage is disabled")
    shutil.rmtree(cluster.out / "logs" / "sub-01", ignore_errors=True)


def test_another_job_of_the_same_number_is_another_job(
    played: tuple[Cluster, dict[str, str]],
) -> None:
    cluster, names = played
    cluster.answer(
        "squeue", f"102|1|RUNNING|None|1:00|{names['102']}\n102|2|RUNNING|None|1:00|mine"
    )
    assert states_of(cluster) == ["running", "lost"]
    cluster.answer("squeue", "101|N/A|RUNNING|None|1:00|mine\n102|[1-9]|PENDING|None|1:00|mine")
    study = study_of(cluster)
    assert [one.why for one in study.tasks] == ["never"] * 2
    assert study.jobs["caches"] == "forgotten"
    # and it goes on
    assert cluster.run("cancel") == 0
    assert not (cluster.folder / "scancel.asked").exists()


def test_jobs_of_an_older_version_have_names_of_their_own(
    played: tuple[Cluster, dict[str, str]],
) -> None:
    cluster, _ = played
    (note,) = (cluster.out / "logs" / "submissions").glob("2*/submission.json")
    kept = note.read_text()
    older = {name: value for name, value in json.loads(kept).items() if name != "tagged"}
    note.write_text(json.dumps(older))
    cluster.answer("squeue", "102|[1-2]|PENDING|Priority|1:00|wmhflow-array")
    assert states_of(cluster) == ["waiting"] * 2
    note.write_text(kept)
    assert states_of(cluster) == ["lost"] * 2


def test_an_account_of_another_job_tells_nothing(
    played: tuple[Cluster, dict[str, str]],
) -> None:
    cluster, names = played
    (cluster.folder / "sacct.err").unlink()
    lines = "102_1|OUT_OF_MEMORY|60||{0}\n102_1.batch|OUT_OF_MEMORY|60|4194304K|batch\n"
    cluster.answer("sacct", lines.format(names["102"]))
    assert [one.why for one in study_of(cluster).tasks] == ["memory", "never"]
    cluster.answer("sacct", lines.format("mine"))
    assert [one.why for one in study_of(cluster).tasks] == ["never"] * 2


# ---- how tasks end -------------------------------------------------------------------------------

BEGIN = "=== wmhflow task begin: sub-01, job 102.1 on node7, 1000000 ===\n"
END = "=== wmhflow task end {}: sub-01, job 102.1 on node7, 1000600 ===\n"
STEP = "[1:20] 0 of 1 persons, 39 of 40 steps; now: sub-01 write\n"
DONE = "1 of 1 persons done; tables are in /out.\n"
ENDS: dict[str, tuple[str, str, str, bool, str, str]] = {
    # log, state of squeue, state of sacct, whether there is a record: state and why
    "memory, and all was written": (BEGIN + END.format(0), "", "OUT_OF_MEMORY", True, "done", ""),
    "failed by the account, and done": (BEGIN + END.format(0), "", "FAILED", True, "done", ""),
    "killed after its last word": (BEGIN + STEP + DONE, "", "TIMEOUT", True, "done", ""),
    "its last word alone": (BEGIN + STEP + DONE, "", "TIMEOUT", False, "lost", "time"),
    "in its last step": (BEGIN + STEP, "", "TIMEOUT", False, "lost", "time"),
    "a record of an earlier run": (BEGIN + STEP, "", "TIMEOUT", True, "lost", "time"),
    "a node failed": (BEGIN + STEP, "", "NODE_FAIL", False, "lost", "node"),
    "preempted": (BEGIN + STEP + END.format(143), "", "PREEMPTED", False, "lost", "node"),
    "deadline": (BEGIN + STEP, "", "DEADLINE", False, "lost", "time"),
    "did not boot": ("", "", "BOOT_FAIL", False, "lost", "node"),
    "preempted, and put back": (BEGIN + END.format(143), "PENDING", "", False, "waiting", ""),
    "requeued by the site": (BEGIN + END.format(1), "REQUEUED", "", False, "waiting", ""),
    "requeued, and held": (BEGIN + STEP, "REQUEUE_HOLD", "", False, "waiting", ""),
    "requeued when it was done": (BEGIN + END.format(0), "PENDING", "", True, "done", ""),
    "its end was noted, and it is not over": (
        BEGIN + END.format(143), "RUNNING", "", False, "running", ""
    ),
    "its outputs are seen late": (BEGIN + END.format(0), "COMPLETING", "", False, "running", ""),
    "failed, and clears up": (BEGIN + END.format(1), "COMPLETING", "", False, "failed", ""),
    "again, in the same log": (BEGIN + END.format(1) + BEGIN + STEP, "RUNNING", "", False,
                               "running", ""),
    "suspended": (BEGIN + STEP, "SUSPENDED", "", False, "waiting", ""),
    "runs by the account alone": (BEGIN + STEP, "", "RUNNING", False, "unknown", ""),
    "runs by the account, for ever": (BEGIN + STEP, "", "RUNNING long", False, "lost", "killed"),
    "waits by the account alone": ("", "", "PENDING", False, "lost", "never"),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS)
def test_an_end_is_told_from_all_that_is_known(
    played: tuple[Cluster, dict[str, str]], case: str
) -> None:
    cluster, names = played
    log, listed, account, is_recorded, state, why = ENDS[case]
    if log:
        cluster.log_of(cluster.arrays()[0], 1).write_text(log)
    if listed:
        cluster.answer("squeue", f"102|1|{listed}|None|1:00|{names['102']}")
    if account:
        (cluster.folder / "sacct.err").unlink()
        account, _, is_long = account.partition(" ")
        seconds = 9_999_999 if is_long else 60
        cluster.answer("sacct", f"102_1|{account}|{seconds}||{names['102']}")
    if is_recorded:
        (cluster.out / "logs" / "sub-01").mkdir(parents=True)
        (cluster.out / "logs" / "sub-01" / "record.json").write_text("{}")
    one = study_of(cluster).tasks[0]
    assert (one.state, one.why) == (state, why)


# ---- answers that are not whole ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "is_told"),
    [
        ("102|1|RUNNING|None|1:00|{}\n102|2|RUNN", False),
        ("102|1|RUNNING|None|1:00|{}\n102|2|PENDING|None|1:00|wmhfl", False),
        ("102|1|RUNNING|None|1:00|{}\n102|2\n", False),
        ("102|[1,...]|PENDING|None|1:00|{}\n", False),
        ("a banner of the site\n102|1|RUNNING|None|1:00|{0}\n102|2|RUNNING|None|1|{0}\n", True),
    ],
)
def test_nobody_is_lost_with_a_line_that_was_cut(
    played: tuple[Cluster, dict[str, str]], answer: str, is_told: bool
) -> None:
    cluster, names = played
    (cluster.folder / "squeue.txt").write_text(answer.format(names["102"]))
    assert states_of(cluster) == (["running"] * 2 if is_told else ["unknown"] * 2)


@pytest.mark.parametrize(
    "error",
    [
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
        "/usr/bin/squeue: line 3: squeue.real: command not found",
        "ssh: login1: Host not found",
        "slurm_load_jobs error: Socket timed out on send/recv operation",
        "squeue: error: Munge encode failed: Failed to connect: user unknown job",
    ],
)
def test_who_cannot_be_asked_for_is_not_lost(
    played: tuple[Cluster, dict[str, str]], error: str
) -> None:
    cluster, _ = played
    cluster.log_of(cluster.arrays()[0], 1).write_text(BEGIN + STEP)
    cluster.fail("squeue", error)
    assert states_of(cluster) == ["unknown"] * 2
    cluster.fail("squeue", "slurm_load_jobs error: Invalid job id specified")
    assert states_of(cluster) == ["lost"] * 2


ACCOUNTS = [
    # what sacct says: minutes and memory of the first task
    ("102_1|COMPLETED|600||{0}\n102_1.batch|COMPLETED|600|1048576K|batch\n", 10.0, 1.0),
    ("102_1|COMPLETED|600||{0}\n102_1.batch|COMPLETED|600|1048", 10.0, None),
    ("102_1|COMPLETED|60", 10.0, None),
    ("102_1|COMPLETED|00:10:00|1,5G|{0}\n", 10.0, None),
    ("JobID|Etat|Temps|Memoire\n102_1|TERMINE|300|\n", 5.0, None),
    ("102_1|{0}|COMPLETED|600|2G\n", 10.0, None),
    ("sacct: error: slurmdbd down\n", 10.0, None),
    ("", 10.0, None),
]


@pytest.mark.parametrize(("account", "minutes", "mem_gb"), ACCOUNTS)
def test_an_account_in_other_words_tells_what_it_tells(
    played: tuple[Cluster, dict[str, str]], account: str, minutes: float, mem_gb: float | None
) -> None:
    cluster, names = played
    cluster.log_of(cluster.arrays()[0], 1).write_text(BEGIN + END.format(0))
    (cluster.out / "logs" / "sub-01").mkdir(parents=True)
    (cluster.out / "logs" / "sub-01" / "record.json").write_text("{}")
    (cluster.folder / "sacct.err").unlink()
    (cluster.folder / "sacct.txt").write_text(account.format(names["102"]))
    one = study_of(cluster).tasks[0]
    assert (one.state, one.minutes, one.mem_gb) == ("done", minutes, mem_gb)


# ---- what a user's or a site's own settings change -----------------------------------------------


def test_variables_that_change_an_answer_or_a_header_do_not_count(
    played: tuple[Cluster, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, _ = played
    asked: dict[str, dict[str, str]] = {}
    run = subprocess.run

    def noted(words: list[str], **how: Any) -> Any:
        asked[words[0]] = how["env"]
        return run(words, **how)

    for name in ("SQUEUE_PARTITION", "SACCT_FORMAT", "SBATCH_ARRAY_INX", "SBATCH_OUTPUT",
                 "SBATCH_PARTITION", "SBATCH_WAIT", "SBATCH_EXPORT"):  # fmt: skip
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setattr(asking.subprocess, "run", noted)
    states_of(cluster)
    assert "SQUEUE_PARTITION" not in asked["squeue"]
    assert "SACCT_FORMAT" not in asked["sacct"]
    assert asked["squeue"]["LC_ALL"] == asked["sacct"]["LC_ALL"] == "C"
    scheduler = asking.Scheduler(load_executors()["slurm"])
    script = cluster.folder / "one.sh"
    script.write_text(cluster.sent()[1].text)
    scheduler.submit(script, "wmhflow-array-0000000")
    # those of what the header says; a job's own language stays as it is
    kept = {"SBATCH_PARTITION", "SBATCH_EXPORT", "LC_ALL"}
    assert {name for name in asked["sbatch"] if name.startswith("SBATCH_")} == kept - {"LC_ALL"}
    assert asked["sbatch"]["LC_ALL"] == "de_DE.UTF-8"
    text = script.read_text().replace("#SBATCH --mem", "#SBATCH --partition=p\n#SBATCH --mem")
    script.write_text(text)
    scheduler.submit(script, "wmhflow-array-0000000")
    assert "SBATCH_PARTITION" not in asked["sbatch"]


LIMIT = """
for word in "$@"; do script=$word; done
n=$(sed -n 's/^#SBATCH --array=1-\\([0-9]*\\).*/\\1/p' "$script")
{rule}
"""
TOO_LARGE = "echo 'sbatch: error: Batch job submission failed: Invalid job array specification' >&2"
SUBMIT_LIMIT = (
    "echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2; echo 'sbatch: error: Batch job "
    "submission failed: Job violates accounting/QOS policy (job submit limit, user'\"'\"'s size "
    "and/or time limits)' >&2"
)


def test_an_array_that_is_larger_than_allowed_is_sent_in_parts(made: Made, capsys: Said) -> None:
    cluster = made(people=("01",))
    for number in range(2, 12):
        (cluster.raw / f"sub-{number:02d}").mkdir()
    rule = f'if [ "${{n:-0}}" -gt 4 ]; then {TOO_LARGE}; exit 1; fi'
    behave(cluster, "none.sh", "", LIMIT.format(rule=rule))
    assert cluster.run("submit") == 0
    (submission,) = read_submissions(cluster.out)
    parts = [(cut.first, cut.count) for cut in submission.cuts]
    assert parts == [(0, 2), (2, 3), (5, 3), (8, 3)]
    assert [cut.job for cut in submission.cuts] == ["102", "103", "104", "105"]
    assert len(states_of(cluster)) == 11
    assert set(states_of(cluster)) == {"waiting"}
    names = sorted(path.name for path in submission.folder.glob("array*.sh"))
    assert names == ["array-1.sh", "array-2.sh", "array-3.sh", "array-4.sh"]
    assert "in 4 arrays" in capsys.readouterr().out
    cluster.do(cluster.arrays()[2], 1)
    assert "--participant-label 06" in (cluster.folder / "run.txt").read_text()


def test_a_user_who_may_send_no_more_is_told_when_to_go_on(made: Made, capsys: Said) -> None:
    cluster = made(people=("01",))
    for number in range(2, 10):
        (cluster.raw / f"sub-{number:02d}").mkdir()
    total = f"{cluster.folder}/total"
    rule = (
        f"t=$(cat {total} 2>/dev/null || echo 0); t=$((t + ${{n:-1}})); "
        f"if [ $t -gt 6 ]; then {SUBMIT_LIMIT}; exit 1; fi; echo $t > {total}"
    )
    behave(cluster, "none.sh", "", LIMIT.format(rule=rule))
    assert cluster.run("submit") == 1
    told = capsys.readouterr().err
    assert "QOSMaxSubmitJobPerUserLimit" in told
    # the caches' job is one of the six
    assert "Sent were 5 of 9 tasks" in told
    assert "--resume sends the others when some have ended." in told
    assert sorted(states_of(cluster)) == ["lost"] * 4 + ["waiting"] * 5
    Path(total).unlink()
    assert cluster.resume() == 0
    assert set(states_of(cluster)) == {"waiting"}


def test_more_than_any_node_has_is_not_asked_for(made: Made, capsys: Said) -> None:
    cluster = made(people=("01",))
    main = "main* 2:00:00 8000\nmain* 2:00:00 16000+\n"
    cluster.answer("sinfo", f"{main}long 8:00:00 64000\nany infinite 1\n")
    for words, said in (
        (["--time", "3:00:00"], "--time: 3 h 00 is more than the 2 h 00 that partition main"),
        (["--mem-gb", "17"], "--mem-gb 17 is more than the 15.6 GB of a node of partition main"),
    ):
        assert cluster.run("submit", "--partition", "main", *words) == 2
        assert said in capsys.readouterr().err
    # a site may choose another than the default one by what is asked for
    assert cluster.run("submit", "--time", "3:00:00", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "Of the default partition, 2 h 00 are all that it gives: unless your site" in said
    assert "--time=3:00:00" in said
    limits = asking.Scheduler(load_executors()["slurm"]).limits
    assert limits("main,long") == (480, 62.5)
    assert limits("any") == limits("none") == (None, None)
    assert limits("long,any") == (None, None)


def test_what_grows_grows_to_what_a_node_has(made: Made, capsys: Said) -> None:
    cluster = made(people=("01", "02", "03"))
    cluster.answer("sinfo", "main* 2:00:00 16000\n")
    assert cluster.run("submit", "--mem-gb", "12", "--time", "90", "--partition", "main") == 0
    (array,) = cluster.arrays()
    (cluster.folder / "hidden").touch()
    for task, why in ((1, "DUE TO TIME LIMIT"), (2, "Exceeded job memory limit"), (3, "")):
        begin = BEGIN.replace("sub-01", f"sub-{task:02d}").replace("102.1", f"102.{task}")
        cluster.log_of(array, task).write_text(f"{begin}slurmstepd: {why}\n")
    capsys.readouterr()
    assert cluster.resume("--grow", "2") == 0
    submission = read_submissions(cluster.out)[-1]
    asked = {task.subject: (cut.needs.mem_gb, cut.needs.minutes)
             for task, cut, _ in submission.places()}  # fmt: skip
    assert asked == {"01": (12.0, 120), "02": (15.5, 90), "03": (12.0, 90)}
    assert "15.5 GB are all that a node has and 2 h 00 are all that it gives" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    "reason",
    [
        "PartitionTimeLimit",
        "JobHeldAdmin",
        "DependencyNeverSatisfied",
        "launch failed requeued held",
    ],
)
def test_who_waits_in_vain_is_said(
    played: tuple[Cluster, dict[str, str]], capsys: Said, reason: str
) -> None:
    cluster, names = played
    cluster.answer("squeue", f"102|1|PENDING|{reason}|1|{names['102']}\n"
                             f"102|2|PENDING|Priority|1|{names['102']}")  # fmt: skip
    assert cluster.run("status") == 0
    said = capsys.readouterr().out
    assert f"1 waits for what does not come by itself ({reason}): see to it, or end them" in said
    assert "Priority" not in said


def test_what_is_watched_fits_a_screen(
    made: Made, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = made(people=("01",))
    for number in range(2, 60):
        (cluster.raw / f"sub-{number:02d}").mkdir()
    assert cluster.run("submit") == 0
    (array,) = cluster.arrays()
    (cluster.folder / "hidden").touch()
    for number in range(1, 60):
        sentence = f"sub-{number:02d} FAILED: sub-{number:02d} inputs: {'it is noise ' * 20}\n"
        cluster.log_of(array, number).write_text(BEGIN + sentence + END.format(1))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    capsys.readouterr()
    assert cluster.run("status", "--watch") == 1
    clear, _, shown = capsys.readouterr().out.partition("\x1b[2J")
    assert clear == "\x1b[H"
    lines = shown.splitlines()
    assert len(lines) == 23
    assert max(map(len, lines)) == 80
    assert "  failed      59" in lines
    assert lines[-1].startswith("To send what is missing: wmhflow submit ")
    # what is not a screen is not cut
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    assert cluster.run("status") == 1
    assert max(map(len, capsys.readouterr().out.splitlines())) > 200


def test_a_scheduler_that_is_slow_is_asked_less_often(
    played: tuple[Cluster, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, names = played
    cluster.answer("squeue", f"102|[1-2]|PENDING|Priority|1:00|{names['102']}")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        cluster.answer("squeue", "")

    monkeypatch.setattr("wmhflow.cli.cluster.time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(
        "wmhflow.cli.cluster._study", lambda out: replace(study_of(cluster), asked_s=9.0)
    )
    assert cluster.run("status", "--watch") == 1
    assert slept == [90.0]


# ---- studies that change meanwhile ---------------------------------------------------------------


def test_what_changed_since_is_said_when_the_missing_are_sent(
    made: Made, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = made(people=("01", "02", "bad3"))
    assert cluster.run("submit") == 0
    cluster.do(cluster.arrays()[0], 1, 3)
    (cluster.folder / "hidden").touch()
    shutil.rmtree(cluster.raw / "sub-02")
    (cluster.raw / "sub-04").mkdir()
    monkeypatch.setattr("wmhflow.__version__", "9.9")
    capsys.readouterr()
    assert cluster.resume() == 0
    said = capsys.readouterr().out
    assert "1 are not in the dataset any more, and were not sent: sub-02." in said
    assert "1 of the dataset were never submitted (04); wmhflow submit without --resume" in said
    assert "Some were done by wmhflow 0" in said
    assert "and this is 9.9" in said
    assert [one.subject for one in read_submissions(cluster.out)[-1].tasks] == ["bad3"]
    # whoever is gone is no reason to send again
    shutil.rmtree(cluster.raw / "sub-bad3")
    cluster.do(cluster.arrays()[1], 1)
    capsys.readouterr()
    assert cluster.run("status") == 1
    assert "--resume" not in capsys.readouterr().out
    assert cluster.resume() == 70
    assert "nothing is left to send" in capsys.readouterr().err


def test_two_who_resume_at_once_send_everybody_once(
    made: Made, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = made()
    assert cluster.run("submit") == 0
    # nothing of the first is known any more
    squeue = cluster.folder / "programs" / "squeue"
    squeue.write_text(squeue.read_text().replace("for note in notes:", "for note in notes[3:]:"))
    lock = cluster.out / "logs" / "submissions" / ".lock"
    with monkeypatch.context() as patch, Lock(lock).take():
        patch.setattr("wmhflow.cli.cluster.SENDING_S", 0.1)
        assert cluster.resume() == 1
    assert "Another submission into" in capsys.readouterr().err
    assert len(cluster.sent()) == 3
    take = Lock.take

    def after_another(self: Lock, wait_s: float = 0.0) -> Lock:
        # while one stands at the door, the other sends
        with monkeypatch.context() as patch:
            patch.setattr(Lock, "take", take)
            assert cluster.resume() == 0
        return take(self, wait_s)

    monkeypatch.setattr(Lock, "take", after_another)
    assert cluster.resume() == 70
    assert "2 are waiting or running" in capsys.readouterr().err
    assert len(read_submissions(cluster.out)) == 2
    assert len(cluster.sent()) == 6


PENDING = "102[].server me q {name} 1 B q\n"
PARTS = {
    "slurm": ("", "scancel", ["102_2 102_3"]),
    "sge": (" 102 0.5 {name} me qw 11/29/2026 20:00:00 2 1-4:1\n", "qdel",
            ["102 -t 2", "102 -t 3"]),
    "pbs": (f"{PENDING}102[2].server me q {{name}} 1 Q q\n102[3].server me q {{name}} 1 R q\n",
            "qdel", ["102[2] 102[3]"]),
    "lsf": ("102|2|PEND|{name}[2]\n102|3|RUN|{name}[3]\n", "bkill", ["102[2] 102[3]"]),
}  # fmt: skip


@pytest.mark.parametrize("executor", PARTS)
def test_a_part_is_cancelled(made: Made, capsys: Said, executor: str) -> None:
    answer, program, words = PARTS[executor]
    cluster = made(executor, people=("01", "02", "03", "04"))
    assert cluster.run("submit") == 0
    (submission,) = read_submissions(cluster.out)
    if answer:
        name = submission.job_name("array", "array 0")
        cluster.answer(load_executors()[executor].ask[0], answer.format(name=name))
    assert cluster.run("cancel", "--participant-label", "sub-02", "03") == 0
    assert cluster.asked(program) == words
    assert "2 waiting or running tasks were cancelled; 0 are done." in capsys.readouterr().out
    assert cluster.run("cancel", "--participant-label", "99") == 2
    assert "no sub-99 was submitted into" in capsys.readouterr().err
