"""An image whose header says two things is refused, or said; none is read in silence."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.builders import AFFINE, PHANTOM, cube, save_image
from tests.plan.test_participant import mask, plan_one
from wmhflow.cli.parser import parse_settings
from wmhflow.errors import InputError
from wmhflow.files.forms import check_forms, read_forms, trusted_affine
from wmhflow.files.images import read_header
from wmhflow.plan.visit import REFUSED
from wmhflow.products.visit import visit_unit
from wmhflow.reports.scene import load_ras
from wmhflow.steps.images import prepare_image
from wmhflow.steps.kinds import Space
from wmhflow.steps.lesions import bring_mask
from wmhflow.steps.measures import MapOptions, load_maps

LESIONS = PHANTOM / "derivatives" / "lesions" / "sub-01" / "ses-1" / "anat"
UNSET = "unset"
MASK = LESIONS / "sub-01_ses-1_space-T1w_label-WMH_mask.nii.gz"


def rewrite(path: Path, sform: Any = None, qform: Any = None, pixdim: Any = None) -> Path:
    """Write other forms into a header; a form of None stays, and ``UNSET`` takes it away."""
    image = nib.load(path)
    data, header = np.asarray(image.dataobj), image.header
    if sform is not None:
        header.set_sform(None if sform is UNSET else sform, code=0 if sform is UNSET else 1)
    if qform is not None:
        header.set_qform(None if qform is UNSET else qform, code=0 if qform is UNSET else 1)
    if pixdim is not None:
        header["pixdim"][1:4] = pixdim
    # what nibabel would mend in a header is to stay in it
    header.set_data_offset(352)
    header.set_slope_inter(1, 0)
    body = data.astype(header.get_data_dtype()).tobytes(order="F")
    plain = header.binaryblock + bytes(4) + body
    path.unlink()
    if path.name.endswith(".gz"):
        plain = gzip.compress(plain)
    path.write_bytes(plain)
    return path


def stretched(*factors: float) -> Any:
    return AFFINE @ np.diag([*factors, 1.0])


def shifted(mm: float, axis: int = 0) -> Any:
    affine = AFFINE.copy()
    affine[axis, 3] += mm
    return affine


SIZES = {
    "the qform's voxel is 6 % narrower": ({"qform": stretched(0.94, 1, 1)}, True),
    "along the last axis": ({"qform": stretched(1, 1, 1.02)}, True),
    "in all": ({"qform": stretched(0.1, 0.1, 0.1)}, True),
    "pixdim alone, and no qform": ({"qform": UNSET, "pixdim": (10, 11, 10)}, True),
    "pixdim of 1 beside a sform": ({"qform": UNSET, "pixdim": (1, 1, 1)}, True),
    "pixdim of NaN": ({"pixdim": (np.nan, 10, 10)}, True),
    "pixdim of 0 beside a qform": ({"pixdim": (0, 10, 10)}, True),
    "half a percent": ({"qform": stretched(0.995, 1, 1)}, False),
    "no qform": ({"qform": UNSET}, False),
    "no qform, and a pixdim that says nothing": ({"qform": UNSET, "pixdim": (0, 0, 0)}, False),
    "no sform": ({"sform": UNSET}, False),
    "both agree": ({}, False),
}


@pytest.mark.parametrize(("change", "refused"), SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_two_sizes_of_a_voxel_are_refused(
    change: Any, refused: bool, ending: str, tmp_path: Path
) -> None:
    path = rewrite(save_image(tmp_path / f"x{ending}"), **change)
    if not refused:
        check_forms(path, None)
        return
    with pytest.raises(InputError, match=r"by its sform .* --trust sform or --trust qform") as said:
        check_forms(path, None)
    assert str(path) in str(said.value)
    check_forms(path, "sform")
    assert np.array_equal(trusted_affine(path, AFFINE, "sform"), AFFINE)


WHO = ("T1w", "FLAIR", "WMH", "map", "parcellation")


@pytest.mark.parametrize("who", WHO)
def test_every_kind_of_image_is_looked_at(raw: Path, derivatives: Path, who: str) -> None:
    anat = derivatives / "sub-01" / "anat"
    paths = {
        "T1w": raw / "sub-01" / "anat" / "sub-01_T1w.nii.gz",
        "FLAIR": raw / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz",
        "WMH": mask(derivatives),
        "map": save_image(derivatives / "sub-01" / "perf" / "sub-01_space-T1w_cbf.nii.gz"),
        "parcellation": save_image(anat / "sub-01_space-T1w_seg-aseg_dseg.nii.gz"),
    }
    assert plan_one(raw, derivatives).problem is None
    rewrite(paths[who], qform=stretched(1, 0.9, 1))
    visit = plan_one(raw, derivatives)
    # a map costs itself alone, and the others go on
    refused = [one.why for one in visit.decisions if one.state == REFUSED]
    (problem,) = refused if who == "map" else [visit.problem]
    assert problem is not None
    assert paths[who].name in problem
    assert "--trust" in problem
    for trust in ("sform", "qform"):
        trusted = plan_one(raw, derivatives, more=("--trust", trust))
        assert trusted.problem is None
        assert REFUSED not in {one.state for one in trusted.decisions}
    rewrite(paths[who], qform=shifted(8, axis=1))
    told = [line.why for line in plan_one(raw, derivatives).decisions if line.what == "header"]
    assert len(told) == 1
    assert paths[who].name in told[0]
    assert "8 mm apart; the sform is used" in told[0]


@pytest.mark.parametrize(("mm", "said"), [(4, False), (6, True), (4000, True)])
def test_two_places_are_said_from_half_a_voxel_on(mm: float, said: bool, tmp_path: Path) -> None:
    path = rewrite(save_image(tmp_path / "x.nii"), qform=shifted(mm))
    note = check_forms(path, None)
    assert (note is not None) == said
    trusted = check_forms(path, "qform")
    assert trusted is None or "the qform is used" in trusted


def test_a_turned_qform_is_said(tmp_path: Path) -> None:
    angle = np.radians(10)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    path = rewrite(save_image(tmp_path / "x.nii"), qform=turn @ AFFINE)
    assert "apart" in (check_forms(path, None) or "")


def test_the_trusted_form_is_used_by_every_step_that_reads(tmp_path: Path) -> None:
    path = rewrite(save_image(tmp_path / "x.nii"), qform=shifted(30))
    for trust, affine in ((None, AFFINE), ("sform", AFFINE), ("qform", shifted(30))):
        assert np.allclose(prepare_image(path, False, trust).image.affine, affine)
        options = [MapOptions("FA", "1", 0, 200)]
        assert np.allclose(load_maps([path], options, None, trust=trust).affine, affine)
        assert np.allclose(load_ras(path, trust).affine, affine)
        space = Space(cube().shape, affine)
        kept = bring_mask(path, space, trust=trust).facts["wmh_kept_fraction"]
        assert kept == 1
    assert bring_mask(path, Space(cube().shape, AFFINE), trust="qform").facts[
        "wmh_kept_fraction"
    ] != 1  # fmt: skip


def test_the_steps_of_a_visit_are_told_whom_to_trust(raw: Path, derivatives: Path) -> None:
    mask(derivatives)
    save_image(derivatives / "sub-01" / "perf" / "sub-01_space-T1w_cbf.nii.gz")
    visit = plan_one(raw, derivatives)
    readers = {"prepare_image", "bring_mask", "sample_maps"}
    for words, told in (((), {None}), (("--trust", "qform"), {"qform"})):
        settings = parse_settings([str(raw), "out", "participant", *words])
        recipes = [one for one in visit_unit(visit, settings).recipes
                   if one.function.__name__ in readers]  # fmt: skip
        assert {one.function.__name__ for one in recipes} == readers
        assert {one.options.get("trust") for one in recipes} == told


def test_the_phantom_s_mask_keeps_its_volume_or_is_refused(tmp_path: Path) -> None:
    image = nib.load(MASK)
    shape, affine, _ = read_header(MASK)
    narrow = affine @ np.diag([0.9375, 0.9375, 0.9375, 1])
    path = tmp_path / "mask.nii.gz"
    save_image(path, np.asarray(image.dataobj), affine, dtype=np.uint8)
    for sform, qform in ((affine, narrow), (narrow, affine)):
        rewrite(path, sform=sform, qform=qform)
        with pytest.raises(InputError, match="--trust"):
            check_forms(path, None)
        volumes = {
            trust: bring_mask(path, Space(shape, affine), trust=trust).facts["wmh_given_volume_mm3"]
            for trust in ("sform", "qform")
        }
        right = np.count_nonzero(image.dataobj) * 8
        assert sorted(volumes.values()) == pytest.approx([right * 0.9375**3, right], rel=1e-4)
        assert volumes["sform" if sform is affine else "qform"] == pytest.approx(right, rel=1e-4)


@pytest.mark.parametrize("path", sorted(PHANTOM.rglob("*.nii.gz"))[::4], ids=lambda p: p.name)
def test_forms_are_read_as_nibabel_reads_them(path: Path) -> None:
    forms, header = read_forms(path), nib.load(path).header
    assert forms is not None
    assert np.allclose(forms.sform, header.get_sform())
    assert np.allclose(forms.qform, header.get_qform(), atol=1e-4)


@pytest.mark.parametrize("kind", ["big-endian", "NIfTI-2"])
def test_other_kinds_of_headers_are_read_too(kind: str, tmp_path: Path) -> None:
    made = nib.Nifti2Image if kind == "NIfTI-2" else nib.Nifti1Image
    image = made(cube(), AFFINE)
    image.set_sform(AFFINE, code=1)
    image.set_qform(stretched(0.9, 1, 1), code=1)
    if kind == "big-endian":
        image = nib.Nifti1Image(cube(), None, image.header.as_byteswapped(">"))
    nib.save(image, tmp_path / "x.nii")
    with pytest.raises(InputError, match="--trust"):
        check_forms(tmp_path / "x.nii", None)
