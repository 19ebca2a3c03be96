"""Voxels of spectroscopy of a visit: joined to tissues by geometry, and the bad ones refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests import inprocess
from tests.coarse import MOTIONS, Coarse, coarse_dataset, head, save
from tests.files.test_metabolites import COORD, CSV, TABLE
from tests.plan.test_participant import FIELD, FLIRT
from wmhflow.bids.writer import read_table
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.core.regions.partition import IN_NAWM, IN_WMH, partition
from wmhflow.files.itk import write_itk_affine
from wmhflow.labels.digits import LEFT, VENTRICLES, WHITE_MATTER, WMH, with_side
from wmhflow.labels.rows import TableRegion
from wmhflow.plan.visit import VisitPlan
from wmhflow.steps.kinds import LabelImage
from wmhflow.steps.spectra import gather_voxels, join_voxel

EDGE = 20.0
VALUES = "metabolite\tvalue\tunit\tsd_percent\ntNAA\t8.5\tmmol/kg\t3\n"


def box(middle: Any, edge: float = EDGE) -> np.ndarray:
    affine = np.diag([edge, edge, edge, 1.0])
    affine[:3, 3] = middle
    return affine


def save_voxel(path: Path, affine: np.ndarray, *, shape: tuple[int, ...] = (1, 1, 1, 64),
               code: int = 1, kind: Any = nib.Nifti2Image) -> Path:  # fmt: skip
    """Write a spectrum as NIfTI-MRS does: complex numbers, one voxel, time along the fourth."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = kind(np.ones(shape, np.complex64), affine)
    image.set_sform(affine, code=code)
    image.set_qform(affine, code=code)
    image.header["intent_name"] = b"mrs_v0_9"
    nib.save(image, path)
    return path


# ---- the step ------------------------------------------------------------------------------------

SHAPE = (40, 40, 40)


def parts() -> dict[str, Any]:
    """A head of white matter, of which the half at larger x is lesion; ventricle at the top."""
    lesion = np.zeros(SHAPE, bool)
    lesion[20:, :, :30] = True
    tissue = np.where(lesion, with_side(WMH, LEFT), with_side(WHITE_MATTER, LEFT)).astype(np.int32)
    tissue[:, :, 30:] = with_side(VENTRICLES, LEFT)
    zones = np.where(tissue == with_side(VENTRICLES, LEFT), 0, 12).astype(np.int32)
    nawm = tissue == with_side(WHITE_MATTER, LEFT)
    found = partition({"tissue": tissue, "zones": zones, "lobes": zones * 0 + 11,
                       IN_WMH: lesion, IN_NAWM: nawm})  # fmt: skip
    regions = [
        TableRegion("tissue", 16, "WMH", "L", 26, (("tissue", (16,)),)),
        TableRegion("zones", 12, "PV", "L", 22, (("zones", (12,)),)),
        TableRegion("zones", 22, "PV", "R", 12, (("zones", (22,)),)),
        TableRegion("lobes", 21, "frontal", "R", 11, (("lobes", (21,)),)),
    ]
    return {
        "labels": LabelImage(found.labels, np.eye(4)),
        "columns": {name: values.tolist() for name, values in found.columns.items()},
        "regions": [one.as_dict() for one in regions],
    }


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_a_cube_over_half_a_lesion_is_half_lesion(tmp_path: Path, kind: Any) -> None:
    path = save_voxel(tmp_path / "svs.nii.gz", box((19.5, 19.5, 14.5)), kind=kind)
    rows, told, facts = join_voxel("svs", path, **parts())
    found = {(row["seg"], row["index"]): row for row in rows}
    assert found["tissue", 16]["share"] == pytest.approx(0.5, abs=1e-9)
    zone = found["zones", 12]
    assert zone["share"] == pytest.approx(1)
    assert zone["wmh_share"] == pytest.approx(0.5)
    assert zone["nawm_share"] == pytest.approx(0.5)
    assert zone["volume_mm3"] == pytest.approx(EDGE**3)
    # a zone that it does not meet is 0; of other images only what it meets has a row
    assert found["zones", 22]["share"] == 0
    assert ("lobes", 21) not in found
    assert facts == {"brain_share": pytest.approx(1), "wmh_share": pytest.approx(0.5),
                     "voxel_mm3": pytest.approx(EDGE**3)}  # fmt: skip
    assert told == []


