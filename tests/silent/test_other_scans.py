"""Masks of another run, acquisition or person than the images that are used, by their own names.

A mask that was drawn on the second of two runs was laid over the first, in which the head was
elsewhere; and a mask in a person's folder under another person's name was left out, and WMH were
computed in its place.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.builders import cube, describe, save_image
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.plan.visit import VisitPlan

MASK = "space-T1w_label-WMH_mask"
PARCELLATION = "space-T1w_desc-aparcaseg_dseg"


def plan(folder: Path, images: list[str], given: str, filters: object = None) -> VisitPlan:
    """Plan a person who has these raw images and one derivative."""
    raw = describe(folder / "raw")
    masks = describe(folder / "masks", DatasetType="derivative", GeneratedBy=[{"Name": "by hand"}])
    for number, name in enumerate(images):
        path = raw / "sub-01" / "anat" / f"sub-01_{name}.nii.gz"
        save_image(path, cube(70 + 10 * number))
    data = np.zeros((8, 9, 10), np.uint8)
    data[3:5, 3:5, 3:5] = 1
    save_image(masks / "sub-01" / "anat" / f"{given}.nii.gz", data, dtype=np.uint8)
    words = [str(raw), str(folder / "out"), "participant", "-d", f"masks={masks}"]
    if filters is not None:
        (folder / "filters.json").write_text(json.dumps(filters), encoding="utf-8")
        words += ["--bids-filter-file", str(folder / "filters.json")]
    return next(iter(make_plans(parse_settings(words)))).visits[0]


RUNS = ["run-1_T1w", "run-2_T1w", "run-1_FLAIR", "run-2_FLAIR"]
ACQUISITIONS = ["acq-a_T1w", "acq-b_FLAIR"]
OTHER: dict[str, tuple[list[str], str, str]] = {
    "the second of two runs": (RUNS, f"run-2_{MASK}", "run-2, and the T1w .* sub-01_run-1_T1w"),
    "of two runs, written 02": (RUNS, f"run-02_{MASK}", "run-2, and the T1w"),
    "on the FLAIR of it": (RUNS, "run-2_space-FLAIR_label-WMH_mask", "the FLAIR that is used"),
    "a run that is gone": (RUNS[::2], f"run-2_{MASK}", "it lies on another image"),
    "a parcellation": (RUNS, f"run-2_{PARCELLATION}", "run-2, and the T1w"),
    "another lesion": (RUNS, "run-2_space-T1w_label-infarct_mask", "run-2, and the T1w"),
}


@pytest.mark.parametrize(("images", "name", "said"), OTHER.values(), ids=OTHER)
def test_what_lies_on_another_scan_is_refused(
    tmp_path: Path, images: list[str], name: str, said: str
) -> None:
    problem = plan(tmp_path, images, f"sub-01_{name}").problem
    assert re.search(said, problem or "")


ONE: dict[str, tuple[list[str], str]] = {
    "the first of two runs": (RUNS, f"run-1_{MASK}"),
    "the first, written 01": (RUNS, f"run-01_{MASK}"),
    "no run": (RUNS, MASK),
    "a run where images have none": (["T1w", "FLAIR"], f"run-1_{MASK}"),
    "the run of the FLAIR": (["run-1_T1w", "run-2_FLAIR"], f"run-2_{MASK}"),
    "the FLAIR's acquisition": (ACQUISITIONS, f"acq-b_{MASK}"),
    "an acquisition of nobody": (ACQUISITIONS, f"acq-rater1_{MASK}"),
    "a parcellation of the first": (RUNS, f"run-1_{PARCELLATION}"),
}


@pytest.mark.parametrize(("images", "name"), ONE.values(), ids=ONE)
def test_what_lies_on_the_scan_is_taken(tmp_path: Path, images: list[str], name: str) -> None:
    visit = plan(tmp_path, images, f"sub-01_{name}")
    assert visit.problem is None
    assert f"sub-01_{name}.nii.gz" in {file.path.name for file in visit.sources}


def test_another_acquisition_of_two_is_refused(tmp_path: Path) -> None:
    images = ["acq-a_T1w", "acq-b_T1w", "acq-a_FLAIR"]
    filters = {"t1w": {"acquisition": "a"}}
    problem = plan(tmp_path, images, f"sub-01_acq-b_{MASK}", filters).problem
    assert "says acq-b, and the T1w that is used is sub-01_acq-a_T1w.nii.gz" in (problem or "")


@pytest.mark.parametrize("kind", ["t1w", "wmh"])
def test_who_chooses_means_it(tmp_path: Path, kind: str) -> None:
    visit = plan(tmp_path, RUNS, f"sub-01_run-2_{MASK}", {kind: {"run": 2}})
    assert visit.problem is None


@pytest.mark.parametrize("name", ["sub-02", "sub-1", "SUB-01"])
def test_a_mask_of_another_persons_name_is_not_replaced(tmp_path: Path, name: str) -> None:
    problem = plan(tmp_path, ["T1w", "FLAIR"], f"{name}_{MASK}").problem
    assert f"{name}_{MASK}.nii.gz of masks may be one" in (problem or "")
    assert "does not begin as its folders are called; rename it" in (problem or "")
