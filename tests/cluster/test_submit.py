"""What is sent to a scheduler, and that nothing of it can change afterwards."""

from __future__ import annotations

import json
import math
import os
import random
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import pytest

from tests.schedulers import FREE, HEADERS, Cluster, make_cluster
from tests.stubs import make_program
from wmhflow.bids.writer import read_object
from wmhflow.cli.parser import parse_settings
from wmhflow.cluster.frozen import PAIRS, freeze, options_toml
from wmhflow.cluster.reading import read_submissions
from wmhflow.settings import GROUPS, build, iter_options, minutes_of, read_config_file

PEOPLE = ("01", "02", "03", "04", "bad5")
Made = Callable[..., Cluster]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    def make(executor: str = "slurm", people: tuple[str, ...] = PEOPLE) -> Cluster:
        return make_cluster(tmp_path, monkeypatch, executor, people)

    return make


@pytest.mark.acts("--executor", "--partition", "--account", "--time", "--sbatch", "--max-running")
@pytest.mark.parametrize("executor", HEADERS)
def test_every_scheduler_gets_what_it_reads(
    made: Made, executor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = made(executor)
    more = ["--partition", "long", "--account", "lab", "--time", "2:00:00", "--mem-gb", "6"]
    more += ["--nprocs", "3", "--max-running", "2", "--sbatch", FREE[executor]]
    assert cluster.run("submit", *more) == 0
    caches, array, group = cluster.sent()
    assert [one.array for one in (caches, array, group)] == [False, True, False]
    header = "\n".join(array.header)
    # 6 GB; SGE counts addresses, of each slot: those of three steps, the program and its server
    mb = "6144" if executor != "sge" else f"={math.ceil((6 + 5 * 0.85) * 1024 / 3)}M"
    for value in ("long", "lab", FREE[executor], mb, "101"):
        assert value in header
    assert ("120" if executor == "lsf" else "2:00:00") in header
    assert array.job in "\n".join(group.header)
    said = capsys.readouterr().out
    assert f"5 persons were sent to {executor} in 1 array" in said
    # the tasks themselves, as the scheduler would start them
    cluster.do(array, *cluster.all_tasks(array))
    assert cluster.run("status") == 1
    told = capsys.readouterr().out
    assert ["done", "4"] in [line.split() for line in told.splitlines()]
    assert "sub-bad5: sub-bad5 inputs: it is noise." in told
    assert cluster.resume() == 0
    assert cluster.all_tasks(cluster.arrays()[-1]) == range(1, 2)


def test_a_script_that_the_stand_in_does_not_know_is_refused(made: Made) -> None:
    cluster = made()
    assert cluster.run("submit", "--sbatch", "--unknown=1") == 1
    assert cluster.sent()[-1:] == []


def test_the_scripts_are_shown_and_nothing_is_written(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = made()
    assert cluster.run("submit", "--dry-run", "--shell-width", "1") == 0
    said = capsys.readouterr().out
    for part in ("caches.sh", "array.sh", "group.sh", "shell-width = 1.0", "--array=1-5"):
        assert part in said
    assert "--dependency=afterok:JOB_OF_CACHES" in said
    assert not cluster.out.exists()
    assert cluster.sent() == []


def test_what_is_shown_is_what_is_sent(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = made()
    assert cluster.run("submit", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert cluster.run("submit") == 0
    (submission,) = read_submissions(cluster.out)
    for sent in cluster.sent():
        body = sent.text.partition("\n\n")[2].replace(submission.id, "*")
        name = next(line for line in shown.splitlines() if "# ==== " in line).split("/")[-2]
        assert body in shown.replace(name, "*")


@pytest.mark.acts("--image")
@pytest.mark.parametrize(
    ("image", "runtime", "start"),
    [
        ("docker://lab/wmhflow:1", "apptainer", ["run", "--cleanenv", "--env"]),
        ("docker://lab/wmhflow:1", "singularity", ["run", "--cleanenv", "--env"]),
        ("lab/wmhflow:1", "podman", ["run", "--rm", "--network", "none"]),
    ],
)
def test_tasks_run_in_a_container_that_sees_what_they_need(
    made: Made, tmp_path: Path, image: str, runtime: str, start: list[str]
) -> None:
    cluster = made()
    code = (
        f"import json, sys; open({str(tmp_path / 'call')!r}, 'w').write(json.dumps(sys.argv[1:]))"
    )
    make_program(tmp_path / "programs", runtime, code)
    words = ["--image", image, "--participant-label", "01"]
    assert cluster.run("submit", *words, "--transform", "FA=/given/sub-{subject}/a.mat") == 0
    array, _ = cluster.sent()
    # its caches lie in the image: no job makes them
    assert array.array
    assert not any("dependency" in line for line in array.header)
    cluster.do(array, 1)
    words = json.loads((tmp_path / "call").read_text())
    assert words[: len(start)] == start
    assert f"{cluster.raw}:{cluster.raw}:ro" in words
    assert f"{cluster.out}:{cluster.out}:rw" in words
    assert "/given:/given:ro" in words
    after = words[words.index(image) + 1 :]
    assert after[:3] == [str(cluster.raw), str(cluster.out), "participant"]
    work = after[after.index("--work-dir") + 1].removesuffix("/steps")
    assert f"{work}:{work}:rw" in words


def test_an_image_that_is_not_there_is_refused(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = made()
    assert cluster.run("submit", "--image", "/none/wmhflow.sif") == 2
    assert "/none/wmhflow.sif does not exist" in capsys.readouterr().err


@pytest.mark.acts("--per")
def test_a_task_a_visit(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = made(people=("01",))
    for name in ("sub-02/ses-a", "sub-02/ses-b", "sub-03/ses-a"):
        (cluster.raw / name / "anat").mkdir(parents=True)
    assert cluster.run("submit", "--per", "visit") == 0
    (submission,) = read_submissions(cluster.out)
    # visits of one person wait for each other, so others stand between them
    names = ["sub-01", "sub-02 ses-a", "sub-03 ses-a", "sub-02 ses-b"]
    assert [task.name for task in submission.tasks] == names
    (array,) = cluster.arrays()
    cluster.do(array, *cluster.all_tasks(array))
    called = (cluster.folder / "run.txt").read_text()
    assert "--participant-label 02 --session-label b --wait-minutes" in called
    assert cluster.run("status") == 0
    assert "4 visits" in capsys.readouterr().out


def test_arrays_are_as_large_as_the_site_allows(made: Made) -> None:
    cluster = made(people=("01", "02"))
    for number in range(3, 12):
        (cluster.raw / f"sub-{number:02d}").mkdir()
    cluster.answer("scontrol", "MaxArraySize            = 5\n")
    assert cluster.run("submit", "--max-running", "3") == 0
    caches, *arrays, group = cluster.sent()
    assert [len(cluster.all_tasks(one)) for one in arrays] == [4, 4, 3]
    # so that no more than three run at once, each array follows the one before it
    waits = [one.option("--dependency=") for one in arrays]
    assert waits[0].startswith(f"afterok:{caches.job}")
    assert waits[1:] == [f"afterany:{arrays[0].job}", f"afterany:{arrays[1].job}"]
    assert group.option("--dependency=") == "afterany:" + ":".join(one.job for one in arrays)
    (submission,) = read_submissions(cluster.out)
    cluster.do(arrays[2], 3)
    assert "--participant-label 11" in (cluster.folder / "run.txt").read_text()
    assert [cut.first for cut in submission.cuts] == [0, 4, 8]


def test_labels_and_options_are_frozen(made: Made, tmp_path: Path) -> None:
    cluster = made()
    filters = tmp_path / "filters.json"
    filters.write_text('{"t1w": {"suffix": "T1w"}}')
    words = [
        "--bids-filter-file",
        str(filters),
        "--zones",
        "pv10",
        "pv12",
        "--cross",
        "zones:lobes",
    ]
    assert cluster.run("submit", *words) == 0
    filters.write_text("{")
    (cluster.raw / "sub-99").mkdir()
    (submission,) = read_submissions(cluster.out)
    assert [task.subject for task in submission.tasks] == list(PEOPLE)
    options = submission.folder / "options.toml"
    start = [str(cluster.raw), str(cluster.out), "participant", "--config-file", str(options)]
    settings = parse_settings(start)
    assert settings.regions.zones == ("pv10", "pv12")
    assert settings.regions.cross == (("zones", "lobes"),)
    copy = settings.inputs.bids_filter_file
    assert copy is not None
    assert json.loads(copy.read_text()) == {"t1w": {"suffix": "T1w"}}


def test_frozen_options_read_back_are_the_same(
    raw: Path, derivatives: Path, tmp_path: Path
) -> None:
    (tmp_path / "more.toml").write_text("")
    words = [str(raw), str(tmp_path / "out"), "participant", "-d", f"masks={derivatives}"]
    words += ["--maps", str(tmp_path / "more.toml"), "--wmh-labels", "1", "--tissue-guard", "1.5"]
    words += ["--atlas", "mine=/a b/é.nii.gz", "--wmh-command", "tool '{t1w}' \"x\" {flair} {out}"]
    words += [
        "--fill-holes",
        "--bullseye-layers",
        "3",
        "--registration-qc",
        "fail",
        "--write-graph",
    ]
    words += ["--cross", "zones:lobes", "--units", "MD=um^2/ms", "FA=1"]
    words += ["--transform", "FA=/x/sub-{subject}_0.mat", "CBF=[rel/{session}.txt,1]"]
    words += ["--session-label", "a", "--random-seed", "7", "-v", "--zeros", "data"]
    settings = parse_settings(words)
    folder = tmp_path / "frozen"
    frozen = freeze(settings, folder)
    options = read_config_file(folder / "options.toml")
    again = build(settings.bids_dir, settings.output_dir, "participant", options)
    assert again == frozen
    copy = frozen.inputs.maps
    assert replace(frozen.inputs, maps=settings.inputs.maps) == settings.inputs
    assert copy is not None
    assert copy.is_relative_to(folder)
    assert "participant" not in options_toml(settings)


def test_every_option_has_a_type_that_can_be_frozen() -> None:
    hints = {name: get_type_hints(group) for name, group in GROUPS.items()}
    words = " ".join(str(hints[group][entry.name]) for group, entry, _ in iter_options())
    kinds = set(re.findall(r"[A-Za-z][\w.]*", words)) - {"tuple", "class", "None"}
    named = {kind.rpartition(".")[2] for kind in kinds}
    assert named <= {"str", "int", "float", "bool", "Path", "NamedPath", "NamedTransform"}
    pairs = {
        entry.name
        for group, entry, _ in iter_options()
        if "tuple[tuple" in str(hints[group][entry.name])
    }
    assert pairs == set(PAIRS)


@pytest.mark.acts("--resume", "--grow")
def test_only_what_is_missing_is_sent_again(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = made(people=("01", "02", "bad3", "killed4", "worker5", "term6"))
    assert cluster.run("submit", "--mem-gb", "4", "--time", "60", "--shell-width", "1") == 0
    (array,) = cluster.arrays()
    cluster.do(array, *cluster.all_tasks(array))
    # who got SIGTERM had reached the time limit
    log = cluster.log_of(array, 5)
    log.write_text(log.read_text() + "slurmstepd: *** JOB 9 CANCELLED AT x DUE TO TIME LIMIT ***\n")
    assert cluster.run("status") == 1
    said = capsys.readouterr().out
    assert f"wmhflow submit {cluster.raw} {cluster.out} --resume --grow 1.5" in said
    assert cluster.resume("--grow", "2") == 0
    first, second = read_submissions(cluster.out)
    assert second.resumes == first.id
    asked = {
        task.subject: (cut.needs.mem_gb, cut.needs.minutes) for task, cut, _ in second.places()
    }
    plain = (4.0, 60)
    assert asked == {"bad3": plain, "killed4": plain, "worker5": (8.0, 60), "term6": (4.0, 120)}
    assert "shell-width = 1.0" in (second.folder / "options.toml").read_text()
    # the latest task of a person tells how far the person is
    assert cluster.run("status", "--json") == 1
    values = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["state"] for one in values["tasks"]][:2] == ["done", "done"]


def test_resuming_takes_the_frozen_options_alone(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = made(people=("01",))
    assert cluster.resume() == 70
    assert "Nothing was submitted" in capsys.readouterr().err
    assert cluster.run("submit") == 0
    assert cluster.resume("--zones", "pv10") == 2
    assert "leave out --zones" in capsys.readouterr().err
    cluster.do(cluster.arrays()[0], 1)
    assert cluster.resume() == 70
    assert "Nothing is missing" in capsys.readouterr().err


def test_nobody_is_sent_twice_at_once(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = made(people=("01", "02", "03"))
    assert cluster.run("submit", "--participant-label", "01", "02") == 0
    (array,) = cluster.arrays()
    cluster.answer("squeue", f"{array.job}|1|RUNNING|None|1:00\n{array.job}|2|PENDING|None|1:00\n")
    assert cluster.run("submit") == 2
    said = capsys.readouterr().err
    assert "2 of them are waiting already" in said or "2 of them are running already" in said
    assert read_submissions(cluster.out)[0].id in said
    # somebody else can be
    assert cluster.run("submit", "--participant-label", "03") == 0
    assert cluster.run("submit", "--per", "visit", "--participant-label", "01") == 2


def test_what_the_scheduler_refuses_is_said_and_the_rest_sent_later(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = made(people=("01",))
    (cluster.folder / "refuse").touch()
    assert cluster.run("submit") == 1
    assert "invalid account or partition" in capsys.readouterr().err
    (cluster.folder / "refuse").unlink()
    assert cluster.run("status") == 1
    assert "it was never sent" in capsys.readouterr().out
    assert cluster.resume() == 0
    (array,) = cluster.arrays()
    cluster.do(array, 1)
    assert cluster.run("status") == 0


def test_without_the_schedulers_programs_nothing_begins(
    made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = made(people=("01",))
    monkeypatch.setenv("PATH", "/nowhere")
    assert cluster.run("submit") == 127
    assert "sbatch is not installed or not on PATH" in capsys.readouterr().err
    assert not cluster.out.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--time", "60:00"], "write minutes, H:MM:SS or D-HH:MM:SS"),
        (["--sbatch=qos"], "is no option of a scheduler"),
        (["--sbatch=--qos=a\nrm -rf /"], "is no option of a scheduler"),
        (["--partition", "a b"], "is no name that a scheduler knows"),
        (["--executor", "cron"], "invalid choice"),
        (["--max-running", "0"], "cannot be meant"),
        (["--session-label", "x"], "none of the persons has a ses-x"),
        (["--participant-label", "77"], "has no sub-77"),
        (["--exectuor", "slurm"], "--executor seems to be meant (see wmhflow submit --help)"),
        (["--boilerplate-only"], "processes nobody, so that nothing is sent"),
        (["--maps", "/"], "--maps / is a folder; name the file"),
    ],
)
def test_wrong_use_is_said_in_a_sentence(
    made: Made, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = made(people=("01",))
    assert cluster.run("submit", *words) == 2
    assert sentence in capsys.readouterr().err
    assert cluster.sent() == []


def test_a_path_that_no_header_can_hold_is_refused(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = made(people=("01",))
    cluster.out = cluster.folder / "my out"
    assert cluster.run("submit") == 2
    assert "has ' ' in its path" in capsys.readouterr().err


def test_options_of_a_submission_can_stand_in_a_file(made: Made) -> None:
    cluster = made(people=("01",))
    path = cluster.folder / "cluster.toml"
    path.write_text(
        '[submission]\npartition = "long"\ntime = "1:00:00"\n[regions]\nzones = "pv10"\n'
    )
    assert cluster.run("submit", "--config-file", str(path)) == 0
    (array,) = cluster.arrays()
    assert array.option("--partition=") == "long"
    assert array.option("--time=") == "1:00:00"


def test_a_time_limit_is_read_as_schedulers_write_it() -> None:
    assert [minutes_of(text) for text in ("5", "0:00:01", "1-00:00:00")] == [5, 1, 1440]


def test_work_on_the_node_goes_when_a_person_is_done_and_stays_otherwise(made: Made) -> None:
    cluster = made(people=("01", "bad2"))
    assert cluster.run("submit") == 0
    (array,) = cluster.arrays()
    cluster.do(array, 1, 2)
    left = [path.name for path in cluster.folder.glob("wmhflow-*/sub-*")]
    assert left == ["sub-bad2"]


def test_a_folder_of_the_node_can_be_chosen(
    made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster = made(people=("01", "bad2"))
    # where one stands does not matter: nothing is written there
    monkeypatch.chdir(cluster.raw)
    assert cluster.run("submit", "--work-dir", str(tmp_path / "node")) == 0
    cluster.do(cluster.arrays()[0], 1, 2)
    assert [path.name for path in (tmp_path / "node").glob("wmhflow-*/*")] == ["sub-bad2"]
    assert cluster.resume() == 0
    assert f"scratch={tmp_path / 'node'}" in cluster.arrays()[-1].text
    assert cluster.run("check", "--work-dir", str(cluster.raw / "w")) == 2


@pytest.mark.slow
def test_ten_thousand_are_sent_in_ten_seconds(made: Made) -> None:
    cluster = made(people=("0", "99999"))
    for number in range(1, 9999):
        os.mkdir(cluster.raw / f"sub-{number:05d}")  # noqa: PTH102 - of thousands
    begun = os.times()
    assert cluster.run("submit") == 0
    # of processors, the stand-ins' own included: a machine that is busy otherwise takes longer
    seconds = sum(os.times()[:4]) - sum(begun[:4])
    arrays = cluster.arrays()
    assert sum(len(cluster.all_tasks(one)) for one in arrays) == 10_000
    assert len(arrays) == 10
    assert len(cluster.sent()) == 12
    assert seconds < 10


def test_the_scripts_are_plain_shell(made: Made) -> None:
    cluster = made()
    assert cluster.run("submit") == 0
    (submission,) = read_submissions(cluster.out)
    for path in submission.folder.glob("*.sh"):
        done = subprocess.run(["bash", "-n", str(path)], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert os.access(path, os.X_OK)
    assert read_object(submission.folder / "submission.json")["executor"] == "slurm"


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 51))]
)
def test_whoever_is_killed_is_sent_again_until_all_are_done(made: Made, seed: int) -> None:
    fate = random.Random(seed)
    people = ("01", "02", "03", "04")
    cluster = made(people=people)
    assert cluster.run("submit") == 0
    for _ in range(40):
        array = cluster.arrays()[-1]
        submission = read_submissions(cluster.out)[-1]
        assert cluster.all_tasks(array) == range(1, len(submission.tasks) + 1)
        for number, task in enumerate(submission.tasks, start=1):
            mark = cluster.folder / f"kill-{task.subject}"
            mark.unlink(missing_ok=True)
            what = fate.choice(("never begins", "is killed", "ends"))
            if what == "is killed":
                mark.touch()
            if what != "never begins":
                cluster.do(array, number)
        code = cluster.resume()
        if code == 70:
            break
        assert code == 0
    # nobody was lost, and nobody processed again who was done
    assert sorted((cluster.folder / "ended.txt").read_text().split()) == list(people)
    assert cluster.run("status") == 0
