"""Maps in each lesion, beside far white matter and the mirror: known from what was planted."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import save_image
from wmhflow.core.measure.coverage import coverage_of_each
from wmhflow.files.itk import write_itk_affine
from wmhflow.steps.kinds import LabelImage
from wmhflow.steps.lesion_maps import (
    arrange_lesions,
    contrast,
    lesion_rows,
    mirror_lesions,
)
from wmhflow.steps.measures import MapOptions, load_maps
from wmhflow.steps.purity import NO_GUARD, Purity

SHAPE = (20, 16, 12)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
AFFINE[:3, 3] = [-19, -15, -11]  # x = 0 lies between the two middle planes
TISSUE = np.full(SHAPE, 15)
TISSUE[10:] = 25
TISSUE[:, :3] = 1
# the first and second lie on the left; the third opposite to a part of the second; the fourth
# touches CSF
LESIONS = np.zeros(SHAPE, dtype=np.int32)
LESIONS[3:6, 6:9, 4:8] = 1
LESIONS[2:5, 11:14, 4:8] = 2
LESIONS[15:17, 11:14, 4:8] = 3
LESIONS[7:9, 3:5, 2:4] = 4
VALUES = np.where(np.arange(SHAPE[0])[:, None, None] < 10, 0.4, 0.5) * np.ones(SHAPE)
for number, value in {1: 0.2, 2: 0.25, 3: 0.3, 4: 0.1}.items():
    VALUES[number == LESIONS] = value


def sampled_in(
    lesions: LabelImage, opposite: LabelImage, path: Path, purity: Purity = NO_GUARD
) -> list[dict[str, Any]]:
    options = [MapOptions("FA", "1", 0.0, 1.0)]
    loaded = load_maps([path], options, None)
    shape = loaded.maps["FA"][0].shape
    images = [lesions.data, opposite.data]
    weights = coverage_of_each(images, AFFINE, shape, loaded.affine)
    count = int(lesions.data.max())
    return lesion_rows(options, loaded, count, weights, LabelImage(TISSUE, AFFINE), purity)


def rows(
    folder: Path, values: Any = VALUES, affine: Any = AFFINE, purity: Purity = NO_GUARD
) -> dict[int, dict[str, Any]]:
    still = Path(write_itk_affine(np.eye(4), folder / "still.txt"))
    lesions = LabelImage(LESIONS, AFFINE)
    tissue = LabelImage(TISSUE, AFFINE)
    opposite = mirror_lesions(lesions, tissue, still, still, folder).opposite
    path = save_image(folder / "map.nii", values, affine, dtype=np.float64)
    sampled = sampled_in(lesions, opposite, path, purity)
    far = [{"map": "FA", "lesion_class": "all", "shell": "rest", "mean": 0.45}]
    table = arrange_lesions([sampled], far, ["FA"], [])
    return {row["index"]: row for row in table.table}


def test_each_lesion_has_its_own_value_and_those_that_it_is_compared_with(tmp_path: Path) -> None:
    found = rows(tmp_path)
    assert list(found) == [1, 2, 3, 4]
    for number, value, opposite in ((1, 0.2, 0.5), (2, 0.25, 0.5), (4, 0.1, 0.5)):
        row = found[number]
        assert row["mean"] == row["median"] == pytest.approx(value)
        assert row["volume_mm3"] == 8 * np.count_nonzero(number == LESIONS)
        assert row["coverage"] == pytest.approx(1)
        assert (row["reference_mean"], row["difference"]) == (0.45, pytest.approx(value - 0.45))
        assert row["ratio"] == pytest.approx(value / 0.45)
        assert row["opposite_mean"] == pytest.approx(opposite)
        assert row["opposite_difference"] == pytest.approx(value - opposite)
        assert row["opposite_ratio"] == pytest.approx(value / opposite)


def test_the_opposite_place_holds_no_lesion(tmp_path: Path) -> None:
    found = rows(tmp_path)
    # of three columns of the second, two lie opposite to the third lesion
    assert found[2]["opposite_volume_mm3"] == pytest.approx(8 * 12)
    # and the third has nothing but the second opposite to it
    assert (found[3]["opposite_n"], found[3]["opposite_volume_mm3"]) == (0, 0)
    assert math.isnan(found[3]["opposite_mean"])
    assert math.isnan(found[3]["opposite_ratio"])
    assert found[3]["ratio"] == pytest.approx(0.3 / 0.45)
    assert found[1]["opposite_volume_mm3"] == found[1]["volume_mm3"]


def test_voxels_with_csf_are_left_out_if_asked_for(tmp_path: Path) -> None:
    """Map voxels of 4 mm hold two of the labels' along each axis."""
    centre = np.array([[2, 0, 0, 0.5], [0, 2, 0, 0.5], [0, 0, 2, 0.5], [0, 0, 0, 1]])
    coarse = VALUES.reshape(10, 2, 8, 2, 6, 2).mean((1, 3, 5))
    everything = rows(tmp_path, coarse, AFFINE @ centre)
    dry = rows(tmp_path, coarse, AFFINE @ centre, Purity(most_csf=0.1))
    assert everything[4]["coverage"] == pytest.approx(1)
    # planes 3 and 4 of the lesion lie in map voxels of planes 2-3 and 4-5; 2 is CSF
    assert dry[4]["coverage"] == pytest.approx(0.5)
    assert dry[1]["coverage"] == everything[1]["coverage"]


def test_a_map_that_ends_before_a_lesion_gives_no_number(tmp_path: Path) -> None:
    found = rows(tmp_path, VALUES[:8])
    assert math.isnan(found[3]["mean"])
    assert math.isnan(found[3]["difference"])
    assert (found[3]["n"], found[3]["coverage"]) == (0, 0)


def test_no_lesions_make_no_rows(tmp_path: Path) -> None:
    nothing = LabelImage(np.zeros(SHAPE, dtype=np.int32), AFFINE)
    path = save_image(tmp_path / "map.nii", VALUES, AFFINE)
    assert sampled_in(nothing, nothing, path) == []


@pytest.mark.parametrize(
    ("value", "reference", "has_ratio", "difference", "ratio"),
    [
        (0.3, 0.4, True, -0.1, 0.75),
        (-2.0, 4.0, True, -6.0, math.nan),
        (1.0, 0.0, True, 1.0, math.nan),
        (-16.0, -8.0, False, -8.0, math.nan),
        (math.nan, 1.0, True, math.nan, math.nan),
    ],
)
def test_contrasts(
    value: float, reference: float, has_ratio: bool, difference: float, ratio: float
) -> None:
    found = contrast(value, reference, has_ratio=has_ratio)
    assert found["difference"] == pytest.approx(difference, nan_ok=True)
    assert found["ratio"] == pytest.approx(ratio, nan_ok=True)
