"""What is read back is believed in nothing: a record, a description, a table of one's own.

Each row is a file as a disk, an editor or a stranger could leave it.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.products.kinds import settings
from tests.silent.units import FOLDER, finish, make_unit
from wmhflow.bids.writer import MOST_JSON_BYTES, Column, read_object, read_table
from wmhflow.errors import InputError
from wmhflow.group.study import Visit, read_study
from wmhflow.products.dataset import write_dataset_files
from wmhflow.products.product import Table, page_path
from wmhflow.products.record import (
    begin_again,
    is_finished,
    is_page_whole,
    made_from,
    note_page,
    page_record_path,
)

SHA = "0" * 64
BYTES = {
    "empty": b"",
    "cut": b'{"outputs": {',
    "no UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "digits": b'{"a": ' + b"9" * 5000 + b"}",
    "zeros": b"\0" * 100,
    "list": b"[]",
    "null": b"null",
    "NaN": b"NaN",
    "text": b'"outputs"',
}
OUTPUTS: dict[str, Any] = {
    "list": ["a"],
    "text": "a",
    "number": 3,
    "true": True,
    "null": None,
    "sizes alone": {"sub-01/ses-1/anat/a": 3},
    "size as text": {"sub-01/ses-1/anat/a": {"size": "3", "sha256": SHA}},
    "size true": {"sub-01/ses-1/anat/a": {"size": True, "sha256": SHA}},
    "checksum as list": {"sub-01/ses-1/anat/a": {"size": 3, "sha256": [SHA]}},
    "one key more": {"sub-01/ses-1/anat/a": {"size": 3, "sha256": SHA, "x": 1}},
    "NaN": {"sub-01/ses-1/anat/a": float("nan")},
}
AWAY = ["../../kept.txt", "sub-01/../../kept.txt", "sub-01/ses-1/anat/../../../../kept.txt",
        "{root}/kept.txt", "/etc/hostname", "", ".", "..", "./kept.txt", "sub-01//a",
        "sub-01/ses-1/a\0b"]  # fmt: skip
ELSEWHERE = ["sub-02/ses-1/anat/other.tsv", "sub-01/ses-2/anat/other.tsv", "participants.tsv",
             "logs/CITATION.md", "sub-011/other.tsv"]  # fmt: skip


@pytest.mark.parametrize("content", BYTES.values(), ids=BYTES)
def test_a_damaged_record_counts_as_absent_and_is_said(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    unit, out = make_unit(tmp_path), tmp_path / "out"
    finish(unit, out)
    assert is_finished(unit, out)
    (out / unit.record).write_bytes(content)
    with caplog.at_level(logging.WARNING, "wmhflow"):
        assert not is_finished(unit, out)
    assert "record.json" in caplog.text
    assert "counts as absent" in caplog.text
    begin_again(unit, out)
    assert not (out / unit.record).exists()


def test_a_huge_record_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.json").open("wb") as stream:
        stream.truncate(MOST_JSON_BYTES + 1)
    assert read_object(tmp_path / "huge.json") == {}


def test_a_record_that_is_a_folder_counts_as_absent(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    (tmp_path / "b").write_text("")
    assert read_object(tmp_path / "a.json") == read_object(tmp_path / "b" / "c.json") == {}


@pytest.mark.parametrize("outputs", OUTPUTS.values(), ids=OUTPUTS)
def test_wrong_types_in_a_record_count_as_no_record(
    tmp_path: Path, outputs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    unit, out = make_unit(tmp_path), tmp_path / "out"
    finish(unit, out)
    (out / unit.record).write_text(json.dumps(made_from(unit) | {"outputs": outputs}))
    assert not is_finished(unit, out)
    assert "counts as absent" in caplog.text
    begin_again(unit, out)


@pytest.mark.parametrize("name", [*AWAY, *ELSEWHERE])
def test_a_record_leads_to_no_file_elsewhere(tmp_path: Path, name: str) -> None:
    unit, out = make_unit(tmp_path), tmp_path / "out"
    finish(unit, out)
    kept = [tmp_path / "kept.txt", out / "kept.txt", *(out / one for one in ELSEWHERE)]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("kept")
    record = json.loads((out / unit.record).read_text())
    record["outputs"][name.format(root=tmp_path)] = {"size": 4, "sha256": SHA}
    (out / unit.record).write_text(json.dumps(record))
    assert not is_finished(unit, out)
    begin_again(unit, out)
    assert all(path.read_text() == "kept" for path in kept)


@pytest.mark.parametrize("place", ["away", "../away"])
def test_links_lead_to_no_file_elsewhere(tmp_path: Path, place: str) -> None:
    """A folder that was replaced by a link: what is behind it stays, and so do its own files."""
    old = Table("old", "desc-old_regions", "Old", (Column("a", "A"),))
    out, away = tmp_path / "out", tmp_path / "away"
    unit = make_unit(tmp_path, old)
    finish(unit, out)
    folder = out / FOLDER
    folder.rename(away)
    folder.symlink_to(away if place == "away" else Path("../../..", place))
    (away / ".x.part").write_text("")
    before = sorted(path.name for path in away.iterdir())
    begin_again(make_unit(tmp_path), out)
    assert sorted(path.name for path in away.iterdir()) == before


def test_what_is_withdrawn_goes_and_a_folder_in_its_place_stays(tmp_path: Path) -> None:
    more = [Table(key, f"desc-{key}_regions", "Old", (Column("a", "A"),)) for key in ("x", "y")]
    out, both = tmp_path / "out", make_unit(tmp_path, *more)
    finish(both, out)
    first, second = (out / FOLDER / f"sub-01_ses-1_desc-{key}_regions.tsv" for key in ("x", "y"))
    second.unlink()
    second.mkdir()
    begin_again(make_unit(tmp_path), out)
    assert not first.exists()
    assert second.is_dir()


@pytest.mark.parametrize("content", [*BYTES.values(), b'{"outputs": {"../x": 1}}'])
def test_a_damaged_record_of_a_page_makes_it_anew(tmp_path: Path, content: bytes) -> None:
    page = page_path("01")
    (tmp_path / page).write_text("page")
    note_page("01", tmp_path, [page])
    assert is_page_whole("01", tmp_path, page)
    (tmp_path / page_record_path("01")).write_bytes(content)
    assert not is_page_whole("01", tmp_path, page)


@pytest.mark.parametrize("links", ["abc", [1], 3, None, {"raw": 1}, [["a"]], {"a": {"b": 1}}, True])
def test_links_of_an_earlier_description_are_looked_at(tmp_path: Path, links: Any) -> None:
    chosen = replace(settings(), bids_dir=tmp_path / "raw", output_dir=tmp_path / "out")
    description = tmp_path / "out" / "dataset_description.json"
    description.parent.mkdir()
    description.write_text(json.dumps({"DatasetLinks": links}))
    write_dataset_files(chosen)
    found = json.loads(description.read_text())["DatasetLinks"]
    assert set(found) == {"raw", "lesions", "maps", "parcellation"}
    assert all(isinstance(link, str) for link in found.values())


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"a\tb\n1\n", b"a\tb\n1\t2\t3\n", b"a\tb\n1\t2", b"a\n\xff\n", b"a\tb\n1\t2\n3"],
)
def test_a_table_that_is_not_as_it_was_written_is_one_sentence(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"t\.tsv is not as it was written") as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


RECORDS = [
    {"settings": 3},
    {"settings": []},
    {"settings": {}},
    {"settings": {"zones": 3}},
    {"settings": {"zones": []}},
    {"settings": {"zones": [["a"]]}},
    {"settings": {"zones": [None]}},
    {"settings": {"zones": "pv10"}},
    {"settings": {"zones": ["../x"]}},
    {"settings": {"zones": ["pv10"]}, "atlases": 3},
    {"settings": {"zones": ["pv10"]}, "atlases": ["a"]},
    {"zones": ["pv10"]},
]


@pytest.mark.parametrize("record", RECORDS, ids=json.dumps)
def test_the_group_level_says_whose_record_is_damaged(tmp_path: Path, record: Any) -> None:
    visit = Visit(tmp_path, "sub-01", "n/a")
    visit.record.parent.mkdir(parents=True)
    visit.record.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"record\.json is damaged; process sub-01"):
        read_study(tmp_path, [visit])
