"""What is drawn before the tables are there is what would be drawn afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wmhflow.products.unit import Unit
from wmhflow.products.visit import visit_unit
from wmhflow.reports import person
from wmhflow.reports.early import WithoutTables, draw_early, load_drawn, save_drawn
from wmhflow.reports.pictures import PICTURES
from wmhflow.reports.unit import draw_pictures, page_units, write_page


def all_bytes(folder: Path) -> dict[Path, bytes]:
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def recipes(plan, settings) -> dict[str, object]:
    units = [visit_unit(visit, settings) for visit in plan.visits]
    (page,) = page_units(plan, units, settings)
    assert isinstance(page, Unit)
    return {recipe.name: recipe for recipe in page.recipes}


def test_the_page_and_its_pictures_are_the_same_bytes(world, tmp_path):
    world.save()
    tables = list(world.settings.output_dir.rglob("*.tsv"))
    kept = {table: table.read_bytes() for table in tables}
    for table in tables:
        table.unlink()
    # without any table, and by the steps that a run has
    drawn = draw_pictures([], [], world.settings, world.visit, tmp_path).pictures
    for table, content in kept.items():
        table.write_bytes(content)
    write_page([], [], world.settings, world.plan, [drawn])
    early = all_bytes(world.settings.output_dir)
    person.write_report(world.settings, world.plan)
    assert all_bytes(world.settings.output_dir) == early


def test_what_was_drawn_is_not_drawn_again(world, monkeypatch):
    world.save()
    drawn = draw_early(WithoutTables(world.settings, world.visit))
    shown = {key for key, pictures in drawn.items() if pictures}
    assert {"masks", "survey", "zones", "tissue", "maps"} <= shown

    def drawn_twice(context):
        raise AssertionError("drawn twice")

    rows = [m if m.needs_tables else replace(m, make=drawn_twice) for m in PICTURES]
    monkeypatch.setattr(person, "PICTURES", tuple(rows))
    person.write_report(world.settings, world.plan, {world.visit.label: drawn})


def test_pictures_come_back_from_their_file(world, tmp_path):
    world.save()
    drawn = draw_early(WithoutTables(world.settings, world.visit))
    save_drawn(tmp_path / "a.zip", world.visit.label, drawn)
    assert load_drawn(tmp_path / "a.zip") == (world.visit.label, drawn)


def test_a_table_that_is_not_there_yet_is_no_empty_table(world):
    with pytest.raises(RuntimeError, match="table profiles is asked for before it is written"):
        WithoutTables(world.settings, world.visit).table("profiles")


def test_pictures_are_drawn_early_where_maps_are_sampled(world):
    with_maps = recipes(world.plan, world.settings)
    assert set(with_maps) == {"pictures_1", "report"}
    assert with_maps["report"].takes["drawn"] == ["pictures_1"]
    plain = replace(world.plan, visits=(replace(world.visit, maps=()),))
    without = recipes(plain, world.settings)
    assert set(without) == {"report"}
    assert without["report"].takes["drawn"] is None


def test_drawing_waits_for_images_and_not_for_tables(world):
    early = recipes(world.plan, world.settings)["pictures_1"]
    keys = {one.key for one in early.takes["written"]}
    assert {"written_scans", "written_images", "written_distances"} <= keys
    assert "written_tables" not in keys
