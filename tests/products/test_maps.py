"""A map that is computed here is one function and one row of the registry."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.builders import save_image
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import UsageError
from wmhflow.files.images import load_image
from wmhflow.plan.visit import Computed, Given, VisitPlan
from wmhflow.products.maps import sampling_seconds
from wmhflow.products.product import Image
from wmhflow.products.visit import visit_choices, visit_unit
from wmhflow.products.writing import sidecar
from wmhflow.settings import Settings
from wmhflow.steps import computed
from wmhflow.steps.adapter import interface_of
from wmhflow.steps.kinds import step

ROW = """
[[map]]
name = "Rate"
unit = "1/s"
valid_range = [0.0, 10.0]
query = { suffix = "R1map" }
computed = { step = "rate", files = { t1 = { suffix = "T1map" } } }
"""


class Rate(NamedTuple):
    """A map."""

    map: Grid3D


@step(mem_gb=0.5)
def rate(t1: Grid3D) -> Rate:
    """Take the reciprocal."""
    return Rate(Grid3D(1 / np.maximum(t1.data, 0.5), t1.affine))


@pytest.fixture
def planned(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(computed.MAP_STEPS, "rate", rate)
    save_image(raw / "sub-01" / "anat" / "sub-01_T1map.nii.gz", np.full((8, 9, 10), 2.0))
    registry = tmp_path / "maps.toml"
    registry.write_text(ROW, encoding="utf-8")

    def plan(*more: str) -> tuple[VisitPlan, Settings]:
        words = [str(raw), str(tmp_path / "out"), "participant", "--maps", str(registry), *more]
        settings = parse_settings([*words, "-w", str(tmp_path / "work")])
        return next(iter(make_plans(settings))).visits[0], settings

    return plan


def test_it_is_planned_where_its_files_are_there_and_said(planned) -> None:
    visit, _ = planned()
    (entry,) = (one for one in visit.maps if one.name == "Rate")
    assert isinstance(entry.values, Computed)
    assert [file.path.name for file in entry.values.files] == ["sub-01_T1map.nii.gz"]
    assert entry.file in visit.sources
    said = next(one for one in visit.decisions if one.what == "Rate")
    assert (said.state, "sub-01_T1map.nii.gz" in said.why) == ("computed", True)


def test_a_map_that_is_given_is_not_computed(planned, raw: Path, tmp_path: Path) -> None:
    given = tmp_path / "maps"
    save_image(given / "sub-01" / "anat" / "sub-01_R1map.nii.gz", np.full((8, 9, 10), 0.4))
    (given / "dataset_description.json").write_text(
        '{"Name": "maps", "BIDSVersion": "1.10.0", "DatasetType": "derivative"}', encoding="utf-8"
    )
    visit, settings = planned("-d", f"maps={given}")
    (entry,) = (one for one in visit.maps if one.name == "Rate")
    assert isinstance(entry.values, Given)
    assert "map_Rate" not in visit_unit(visit, settings).products


def test_without_its_files_there_is_no_such_map(planned, raw: Path) -> None:
    (raw / "sub-01" / "anat" / "sub-01_T1map.nii.gz").unlink()
    visit, _ = planned()
    assert not [one for one in visit.maps if one.name == "Rate"]


def test_it_is_made_written_and_sampled(planned, tmp_path: Path) -> None:
    visit, settings = planned()
    unit = visit_unit(visit, settings)
    unit.check()
    image = unit.products["map_Rate"]
    assert isinstance(image, Image)
    assert unit.path("map_Rate").name == "sub-01_desc-Rate_R1map.nii.gz"
    assert unit.sources("map_Rate") == ["bids:raw:sub-01/anat/sub-01_T1map.nii.gz"]
    content = sidecar(unit, image, settings)
    assert content["Units"] == "1/s"
    assert content["SpatialReference"] == "bids:raw:sub-01/anat/sub-01_T1map.nii.gz"
    # the registry computes R1 of the same T1, which is sampled by itself
    sampled = [one.takes["maps"] for one in unit.recipes if one.name.startswith("sampling_")]
    assert sorted(sampled) == [["map_R1map"], ["map_Rate"]]
    recipe = unit.makers["map_Rate"]
    node = interface_of(recipe.function)
    node.inputs.t1 = str(recipe.takes["t1"].path)
    made = node.run(cwd=str(tmp_path)).outputs.map
    assert np.allclose(load_image(made)[0], 0.5)


def test_a_map_computed_by_another_step_makes_the_visit_unfinished(planned) -> None:
    visit, settings = planned()

    def choices(step: str) -> str:
        maps = tuple(
            replace(one, definition=replace(one.definition, computed=replace(how, step=step)))
            for one in visit.maps
            if (how := one.definition.computed) is not None
        )
        return json.dumps(visit_choices(replace(visit, maps=maps), settings))

    assert choices("rate") == choices("rate") != choices("other")


def test_a_step_that_does_not_exist_is_said(planned) -> None:
    visit, settings = planned()
    maps = tuple(
        replace(one, definition=replace(one.definition, computed=replace(how, step="nobody")))
        for one in visit.maps
        if (how := one.definition.computed) is not None
    )
    with pytest.raises(UsageError, match=r"'nobody'.*no such step"):
        visit_unit(replace(visit, maps=maps), settings)


def test_maps_of_small_voxels_are_sampled_first(planned):
    entry = planned()[0].maps[0]

    def seconds(edge_mm: float, n_maps: int) -> float:
        affine = np.diag([edge_mm, edge_mm, edge_mm, 1.0])
        found = sampling_seconds(
            (replace(entry, grid=((9, 9, 9), tuple(affine.ravel()))),) * n_maps
        )
        assert found is not None
        return found

    assert seconds(1, 2) > seconds(2, 6) > seconds(3, 2) > 0
    # voxels of another unit, or of no size at all, do not make it endless
    assert seconds(1, 1) < seconds(0.001, 1) < 1000
    assert sampling_seconds((replace(entry, grid=("echo-1.nii.gz",)),)) is None
