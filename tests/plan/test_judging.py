"""Planning believes names and headers; what only voxels tell is judged with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.builders import PHANTOM, save_image
from tests.plan.test_participant import mask, plan_one
from tests.runs import phantom_words
from wmhflow.cli.main import main
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.errors import InputError
from wmhflow.plan.judging import judge_visit, judged
from wmhflow.plan.text import format_plan
from wmhflow.plan.visit import VisitPlan

PARCELS = (2, 41, 4, 43, 1028, 2028)
TISSUES = (2, 41, 4, 43, 3, 42)
TABLE = "index\tname\n"


def problem_of(visit: VisitPlan) -> str:
    """The one sentence with which a visit that was planned is refused."""
    assert visit.problem is None
    with pytest.raises(InputError) as refused:
        judge_visit(visit)
    return str(refused.value)


def notes_of(visit: VisitPlan) -> list[tuple[str, str]]:
    assert visit.problem is None
    return [(note.what, note.why) for note in judge_visit(visit)]


def lost_of(visit: VisitPlan, name: str) -> str:
    """The sentence with which the one map of a visit is left without values."""
    assert visit.problem is None
    (line,) = judge_visit(visit)
    assert (line.what, line.state) == (name, "unusable")
    return line.why


def parcellation(derivatives: Path, name: str, codes: tuple[int, ...], **how: Any) -> Path:
    data = np.zeros((8, 9, 10))
    for layer, code in enumerate(codes):
        data[2:6, 2:6, layer] = code
    path = derivatives / "sub-01" / "anat" / f"sub-01_space-T1w_{name}_dseg.nii.gz"
    return save_image(path, data, **how)


@pytest.fixture
def no_voxels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody read a voxel."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("voxels were read")

    for name in ("get_unscaled", "_get_scaled", "__array__", "__getitem__"):
        monkeypatch.setattr(nib.arrayproxy.ArrayProxy, name, refuse)


@pytest.mark.usefixtures("no_voxels")
def test_planning_reads_no_voxels(tmp_path: Path) -> None:
    plans = make_plans(parse_settings(phantom_words(tmp_path / "out", tmp_path / "work")))
    visits = [visit for plan in plans for visit in plan.visits]
    assert [visit.problem for visit in visits] == [None] * 3
    assert all(visit.maps for visit in visits)
    with pytest.raises(AssertionError, match="voxels"):
        judge_visit(visits[0])


def test_the_phantom_is_all_that_it_says(tmp_path: Path) -> None:
    plans = list(make_plans(parse_settings(phantom_words(tmp_path / "out", tmp_path / "work"))))
    assert [judged(plan) for plan in plans] == plans


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.zeros((8, 9, 10)), "no value other than 0"),
        (np.full((8, 9, 10), np.nan), "no value other than 0"),
        (np.full((8, 9, 10), 7), "the one value 7"),
    ],
)
def test_an_image_that_shows_nothing_is_refused(raw: Path, data: Any, said: str) -> None:
    path = save_image(raw / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz", data)
    problem = problem_of(plan_one(raw))
    assert said in problem
    assert str(path) in problem


def test_one_image_under_both_names_is_refused(raw: Path) -> None:
    anat = raw / "sub-01" / "anat"
    (anat / "sub-01_FLAIR.nii.gz").write_bytes((anat / "sub-01_T1w.nii.gz").read_bytes())
    assert "hold the same values" in problem_of(plan_one(raw))


def test_what_is_no_number_is_counted_beside_its_image(raw: Path) -> None:
    data = np.arange(720.0).reshape(8, 9, 10)
    data[0, 0, :3] = [np.nan, np.inf, -np.inf]
    save_image(raw / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz", data)
    visit = plan_one(raw)
    assert notes_of(visit) == [("FLAIR", "3 NaN or infinite voxels count as 0")]
    (participant,) = make_plans(parse_settings([str(raw), "out", "participant"]))
    lines = [line.what for line in judged(participant).visits[0].decisions]
    assert lines[:4] == ["T1w", "FLAIR", "FLAIR", "reference"]


@pytest.mark.parametrize(
    ("name", "is_map"), [("T1w", False), ("WMH", False), ("map", True), ("companion", True)]
)
def test_an_image_that_was_cut_short_is_refused(
    raw: Path, derivatives: Path, name: str, is_map: bool
) -> None:
    noise = np.random.default_rng(0).uniform(size=(8, 9, 10))
    perf = derivatives / "sub-01" / "perf"
    paths = {
        "T1w": save_image(raw / "sub-01" / "anat" / "sub-01_T1w.nii.gz", noise),
        "WMH": mask(derivatives, data=(noise > 0.5).astype(float)),
        "map": save_image(perf / "sub-01_cbf.nii.gz", noise * 50),
        "companion": save_image(raw / "sub-01" / "perf" / "sub-01_m0scan.nii.gz", noise),
    }
    visit = plan_one(raw, derivatives)
    assert visit.maps[0].transform is not None
    assert visit.maps[0].transform.files
    assert judge_visit(visit) == ()
    path = paths[name]
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    visit = plan_one(raw, derivatives)
    # a map costs itself, and not the visit
    said = lost_of(visit, "CBF") if is_map else problem_of(visit)
    assert f"{path.name} cannot be read to its end" in said


def test_an_empty_mask_is_no_error(raw: Path, derivatives: Path) -> None:
    path = mask(derivatives, data=np.zeros((8, 9, 10)))
    visit = plan_one(raw, derivatives)
    said = f"{path.name} is EMPTY: volumes are 0 and samples n/a"
    assert notes_of(visit) == [("WMH", said)]


def test_a_map_out_of_its_valid_range_costs_itself(raw: Path, derivatives: Path) -> None:
    name = "sub-01_space-T1w_model-tensor_param-md_dwimap.nii.gz"
    save_image(derivatives / "sub-01" / "dwi" / name, np.full((8, 9, 10), 0.8))
    mask(derivatives)
    said = lost_of(plan_one(raw, derivatives), "MD")
    assert "valid range 0 to 0.01 mm^2/s" in said
    assert "--maps" in said


@pytest.mark.parametrize(("side", "codes"), [("left", (2, 4)), ("right", (41, 43))])
def test_a_person_without_one_hemisphere_is_refused_with_its_side(
    raw: Path, derivatives: Path, side: str, codes: tuple[int, int]
) -> None:
    parcellation(derivatives, "seg-aparcaseg", codes)
    problem = problem_of(plan_one(raw, derivatives))
    assert f"white matter of the {side} hemisphere alone" in problem


def test_codes_of_another_kind_and_nan_are_refused(raw: Path, derivatives: Path) -> None:
    codes = np.full((8, 9, 10), np.nan)
    codes[2:6, 2:6, 2:6] = 2
    name = "sub-01_space-T1w_seg-aparcaseg_dseg.nii.gz"
    save_image(derivatives / "sub-01" / "anat" / name, codes)
    assert "no FreeSurfer-coded parcellation" in problem_of(plan_one(raw, derivatives))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
def test_codes_are_read_from_whatever_type(raw: Path, derivatives: Path, dtype: Any) -> None:
    codes = TISSUES if dtype == np.uint8 else PARCELS
    name = "seg-aseg" if dtype == np.uint8 else "seg-aparcaseg"
    parcellation(derivatives, name, codes, dtype=dtype)
    assert notes_of(plan_one(raw, derivatives)) == []


def test_a_promise_of_parcels_that_is_not_kept_is_refused(raw: Path, derivatives: Path) -> None:
    path = parcellation(derivatives, "seg-aparcaseg", TISSUES)
    visit = plan_one(raw, derivatives)
    assert visit.lobes == "parcellation"
    problem = problem_of(visit)
    assert problem.startswith(f"{path.resolve()} has no parcels of the cortex")
    assert "seg-aseg" in problem


def test_parcels_that_a_name_does_not_say_are_said(raw: Path, derivatives: Path) -> None:
    parcellation(derivatives, "desc-aseg", PARCELS)
    visit = plan_one(raw, derivatives)
    assert visit.lobes is None
    ((what, why),) = notes_of(visit)
    assert what == "lobes"
    assert "has parcels of the cortex, which its name does not say" in why


@pytest.mark.parametrize(("codes", "lobes"), [(PARCELS, "parcellation"), (TISSUES, None)])
@pytest.mark.parametrize("where", ["beside", "root"])
@pytest.mark.usefixtures("no_voxels")
def test_the_table_of_labels_tells_where_the_name_does_not(
    raw: Path, derivatives: Path, codes: tuple[int, ...], lobes: str | None, where: str
) -> None:
    path = parcellation(derivatives, "desc-synthseg", codes)
    rows = "".join(f"{code}\tlabel {code}\n" for code in codes)
    beside = path.with_name(path.name.replace(".nii.gz", ".tsv"))
    table = beside if where == "beside" else derivatives / "desc-synthseg_dseg.tsv"
    table.write_text(TABLE + rows)
    assert plan_one(raw, derivatives).lobes == lobes


@pytest.mark.parametrize("table", [None, "index\tname\nx\ty\n", "code\n2\n", "", TABLE])
def test_without_a_usable_table_the_voxels_of_that_one_file_tell(
    raw: Path, derivatives: Path, table: str | None
) -> None:
    if table is not None:
        (derivatives / "seg-SynthSeg_dseg.tsv").write_text(table)
    parcellation(derivatives, "seg-SynthSeg", PARCELS)
    assert plan_one(raw, derivatives).lobes == "parcellation"
    parcellation(derivatives, "seg-SynthSeg", TISSUES)
    assert plan_one(raw, derivatives).lobes is None


def test_a_dry_run_checks_values_if_it_is_asked_to(
    raw: Path, derivatives: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_image(raw / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz", np.zeros((8, 9, 10)))
    words = [str(raw), str(raw.parent / "out"), "participant", "-d", str(derivatives), "--dry-run"]
    assert main(words) == 0
    assert "cannot be processed" not in capsys.readouterr().out
    assert main([*words, "--check-values"]) == 1
    said = capsys.readouterr().out
    assert "cannot be processed" in said
    assert "sub-01_FLAIR.nii.gz holds no value other than 0" in said


def test_checking_values_changes_no_line_of_the_phantoms_plan(tmp_path: Path) -> None:
    words = phantom_words(tmp_path / "out", tmp_path / "work", dataset=PHANTOM)
    plans = list(make_plans(parse_settings(words)))
    assert format_plan(map(judged, plans)) == format_plan(plans)
