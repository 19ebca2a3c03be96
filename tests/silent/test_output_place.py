"""Where outputs may lie, and that nothing is ever written into BIDS_DIR or a given dataset."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.builders import cube, describe, save_image
from wmhflow.cli.main import main
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.places import check_own_folder, check_places
from wmhflow.errors import InputError, UsageError
from wmhflow.products.dataset import write_dataset_files


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A raw dataset, a given one, and an earlier output in the raw one's derivatives."""
    raw = describe(tmp_path / "raw")
    for suffix, value in (("T1w", 100), ("FLAIR", 70)):
        save_image(raw / "sub-01" / "anat" / f"sub-01_{suffix}.nii.gz", cube(value))
    for folder in (raw / "sub-02", raw / "derivatives" / "fmriprep" / "sub-01", tmp_path / "free"):
        folder.mkdir(parents=True)
    maker = [{"Name": "fMRIPrep"}]
    describe(raw / "derivatives" / "fmriprep", DatasetType="derivative", GeneratedBy=maker)
    describe(tmp_path / "masks", DatasetType="derivative", GeneratedBy=[{"Name": "by hand"}])
    (tmp_path / "masks" / "sub-01").mkdir()
    return tmp_path


def check(study: Path, out: str | Path, *more: str, work: str = "free/work") -> None:
    words = [str(study / "raw"), str(study / out), "participant", "-d", f"masks={study / 'masks'}"]
    check_places(parse_settings([*words, "-w", str(study / work), *more]))


def link(study: Path, name: str, target: str) -> str:
    (study / name).symlink_to(target)
    return name


def _file(study: Path) -> str:
    (study / "file").write_text("")
    return "file"


REFUSED: dict[str, tuple[Callable[[Path], str], str]] = {
    "the input": (lambda _: "raw", "is one of the input datasets"),
    "the input by ..": (lambda _: "free/../raw", "is one of the input datasets"),
    "the input by a link": (lambda s: link(s, "l", "raw"), "is one of the input datasets"),
    "a given one": (lambda _: "masks", "is one of the input datasets"),
    "in a given one": (lambda _: "masks/wmhflow", "inside an input dataset"),
    "in the input": (lambda _: "raw/wmhflow", "inside an input dataset"),
    "sourcedata": (lambda _: "raw/sourcedata/out", "inside an input dataset"),
    "code": (lambda _: "raw/code", "inside an input dataset"),
    "a link into it": (lambda s: link(s, "l", "raw/code") + "/out", "inside an input dataset"),
    "a person": (lambda _: "raw/sub-02", "inside an input dataset"),
    "in a person": (lambda _: "raw/sub-02/out", "inside an input dataset"),
    "back by ..": (lambda _: "raw/derivatives/../x", "inside an input dataset"),
    "other's person": (lambda _: "raw/derivatives/fmriprep/sub-01/x", "inside a person's folder"),
    "another dataset": (lambda _: "raw/derivatives/fmriprep", "is another dataset"),
    "another, by a link": (
        lambda s: link(s, "l", "raw/derivatives/fmriprep"), "is another dataset"
    ),
    "a link to itself": (lambda s: link(s, "l", "l"), "leads nowhere|is a file"),
    "a file": (lambda _: "raw/dataset_description.json/out", "inside an input dataset"),
    "a file elsewhere": (_file, "is a file"),
}  # fmt: skip
ALLOWED: dict[str, Callable[[Path], str]] = {
    "beside": lambda _: "out",
    "the BIDS way": lambda _: "raw/derivatives/wmhflow",
    "the BIDS way, by ..": lambda _: "free/../raw/derivatives/wmhflow",
    "the BIDS way, by a link": lambda s: link(s, "l", "raw/derivatives") + "/wmhflow",
    "below it": lambda _: "raw/derivatives/a/wmhflow",
    "named like a person": lambda _: "sub-studies/out",
    "named like the input": lambda _: "raw2",
    "around": lambda _: ".",
}


@pytest.mark.parametrize(("where", "said"), REFUSED.values(), ids=REFUSED)
def test_places_that_are_refused(study: Path, where: Callable[[Path], str], said: str) -> None:
    before = sorted(study.rglob("*"))
    out = where(study)
    with pytest.raises(UsageError, match=said) as caught:
        check(study, out)
    assert "\n" not in str(caught.value)
    assert set(study.rglob("*")) - set(before) <= {study / "l", study / "file"}


