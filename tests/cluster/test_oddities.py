"""Everyday oddities of clusters: one row per case; none ends in a traceback or a false sentence.

Folders are moved, renamed, copied in part and edited; clocks are put back; schedulers answer
nonsense, or not all that they are asked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.builders import cube, save_image
from tests.schedulers import HEADERS, Cluster, make_cluster
from wmhflow.cluster.reading import read_submissions
from wmhflow.cluster.state import study_state
from wmhflow.registries.executors import load_executors

Made = Callable[..., Cluster]
Said = pytest.CaptureFixture[str]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    def make(executor: str = "slurm", people: tuple[str, ...] = ("01", "02")) -> Cluster:
        return make_cluster(tmp_path, monkeypatch, executor, people)

    return make


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two persons who were submitted; rows below change copies of that."""
    with pytest.MonkeyPatch.context() as patch:
        cluster = make_cluster(tmp_path_factory.mktemp("once"), patch, people=("01", "02"))
        assert cluster.run("submit") == 0
        shutil.copytree(cluster.out, cluster.folder / "kept")
        yield cluster


@pytest.fixture
def sent(once: Cluster) -> Iterator[Cluster]:
    """The outputs as they were sent."""
    yield once
    shutil.rmtree(once.out)
    shutil.copytree(once.folder / "kept", once.out)
    for path in (*once.folder.glob("*.txt"), *once.folder.glob("squeue.err")):
        path.unlink()


def folder_of(cluster: Cluster) -> Path:
    (folder,) = (cluster.out / "logs" / "submissions").glob("2*")
    return folder


CUT = {"first": 0, "count": 2, "needs": {"mem_gb": 2.0, "minutes": 15, "cpus": 2}, "job": "102"}
NOTES: list[tuple[str, Any]] = [
    ("executor", "cron"),
    ("executor", 1),
    ("cuts", [CUT | {"first": "a"}]),
    ("cuts", [CUT | {"first": -2}]),
    ("cuts", [CUT | {"count": 10**9}]),
    ("cuts", [CUT | {"count": 2.0}]),
    ("cuts", [CUT, CUT]),
    ("cuts", [CUT | {"needs": {"mem_gb": "x", "minutes": None, "cpus": 1}}]),
    ("cuts", [CUT | {"needs": {"mem_gb": 1, "minutes": 1, "cpus": 0}}]),
    ("cuts", [CUT | {"needs": {"mem_gb": float("nan"), "minutes": 1, "cpus": 1}}]),
    ("cuts", [CUT | {"job": 7}]),
    ("cuts", [CUT | {"job": "-rf"}]),
    ("cuts", {"a": 1}),
    ("chosen", []),
    ("chosen", {"per": 5}),
    ("chosen", {"sbatch": "--qos=long"}),
    ("chosen", {"sbatch": ["--qos=a\nrm -rf /"]}),
    ("chosen", {"image": 3}),
    ("chosen", {"grow": -1}),
    ("chosen", {"max_running": True}),
    ("estimate", None),
    ("estimate", {"mem_gb": "x"}),
    ("created", "now"),
    ("created", None),
    ("group", 7),
    ("caches", [1]),
    ("resumes", 1),
    ("bids_dir", 7),
]


@pytest.mark.parametrize(("name", "value"), NOTES)
def test_a_note_of_other_types_is_one_sentence(
    sent: Cluster, capsys: Said, name: str, value: Any
) -> None:
    path = folder_of(sent) / "submission.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    for command in (["status"], ["cancel"], ["submit", "--dry-run"]):
        assert sent.run(*command) == 1
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert "and submit anew." in told


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"01\n", "names 1 of the 2 who were sent"),
        (b"\n\n", "names 0 of the 2 who were sent"),
        (b"\xff\xfe01", "no text in UTF-8"),
        (None, "No such file or directory"),
    ],
)
def test_a_list_of_persons_that_was_cut_is_said(
    sent: Cluster, capsys: Said, content: bytes | None, said: str
) -> None:
    path = folder_of(sent) / "labels.txt"
    path.unlink() if content is None else path.write_bytes(content)
    assert sent.run("status") == 1
    assert said in capsys.readouterr().err
    # the advice holds: a folder that was renamed is out of the way
    path.parent.rename(path.parent.with_name("backup"))
    assert sent.run("status") == 70
    assert sent.run("submit", "--dry-run") == 0


