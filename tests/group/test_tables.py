"""Tables of the whole study: a function and a row each; the first is the phenotype's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.group.studies import SCHEME, finished, give, group_settings, study_of
from wmhflow.bids.writer import Column, read_table
from wmhflow.errors import InputError
from wmhflow.group import run
from wmhflow.group.run import run_group
from wmhflow.group.study import Study
from wmhflow.group.tables import STUDY_TABLES, StudyTable, write_study_table

PHENOTYPE = next(table for table in STUDY_TABLES if table.name == "phenotype/wmhflow_volumes")


def test_a_person_is_a_row_and_a_session_a_prefix(tmp_path: Path) -> None:
    first = finished(tmp_path, "01", session="ses-1")
    second = finished(tmp_path, "01", session="ses-2")
    alone = finished(tmp_path, "02")
    zone = {"seg": "zones", "index": 1, "volume_mm3": 7, "wmh_volume_mm3": 0.25}
    give(first, "volumes", [{"seg": "tissue", "index": 1, "volume_mm3": 5.5}, zone])
    give(second, "volumes", [zone | {"seg": "atlas"}])
    give(second, "lesions", [{"index": 1}, {"index": 2}])
    give(alone, "volumes", [zone])
    write_study_table(study_of([first, second, alone]), PHENOTYPE)
    one, two = read_table(tmp_path / "phenotype" / "wmhflow_volumes.tsv")
    assert (one["participant_id"], two["participant_id"]) == ("sub-01", "sub-02")
    assert (one["ses-1_n_lesions"], one["ses-2_n_lesions"], one["n_lesions"]) == ("1", "2", "n/a")
    assert {
        name: cell for name, cell in one.items() if name.endswith("_mm3") and cell != "n/a"
    } == {
        "ses-1_tissue_CSF_volume_mm3": "5.5",
        "ses-1_zones_JV_volume_mm3": "7",
        "ses-1_zones_JV_wmh_mm3": "0.25",
    }
    assert two["zones_JV_wmh_mm3"] == "0.25"
    described = json.loads((tmp_path / "phenotype" / "wmhflow_volumes.json").read_text())
    assert list(described) == ["MeasurementToolMetadata", *one]
    assert described["ses-1_zones_JV_volume_mm3"]["Units"] == "mm^3"


def test_a_table_that_was_promised_and_is_gone_is_named(tmp_path: Path) -> None:
    visit = finished(tmp_path, "01")
    visit.table("lesions").unlink()
    with pytest.raises(InputError, match=r"sub-01 n/a: sub-01/anat/sub-01_lesions.tsv is missing"):
        write_study_table(study_of([visit]), PHENOTYPE)


def test_a_statistic_is_one_function_and_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def most_lesions(study: Study) -> Iterator[dict[str, Any]]:
        # what was gathered is there by then
        counts = [len(read_table(visit.table("lesions"))) for visit in study.visits]
        assert sum(counts) == len(read_table(study.table("lesions")))
        yield {"scheme": study.schemes[0], "most": max(counts)}

    columns = (
        Column("scheme", "The scheme", kind="text"),
        Column("most", "The most", kind="whole"),
    )
    row = StudyTable("group/desc-most_lesions", most_lesions, lambda _: columns, {})
    monkeypatch.setattr(run, "STUDY_TABLES", (*STUDY_TABLES, row))
    visits = [finished(tmp_path, "01"), finished(tmp_path, "02")]
    give(visits[1], "lesions", [{"index": 1}, {"index": 2}])
    assert run_group(group_settings(tmp_path / "in", visits)) == 0
    path = tmp_path / "group" / "desc-most_lesions.tsv"
    assert read_table(path) == [{"scheme": SCHEME, "most": "2"}]
    described = json.loads(path.with_suffix(".json").read_text())
    assert described == {
        "scheme": {"Description": "The scheme"},
        "most": {"Description": "The most"},
    }
