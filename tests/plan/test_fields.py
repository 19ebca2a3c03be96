"""Maps that a field of displacements leads to the reference: taken, said, or refused by name."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.files.test_composites import field_of
from tests.files.test_fields import field_image
from tests.plan.test_participant import plan_one
from tests.plan.test_places import FA, fill, how, refusal, said
from wmhflow.bids.naming import TEMPLATE
from wmhflow.files.itk import write_itk_affine
from wmhflow.plan.judging_fields import judge_fields
from wmhflow.plan.visit import UNUSABLE, Composed, Computed, Given
from wmhflow.products.product import Facts
from wmhflow.products.visit import visit_unit
from wmhflow.settings import Settings

# of 40 mm voxels, around any head
AFFINE = np.diag([40.0, 40.0, 40.0, 1.0])
AFFINE[:3, 3] = -180


def bent(dataset: Path, name: str, ending: str = ".h5") -> Path:
    """Write a field of displacements under a transform's name."""
    folder = dataset / "sub-01" / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    write = field_of if ending == ".h5" else field_image
    path = folder / f"sub-01_{name}_mode-image_xfm{ending}"
    return write(path, np.zeros((9, 10, 11, 3)), AFFINE)


# the other files, the field's name, and the way in the end
WAYS = {
    "alone": ({"maps": [FA]}, "from-dwi_to-T1w", "from-dwi_to-T1w"),
    "to the other image": ({"maps": [FA]}, "from-dwi_to-FLAIR", "from-dwi_to-FLAIR > other"),
    "before a linear one": (
        {"maps": [FA, "from-ACPC_to-T1w_xfm"]}, "from-dwi_to-ACPC",
        "from-dwi_to-ACPC > from-ACPC_to-T1w"),
    "after a linear one": (
        {"maps": [FA, "from-dwi_to-ACPC_xfm"]}, "from-ACPC_to-T1w",
        "from-dwi_to-ACPC > from-ACPC_to-T1w"),
    "before an inverse": (
        {"maps": [f"space-ACPC_{FA}", "from-orig_to-anat_xfm"]}, "from-ACPC_to-anat",
        "from-ACPC_to-anat > -from-orig_to-anat"),
    "of another run": ({"maps": [f"run-1_{FA}"]}, "run-2_from-dwi_to-T1w", "register"),
    "of the other direction alone": ({"maps": [FA]}, "from-T1w_to-dwi", "-from-T1w_to-dwi"),
    "of the other direction, then a linear one": (
        {"maps": [FA, "from-ACPC_to-T1w_xfm"]}, "from-ACPC_to-dwi",
        "-from-ACPC_to-dwi > from-ACPC_to-T1w"),
    "of the other direction, to the other image": (
        {"maps": [FA]}, "from-FLAIR_to-dwi", "-from-FLAIR_to-dwi > other"),
    "beside a linear inverse": (
        {"maps": [FA, "from-T1w_to-dwi_xfm"]}, "from-dwi_to-T1w", "-from-T1w_to-dwi"),
}  # fmt: skip


@pytest.mark.parametrize("ending", [".h5", ".nii.gz", ".nii"])
@pytest.mark.parametrize(("files", "field", "expected"), WAYS.values(), ids=WAYS)
def test_a_map_goes_through_a_field_where_nothing_linear_leads(
    raw: Path, tmp_path: Path, files: dict[str, list[str]], field: str, expected: str, ending: str
) -> None:
    (dataset,) = fill(tmp_path / "d", files)
    bent(dataset, field, ending)
    visit = plan_one(raw, dataset)
    assert visit.problem is None
    (entry,) = visit.maps
    assert how(entry) == expected
    is_back = f"-{field}" in expected
    bends = field in expected
    assert (isinstance(entry.transform, Composed) and entry.transform.bends) == bends
    assert ("which bends it: it is resampled onto the reference once" in said(visit, "FA")) == bends
    assert ("a field of displacements, inverted here by iteration" in said(visit, "FA")) == is_back


