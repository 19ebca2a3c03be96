"""What a visit's context finds, and that it reads once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wmhflow.plan.visit import Computed, Source
from wmhflow.products.visit import visit_unit
from wmhflow.reports import context as module
from wmhflow.reports.context import VisitContext


def transforms(world, transform: Source | None):
    entry = replace(world.visit.maps[0], transform=transform)
    visit = replace(world.visit, maps=(entry,))
    (aligned,) = VisitContext(world.settings, visit).aligned_maps()
    return visit, aligned


def test_each_way_of_aligning_a_map_finds_its_transform(world):
    given = world.visit.maps[0].transform
    _, by_transform = transforms(world, given)
    assert by_transform.transform == given.file.path
    assert by_transform.how == "aligned by xfm.txt"
    _, by_header = transforms(world, None)
    assert (by_header.transform, by_header.how) == (None, "aligned by its header")
    visit, registered = transforms(world, Computed("register_rigid"))
    assert registered.transform == world.settings.output_dir / visit_unit(
        visit, world.settings
    ).path("transform_FA")


def test_the_template_comes_through_the_given_transform_or_the_written_one(world):
    given = world.visit.inverse.file.path
    assert VisitContext(world.settings, world.visit).template_transform == given
    made = Computed("register_to_template")
    computed = replace(world.visit, forward=made, inverse=made)
    written = world.settings.output_dir / visit_unit(computed, world.settings).path("inverse")
    assert VisitContext(world.settings, computed).template_transform == written


def test_tables_and_images_are_read_once_and_when_asked_for(world, monkeypatch):
    context = world.saved()
    read: list[str] = []
    original = module.read_table
    monkeypatch.setattr(module, "read_table", lambda path: read.append(path.name) or original(path))
    assert context.problem is None
    assert not read
    assert context.table("lesions") is context.table("lesions")
    assert len(read) == 1
    assert context.scene is context.scene
    assert context.table("weighted") == []


@pytest.mark.parametrize("key", ["mask_WMH", "table_qc", "table_volumes"])
def test_a_missing_file_is_named(world, key):
    context = world.saved()
    missing = context.unit.path(key)
    (world.settings.output_dir / missing).unlink()
    assert missing.name in context.problem


def test_a_planned_problem_comes_before_what_is_missing(world):
    visit = replace(world.visit, problem="no T1w")
    assert VisitContext(world.settings, visit).problem == "no T1w"


def test_figures_are_named_after_person_and_visit(world):
    visit = replace(world.visit, session="a")
    path = VisitContext(world.settings, visit).figure_path("masks", "FLAIR")
    assert path.as_posix() == "sub-01/figures/sub-01_ses-a_desc-masks_FLAIR.png"
