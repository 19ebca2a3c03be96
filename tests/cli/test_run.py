"""People are planned when their turn comes, run in batches, and every batch's end is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.builders import describe, save_image
from wmhflow.cli import run
from wmhflow.cli.batches import LEAST_BATCH
from wmhflow.cli.main import main
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.progress import Progress
from wmhflow.cli.run import make_plans
from wmhflow.errors import InputError, UsageError
from wmhflow.plan.judging import judge_visit, judged
from wmhflow.plan.visit import ParticipantPlan
from wmhflow.products.writing import with_writing
from wmhflow.workflows import execute, study
from wmhflow.workflows.plugin import Failure
from wmhflow.workflows.units import units_of

N_PERSONS = 2 * LEAST_BATCH + 3


@pytest.fixture
def people(tmp_path: Path) -> Path:
    root = describe(tmp_path / "raw")
    for number in range(1, N_PERSONS + 1):
        for suffix, value in (("T1w", 100), ("FLAIR", 70)):
            data = np.zeros((8, 9, 10))
            data[2:6, 2:6, 2:6] = value + number
            name = f"sub-{number:02d}_{suffix}.nii.gz"
            save_image(root / f"sub-{number:02d}" / "anat" / name, data)
    return root


def words(people: Path, *more: str) -> list[str]:
    folder = people.parent
    start = [str(people), str(folder / "out"), "participant", "-w", str(folder / "work")]
    return [*start, "--nprocs", "1", *more]


class Run:
    """Stands for the graph: notes who is planned and run, and keeps promises or breaks them."""

    def __init__(self, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.out = out
        self.events: list[str] = []
        self.batches: list[list[str]] = []
        self.shared_by: set[str | None] = set()
        self.fails: set[str] = set()
        plan = run.plan_participant
        monkeypatch.setattr(run, "plan_participant", lambda *given: self._plan(plan, *given))
        monkeypatch.setattr(run, "judged", self._judge)
        monkeypatch.setattr(study, "init_study_wf", self._build)
        monkeypatch.setattr(execute, "execute", self._execute)

    def _plan(self, plan: Any, query: Any, subject: str, *given: Any) -> ParticipantPlan:
        self.events.append(f"plan {subject}")
        return plan(query, subject, *given)

    def _judge(self, plan: ParticipantPlan) -> ParticipantPlan:
        self.events.append(f"judge {plan.subject}")
        return judged(plan)

    def _build(
        self, plans: Sequence[ParticipantPlan], settings: Any, _logs: Any, first: str
    ) -> Any:
        self.plans, self.settings = plans, settings
        self.shared_by.add(first)
        names = [f"sub_{plan.subject}_wf.zones" for plan in plans]
        return SimpleNamespace(name="wf", base_dir="work", list_node_names=lambda: names)

    def _execute(self, _wf: Any, _settings: Any, _resources: Any, on_step: Any, _log: Any) -> Any:
        self.batches.append([plan.subject for plan in self.plans])
        self.events.append(f"run {len(self.batches)}")
        failures = []
        for plan in self.plans:
            if plan.subject in self.fails:
                failures.append(Failure(f"wf.sub_{plan.subject}_wf.zones", "it failed"))
                continue
            self.events.append(f"judge {plan.subject}")
            try:
                for visit in plan.visits:
                    judge_visit(visit)
            except InputError as error:
                failures.append(Failure(f"wf.sub_{plan.subject}_wf.visit_wf.inputs", str(error)))
                continue
            self._write(plan, on_step)
        return failures

    def _write(self, plan: ParticipantPlan, on_step: Any) -> None:
        for unit in units_of(plan, self.settings):
            for path in unit.files:
                self._keep(path)
            folder = ".".join([study.study_name(self.settings), *unit.folders])
            for recipe in with_writing(unit, self.settings).recipes:
                on_step(SimpleNamespace(fullname=f"{folder}.{recipe.name}"), "end")

    def _keep(self, path: PurePosixPath) -> None:
        (self.out / path).parent.mkdir(parents=True, exist_ok=True)
        (self.out / path).touch()


@pytest.fixture
def fake(people: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(people.parent / "out", monkeypatch)


def test_the_first_batch_runs_before_the_next_is_planned(
    people: Path, fake: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(people)) == 0
    assert list(map(len, fake.batches)) == [LEAST_BATCH, LEAST_BATCH, 3]
    everybody = [f"{number:02d}" for number in range(1, N_PERSONS + 1)]
    assert [one for batch in fake.batches for one in batch] == everybody
    assert fake.events.index("run 1") < fake.events.index(f"plan {LEAST_BATCH + 1:02d}")
    # what all share is computed in the first batch and found again by its name
    assert fake.shared_by == {"01"}
    said = capsys.readouterr().out
    assert "batch 3: 3 of 3 persons" in said
    assert f"{N_PERSONS} of {N_PERSONS} persons done" in said


def test_a_second_run_judges_and_runs_only_what_is_left(people: Path, fake: Run) -> None:
    assert main(words(people)) == 0
    (fake.out / "sub-03.html").unlink()
    fake.events.clear()
    fake.batches.clear()
    assert main(words(people)) == 0
    assert fake.batches == [["03"]]
    assert [event for event in fake.events if "judge" in event] == ["judge 03"]


def test_a_failure_in_one_batch_does_not_stop_the_next(
    people: Path, fake: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fails = {"02"}
    save_image(people / "sub-05" / "anat" / "sub-05_T1w.nii.gz", np.zeros((8, 9, 10)))
    assert main(words(people)) == 1
    assert sum(map(len, fake.batches)) == N_PERSONS
    said = capsys.readouterr().err
    assert "sub-02 FAILED: sub-02 zones: it failed (traceback in" in said
    assert "sub-05_T1w.nii.gz holds no value other than 0" in said
    assert said.strip().endswith(f"2 of {N_PERSONS} persons failed.")


def test_the_first_crash_stops_all_batches_if_asked(
    people: Path, fake: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.fails = {"02"}
    assert main(words(people, "--stop-on-first-crash")) == 1
    assert len(fake.batches) == 1
    said = capsys.readouterr().err
    left = N_PERSONS - LEAST_BATCH
    assert said.count("promised files were not written") == left
    assert said.strip().endswith(f"{left + 1} of {N_PERSONS} persons failed.")


def test_values_are_checked_before_anything_runs_if_asked(
    people: Path, fake: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    last = f"{N_PERSONS:02d}"
    save_image(people / f"sub-{last}" / "anat" / f"sub-{last}_FLAIR.nii.gz", np.zeros((8, 9, 10)))
    assert main(words(people, "--check-values")) == 1
    assert fake.events.index("run 1") > fake.events.index(f"judge {last}")
    assert sum(map(len, fake.batches)) == N_PERSONS - 1
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"sub-{last} cannot be processed: ")
    assert said[-2].startswith(f"sub-{last} FAILED: ")


def test_plans_come_one_by_one(people: Path, fake: Run) -> None:
    plans = make_plans(parse_settings(words(people)))
    assert fake.events == []
    assert next(plans).subject == "01"
    assert fake.events == ["plan 01"]
    assert len(list(plans)) == N_PERSONS - 1


def test_a_visit_is_looked_for_until_one_person_has_it(people: Path, fake: Run) -> None:
    save_image(people / "sub-02" / "ses-x" / "anat" / "sub-02_ses-x_T1w.nii.gz")
    settings = parse_settings(words(people, "--session-label", "x"))
    assert [plan.subject for plan in make_plans(settings)] == ["02"]
    with pytest.raises(UsageError, match="none of the persons has a ses-y"):
        make_plans(parse_settings(words(people, "--session-label", "x", "y")))
    assert len([event for event in fake.events if "plan" in event]) == N_PERSONS


def test_a_persons_folder_that_cannot_be_read_is_the_persons_problem(
    people: Path, fake: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = run.os.scandir

    def guarded(path: Any) -> Any:
        if str(path).endswith("sub-01/anat"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(run.os, "scandir", guarded)
    plans = list(make_plans(parse_settings(words(people))))
    problems = {plan.subject: plan.visits[0].problem for plan in plans}
    assert "sub-01/anat cannot be read" in (problems.pop("01") or "")
    assert set(problems.values()) == {None}


def test_a_batch_says_which_it_is() -> None:
    assert "] 0 of 1 persons" in Progress({"sub-01": 2}).line()
    assert "] batch 2: 0 of 1 persons" in Progress({"sub-01": 2}, "batch 2: ").line()


# ---- how it is said ------------------------------------------------------------------------------


def few(people: Path, *more: str) -> list[str]:
    return words(people, "--participant-label", "01", "02", "03", *more)


def objects(text: str) -> list[dict[str, Any]]:
    """Read lines of JSON, each an object of its own."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.acts("--quiet")
