"""How far a mask lies from where it fits, and whether it was cut, on lesions of known places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.checks.fit import cut_share, fitting_shift_mm

Values = np.ndarray[Any, Any]
SIZES = (1.0, 1.0, 2.0)
SHAPE = (48, 50, 26)
BRAIN = np.ones(SHAPE, bool)


def lesions(shift_mm: tuple[float, float, float] = (0, 0, 0)) -> Values:
    """Ellipsoids of several sizes."""
    mm = np.stack([axis * size for axis, size in zip(np.indices(SHAPE), SIZES, strict=True)], -1)
    centres = (((18, 22, 24), (6, 9, 7)), ((34, 30, 30), (4, 4, 5)), ((28, 14, 34), (3, 5, 3)))
    return np.any(
        [np.linalg.norm((mm - centre - np.array(shift_mm)) / radii, axis=-1) <= 1
         for centre, radii in centres], axis=0,
    )  # fmt: skip


def flair(noise: float = 0.0) -> Values:
    """Bright lesions in white matter, and dark fluid at the side of the largest."""
    image = 100 + 60 * lesions().astype(np.float32)
    image[:11] = 20
    image += noise * np.random.default_rng(2).standard_normal(SHAPE).astype(np.float32)
    return image.astype(np.float32)


@pytest.mark.parametrize("noise", [0, 20])
@pytest.mark.parametrize(
    "shift", [(0, 0, 0), (1, 0, 0), (0, -1, 0), (0, 0, 2), (-2, 3, -2), (0, 5, 0)]
)
def test_a_mask_is_brought_to_its_lesions(shift: tuple[float, float, float], noise: float) -> None:
    found = fitting_shift_mm(flair(noise), lesions(shift), BRAIN, SIZES)
    assert found is not None
    assert found == pytest.approx(-np.array(shift), abs=0.35)


@pytest.mark.parametrize(
    "change", [ndimage.binary_erosion, ndimage.binary_dilation, lambda mask: mask * (SIDE > 25)]
)
def test_who_draws_tightly_or_loosely_or_leaves_some_out_is_not_beside(change: Any) -> None:
    mask = np.asarray(change(lesions()), bool)
    found = fitting_shift_mm(flair(10), mask, BRAIN, SIZES)
    assert found is not None
    assert np.linalg.norm(found) < 0.5


SIDE = np.indices(SHAPE)[0]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        (flair(), np.zeros(SHAPE, bool)),
        (flair(), SIDE + np.indices(SHAPE)[1] + np.indices(SHAPE)[2] < 3),
        (np.full(SHAPE, 7, np.float32), lesions()),
        # no brighter than around: a T1w
        (-flair(), lesions()),
    ],
)
def test_where_nothing_tells_nothing_is_said(image: Values, mask: Values) -> None:
    assert fitting_shift_mm(image, mask, BRAIN, SIZES) is None


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("end", [1, -1])
def test_a_mask_that_was_cut_in_a_plane_is_known_by_what_goes_on(axis: int, end: int) -> None:
    middle = int(np.round(np.argwhere(lesions())[:, axis].mean()))
    half = lesions() & (end * (np.indices(SHAPE)[axis] - middle) > 0)
    assert cut_share(flair(10), half, BRAIN, SIZES) > 0.5
    # what was cut off is no brain, or lies beyond the image
    assert cut_share(flair(10), half, ndimage.binary_dilation(half) & (
        end * (np.indices(SHAPE)[axis] - middle) > 0), SIZES) < 0.1  # fmt: skip
    kept = [slice(None)] * 3
    kept[axis] = slice(middle + 1, None) if end > 0 else slice(None, middle)
    parts = [values[tuple(kept)] for values in (flair(10), half, BRAIN)]
    assert cut_share(*parts, SIZES) < 0.1


def test_whole_lesions_end_in_tips() -> None:
    assert cut_share(flair(10), lesions(), BRAIN, SIZES) < 0.1