def test_it_moves_by_transforms_and_their_inverses(tmp_path: Path) -> None:
    motion, further = MOTIONS["dwi"], MOTIONS["asl"]
    one = Path(write_itk_affine(motion, tmp_path / "one.txt"))
    other = Path(write_itk_affine(further, tmp_path / "other.txt"))
    path = save_voxel(tmp_path / "svs.nii.gz", motion @ further @ box((19.5, 19.5, 14.5)))
    for given, inverted in (([one, other], [False]), ([one, other], [])):
        _, _, facts = join_voxel("svs", path, **parts(), transforms=given, inverted=inverted)
        assert facts["wmh_share"] == pytest.approx(0.5, abs=1e-6)
    back = Path(write_itk_affine(np.linalg.inv(motion), tmp_path / "back.txt"))
    _, _, facts = join_voxel("svs", path, **parts(), transforms=[back, other], inverted=[True])
    assert facts["wmh_share"] == pytest.approx(0.5, abs=1e-6)


def test_values_come_with_the_tissues(tmp_path: Path) -> None:
    path = save_voxel(tmp_path / "svs.nii.gz", box((19.5, 19.5, 29.5)))
    (tmp_path / "svs.tsv").write_text(VALUES, encoding="utf-8")
    _, (row,), _ = join_voxel("svs", path, **parts(), values=tmp_path / "svs.tsv")
    assert (row["metabolite"], row["value"], row["unit"]) == ("tNAA", 8.5, "mmol/kg")
    assert row["wmh_share"] == pytest.approx(0.25)
    assert row["csf_share"] == pytest.approx(0.5)
    assert row["white_share"] == pytest.approx(0.5)
    assert row["grey_share"] == 0


@pytest.mark.parametrize("x", [45.0, 900.0])
def test_a_voxel_outside_the_brain_has_no_shares_and_it_is_said(
    tmp_path: Path, x: float, caplog: pytest.LogCaptureFixture
) -> None:
    path = save_voxel(tmp_path / "svs.nii.gz", box((x, 19.5, 14.5)))
    (tmp_path / "svs.tsv").write_text(VALUES, encoding="utf-8")
    rows, (told,), facts = join_voxel("svs", path, **parts(), values=tmp_path / "svs.tsv")
    assert {row["share"] for row in rows} == {None}
    assert told["wmh_share"] is None
    assert told["value"] == 8.5
    assert "of the voxel lie in the brain" in rows[0]["reason"]
    assert facts["brain_share"] < 0.5
    assert facts["wmh_share"] is None
    assert "its shares are n/a" in caplog.text


def test_rows_of_all_voxels_come_together() -> None:
    found = gather_voxels([[{"a": 1}], [{"a": 2}]], [[], [{"b": 3}]])
    assert (found.table, found.metabolites) == ([{"a": 1}, {"a": 2}], [{"b": 3}])


# ---- the plan ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    return coarse_dataset(
        tmp_path_factory.mktemp("written"), without=("fa_dwimap.nii.gz", "cbf.nii.gz")
    )


@pytest.fixture
def dataset(written: Coarse, tmp_path: Path) -> Coarse:
    shutil.copytree(written.folder, tmp_path / "made")
    return Coarse(tmp_path / "made")


def lesion_middle() -> np.ndarray:
    """Return the middle of the largest lesion, in the T1w's world."""
    from scipy import ndimage

    labels, count = ndimage.label(head().lesions)
    largest = 1 + int(np.argmax(ndimage.sum_labels(head().lesions, labels, range(1, count + 1))))
    index = np.argwhere(labels == largest).mean(axis=0)
    return head().affine[:3, :3] @ index + head().affine[:3, 3]


def voxel_path(made: Coarse, name: str = "svs") -> Path:
    return made.raw / "sub-01" / "mrs" / f"sub-01_{name}.nii.gz"


def tell(path: Path, **told: Any) -> None:
    sidecar = path.with_name(path.name.replace(".nii.gz", ".json"))
    sidecar.write_text(json.dumps(told), encoding="utf-8")


def planned(made: Coarse, *more: str) -> VisitPlan:
    return next(iter(make_plans(parse_settings(made.words(*more))))).visits[0]


def lines(visit: VisitPlan, what: str = "mrs svs") -> list[tuple[str, str]]:
    return [(one.state, one.why) for one in visit.decisions if one.what == what]


