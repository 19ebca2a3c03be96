"""Slices pass through lesions where there are some, and are spread."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.reports.drawing.choice import lesion_slices, spread_slices, through
from wmhflow.reports.drawing.planes import NORMAL_AXIS


@pytest.mark.parametrize("plane", NORMAL_AXIS)
@pytest.mark.parametrize("count", [1, 3, 6])
def test_slices_pass_through_lesions_and_are_spread(plane, count):
    lesions = np.zeros((40, 40, 40), dtype=bool)
    lesions[8:14, 8:14, 8:14] = lesions[25:33, 25:33, 25:33] = True
    chosen = lesion_slices(lesions, np.ones_like(lesions), plane, count)
    through = np.moveaxis(lesions, NORMAL_AXIS[plane], 0)
    assert len(chosen) == len(set(chosen)) == count
    assert all(through[index].any() for index in chosen)
    if count > 1:
        assert min(chosen) < 14
        assert max(chosen) >= 25


def test_a_single_voxel_lesion_is_met_and_other_slices_fill_up():
    lesions = np.zeros((20, 20, 20), dtype=bool)
    lesions[3, 4, 17] = True
    chosen = lesion_slices(lesions, np.ones_like(lesions), "axial", 4)
    assert 17 in chosen
    assert len(chosen) == 4


def test_without_lesions_or_brain_there_are_still_slices():
    nothing = np.zeros((20, 20, 20), dtype=bool)
    assert lesion_slices(nothing, nothing, "axial", 3) == spread_slices(nothing, "axial", 3)
    assert len(spread_slices(nothing, "coronal", 3)) == 3
    assert spread_slices(np.ones((5, 5, 1), bool), "axial", 4) == [0]


@pytest.mark.parametrize("plane", NORMAL_AXIS)
@pytest.mark.parametrize(("length", "count"), [(1, 20), (16, 20), (20, 20), (37, 20), (144, 20)])
def test_slices_through_a_whole_brain_leave_no_part_of_it_out(plane, length, count):
    shape = [150, 150, 150]
    brain = np.zeros(shape, dtype=bool)
    where = [slice(20, 30)] * 3
    where[NORMAL_AXIS[plane]] = slice(3, 3 + length)
    brain[tuple(where)] = True
    chosen = through(brain, plane, count)
    steps = np.diff(chosen)
    # as many as there is room for, one step apart, and no end further off than a step
    assert len(set(steps.tolist())) <= 1
    step = int(steps[0]) if len(steps) else 1
    assert count / 2 < len(chosen) <= count or len(chosen) == length
    assert step == 1 or length > count
    assert 0 <= chosen[0] - 3 < step
    assert 0 <= 2 + length - chosen[-1] < step


def test_without_a_brain_slices_go_through_the_whole_grid():
    assert through(np.zeros((5, 6, 4), bool), "axial", 9) == [0, 1, 2, 3]
