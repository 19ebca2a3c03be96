"""Every measure and every map that stands in a table has a meaning in the JSON file beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.group.studies import finished, give, study_of
from tests.products.kinds import visits
from tests.products.test_visit import metrics_of, unit_of
from wmhflow.bids.writer import Column, dictionary_of, write_json
from wmhflow.group.gather import gather
from wmhflow.products.dictionary import NAMING
from wmhflow.products.product import Table
from wmhflow.products.tables import TABLES
from wmhflow.registries.quality import (
    explain_measures,
    load_quality_measures,
    measures_table,
    quality_table,
)
from wmhflow.steps.measures import quality_row
from wmhflow.steps.outputs import TableTarget, write_tables

KINDS = pytest.mark.parametrize("kind", visits())


def written(folder: Path, table: Table, rows: list[dict[str, object]]) -> dict[str, dict[str, str]]:
    """The dictionary that the step writes beside a table of these rows."""
    work = folder / "rows.json"
    work.write_text(json.dumps(rows), encoding="utf-8")
    write_tables([work], [TableTarget(folder / "table.tsv", table.columns)])
    return json.loads((folder / "table.json").read_text(encoding="utf-8"))


@KINDS
def test_every_measure_that_steps_state_has_a_meaning_beside_the_table(
    tmp_path: Path, kind: str
) -> None:
    # how a registration began is a word, which is no row of the table
    metrics = [name for name in metrics_of(unit_of(kind)) if not name.endswith("_start")]
    rows = [quality_row(metric, 1.0) for metric in metrics]
    levels = written(tmp_path, TABLES["qc"], rows)["metric"]["Levels"]
    assert list(levels) == metrics
    assert [name for name, meaning in levels.items() if len(meaning) < 15] == []


def test_every_measure_of_the_registry_has_a_meaning_with_its_unit_and_the_reason_of_its_bounds():
    for entry in load_quality_measures():
        # a name that the pattern fits
        metric = entry.metric.replace("*", "x")
        said = explain_measures([metric])
        assert metric in said, entry.metric
        assert f"`{entry.metric}`" in quality_table() + measures_table()
    told = explain_measures(["ventricle_volume_mm3", "n_lesions", "wmh_local_contrast"])
    assert ", in mm^3" in told["ventricle_volume_mm3"]
    assert told["n_lesions"] == "Number of lesions"
    assert ". Bounds: " in told["wmh_local_contrast"]
    assert explain_measures(["nobody_measures_this"]) == {}


@KINDS
def test_every_table_of_maps_says_what_each_map_is(kind: str) -> None:
    maps = {entry.name for entry in visits()[kind].maps}
    for table in unit_of(kind).of(Table).values():
        for column in table.columns:
            if column.name in NAMING:
                levels = dict(column.levels)
                assert maps <= set(levels), table.key
                assert all(len(text) > 5 for text in levels.values())


def test_asymmetry_says_what_its_measures_are() -> None:
    table = unit_of("given").of(Table)["table_asymmetry"]
    (column,) = (one for one in table.columns if one.name == "measure")
    assert next(iter(dict(column.levels))) == "wmh_fraction"


@pytest.mark.parametrize("kind", TABLES)
def test_every_column_of_every_table_says_what_it_is(kind: str) -> None:
    said = dictionary_of(TABLES[kind].columns)
    assert list(said) == [column.name for column in TABLES[kind].columns]
    assert all(len(entry["Description"]) > 5 for entry in said.values())


def test_the_gathered_tables_explain_what_any_visit_has(tmp_path: Path) -> None:
    one, other = finished(tmp_path, "01"), finished(tmp_path, "02")
    give(one, "qc", [{"metric": "n_lesions", "value": 3}])
    give(other, "qc", [{"metric": "map_FA_coverage_NAWM", "value": 0.9}])
    for visit, name, meaning in (
        (one, "FA", "Fractional anisotropy"),
        (other, "MD", "Diffusivity"),
    ):
        give(visit, "profiles", [{"map": name, "shell": "1"}])
        column = Column("map", "Name", levels=((name, f"{meaning}; computed here"),))
        write_json(visit.table("profiles").with_suffix(".json"), dictionary_of((column,)))
    study = study_of([one, other])
    for kind, column, wanted in (
        ("qc", "metric", explain_measures(["n_lesions", "map_FA_coverage_NAWM"])),
        ("profiles", "map", {"FA": "Fractional anisotropy", "MD": "Diffusivity"}),
    ):
        gather(study, kind)
        said = json.loads(study.table(kind).with_suffix(".json").read_text(encoding="utf-8"))
        assert said[column]["Levels"] == wanted
        assert len(wanted) == 2


def test_what_a_damaged_dictionary_says_is_left_out(tmp_path: Path) -> None:
    visit = finished(tmp_path, "01")
    give(visit, "profiles", [{"map": "FA", "shell": "1"}])
    for damage in ("{", '{"map": 1}', '{"map": {"Levels": [1]}}'):
        visit.table("profiles").with_suffix(".json").write_text(damage, encoding="utf-8")
        study = study_of([visit])
        gather(study, "profiles")
        said = json.loads(study.table("profiles").with_suffix(".json").read_text("utf-8"))
        assert "Levels" not in said["map"]
