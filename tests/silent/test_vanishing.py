"""An input that goes or changes while a run lasts costs its person a sentence, and nobody else."""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import cube, describe, save_image
from tests.cli.test_run import Run
from wmhflow.cli.main import main
from wmhflow.errors import InputError
from wmhflow.files.checksums import checksum
from wmhflow.plan.visit import ParticipantPlan
from wmhflow.steps.adapter import interface_of
from wmhflow.steps.images import prepare_image

Harm = Callable[[Path], object]
PERSONS = ("01", "02", "03")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    root = describe(tmp_path / "raw")
    for number, person in enumerate(PERSONS):
        for suffix, value in (("T1w", 100), ("FLAIR", 70)):
            name = f"sub-{person}_{suffix}.nii.gz"
            save_image(root / f"sub-{person}" / "anat" / name, cube(value + number))
    return root


class Meddled(Run):
    """A run in which something happens to the second person at one moment."""

    def __init__(self, people: Path, monkeypatch: pytest.MonkeyPatch, when: str, harm: Harm):
        self.when, self.harm, self.people = when, harm, people
        super().__init__(people.parent / "out", monkeypatch)

    def _happens(self, when: str, subject: str) -> None:
        if when == self.when and subject == "02":
            self.harm(self.people / "sub-02" / "anat" / "sub-02_FLAIR.nii.gz")

    def _plan(self, plan: Any, query: Any, subject: str, *given: Any) -> ParticipantPlan:
        planned = super()._plan(plan, query, subject, *given)
        self._happens("planned", subject)
        return planned

    def _build(self, plans: Any, *given: Any) -> Any:
        for plan in plans:
            self._happens("built", plan.subject)
        return super()._build(plans, *given)

    def _write(self, plan: ParticipantPlan, on_step: Any) -> None:
        self._happens("judged", plan.subject)
        super()._write(plan, on_step)


def words(people: Path) -> list[str]:
    folder = people.parent
    return [str(people), str(folder / "out"), "participant", "-w", str(folder / "work")]


def recorded(people: Path) -> list[str]:
    return sorted(path.parent.name for path in (people.parent / "out").rglob("record.json"))


def other_values(path: Path) -> None:
    """Write another image of the same length in the same second, as a program that repairs does."""
    facts = path.stat()
    save_image(path, cube(71) + 7)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def link_that_breaks(path: Path) -> None:
    path.unlink()
    path.symlink_to("gone")


HARMS: list[tuple[str, Harm, str]] = [
    ("gone", Path.unlink, "does not exist"),
    ("its folder gone", lambda path: shutil.rmtree(path.parent), "does not exist"),
    ("a broken link", link_that_breaks, "does not exist|not fetched"),
    ("a folder", lambda path: (path.unlink(), path.mkdir()), "a folder where a file is meant"),
    ("empty", lambda path: path.write_bytes(b""), "is empty|changed"),
    ("cut", lambda path: os.truncate(path, 100), "cannot be read to its end|changed"),
    ("another", lambda path: save_image(path, cube(50)), "changed while it was processed"),
    ("another, as old", other_values, "changed while it was processed"),
]


@pytest.mark.parametrize("when", ["planned", "built", "judged"])
@pytest.mark.parametrize(("what", "harm", "said"), HARMS)
def test_the_others_are_recorded_and_it_is_said(
    people: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    what: str,
    harm: Harm,
    said: str,
    when: str,
) -> None:
    Meddled(people, monkeypatch, when, harm)
    work = people.parent / "work" / "wf" / "sub_02_wf"
    work.mkdir(parents=True)
    code = main(words(people))
    lines = [line for line in capsys.readouterr().err.splitlines() if "FAILED" in line]
    if when == "planned" and "another" in what:
        # nothing was read yet but where it lies: the new one is used, and recorded
        assert code == 0
        assert recorded(people) == ["sub-01", "sub-02", "sub-03"]
        return
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("sub-02 FAILED: ")
    assert "sub-02_" in lines[0]
    assert re.search(said, lines[0])
    assert recorded(people) == ["sub-01", "sub-03"]


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: save_image(path, cube(50))])
def test_the_same_command_does_what_is_left(
    people: Path, monkeypatch: pytest.MonkeyPatch, harm: Harm
) -> None:
    flair = people / "sub-02" / "anat" / "sub-02_FLAIR.nii.gz"
    content = flair.read_bytes()
    with monkeypatch.context() as patch:
        Meddled(people, patch, "judged", harm)
        assert main(words(people)) == 1
    flair.write_bytes(content)
    with monkeypatch.context() as patch:
        later = Run(people.parent / "out", patch)
        assert main(words(people)) == 0
    assert later.batches == [["02"]]
    record = people.parent / "out" / "logs" / "sub-02" / "record.json"
    found = json.loads(record.read_text())["inputs"]
    assert found["bids:raw:sub-02/anat/sub-02_FLAIR.nii.gz"] == checksum(flair)


def test_a_finished_person_whose_input_is_gone_is_not_finished(
    people: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        Run(people.parent / "out", patch)
        assert main(words(people)) == 0
    with monkeypatch.context() as patch:
        Meddled(people, patch, "planned", Path.unlink)
        assert main(words(people)) == 1
    assert "sub-02_FLAIR.nii.gz does not exist" in capsys.readouterr().err
    assert recorded(people) == ["sub-01", "sub-02", "sub-03"]


def test_a_step_is_asked_for_and_begun_though_its_file_is_gone(tmp_path: Path) -> None:
    path = save_image(tmp_path / "a.nii.gz", np.ones((8, 9, 10)))
    interface = interface_of(prepare_image)
    interface.inputs.in_file = str(path)
    before = interface.inputs.get_hashval(hash_method="content")[1]
    path.unlink()
    # what the scheduler does with the step, in the process of all persons
    sent = pickle.loads(pickle.dumps(copy.deepcopy(interface)))
    assert sent.inputs.get_hashval(hash_method="content")[1] != before
    with pytest.raises(InputError, match=r"a\.nii\.gz does not exist"):
        sent.run(cwd=str(tmp_path))


def test_what_a_file_holds_is_known_anew_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    before = checksum(path)
    other = tmp_path / "b"
    other.write_text("two")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert checksum(path) != before
    path.unlink()
    with pytest.raises(InputError, match="a does not exist"):
        checksum(path)