@pytest.mark.parametrize("ending", [".h5", ".nii.gz"])
@pytest.mark.parametrize(
    ("files", "field", "advice"),
    [
        ([FA], "from-dwi_to-T1w", "as its program wrote it"),
        ([FA, "from-ACPC_to-T1w_xfm"], "from-dwi_to-ACPC", "as its program wrote it"),
        ([FA], "from-T1w_to-dwi", "of the other direction"),
    ],
)
def test_a_field_that_leads_nowhere_costs_its_map_before_the_first_step(
    raw: Path, tmp_path: Path, files: list[str], field: str, advice: str, ending: str
) -> None:
    (dataset,) = fill(tmp_path / "d", {"maps": files})
    path = bent(dataset, field, ending)
    sound = plan_one(raw, dataset)
    assert not list(judge_fields(sound))
    write = field_of if ending == ".h5" else field_image
    write(path, np.full((9, 10, 11, 3), 900.0), AFFINE)
    (line,) = judge_fields(plan_one(raw, dataset))
    assert (line.what, line.state) == ("FA", UNUSABLE)
    assert re.search(f"{field}_mode-image_xfm{ending} .*; give the transform {advice}", line.why)


def test_a_field_that_folds_has_no_inverse(raw: Path, tmp_path: Path) -> None:
    (dataset,) = fill(tmp_path / "d", {"maps": [FA]})
    path = bent(dataset, "from-T1w_to-dwi")
    vectors = np.zeros((9, 10, 11, 3))
    # a voxel in the head changes places with its neighbour
    vectors[5, 5, 5, 0] = 90
    field_of(path, vectors, AFFINE)
    (line,) = judge_fields(plan_one(raw, dataset))
    assert re.search(r"from-T1w_to-dwi_mode-image_xfm\.h5 folds at .* % of the head", line.why)
    # forward it is no worse than others are
    path.rename(path.with_name(path.name.replace("from-T1w_to-dwi", "from-dwi_to-T1w")))
    assert not list(judge_fields(plan_one(raw, dataset)))


def foreign(path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((9, 10, 11, 3), np.float32), AFFINE)
    image.header.set_intent(2006, allow_unknown=True)
    nib.save(image, path)


@pytest.mark.parametrize("field", ["from-dwi_to-T1w", "from-T1w_to-dwi"])
def test_a_field_of_fsl_alone_is_refused_and_beside_another_passed_over(
    raw: Path, tmp_path: Path, field: str
) -> None:
    (dataset,) = fill(tmp_path / "d", {"maps": [FA]})
    path = bent(dataset, field, ".nii.gz")
    foreign(path)
    problem = refusal(plan_one(raw, dataset))
    assert f"{path} is a field of FSL (FNIRT)" in problem
    assert "wb_command -convert-warpfield" in problem
    write_itk_affine(np.eye(4), path.with_name(path.name.replace(".nii.gz", ".txt")))
    visit = plan_one(raw, dataset)
    (entry,) = visit.maps
    assert how(entry).removeprefix("-") == field
    assert f"{path.name} of maps is not used: it is a field of FSL" in said(visit, "maps")


def test_an_image_beside_a_file_of_the_same_ends_has_to_be_chosen(
    raw: Path, tmp_path: Path
) -> None:
    (dataset,) = fill(tmp_path / "d", {"maps": [FA]})
    bent(dataset, "from-dwi_to-T1w")
    bent(dataset, "from-dwi_to-T1w", ".nii.gz")
    assert "2 transforms answer for one" in refusal(plan_one(raw, dataset))


@pytest.mark.parametrize("ending", [".h5", ".nii.gz"])
@pytest.mark.parametrize("inverted", [False, True])
def test_the_other_image_comes_by_a_field_or_its_inverse(
    raw: Path, tmp_path: Path, ending: str, inverted: bool
) -> None:
    (dataset,) = fill(tmp_path / "d", {"maps": ["space-T1w_label-WMH_mask"]})
    path = bent(dataset, "from-T1w_to-FLAIR" if inverted else "from-FLAIR_to-T1w", ending)
    visit = plan_one(raw, dataset)
    given = visit.other_transform
    assert isinstance(given, Given)
    assert (given.inverted, given.bends) == (inverted, True)
    assert given.convert == (inverted or ending == ".nii.gz")
    told = said(visit, "FLAIR to T1w")
    assert path.name in told
    assert ("inverted here by iteration" in told) == inverted


