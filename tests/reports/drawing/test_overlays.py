"""Borders of masks as lines, and what the legend says."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.reports.drawing.overlays import Fill, Legend, Outline, edge_segments, legend_entries

MASK = np.ones((2, 2, 2), dtype=bool)


def test_the_border_of_a_mask_runs_along_pixel_edges():
    mask = np.zeros((5, 6), dtype=bool)
    mask[1, 2] = True
    corners = edge_segments(mask).reshape(-1, 2)
    assert {tuple(corner) for corner in corners} == {(2, 1), (3, 1), (2, 2), (3, 2)}


def test_a_border_at_the_rim_of_the_picture_is_closed():
    assert len(edge_segments(np.ones((3, 4), dtype=bool))) == 2 * (3 + 4)


@pytest.mark.parametrize("seed", range(5))
def test_borders_are_closed_and_an_empty_mask_has_none(seed):
    mask = np.random.default_rng(seed).random((9, 7)) < 0.5
    corners = edge_segments(mask).reshape(-1, 2)
    _, meeting = np.unique(corners, axis=0, return_counts=True)
    assert (meeting % 2 == 0).all()
    assert not len(edge_segments(np.zeros((9, 7), dtype=bool)))


def test_the_legend_names_lines_first_and_no_nameless_label():
    fill = Fill(MASK, ((1, "#111111", "one"), (2, "#222222", "")), 0.3)
    entries = legend_entries([Outline(MASK, "#ffe600", "WMH")], fill)
    assert [(entry.name, entry.is_area) for entry in entries] == [("WMH", False), ("one", True)]


def test_a_legend_takes_the_rows_that_it_needs():
    assert Legend((), 100.0).height_mm == 0
    entries = legend_entries([Outline(MASK, "#ffe600", "x" * 10)] * 5, None)
    wide, narrow = Legend(entries, 1000.0), Legend(entries, 130.0)
    assert (wide.per_row, narrow.per_row) == (16, 2)
    assert narrow.height_mm - wide.height_mm == pytest.approx(2 * 10.0)
    # too narrow for a single one: below each other
    assert Legend(entries, 1.0).per_row == 1