def test_voxels_are_found_and_how_they_lie_is_said(dataset: Coarse) -> None:
    first = save_voxel(voxel_path(dataset, "acq-press_voi-a_svs"), box(lesion_middle()))
    tell(first, AnatomicalImage="bids::sub-01/anat/sub-01_FLAIR.nii.gz",
         AcquisitionVoxelSize=[EDGE] * 3)  # fmt: skip
    save_voxel(voxel_path(dataset, "acq-press_voi-b_svs"), box(lesion_middle()))
    table = dataset.given / "sub-01" / "mrs" / "sub-01_acq-press_voi-b_desc-lcm_svs.tsv"
    table.parent.mkdir()
    table.write_text(VALUES, encoding="utf-8")
    visit = planned(dataset)
    one, other = visit.spectra
    assert (one.name, one.through_other, one.values) == ("acq-press_voi-a", True, None)
    assert (other.name, other.through_other) == ("acq-press_voi-b", False)
    assert other.values is not None
    assert other.values.path == table
    ((state, why),) = lines(visit, "mrs acq-press_voi-a")
    assert state == "found"
    assert "with the FLAIR that it was planned on, then with the FLAIR to the T1w" in why
    ((_, why),) = lines(visit, "mrs acq-press_voi-b")
    assert "by its header, whose place nothing judges; values in" in why


@pytest.mark.parametrize("beside_maps", [False, True])
def test_a_given_transform_leads_it(dataset: Coarse, beside_maps: bool) -> None:
    if beside_maps:
        save(
            dataset.given / "sub-01" / "dwi" / "sub-01_model-tensor_param-fa_dwimap.nii.gz",
            np.full(head().codes.shape, 0.4, np.float32) * (head().codes > 0),
            head().affine,
        )
    save_voxel(voxel_path(dataset), MOTIONS["asl"] @ box(lesion_middle()))
    path = dataset.given / "sub-01" / "anat" / "sub-01_from-mrs_to-T1w_mode-image_xfm.txt"
    write_itk_affine(MOTIONS["asl"], path)
    visit = planned(dataset)
    ((leg,),) = (one.legs for one in visit.spectra)
    assert leg.file.path == path
    assert "aligned by sub-01_from-mrs_to-T1w_mode-image_xfm.txt of given" in lines(visit)[0][1]


@pytest.mark.parametrize(
    ("ending", "text", "why"),
    [("txt", FIELD, "is not linear (Displ"), ("mat", FLIRT, "is a transform of FSL")],
)
def test_a_transform_that_no_box_can_follow_is_named(
    dataset: Coarse, ending: str, text: str, why: str
) -> None:
    save_voxel(voxel_path(dataset), box(lesion_middle()))
    path = dataset.given / "sub-01" / "anat" / f"sub-01_from-mrs_to-T1w_mode-image_xfm.{ending}"
    path.write_text(text, encoding="utf-8")
    ((state, said),) = lines(planned(dataset))
    assert state == "refused"
    assert f"{path} {why}" in said


def test_a_transform_of_another_voxel_does_not_lead_it(dataset: Coarse) -> None:
    for name in ("voi-a", "voi-b"):
        save_voxel(voxel_path(dataset, f"{name}_svs"), box(lesion_middle()))
    path = dataset.given / "sub-01" / "anat" / "sub-01_voi-a_from-mrs_to-T1w_mode-image_xfm.txt"
    write_itk_affine(MOTIONS["asl"], path)
    visit = planned(dataset)
    assert [len(one.legs) for one in visit.spectra] == [1, 0]
    assert "is of another volume of interest (a, not b)" in lines(visit, "mrs voi-b")[0][1]


@pytest.mark.parametrize(
    ("how", "told", "why"),
    [
        ({"code": 0}, {}, "does not say where it lies"),
        ({"shape": (8, 8, 4, 64)}, {}, "has 8×8×4 voxels where a single one is meant"),
        ({"edge": 10000.0}, {}, "is a voxel of 1e+04×1e+04×1e+04 mm"),
        ({"edge": 0.5}, {}, "edges of 2 to 250 mm can be meant"),
        ({}, {"AcquisitionVoxelSize": [20, 20, 30]}, "its JSON file says 20×20×30 mm"),
        ({}, {"AnatomicalImage": "bids::sub-01/ses-2/anat/sub-02_T1w.nii.gz"}, "another person"),
        ({}, {"AnatomicalImage": "bids::sub-011/anat/sub-011_T1w.nii.gz"}, "another person"),
    ],
)
def test_what_is_no_voxel_of_the_head_costs_the_voxel_alone(
    dataset: Coarse, how: dict[str, Any], told: dict[str, Any], why: str
) -> None:
    shape, code = how.get("shape", (1, 1, 1, 64)), how.get("code", 1)
    affine = box(lesion_middle(), how.get("edge", EDGE))
    tell(save_voxel(voxel_path(dataset, "voi-bad_svs"), affine, shape=shape, code=code), **told)
    save_voxel(voxel_path(dataset, "voi-good_svs"), box(lesion_middle()))
    visit = planned(dataset)
    ((state, said),) = lines(visit, "mrs voi-bad")
    assert state == "refused"
    assert why in said
    assert [one.name for one in visit.spectra] == ["voi-good"]
    assert visit.problem is None


