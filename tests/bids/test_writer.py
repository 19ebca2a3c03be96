"""Files are whole or absent, the same every time, and untouched if nothing changed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmhflow.bids import writer
from wmhflow.files.images import image_bytes, make_image


def test_unchanged_content_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    assert writer.write_text(path, "x")
    os.utime(path, (0, 0))
    assert not writer.write_text(path, "x")
    assert path.stat().st_mtime == 0
    assert writer.write_text(path, "y")


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    writer.write_text(path, "old")

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer.os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        writer.write_text(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        writer.write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


def test_image_bytes_do_not_depend_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    first = image_bytes(image)
    monkeypatch.setattr(time, "time", lambda: 1e9)
    assert image_bytes(image) == first


def test_an_image_keeps_its_values_and_its_place(tmp_path: Path) -> None:
    affine = np.array([[0, -2, 0, 5], [1.5, 0, 0, -3], [0, 0, 3, 7], [0, 0, 0, 1.0]])
    data = np.random.default_rng(1).normal(size=(3, 4, 5)).astype(np.float32)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(image_bytes(make_image(data, affine)))
    image = nib.load(path)
    assert np.array_equal(image.get_fdata(dtype=np.float32), data)
    assert np.allclose(image.affine, affine)
    assert np.allclose(image.get_qform(), affine, atol=1e-5)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_six_significant_digits(value: float) -> None:
    text = writer.format_value(value)
    assert float(text) == pytest.approx(value, rel=5.1e-6, abs=1e-300)


def test_a_table_survives_the_way_to_disk_and_back(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": float("nan")}, {"a": 2.5, "b": "x"}, {"a": None}]
    writer.write_text(tmp_path / "t.tsv", writer.table_text(["a", "b"], rows))
    assert writer.read_table(tmp_path / "t.tsv") == [
        {"a": "1", "b": "n/a"},
        {"a": "2.5", "b": "x"},
        {"a": "n/a", "b": "n/a"},
    ]


def test_files_take_their_places_together_or_not_at_all(tmp_path: Path) -> None:
    paths = [tmp_path / "a.txt", tmp_path / "new" / "b.txt"]
    writer.write_text(paths[0], "old")

    def write(*, fail: bool) -> None:
        with writer.replacing(*paths) as streams:
            for stream in streams:
                stream.write(b"new")
            if fail:
                raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write(fail=True)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.txt"]
    assert paths[0].read_text() == "old"
    write(fail=False)
    assert [path.read_text() for path in paths] == ["new", "new"]
    os.utime(paths[0], (0, 0))
    write(fail=False)
    assert paths[0].stat().st_mtime == 0
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"null", b"\xff\xfe"])
def test_a_damaged_object_is_read_as_none_at_all(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "a.json"
    assert writer.read_object(path) == {}
    writer.write_json(path, {"µ": [1, 2]})
    assert writer.read_object(path) == {"µ": [1, 2]}
    path.write_bytes(damage)
    assert writer.read_object(path) == {}


def test_leftovers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".x.part").touch()
    (tmp_path / "x.part").touch()
    writer.remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x.part"]


def test_a_dictionary_says_what_a_column_means_and_its_unit() -> None:
    columns = (writer.Column("a", "First", "mm"), writer.Column("b", "Second", kind="text"))
    assert writer.dictionary_of(columns) == {
        "a": {"Description": "First", "Units": "mm"},
        "b": {"Description": "Second"},
    }


def test_six_digits_are_those_of_one_rounding_and_large_numbers_have_no_exponent() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.uniform(-1, 1, 2000) * 10.0 ** rng.integers(-9, 12, 2000)
    edges = [0.99999949, 0.9999995, 999999.4999, 999999.5, 1e6, 123456.5, 1e-5, 2.5e-6, 1e15]
    for value in [*drawn.tolist(), *edges, *(-edge for edge in edges)]:
        text = writer.format_value(value)
        assert float(text) == float(f"{value:.5e}")
        assert "e" not in text or abs(value) < 1