def test_another_version_may_note_more(sent: Cluster, capsys: Said) -> None:
    path = folder_of(sent) / "submission.json"
    note = json.loads(path.read_text())
    path.write_text(json.dumps(note | {"later": 1, "chosen": note["chosen"] | {"later": 1}}))
    assert sent.run("status") == 1
    assert "2 persons" in capsys.readouterr().out
    assert sent.resume() == 2
    assert "was sent with --later, which this version" in capsys.readouterr().err


@pytest.mark.parametrize("created", ["later", "the same"])
def test_a_clock_that_was_put_back_changes_no_order(
    made: Made, created: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = made(people=("01",))
    assert cluster.run("submit") == 0
    (first,) = read_submissions(cluster.out)
    # summer time ends; and the clock of another machine is an hour late
    monkeypatch.setattr("time.strftime", lambda *_: "20200101-000000")
    if created == "the same":
        monkeypatch.setattr("time.time", lambda: first.created - 3600)
    assert cluster.resume() == 0
    before, last = read_submissions(cluster.out)
    assert (before.id, last.id, last.resumes) == (first.id, "20200101-000000", first.id)
    (one,) = study_state(cluster.out, [before, last]).tasks
    assert one.submission.id == last.id


def test_outputs_that_were_moved_are_resumed(made: Made, tmp_path: Path) -> None:
    cluster = made(people=("01",))
    filters = tmp_path / "filters.json"
    filters.write_text('{"t1w": {"suffix": "T1w"}}')
    assert cluster.run("submit", "--bids-filter-file", str(filters)) == 0
    filters.unlink()
    cluster.out = cluster.out.rename(tmp_path / "elsewhere")
    assert cluster.run("status") == 1
    assert cluster.resume() == 0
    # nothing that is sent names the old place
    array = cluster.arrays()[-1]
    options = read_submissions(cluster.out)[-1].folder / "options.toml"
    assert f"{tmp_path}/out" not in array.text + options.read_text()
    assert "filters.json" in options.read_text()


def test_a_dataset_is_the_same_by_a_link_and_another_one_if_it_was_moved(
    made: Made, tmp_path: Path, capsys: Said
) -> None:
    cluster = made(people=("01",))
    assert cluster.run("submit") == 0
    raw = cluster.raw
    cluster.raw = tmp_path / "link"
    cluster.raw.symlink_to(raw)
    assert cluster.resume() == 0
    cluster.raw = raw.rename(tmp_path / "moved")
    assert cluster.resume() == 2
    assert "If it was moved, leave out --resume" in capsys.readouterr().err


def test_frozen_options_that_are_gone_are_said(sent: Cluster, capsys: Said) -> None:
    (folder_of(sent) / "options.toml").unlink()
    assert sent.resume() == 2
    assert "give the options again without --resume" in capsys.readouterr().err


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 0.97])
def test_frozen_options_that_were_cut_are_not_the_defaults(
    sent: Cluster, capsys: Said, share: float
) -> None:
    path = folder_of(sent) / "options.toml"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    n_sent = len(sent.sent())
    assert sent.resume() == 2
    assert "or not to its last line ('# end')" in capsys.readouterr().err
    assert len(sent.sent()) == n_sent
    # a task that begins meanwhile, and the group level
    sent.do(sent.arrays()[0], 1)
    assert not (sent.folder / "run.txt").exists()
    study = study_state(sent.out, read_submissions(sent.out))
    assert (study.tasks[0].state, study.tasks[0].sentence[:12]) == ("failed", "options.toml")
    group = next(one for one in sent.sent() if "gathers the tables" in one.text)
    (sent.folder / "group.sh").write_text(group.text)
    done = subprocess.run(
        ["bash", str(sent.folder / "group.sh")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "options.toml" in done.stdout) == (1, True)
    # as it was, all goes on
    path.write_bytes(content)
    assert sent.resume() == 0


def test_who_was_never_submitted_is_not_missing(sent: Cluster, capsys: Said) -> None:
    assert sent.resume("--participant-label", "99") == 2
    assert "no sub-99 was submitted into" in capsys.readouterr().err


def test_a_program_beside_the_user_is_found_from_everywhere(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = made(people=("01",))
    tool = tmp_path / "seg.sh"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    assert cluster.run("submit", "--wmh-command", "./seg.sh {flair} {out}") == 0
    options = read_submissions(cluster.out)[-1].folder / "options.toml"
    assert f'"{tmp_path}/seg.sh ' in options.read_text()


# ---- what schedulers say -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "102_1|FAILED|12|1.2.3K",
        "102_1|FAILED|12|.",
        "102_1|FAILED|²|3K",
        "102_1|FAILED|" + "9" * 30 + "|1e9K",
        "junk\n||||\n102_1",
        "102_1.batch|OUT_OF_ME|x|9G\n|||",
    ],
)
def test_an_account_of_nonsense_tells_nothing(sent: Cluster, capsys: Said, line: str) -> None:
    error = sent.folder / "sacct.err"
    kept = error.read_text()
    error.unlink()
    sent.answer("sacct", line + "\n")
    assert sent.run("status") == 1
    assert capsys.readouterr().err == ""
    sent.fail("sacct", kept)