def test_what_is_no_nifti_file_costs_the_voxel_alone(dataset: Coarse) -> None:
    path = voxel_path(dataset)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no image")
    visit = planned(dataset)
    assert [state for state, _ in lines(visit)] == ["refused"]
    assert visit.problem is None


def test_bad_values_cost_the_values_alone(dataset: Coarse) -> None:
    path = save_voxel(voxel_path(dataset), box(lesion_middle()))
    table = path.with_name("sub-01_svs.tsv")
    table.write_text("metabolite\tvalue\nNAA\tmuch\n", encoding="utf-8")
    visit = planned(dataset)
    assert [one.values for one in visit.spectra] == [None]
    assert ("refused", f"its values are not used: {table} holds 'much'") in [
        (state, why.partition(" where")[0]) for state, why in lines(visit)
    ]
    table.write_text(VALUES, encoding="utf-8")
    shutil.copy(table, table.with_suffix(".csv"))
    assert "2 tables answer for its values" in str(lines(planned(dataset)))


def test_of_what_lcmodel_writes_twice_the_table_is_read(dataset: Coarse) -> None:
    save_voxel(voxel_path(dataset), box(lesion_middle()))
    folder = dataset.given / "sub-01" / "mrs"
    folder.mkdir()
    for name, text in (("TABLE", TABLE), ("coord", COORD), ("csv", CSV)):
        (folder / f"sub-01_svs.{name}").write_text(text, encoding="utf-8")
    visit = planned(dataset)
    ((values,),) = ([one.values for one in visit.spectra],)
    assert values is not None
    assert values.path.name == "sub-01_svs.TABLE"
    said = lines(visit)
    for name in ("coord", "csv"):
        why = f"sub-01_svs.{name} of given is passed over: sub-01_svs.TABLE of given says the same"
        assert ("passed", why) in said
    assert not visit.refused
    # of another fit
    (folder / "sub-01_svs.csv").write_text(CSV.replace("0.251", "0.252"), encoding="utf-8")
    assert "2 tables answer for its values" in str(lines(planned(dataset)))


def test_a_grid_of_voxels_is_not_read_and_it_is_said(dataset: Coarse) -> None:
    save_voxel(voxel_path(dataset, "mrsi"), box(lesion_middle()), shape=(4, 4, 1, 64))
    visit = planned(dataset)
    assert not visit.spectra
    assert "a grid of voxels (MRSI) is not read" in lines(visit, "mrs")[0][1]


# ---- whole ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_whole_visit_joins_voxels_to_tissues(dataset: Coarse) -> None:
    middle = lesion_middle()
    # planned on the FLAIR, and so in its place of the world
    path = save_voxel(voxel_path(dataset), MOTIONS["FLAIR"] @ box(middle, 12.0))
    tell(path, AnatomicalImage="bids::sub-01/anat/sub-01_FLAIR.nii.gz")
    path.with_name("sub-01_svs.tsv").write_text(VALUES, encoding="utf-8")
    save_voxel(voxel_path(dataset, "voi-out_svs"), box(middle + 500))
    inprocess.succeed(dataset.words(), pages=True)
    page = (dataset.out / "sub-01.html").read_text(encoding="utf-8")
    assert 'id="visit-spectra"' in page
    assert "Outside of the image, and not drawn: voi-out." in page
    assert (dataset.out / "sub-01" / "figures" / "sub-01_desc-spectra_T1w.png").is_file()
    rows = read_table(dataset.anat() / "sub-01_desc-mrs_regions.tsv")
    found = {(row["voxel"], row["seg"], row["index"]): row for row in rows}
    # by points, which need not be exact
    points = np.random.default_rng(0).uniform(-6, 6, (100_000, 3)) + middle
    index = np.rint((points - head().affine[:3, 3]) @ np.linalg.inv(head().affine[:3, :3]).T)
    share = head().lesions[tuple(index.astype(int).T)].mean()
    assert share > 0.3
    assert float(found["svs", "tissue", "6"]["share"]) == pytest.approx(share, abs=0.01)
    assert {row["share"] for key, row in found.items() if key[0] == "voi-out"} == {"n/a"}
    (told,) = read_table(dataset.anat() / "sub-01_desc-mrs_metabolites.tsv")
    assert (told["metabolite"], told["value"]) == ("tNAA", "8.5")
    assert float(told["wmh_share"]) == pytest.approx(share, abs=0.01)
    quality = {
        row["metric"]: row for row in read_table(dataset.anat() / "sub-01_desc-wmhflow_qc.tsv")
    }
    assert quality["mrs_svs_brain_share"]["verdict"] == "ok"
    assert quality["mrs_voi_out_brain_share"]["verdict"] == "check"
