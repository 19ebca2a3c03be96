"""Given masks of WMH that were drawn too large, or that lack lesions.

A mask that was dilated by a voxel held half as much again or twice as much, and one that held the
largest lesion alone was a person's with one lesion.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from tests.silent.test_masks_beside import AFFINE, judge, lesions
from wmhflow.core.checks.rims import brightness_levels, left_out_share, rim_brightness
from wmhflow.core.space.grids import Grid3D
from wmhflow.registries.quality import find_measure
from wmhflow.steps.kinds import MaskImage
from wmhflow.steps.placement import LEAST_RIM, MOST_LEFT_OUT, NOT_BESIDE, _drawn

Values = np.ndarray[Any, Any]
ROOM = (60, 60, 40)
EVERYWHERE = np.ones(ROOM, bool)


def balls(*wanted: tuple[int, int, int, float]) -> Values:
    places = np.stack(np.indices(ROOM), axis=-1)
    return np.any([np.linalg.norm(places - one[:3], axis=-1) <= one[3] for one in wanted], axis=0)


LEFT, RIGHT, SMALL = (15, 20, 20, 10), (45, 20, 20, 10), (30, 48, 20, 5)
ALL = balls(LEFT, RIGHT, SMALL)


def shown(lesion: Values = ALL, noise: float = 0.1, blur: float = 0.6) -> Values:
    rng = np.random.default_rng(3)
    values = ndimage.gaussian_filter(lesion.astype(float), blur)
    return np.asarray(100 + 60 * (values + rng.normal(0, noise, ROOM)), np.float32)


Spacing = tuple[float, float, float]


def rim_of(image: Values, mask: Values, white: Values, sizes: Spacing) -> float | None:
    return rim_brightness(image, mask, brightness_levels(image, mask, white, sizes))


def left_out_of(
    image: Values, mask: Values, white: Values, sizes: Spacing, other: Values | None = None
) -> float | None:
    levels = brightness_levels(image, mask, white, sizes)
    return left_out_share(image, mask, white, sizes, levels, other)


MASKS: dict[str, tuple[Values, bool, bool]] = {
    "as it is": (ALL, False, False),
    "dilated": (ndimage.binary_dilation(ALL), True, False),
    "dilated twice": (ndimage.binary_dilation(ALL, iterations=2), True, False),
    "one of two": (balls(LEFT), False, True),
    "without a small one": (balls(LEFT, RIGHT), False, False),
    "the small one": (balls(SMALL), False, True),
}


@pytest.mark.parametrize("noise", [0.02, 0.2])
@pytest.mark.parametrize(("mask", "is_large", "lacks"), MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("sizes", [(1.0, 1.0, 1.0), (0.9, 0.9, 3.0)])
def test_masks_that_were_drawn_wrong_are_told(
    mask: Values, is_large: bool, lacks: bool, noise: float, sizes: Spacing
) -> None:
    image = shown(noise=noise)
    rim = rim_of(image, mask, EVERYWHERE, sizes)
    left_out = left_out_of(image, mask, EVERYWHERE, sizes)
    assert rim is not None
    assert left_out is not None
    assert (rim < LEAST_RIM) == is_large
    assert (left_out > MOST_LEFT_OUT) == lacks


@pytest.mark.parametrize("blur", [0.4, 1.0, 1.5])
def test_how_sharp_an_image_is_makes_a_right_mask_no_wrong_one(blur: float) -> None:
    rim = rim_of(shown(blur=blur), ALL, EVERYWHERE, (1, 1, 1))
    assert rim is not None
    assert rim > LEAST_RIM + 0.1


def test_other_lesions_and_what_is_no_white_matter_are_not_left_out() -> None:
    mask, image = balls(LEFT), shown()
    assert left_out_of(image, mask, EVERYWHERE, (1, 1, 1), balls(RIGHT)) == 0
    assert left_out_of(image, mask, ~balls(RIGHT), (1, 1, 1)) == 0
    # it touches an infarct: its rim
    part = balls((40, 20, 20, 8))
    assert left_out_of(image, mask, EVERYWHERE, (1, 1, 1), part) == 0


@pytest.mark.parametrize("mask", [np.zeros(ROOM, bool), balls((30, 30, 20, 3)), EVERYWHERE])
def test_too_little_tells_nothing(mask: Values) -> None:
    for measure in (rim_of, left_out_of):
        assert measure(shown(), mask, EVERYWHERE, (1, 1, 1)) is None
        assert measure(np.full(ROOM, 7.0), ALL, EVERYWHERE, (1, 1, 1)) is None


def test_values_that_are_not_known_hide_no_fault() -> None:
    image, one_by_one = shown(), np.indices(ROOM).sum(axis=0) % 7 == 0
    unknown = np.where(one_by_one, np.nan, image)
    for mask, measure in ((ndimage.binary_dilation(ALL), rim_of), (balls(LEFT), left_out_of)):
        found = measure(unknown, mask, EVERYWHERE, (1, 1, 1))
        assert found == pytest.approx(measure(image, mask, EVERYWHERE, (1, 1, 1)), rel=0.3)
    assert rim_of(np.full(ROOM, np.nan), ALL, EVERYWHERE, (1, 1, 1)) is None


def test_the_step_says_it_and_the_bounds_are_those_of_the_table(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    facts = judge(tmp_path, ndimage.binary_dilation(lesions()), AFFINE)
    assert facts["wmh_rim_brightness"] < LEAST_RIM
    assert "mask.nii.gz seems to be drawn too large" in caplog.text
    white = np.ones(ROOM, bool)
    # where a mask lies beside its lesions, its rim does as well
    told = _drawn(Path("m.nii"), Grid3D(shown(), np.eye(4)), ALL, white, [], NOT_BESIDE)
    assert set(told.facts.values()) == {None}
    beside = NOT_BESIDE._replace(facts={"wmh_cut_share": 0.0})
    other = MaskImage(balls(RIGHT), np.eye(4))
    for masks, lacks in (([], True), ([other], False)):
        told = _drawn(Path("m.nii"), Grid3D(shown(), np.eye(4)), balls(LEFT), white, masks, beside)
        assert [("seems to lack lesions" in one) for one in told.said] == [True] * lacks
    for name, bound in (("rim_brightness", LEAST_RIM), ("left_out_share", MOST_LEFT_OUT)):
        measure = find_measure(f"wmh_{name}")
        assert measure is not None
        assert bound in (measure.low, measure.high)
