"""Inside the container image, caches and temporary files lie in the work folder."""

from __future__ import annotations

import atexit
import os
import tempfile
from pathlib import Path

import pytest

from tests.builders import describe
from wmhflow.cli import resources
from wmhflow.cli.image import IMAGE_VARIABLE, folder_in_image
from wmhflow.cli.parser import parse_settings
from wmhflow.errors import UsageError
from wmhflow.files import caches

CHOSEN = ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "NIPYPE_CONFIG_DIR")


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A dataset, and the words of a run of it, in an image whose kernels could be written to."""
    describe(tmp_path / "raw")
    (tmp_path / "raw/sub-01").mkdir()
    (tmp_path / "shipped/core").mkdir(parents=True)
    (tmp_path / "shipped/core/kernel.nbc").write_text("compiled")
    monkeypatch.setenv(IMAGE_VARIABLE, "1")
    monkeypatch.setattr(tempfile, "tempdir", None)
    for name in (*caches.TEMPORARY_VARIABLES, "MPLCONFIGDIR", "NIPYPE_CONFIG_DIR", "MPLBACKEND",
                 "NIPYPE_NO_ET"):  # fmt: skip
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "shipped"))
    return [
        str(tmp_path / "raw"),
        str(tmp_path / "out"),
        "participant",
        "-w",
        str(tmp_path / "work"),
    ]


def test_all_that_a_run_keeps_lies_in_its_work_folder(words: list[str], tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "shipped").rglob("*")}
    resources.prepare_folders(folder_in_image(parse_settings(words)))
    work = tmp_path / "work"
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(work / "tmp")
    for name in CHOSEN:
        assert Path(os.environ[name]).parent == work / "caches"
    assert (Path(os.environ["NUMBA_CACHE_DIR"]) / "core/kernel.nbc").read_text() == "compiled"
    # what is called later, without the folder, leaves it so
    chosen = {name: os.environ[name] for name in (*CHOSEN, "TMPDIR")}
    resources.prepare_folders()
    assert {name: os.environ[name] for name in chosen} == chosen
    assert not (tmp_path / "home").exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_folder_that_the_user_names_for_temporary_files_is_taken(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    resources.prepare_folders(folder_in_image(parse_settings(words)))
    assert tempfile.gettempdir() == str(tmp_path / "scratch")
    # one that is not there, as of a host, is not
    monkeypatch.setenv("TMPDIR", str(tmp_path / "elsewhere"))
    resources.prepare_folders(folder_in_image(parse_settings(words)))
    assert tempfile.gettempdir() == str(tmp_path / "work/tmp")


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that are removed when the program ends."""
    found: list[Path] = []
    monkeypatch.setattr(atexit, "register", lambda _, path, **_how: found.append(path))
    return found


@pytest.mark.parametrize("option", ["--dry-run", "--boilerplate-only", "--reports-only"])
def test_what_only_tells_makes_no_work_folder_and_uses_one(
    words: list[str], tmp_path: Path, removed: list[Path], option: str
) -> None:
    settings = parse_settings([*words, option])
    found = folder_in_image(settings)
    assert [found] == removed
    assert found is not None
    assert found.is_dir()
    assert not (tmp_path / "work").exists()
    found.rmdir()
    (tmp_path / "work").mkdir()
    assert folder_in_image(settings) == tmp_path / "work"


def test_a_command_without_a_work_folder_keeps_nothing(
    words: list[str], tmp_path: Path, removed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert words
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    resources.prepare_folders(folder_in_image())
    assert [path.parent for path in removed] == [tmp_path / "scratch"]
    for name in (*CHOSEN, "HOME"):
        assert Path(os.environ[name]).parent == removed[0] / "caches"
    assert list((tmp_path / "scratch").iterdir()) == removed


def test_a_work_folder_among_the_inputs_is_refused_before_anything_is_written(
    words: list[str], tmp_path: Path
) -> None:
    inside = tmp_path / "raw/sub-01/work"
    with pytest.raises(UsageError, match="--work-dir"):
        folder_in_image(parse_settings([*words[:4], str(inside)]))
    assert not inside.exists()


def test_a_work_folder_that_cannot_be_written_to_is_said_before_anything_is_written_elsewhere(
    words: list[str], tmp_path: Path, removed: list[Path]
) -> None:
    (tmp_path / "work").symlink_to("/proc/nowhere")
    with pytest.raises(UsageError, match=r"--work-dir .* cannot be written to"):
        folder_in_image(parse_settings(words))
    assert removed == []
    # the group level needs none
    assert [folder_in_image(parse_settings([*words[:2], "group", *words[3:]]))] == removed
    removed[0].rmdir()


def test_outside_the_image_nothing_is_different(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(IMAGE_VARIABLE)
    assert folder_in_image(parse_settings(words)) is None
