"""A mask of infarcts that is one of WMH, and the labels of one mask that were exchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wmhflow.errors import InputError
from wmhflow.labels.digits import LEFT, RIGHT, VENTRICLES, WHITE_MATTER
from wmhflow.registries.quality import find_measure
from wmhflow.steps.kinds import LabelImage, MaskImage
from wmhflow.steps.lesion_places import judge_two_lesions
from wmhflow.steps.lesions import keep_infarct_out

# voxels of 2 mm
SHAPE = (60, 70, 50)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def anatomy() -> tuple[LabelImage, LabelImage]:
    """Tissues as they are found, which know no side, and the sides."""
    codes = np.full(SHAPE, WHITE_MATTER, np.int32)
    codes[26:34, 20:50, 22:30] = VENTRICLES
    sides = np.where(np.arange(SHAPE[0]) < 30, LEFT, RIGHT)[:, None, None]
    sides = np.broadcast_to(sides, SHAPE).astype(np.int32)
    return LabelImage(codes, AFFINE), LabelImage(sides, AFFINE)


def boxes(*places: Any) -> np.ndarray:
    made = np.zeros(SHAPE, bool)
    for place in places:
        made[place] = True
    return made


CAPS = boxes(np.s_[22:26, 22:48, 22:30], np.s_[34:38, 22:48, 22:30])
SPOTS = boxes(np.s_[10:13, 10:13, 10:13], np.s_[47:50, 30:33, 40:43])
STROKE = boxes(np.s_[3:12, 20:32, 20:34])
LACUNES = boxes(np.s_[23:26, 30:34, 24:28], np.s_[35:38, 40:44, 24:28])
PERIVENTRICULAR_STROKE = boxes(np.s_[16:26, 20:40, 20:30])
NOTHING = boxes()

# WMH and infarcts; whether they seem to be each other's
PAIRS = {
    "exchanged": (STROKE, CAPS | SPOTS, True),
    "exchanged, lacunes among them": (STROKE, CAPS | LACUNES, True),
    "right": (CAPS | SPOTS, STROKE, False),
    "right, a stroke at the ventricle": (CAPS | SPOTS, PERIVENTRICULAR_STROKE, False),
    "right, lacunes": (CAPS, LACUNES, False),
    "WMH of one side beside a stroke": (PERIVENTRICULAR_STROKE, STROKE, False),
    "two strokes": (STROKE, STROKE[::-1], False),
    "WMH twice": (CAPS, CAPS | SPOTS, False),
    "no infarct": (STROKE, NOTHING, False),
    "no WMH": (NOTHING, CAPS, False),
    "WMH of a few voxels": (boxes(np.s_[3:6, 20:22, 20:22]), CAPS, False),
}


@pytest.mark.parametrize("sources", [["/d/mask.nii.gz"], ["/d/wmh.nii.gz", "/d/infarct.nii.gz"]])
@pytest.mark.parametrize(("wmh", "infarct", "exchanged"), PAIRS.values(), ids=PAIRS)
def test_masks_that_are_each_others_are_marked_or_refused(
    wmh: Any, infarct: Any, exchanged: bool, sources: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    masks = MaskImage(wmh, AFFINE), MaskImage(infarct, AFFINE)
    facts = judge_two_lesions(*masks, *anatomy(), sources, "flag").facts
    assert facts == {"wmh_exchanged_with_infarct": int(exchanged)}
    assert bool(caplog.messages) == exchanged
    if not exchanged:
        assert judge_two_lesions(*masks, *anatomy(), sources, "fail").facts == facts
        return
    (line,) = caplog.messages
    assert line.startswith(" and ".join(sources))
    assert "lies as an infarct does" in line
    why = "its labels seem to be exchanged" if len(sources) == 1 else "two masks seem to be"
    assert why in line
    with pytest.raises(InputError, match=why):
        judge_two_lesions(*masks, *anatomy(), sources, "fail")


def test_what_tells_is_a_row_of_the_quality_table() -> None:
    measure = find_measure("wmh_exchanged_with_infarct")
    assert measure is not None
    assert measure.high == 0


# the share of WMH that lies in the mask of infarcts, and what becomes of it
SHARES = {"all": (1.0, "refused"), "nearly all": (0.97, "refused"), "most": (0.9, "marked"),
          "half": (0.5, "")}  # fmt: skip


@pytest.mark.parametrize(("share", "said"), SHARES.values(), ids=SHARES)
def test_a_mask_of_infarcts_that_holds_all_wmh_is_refused(
    share: float, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    places = np.argwhere(CAPS)
    infarct = STROKE.copy()
    infarct[tuple(places[: round(share * len(places))].T)] = True
    masks = MaskImage(CAPS, AFFINE), MaskImage(infarct, AFFINE)
    if said == "refused":
        with pytest.raises(InputError, match=r"w\.nii and i\.nii: the mask of infarcts holds .* %"):
            keep_infarct_out(*masks, sources=["w.nii", "i.nii"])
    else:
        found = keep_infarct_out(*masks, sources=["w.nii", "i.nii"])
        assert found.facts["wmh_removed_infarct_fraction"] == pytest.approx(share, abs=0.01)
        assert bool(caplog.messages) == (said == "marked")
    # what the program finds holds infarcts as well
    assert keep_infarct_out(*masks, with_rims=True).facts["wmh_removed_infarct_fraction"] is None