def test_an_account_that_is_slow_costs_itself_alone(
    sent: Cluster, capsys: Said, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = subprocess.run

    def slow(words: list[str], **how: Any) -> Any:
        if words[0] == "sacct":
            raise subprocess.TimeoutExpired(words, 120)
        return run(words, **how)

    monkeypatch.setattr("wmhflow.cluster.scheduler.subprocess.run", slow)
    sent.answer("squeue", "102|1|RUNNING|None|1:00\n102|2|PENDING|None|1:00\n")
    assert sent.run("status") == 0
    assert "running      1" in capsys.readouterr().out
    assert "What tasks used is not known: sacct does not answer" in caplog.text
    # whoever runs can be ended
    assert sent.run("cancel") == 0


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        ("102|1|RUNNING\n", "unknown", "cannot be asked"),
        ("slurm_load_jobs error: none\n", "unknown", "cannot be asked"),
        ("\x00\xff\n", "unknown", "cannot be asked"),
        ("102|1|BRAND_NEW|None|1:00\n", "unknown", "a state that this program does not know"),
        ("102|1|REQUEUE_HOLD|None|1:00\n", "waiting", "None"),
        ("102|1|REQUEUE_FED|None|1:00\n", "waiting", "None"),
        ("102|1|POWER_UP_NODE|None|1:00\n", "waiting", "None"),
        ("102|1|RESIZING|None|1:00\n", "running", "None"),
        ("102|1|LAUNCH_FAILED|None|1:00\n", "lost", "its node failed"),
        ("102|[1-2%1]|PENDING|Priority|1:00\n", "waiting", "Priority"),
    ],
)
def test_nothing_is_concluded_from_what_is_not_understood(
    sent: Cluster, capsys: Said, answer: str, state: str, said: str
) -> None:
    sent.answer("squeue", answer)
    study = study_state(sent.out, read_submissions(sent.out))
    assert study.tasks[0].state == state
    assert said in study.tasks[0].sentence
    if state == "unknown":
        # nobody is sent again on a guess
        assert sent.run("submit", "--participant-label", "01") == 2
        assert "It is not known whether sub-01 still runs (" in capsys.readouterr().err


