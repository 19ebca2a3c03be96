"""Images of one scan that were each scaled to their own highest value, as viewers save them.

Echoes that were gave a decay that was too slow by one and the same rate, and lay on a line; a pair
with and without a pulse gave another ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.contrasts import check_scaled_together
from wmhflow.core.space.grids import Grid3D
from wmhflow.steps.echoes import map_decay
from wmhflow.steps.ratios import map_transfer

TIMES_S = [0.004, 0.009, 0.014, 0.019]
RNG = np.random.default_rng(5)
RATE = RNG.uniform(12, 30, (10, 11, 12))
ECHOES = [800 * np.exp(-RATE * time) * RNG.uniform(0.99, 1.01, RATE.shape) for time in TIMES_S]


def to_most(images: Sequence[Any], most: float = 255.0) -> list[Any]:
    return [most * image / image.max() for image in images]


def cut_off(images: Sequence[Any], most: float) -> list[Any]:
    return [np.minimum(image, most) for image in images]


APART: dict[str, tuple[list[Any], bool]] = {
    "as measured": (ECHOES, False),
    "to 255": (to_most(ECHOES), True),
    "to 1": (to_most(ECHOES, 1.0), True),
    "to whole numbers": ([np.round(one) for one in to_most(ECHOES, 4095)], True),
    "all by one number": ([one / 3 for one in ECHOES], False),
    "two of them": (to_most(ECHOES[:2]), True),
    "cut off at what can be stored": (cut_off(ECHOES, 350), False),
    "one image twice": ([ECHOES[0], ECHOES[0]], False),
    "of nothing": ([0 * one for one in ECHOES], False),
    "of no number": ([np.full_like(one, np.nan) for one in ECHOES], False),
    "alone": (ECHOES[:1], False),
}


@pytest.mark.parametrize(("images", "is_refused"), APART.values(), ids=APART)
def test_images_that_were_scaled_apart_are_refused(images: list[Any], is_refused: bool) -> None:
    if not is_refused:
        check_scaled_together(images)
        return
    with pytest.raises(UnfitImageError, match="all reach the highest value"):
        check_scaled_together(images)


def grids(images: Sequence[Any]) -> list[Grid3D]:
    return [Grid3D(image.astype(np.float32), np.eye(4)) for image in images]


def test_they_give_no_rate_and_no_ratio(caplog: pytest.LogCaptureFixture) -> None:
    found = map_decay(grids(to_most(ECHOES)), TIMES_S)
    assert found.facts["refused"] == 1
    assert np.isnan(found.rate.data).all()
    off, on = grids(to_most(ECHOES[:2]))
    assert map_transfer(off, on).facts["refused"] == 1
    assert caplog.text.count("all reach the highest value 255") == 2
    # in whichever order echoes are listed
    assert map_decay(grids(to_most(ECHOES))[::-1], TIMES_S[::-1]).facts["refused"] == 1
