"""Given masks that lie a little beside their lesions, were cut off in a plane, or have gaps.

A mask whose header lost a voxel, or half of one, still overlaps with most of its lesions: its local
contrast is that of a right one, and zones, shells and every sample lay beside the lesions in
silence. One in which lesions were drawn on every second slice held half of them.
"""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from tests.builders import save_image
from wmhflow.core.checks.fit import gap_share
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.itk import write_itk_affine
from wmhflow.labels.digits import WHITE_MATTER
from wmhflow.steps.kinds import LabelImage
from wmhflow.steps.placement import MOST_APART_MM, MOST_CUT, MOST_GAPS, judge_placement

Values = np.ndarray[Any, Any]
SHAPE = (44, 42, 40)
# to the left, as most scanners store it
AFFINE = np.array([[-1.0, 0, 0, 20], [0, 1, 0, -20], [0, 0, 1, -20], [0, 0, 0, 1]])


def lesions() -> Values:
    """Shapes at random, the brighter the nearer to the middle."""
    blurred = ndimage.gaussian_filter(np.random.default_rng(4).standard_normal(SHAPE), 3)
    places = np.stack(np.indices(SHAPE), axis=-1) - np.array(SHAPE) / 2
    away = np.linalg.norm(places, axis=-1)
    return np.asarray(blurred / blurred.std() - (away / 12) ** 2 > 0)


def flair() -> Values:
    noise = np.random.default_rng(1).normal(0, 10, SHAPE)
    return np.asarray(100 + 40 * lesions() + noise, np.float32)


def judge(folder: Path, mask: Values, affine: Values, quality: str = "flag") -> Any:
    raw = save_image(folder / "flair.nii.gz", flair(), AFFINE)
    return judge_placement(
        save_image(folder / "mask.nii.gz", mask, affine),
        Grid3D(flair(), AFFINE),
        LabelImage(np.full(SHAPE, WHITE_MATTER, np.uint8), AFFINE),
        {"FLAIR": str(raw)},
        "FLAIR",
        "FLAIR",
        Path(write_itk_affine(np.diag([1.0, 1, 1, 1]), folder / "inverse.txt")),
        quality,
    ).facts


def finer(values: Values, times: int) -> Values:
    for axis in range(3):
        values = np.repeat(values, times, axis)
    return values


RIGHT = {
    "as it is": (lesions(), AFFINE),
    "on finer voxels": (finer(lesions(), 2), AFFINE @ np.block([
        [np.eye(3) / 2, np.full((3, 1), -0.25)], [np.zeros((1, 3)), np.ones((1, 1))]])),
    "drawn tightly": (ndimage.binary_erosion(lesions()), AFFINE),
    "drawn loosely": (ndimage.binary_dilation(lesions()), AFFINE),
}  # fmt: skip
WRONG = {
    "a voxel to the right": ((-1, 0, 0), "1.0 mm left"),
    "a voxel back": ((0, -1, 0), "1.0 mm forward"),
    "a voxel up": ((0, 0, 1), "1.0 mm down"),
    "by some": ((-2, 2, 0), "2.0 mm left and 2.0 mm back"),
}


@pytest.mark.parametrize(("mask", "affine"), RIGHT.values(), ids=RIGHT)
def test_a_right_mask_lies_where_it_fits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mask: Values, affine: Values
) -> None:
    facts = judge(tmp_path, mask, affine)
    assert facts["wmh_apart_mm"] < MOST_APART_MM
    assert facts["wmh_cut_share"] < 0.1
    assert facts["wmh_gap_share"] < MOST_GAPS / 2
    # which is said of its rim, and not of its place
    assert [line for line in caplog.messages if "drawn too large" not in line] == []


@pytest.mark.parametrize("is_in_header", [True, False])
@pytest.mark.parametrize(("voxels", "way"), WRONG.values(), ids=WRONG)
def test_a_mask_beside_its_lesions_is_marked_and_the_way_back_is_said(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    voxels: tuple[int, int, int],
    way: str,
    is_in_header: bool,
) -> None:
    mask, affine = np.roll(lesions(), voxels, (0, 1, 2)), AFFINE
    if is_in_header:
        # of another shape, so that it cannot be read on the image's grid
        mask, affine = lesions()[2:], AFFINE.copy()
        affine[:3, 3] = (AFFINE @ [2, 0, 0, 1])[:3] + AFFINE[:3, :3] @ voxels
    facts = judge(tmp_path, mask, affine)
    assert facts["wmh_apart_mm"] > MOST_APART_MM
    assert f"it fits if it is moved {way};" in caplog.text
    assert "mask.nii.gz lies" in caplog.text


def test_what_lies_far_beside_fails_where_that_is_asked_for(tmp_path: Path) -> None:
    judge(tmp_path, np.roll(lesions(), 1, 0), AFFINE, "fail")
    with pytest.raises(InputError, match=r"it fits if it is moved 2\.0 mm left and 2\.0 mm back"):
        judge(tmp_path, np.roll(lesions(), (-2, 2), (0, 1)), AFFINE, "fail")


@pytest.mark.parametrize("axis", range(3))
def test_a_mask_that_was_cut_off_is_marked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, axis: int
) -> None:
    half = lesions() & (np.indices(SHAPE)[axis] < SHAPE[axis] // 2)
    assert judge(tmp_path, half, AFFINE)["wmh_cut_share"] > MOST_CUT
    assert "ends in one plane beyond which lesions go on" in caplog.text


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize(("every", "width"), [(2, 1), (3, 1), (5, 1), (4, 2)])
def test_what_lies_between_drawn_slices_is_measured(axis: int, every: int, width: int) -> None:
    drawn = lesions() & (np.indices(SHAPE)[axis] % every < width)
    found = gap_share(flair(), drawn, np.ones(SHAPE, bool), (1, 1, 1))
    assert found is not None
    assert found > 2 * MOST_GAPS


@pytest.mark.parametrize("quality", ["flag", pytest.param("fail", marks=pytest.mark.slow)])
def test_a_mask_that_was_drawn_on_some_slices_alone_is_marked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, quality: str
) -> None:
    drawn = lesions() & (np.indices(SHAPE)[2] % 2 == 0)
    assert judge(tmp_path, drawn, AFFINE, quality)["wmh_gap_share"] > MOST_GAPS
    assert "has gaps along one axis in which lesions go on" in caplog.text


def test_the_bounds_are_those_of_the_table() -> None:
    text = (files("wmhflow") / "data" / "quality.tsv").read_text(encoding="utf-8")
    high = {row["metric"]: row["high"] for row in csv.DictReader(text.splitlines(), delimiter="\t")}
    assert float(high["wmh_apart_mm"]) == MOST_APART_MM
    assert float(high["wmh_cut_share"]) == MOST_CUT
    assert float(high["wmh_gap_share"]) == MOST_GAPS
