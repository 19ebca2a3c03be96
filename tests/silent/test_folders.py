"""What lies in a folder and is no file costs what it is, and not all persons."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders import cube, describe, save_image
from wmhflow.bids.query import check_dataset, find_subjects
from wmhflow.bids.scan import scan_person
from wmhflow.cli.main import main
from wmhflow.errors import InputError, UsageError
from wmhflow.files.images import load_volume, read_header
from wmhflow.files.streams import open_file
from wmhflow.files.transforms import program_of, read_transform

Damage = Callable[[Path], object]


def rid(path: Path) -> Path:
    """Make room where a file was."""
    path.unlink()
    return path


def unreadable(path: Path) -> None:
    """Note a folder or file that may not be read; see `refuse_unreadable`."""
    (path / ".unreadable" if path.is_dir() else Path(f"{path}.unreadable")).touch()


@pytest.fixture(autouse=True)
def refuse_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system refuse what `unreadable` noted, also where tests run as root."""
    scandir, opened = os.scandir, os.open

    def scan(path: str) -> object:
        if Path(os.fsdecode(path), ".unreadable").exists():
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    def open_(path: str, *given: int, **named: int) -> int:
        if Path(f"{path}.unreadable").exists():
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *given, **named)

    monkeypatch.setattr(os, "scandir", scan)
    monkeypatch.setattr(os, "open", open_)


@pytest.fixture
def two(raw: Path) -> Path:
    """A dataset of two persons, of whom the second is to be harmed."""
    for suffix, value in (("T1w", 100), ("FLAIR", 70)):
        save_image(raw / "sub-02" / "anat" / f"sub-02_{suffix}.nii.gz", cube(value))
    return raw


def link_to_nowhere(path: Path) -> None:
    rid(path).symlink_to("../../.git/annex/objects/Xx/MD5E-s1.nii.gz")


def unreadable_hidden(folder: Path) -> None:
    (folder / ".trash").mkdir()
    unreadable(folder / ".trash")


T1W, FLAIR = "anat/sub-02_T1w.nii.gz", "anat/sub-02_FLAIR.nii.gz"
# What happens to the second person, and what is said of that person; None: processed all the same.
HARMED: list[tuple[str, Damage, str | None]] = [
    (T1W, link_to_nowhere, "link to content that is not there .*not fetched"),
    (T1W, lambda path: rid(path).symlink_to(path.name), "a link that leads to itself"),
    (T1W, lambda path: rid(path).mkdir(), "a folder where a file is meant"),
    (T1W, lambda path: save_image(rid(path) / path.name, cube(100)), "a folder where a file"),
    (T1W, lambda path: os.mkfifo(rid(path)), "a pipe or a device where a file is meant"),
    (T1W, lambda path: rid(path).symlink_to("/dev/zero"), "a pipe or a device where a file"),
    (T1W, lambda path: path.write_bytes(b""), "it is empty"),
    (T1W, lambda path: path.write_text("/annex/objects/MD5E-s9\n"), "note of git-annex"),
    (T1W, lambda path: path.write_text("version https://git-lfs.github.com/"), "note of git LFS"),
    (T1W, unreadable, "Permission denied"),
    (FLAIR, link_to_nowhere, "not fetched"),
    (FLAIR, lambda path: rid(path).mkdir(), "a folder where a file is meant"),
    (FLAIR, lambda path: os.mkfifo(rid(path)), "a pipe or a device where a file is meant"),
    (".", unreadable, "sub-02 cannot be read .Permission denied"),
    ("anat", unreadable, "anat cannot be read .Permission denied"),
    ("anat", lambda path: path.rename(path.with_name("other")), None),
    ("anat", lambda path: (path / "again").symlink_to(".."), None),
    ("anat", lambda path: (path / "self").symlink_to("self"), None),
    ("anat", lambda path: (path / "nowhere").symlink_to("gone"), None),
    ("anat", lambda path: (path / "sub-02_nowhere.nii.gz").symlink_to("gone"), None),
    ("anat", lambda path: os.mkfifo(path / "sub-02_T1w.json"), None),
    ("anat", lambda path: (path / "sub-02_T1w.json").mkdir(), None),
    ("anat", unreadable_hidden, None),
    ("anat", lambda path: write_named(path, b"sub-02_acq-caf\xe9_T1w.nii.gz"), None),
    ("anat", lambda path: write_named(path, b"caf\xe9.txt"), None),
    (".", lambda path: Path(path, os.fsdecode(b"caf\xe9")).mkdir(), None),
]  # fmt: skip


# What pybids cannot list, or lists without a word.
INDEXED = [row for row in HARMED if row[0] == "anat"][:1] + HARMED[-3:-2]


def write_named(folder: Path, name: bytes) -> None:
    (folder / os.fsdecode(name)).write_bytes(b"any")


def dry_run(raw: Path, *words: str) -> list[str]:
    return [str(raw), str(raw.parent / "out"), "participant", "--dry-run", *words]


