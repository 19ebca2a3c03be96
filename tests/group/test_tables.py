"""Columns of gathered tables have the same type in every study."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from wmhflow.bids.writer import read_table, table_text, write_text
from wmhflow.group.tables import (
    KEYS,
    TEXT_COLUMNS,
    WHOLE_COLUMNS,
    Visit,
    parquet_bytes,
    run_group,
    zone_schemes,
)
from wmhflow.products.columns import VOLUMES, lesion_columns, majority_columns, names
from wmhflow.products.outputs import TABLES, record_path
from wmhflow.settings import Settings


def types_of(columns: list[str], rows: list[dict[str, str]]) -> dict[str, str]:
    import pyarrow.parquet as pq

    schema = pq.read_table(io.BytesIO(parquet_bytes(columns, rows))).schema
    return {field.name: str(field.type) for field in schema}


def test_types_do_not_depend_on_what_is_missing() -> None:
    for columns in TABLES.values():
        header = names((*KEYS, *columns))
        missing = [dict.fromkeys(header, "n/a")]
        types = types_of(header, missing)
        for name in header:
            wanted = "string" if name in TEXT_COLUMNS else "double"
            assert types[name] == ("int64" if name in WHOLE_COLUMNS else wanted)


def test_na_is_null_and_bytes_are_the_same_every_time() -> None:
    import pyarrow.parquet as pq

    rows = [{"participant_id": "sub-1", "mean": "1.5"}, {"participant_id": "sub-2", "mean": "n/a"}]
    content = parquet_bytes(["participant_id", "mean"], rows)
    assert content == parquet_bytes(["participant_id", "mean"], rows)
    assert pq.read_table(io.BytesIO(content)).to_pydict()["mean"] == [1.5, None]


def finished(out: Path, subject: str, schemes: list[str]) -> Visit:
    """A finished visit with one lesion, made with these zone schemes."""
    record = out / record_path(subject, None)
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"settings": {"zones": schemes}}))
    visit = Visit(f"sub-{subject}", "n/a", out / f"sub-{subject}" / "anat")
    visit.folder.mkdir(parents=True)
    row = {"index": 1, "majority": "PV"} | dict.fromkeys(majority_columns(schemes)[1:], "D")
    write_text(visit.table("lesions"), table_text(names(lesion_columns(schemes)), [row]))
    write_text(visit.table("volumes"), table_text(names(VOLUMES), []))
    return visit


def test_different_zone_schemes_are_said_and_missing_columns_are_na(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    visits = [
        finished(tmp_path, "01", ["jv3-pv13-jc4", "pv10"]),
        finished(tmp_path, "02", ["jv3-pv13-jc4"]),
    ]
    settings = Settings(tmp_path, tmp_path, "group")
    assert zone_schemes(settings, visits) == ("jv3-pv13-jc4", "pv10")
    assert "sub-02 n/a: jv3-pv13-jc4" in capsys.readouterr().err
    for visit in visits:
        (tmp_path / "in" / visit.participant_id).mkdir(parents=True)
    (tmp_path / "in" / "dataset_description.json").write_text(
        '{"Name": "x", "BIDSVersion": "1.10.0"}'
    )
    assert run_group(Settings(tmp_path / "in", tmp_path, "group")) == 0
    rows = read_table(tmp_path / "group" / "lesions.tsv")
    assert [row["majority_pv10"] for row in rows] == ["D", "n/a"]
    assert [row["majority"] for row in rows] == ["PV", "PV"]


def test_one_scheme_for_all_is_no_news(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    visits = [finished(tmp_path, subject, ["pv10"]) for subject in ("01", "02")]
    assert zone_schemes(Settings(tmp_path, tmp_path, "group"), visits) == ("pv10",)
    assert capsys.readouterr().err == ""


def test_atlases_that_differ_are_said_and_what_nobody_has_is_not_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for subject, digest in (("01", "a"), ("02", "b"), ("03", "a")):
        visit = finished(tmp_path, subject, ["pv10"])
        record = tmp_path / record_path(subject, None)
        content = json.loads(record.read_text())
        content["settings"]["atlas_threshold"] = 0.5
        content["atlases"] = {
            "mine": {"template": "T", "files": {"image": digest}},
            "same": {"template": "T", "files": {"image": "c"}},
        }
        record.write_text(json.dumps(content))
        (tmp_path / "in" / visit.participant_id).mkdir(parents=True)
    (tmp_path / "in" / "dataset_description.json").write_text(
        '{"Name": "x", "BIDSVersion": "1.10.0"}'
    )
    stale = [tmp_path / "group" / f"desc-weighted_regions{end}" for end in (".tsv", ".parquet")]
    stale[0].parent.mkdir()
    for path in stale:
        path.write_text("of an earlier run")
    assert run_group(Settings(tmp_path / "in", tmp_path, "group")) == 0
    said = capsys.readouterr().err
    assert "The atlas mine is not the same in all visits" in said
    assert "sub-01 n/a and sub-02 n/a" in said
    assert "same is not" not in said
    assert not any(path.exists() for path in stale)
