"""What the bullseye shows, read from its wedges and from its pixels."""

from __future__ import annotations

import io
import math
from itertools import pairwise

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgba
from matplotlib.patches import Wedge
from PIL import Image

from tests.reports.pixels import pixels
from wmhflow.labels.regions import load_regions
from wmhflow.reports.drawing.bullseye import BullseyePlot, bullseye_figure, bullseye_png, describe

ABBREVIATIONS = {1: "FL", 2: "PL", 3: "TL", 4: "OL", 5: "BGT", 6: "CC"}
NAN = float("nan")


def cells(n_layers: int = 4, callosum: bool = False) -> list[int]:
    lobes = range(1, 7 if callosum else 6)
    return [
        100 * side + 10 * lobe + layer
        for side in (1, 2)
        for lobe in lobes
        for layer in range(1, n_layers + 1)
    ]


def plot_of(n_layers: int = 4, callosum: bool = False, **changed) -> BullseyePlot:
    values = {cell: cell / 1000 for cell in cells(n_layers, callosum)}
    values |= {int(key[1:]): value for key, value in changed.items()}
    return BullseyePlot("FA", "", values, n_layers)


def wedges(*plots: BullseyePlot) -> dict[int, Wedge]:
    """The cells of the first plot."""
    axes = bullseye_figure(plots, ABBREVIATIONS).axes[0]
    found = [patch for patch in axes.patches if isinstance(patch, Wedge)]
    by_cell = {int(wedge.get_gid()): wedge for wedge in found}
    assert len(by_cell) == len(found)
    return by_cell


def middle(wedge: Wedge) -> tuple[float, float]:
    angle = math.radians((wedge.theta1 + wedge.theta2) / 2)
    radius = wedge.r - wedge.width / 2
    return radius * math.cos(angle), radius * math.sin(angle)


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text"))]


# --- where the cells are ----------------------------------------------------------------------


@pytest.mark.parametrize("callosum", [False, True])
@pytest.mark.parametrize("n_layers", [1, 4, 9])
def test_left_is_left_frontal_is_above_and_occipital_below(n_layers, callosum):
    for cell, wedge in wedges(plot_of(n_layers, callosum)).items():
        x, y = middle(wedge)
        assert (x < 0) == (cell < 200)
        if cell // 10 % 10 in (1, 5, 6):
            assert y > 0
        if cell // 10 % 10 in (2, 4):
            assert y < 0


def test_the_only_bright_cell_is_seen_where_it_belongs():
    for cell, is_left, is_above in ((111, True, True), (241, False, False), (144, True, False)):
        values = dict.fromkeys(cells(), 0.0) | {cell: 1.0}
        image = pixels(bullseye_png([BullseyePlot("WMH", "", values, 4)], ABBREVIATIONS))
        image = image[: round(0.73 * len(image))]  # without the colour bar
        dark = np.argwhere(np.abs(image - (68, 1, 84)).sum(axis=2) < 6)
        bright = np.argwhere(np.abs(image - (253, 231, 37)).sum(axis=2) < 6)
        centre = (dark.max(axis=0) + dark.min(axis=0)) / 2
        assert len(bright) > 50
        below, right = bright.mean(axis=0) - centre
        assert (right < 0, below < 0) == (is_left, is_above)
        radius = np.ptp(dark[:, 0]) / 2
        assert (math.hypot(below, right) < radius / 2) == (cell % 10 == 1)


def test_lobes_go_down_each_side_in_the_order_of_the_bullseye():
    found = wedges(plot_of(callosum=True))
    for side in (1, 2):
        heights = [middle(found[100 * side + 10 * lobe + 4])[1] for lobe in (6, 1, 5, 3, 2, 4)]
        assert heights == sorted(heights, reverse=True)


def test_sides_mirror_each_other():
    found = wedges(plot_of(callosum=True))
    for cell in cells(callosum=True):
        if cell < 200:
            x, y = middle(found[cell])
            assert middle(found[cell + 100]) == pytest.approx((-x, y))


