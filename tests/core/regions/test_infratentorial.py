"""Cerebellum and brain stem: which voxels are theirs, and which lesions."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.regions.infratentorial import infratentorial_region, infratentorial_shares
from wmhflow.labels.digits import (
    CORTEX,
    CSF,
    DEEP_GREY,
    INFRATENTORIAL,
    VENTRICLES,
    WHITE_MATTER,
    class_of,
)
from wmhflow.labels.freesurfer import load_freesurfer_codes

INF, WM = INFRATENTORIAL, WHITE_MATTER


@pytest.mark.parametrize(
    ("tissue", "wmh", "expected"),
    [
        ([INF, INF, WM], [0, 1, 1], [1, 1, 0]),  # with and without lesions
        ([10 + INF, 20 + INF, 10 + WM], [0, 0, 0], [1, 1, 0]),  # of either side
        ([INF, CSF, CSF, CSF, WM], [0, 1, 1, 1, 0], [1, 1, 0, 0, 0]),  # half-way: the cerebrum
        ([INF, CSF, CSF, CSF, WM], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]),  # fluid itself is none
        ([INF, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 1]),  # outside of the tissues
        ([INF, CORTEX, DEEP_GREY, VENTRICLES], [1, 1, 1, 1], [1, 0, 0, 0]),
        ([VENTRICLES, CSF, CSF, INF], [0, 1, 1, 0], [0, 0, 1, 1]),
        ([WM, WM, CSF], [1, 1, 1], [0, 0, 0]),  # a parcellation without cerebellum
        ([0, 0, 0], [1, 1, 1], [0, 0, 0]),
    ],
)
def test_a_lesion_is_where_the_tissue_around_it_is(
    tissue: list[int], wmh: list[int], expected: list[int]
) -> None:
    found = infratentorial_region(
        np.array(tissue, np.uint8).reshape(1, 1, -1),
        np.array(wmh, bool).reshape(1, 1, -1),
        (1.0, 1.0, 1.0),
    )
    assert found.ravel().astype(int).tolist() == expected


@pytest.mark.parametrize(
    ("tissue", "wmh", "placed", "expected"),
    [
        # computed tissues call all lesions white matter
        ([INF, WM, WM, WM], [0, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]),
        # what is no lesion there is what the tissues call it: fluid, or a piece that was relabelled
        ([INF, CSF, WM, 0], [0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]),
        # outside of tissues and region: the nearest, which may be a lesion
        ([WM, 0, 0, WM, WM], [1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [1, 1, 0, 0, 0]),
        ([WM, 0, WM], [1, 1, 0], [0, 1, 0], [0, 1, 0]),
        ([WM, WM], [1, 1], [0, 0], [0, 0]),
    ],
)
def test_a_warp_tells_of_lesions_alone(
    tissue: list[int], wmh: list[int], placed: list[int], expected: list[int]
) -> None:
    along = (1, 1, -1)
    found = infratentorial_region(
        np.array(tissue, np.uint8).reshape(along),
        np.array(wmh, bool).reshape(along),
        (1.0, 1.0, 1.0),
        np.array(placed, bool).reshape(along),
    )
    assert found.ravel().astype(int).tolist() == expected


def test_nearest_is_meant_in_mm() -> None:
    # two voxels of 1 mm from the cerebellum, one slice of 5 mm from the cerebrum
    tissue = np.zeros((3, 1, 2), np.uint8)
    tissue[0, 0, 0], tissue[2, 0, 1] = INF, WM
    wmh = np.zeros(tissue.shape, bool)
    wmh[2, 0, 0] = True
    assert infratentorial_region(tissue, wmh, (1, 1, 5))[2, 0, 0]
    assert not infratentorial_region(tissue, wmh, (5, 1, 1))[2, 0, 0]


def test_the_region_turns_with_the_grid() -> None:
    rng = np.random.default_rng(3)
    tissue = rng.choice([0, CSF, WM, INF, 10 + INF], (7, 6, 5)).astype(np.uint8)
    wmh, sizes = rng.random(tissue.shape) < 0.5, (1.0, 2.0, 0.5)
    found = infratentorial_region(tissue, wmh, sizes)
    assert found[class_of(tissue) == INF].all()
    assert not found[class_of(tissue) == WM].any()
    for axis in range(3):
        turned = infratentorial_region(np.flip(tissue, axis), np.flip(wmh, axis), sizes)
        assert np.array_equal(np.flip(turned, axis), found)
    swapped = infratentorial_region(tissue.T, wmh.T, sizes[::-1])
    assert np.array_equal(swapped.T, found)


@pytest.mark.parametrize("code", [6, 7, 8, 16, 45, 46, 47, 173, 174, 175])
def test_freesurfer_names_cerebellum_and_brain_stem(code: int) -> None:
    known = load_freesurfer_codes()
    tissue = np.full((1, 1, 1), known[code].tissue)
    assert infratentorial_region(tissue, tissue > 0, (1, 1, 1)).all()


def test_shares_are_of_whole_lesions() -> None:
    lesions = np.array([[[1, 1, 2, 2, 2, 3, 0, 0, 5]]])
    below = np.array([[[1, 0, 1, 1, 0, 1, 1, 1, 0]]])
    found = infratentorial_shares(lesions, 5, below)
    assert np.array_equal(found, [1 / 2, 2 / 3, 1, np.nan, 0], equal_nan=True)
    assert infratentorial_shares(lesions * 0, 0, below).shape == (0,)


def test_wrong_arguments_are_named() -> None:
    image, mask = np.ones((2, 2, 2), np.uint8), np.ones((2, 2, 2), bool)
    with pytest.raises(ValueError, match="wmh has shape"):
        infratentorial_region(image, mask[:1], (1, 1, 1))
    with pytest.raises(ValueError, match="placed has shape"):
        infratentorial_region(image, mask, (1, 1, 1), mask[:1])
    with pytest.raises(ValueError, match="infratentorial has shape"):
        infratentorial_shares(image, 1, mask[:1])
    with pytest.raises(ValueError, match="lesion 1, but there are 0"):
        infratentorial_shares(image, 0, mask)