@pytest.mark.parametrize("ending", [".h5", ".nii.gz"])
@pytest.mark.parametrize("back", [False, True])
def test_a_field_of_any_name_is_taken_forwards_or_back(
    raw: Path, tmp_path: Path, ending: str, back: bool
) -> None:
    (dataset,) = fill(tmp_path / "d", {"maps": [FA]})
    path = bent(tmp_path, "mine", ending)
    text = f"FA=[{path},1]" if back else f"FA={path}"
    visit = plan_one(raw, dataset, more=("--transform", text))
    assert visit.problem is None
    assert how(visit.maps[0]).removeprefix("-") == "mine"
    assert ("inverted here by iteration" in said(visit, "FA")) == back
    assert not list(judge_fields(visit))


@pytest.mark.parametrize("ending", [".h5", ".nii.gz"])
def test_the_way_back_from_the_template_is_found_where_it_is_not_given(
    raw: Path, tmp_path: Path, ending: str
) -> None:
    (dataset,) = fill(tmp_path / "d", {"maps": ["space-T1w_label-WMH_mask"]})
    path = bent(dataset, f"from-T1w_to-{TEMPLATE}", ending)
    visit = plan_one(raw, dataset)
    for given, back in ((visit.forward, False), (visit.inverse, True)):
        assert isinstance(given, Given)
        assert (given.file.path, given.inverted) == (path, back)
    assert "back by its inverse" in said(visit, "T1w to template")
    unit = visit_unit(visit, Settings(Path("raw"), Path("out"), "participant"))
    unit.check()
    assert "template_registration_" in {one.prefix for one in unit.of(Facts).values()}
    # of a matrix there is no warp, and of the way back alone no way there
    path.rename(path.with_name(f"sub-01_from-{TEMPLATE}_to-T1w_mode-image_xfm{ending}"))
    visit = plan_one(raw, dataset)
    assert isinstance(visit.forward, Computed)
    assert "only one direction is given" in said(visit, "T1w to template")


def test_fields_to_the_template_are_written_as_files_of_itk(raw: Path, tmp_path: Path) -> None:
    (dataset,) = fill(tmp_path / "d", {"maps": ["space-T1w_label-WMH_mask"]})
    for start, end in (("T1w", TEMPLATE), (TEMPLATE, "T1w")):
        bent(dataset, f"from-{start}_to-{end}", ".nii.gz")
    visit = plan_one(raw, dataset)
    for given in (visit.forward, visit.inverse):
        assert isinstance(given, Given)
        assert given.convert
    unit = visit_unit(visit, Settings(Path("raw"), Path("out"), "participant"))
    made = [recipe.name for recipe in unit.recipes if recipe.function.__name__ == "compose_fields"]
    assert made == ["forward", "inverse"]


def test_a_field_that_is_named_by_the_user_is_taken(raw: Path, tmp_path: Path) -> None:
    (dataset,) = fill(tmp_path / "d", {"maps": [FA]})
    field = field_of(tmp_path / "mine.h5", np.zeros((4, 5, 6, 3)), AFFINE)
    visit = plan_one(raw, dataset, more=("--transform", f"FA={field}"))
    assert visit.problem is None
    assert "mine.h5 (--transform), which bends it" in said(visit, "FA")


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ("from-dwi_to-ACPC_xfm.mat", "is a transform of FSL, one of those that follow one another"),
        ("from-dwi_to-ACPC_xfm.h5", "from-dwi_to-ACPC_xfm.txt is not linear (DisplacementField"),
    ],
)
def test_a_chain_that_cannot_be_followed_is_refused_with_its_parts(
    raw: Path, tmp_path: Path, other: str, why: str
) -> None:
    (dataset,) = fill(tmp_path / "d", {"maps": [FA, other]})
    bent(dataset, "from-ACPC_to-T1w")
    problem = refusal(plan_one(raw, dataset))
    assert why in problem
    assert "from-dwi_to-ACPC_xfm" in problem
    assert "and then" in problem
    assert "from-ACPC_to-T1w_mode-image_xfm.h5" in problem