@pytest.mark.parametrize("callosum", [False, True])
@pytest.mark.parametrize("n_layers", [1, 4, 9])
def test_the_cells_of_a_ring_tile_it(n_layers, callosum):
    found = wedges(plot_of(n_layers, callosum))
    assert sorted(found) == cells(n_layers, callosum)
    for layer in range(1, n_layers + 1):
        ring = [wedge for cell, wedge in found.items() if cell % 10 == layer]
        spans = sorted((wedge.theta1 % 360, wedge.theta2 - wedge.theta1) for wedge in ring)
        assert sum(span for _, span in spans) == pytest.approx(360)
        for (start, span), (following, _) in zip(spans, spans[1:] + spans[:1], strict=True):
            gap = (following - start - span + 180) % 360 - 180
            assert gap == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("callosum", [False, True])
def test_wedges_are_equal_and_the_corpus_callosum_is_one_over_both_sides(callosum):
    found = wedges(plot_of(callosum=callosum))
    spans = {cell: wedge.theta2 - wedge.theta1 for cell, wedge in found.items()}
    for cell, span in spans.items():
        half = 0.5 if cell // 10 % 10 == 6 else 1.0
        assert span == pytest.approx(half * 360 / (11 if callosum else 10))


@pytest.mark.parametrize("n_layers", [1, 4, 9])
def test_layers_touch_without_overlap_and_the_first_is_innermost(n_layers):
    found = wedges(plot_of(n_layers))
    for first in range(10):
        column = [found[c] for c in cells(n_layers)][first * n_layers : (first + 1) * n_layers]
        assert len({round(wedge.width, 9) for wedge in column}) == 1
        for inner, outer in pairwise(column):
            assert outer.r - outer.width == pytest.approx(inner.r)
        assert all(0 < wedge.width < wedge.r for wedge in column)


# --- what the colours say ---------------------------------------------------------------------


def test_missing_cells_are_hatched_and_zero_is_not():
    values = dict.fromkeys(cells(), 0.3) | {111: 0.0, 112: NAN, 113: math.inf}
    del values[244]
    found = wedges(BullseyePlot("WMH", "", values, 4, starts_at_zero=True))
    assert {cell for cell, wedge in found.items() if wedge.get_hatch()} == {112, 113, 244}
    zero, missing = found[111].get_facecolor(), found[244].get_facecolor()
    assert np.abs(np.subtract(zero, missing)).max() > 0.3
    assert found[111].get_facecolor() == pytest.approx(to_rgba("#440154"), abs=0.01)


def test_colours_follow_the_values():
    found = wedges(plot_of())
    luminance = [np.dot(found[cell].get_facecolor()[:3], (0.2, 0.7, 0.1)) for cell in cells()]
    assert luminance == sorted(luminance)
    assert luminance[0] < luminance[-1]


def test_every_cell_has_the_colour_of_its_value_where_it_is_seen():
    order = np.random.default_rng(5).permutation(len(cells()))
    values = {cell: 0.2 + place / 50 for cell, place in zip(cells(), order.tolist(), strict=True)}
    plot = BullseyePlot("FA", "", values, 4)
    figure = bullseye_figure([plot], ABBREVIATIONS)
    FigureCanvasAgg(figure).draw()
    image, to_pixels = pixels(bullseye_png([plot], ABBREVIATIONS)), figure.axes[0].transData
    low, high = min(values.values()), max(values.values())
    for cell, wedge in wedges(plot).items():
        column, row = to_pixels.transform(middle(wedge))
        seen = image[len(image) - 1 - round(row), round(column)]
        wanted = np.array(colormaps["viridis"]((values[cell] - low) / (high - low))[:3]) * 255
        assert np.abs(seen - wanted).max() <= 3, cell