def test_quiet_says_errors_alone(
    people: Path, fake: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(few(people, "--quiet")) == 0
    assert capfd.readouterr() == ("", "")
    fake.fails.add("02")
    (fake.out / "sub-02.html").unlink()
    assert main(few(people, "--quiet")) == 1
    said = capfd.readouterr()
    assert said.out == ""
    first, last = said.err.splitlines()
    assert first.startswith("sub-02 FAILED: sub-02 zones: it failed")
    assert last == "1 of 3 persons failed."
    # a plan is what was asked for
    assert main(few(people, "--quiet", "--dry-run")) == 0
    assert "sub-01" in capfd.readouterr().out


@pytest.mark.acts("--log-json")
def test_every_line_of_json_parses_and_the_last_says_how_it_ended(
    people: Path, fake: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.fails.add("02")
    assert main(few(people, "--log-json")) == 1
    said = capfd.readouterr()
    assert said.err == ""
    lines = objects(said.out)
    for line in lines:
        assert {"time", "level", "person", "step", "message"} <= set(line)
        assert datetime.fromisoformat(line["time"]).tzinfo is not None
        assert line["level"] in ("debug", "info", "warning", "error")
    steps = [line for line in lines if line["step"] == "inputs"]
    assert {(line["person"], line["state"]) for line in steps} == {
        ("sub-01", "ended"), ("sub-03", "ended"),
    }  # fmt: skip
    (failed,) = [line for line in lines if "FAILED" in line["message"]]
    assert (failed["level"], failed["person"]) == ("error", "sub-02")
    counted = [line for line in lines if "total" in line][-1]
    assert counted["done"] > 0
    last = lines[-1]
    assert (last["level"], last["state"], last["exit_code"]) == ("error", "failed", 1)


@pytest.mark.parametrize(
    ("more", "code", "state"),
    [
        (("--participant-label", "01"), 0, "done"),
        (("--participant-label", "01", "--dry-run"), 0, "done"),
        (("--participant-label", "99"), 2, "wrong use"),
        (("-d", "maps=/there/is/none"), 2, "wrong use"),
    ],
)
def test_json_says_every_end(
    people: Path, fake: Run, capfd: pytest.CaptureFixture[str], more: tuple[str, ...], code: int,
    state: str,
) -> None:  # fmt: skip
    assert main(words(people, "--log-json", *more)) == code
    said = capfd.readouterr()
    last = objects(said.out)[-1]
    assert (last["exit_code"], last["state"]) == (code, state)
    assert said.err == ""


def test_what_nobody_foresaw_is_json_too(
    people: Path, fake: Run, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("nobody foresaw this")

    monkeypatch.setattr(execute, "execute", fail)
    assert main(few(people, "--log-json")) == 1
    lines = objects(capfd.readouterr().out)
    assert "nobody foresaw this" in lines[-2]["message"]
    assert lines[-1]["exit_code"] == 1


@pytest.mark.parametrize("more", [("--quiet", "-v"), ("--quiet", "--log-json")])
def test_ways_of_saying_that_contradict_each_other_are_refused(
    people: Path, more: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words(people, *more)) == 2
    assert "choose one of them" in capfd.readouterr().err


def test_messages_of_workers_come_as_the_user_wants(capfd: pytest.CaptureFixture[str]) -> None:
    """A process of its own says them; those of a quiet run are errors alone."""
    text = (
        "import logging, sys; from wmhflow.files.messages import start_messages; "
        "start_messages(sys.argv[1], 0, '%(message)s'); log = logging.getLogger('wmhflow'); "
        "log.warning('sub-01: a warning'); log.error('an error'); log.info('no'); "
    )
    for how, said in (("plain", "sub-01: a warning\nan error\n"), ("quiet", "an error\n")):
        subprocess.run([sys.executable, "-c", text, how], check=True)
        assert capfd.readouterr() == ("", said)
    subprocess.run([sys.executable, "-c", text, "json"], check=True)
    told = [(line["level"], line["person"], line["message"]) for line in
            objects(capfd.readouterr().out)]  # fmt: skip
    assert told == [("warning", "sub-01", "sub-01: a warning"), ("error", None, "an error")]
