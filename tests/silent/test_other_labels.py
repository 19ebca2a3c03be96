"""Persons and visits whose labels are written in two ways: 1 and 01, a and A.

A person's masks and maps lay under ``sub-1`` where the raw images are those of ``sub-01``: WMH were
computed in place of the given ones, and a note in the plan said so.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import cube, describe, save_image
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.plan.visit import VisitPlan

MASK = "space-T1w_label-WMH_mask.nii.gz"


def plans(folder: Path, raw: list[str], given: list[str]) -> dict[str, VisitPlan]:
    """Plan persons (and visits, as 01_ses-1) of whom there are these images and masks."""
    describe(folder / "raw")
    describe(folder / "masks", DatasetType="derivative", GeneratedBy=[{"Name": "by hand"}])
    for root, names, end in (("raw", raw, "T1w.nii.gz"), ("masks", given, MASK)):
        for name in names:
            inside = Path(*f"sub-{name}".split("_"), "anat", f"sub-{name}_{end}")
            save_image(folder / root / inside, cube() > 0 if end == MASK else cube())
    words = [str(folder / "raw"), str(folder / "out"), "participant"]
    settings = parse_settings([*words, "-d", f"masks={folder / 'masks'}"])
    return {
        visit.label.removeprefix("sub-"): visit
        for plan in make_plans(settings)
        for visit in plan.visits
    }


@pytest.mark.parametrize(
    ("raw", "given"),
    [
        ("01", "1"),
        ("1", "001"),
        ("A01", "a01"),
        ("A01", "A1"),
        ("site2p07", "Site2P7"),
    ],
)
def test_a_person_under_a_label_that_is_nearly_his_is_refused(
    tmp_path: Path, raw: str, given: str
) -> None:
    planned = plans(tmp_path, [raw, "20"], [given, "20"])
    said = planned[raw].problem or ""
    assert f"has {given} as a label" in said
    assert f"no sub-{given}" in said
    assert planned["20"].problem is None


def test_a_folder_of_other_names_is_looked_through_as_well(tmp_path: Path) -> None:
    describe(tmp_path / "raw")
    save_image(tmp_path / "raw" / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    # FreeSurfer's folder of subjects
    save_image(tmp_path / "subjects" / "1" / "mri" / "aseg.nii.gz")
    save_image(tmp_path / "subjects" / "2" / "mri" / "aseg.nii.gz")
    words = [str(tmp_path / "raw"), str(tmp_path / "out"), "participant"]
    settings = parse_settings([*words, "-d", f"fs={tmp_path / 'subjects'}"])
    assert "has 1 as a label" in (next(iter(make_plans(settings))).visits[0].problem or "")


@pytest.mark.parametrize(
    ("raw", "given"),
    [
        # both are persons, of whom the one has no mask
        (["01", "1"], ["1"]),
        # another person altogether
        (["01", "2"], ["10", "2"]),
        (["100"], ["1"]),
    ],
)
def test_other_persons_are_no_reason_to_refuse_one(
    tmp_path: Path, raw: list[str], given: list[str]
) -> None:
    planned = plans(tmp_path, raw, given)
    assert all("as a label" not in (one.problem or "") for one in planned.values())


def test_visits_whose_labels_are_nearly_alike_are_one(tmp_path: Path) -> None:
    planned = plans(tmp_path, ["01_ses-BL", "01_ses-M06"], ["01_ses-bl", "01_ses-m6"])
    masks = {name: visit.wmh.file.path.name for name, visit in planned.items()}
    assert masks == {"01 ses-BL": f"sub-01_ses-bl_{MASK}", "01 ses-M06": f"sub-01_ses-m6_{MASK}"}


def test_the_mask_of_the_one_visit_is_nothing_that_the_other_lacks(tmp_path: Path) -> None:
    # it was taken for one of the second visit, too, which was refused for its name
    planned = plans(tmp_path, ["01_ses-01", "01_ses-02"], ["01_ses-1"])
    assert planned["01 ses-01"].problem is None
    assert "may be one" not in (planned["01 ses-02"].problem or "")
