"""Many persons are planned by several processes, and it cannot be told from what comes out."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.builders import describe, save_image
from wmhflow.cli import planners
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.planners import ALONE, LEAST, plans_of
from wmhflow.cli.run import make_plans
from wmhflow.errors import UsageError
from wmhflow.plan.visit import ParticipantPlan, VisitPlan

PEOPLE = [f"{number:03d}" for number in range(LEAST + 40)]
ODD = PEOPLE[LEAST]
Plan = Callable[[str], ParticipantPlan]


def plan(subject: str) -> ParticipantPlan:
    logging.getLogger("wmhflow").warning("sub-%s is odd", subject)
    if subject == ODD:
        warnings.warn(f"sub-{subject} is new", UserWarning, stacklevel=1)
        try:
            raise ValueError("not planned")
        except ValueError:
            logging.getLogger("wmhflow").exception("sub-%s failed", subject)
    return ParticipantPlan(subject, (VisitPlan(subject, None, problem="odd"),))


def who(subject: str) -> ParticipantPlan:
    """Note which process planned."""
    return ParticipantPlan(subject, (VisitPlan(subject, None, problem=str(os.getpid())),))


def processes_of(plans: Iterator[ParticipantPlan]) -> set[int]:
    return {int(one.visits[0].problem or 0) for one in plans}


@pytest.fixture(autouse=True)
def _none_is_left() -> Iterator[None]:
    yield
    assert not multiprocessing.active_children()


def test_plans_and_what_is_said_are_the_same_whatever_the_number_of_processes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    came, said, shown = [], [], []
    for processes in (1, 2, 3):
        caplog.clear()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            came.append(list(plans_of(PEOPLE, plan, processes)))
        texts = [logging.Formatter().format(record).split("File")[0] for record in caplog.records]
        said.append(texts)
        shown.append([str(one.message) for one in warned])
    assert came[0] == came[1] == came[2]
    assert [one.subject for one in came[0]] == PEOPLE
    assert said[0] == said[1] == said[2]
    assert said[0][LEAST + 1].startswith(f"sub-{ODD} failed\nTraceback")
    assert shown == [[f"sub-{ODD} is new"]] * 3


def test_many_are_planned_by_others_and_few_are_not() -> None:
    assert len(processes_of(plans_of(PEOPLE, who, 3)) - {os.getpid()}) == 3
    assert processes_of(plans_of(PEOPLE[:LEAST], who, 3)) == {os.getpid()}
    assert processes_of(plans_of(PEOPLE, who, 1)) == {os.getpid()}


def test_a_process_with_threads_is_not_forked() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert processes_of(plans_of(PEOPLE, who, 3)) == {os.getpid()}
    finally:
        done.set()
        thread.join()


class OwnError(Exception):
    """An error that cannot be made again from its text alone."""

    def __init__(self, what: str, more: object) -> None:
        super().__init__(what)
        self.more = more


def fail(error: Exception, subject: str) -> ParticipantPlan:
    if subject == ODD:
        raise error
    return ParticipantPlan(subject, ())


@pytest.mark.parametrize("error", [UsageError("it is wrong"), OwnError("odd", lambda: 0)])
def test_an_error_is_raised_where_it_would_be_by_one_process(error: Exception) -> None:
    plans = plans_of(PEOPLE, partial(fail, error), 2)
    assert [one.subject for one in islice(plans, LEAST)] == PEOPLE[:LEAST]
    with pytest.raises(type(error), match=str(error)):
        next(plans)


def die(here: int, at: list[str], subject: str) -> ParticipantPlan:
    if subject in at and os.getpid() != here:
        os.kill(os.getpid(), signal.SIGKILL)
    return ParticipantPlan(subject, ())


@pytest.mark.parametrize("at", [[ODD], PEOPLE])
def test_a_process_that_is_killed_loses_nobody(
    at: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    came = [one.subject for one in plans_of(PEOPLE, partial(die, os.getpid(), at), 2)]
    assert came == PEOPLE
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (1 if at == [ODD] else 2)
    assert all("killed by signal 9" in text for text in said)


def test_who_stops_asking_leaves_no_process() -> None:
    plans = plans_of(PEOPLE, who, 2)
    for _ in range(ALONE + 1):
        next(plans)
    assert len(multiprocessing.active_children()) == 2
    plans.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()


@pytest.fixture
def _hears_interrupts() -> Iterator[None]:
    """Let this process, and those that it begins, hear SIGINT; what a shell puts aside is deaf."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_hears_interrupts")