@pytest.mark.parametrize(
    ("values", "from_zero", "expected"),
    [
        ({111: 0.2, 112: 0.6, 113: NAN}, False, (0.2, 0.6)),
        ({111: 0.2, 112: 0.6}, True, (0.0, 0.6)),
        ({111: -0.2, 112: 0.6}, True, (-0.2, 0.6)),
        ({111: 0.2}, True, (0.0, 0.2)),
        ({111: 2.0, 112: 2.0}, False, (1.9, 2.1)),
        ({111: -2.0, 112: -2.0}, False, (-2.1, -1.9)),
        ({111: 0.0}, True, (0.0, 0.05)),
    ],
)
def test_the_colour_bar_spans_the_values(values, from_zero, expected):
    plot = BullseyePlot("FA", "", values, 4, starts_at_zero=from_zero)
    assert plot.limits == pytest.approx(expected)
    bar = bullseye_figure([plot], ABBREVIATIONS).axes[1]
    assert bar.get_xlim() == pytest.approx(expected)
    assert bar.findobj(QuadMesh)


def test_the_colour_bar_has_the_unit_and_the_power_of_ten():
    plot = BullseyePlot("MD", "mm^2/s", {111: 7e-4, 112: 9e-4}, 4)
    figure = bullseye_figure([plot], ABBREVIATIONS)
    FigureCanvasAgg(figure).draw()
    bar = figure.axes[1]
    assert bar.get_xlabel() == "×10⁻⁴ mm²/s"
    for tick, label in zip(bar.get_xticks(), bar.get_xticklabels(), strict=True):
        assert float(label.get_text()) * 1e-4 == pytest.approx(tick)


def test_a_plot_without_values_says_so_and_has_no_colour_bar():
    plot = BullseyePlot("FA", "", dict.fromkeys(cells(), NAN), 4)
    figure = bullseye_figure([plot], ABBREVIATIONS)
    assert "no values" in texts(figure)
    assert len(figure.axes) == 1
    assert all(wedge.get_hatch() for wedge in wedges(plot).values())
    assert "no values" not in texts(bullseye_figure([plot_of()], ABBREVIATIONS))


def test_the_hatch_is_explained_only_where_there_is_one():
    assert "no value" in texts(bullseye_figure([plot_of(_111=NAN)], ABBREVIATIONS))
    assert "no value" not in texts(bullseye_figure([plot_of()], ABBREVIATIONS))


# --- the whole figure -------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 4])
@pytest.mark.parametrize("callosum", [False, True])
def test_no_words_are_cut_off_or_overlap(number, callosum):
    title = "Free water in a person with rather many words in $the title_ of the map"
    values = {cell: -cell / 1e6 for cell in cells(callosum=callosum)}
    plot = BullseyePlot(title, "mL/100 g/min", values | {111: NAN}, 4)
    figure = bullseye_figure([plot] * number, ABBREVIATIONS)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    shown = [*figure.legends[0].get_texts()]
    for bullseye, bar in zip(figure.axes[::2], figure.axes[1::2], strict=True):
        low, high = bar.get_xlim()
        ticks = zip(bar.get_xticks(), bar.get_xticklabels(), strict=True)
        shown += [bullseye.title, bar.xaxis.label, *bullseye.texts]
        shown += [label for tick, label in ticks if low <= tick <= high]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in shown]
    assert len(boxes) > 16 * number
    for place, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])


def test_names_stand_outside_beside_their_wedges_and_sides_are_named():
    axes = bullseye_figure([plot_of(callosum=True)], ABBREVIATIONS).axes[0]
    places = [(text.get_text(), *text.get_position()) for text in axes.texts]
    found = wedges(plot_of(callosum=True))
    for lobe, name in ABBREVIATIONS.items():
        own = sorted((x, y) for text, x, y in places if text == name)
        assert len(own) == (1 if lobe == 6 else 2)
        if lobe != 6:
            for side, (x, y) in zip((1, 2), own, strict=True):
                outer = middle(found[100 * side + 10 * lobe + 4])
                assert math.atan2(y, x) == pytest.approx(math.atan2(outer[1], outer[0]))
        assert all(math.hypot(*place) > 1 for place in own)
    sides = {text: x for text, x, _ in places if text in "LR"}
    assert sides["L"] < -1 < 1 < sides["R"]