@pytest.mark.parametrize("where", ALLOWED.values(), ids=ALLOWED)
def test_places_that_are_allowed(study: Path, where: Callable[[Path], str]) -> None:
    check(study, where(study))


DESCRIPTIONS: dict[str, tuple[Any, str | None]] = {
    "ours": ({"Name": "x", "GeneratedBy": [{"Name": "wmhflow"}]}, None),
    "ours among others": ({"GeneratedBy": [{"Name": "a"}, {"Name": "wmhflow"}]}, None),
    "of nobody": ({"Name": "theirs", "BIDSVersion": "1.9"}, "another dataset .'theirs'"),
    "without a name": ({}, "another dataset"),
    "of another": ({"GeneratedBy": [{"Name": "fMRIPrep"}]}, "another dataset"),
    "like ours": ({"GeneratedBy": [{"Name": "wmhflow2"}]}, "another dataset"),
    "a text": ({"GeneratedBy": "wmhflow"}, "another dataset"),
    "texts": ({"GeneratedBy": ["wmhflow"]}, "another dataset"),
    "null": ({"GeneratedBy": None}, "another dataset"),
    "an object": ({"GeneratedBy": {"Name": "wmhflow"}}, "another dataset"),
}


@pytest.mark.parametrize("level", ["participant", "group"])
@pytest.mark.parametrize(("content", "said"), DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_whose_dataset_the_output_folder_is(
    study: Path, content: Any, said: str | None, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = study / "out"
    out.mkdir()
    (out / "dataset_description.json").write_text(json.dumps(content))
    if said is None:
        check(study, "out")
        return
    with pytest.raises(UsageError, match=said):
        check(study, "out")
    assert main([str(study / "raw"), str(out), level, "-w", str(study / "free/w")]) == 2
    assert "another dataset" in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ["dataset_description.json"]


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[]", b"[" * 100_000])
@pytest.mark.parametrize(
    ("name", "is_ours"),
    [("sub-01/anat/x", False), ("README", False), ("participants.tsv", False), ("x", True),
     ("logs/sub-01/record.json", True), ("logs/CITATION.md", True)],
)  # fmt: skip
def test_a_folder_whose_description_is_missing_or_damaged(
    study: Path, content: bytes | None, name: str, is_ours: bool
) -> None:
    """Our own damaged description is remade; a dataset of which nothing is known is not touched."""
    (study / "out" / "sub-01").mkdir(parents=True) if name.startswith("logs") else None
    (study / "out" / name).parent.mkdir(parents=True, exist_ok=True)
    (study / "out" / name).write_text("theirs")
    if content is not None:
        (study / "out" / "dataset_description.json").write_bytes(content)
    if is_ours:
        check(study, "out")
    else:
        with pytest.raises(UsageError, match="nothing says that wmhflow made it"):
            check(study, "out")


def test_our_own_dataset_is_known_by_its_readme(study: Path) -> None:
    words = [str(study / "raw"), str(study / "out"), "participant"]
    write_dataset_files(parse_settings(words))
    (study / "out" / "sub-01").mkdir()
    check(study, "out")
    (study / "out" / "dataset_description.json").unlink()
    check(study, "out")


@pytest.mark.parametrize(
    ("flag", "place", "said"),
    [
        ("-w", "raw/work", "--work-dir .* inside an input"),
        ("-w", "raw/derivatives/wmhflow/work", "--work-dir .* inside an input"),
        ("-w", "masks/work", "--work-dir .* inside an input"),
        ("-w", "raw", "--work-dir .* is one of the input"),
        ("-w", "raw/derivatives/fmriprep/sub-01", "--work-dir .* inside"),
        ("--bids-database-dir", "raw", "--bids-database-dir .* is one of the input"),
        ("--bids-database-dir", "raw/.db", "--bids-database-dir .* inside an input"),
        ("--bids-database-dir", "raw/derivatives/db", "--bids-database-dir .* inside an input"),
        ("--bids-database-dir", "masks/db", "--bids-database-dir .* inside an input"),
        ("--bids-database-dir", "free/../raw/db", "--bids-database-dir .* inside an input"),
        ("--bids-database-dir", "raw/derivatives/wmhflow/db", None),
        ("--bids-database-dir", "free/db", None),
    ],
)
@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--boilerplate-only"]])
def test_other_folders_that_are_written_to(
    study: Path, flag: str, place: str, said: str | None, more: list[str]
) -> None:
    words = [flag, str(study / place), *more]
    if said is None:
        check(study, "raw/derivatives/wmhflow", *words)
    else:
        with pytest.raises(UsageError, match=said):
            check(study, "raw/derivatives/wmhflow", *words)


@pytest.mark.parametrize("name", ["logs", "group", "phenotype", "sub-01"])
@pytest.mark.parametrize("target", ["raw/sub-01", "raw", "masks"])
def test_a_folder_of_the_outputs_that_links_into_an_input_is_refused(
    study: Path, name: str, target: str
) -> None:
    (study / "out").mkdir()
    (study / "out" / name).symlink_to(study / target)
    chosen = parse_settings(
        [str(study / "raw"), str(study / "out"), "participant", "-d", f"m={study / 'masks'}"]
    )
    with pytest.raises(InputError, match="is a link into an input dataset"):
        check_own_folder(chosen, study / "out" / name / "anat")


def test_a_folder_of_the_outputs_on_another_disk_is_fine(study: Path) -> None:
    (study / "out").mkdir()
    (study / "out" / "sub-01").symlink_to(study / "free")
    chosen = parse_settings([str(study / "raw"), str(study / "out"), "participant"])
    check_own_folder(chosen, study / "out" / "sub-01")


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_ino)
        for path in (folder, *folder.rglob("*"))
    }


@pytest.mark.parametrize("index", [False, True], ids=["", "database"])
def test_a_dry_run_leaves_every_input_as_it_is(
    study: Path, index: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: state(study / name) for name in ("raw", "masks")}
    monkeypatch.chdir(study / "free")
    words = [str(study / "raw"), str(study / "raw/derivatives/wmhflow"), "participant", "--dry-run"]
    words += ["--bids-database-dir", str(study / "free/db")] if index else []
    assert main([*words, "-d", f"masks={study / 'masks'}"]) in (0, 1)
    assert {name: state(study / name) for name in before} == before
    assert not (study / "raw/derivatives/wmhflow").exists()


# ---- folders that cannot be made -----------------------------------------------------------------


def closed(study: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder that nobody may write to, whoever runs the tests."""
    place = study / "free"
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != place and may(path, mode))
    return "free/a/b"


def full(study: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    told = SimpleNamespace(f_bavail=100, f_frsize=4096, f_blocks=9)
    monkeypatch.setattr(os, "statvfs", lambda _: told)
    return "free/a"


def of_no_size(study: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    told = SimpleNamespace(f_bavail=0, f_frsize=4096, f_blocks=0)
    monkeypatch.setattr(os, "statvfs", lambda _: told)
    return "free/a"


UNWRITABLE: dict[str, tuple[Callable[[Path, pytest.MonkeyPatch], str], str]] = {
    "below a file": (lambda s, _: _file(s) + "/out", "/file is no folder"),
    "deep below a file": (lambda s, _: _file(s) + "/a/b/c", "/file is no folder"),
    "below a dangling link": (lambda s, _: link(s, "l", "gone") + "/out", "that leads nowhere"),
    "a dangling link": (lambda s, _: link(s, "l", "gone"), "that leads nowhere"),
    "in a closed folder": (closed, "/free does not allow it"),
    "on a full disk": (full, r"/free has 0 MB left"),
    "on a disk of unknown size": (of_no_size, ""),
    "not there yet": (lambda *_: "a/b/c", ""),
}


@pytest.mark.parametrize("what", ["OUTPUT_DIR", "--work-dir"])
@pytest.mark.parametrize(("make", "said"), UNWRITABLE.values(), ids=UNWRITABLE)
def test_a_dry_run_says_what_its_run_would_end_with(
    study: Path, make: Any, said: str, what: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The plan ended with 0, and the run an hour later with 2."""
    place = str(study / make(study, monkeypatch))
    out, work = (place, str(study / "w")) if what == "OUTPUT_DIR" else (str(study / "o"), place)
    words = [str(study / "raw"), out, "participant", "--participant-label", "01", "-w", work]
    assert main([*words, "--dry-run"]) == (1 if said else 0)
    shown = capsys.readouterr()
    assert "T1w" in shown.out
    assert f"{what} {place} cannot be written to" in shown.err if said else not shown.err
    assert re.search(said, shown.err)
