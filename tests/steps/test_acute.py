"""The step that finds acute lesions: images of any grid, and bad ones cost these lesions alone."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import save_image
from tests.core.diffusion.test_acute import BLEED, FLUID, LESION, SHAPE, box, scan
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.space.grids import Grid3D
from wmhflow.files.itk import write_itk_affine
from wmhflow.labels.digits import LEFT, VENTRICLES, WHITE_MATTER, with_side
from wmhflow.steps.acute import FOUND, find_acute_lesions
from wmhflow.steps.kinds import LabelImage, MaskImage

AFFINE = np.array([[-1.0, 0, 0, 12], [0, 1, 0, -9], [0, 0, 1, 5], [0, 0, 0, 1]])
MOVED = rigid_matrix((3, -2, 4, 5, -3, 2), np.zeros(3))


@pytest.fixture
def given(tmp_path: Path):
    def write(affine: np.ndarray = AFFINE, factor: float = 1.0, **spoilt: Any) -> dict[str, Any]:
        made = {**scan(snr=200), **spoilt}
        tissue = np.where(made["fluid"], VENTRICLES, WHITE_MATTER) * made["brain"]
        sided = np.where(tissue, with_side(tissue, LEFT), 0).astype(np.int16)
        return {
            "dwi": Grid3D(made["dwi"].astype(np.float32), affine),
            "adc": save_image(tmp_path / "adc.nii", made["adc"] / factor, affine),
            "tissue": LabelImage(sided, AFFINE),
            "brain": MaskImage(made["brain"], AFFINE),
            "nawm": MaskImage(made["white"], AFFINE),
            "adc_factor": factor,
            "source": "x_dwi.nii",
        }

    return write


@pytest.mark.parametrize("factor", [1.0, 1e-3])
def test_a_lesion_is_found_where_it_is_in_any_unit_of_the_map(given, factor: float) -> None:
    found = find_acute_lesions(**given(factor=factor))
    assert np.array_equal(found.mask.data, box(LESION))
    assert found.facts["refused"] == 0
    assert set(found.facts) == {"refused", *FOUND}


def test_each_image_is_brought_by_its_own_transform(given, tmp_path: Path) -> None:
    # ITK's transform leads from points of the reference to those of the image
    path = Path(write_itk_affine(MOVED, tmp_path / "moved.txt"))
    made = given(MOVED @ AFFINE) | {"dwi_transform": path, "adc_transform": path}
    assert np.array_equal(find_acute_lesions(**made).mask.data, box(LESION))
    still = given() | {"dwi_transform": path}
    still["dwi"] = Grid3D(still["dwi"].data, MOVED @ AFFINE)
    assert np.array_equal(find_acute_lesions(**still).mask.data, box(LESION))


def test_a_haemorrhage_keeps_lesions_out(given) -> None:
    adc = scan(snr=200, lesions=(LESION, BLEED))
    made = given(dwi=adc["dwi"], adc=adc["adc"])
    assert find_acute_lesions(**made).mask.data[BLEED].all()
    found = find_acute_lesions(**made, haemorrhage=MaskImage(box(BLEED), AFFINE))
    assert np.array_equal(found.mask.data, box(LESION))


def test_where_an_image_holds_nothing_there_is_no_lesion(given) -> None:
    made = scan(snr=200)
    # zeros of a given map stand for no data
    made["adc"][4:6] = 0
    made["dwi"][:, :, 6] = np.nan
    found = find_acute_lesions(**given(dwi=made["dwi"], adc=made["adc"]))
    assert np.array_equal(found.mask.data, box(np.s_[6:8, 4:8, 4:6]))
    assert found.facts["coverage"] < 0.95


@pytest.mark.parametrize(
    "values", [np.full(SHAPE, 70.0), np.full(SHAPE, np.nan), box(FLUID) * 90.0 + np.arange(28) % 5]
)
def test_bad_images_cost_these_lesions_and_are_said(given, caplog, values: np.ndarray) -> None:
    with caplog.at_level(logging.WARNING, "wmhflow"):
        found = find_acute_lesions(**given(dwi=values))
    assert "x_dwi.nii: acute lesions are not looked for" in caplog.text
    assert "their number is n/a" in caplog.text
    assert not found.mask.data.any()
    assert found.facts == {"refused": 1, **dict.fromkeys(FOUND)}
