"""A visit without maps, but with what they are computed from: the planted ones are found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests import echoes, inprocess
from tests.coarse import Coarse, coarse_dataset, head, save
from wmhflow.bids.writer import read_table
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.errors import UsageError
from wmhflow.plan.visit import VisitPlan

WITHOUT = ("fa_dwimap.nii.gz", "cbf.nii.gz")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    dataset = coarse_dataset(tmp_path_factory.mktemp("written"), without=WITHOUT)
    echoes.add_echoes(dataset)
    echoes.add_transfer(dataset)
    echoes.add_t1(dataset)
    echoes.add_t2w(dataset)
    return dataset


@pytest.fixture
def dataset(written: Coarse, tmp_path: Path) -> Coarse:
    shutil.copytree(written.folder, tmp_path / "made")
    return Coarse(tmp_path / "made")


def planned(dataset: Coarse, *more: str) -> VisitPlan:
    return next(iter(make_plans(parse_settings(dataset.words(*more))))).visits[0]


def said(visit: VisitPlan, name: str) -> str:
    return " | ".join(one.why for one in visit.decisions if one.what == name)


def test_the_plan_says_what_is_computed_from_which_files(dataset: Coarse) -> None:
    visit = planned(dataset)
    assert {one.name for one in visit.maps} >= {"R2starmap", "Chimap", "MTRmap", "R1map"}
    assert "5 echoes, 4 to 24 ms" in said(visit, "R2starmap")
    assert "by susceptibility from sub-01_echo-1_part-mag_MEGRE.nii.gz" in said(visit, "Chimap")
    assert "farther than 14 mm from WMH" in said(visit, "T1wT2w")
    assert "with and without the pulse" in said(visit, "MTRmap")


def sidecars(dataset: Coarse, change: dict[str, object], pattern: str) -> None:
    for path in (dataset.raw / "sub-01" / "anat").glob(pattern):
        told = json.loads(path.read_text(encoding="utf-8")) | change
        told = {key: value for key, value in told.items() if value is not None}
        path.write_text(json.dumps(told), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "pattern", "name", "why"),
    [
        ({"EchoTime": None}, "*echo-2*.json", "R2starmap", "1 of its 5 echoes have no EchoTime"),
        ({"EchoTime": 0.004}, "*echo-2*.json", "R2starmap", "the same EchoTime"),
        ({"EchoTime": 19}, "*echo-4*.json", "R2starmap", "are no seconds"),
        ({"EchoTime": "0.009"}, "*echo-2*.json", "R2starmap", "is '0.009', where a number of"),
        ({"EchoTime": [0.009]}, "*echo-2*.json", "R2starmap", "is [0.009], where a number of"),
        ({"EchoTime": float("nan")}, "*echo-2*.json", "Chimap", "is nan, where a number of"),
        ({"EchoTime": 1e-6}, "*echo-1*.json", "R2starmap", "are no seconds"),
        ({"MagneticFieldStrength": "3T"}, "*phase*.json", "Chimap", "is '3T', where a number of"),
        ({"EchoTime": 0.01}, "*echo-2_part-mag*.json", "Chimap", "other echo times"),
        ({"MagneticFieldStrength": None}, "*phase*.json", "Chimap", "MagneticFieldStrength"),
        ({"MagneticFieldStrength": 30000}, "*phase*.json", "Chimap", "a main field of 30000"),
        ({"Units": "rad"}, "*echo-2_part-phase*.json", "Chimap", ""),
        ({"Units": "[rad]"}, "*echo-2_part-phase*.json", "Chimap", ""),
        ({"Units": "a.u."}, "*part-phase*.json", "Chimap", ""),
        ({"Units": "n/a"}, "*part-phase*.json", "Chimap", ""),
        ({"InversionTime": 2.5}, "*T2w.json", "T1wT2w", "it is a FLAIR"),
        ({"FlipAngle": 9}, "*mt-on*.json", "MTRmap", "not taken alike (FlipAngle 9 and 6)"),
    ],
)
def test_what_cannot_be_computed_is_not_and_the_plan_says_why(
    dataset: Coarse, change: dict[str, object], pattern: str, name: str, why: str
) -> None:
    sidecars(dataset, change, pattern)
    visit = planned(dataset)
    assert (name in {one.name for one in visit.maps}) == (why == "")
    assert why in said(visit, name)
    # one map that cannot be computed costs that map only
    assert "R1map" in {one.name for one in visit.maps}


def cut(data: Any, place: Any) -> tuple[Any, Any]:
    return data[:-1], place


def aside(data: Any, place: Any) -> tuple[Any, Any]:
    return data, place + np.pad([[6.0], [0], [0], [0]], ((0, 0), (3, 0)))


def doubled(data: Any, place: Any) -> tuple[Any, Any]:
    return np.stack([data, data], axis=-1), place


@pytest.mark.parametrize(
    ("pattern", "change", "why"),
    [
        ("*echo-3_part-mag*.nii.gz", cut, "lies on another grid than"),
        ("*echo-3_part-mag*.nii.gz", aside, "lies on another grid than"),
        ("*echo-3_part-mag*.nii.gz", doubled, "where one 3D image is meant"),
        ("*echo-1_part-phase*.nii.gz", aside, "lies on another grid than"),
    ],
)
def test_echoes_of_several_grids_are_not_taken_voxel_by_voxel(
    dataset: Coarse, pattern: str, change: Any, why: str
) -> None:
    """One shape was a failed step, another place a rate of two places."""
    (path,) = (dataset.raw / "sub-01" / "anat").glob(pattern)
    image = nib.load(path)
    save(path, *change(np.asarray(image.dataobj), image.affine))
    visit = planned(dataset)
    assert "Chimap" not in {one.name for one in visit.maps}
    assert why in said(visit, "Chimap")


def test_echoes_in_one_file_are_said_to_be(dataset: Coarse) -> None:
    anat = dataset.raw / "sub-01" / "anat"
    (one,) = anat.glob("*echo-1_part-mag*.nii.gz")
    image = nib.load(one)
    save(one, np.stack([np.asarray(image.dataobj)] * 5, axis=-1), image.affine)
    for path in {*anat.glob("*echo-[2-5]_*"), *anat.glob("*part-phase*")}:
        path.unlink()
    assert "its echoes are volumes of one file" in said(planned(dataset), "R2starmap")


def test_echoes_are_read_under_the_name_that_they_had_before_megre(dataset: Coarse) -> None:
    anat = dataset.raw / "sub-01" / "anat"
    made = {one.name for one in planned(dataset).maps}
    for path in anat.glob("*_MEGRE.*"):
        path.rename(path.with_name(path.name.replace("_MEGRE", "_T2starw")))
    # a mean of them, or an image of another scan, is no echo
    (one,) = anat.glob("*echo-1_part-mag*.nii.gz")
    image = nib.load(one)
    for folder in (anat, dataset.given / "sub-01" / "anat"):
        folder.mkdir(parents=True, exist_ok=True)
        nib.save(image, folder / "sub-01_part-mag_T2starw.nii.gz")
    visit = planned(dataset)
    assert {one.name for one in visit.maps} == made
    (rate,) = [one for one in visit.maps if one.name == "R2starmap"]
    assert rate.file.path.name == one.name


def test_missing_phases_and_too_few_echoes_are_said(dataset: Coarse) -> None:
    for path in (dataset.raw / "sub-01" / "anat").glob("*echo-5_part-phase*"):
        path.unlink()
    assert "4 phase images and 5 magnitudes" in said(planned(dataset), "Chimap")
    for path in (dataset.raw / "sub-01" / "anat").glob("*part-phase*"):
        path.unlink()
    assert "no phase images" in said(planned(dataset), "Chimap")
    for number in (3, 4, 5):
        for path in (dataset.raw / "sub-01" / "anat").glob(f"*echo-{number}_part-mag*"):
            path.unlink()
    visit = planned(dataset)
    assert "it has 2 echoes: at least 3" in said(visit, "R2starmap")
    assert not {"R2starmap", "Chimap"} & {one.name for one in visit.maps}


@pytest.mark.acts("--no-compute")
def test_a_map_is_left_out_if_asked_for(dataset: Coarse) -> None:
    visit = planned(dataset, "--no-compute", "Chimap", "T1wT2w")
    names = {one.name for one in visit.maps}
    assert names >= {"R2starmap", "MTRmap", "R1map"}
    assert not names & {"Chimap", "T1wT2w"}
    assert said(visit, "Chimap") == "not computed: --no-compute"
    with pytest.raises(UsageError, match="--no-compute CBF names no map that is computed"):
        planned(dataset, "--no-compute", "CBF")


def test_a_given_map_is_never_computed_again(dataset: Coarse) -> None:
    given = dataset.given / "sub-01" / "anat" / "sub-01_R2starmap.nii.gz"
    source = dataset.raw / "sub-01" / "anat" / "sub-01_T1map.nii.gz"
    nib.save(nib.Nifti1Image(nib.load(source).get_fdata() / 50, nib.load(source).affine), given)
    given.with_name("sub-01_R2starmap.json").write_text('{"Units": "1/s"}', encoding="utf-8")
    (entry,) = [one for one in planned(dataset).maps if one.name == "R2starmap"]
    assert entry.file.path == given


@pytest.fixture(scope="module")
def run(written: Coarse) -> Coarse:
    inprocess.succeed(written.words())
    return written


def profile(run: Coarse, name: str) -> dict[str, float]:
    rows = read_table(run.anat() / "sub-01_desc-maps_profiles.tsv")
    return {
        row["shell"]: float(row["mean"])
        for row in rows
        if (row["map"], row["lesion_class"]) == (name, "all") and row["mean"] != "n/a"
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "planted", "close"), [("R2starmap", "R2star", 1e-3), ("MTRmap", "MTR", 1e-3)]
)
def test_maps_of_a_visit_are_those_that_were_planted(run, name, planted, close) -> None:
    values = read_table(run.anat() / "sub-01_desc-maps_regions.tsv")
    wanted = (name, "tissue", "5", "all")
    (row,) = [
        one for one in values if (one["map"], one["seg"], one["index"], one["tissue"]) == wanted
    ]
    white = np.isin(head().codes, (2, 41)) & ~head().lesions
    assert float(row["mean"]) == pytest.approx(echoes.planted(planted)[white].mean(), rel=close)


@pytest.mark.slow
def test_r1_is_told_from_t1_in_milliseconds(run: Coarse) -> None:
    found = profile(run, "R1map")
    assert found["7"] == pytest.approx(1 / 0.9, rel=1e-3)
    assert found["-3"] == pytest.approx(1 / 1.4, rel=1e-3)


@pytest.mark.slow
def test_susceptibility_is_higher_in_deep_grey_and_lower_in_lesions(run: Coarse) -> None:
    path = run.anat() / "sub-01_desc-Chimap_Chimap.nii.gz"
    chi = nib.load(path).get_fdata()
    codes, lesions = head().codes, head().lesions
    seen = np.isfinite(chi)
    assert seen[codes > 0].mean() > 0.6
    truth = echoes.planted_chi()
    grey, white = (seen & np.isin(codes, which) & ~lesions for which in ((10, 49), (2, 41)))
    contrast = np.nanmean(chi[grey]) - np.nanmean(chi[white])
    assert contrast == pytest.approx(truth[grey].mean() - truth[white].mean(), rel=0.2)
    a, b = chi[seen] - chi[seen].mean(), truth[seen] - truth[seen].mean()
    assert np.linalg.norm(a - b) / np.linalg.norm(b) < 0.65
    told = json.loads(path.with_name("sub-01_desc-Chimap_Chimap.json").read_text(encoding="utf-8"))
    assert told["Units"] == "ppm"
    assert told["Parameters"]["MagneticFieldStrength"] == 3
    assert told["Parameters"]["reference_offset_ppm"] == pytest.approx(
        -float(np.average(truth[seen])), abs=0.02
    )


@pytest.mark.slow
def test_t1w_over_t2w_is_1_in_far_white_matter_and_lower_in_lesions(run: Coarse) -> None:
    chosen = profile(run, "T1wT2w")
    rows = read_table(run.anat() / "sub-01_desc-maps_profiles.tsv")
    (far,) = {row["reference_mean"] for row in rows if row["map"] == "T1wT2w"
              and row["lesion_class"] == "all"}  # fmt: skip
    assert float(far) == pytest.approx(1, abs=0.05)
    ratio = nib.load(run.anat() / "sub-01_desc-T1wT2w_T1wT2w.nii.gz").get_fdata()
    within = np.nanmedian(ratio[head().lesions])
    assert within == pytest.approx((330 / 480) / (480 / 240), rel=0.15)
    outside = [value for shell, value in chosen.items() if not shell.startswith("-")]
    assert min(outside) > 2 * within


@pytest.mark.slow
def test_a_flair_is_no_t2w(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = coarse_dataset(tmp_path, without=WITHOUT)
    echoes.add_t2w(dataset, is_flair=True)
    check_refused(dataset, "T1wT2w", "look whether it is a FLAIR", caplog)


@pytest.mark.slow
def test_what_was_found_out_stands_in_the_table_of_quality(run: Coarse) -> None:
    rows = {row["metric"]: row for row in read_table(run.anat() / "sub-01_desc-wmhflow_qc.tsv")}
    assert rows["decay_echoes"]["value"] == "5"
    assert rows["relaxation_rate_seconds_per_unit"]["value"] == "0.001"
    assert rows["susceptibility_brain_share"]["verdict"] != "n/a"
    assert float(rows["susceptibility_residual_rad"]["value"]) < 0.1


@pytest.mark.slow
def test_a_phase_of_the_other_sign_is_refused_with_a_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = coarse_dataset(tmp_path, without=WITHOUT)
    echoes.add_echoes(dataset, turn=-1)
    check_refused(dataset, "Chimap", "opposite sign", caplog)


def check_refused(dataset: Coarse, name: str, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """One map that cannot be computed costs that map only, and is seen."""
    inprocess.succeed(dataset.words())
    assert f"{name} is not computed" in caplog.text
    assert why in caplog.text
    rows = read_table(dataset.anat() / "sub-01_desc-maps_regions.tsv")
    assert {row["mean"] for row in rows if row["map"] == name} == {"n/a"}
    quality = {row["metric"]: row for row in read_table(next(dataset.anat().glob("*_qc.tsv")))}
    (refused,) = [row for metric, row in quality.items() if metric.endswith("_refused")
                  and row["value"] == "1"]  # fmt: skip
    assert refused["verdict"] == "check"
    assert (dataset.anat() / "sub-01_desc-volumes_regions.tsv").is_file()
