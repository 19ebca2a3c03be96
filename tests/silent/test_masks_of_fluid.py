"""The ventricles, or other fluid, given as a mask of infarcts, acute lesions, oedema or spaces.

What is left out of NAWM by such a mask, and every distance to it, looked like an infarct's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from tests import inprocess
from tests.coarse import coarse_dataset, head, save
from wmhflow.bids.writer import read_table
from wmhflow.labels.digits import CORTEX, CSF, LEFT, RIGHT, VENTRICLES, WHITE_MATTER
from wmhflow.registries.quality import find_measure
from wmhflow.steps.kinds import LabelImage, MaskImage
from wmhflow.steps.others import MOST_OF_FLUID, judge_other_lesions, share_of_fluid

SHAPE = (40, 30, 24)


def anatomy() -> tuple[Any, Any]:
    codes = np.full(SHAPE, CSF, np.uint8)
    codes[3:37, 3:27, 3:21] = CORTEX
    codes[6:34, 6:24, 6:18] = WHITE_MATTER
    codes[16:24, 9:21, 9:15] = VENTRICLES
    sides = np.where(np.arange(SHAPE[0]) < 20, LEFT, RIGHT)[:, None, None]
    return codes, np.broadcast_to(sides, SHAPE).astype(np.uint8)


def boxes(*places: Any) -> Any:
    made = np.zeros(SHAPE, bool)
    for place in places:
        made[place] = True
    return made


TISSUE, SIDES = anatomy()
IS_LEFT = SIDES == LEFT
# a mask, and the share of fluid that it holds on both sides
MASKS: dict[str, tuple[Any, float]] = {
    "the ventricles": (TISSUE == VENTRICLES, 1.0),
    "all fluid": (np.isin(TISSUE, (VENTRICLES, CSF)), 1.0),
    "CSF around the brain": (TISSUE == CSF, 1.0),
    "most of the ventricles": (boxes(np.s_[17:23, 9:21, 9:15]), 0.75),
    "an infarct": (boxes(np.s_[7:14, 8:20, 8:16]), 0.0),
    "a cavity that is called a ventricle": ((TISSUE == VENTRICLES) & IS_LEFT, 0.0),
    "the ventricles' rim": (boxes(np.s_[13:17, 9:21, 9:15], np.s_[23:27, 9:21, 9:15]), 0.25),
    "lacunes": (boxes(np.s_[8:9, 8:10, 8:10], np.s_[30:31, 9:10, 9:10]), 0.0),
}


@pytest.mark.parametrize("name", ["infarct", "acute", "oedema", "perivascular", "haemorrhage"])
@pytest.mark.parametrize(("mask", "share"), MASKS.values(), ids=MASKS)
def test_a_mask_of_fluid_is_marked(
    mask: Any, share: float, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    brain, tissue, sides = TISSUE != CSF, TISSUE, SIDES
    found = judge_other_lesions(
        [MaskImage(mask, np.eye(4))], MaskImage(brain, np.eye(4)),
        LabelImage(tissue, np.eye(4)), LabelImage(sides, np.eye(4)), [name], ["m.nii"],
    ).facts  # fmt: skip
    metric = f"{name}_share_of_fluid"
    # blood may fill ventricles
    assert found.get(metric) == (None if name == "haemorrhage" else pytest.approx(share))
    is_marked = name != "haemorrhage" and share > MOST_OF_FLUID
    assert ("seems to be a mask of fluid" in caplog.text) == is_marked


def test_an_empty_mask_and_a_brain_without_fluid_tell_nothing() -> None:
    assert share_of_fluid(np.zeros(SHAPE, bool), TISSUE, SIDES) is None
    assert share_of_fluid(TISSUE == CORTEX, np.full(SHAPE, CORTEX), SIDES) is None
    # other fluid is not told by all parcellations
    no_csf = np.where(TISSUE == CSF, 0, TISSUE)
    assert share_of_fluid(TISSUE == VENTRICLES, no_csf, SIDES) == 1


def test_the_bound_is_that_of_the_table() -> None:
    measure = find_measure("acute_share_of_fluid")
    assert measure is not None
    assert measure.high == MOST_OF_FLUID


@pytest.mark.slow
def test_so_it_is_in_a_whole_run_and_exchanged_masks_are_found_there(tmp_path: Path) -> None:
    """Tissues know no side where these masks are judged, which a step had asked them for."""
    made = coarse_dataset(
        tmp_path, (("01", None), ("02", None)), without=("fa_dwimap.nii.gz", "cbf.nii.gz")
    )
    ventricles = np.isin(head().codes, (4, 43))
    # one piece far from the ventricles, under the name of WMH, and lesions of both sides
    white = (head().codes == 2) & ~head().lesions
    inner = ndimage.binary_erosion(white)
    away = ndimage.distance_transform_edt(~ventricles)
    centre = np.unravel_index(np.argmax(np.where(inner, away, 0)), white.shape)
    places = np.argwhere(white)
    nearest = places[np.argsort(np.linalg.norm(places - np.array(centre), axis=1))[:60]]
    stroke = np.zeros(ventricles.shape, bool)
    stroke[tuple(nearest.T)] = True
    for label, wmh, infarct in (
        ("01", head().lesions, ventricles), ("02", stroke, head().lesions)
    ):  # fmt: skip
        anat = made.given / f"sub-{label}" / "anat"
        for name, mask in (("WMH", wmh), ("infarct", infarct)):
            path = anat / f"sub-{label}_space-T1w_label-{name}_mask.nii.gz"
            save(path, mask.astype(np.uint8), head().affine)
    inprocess.succeed(made.words("--registration-qc", "flag"))
    said = {
        label: {
            row["metric"]
            for row in read_table(
                made.out / f"sub-{label}" / "anat" / f"sub-{label}_desc-wmhflow_qc.tsv"
            )
            if row["verdict"] == "check"
        }
        for label in ("01", "02")
    }
    assert "infarct_share_of_fluid" in said["01"]
    assert "infarct_share_of_fluid" not in said["02"]
    assert "wmh_exchanged_with_infarct" in said["02"]
    assert "wmh_exchanged_with_infarct" not in said["01"]
