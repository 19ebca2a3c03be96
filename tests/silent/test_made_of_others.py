"""Given files that were made of another person's or visit's images, by their own JSON files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.builders import PHANTOM
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.errors import InputError
from wmhflow.plan.judging_sources import judge_sources
from wmhflow.plan.visit import UNUSABLE, VisitPlan

VISIT = "sub-01/ses-1"
MASK = f"lesions/{VISIT}/anat/sub-01_ses-1_space-T1w_label-WMH_mask.json"
FA = f"maps/{VISIT}/dwi/sub-01_ses-1_model-tensor_param-fa_dwimap.json"


@pytest.fixture
def phantom(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PHANTOM, tmp_path / "data"))


def planned(phantom: Path) -> VisitPlan:
    words = [str(phantom), str(phantom.parent / "out"), "participant", "--participant-label", "01"]
    given = [f"{name}={phantom / 'derivatives' / name}" for name in ("lesions", "maps")]
    ((visit,),) = [
        one.visits
        for one in make_plans(parse_settings([*words, "--session-label", "1", "-d", *given]))
    ]
    return visit


def state(phantom: Path, name: str, **fields: Any) -> None:
    path = phantom / "derivatives" / name
    told = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(told | fields), encoding="utf-8")


OTHER = "bids:raw:sub-02/anat/sub-02_FLAIR.nii.gz"
OWN = "bids:raw:sub-01/ses-1/anat/sub-01_ses-1_FLAIR.nii.gz"
GONE = "bids:raw:sub-S077/anat/sub-S077_FLAIR.nii.gz"
LATER = "bids::sub-01/ses-2/dwi/sub-01_ses-2_dwi.nii.gz"
FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "its own": ({"Sources": [OWN]}, ""),
    "none": ({"Sources": []}, ""),
    "its own and another's": ({"Sources": [OWN, OTHER]}, ""),
    "another's": ({"Sources": [OTHER]}, "person"),
    "another's, old field": ({"RawSources": ["sub-02/anat/sub-02_T1w.nii.gz"]}, "person"),
    "lies on another's": ({"SpatialReference": {"one": OTHER}}, "person"),
    "a label from before": ({"Sources": [GONE]}, ""),
    "another visit's": ({"Sources": [LATER]}, "visit"),
    "no text": ({"Sources": [3, None]}, ""),
}


@pytest.mark.parametrize(("fields", "of"), FIELDS.values(), ids=FIELDS)
def test_a_mask_that_was_made_of_another_person_is_refused(
    phantom: Path, fields: dict[str, Any], of: str
) -> None:
    """The lesions of one person in the brain of another looked like his own."""
    state(phantom, MASK, **fields)
    visit = planned(phantom)
    if of == "person":
        with pytest.raises(
            InputError, match=r"label-WMH_mask.nii.gz was made from files of sub-02"
        ):
            list(judge_sources(visit))
        return
    notes = [line for line in judge_sources(visit) if line.what == "wmh"]
    assert len(notes) == (of == "visit")
    assert all("made from files of ses-2 alone" in line.why for line in notes)


@pytest.mark.parametrize(("fields", "of"), FIELDS.values(), ids=FIELDS)
def test_a_map_that_was_made_of_another_person_costs_itself(
    phantom: Path, fields: dict[str, Any], of: str
) -> None:
    state(phantom, FA, **fields)
    lines = [line for line in judge_sources(planned(phantom)) if line.what == "FA"]
    assert [line.state for line in lines] == {"": [], "person": [UNUSABLE], "visit": ["note"]}[of]


def test_the_example_s_own_files_are_their_persons(phantom: Path) -> None:
    assert list(judge_sources(planned(phantom))) == []
