"""The steps on the trace of a series: what was planted comes back, and bad images cost the map."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from tests.builders import save_image
from wmhflow.errors import InputError
from wmhflow.steps.apparent import average_weighted, map_adc

SHAPE = (5, 6, 7)
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
ADC = np.linspace(0.4e-3, 2.8e-3, int(np.prod(SHAPE))).reshape(SHAPE)


@pytest.fixture
def files(tmp_path: Path):
    def write(data: np.ndarray | None = None) -> dict[str, Path]:
        if data is None:
            weighted = 900 * np.exp(-1000 * ADC)
            data = np.stack([np.full(SHAPE, 900.0), weighted, 2 * weighted], axis=3)
        (tmp_path / "x.bval").write_text("0 1000 2500")
        return {"image": save_image(tmp_path / "x.nii", data, AFFINE), "bval": tmp_path / "x.bval"}

    return write


def test_planted_coefficients_come_back_where_they_are(files) -> None:
    found = map_adc(**files(), volumes=[0, 1])
    assert np.allclose(found.adc.data, ADC, rtol=1e-5)
    assert np.array_equal(found.adc.affine, AFFINE)
    assert found.facts == {
        "refused": 0, "n_voxels": ADC.size, "n_without_fit": 0, "uneven_volumes": 0, "air_share": 0,
    }  # fmt: skip


def test_the_weighted_image_is_the_volume_of_its_b(files) -> None:
    found = average_weighted(**files(), volumes=[0, 1]).image
    assert np.allclose(found.data, 900 * np.exp(-1000 * ADC), rtol=1e-5)


def test_where_there_is_no_signal_or_no_head_there_is_no_number(files, tmp_path: Path) -> None:
    data = np.full((*SHAPE, 3), 500.0)
    data[..., 1] = 200
    data[0, 0, 0, 1], data[0, 0, 1, 1], data[0, 0, 2, 0] = 0, np.nan, -3
    mask = np.ones(SHAPE)
    mask[4] = 0
    given = save_image(tmp_path / "mask.nii", mask, AFFINE)
    found = map_adc(**files(data), volumes=[0, 1], mask=given)
    assert np.isnan(found.adc.data[0, 0, :3]).all()
    assert np.isnan(found.adc.data[4]).all()
    assert np.allclose(found.adc.data[1:4], np.log(2.5) / 1000)
    assert found.facts["n_without_fit"] == 3


@pytest.mark.parametrize("value", [0, -20, np.nan])
def test_images_without_signal_cost_the_map_and_are_said(files, caplog, value: float) -> None:
    data = np.full((*SHAPE, 3), 500.0)
    data[..., 1] = value
    with caplog.at_level(logging.WARNING, "wmhflow"):
        found = map_adc(**files(data), volumes=[0, 1])
    assert found.facts["refused"] == 1
    assert np.isnan(found.adc.data).all()
    assert "ADC is not computed" in caplog.text


def test_volumes_that_are_no_trace_are_refused_by_the_files_name(files, tmp_path: Path) -> None:
    np.savetxt(tmp_path / "x.bvec", [[0, 1, 1], [0, 0, 0], [0, 0, 0]])
    with pytest.raises(InputError, match=r"x\.nii: b = 1000 has one direction"):
        map_adc(**files(), volumes=[0, 1], bvec=tmp_path / "x.bvec")
