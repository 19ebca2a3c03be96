"""Bright spots outside the mask are found where they were planted, the largest first."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.wmh.unmarked import LEAST_MM3, MARGIN_MM, BrightSpot, bright_spots

SPACING = (1.0, 1.0, 2.0)
SHAPE = (40, 44, 24)
INSIDE = (slice(3, 37), slice(3, 41), slice(2, 22))
# Two spots, of 27 and of 12 voxels, far from each other.
LARGE = (slice(10, 13), slice(12, 15), slice(8, 11))
SMALL = (slice(25, 27), slice(30, 33), slice(15, 17))


def head(*bright: tuple[slice, slice, slice], drift: float = 0.0, brightness: float = 1.5):
    """White matter with a little noise, spots, and a field that brightens it to the right."""
    white = np.zeros(SHAPE, dtype=bool)
    white[INSIDE] = True
    # bounded noise: no voxel of it is bright
    noise = np.random.default_rng(0).uniform(0.95, 1.05, SHAPE)
    for spot in bright:
        noise[spot] = brightness
    field = 200.0 * (1 + drift * np.linspace(-1, 1, SHAPE[0]))[:, None, None]
    return (noise * field * white).astype(np.float32), white


def found(
    image: np.ndarray,
    white: np.ndarray,
    marked: np.ndarray | None = None,
    grey: np.ndarray | None = None,
    spacing=SPACING,
) -> list[BrightSpot] | None:
    nothing = np.zeros_like(white)
    marked = nothing if marked is None else marked
    return bright_spots(image, white, marked, nothing if grey is None else grey, spacing)


def mask_of(spot: BrightSpot) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[tuple(spot.voxels.T)] = True
    return mask


def planted(where: tuple[slice, slice, slice]) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[where] = True
    return mask


@pytest.mark.parametrize("drift", [0.0, 0.15])
def test_planted_spots_are_found_whole_the_largest_first(drift) -> None:
    spots = found(*head(SMALL, LARGE, drift=drift))
    assert len(spots) == 2
    for spot, where in zip(spots, (LARGE, SMALL), strict=True):
        np.testing.assert_array_equal(mask_of(spot), planted(where))
        assert spot.volume_mm3 == pytest.approx(2.0 * planted(where).sum())
        assert spot.brightness == pytest.approx(1.5, rel=0.06)
        # what is shown goes through the spot
        assert mask_of(spot)[spot.middle]
    assert spots[0].middle == (11, 13, 9)


def test_a_marked_spot_and_its_rim_are_not_named() -> None:
    image, white = head(LARGE, SMALL)
    (spot,) = found(image, white, marked=planted(LARGE))
    np.testing.assert_array_equal(mask_of(spot), planted(SMALL))
    # voxels around the mask are lesion in part, be they 2 mm away; of the spot, the rest is left
    core = planted((slice(11, 12), slice(13, 14), slice(9, 10)))
    assert np.sqrt(2) * SPACING[0] < MARGIN_MM < SPACING[2]
    left = np.any([mask_of(spot) for spot in found(image, white, marked=core)], axis=0)
    rest = planted(LARGE)
    rest[:, :, 9] = False
    rest[ndimage.binary_dilation(core, np.ones((3, 3, 3)))] = False
    np.testing.assert_array_equal(left, rest | planted(SMALL))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("slices", [1, 3, 5])
def test_the_rim_is_as_wide_as_the_voxels_that_were_scanned(axis, slices) -> None:
    """A FLAIR in thick slices along any axis, on a finer grid: its rim is no spot."""
    rim = [slice(15, 18), slice(15, 18), slice(9, 12)]
    marked = planted(tuple(rim))
    rim[axis] = slice(rim[axis].start - slices, rim[axis].stop + slices)
    image, white = head(tuple(rim), SMALL)
    scanned = np.array(SPACING)
    scanned[axis] *= slices
    nothing = np.zeros_like(white)
    (spot,) = bright_spots(image, white, marked, nothing, SPACING, scanned)
    np.testing.assert_array_equal(mask_of(spot), planted(SMALL))


def test_what_lies_beside_cortex_is_not_named() -> None:
    image, white = head(LARGE)
    beside = planted((slice(8, 10), LARGE[1], LARGE[2]))
    (spot,) = found(image, white, grey=beside)
    # 1.5 mm from it a row of voxels is left out, 2 mm from it none
    assert mask_of(spot)[10].sum() == 0
    np.testing.assert_array_equal(mask_of(spot)[11:], planted(LARGE)[11:])


@pytest.mark.parametrize(
    ("spots", "brightness", "marked"),
    [
        ((), 1.5, None),
        ((LARGE,), 1.0, None),
        ((LARGE,), 0.5, None),
        ((LARGE, SMALL), 1.5, planted(LARGE) | planted(SMALL)),
        (((slice(10, 12), slice(12, 13), slice(8, 9)),), 1.5, None),  # below LEAST_MM3
    ],
)
def test_nothing_is_named_where_nothing_is_bright_or_all_is_marked(spots, brightness, marked):
    assert LEAST_MM3 == 10.0
    assert found(*head(*spots, brightness=brightness), marked) == []


def test_thick_slices_and_the_order_of_axes_change_nothing() -> None:
    image, white = head(LARGE, SMALL)
    upright = found(image, white)
    turned = found(image.T, white.T, spacing=SPACING[::-1])
    assert [spot.middle[::-1] for spot in turned] == [spot.middle for spot in upright]
    assert [spot.brightness for spot in turned] == pytest.approx([s.brightness for s in upright])
    thick = found(image, white, spacing=(0.5, 0.5, 8.0))
    assert [spot.middle for spot in thick] == [spot.middle for spot in upright]


def test_of_too_little_white_matter_nothing_is_said() -> None:
    image, white = head(LARGE)
    assert found(image, np.zeros_like(white)) is None
    assert found(image, planted(LARGE)) is None
    assert found(np.zeros_like(image), white) is None
    assert found(np.full_like(image, np.nan), white) is None
    # all of it marked
    assert found(image, white, marked=white) is None


def test_voxels_without_a_value_are_no_spots_and_no_measure() -> None:
    image, white = head(LARGE)
    image[20:, :, :4] = 0
    image[5, 5, 5] = np.nan
    (spot,) = found(image, white)
    np.testing.assert_array_equal(mask_of(spot), planted(LARGE))
    assert spot.brightness == pytest.approx(1.5, rel=0.06)
