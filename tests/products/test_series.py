"""Several maps that one step makes from a series of files that belong together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pytest

from tests.builders import AFFINE, describe, save_image
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import UsageError
from wmhflow.plan import judges
from wmhflow.plan.computed import Fit
from wmhflow.plan.visit import VisitPlan
from wmhflow.products.product import Facts, Image, Work
from wmhflow.products.visit import visit_choices, visit_unit
from wmhflow.products.writing import sidecar, with_writing
from wmhflow.registries.maps import load_maps
from wmhflow.settings import Settings
from wmhflow.steps import computed
from wmhflow.steps.kinds import Columns, MaskImage, step
from wmhflow.steps.outputs import ImageTarget, write_images

ROWS = """
[[map]]
name = "One"
unit = "1"
valid_range = [0.0, 10.0]
query = { suffix = "dwimap", param = "one" }
computed = { step = "pair", series = "diffusion", gives = "one" }
[[map]]
name = "Two"
unit = "1"
valid_range = [0.0, 10.0]
query = { suffix = "dwimap", param = "two" }
computed = { step = "pair", series = "diffusion", gives = "two" }
[[map]]
name = "Three"
unit = "1"
valid_range = [0.0, 10.0]
query = { suffix = "dwimap", param = "three" }
computed = { step = "never", series = "diffusion", gives = "three" }
"""


class Pair(NamedTuple):
    one: Grid3D
    two: Grid3D
    spare: Grid3D
    tensor: Columns
    facts: dict[str, Any]


class Never(NamedTuple):
    three: Grid3D


@step()
def pair(
    image: Path, bval: Path, tissue: MaskImage, transform: Path | None = None, n: int = 0
) -> Pair:
    raise AssertionError("a plan carries no step out")


@step()
def never(image: Path) -> Never:
    raise AssertionError("a plan carries no step out")


class Shown(NamedTuple):
    image: Grid3D


@step()
def mean_b0(image: Path, bval: Path) -> Shown:
    raise AssertionError("a plan carries no step out")


def save_series(folder: Path, name: str, n: int = 3) -> Path:
    path = save_image(folder / f"{name}_dwi.nii.gz", np.ones((8, 9, 10, n)))
    for ending in (".bval", ".bvec"):
        path.with_name(f"{name}_dwi{ending}").write_text("0 1000 1000\n", encoding="utf-8")
    return path


@pytest.fixture
def planned(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(computed.MAP_STEPS, "pair", pair)
    monkeypatch.setitem(computed.MAP_STEPS, "never", never)
    monkeypatch.setitem(computed.SHOWN_STEPS, "mean_b0", mean_b0)
    fits = dict.fromkeys(computed.MAP_STEPS, lambda _, found: "it is of no matter here") | {
        "pair": lambda _, found: Fit("b = 1000", {"n": 7}, {"Shells": [1000]}),
        "never": lambda _, found: "it cannot be",
    }
    monkeypatch.setattr(judges, "JUDGES", fits)
    monkeypatch.setattr("wmhflow.plan.maps.JUDGES", fits)
    registry = tmp_path / "maps.toml"
    registry.write_text(ROWS, encoding="utf-8")
    prep = describe(tmp_path / "prep", DatasetType="derivative")
    folder = prep / "sub-01" / "dwi"
    save_series(folder, "sub-01_desc-preproc")
    save_image(folder / "sub-01_desc-brain_mask.nii.gz", np.ones((8, 9, 10)))

    def plan(*more: str) -> tuple[VisitPlan, Settings]:
        words = [str(raw), str(tmp_path / "out"), "participant", "--maps", str(registry), *more]
        words += [] if "-d" in more else ["-d", f"prep={prep}"]
        settings = parse_settings([*words, "-w", str(tmp_path / "work")])
        return next(iter(make_plans(settings))).visits[0], settings

    return plan, folder


def own_maps(visit: VisitPlan) -> dict[str, Any]:
    return {one.name: one for one in visit.maps if one.name in {"One", "Two", "Three"}}


def told(visit: VisitPlan, name: str) -> list[tuple[str, str]]:
    return [(one.state, one.why) for one in visit.decisions if one.what == name]


def test_a_series_is_found_whole_and_what_is_made_of_it_is_said(planned) -> None:
    visit, _ = planned[0]()
    maps = own_maps(visit)
    assert list(maps) == ["One", "Two"]
    takes = {name: file.path.name for name, file in maps["One"].values.takes.items()}
    assert takes == {
        "image": "sub-01_desc-preproc_dwi.nii.gz",
        "bval": "sub-01_desc-preproc_dwi.bval",
        "bvec": "sub-01_desc-preproc_dwi.bvec",
        "mask": "sub-01_desc-brain_mask.nii.gz",
    }
    assert {file.path.name for file in visit.sources} >= set(takes.values())
    assert ("computed", "by pair from sub-01_desc-preproc_dwi.nii.gz of prep: b = 1000") in told(
        visit, "One"
    )
    assert told(visit, "Three") == [("note", "not computed by never: it cannot be")]


def test_one_step_makes_all_its_maps_and_they_move_by_the_series_own_image(planned) -> None:
    visit, settings = planned[0]()
    unit = with_writing(visit_unit(visit, settings), settings)
    unit.check()
    fit = unit.makers["map_One"]
    assert fit is unit.makers["map_Two"]
    assert set(fit.takes) == {"image", "bval"}
    assert fit.beside == {"tissue": "seg_tissue", "transform": "transform_OneTwo"}
    assert fit.options == {"n": 7}
    assert isinstance(unit.products["pair_tensor"], Work)
    assert "pair_spare" not in unit.products
    assert unit.products["facts_pair"] == Facts("facts_pair", "pair_")
    assert unit.makers["image_OneTwo"].takes == {"in_file": "shown_diffusion"}
    image = unit.products["map_One"]
    assert isinstance(image, Image)
    content = sidecar(unit, image, settings)
    assert content["Parameters"] == {"step": "pair", "Shells": [1000]}
    assert unit.path("map_One").name == "sub-01_desc-One_dwimap.nii.gz"
    assert [uri.rsplit(".", 1)[1] for uri in unit.sources("map_One")] == ["gz", "bval"]
    sink = next(one for one in unit.recipes if one.name == "image_sink")
    assert sink.takes["facts"] == ["facts_pair"]
    assert '"n": 7' in json.dumps(visit_choices(visit, settings)["maps"]["One"])


def test_what_a_step_found_out_stands_in_the_sidecar(tmp_path: Path) -> None:
    work = save_image(tmp_path / "work.nii", np.ones((8, 9, 10)))
    target = ImageTarget(
        tmp_path / "x_dwimap.nii.gz", "scalars", {"Parameters": {"step": "pair"}}, facts=1
    )
    write_images([work], [target], [{"other": 1}, {"n_nan": 5}])
    content = json.loads((tmp_path / "x_dwimap.json").read_text())
    assert content["Parameters"] == {"step": "pair", "n_nan": 5}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("no bval", "0 files answer for sub-01_desc-preproc_dwi.bval"),
        ("two series", "2 files answer for one diffusion series"),
    ],
)
def test_why_a_series_is_not_used_is_said(planned, change: str, why: str) -> None:
    plan, folder = planned
    if change == "no bval":
        (folder / "sub-01_desc-preproc_dwi.bval").unlink()
    else:
        save_series(folder, "sub-01_run-2_desc-preproc")
    visit, _ = plan()
    assert not own_maps(visit)
    assert why in told(visit, "One")[0][1]


def test_a_mask_on_another_grid_is_left_out(planned) -> None:
    plan, folder = planned
    save_image(folder / "sub-01_desc-brain_mask.nii.gz", np.ones((9, 9, 10)))
    visit, _ = plan()
    assert "mask" not in own_maps(visit)["One"].values.takes
    assert any("another grid" in why for _, why in told(visit, "series"))


@pytest.mark.acts("--allow-raw-dwi")
def test_a_raw_series_is_taken_only_if_asked_for(planned, raw: Path, tmp_path: Path) -> None:
    plan, _ = planned
    save_series(raw / "sub-01" / "dwi", "sub-01")
    empty = describe(tmp_path / "empty", DatasetType="derivative")
    visit, _ = plan("-d", f"empty={empty}")
    assert not own_maps(visit)
    assert "--allow-raw-dwi" in told(visit, "One")[0][1]
    visit, _ = plan("-d", f"empty={empty}", "--allow-raw-dwi")
    assert own_maps(visit)["One"].file.path.name == "sub-01_dwi.nii.gz"


def test_a_series_on_a_template_is_none(planned) -> None:
    plan, folder = planned
    for path in sorted(folder.glob("*_dwi.*")):
        path.rename(path.with_name(path.name.replace("_desc", "_space-MNI152NLin6Asym_desc")))
    visit, _ = plan()
    assert not own_maps(visit)


def test_a_row_of_the_registry_takes_files_or_a_series(tmp_path: Path) -> None:
    path = tmp_path / "maps.toml"
    path.write_text(ROWS.replace('series = "diffusion", gives = "one"', ""), encoding="utf-8")
    with pytest.raises(UsageError, match=r"maps\.toml"):
        load_maps(path)


def test_the_affine_of_a_series_is_read(planned) -> None:
    from wmhflow.files.images import load_series, read_series_header

    path = planned[1] / "sub-01_desc-preproc_dwi.nii.gz"
    shape, affine, _ = read_series_header(path)
    assert shape == (8, 9, 10, 3)
    assert np.array_equal(affine, AFFINE)
    data = np.arange(8 * 9 * 10 * 3, dtype=np.int16).reshape(8, 9, 10, 3)
    nib.save(nib.Nifti1Image(data, AFFINE), path)
    assert np.array_equal(load_series(path, [2, 0])[0], data[..., [2, 0]])
