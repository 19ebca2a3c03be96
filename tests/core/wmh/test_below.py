"""Lesions of cerebellum and brain stem: plain tissue that was taken for one goes, others stay."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.core.wmh.test_segmentation import SHAPE, person, priors_of
from wmhflow.core.wmh import segmentation as wmh
from wmhflow.core.wmh.below import AROUND_MM, plain_below

SIZES = (1.0, 1.0, 5.0)
GRID = (50, 50, 12)
GREY, WHITE, NOISE = 1.27, 1.05, 0.03


def cerebellum(lesion: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Grey matter around white, in slices of 5 mm, and one lesion so bright in the white."""
    values = np.full(GRID, GREY)
    values[20:30, 20:30] = WHITE
    values += np.random.default_rng(4).normal(0, NOISE, GRID)
    mask, everywhere = np.zeros(GRID, bool), np.ones(GRID, bool)
    mask[24:28, 24:28, 5:7] = True
    values[mask] = lesion
    return mask, values, everywhere, everywhere


@pytest.mark.parametrize(
    ("lesion", "is_plain"),
    [
        (WHITE, True),
        (GREY, True),  # grey matter where the template has white
        (GREY + NOISE, True),
        (GREY + 3 * NOISE, False),
        (1.6, False),
    ],
)
def test_a_lesion_is_brighter_than_the_grey_matter_around(lesion: float, is_plain: bool) -> None:
    mask, values, below, tissue = cerebellum(lesion)
    found = plain_below(mask, values, below, tissue, SIZES)
    assert np.array_equal(found, mask & is_plain)
    # in any unit
    assert np.array_equal(plain_below(mask, 40 * values - 7, below, tissue, SIZES), found)


def test_lesions_of_the_cerebrum_are_left_alone() -> None:
    mask, values, below, tissue = cerebellum(GREY)
    assert not plain_below(mask, values, ~below, tissue, SIZES).any()
    # more than half of it has to lie below
    half = below.copy()
    half[26:] = False
    assert not plain_below(mask, values, half, tissue, SIZES).any()
    half[26] = True
    assert np.array_equal(plain_below(mask, values, half, tissue, SIZES), mask)


def test_neither_fluid_nor_lesions_nor_what_lies_far_is_what_it_is_set_beside() -> None:
    mask, values, below, tissue = cerebellum(GREY + 3 * NOISE)
    wet = tissue.copy()
    wet[:, :22] = False
    values[~wet] = 9.0
    assert not plain_below(mask, values, below, wet, SIZES).any()
    mask[40:44, 24:28, 5:7] = True
    values[40:44, 24:28, 5:7] = 9.0
    assert not plain_below(mask, values, below, wet, SIZES)[24:28].any()
    away = np.hypot(*np.meshgrid(np.arange(50) - 26, np.arange(50) - 26, indexing="ij"))
    values[away > AROUND_MM + 4] = 9.0
    assert not plain_below(mask, values, below, tissue & wet, SIZES)[24:28].any()


def test_with_hardly_any_tissue_around_nothing_is_said() -> None:
    mask, values, below, tissue = cerebellum(GREY)
    little = mask.copy()
    little[22:30, 22:30, 5:7] = True  # 8 x 8 x 2 - 32 voxels of 5 mm3: less than 1 ml
    assert not plain_below(mask, values, below, tissue & little, SIZES).any()
    assert not plain_below(mask, values, below & False, tissue, SIZES).any()
    assert not plain_below(mask & False, values, below, tissue, SIZES).any()


def test_the_answer_turns_with_the_grid() -> None:
    mask, values, below, tissue = cerebellum(GREY)
    mask[10:12, 40:44, 8] = True
    values[10:12, 40:44, 8] = 2.0
    found = plain_below(mask, values, below, tissue, SIZES)
    assert 0 < found.sum() < mask.sum()
    for axis in range(3):
        flipped = [np.flip(part, axis) for part in (mask, values, below, tissue)]
        assert np.array_equal(np.flip(plain_below(*flipped, SIZES), axis), found)
    turned = plain_below(mask.T, values.T, below.T, tissue.T, SIZES[::-1])
    assert np.array_equal(turned.T, found)


def test_the_search_leaves_plain_grey_matter_out_and_keeps_a_lesion_in_it() -> None:
    flair, labels, truth = person()
    field = flair / np.select([truth, labels % 10 == 3, labels % 10 == 2], [150, 112, 20], 100)
    below = np.zeros(SHAPE, bool)
    below[8:28, 6:22, 6:14] = True
    flair = np.where(below & ~truth, 123 * field, flair).astype(np.float32)
    bright = np.zeros(SHAPE, bool)
    bright[20:24, 10:14, 8:12] = True
    flair[bright] = 200 * field[bright]
    brain = labels > 0
    # the template has grey matter there, but for two places
    here = priors_of(labels)
    grey = below.copy()
    grey[10:16, 9:16, 8:12] = grey[18:26, 8:16, 7:13] = False
    here = dataclasses.replace(
        here,
        white=np.where(grey, 0, here.white).astype(np.float32),
        cortex=np.where(grey, 1, here.cortex).astype(np.float32),
    )
    told = dataclasses.replace(here, infratentorial=below)
    without, found = (
        wmh.segment_wmh(flair, None, priors, brain, (1, 1, 1)) for priors in (here, told)
    )
    plain = below & ~bright
    plain[17:27] = False
    assert without.mask[plain].any()
    assert not found.mask[plain].any()
    assert (found.share[plain] < 0.5).all()
    assert (found.probability[plain] < 0.4).all()
    assert found.mask[bright].all()
    assert np.array_equal(found.mask[~below], without.mask[~below])


def test_priors_are_cropped_with_what_is_not_known() -> None:
    _, labels, _ = person()
    box = (slice(2, 9), slice(3, 9), slice(4, 9))
    part = priors_of(labels).cropped(box)
    assert part.infratentorial is None
    assert np.array_equal(part.csf, priors_of(labels).csf[box])
    assert part.midline_mm.shape == part.ventricles.shape == (7, 6, 5)
