"""Transforms that are not linear: a linear way goes first, else the message says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plan.test_participant import mask, plan_one
from tests.plan.test_places import FA, fill, how, refusal, said
from wmhflow.bids.naming import TEMPLATE

BENT = "from-dwi_to-T1w_xfm.h5"
WMH = "space-T1w_label-WMH_mask"

# id: the files; how the map comes to the T1w in the end; what the plan says
DETOURS = {
    "the inverse of a linear one": ([FA, BENT, "from-T1w_to-dwi_xfm"], "-from-T1w_to-dwi"),
    "through the FLAIR": ([FA, BENT, "from-dwi_to-FLAIR_xfm"], "from-dwi_to-FLAIR > other"),
    "a linear one of the same places": (
        [f"acq-a_{FA}", f"acq-a_{BENT}", "from-dwi_to-FLAIR_xfm", "from-T1w_to-dwi_xfm"],
        "-from-T1w_to-dwi",
    ),
}


@pytest.mark.parametrize(("files", "expected"), DETOURS.values(), ids=DETOURS)
def test_a_linear_way_is_taken_where_there_is_one(
    raw: Path, tmp_path: Path, files: list[str], expected: str
) -> None:
    visit = plan_one(raw, *fill(tmp_path / "d", {"maps": files}))
    assert visit.problem is None
    (entry,) = visit.maps
    assert how(entry) == expected


@pytest.mark.parametrize(
    "files",
    [
        {"maps": [FA, BENT]},
        {"maps": [FA, BENT, "from-T1w_to-dwi_xfm.h5"]},
        {"qsirecon": [f"space-ACPC_{FA}"],
         "qsiprep": ["from-ACPC_to-anat_xfm.h5", "from-orig_to-anat_xfm"]},
    ],
)  # fmt: skip
def test_without_one_the_message_names_the_file_and_what_to_give(
    raw: Path, tmp_path: Path, files: dict[str, list[str]]
) -> None:
    problem = refusal(plan_one(raw, *fill(tmp_path / "d", files)))
    bent = "from-dwi_to-T1w" if "maps" in files else "from-ACPC_to-anat"
    assert f"{bent}_xfm.txt is not linear (DisplacementField" in problem
    assert "give the linear part alone, or the map resampled to the reference" in problem


def test_a_way_that_ends_at_the_other_image_says_why_it_leads_no_further(
    raw: Path, tmp_path: Path
) -> None:
    names = [WMH, FA, "from-dwi_to-FLAIR_xfm", "from-FLAIR_to-T1w_xfm.h5"]
    visit = plan_one(raw, *fill(tmp_path / "d", {"maps": names}))
    assert visit.problem is None
    (entry,) = visit.maps
    assert how(entry) == "register"
    assert "from-FLAIR_to-T1w_xfm.txt is not linear, so that nothing leads on" in said(visit, "FA")
    assert "give a linear transform there" in said(visit, "FA")


def test_transforms_of_the_other_image_to_the_template_are_named(
    raw: Path, derivatives: Path
) -> None:
    mask(derivatives, "sub-01_space-FLAIR_label-WMH_mask")
    for start, end in (("T1w", TEMPLATE), (TEMPLATE, "T1w")):
        path = derivatives / "sub-01" / "anat" / f"sub-01_from-{start}_to-{end}_mode-image_xfm.h5"
        path.write_bytes(b"not read for this")
    visit = plan_one(raw, derivatives, more=("--reference", "FLAIR"))
    told = said(visit, "FLAIR to template")
    assert f"sub-01_from-T1w_to-{TEMPLATE}_mode-image_xfm.h5 of masks leads there from" in told
    assert f"give from-FLAIR_to-{TEMPLATE} and its inverse, or choose --reference T1w" in told