def test_an_interrupt_while_processes_begin_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = planners._Planner

    def interrupted(*given: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return begin(*given)

    monkeypatch.setattr(planners, "_Planner", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(plans_of(PEOPLE, who, 2))
    assert not multiprocessing.active_children()


def test_no_more_is_planned_ahead_than_is_kept() -> None:
    count = multiprocessing.get_context("fork").Value("i", 0)

    def counted(subject: str) -> ParticipantPlan:
        with count.get_lock():
            count.value += 1
        return ParticipantPlan(subject, ())

    many = [str(number) for number in range(1000)]
    plans = plans_of(many, counted, 2)
    for _ in range(ALONE + 1):
        next(plans)
    time.sleep(0.3)
    assert count.value <= ALONE + planners.CHUNK * (2 * planners.AHEAD + 1)
    assert len(list(plans)) == 1000 - ALONE - 1


# ---- real plans ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of many: one of them has no image, one is damaged, one has odd names."""
    root = describe(tmp_path_factory.mktemp("many") / "raw")
    first = root / f"sub-{PEOPLE[0]}" / "anat" / f"sub-{PEOPLE[0]}_T1w.nii.gz"
    save_image(first)
    for subject in PEOPLE[1:]:
        folder = root / f"sub-{subject}" / "anat"
        folder.mkdir(parents=True)
        (folder / f"sub-{subject}_T1w.nii.gz").hardlink_to(first)
    (root / f"sub-{ODD}" / "anat" / f"sub-{ODD}_T1w.nii.gz").unlink()
    last = root / f"sub-{PEOPLE[-1]}" / "anat"
    (last / f"sub-{PEOPLE[-1]}_rubbish_FLAIR.nii.gz").write_bytes(b"")
    return root


def test_real_plans_are_the_same(people: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = [str(people), str(people.parent / "out"), "participant", "--nprocs"]
    came, said = [], []
    for processes in ("1", "2"):
        caplog.clear()
        came.append(list(make_plans(parse_settings([*words, processes]))))
        said.append([record.getMessage() for record in caplog.records])
    assert came[0] == came[1]
    assert [repr(one) for one in came[0]] == [repr(one) for one in came[1]]
    assert said[0] == said[1]
    assert any("rubbish" in text for text in said[0])
    assert "has no T1w and no FLAIR" in (came[0][LEAST].visits[0].problem or "")


def test_people_are_planned_in_the_order_that_is_given(people: Path) -> None:
    settings = parse_settings([str(people), "out", "participant", "--nprocs", "2"])
    order = PEOPLE[::-1]
    assert [one.subject for one in make_plans(settings, order)] == order


@pytest.mark.usefixtures("_hears_interrupts")
def test_an_interrupted_plan_says_one_sentence(people: Path, tmp_path: Path) -> None:
    root = describe(tmp_path / "raw")
    image = people / f"sub-{PEOPLE[0]}" / "anat" / f"sub-{PEOPLE[0]}_T1w.nii.gz"
    for number in range(1500):
        folder = root / f"sub-{number:04d}" / "anat"
        folder.mkdir(parents=True)
        (folder / f"sub-{number:04d}_T1w.nii.gz").hardlink_to(image)
    words = [str(root), str(tmp_path / "out"), "participant", "--dry-run", "--nprocs", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "wmhflow", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "sub-0000\n"
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (said, process.returncode) == (
        "wmhflow: interrupted; the same command goes on from here.\n", 130
    )  # fmt: skip
