"""An index that is out of date, half made or damaged is noticed, and gives no other files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from tests.builders import cube, describe, save_image
from wmhflow.bids.database import MADE, Database
from wmhflow.bids.scan import scan_person

Change = Callable[[Path], object]


def dataset(tmp_path: Path) -> Path:
    """Make a dataset of two persons."""
    root = describe(tmp_path / "raw")
    for name in ("01", "02"):
        save_image(root / f"sub-{name}" / "anat" / f"sub-{name}_T1w.nii.gz", cube())
    return root


def index_of(folder: Path) -> Path:
    return next(path for path in folder.iterdir() if not path.name.startswith("."))


CHANGES: list[Change] = [
    lambda root: save_image(root / "sub-02/anat/sub-02_FLAIR.nii.gz"),
    # as many under other names
    lambda root: (root / "sub-02/anat/sub-02_FLAIR.nii.gz").rename(
        root / "sub-02/anat/sub-02_T2w.nii.gz"
    ),
    lambda root: shutil.rmtree(root / "sub-02"),
]  # fmt: skip


def test_an_index_that_is_out_of_date_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root, folder = dataset(tmp_path), tmp_path / "index"
    assert Database(folder, "raw", root, raw=True).person("02") == scan_person(root, "02")
    assert not caplog.text
    for change in CHANGES:
        told = json.loads((index_of(folder) / MADE).read_text())
        assert told["root"] == str(root)
        change(root)
        database = Database(folder, "raw", root, raw=True)
        # the other person is as before
        assert database.person("01") == scan_person(root, "01")
        assert not caplog.text
        assert database.person("02") == scan_person(root, "02")
        assert f"made {told['time']} of {told['files']} files" in caplog.text
        assert "it is made again" in caplog.text
        caplog.clear()
        assert len(list(folder.iterdir())) == 1
    assert Database(folder, "raw", root, raw=True).person("02") == []
    assert not caplog.text


DAMAGES: list[Change] = [
    lambda index: (index / MADE).unlink(),
    lambda index: (index / "layout_index.sqlite").write_bytes(b"no database"),
    lambda index: os.truncate(index / "layout_index.sqlite", 20000),
]


def test_half_an_index_gives_no_other_files(tmp_path: Path) -> None:
    root, folder = dataset(tmp_path), tmp_path / "index"
    Database(folder, "raw", root, raw=True).person("01")
    for damage in DAMAGES:
        size = (index_of(folder) / "layout_index.sqlite").stat().st_size
        damage(index_of(folder))
        assert Database(folder, "raw", root, raw=True).person("02") == scan_person(root, "02")
        assert (index_of(folder) / "layout_index.sqlite").stat().st_size == size


def test_an_index_that_was_not_made_to_its_end_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, folder = dataset(tmp_path), tmp_path / "index"

    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", mock.Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            Database(folder, "raw", root, raw=True).person("01")
    assert not list(folder.iterdir())
    assert Database(folder, "raw", root, raw=True).person("01") == scan_person(root, "01")
