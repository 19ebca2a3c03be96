"""When acute lesions are looked for, on which volumes, and why not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.builders import save_image
from tests.plan.test_diffusion import Prepared
from wmhflow.plan.visit import REFUSED, Composed, Computed, Given, VisitPlan
from wmhflow.products.maps import group_of

BY_RULE = ("--acute-source", "dwi")


@pytest.fixture
def prepared(raw: Path, tmp_path: Path) -> Prepared:
    return Prepared(raw, tmp_path)


def write_adc(prepared: Prepared, name: str = "sub-01_ADC") -> Path:
    path = prepared.root / "sub-01" / "dwi" / f"{name}.nii"
    return save_image(path, np.full((8, 9, 10), 0.8e-3))


def told(visit: VisitPlan) -> list[tuple[str, str]]:
    return [(one.state, one.why) for one in visit.decisions if one.what == "acute"]


@pytest.mark.acts("--acute-source")
def test_they_are_looked_for_only_if_asked_for(prepared: Prepared) -> None:
    prepared.write((1000, 12))
    assert prepared.plan().acute_image is None
    assert told(prepared.plan()) == []
    visit = prepared.plan(*BY_RULE)
    assert visit.acute_image is not None
    ((state, why),) = told(visit)
    assert state == "computed"
    assert "2 without weighting, 12 with b = 1000" in why
    assert "--acute-source dwi" in why
    assert visit.refused == ()


def test_a_series_and_its_own_adc_move_together(prepared: Prepared) -> None:
    prepared.write((1000, 12))
    visit = prepared.plan(*BY_RULE)
    assert visit.acute_image is not None
    group = group_of(visit, visit.acute_image)
    assert group is not None
    assert {"ADC", "FA"} <= {entry.name for entry in group}


def test_a_given_adc_is_taken_and_the_series_has_its_own_place(prepared: Prepared) -> None:
    prepared.write((1000, 1))
    Path(f"{prepared.start}.bvec").unlink()
    path = write_adc(prepared)
    visit = prepared.plan(*BY_RULE)
    (entry,) = visit.maps
    assert isinstance(entry.values, Given)
    assert entry.file.path == path
    assert visit.acute_image is not None
    assert isinstance(visit.acute_image.values, Computed)
    assert visit.acute_image.values.options["volumes"] == [0, 1, 2]
    assert not isinstance(visit.acute_image.transform, Composed)
    assert group_of(visit, visit.acute_image) is None
    assert {path, Path(f"{prepared.start}.bval")} <= {file.path for file in visit.sources}


@pytest.mark.parametrize(
    ("shells", "words", "has_adc", "why"),
    [
        (None, (), True, "there is no diffusion series"),
        (None, (), False, "there is no ADC map, neither given nor computed"),
        (((1000, 12),), ("--no-compute", "ADC"), False, "there is no ADC map"),
        (((600, 12),), (), True, "no b of 784 to 1530 (its b-values: 600)"),
        (((2000, 12),), (), True, "its b-values: 2000"),
        (((1000, 2),), (), True, "2 directions that are not spread evenly"),
    ],
)
def test_what_is_missing_costs_these_lesions_alone_and_is_said(
    prepared: Prepared, shells, words: tuple[str, ...], has_adc: bool, why: str
) -> None:
    if shells:
        prepared.write(*shells)
    if has_adc:
        write_adc(prepared)
    visit = prepared.plan(*BY_RULE, *words)
    assert visit.acute_image is None
    ((state, said),) = told(visit)
    assert state == REFUSED
    assert why in said
    assert any(why in one for one in visit.refused)


@pytest.mark.parametrize("place", ["raw", "prepared"])
@pytest.mark.parametrize(
    ("b", "why"), [(None, "taken for one of b about 1000"), (1000, "of b = 1000"), (500, "is 500"),
                   ("high", "is high")],
)  # fmt: skip
def test_a_scanners_trace_image_stands_for_a_series(
    prepared: Prepared, place: str, b: object, why: str
) -> None:
    write_adc(prepared)
    root = prepared.raw if place == "raw" else prepared.root
    path = save_image(root / "sub-01" / "dwi" / "sub-01_trace.nii")
    if b is not None:
        path.with_suffix(".json").write_text(json.dumps({"DiffusionBValue": b}))
    visit = prepared.plan(*BY_RULE)
    ((state, said),) = told(visit)
    assert why in said
    is_taken = b in (None, 1000)
    assert (state, visit.acute_image is not None) == (
        ("computed", True) if is_taken else (REFUSED, False)
    )
    if visit.acute_image is not None:
        assert visit.acute_image.file.path == path


def test_a_trace_image_of_several_volumes_is_refused(prepared: Prepared) -> None:
    write_adc(prepared)
    save_image(prepared.root / "sub-01" / "dwi" / "sub-01_trace.nii", np.ones((8, 9, 10, 3)))
    ((state, said),) = told(prepared.plan(*BY_RULE))
    assert state == REFUSED
    assert "sub-01_trace.nii" in said


def test_a_series_is_taken_before_a_trace_image(prepared: Prepared) -> None:
    save_image(prepared.root / "sub-01" / "dwi" / "sub-01_trace.nii")
    prepared.write((1000, 12))
    visit = prepared.plan(*BY_RULE)
    assert visit.acute_image is not None
    assert visit.acute_image.file.path.name == "sub-01_desc-preproc_dwi.nii"


def test_a_raw_series_is_taken_only_if_that_is_asked_for(prepared: Prepared) -> None:
    prepared.write((1000, 3))
    write_adc(prepared)
    for ending in (".nii", ".bval", ".bvec"):
        target = prepared.raw / "sub-01" / "dwi" / f"sub-01_dwi{ending}"
        target.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{prepared.start}{ending}").rename(target)
    np.savetxt(target, np.c_[np.zeros((3, 2)), np.eye(3)])
    assert "is raw" in told(prepared.plan(*BY_RULE))[0][1]
    assert prepared.plan(*BY_RULE, "--allow-raw-dwi").acute_image is not None


def test_a_given_mask_is_passed_over_and_that_is_said(prepared: Prepared) -> None:
    prepared.write((1000, 12))
    path = prepared.root / "sub-01" / "anat" / "sub-01_space-T1w_label-acute_mask.nii"
    save_image(path, np.zeros((8, 9, 10), np.uint8))
    assert set(prepared.plan().others) == {"acute"}
    visit = prepared.plan(*BY_RULE)
    assert set(visit.others) == set()
    assert ("note", f"{path.name} of prep is passed over: --acute-source dwi") in told(visit)


@pytest.mark.parametrize(
    ("label", "kinds"), [("blood", {"haemorrhage"}), ("ICH", set()), (None, set())]
)
def test_a_filter_says_how_other_lesions_are_called_and_none_is_no_mistake(
    prepared: Prepared, tmp_path: Path, label: str | None, kinds: set[str]
) -> None:
    filters = tmp_path / "filters.json"
    filters.write_text(json.dumps({"haemorrhage": {"label": "blood"}, "oedema": {"label": "x"}}))
    if label is not None:
        path = prepared.root / "sub-01" / "anat" / f"sub-01_space-T1w_label-{label}_mask.nii"
        save_image(path, np.zeros((8, 9, 10), np.uint8))
    assert set(prepared.plan("--bids-filter-file", str(filters)).others) == kinds
