"""Maps that a field of displacements leads to the reference: taken, said, or refused by name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.files.test_composites import field_of
from tests.plan.test_participant import plan_one
from tests.plan.test_places import FA, fill, how, refusal, said
from wmhflow.plan.judging_fields import judge_fields
from wmhflow.plan.visit import UNUSABLE, Composed

# of 40 mm voxels, around any head
AFFINE = np.diag([40.0, 40.0, 40.0, 1.0])
AFFINE[:3, 3] = -180


def bent(dataset: Path, name: str) -> Path:
    """Write a field of displacements under a transform's name."""
    folder = dataset / "sub-01" / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    return field_of(folder / f"sub-01_{name}_mode-image_xfm.h5", np.zeros((9, 10, 11, 3)), AFFINE)


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
    "of the other direction alone": ({"maps": [FA]}, "from-T1w_to-dwi", "register"),
    "beside a linear inverse": (
        {"maps": [FA, "from-T1w_to-dwi_xfm"]}, "from-dwi_to-T1w", "-from-T1w_to-dwi"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "field", "expected"), WAYS.values(), ids=WAYS)
def test_a_map_goes_through_a_field_where_nothing_linear_leads(
    raw: Path, tmp_path: Path, files: dict[str, list[str]], field: str, expected: str
) -> None:
    (dataset,) = fill(tmp_path / "d", files)
    bent(dataset, field)
    visit = plan_one(raw, dataset)
    assert visit.problem is None
    (entry,) = visit.maps
    assert how(entry) == expected
    bends = field in expected.replace("-from-T1w_to-dwi", "")
    assert (isinstance(entry.transform, Composed) and entry.transform.bends) == bends
    assert ("which bends it: it is resampled onto the reference once" in said(visit, "FA")) == bends


@pytest.mark.parametrize(
    ("files", "field"),
    [([FA], "from-dwi_to-T1w"), ([FA, "from-ACPC_to-T1w_xfm"], "from-dwi_to-ACPC")],
)
def test_a_field_that_leads_nowhere_costs_its_map_before_the_first_step(
    raw: Path, tmp_path: Path, files: list[str], field: str
) -> None:
    (dataset,) = fill(tmp_path / "d", {"maps": files})
    path = bent(dataset, field)
    sound = plan_one(raw, dataset)
    assert not list(judge_fields(sound))
    field_of(path, np.full((9, 10, 11, 3), 900.0), AFFINE)
    (line,) = judge_fields(plan_one(raw, dataset))
    assert (line.what, line.state) == ("FA", UNUSABLE)
    assert re.search(f"{field}_mode-image_xfm.h5 .*; give the transform as", line.why)


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
