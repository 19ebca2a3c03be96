"""Processes of a run: where they meet."""

from __future__ import annotations

import multiprocessing.connection
import multiprocessing.util
import tempfile
from multiprocessing.process import current_process
from pathlib import Path

import pytest

from wmhflow.errors import UsageError
from wmhflow.files import children


@pytest.fixture
def long_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ("a" * 60) / ("b" * 60)
    folder.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setitem(current_process()._config, "tempdir", None)
    return folder


def test_processes_meet_although_the_folder_for_temporary_files_has_a_long_name(
    long_folder: Path,
) -> None:
    with pytest.raises(OSError, match="too long"):
        multiprocessing.connection.Listener(str(long_folder / "listener"))
    children.keep_sockets_short()
    with multiprocessing.connection.Listener(family="AF_UNIX") as met:
        assert Path(str(met.address)).exists()
    # other temporary files stay where they were
    assert tempfile.gettempdir() == str(long_folder)


def test_a_short_name_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    monkeypatch.setitem(current_process()._config, "tempdir", None)
    children.keep_sockets_short()
    assert current_process()._config["tempdir"] is None


@pytest.mark.usefixtures("long_folder")
def test_without_another_folder_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "SHORT_FOLDERS", ("/nowhere",))
    with pytest.raises(UsageError, match="too long for sockets"):
        children.keep_sockets_short()
