"""SUVR of a visit with a PET: the planted one is found, and what cannot be one is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from tests import inprocess
from tests.coarse import VOXEL_MM, Coarse, coarse_dataset, head, save
from tests.pet import LESIONS, MOTION, add_pet, codes, uptake
from wmhflow.bids.writer import read_table
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.errors import UsageError
from wmhflow.plan.visit import VisitPlan
from wmhflow.products.visit import visit_choices, visit_unit
from wmhflow.registries.tracers import find_tracer, load_references, load_tracers
from wmhflow.steps.kinds import LabelImage, MaskImage, Space
from wmhflow.steps.uptake import lay_reference, map_uptake, mean_activity

WITHOUT = ("fa_dwimap.nii.gz", "cbf.nii.gz")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    return coarse_dataset(tmp_path_factory.mktemp("written"), without=WITHOUT)


@pytest.fixture
def dataset(written: Coarse, tmp_path: Path) -> Coarse:
    shutil.copytree(written.folder, tmp_path / "made")
    return Coarse(tmp_path / "made")


def planned(dataset: Coarse, *more: str) -> VisitPlan:
    return next(iter(make_plans(parse_settings(dataset.words(*more))))).visits[0]


def said(visit: VisitPlan, name: str) -> str:
    return " | ".join(one.why for one in visit.decisions if one.what == name)


# ---- the plan ------------------------------------------------------------------------------------


def test_the_plan_says_from_which_frames_and_relative_to_what(dataset: Coarse) -> None:
    add_pet(dataset, "trc-PIB_pet", frames=True)
    add_pet(dataset, "trc-FDG_pet", TracerName="FDG")
    visit = planned(dataset)
    assert [one.name for one in visit.maps] == ["SUVRFDG", "SUVRPIB"]
    assert (
        "by uptake from sub-01_trc-PIB_pet.nii.gz of raw: the mean of 4 frames, 50 to 70 min after "
        "injection, relative to the grey matter of the cerebellum"
    ) in said(visit, "SUVRPIB")
    assert "one static image, relative to the pons" in said(visit, "SUVRFDG")
    settings = parse_settings(dataset.words())
    unit = visit_unit(visit, settings)
    unit.check()
    assert {"fit_uptakeFDG", "fit_uptakePIB", "reference_pons", "reference_cerebellar_grey",
            "shown_petFDG"} <= {one.name for one in unit.recipes}  # fmt: skip
    assert unit.path("map_SUVRFDG").name == "sub-01_trc-FDG_desc-SUVR_mimap.nii.gz"


FRAMED = {"frames": True}
EARLY = {"FrameTimesStart": [0], "FrameDuration": [600], "InjectionStart": 0}


@pytest.mark.parametrize(
    ("name", "told", "why"),
    [
        ("trc-PIB_pet", FRAMED | {"FrameTimesStart": None}, "it has 6 frames, and its JSON file"),
        ("trc-PIB_pet", FRAMED | {"FrameDuration": [300]}, "it has 6 frames, and its JSON file"),
        ("trc-PIB_pet", FRAMED | {"FrameDuration": [0] * 6}, "last no time"),
        ("trc-PIB_pet", FRAMED | {"FrameTimesStart": [6, 5, 4, 3, 2, 1]}, "do not follow"),
        ("trc-PIB_pet", FRAMED | {"InjectionStart": 0}, "0 to 30 min after injection, lies wholly"),
        ("trc-PIB_pet", FRAMED | {"FrameDuration": [900] * 6}, "do not follow"),
        ("trc-PIB_pet", FRAMED | {"FrameTimesStart": [0] * 6}, "do not follow"),
        ("trc-PIB_pet", FRAMED | {"InjectionStart": "-2400"}, "'-2400', is no number"),
        ("trc-PIB_pet", FRAMED | {"ImageDecayCorrected": False}, "not corrected for decay"),
        ("trc-PIB_pet", FRAMED | {"ImageDecayCorrected": "false"}, "not corrected for decay"),
        ("trc-PIB_pet", FRAMED | {"ImageDecayCorrected": 0}, "not corrected for decay"),
        ("trc-PIB_pet", {"AttenuationCorrection": ["none"]}, "not corrected for attenuation"),
        ("trc-PIB_pet", {"AttenuationCorrection": "no"}, "not corrected for attenuation"),
        ("trc-PIB_pet", {"TracerName": "FDG"}, "its name says PIB, and its JSON file FDG"),
        ("trc-PIB_pet", EARLY, "its one frame is from 0 to 10 min after injection"),
        ("trc-PIB_pet", {"AttenuationCorrection": "none"}, "not corrected for attenuation"),
        ("trc-PIB_rec-nacstat_pet", {}, "not corrected for attenuation"),
        ("trc-raclopride_pet", {}, "'raclopride' is none of which"),
        ("pet", {"TracerName": None}, "tell no tracer"),
    ],
)
def test_a_pet_that_cannot_be_used_costs_its_map_and_the_plan_says_why(
    dataset: Coarse, name: str, told: dict[str, object], why: str
) -> None:
    add_pet(dataset, name, **told)  # type: ignore[arg-type]
    visit = planned(dataset)
    (which,) = {one.what for one in visit.decisions if one.what.startswith("SUVR")}
    assert "not computed by uptake" in said(visit, which)
    assert why in said(visit, which)
    assert not visit.maps
    assert visit.problem is None


def test_without_a_parcellation_there_is_no_region_of_reference(dataset: Coarse) -> None:
    add_pet(dataset)
    dataset.find("aparcaseg_dseg.nii.gz").unlink()
    visit = planned(dataset)
    assert "none is given with -d" in said(visit, "SUVRPIB")


def test_a_given_map_of_the_tracer_is_never_computed_again(dataset: Coarse) -> None:
    add_pet(dataset, "trc-PIB_pet")
    add_pet(dataset, "trc-FDG_pet", TracerName="FDG")
    given = dataset.given / "sub-01" / "pet" / "sub-01_trc-PIB_meas-SUVR_mimap.nii.gz"
    save(given, (1.0 + uptake()).astype(np.float32), head().affine)
    maps = {one.name: one.file.path.name for one in planned(dataset).maps}
    assert maps == {"SUVRFDG": "sub-01_trc-FDG_pet.nii.gz", "SUVRPIB": given.name}
    # one of which nobody says the tracer may be of any
    given.rename(given.with_name("sub-01_meas-SUVR_mimap.nii.gz"))
    assert [one.name for one in planned(dataset).maps] == ["SUVR"]


@pytest.mark.parametrize("edge_mm", [3e-3, 0.3, 30.0, 3000.0])
def test_a_pet_whose_affine_is_in_another_unit_is_not_computed_from(
    dataset: Coarse, edge_mm: float
) -> None:
    path = add_pet(dataset)
    image = nib.load(path)
    scale = np.diag([edge_mm / 3] * 3 + [1.0])
    save(path, np.asanyarray(image.dataobj), image.affine @ scale)
    visit = planned(dataset)
    assert not visit.maps
    assert "write the affine in mm" in said(visit, "SUVRPIB")


def test_the_name_that_the_program_itself_writes_is_a_given_map(dataset: Coarse) -> None:
    add_pet(dataset)
    given = dataset.given / "sub-01" / "pet" / "sub-01_trc-PIB_space-T1w_desc-SUVR_mimap.nii.gz"
    save(given, (1.0 + uptake()).astype(np.float32), head().affine)
    assert [one.file.path.name for one in planned(dataset).maps] == [given.name]


@pytest.mark.parametrize("name", ["trc-18FFDG_pet", "pet"])
def test_a_tracer_is_known_by_its_other_names(dataset: Coarse, name: str) -> None:
    add_pet(dataset, name, TracerName="fludeoxyglucose")
    assert len(planned(dataset).maps) == 1
    given = dataset.given / "sub-01" / "pet" / "sub-01_trc-FDG_meas-SUVR_mimap.nii.gz"
    save(given, (1.0 + uptake()).astype(np.float32), head().affine)
    assert [one.file.path.name for one in planned(dataset).maps] == [given.name]


def test_a_preprocessed_pet_comes_before_the_raw_one_and_unmoved_before_moved(
    dataset: Coarse,
) -> None:
    raw = add_pet(dataset)
    folder = dataset.given / "sub-01" / "pet"
    for name in ("trc-PIB_desc-preproc_pet", "trc-PIB_space-T1w_desc-preproc_pet"):
        folder.mkdir(exist_ok=True)
        for ending in (".nii.gz", ".json"):
            source = raw.with_name(raw.name.replace(".nii.gz", ending))
            shutil.copy(source, folder / f"sub-01_{name}{ending}")
    (entry,) = planned(dataset).maps
    assert entry.file.path.name == "sub-01_trc-PIB_desc-preproc_pet.nii.gz"
    assert "is passed over" in said(planned(dataset), "pet")


def test_times_that_a_program_did_not_copy_are_those_of_the_raw_pet(dataset: Coarse) -> None:
    raw = add_pet(dataset, frames=True)
    path = dataset.given / "sub-01" / "pet" / "sub-01_trc-PIB_desc-preproc_pet.nii.gz"
    path.parent.mkdir()
    shutil.copy(raw, path)
    assert "the mean of 4 frames, 50 to 70 min" in said(planned(dataset), "SUVRPIB")
    # of two scans nobody can tell which
    for ending in (".nii.gz", ".json"):
        first = raw.with_name(raw.name.replace(".nii.gz", ending))
        first.rename(first.with_name(first.name.replace("_pet", "_run-1_pet")))
    assert "FrameTimesStart, FrameDuration" in said(planned(dataset), "SUVRPIB")


@pytest.mark.acts("--suvr-reference")
def test_the_region_of_reference_can_be_chosen(dataset: Coarse) -> None:
    add_pet(dataset, "trc-raclopride_pet")
    visit = planned(dataset, "--suvr-reference", "cerebellum")
    assert "relative to the whole cerebellum" in said(visit, "SUVRraclopride")


def test_another_region_or_other_frames_are_another_record(dataset: Coarse) -> None:
    add_pet(dataset, frames=True)
    records = [
        visit_choices(planned(dataset, *more), parse_settings(dataset.words(*more)))["maps"]
        for more in ((), ("--suvr-reference", "pons"), ("--suvr-window", "40-50"))
    ]
    assert all(records.count(one) == 1 for one in records)


@pytest.mark.acts("--suvr-window")
def test_the_frames_can_be_chosen(dataset: Coarse) -> None:
    add_pet(dataset, frames=True)
    visit = planned(dataset, "--suvr-window", "40-50")
    assert "the mean of 2 frames, 40 to 50 min" in said(visit, "SUVRPIB")
    with pytest.raises(UsageError, match="is not LO-HI"):
        planned(dataset, "--suvr-window", "50-40")


@pytest.mark.parametrize("name", ["SUVR", "SUVRPIB"])
def test_it_can_be_left_out_for_all_tracers_or_one(dataset: Coarse, name: str) -> None:
    add_pet(dataset)
    visit = planned(dataset, "--no-compute", name)
    assert said(visit, "SUVRPIB") == "not computed: --no-compute"


def test_the_registry_is_whole_and_no_reference_holds_white_matter_of_the_brain() -> None:
    for tracer in load_tracers():
        assert tracer.reference in load_references()
        assert 0 < tracer.window_min[0] < tracer.window_min[1]
        assert all(find_tracer(name) is tracer for name in tracer.names)
    held = {code for one in load_references().values() for some in one.codes for code in some}
    assert not held & {2, 41, 77, 251, 5001, 5002}


def test_of_two_pet_of_a_tracer_one_is_chosen_by_a_filter(dataset: Coarse, tmp_path: Path) -> None:
    add_pet(dataset, "trc-PIB_rec-acdyn_pet", frames=True)
    add_pet(dataset, "trc-PIB_rec-acstat_pet")
    why = said(planned(dataset), "SUVRPIB")
    assert "2 files answer for one PET of PIB" in why
    assert 'choose with "series.pet" in --bids-filter-file' in why
    path = tmp_path / "filter.json"
    path.write_text('{"series.pet": {"reconstruction": "acstat"}}', encoding="utf-8")
    (entry,) = planned(dataset, "--bids-filter-file", str(path)).maps
    assert entry.file.path.name == "sub-01_trc-PIB_rec-acstat_pet.nii.gz"
    path.write_text('{"series.spect": {"run": 1}}', encoding="utf-8")
    with pytest.raises(UsageError, match=r"'series\.spect' names no series; known are diffusion"):
        planned(dataset, "--bids-filter-file", str(path))


# ---- the step ------------------------------------------------------------------------------------

CEREBELLUM = "grey matter of the cerebellum"


def region(which: tuple[int, ...] = (8, 47), mm: float = 0.0) -> LabelImage:
    affine = head().affine.copy()
    affine[0, 3] += mm
    return LabelImage(np.where(np.isin(codes(), which), codes(), 0).astype(np.int32), affine)


def mask(values: np.ndarray) -> MaskImage:
    return MaskImage(values, head().affine)


def computed(
    tmp_path: Path,
    values: np.ndarray,
    *,
    of: LabelImage | None = None,
    hurt: np.ndarray | None = None,
    times: tuple[list[float], ...] = ([], []),
):
    path = save(tmp_path / "pet.nii.gz", values.astype(np.float32), head().affine)
    volumes = list(range(values.shape[3])) if values.ndim == 4 else []
    damaged = None if hurt is None else [mask(hurt)]
    return map_uptake(
        path, of or region(), mask(head().lesions), "SUVRPIB", CEREBELLUM, volumes, *times, damaged
    )


def test_the_planted_ratio_is_found_whatever_the_unit(tmp_path: Path) -> None:
    first, facts = computed(tmp_path, uptake())
    assert np.allclose(first.data, uptake(), atol=1e-5)
    assert facts["reference_mean"] == pytest.approx(1)
    assert facts["reference_coverage"] == pytest.approx(1)
    assert facts["reference_code"] == 8
    inner = facts["reference_mm3"]
    assert 1000 < inner < 27 * np.count_nonzero(np.isin(codes(), (8, 47)))
    for scale in (3e4, 1e-6):
        again, told = computed(tmp_path, scale * uptake())
        assert np.allclose(again.data, first.data, rtol=1e-5)
        assert told["reference_mean"] == pytest.approx(scale, rel=1e-5)


def test_without_its_border_the_reference_is_little_mixed_with_what_surrounds_it(
    tmp_path: Path,
) -> None:
    # a PET that resolves 6 mm
    blurred = ndimage.gaussian_filter(uptake(), 6 / 2.355 / VOXEL_MM)
    _, facts = computed(tmp_path, blurred)
    assert facts["reference_mean"] == pytest.approx(1, abs=0.02)
    assert blurred[np.isin(codes(), (8, 47))].mean() < 0.95


def test_frames_are_averaged_by_how_long_they_last(tmp_path: Path) -> None:
    grey = np.isin(codes(), (2, 41))
    frames = np.stack([uptake(), np.where(grey, 3.0, uptake())], -1)
    ratio, _ = computed(tmp_path, frames, times=([0.0, 60.0], [60.0, 180.0]))
    white = grey & ~head().lesions
    assert np.allclose(ratio.data[white], (60 * 1.5 + 180 * 3.0) / 240, atol=1e-5)


def test_lesions_are_no_reference(tmp_path: Path) -> None:
    lower = np.isin(codes(), (8, 47))
    hurt = lower & (np.indices(lower.shape)[0] < np.argwhere(lower)[:, 0].mean() - 4)
    values = np.where(hurt, 50.0, uptake())
    ratio, facts = computed(tmp_path, values, hurt=hurt)
    assert facts["reference_mean"] == pytest.approx(1)
    assert 0.05 < facts["reference_lesion_share"] < 0.5
    assert np.allclose(ratio.data[~hurt], uptake()[~hurt], atol=1e-5)


def without_lower_half() -> np.ndarray:
    lower = np.argwhere(np.isin(codes(), (8, 47)))
    cut = uptake()
    cut[:, :, : int(lower[:, 2].mean())] = 0
    return cut


def test_where_the_field_of_view_ends_is_no_reference(tmp_path: Path) -> None:
    ratio, facts = computed(tmp_path, without_lower_half())
    assert facts["reference_mean"] == pytest.approx(1)
    assert 0.1 < facts["reference_coverage"] < 0.9
    assert np.nanmax(ratio.data) == pytest.approx(2)


def one_voxel_of_reference() -> LabelImage:
    small = np.zeros_like(codes(), dtype=np.int32)
    middle = np.argwhere(np.isin(codes(), (8, 47))).mean(axis=0).astype(int)
    small[tuple(slice(one - 1, one + 2) for one in middle)] = 8
    return LabelImage(small, head().affine)


@pytest.mark.parametrize(
    ("values", "of", "hurt", "why"),
    [
        (np.zeros_like(uptake()), None, None, "frame 1 of the PET holds no value other than 0"),
        (np.full_like(uptake(), np.nan), None, None, "frame 1 of the PET"),
        (-uptake(), None, None, "a positive one is needed"),
        (uptake(), one_voxel_of_reference(), None, "without its border and lesions"),
        (uptake(), region((174,)), None, "the parcellation has no grey matter of the cerebellum"),
        (uptake(), None, codes() > 0, "100 % of the region of reference"),
        (uptake(), region(mm=900.0), None, "0.00 of"),
    ],
)
def test_a_reference_that_is_none_costs_the_map(
    tmp_path: Path,
    values: np.ndarray,
    of: LabelImage | None,
    hurt: np.ndarray | None,
    why: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shifted = of is not None and not np.allclose(of.affine, head().affine)
    ratio, facts = computed(tmp_path, values, of=of, hurt=hurt if not shifted else None)
    assert np.isnan(ratio.data).all()
    assert facts.pop("refused") == 1
    assert set(facts.values()) == {None}
    assert "SUVRPIB is not computed, and is n/a: " in caplog.text
    assert why in caplog.text


@pytest.mark.parametrize(("held", "code"), [((8, 47, 16), 16), ((8, 47, 16, 174), 174)])
def test_the_brain_stem_stands_for_the_pons_and_it_is_said(
    tmp_path: Path, held: tuple[int, ...], code: int, caplog: pytest.LogCaptureFixture
) -> None:
    labels = codes()
    if 174 in held:
        labels = np.where(labels == 16, 174, labels)
    path = save(tmp_path / "dseg.nii.gz", labels.astype(np.int16), head().affine)
    space = Space(head().codes.shape, head().affine)
    found = lay_reference(path, space, [[174], [16]]).region
    assert set(np.unique(found.data)) == {0, code}
    assert ("is that of code 16" in caplog.text) == (code == 16)


def test_a_pet_is_shown_by_the_mean_of_its_frames(tmp_path: Path) -> None:
    frames = np.stack([uptake(), 3 * uptake()], -1).astype(np.float32)
    path = save(tmp_path / "pet.nii.gz", frames, MOTION)
    assert np.allclose(mean_activity(path).image.data, 2 * uptake(), atol=1e-5)


# ---- whole ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_pet_that_cannot_be_used_ends_the_run_with_1_and_all_else_is_made(
    dataset: Coarse,
) -> None:
    add_pet(dataset, frames=True, FrameTimesStart=None)
    done = inprocess.run(dataset.words(), pages=True)
    assert done.code == 1
    assert done.err.count("SUVRPIB") > 1
    assert "sub-01 FAILED: SUVRPIB: not computed by uptake from sub-01_trc-PIB_pet" in done.err
    quality = {
        row["metric"]: row for row in read_table(dataset.anat() / "sub-01_desc-wmhflow_qc.tsv")
    }
    row = quality["map_SUVRPIB_refused"]
    assert (row["value"], row["verdict"]) == ("1", "check")
    page = (dataset.out / "sub-01.html").read_text(encoding="utf-8")
    assert "Given and not used:" in page
    assert "SUVRPIB (refused): not computed by uptake" in page
    assert (dataset.anat() / "sub-01_desc-volumes_regions.tsv").is_file()


@pytest.mark.slow
def test_a_whole_visit_finds_the_planted_uptake(dataset: Coarse) -> None:
    add_pet(dataset, frames=True)
    inprocess.succeed(dataset.words())
    rows = read_table(dataset.anat() / "sub-01_desc-maps_regions.tsv")
    found = {
        (row["index"], row["tissue"]): row["median"]
        for row in rows
        if row["map"] == "SUVRPIB" and row["seg"] == "tissue"
    }
    assert float(found["5", "NAWM"]) == pytest.approx(1.5, abs=1e-3)
    assert float(found["6", "WMH"]) == pytest.approx(LESIONS, abs=1e-3)
    quality = {
        row["metric"]: row for row in read_table(dataset.anat() / "sub-01_desc-wmhflow_qc.tsv")
    }
    assert float(quality["uptakePIB_reference_mean"]["value"]) == pytest.approx(5000, rel=1e-3)
    assert quality["uptakePIB_reference_mm3"]["verdict"] == "ok"
    assert quality["uptakePIB_refused"]["value"] == "0"
    told = json.loads(
        (dataset.anat() / "sub-01_trc-PIB_desc-SUVR_mimap.json").read_text(encoding="utf-8")
    )
    assert told["Parameters"]["Frames"] == [3, 4, 5, 6]
    assert told["Parameters"]["MinutesAfterInjection"] == [50, 70]
    assert told["Parameters"]["reference_mean"] == pytest.approx(5000, rel=1e-3)
    assert any("pet.nii.gz" in uri for uri in told["Sources"])
    ratio = nib.load(dataset.anat() / "sub-01_trc-PIB_desc-SUVR_mimap.nii.gz")
    assert np.allclose(ratio.affine, MOTION @ head().affine, atol=1e-4)