def test_a_group_level_that_was_refused_is_said(made: Made, capsys: Said) -> None:
    cluster = made(people=("01",))
    sbatch = cluster.folder / "programs" / "sbatch"
    kept = sbatch.read_text()
    sbatch.write_text(f'#!/bin/sh\ncase "$2" in *group.sh) echo no >&2; exit 1;; esac\n'
                      f'exec {sbatch}.real "$@"\n')  # fmt: skip
    real = sbatch.with_name("sbatch.real")
    real.write_text(kept)
    real.chmod(0o755)
    assert cluster.run("submit") == 1
    command = f"wmhflow {cluster.raw} {cluster.out} group"
    told = capsys.readouterr().err
    assert "All 1 tasks were sent, and only the group level was not" in told
    assert command in told
    cluster.do(cluster.arrays()[0], 1)
    assert cluster.run("status") == 0
    assert (
        f"The group level was not sent; when all have ended: {command}" in capsys.readouterr().out
    )


def test_what_is_said_of_the_group_level_is_known(sent: Cluster, capsys: Said) -> None:
    assert sent.run("status") == 1
    assert "The group level never began, and the scheduler does not" in capsys.readouterr().out
    sent.fail("squeue", "Unable to contact slurm controller")
    assert sent.run("status") == 0
    assert "The group level has an unknown state" in capsys.readouterr().out


def test_to_cancel_what_has_ended_is_said_so(made: Made, capsys: Said) -> None:
    cluster = made(people=("01", "02"))
    assert cluster.run("submit") == 0
    (array,) = cluster.arrays()
    cluster.do(array, 1)
    capsys.readouterr()
    assert cluster.run("cancel") == 0
    said = capsys.readouterr().out
    assert "Nobody waits or runs; 1 are done. To send the others again: " in said
    cluster.do(array, 2)
    assert cluster.run("cancel") == 0
    assert capsys.readouterr().out == "Nobody waits or runs; 2 are done.\n"


def test_a_partition_that_there_is_none_of_is_wrong(made: Made, capsys: Said) -> None:
    cluster = made(people=("01",))
    cluster.answer("sinfo", "main* 1:00:00\nlong 8:00:00\n")
    assert cluster.run("check", "--partition", "long") == 0
    assert cluster.run("check", "--partition", "main,lang") == 1
    assert "partition: there is no lang; there are main, long" in capsys.readouterr().out


def test_to_watch_goes_on_where_the_scheduler_is_busy_for_a_while(
    sent: Cluster, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent.answer("squeue", "102|[1-2]|PENDING|Priority|1:00\n")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            sent.fail("squeue", "Socket timed out")
        else:
            (sent.folder / "squeue.err").unlink()
            sent.answer("squeue", "102|[1-2]|CANCELLED|None|1:00\n")

    monkeypatch.setattr("wmhflow.cli.cluster.time", SimpleNamespace(sleep=sleep))
    assert sent.run("status", "--watch") == 1
    said = capsys.readouterr().out
    assert (len(slept), said.count("the last is")) == (2, 3)
    assert "Socket timed out" in said
    # one that never answered is not waited for
    sent.fail("squeue", "Socket timed out")
    assert sent.run("status", "--watch") == 0
    assert len(slept) == 2


# ---- what scripts meet ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("executor", "sign"),
    [("slurm", "#"), ("sge", ":"), ("sge", ","), ("pbs", ":"), ("pbs", ",")],
)
def test_a_path_that_a_scheduler_reads_otherwise_is_refused(
    made: Made, capsys: Said, executor: str, sign: str
) -> None:
    cluster = made(executor, people=("01",))
    cluster.out = cluster.folder / f"a{sign}b"
    assert cluster.run("submit") == 2
    assert f"has '{sign}' in its path" in capsys.readouterr().err
    assert not cluster.out.exists()
    assert set(HEADERS) == set(load_executors())


