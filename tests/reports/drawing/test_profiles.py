"""What a map's profile shows, read from its pixels."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tests.reports.pixels import coloured, pixels
from wmhflow.reports.drawing.profiles import (
    CLASS_COLOURS,
    CLASS_NAMES,
    CurvePoint,
    ProfilePoint,
    profile_figure,
    profile_png,
)

NAN = float("nan")
SHELLS = {-3.0: 0.31, -1.0: 0.28, 1.0: 0.36, 3.0: 0.41, 5.0: 0.39}
RED = "#c01818"


def points(shift: float = 0.0, rest: float | None = None) -> list[ProfilePoint]:
    found = [ProfilePoint(where, mean + shift, 0.02, 400.0) for where, mean in SHELLS.items()]
    return found + ([] if rest is None else [ProfilePoint(20.0, rest, 0.01, 900.0, is_rest=True)])


def drawn(profiles, widths=None):
    """The pixels, and a function from values to row and column of the pixel."""
    given = ("FA", "1", profiles, widths or {})
    figure = profile_figure(*given)
    FigureCanvasAgg(figure).draw()
    image, axes = pixels(profile_png(*given)), figure.axes[0]

    def place(x: float, y: float) -> tuple[int, int]:
        column, row = axes.transData.transform((x, y))
        return len(image) - 1 - int(row), int(column)

    return image, place, axes


def near(image: np.ndarray, place: tuple[int, int], colour: str) -> bool:
    row, column = place
    part = image[row - 1 : row + 2, column - 1 : column + 2]
    # a line between two pixels colours both of them paler
    return bool(coloured(part, colour, within=120).size)


def test_points_stand_at_their_values_and_nowhere_above_or_below():
    image, place, _ = drawn({"PV": points()})
    for where, mean in SHELLS.items():
        row, column = place(where, mean)
        assert near(image, (row, column), CLASS_COLOURS["PV"])
        seen = coloured(image[:, column - 2 : column + 3], CLASS_COLOURS["PV"])[:, 0]
        # the caps of the interval: 1.96 SD / √n on either side
        high, low = place(where, mean + 0.00196)[0], place(where, mean - 0.00196)[0]
        in_axes = seen[seen > place(0, max(SHELLS.values()))[0] - 12]
        assert in_axes.min() >= min(high, row - 4) - 2
        assert in_axes.max() <= max(low, row + 4) + 2


def test_values_are_linear_in_pixels_and_up_is_more():
    image, place, _ = drawn({"deep": points()})
    rows = [place(0, mean)[0] for mean in (0.30, 0.35, 0.40)]
    assert rows[0] - rows[1] == pytest.approx(rows[1] - rows[2], abs=1)
    assert rows[0] > rows[2]
    columns = [place(where, 0.3)[1] for where in (-2.0, 0.0, 2.0)]
    assert columns[2] - columns[1] == pytest.approx(columns[1] - columns[0], abs=1)
    # the lesion's edge is a red line from bottom to top at 0
    assert near(image, (rows[1], columns[1]), RED)
    assert np.ptp(coloured(image, RED)[:, 1]) < 30


def test_each_class_has_its_colour_and_the_penumbra_a_dotted_line_at_its_width():
    image, place, axes = drawn({"all": points(), "PV": points(0.1), "deep": []}, {"PV": 4.2})
    for shift, key in ((0.0, "all"), (0.1, "PV")):
        assert all(near(image, place(x, y + shift), CLASS_COLOURS[key]) for x, y in SHELLS.items())
    assert not coloured(image, CLASS_COLOURS["deep"]).size
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == [CLASS_NAMES["all"], CLASS_NAMES["PV"]]
    column = place(4.2, 0)[1]
    low, high = axes.get_ylim()
    between = image[place(0, low + 0.04)[0] : place(0, low)[0], column - 1 : column + 2]
    assert low + 0.04 < high
    assert coloured(between, CLASS_COLOURS["PV"], within=150).size


def test_the_far_reference_stands_beyond_the_last_shell_at_its_mean():
    image, place, axes = drawn({"all": points(rest=0.34)})
    (beyond,) = [
        where
        for where, text in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        if text.get_text() == "beyond"
    ]
    assert beyond > max(SHELLS)
    assert near(image, place(beyond - 0.5, 0.34), CLASS_COLOURS["all"])
    # not where its mean distance would be
    assert axes.get_xlim()[1] < 20


def test_points_without_a_mean_are_left_out():
    missing = [ProfilePoint(1.0, NAN, NAN, NAN)]
    image, _, axes = drawn({"all": points(), "PV": missing, "deep": []})
    assert not coloured(image, CLASS_COLOURS["PV"]).size
    assert [t.get_text() for t in axes.get_legend().get_texts()] == [CLASS_NAMES["all"]]


@pytest.mark.parametrize(
    ("unit", "label"),
    [("1", "FA"), ("$x_$ mm^2/s", "FA ($x_$ mm²/s)"), ("ml/100 g/min", "FA (ml/100 g/min)")],
)
def test_units_are_written_as_they_are_and_bytes_are_the_same_each_time(unit, label):
    given = ("FA", unit, {"all": points(rest=0.34)}, {"all": 4.0})
    assert profile_figure(*given).axes[0].get_ylabel() == label
    assert profile_png(*given) == profile_png(*given)


def test_the_interval_needs_two_voxels():
    assert np.isnan(ProfilePoint(1.0, 0.5, 0.1, 1.0).half_interval)
    assert ProfilePoint(1.0, 0.5, 0.1, 100.0).half_interval == pytest.approx(0.0196)


def test_a_curve_lies_at_its_values_in_its_band():
    curve = [CurvePoint(where, 0.30, 0.28, 0.32) for where in (0.25, 2.0, 4.0)]
    given = ("FA", "1", {"deep": points()}, {})
    figure = profile_figure(*given, {"deep": curve})
    axes = figure.axes[0]
    line = next(one for one in axes.lines if len(one.get_xdata()) == len(curve))
    assert line.get_ydata().tolist() == [0.30] * 3
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0.28, 0.32)
    # it changes what is seen
    assert profile_png(*given, {"deep": curve}) != profile_png(*given)