@pytest.mark.parametrize(
    ("where", "harm", "said", "index"),
    [(*row, False) for row in HARMED] + [(*row, True) for row in INDEXED],
)
def test_it_costs_its_person_at_most(
    two: Path,
    capsys: pytest.CaptureFixture[str],
    where: str,
    harm: Damage,
    said: str | None,
    index: bool,
) -> None:
    harm(two / "sub-02" / where)
    words = dry_run(two, *(["--bids-database-dir", str(two.parent / "index")] if index else []))
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "Traceback" not in shown.out + shown.err
    first, second = shown.out.split("sub-02\n")
    assert "cannot be processed" not in first
    problems = [line for line in second.splitlines() if "cannot be processed" in line]
    assert len(problems) == (said is not None)
    assert re.search(said or "", "".join(problems))


def test_what_is_left_out_is_said(two: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = two / "sub-02" / "anat"
    write_named(folder, b"sub-02_acq-caf\xe9_T1w.nii.gz")
    (folder / "again").symlink_to("..")
    assert main(dry_run(two)) == 0
    assert r"sub-02_acq-caf\udce9_T1w.nii.gz is left out: its name is no UTF-8" in caplog.text
    assert "again is a link to a folder that it lies in" in caplog.text


@pytest.mark.parametrize("ending", ["img", "hdr", "mgz", "dcm", "nrrd"])
def test_an_image_of_another_kind_is_named(
    two: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    t1w, flair = two / "sub-02" / T1W, two / "sub-02" / FLAIR
    t1w.rename(t1w.with_name(f"sub-02_T1w.{ending}"))
    assert main(dry_run(two)) == 0
    assert f"sub-02_T1w.{ending} is no file of NIfTI" in capsys.readouterr().out
    flair.unlink()
    assert main(dry_run(two, "--participant-label", "02")) == 1
    said = capsys.readouterr().out
    assert "cannot be processed: sub-02 has no T1w and no FLAIR image" in said
    assert f"sub-02_T1w.{ending} is no file of NIfTI" in said


@pytest.mark.parametrize("target", ["gone", "sub-03"])
def test_a_person_whose_folder_leads_nowhere_is_a_person(
    two: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    (two / "sub-03").symlink_to(target)
    (two / "sub-04").write_text("no folder")
    assert find_subjects(two, []) == ["01", "02", "03"]
    assert main(dry_run(two)) == 0
    said = capsys.readouterr().out
    assert "sub-03 is a link to a folder that is not there" in said
    assert said.count("cannot be processed") == 1
    assert main(dry_run(two, "--participant-label", "03")) == 1


def test_a_derivatives_unreadable_folder_costs_its_person(
    two: Path, derivatives: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for person in ("01", "02"):
        (derivatives / f"sub-{person}" / "anat").mkdir(parents=True)
    unreadable(derivatives / "sub-02" / "anat")
    assert main(dry_run(two, "-d", str(derivatives))) == 0
    said = capsys.readouterr().out
    assert "sub-02/anat cannot be read (Permission denied)" in said
    assert said.count("cannot be processed") == 1


def test_a_dataset_that_cannot_be_read_is_wrong_use(two: Path) -> None:
    unreadable(two)
    with pytest.raises(UsageError, match=r"BIDS_DIR .* cannot be read .Permission denied"):
        find_subjects(two, [])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: os.mkfifo(rid(path)), "a pipe or a device"),
        (lambda path: rid(path).mkdir(), "a folder where a file"),
        (link_to_nowhere, "not fetched"),
        (lambda path: path.write_text("[]"), "no object of JSON"),
        (lambda path: path.write_text("7"), "no object of JSON"),
        (lambda path: path.write_bytes(b"\xff"), "cannot be read"),
        (unreadable, "Permission denied"),
    ],
)
def test_a_description_that_is_none_is_wrong_use(two: Path, damage: Damage, said: str) -> None:
    damage(two / "dataset_description.json")
    with pytest.raises(UsageError, match=said):
        check_dataset(two, "BIDS_DIR")


def test_a_dataset_whose_name_is_no_text_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a name that is no UTF-8"):
        check_dataset(describe(tmp_path / os.fsdecode(b"caf\xe9")), "BIDS_DIR")


@pytest.mark.parametrize("name", ["x.nii.gz", "x.nii", "x.h5", "x.txt", "x.mat", "x.lta"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "a pipe or a device"),
        (os.mkdir, "a folder where a file"),
        (lambda path: path.symlink_to("gone"), "not fetched"),
        (lambda path: path.symlink_to(path.name), "leads to itself"),
        (lambda path: path.symlink_to("/dev/zero"), "a pipe or a device"),
        (lambda path: path.touch(), "it is empty"),
        (lambda path: path.write_text("/annex/objects/MD5E-s9\n"), "git-annex"),
        (lambda path: None, "does not exist|No such file"),
    ],
)
def test_no_reader_waits_for_what_is_no_file(
    tmp_path: Path, name: str, make: Damage, said: str
) -> None:
    path = tmp_path / name
    make(path)
    readers = (read_header, load_volume) if ".nii" in name else (program_of, read_transform)
    for read in readers:
        with pytest.raises(InputError, match=said):
            read(path)


def test_the_files_beside_what_is_left_out_are_found(two: Path) -> None:
    folder = two / "sub-02"
    expected = scan_person(two, "02")
    (folder / "anat" / "again").symlink_to("..")
    write_named(folder, b"sub-02_\xe9.txt")
    assert scan_person(two, "02") == expected
    open_file(folder / "anat" / "sub-02_T1w.nii.gz").close()