@pytest.mark.parametrize(
    ("executor", "text"),
    [
        ("slurm", "--output=/logs/%j.txt"),
        ("slurm", "--error /logs/%j.txt"),
        ("slurm", "-o/logs/%j.txt"),
        ("slurm", "-a1-3"),
        ("slurm", "--dependency=afterok:7"),
        ("sge", "-hold_jid 7"),
        ("pbs", "-W depend=afterok:7"),
        ("lsf", "-oo /logs/x"),
    ],
)
def test_an_option_by_which_tasks_are_found_is_not_given_twice(
    made: Made, capsys: Said, executor: str, text: str
) -> None:
    cluster = made(executor, people=("01",))
    assert cluster.run("submit", f"--sbatch={text}") == 2
    assert f"--sbatch {text}: the scripts have -" in capsys.readouterr().err
    assert cluster.sent() == []


@pytest.mark.parametrize("sign", [":", ","])
def test_a_path_that_no_container_can_mount_is_refused(made: Made, capsys: Said, sign: str) -> None:
    cluster = made(people=("01",))
    cluster.raw = cluster.raw.rename(cluster.folder / f"a{sign}b")
    assert cluster.run("submit", "--image", "docker://lab/wmhflow:1") == 2
    assert f"has '{sign}' in its path, which stands between" in capsys.readouterr().err
    assert cluster.run("submit") == 0


def test_names_of_a_dataset_are_quoted(made: Made) -> None:
    cluster = made(people=("01",))
    name = "raw \"q'; $(touch x) #\nb"
    cluster.raw = cluster.raw.rename(cluster.folder / name)
    assert cluster.run("submit") == 0
    cluster.do(cluster.arrays()[0], 1)
    assert f"wmhflow {cluster.folder}/{name} " in (cluster.folder / "run.txt").read_text()
    assert not (cluster.folder / "x").exists()
    assert cluster.run("status") == 0


@pytest.mark.parametrize(
    ("task", "said"),
    [("3", "has no line 3"), ("0", "has no line 0"), ("", "has no line 0"), ("1", "no line 1")],
)
def test_a_task_of_nobody_says_so(sent: Cluster, task: str, said: str) -> None:
    if task == "1":
        (folder_of(sent) / "labels.txt").unlink()
    (array,) = sent.arrays()[:1]
    script = sent.folder / "alone.sh"
    script.write_text(array.text)
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_JOB_ID": "102"}
    done = subprocess.run(
        ["bash", str(script)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.search(rf"wmhflow: labels.txt in .* {said}\.\n=== wmhflow task end 1: ", done.stdout)
    assert not (sent.folder / "run.txt").exists()


def test_a_node_without_a_name_is_no_reason_to_count_nobody(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = made(people=("01",))
    assert cluster.run("submit") == 0
    tools = cluster.folder / "tools"
    tools.mkdir()
    for name in ("bash", "sh", "date", "sed", "cat", "mkdir", "rm", "id"):
        (tools / name).symlink_to(shutil.which(name) or name)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tools))
        patch.delenv("HOSTNAME", raising=False)
        cluster.do(cluster.arrays()[0], 1)
    assert cluster.run("status") == 0


def test_a_visit_without_images_is_no_task(made: Made) -> None:
    cluster = made(people=())
    for name in ("sub-01/ses-a", "sub-01/ses-b", "sub-02/ses-a (1)", "sub-03/ses-a"):
        (cluster.raw / name / "func").mkdir(parents=True)
    for place in ("sub-01/ses-a/anat/sub-01_ses-a", "sub-04/ses-c/mr/sub-04_ses-c"):
        for suffix in ("T1w", "FLAIR"):
            save_image(cluster.raw / f"{place}_{suffix}.nii.gz", cube())
    assert cluster.run("submit", "--per", "visit") == 0
    (submission,) = read_submissions(cluster.out)
    # the one task of a person of whom no visit can be told says what is wrong
    names = ["sub-01 ses-a", "sub-02", "sub-03", "sub-04 ses-c"]
    assert sorted(task.name for task in submission.tasks) == names
