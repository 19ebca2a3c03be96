"""Where slices stand on the canvas."""

from __future__ import annotations

import numpy as np

from wmhflow.reports.drawing.layout import GAP_MM, arrange, mark_places

BOX = (slice(0, 40), slice(0, 40), slice(0, 16))


def test_the_letter_l_stands_where_x_is_small():
    canvas = arrange([(0, (("axial", 3), ("coronal", 3)))], np.array([2.0, 2.0, 5.0]), BOX)
    for panel in canvas.panels:
        (left, x_left, _), (right, x_right, _) = mark_places(panel, ("L", "R"))
        assert (left, right) == ("L", "R")
        assert panel.left < x_left < x_right < panel.left + panel.width


def test_panels_have_the_size_of_the_world_and_do_not_overlap():
    rows = [(0, (("axial", 1), ("axial", 2))), (0, (("sagittal", 1), ("coronal", 1)))]
    canvas = arrange(rows, np.array([2.0, 3.0, 5.0]), (slice(0, 10), slice(0, 20), slice(0, 8)))
    sizes = {(panel.plane, panel.width, panel.height) for panel in canvas.panels}
    assert sizes == {("axial", 20, 60), ("sagittal", 60, 40), ("coronal", 20, 40)}
    for one in canvas.panels:
        left, right, low, high = one.extent
        assert left >= GAP_MM
        assert low >= GAP_MM - 1e-9
        assert right <= canvas.width
        assert high <= canvas.height
        for other in canvas.panels:
            apart = right <= other.extent[0] or other.extent[1] <= left
            above = high <= other.extent[2] or other.extent[3] <= low
            assert one is other or apart or above


def test_rows_run_downwards_and_items_to_the_right():
    rows = [(0, (("axial", 1), ("axial", 2))), (1, (("axial", 3), ("axial", 4)))]
    first, second, third, fourth = arrange(rows, np.ones(3), BOX).panels
    assert [panel.index for panel in (first, second, third, fourth)] == [1, 2, 3, 4]
    assert [panel.underlay for panel in (first, second, third, fourth)] == [0, 0, 1, 1]
    assert first.left < second.left
    assert first.bottom == second.bottom > third.bottom == fourth.bottom


def test_a_row_that_repeats_the_one_above_has_no_titles_and_stands_closer():
    first, second = (("axial", 3), ("axial", 4)), (("axial", 5), ("axial", 6))
    rows = [(1, first), (0, first), (1, second), (0, second)]
    canvas = arrange(rows, np.array([2.0, 2.0, 5.0]), BOX)
    assert [panel.is_titled for panel in canvas.panels] == [True] * 2 + [False] * 2 + [True] * 2 + [
        False
    ] * 2
    lows = [panel.bottom for panel in canvas.panels[::2]]
    repeated, new = lows[0] - lows[1], lows[1] - lows[2]
    assert 80 < repeated < new
    assert len({panel.left for panel in canvas.panels}) == 2
