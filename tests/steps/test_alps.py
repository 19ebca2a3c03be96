"""The step of DTI-ALPS on a head that is turned: the planted index, or why there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.coarse import MOTIONS, PLACE, head
from tests.planted_diffusion import ALPS, tensors
from wmhflow.files.itk import write_itk_affine
from wmhflow.labels.digits import CORTEX, LEFT, WHITE_MATTER, with_side
from wmhflow.steps.alps import measure_alps
from wmhflow.steps.kinds import Columns, LabelImage, MaskImage


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("alps")
    made, mask = head(), head().codes > 0
    flat = tensors()[mask][:, [0, 0, 1, 0, 1, 2], [0, 1, 1, 2, 2, 2]]
    white = np.isin(made.codes, (2, 41))
    classes = np.where(white, with_side(WHITE_MATTER, LEFT), with_side(CORTEX, LEFT))
    return {
        "tensors": Columns(flat, mask, MOTIONS["dwi"] @ made.affine),
        "tissue": LabelImage(classes.astype(np.int16), made.affine),
        "wmh": MaskImage(made.lesions, made.affine),
        "forward": Path(write_itk_affine(PLACE, folder / "forward.txt")),
        "transform": Path(write_itk_affine(MOTIONS["dwi"], folder / "dwi.txt")),
    }


def test_the_planted_index_comes_back_on_both_sides(given, caplog) -> None:
    found = measure_alps(**given, tensor_facts={"directions_follow_fibres": 1})
    rows = {row["hemisphere"]: row for row in found.rows}
    for side in ("L", "R", "B"):
        assert rows[side]["alps"] == pytest.approx(ALPS, abs=0.02), rows
        assert rows[side]["reason"] is None
    for side in ("L", "R"):
        assert rows[side]["alps_local"] == pytest.approx(ALPS, abs=0.02)
        for region in ("projection", "association"):
            assert rows[side][f"{region}_angle_deg"] < 1
            assert rows[side][f"{region}_n"] >= 4
            assert rows[side][f"{region}_md"] == pytest.approx(0.8e-3, rel=0.01)
    assert found.facts["alps_voxel_mm"] == pytest.approx(3)
    assert found.facts["alps_mean"] == rows["B"]["alps"]
    assert found.facts["alps_missing_sides"] == 0
    assert caplog.text == ""


@pytest.mark.parametrize(("verdict", "why"), [(0, "does not fit"), (None, "nobody can tell")])
def test_directions_that_are_not_to_be_believed_give_no_index(
    given, verdict, why: str, caplog
) -> None:
    facts = {"directions_follow_fibres": verdict}
    found = measure_alps(**given, tensor_facts=facts, source="sub-01_dwi.nii.gz")
    assert caplog.text.count("sub-01_dwi.nii.gz: DTI-ALPS is n/a: L: ") == 1
    assert why in caplog.text
    assert found.facts["alps_missing_sides"] == 2
    assert [row["alps"] for row in found.rows] == [None, None, None]
    assert all(why in row["reason"] for row in found.rows)


def test_where_there_is_no_white_matter_there_is_no_index(given, caplog) -> None:
    cortex = LabelImage(np.full_like(given["tissue"].data, with_side(CORTEX, LEFT)),
                        given["tissue"].affine)  # fmt: skip
    none = MaskImage(np.zeros_like(given["wmh"].data), given["wmh"].affine)
    changed = given | {"tissue": cortex, "wmh": none}
    found = measure_alps(**changed, tensor_facts={"directions_follow_fibres": 1})
    assert [row["alps"] for row in found.rows] == [None, None, None]
    assert "projection: 0 voxels" in found.rows[2]["reason"]
    assert "projection: 0 voxels" in caplog.text