def test_the_corpus_callosum_is_in_all_plots_or_none():
    assert not any(cell // 10 % 10 == 6 for cell in wedges(plot_of()))
    beside = wedges(plot_of(), plot_of(callosum=True))
    assert {c for c, wedge in beside.items() if wedge.get_hatch()} == {
        c for c in cells(callosum=True) if c // 10 % 10 == 6
    }


def test_three_plots_stand_in_a_row():
    figure = bullseye_figure([plot_of()] * 4, ABBREVIATIONS)
    boxes = [axes.get_position() for axes in figure.axes[::2]]
    assert [box.x0 for box in boxes[:3]] == pytest.approx([0, 1 / 3, 2 / 3])
    assert boxes[3].y1 < boxes[0].y0
    width, height = figure.get_size_inches()
    assert boxes[0].width * width == pytest.approx(boxes[0].height * height)


def test_the_picture_is_the_same_bytes_each_time_and_holds_no_date():
    drawn = bullseye_png([plot_of(_111=NAN)], ABBREVIATIONS)
    assert drawn == bullseye_png([plot_of(_111=NAN)], ABBREVIATIONS)
    assert set(Image.open(io.BytesIO(drawn)).info) <= {"dpi"}


# --- words and errors -------------------------------------------------------------------------


def test_the_description_names_the_extremes():
    text = describe(plot_of(_251=0.9, _134=0.01))
    assert text.startswith("FA is highest (0.9) in the right basal ganglia and thalamus, layer 1")
    assert "lowest (0.01) in the left temporal lobe, layer 4" in text
    assert "no value" not in text


@pytest.mark.parametrize("side", [1, 2])
@pytest.mark.parametrize("lobe", range(1, 7))
def test_descriptions_use_the_names_of_the_registry(side, lobe):
    values = dict.fromkeys(cells(), 0.0) | {100 * side + 10 * lobe + 2: 1.0}
    name = load_regions("lobes")[10 * side + lobe].name
    assert f"highest (1) in the {name}, layer 2" in describe(BullseyePlot("x", "1", values, 4))


def test_the_description_counts_ties_and_missing_cells():
    values = dict.fromkeys(cells(callosum=True), 0.0) | {161: 1.5, 162: NAN}
    text = describe(BullseyePlot("MD", "min^-1", values, 4))
    assert "highest (1.5 min⁻¹) in the left corpus callosum, layer 1" in text
    assert "lowest (0 min⁻¹) in the left frontal lobe, layer 1 of 4 and 45 other cells" in text
    assert text.endswith("no value in 1 of 48 cells.")


def test_the_description_of_equal_or_no_values():
    values = dict.fromkeys(cells(), -0.2)
    assert describe(BullseyePlot("x", "", values, 4)) == "x is −0.2 in every cell that has a value."
    assert describe(BullseyePlot("x", "", {111: NAN}, 4)) == "x has no values."


@pytest.mark.parametrize("cell", [0, 101, 110, 115, 171, 311, 1111, -111])
def test_a_cell_without_a_place_is_refused(cell):
    with pytest.raises(ValueError, match=f"{cell} is no cell"):
        BullseyePlot("FA", "", {cell: 0.5}, 4)


@pytest.mark.parametrize("n_layers", [0, 10])
def test_one_to_nine_layers_are_possible(n_layers):
    with pytest.raises(ValueError, match="n_layers"):
        BullseyePlot("FA", "", {}, n_layers)


def test_a_lobe_without_an_abbreviation_is_never_left_out():
    with pytest.raises(KeyError):
        bullseye_figure([plot_of(callosum=True)], {1: "FL", 2: "PL", 3: "TL", 4: "OL", 5: "BGT"})
