"""The group level as a whole: whom it gathers, and what it says about visits that differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.group.studies import SCHEME, finished, give, group_settings
from wmhflow.bids.writer import read_table
from wmhflow.group.run import run_group
from wmhflow.group.study import read_study


def test_different_zone_schemes_are_said_and_missing_columns_are_na(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    visits = [finished(tmp_path, "01", [SCHEME, "pv10"]), finished(tmp_path, "02")]
    assert read_study(tmp_path, visits).schemes == (SCHEME, "pv10")
    assert f"sub-02 n/a: {SCHEME}" in capsys.readouterr().err
    assert run_group(group_settings(tmp_path / "in", visits)) == 0
    rows = read_table(tmp_path / "group" / "lesions.tsv")
    assert [row["majority_pv10"] for row in rows] == ["D", "n/a"]
    assert [row["majority"] for row in rows] == ["PV", "PV"]


def test_one_scheme_for_all_is_no_news(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    visits = [finished(tmp_path, subject, ["pv10"]) for subject in ("01", "02")]
    assert read_study(tmp_path, visits).schemes == ("pv10",)
    assert capsys.readouterr().err == ""


def test_atlases_that_differ_are_said_and_what_nobody_has_is_not_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    visits = []
    for subject, digest in (("01", "a"), ("02", "b"), ("03", "a")):
        visit = finished(tmp_path, subject)
        content = json.loads(visit.record.read_text())
        content["settings"]["atlas_threshold"] = 0.5
        content["atlases"] = {
            "mine": {"template": "T", "files": {"image": digest}},
            "same": {"template": "T", "files": {"image": "c"}},
        }
        visit.record.write_text(json.dumps(content))
        visits.append(visit)
    stale = [tmp_path / "group" / f"desc-weighted_regions{end}" for end in (".tsv", ".parquet")]
    stale[0].parent.mkdir()
    for path in stale:
        path.write_text("of an earlier run")
    assert run_group(group_settings(tmp_path / "in", visits)) == 0
    said = capsys.readouterr().err
    assert "The atlas mine is not the same in all visits" in said
    assert "sub-01 n/a and sub-02 n/a" in said
    assert "same is not" not in said
    assert not any(path.exists() for path in stale)


def test_rows_are_in_order_of_person_and_visit_and_who_lacks_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = [("01", "ses-a"), ("01", "ses-b"), ("02", "n/a"), ("10", "n/a")]
    visits = [finished(tmp_path, person, session=session) for person, session in reversed(order)]
    unfinished = finished(tmp_path, "03")
    unfinished.record.unlink()
    settings = group_settings(tmp_path / "in", [*visits, unfinished])
    (tmp_path / "in" / "sub-04").mkdir()
    assert run_group(settings) == 0
    rows = read_table(tmp_path / "group" / "lesions.tsv")
    keys = [(row["participant_id"], row["session_id"]) for row in rows]
    assert keys == [(f"sub-{person}", session) for person, session in order]
    said = capsys.readouterr().err
    assert "sub-03 n/a is not finished and left out." in said
    assert "2 persons have no tables and are left out: sub-03, sub-04" in said


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    visit = finished(tmp_path, "01")
    give(visit, "qc", [{"metric": "a"}])
    leftover = tmp_path / "group" / ".abc.part"
    leftover.parent.mkdir()
    leftover.write_text("half of a table")
    assert run_group(group_settings(tmp_path / "in", [visit])) == 0
    assert not leftover.exists()


@pytest.mark.parametrize("damage", [b"", b"[]", b"\xff"])
def test_a_damaged_record_is_named(
    tmp_path: Path, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    visit = finished(tmp_path, "01")
    visit.record.write_bytes(damage)
    assert run_group(group_settings(tmp_path / "in", [visit])) == 1
    assert "record.json is damaged; process sub-01 n/a again" in capsys.readouterr().err
