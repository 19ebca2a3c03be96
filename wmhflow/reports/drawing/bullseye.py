"""The bullseye as a picture: rings are layers of equal depth, wedges are lobes.

References
----------
Sudre CH, Gomez Anson B, Davagnanam I, et al. Bullseye's representation of cerebral white matter
hyperintensities. Journal of Neuroradiology 2018;45:114-122. doi:10.1016/j.neurad.2017.10.001
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wmhflow.labels.digits import (
    BASAL_GANGLIA,
    CORPUS_CALLOSUM,
    FRONTAL,
    LARGEST_DIGIT,
    LEFT,
    LOBES,
    OCCIPITAL,
    PARIETAL,
    RIGHT,
    TEMPORAL,
    bullseye_cell,
    cell_side,
    layer_of,
    lobe_label,
    lobe_of,
)
from wmhflow.labels.regions import load_regions
from wmhflow.reports.drawing.common import DPI, png_bytes, pretty_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

Angles = Mapping[tuple[int, int], tuple[float, float]]  # start and end by side and lobe

FROM_TOP = (CORPUS_CALLOSUM, FRONTAL, BASAL_GANGLIA, TEMPORAL, PARIETAL, OCCIPITAL)
COLUMNS = 3
PANEL, TITLE, BAR, FOOTER = 3.0, 0.42, 0.52, 0.46  # inches
REACH = 1.34  # from a panel's middle to its border; the bullseye's radius is 1
HOLE = 0.28
COLOURS = "viridis"
NO_VALUE: dict[str, Any] = {
    "facecolor": "#ededed",
    "edgecolor": "#a0a0a0",
    "hatch": "/////",
    "linewidth": 0,
}
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class BullseyePlot:
    """What one bullseye shows: a value per cell, by its number (:mod:`wmhflow.labels.digits`).

    Cells that are missing or not finite were not measured. The colours of a plot that
    ``starts_at_zero`` begin at 0, those of others at the lowest value.
    """

    title: str
    unit: str
    values: Mapping[int, float]
    n_layers: int
    starts_at_zero: bool = False

    def __post_init__(self) -> None:
        """Refuse cells that have no place: they would vanish without a word."""
        if self.n_layers not in range(1, LARGEST_DIGIT + 1):
            raise ValueError(f"n_layers is {self.n_layers}: 1 to 9 layers are possible")
        for cell in self.values:
            side, lobe, layer = cell_side(cell), lobe_of(cell), layer_of(cell)
            if side not in (LEFT, RIGHT) or lobe not in FROM_TOP or not 1 <= layer <= self.n_layers:
                raise ValueError(f"{cell} is no cell of a bullseye with {self.n_layers} layers")

    @property
    def lobes(self) -> set[int]:
        """Lobes 1 to 5, and the corpus callosum if it has cells."""
        return set(LOBES) - {CORPUS_CALLOSUM} | {lobe_of(int(cell)) for cell in self.values}

    @property
    def measured(self) -> dict[int, float]:
        """The finite values, in ascending order of the cells."""
        return {c: float(v) for c, v in sorted(self.values.items()) if math.isfinite(v)}

    @property
    def limits(self) -> tuple[float, float]:
        """The values at both ends of the colours: a small range around values all alike."""
        low, high = min(self.measured.values()), max(self.measured.values())
        if self.starts_at_zero:
            low = min(low, 0.0)
        if not math.isclose(low, high):
            return low, high
        margin = abs(low) / 20 or 0.05
        return (low if self.starts_at_zero else low - margin), high + margin


def bullseye_figure(plots: Sequence[BullseyePlot], abbreviations: Mapping[int, str]) -> Figure:
    """Draw bullseyes side by side, three in a row, each with its own colour bar.

    Parameters
    ----------
    plots
        At least one. The corpus callosum is drawn in all if it has cells in any.
    abbreviations
        Of the lobes, by number 1 to 6.

    Returns
    -------
    Figure
        Without a canvas; `bullseye_png` gives its bytes.
    """
    from matplotlib.figure import Figure

    lobes = set().union(*(plot.lobes for plot in plots))
    columns, rows = min(len(plots), COLUMNS), -(-len(plots) // COLUMNS)
    panel_height = TITLE + PANEL + BAR
    width, height = columns * PANEL, rows * panel_height + FOOTER
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    scale = np.array([width, height, width, height])
    for number, plot in enumerate(plots):
        row, column = divmod(number, columns)
        left, bottom = column * PANEL, height - (row + 1) * panel_height
        axes = figure.add_axes(tuple(np.array([left, bottom + BAR, PANEL, PANEL]) / scale))
        colours = draw_bullseye(axes, plot, {k: abbreviations[k] for k in lobes})
        if colours is not None:
            place = np.array([left + 0.45, bottom + BAR - 0.06, PANEL - 0.9, 0.12])
            _draw_bar(figure.add_axes(tuple(place / scale)), plot, colours)
    has_missing = any(len(plot.measured) < 2 * len(lobes) * plot.n_layers for plot in plots)
    _draw_footer(figure, has_missing, columns)
    return figure


def bullseye_png(plots: Sequence[BullseyePlot], abbreviations: Mapping[int, str]) -> bytes:
    """Return `bullseye_figure` as a PNG: the same bytes for the same values."""
    return png_bytes(bullseye_figure(plots, abbreviations))


def describe(plot: BullseyePlot) -> str:
    """Name the highest and the lowest cell in one sentence, for readers who cannot see the plot.

    Examples
    --------
    >>> describe(BullseyePlot("FA", "", {111: 0.5, 244: 0.3}, 4))
    'FA is highest (0.5) in the left frontal lobe, layer 1 of 4, and lowest (0.3) in the right
    occipital lobe, layer 4 of 4, counted from the ventricles; no value in 38 of 40 cells.'
    """
    if not plot.measured:
        return f"{plot.title} has no values."
    low, high = min(plot.measured.values()), max(plot.measured.values())
    text = f"highest ({_number(plot, high)}) in {_places(plot, high)}, and lowest "
    text += f"({_number(plot, low)}) in {_places(plot, low)}, counted from the ventricles"
    if low == high:
        text = f"{_number(plot, low)} in every cell that has a value"
    cells = 2 * len(plot.lobes) * plot.n_layers
    missing = cells - len(plot.measured)
    end = f"; no value in {missing} of {cells} cells." if missing else "."
    return f"{plot.title} is {text}{end}"


def _places(plot: BullseyePlot, value: float) -> str:
    first, *others = [cell for cell, found in plot.measured.items() if found == value]
    more = f" and {len(others)} other cells" if others else ""
    lobe = load_regions("lobes")[lobe_label(first)].name
    return f"the {lobe}, layer {layer_of(first)} of {plot.n_layers}{more}"


def _number(plot: BullseyePlot, value: float) -> str:
    return f"{value:.3g}".replace("-", "−") + f" {pretty_unit(plot.unit)}".rstrip()


def wedge_angles(lobes: Iterable[int]) -> Angles:
    """Return where the wedges begin and end, in degrees counter-clockwise from the right.

    All are equal; the corpus callosum, in the middle, is half a wedge on either side.

    Examples
    --------
    >>> angles = wedge_angles(range(1, 6))
    >>> angles[1, 1], angles[2, 1]  # left and right frontal lobe
    ((90.0, 126.0), (54.0, 90.0))
    """
    shares = {k: 0.5 if k == CORPUS_CALLOSUM else 1.0 for k in FROM_TOP if k in set(lobes)}
    edges = (180 / sum(shares.values()) * np.cumsum([0.0, *shares.values()])).tolist()
    spans = list(zip(shares, edges[:-1], edges[1:], strict=True))
    left = {(LEFT, lobe): (90 + start, 90 + stop) for lobe, start, stop in spans}
    return left | {(RIGHT, lobe): (90 - stop, 90 - start) for lobe, start, stop in spans}


def draw_bullseye(
    axes: Axes, plot: BullseyePlot, abbreviations: Mapping[int, str]
) -> ScalarMappable | None:
    """Draw a bullseye: left is left, frontal is at the top, layer 1 is innermost.

    Parameters
    ----------
    axes
        Square. Each cell becomes a wedge whose ``gid`` is its number.
    plot
        What to show.
    abbreviations
        Of the lobes to draw, by number; of those that the plot has cells of at least.

    Returns
    -------
    ScalarMappable or None
        For a colour bar; None if there is no value.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    angles = wedge_angles(plot.lobes | set(abbreviations))
    colours = ScalarMappable(Normalize(*plot.limits), COLOURS) if plot.measured else None
    axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH))
    axes.set_axis_off()
    title = textwrap.fill(plot.title, 34, max_lines=2, placeholder="…")
    axes.set_title(title, fontsize=10.5, pad=3, parse_math=False)
    _draw_cells(axes, plot, angles, colours)
    _draw_lines(axes, plot.n_layers, angles)
    _draw_names(axes, angles, abbreviations)
    if colours is None:
        box = {"facecolor": "white", "edgecolor": "none", "boxstyle": "round,pad=0.4"}
        axes.text(0, 0, "no values", fontsize=11, ha="center", va="center", bbox=box, zorder=4)
    return colours


def _radii(n_layers: int) -> list[float]:
    return np.linspace(HOLE, 1, n_layers + 1).tolist()


def _draw_cells(
    axes: Axes, plot: BullseyePlot, angles: Angles, colours: ScalarMappable | None
) -> None:
    from matplotlib.patches import Wedge

    radii, measured = _radii(plot.n_layers), plot.measured
    for (side, lobe), (start, stop) in angles.items():
        for layer in range(1, plot.n_layers + 1):
            cell = bullseye_cell(side, lobe, layer)
            style = dict(NO_VALUE)
            if colours is not None and cell in measured:
                style = {"facecolor": colours.to_rgba(np.asarray(measured[cell])), "linewidth": 0}
            width = radii[layer] - radii[layer - 1]
            wedge = Wedge((0, 0), radii[layer], start, stop, width=width, **style)
            wedge.set_gid(str(cell))
            # the axes' limits are set: a patch that is added as one would be measured for them
            axes.add_artist(wedge)


def _draw_lines(axes: Axes, n_layers: int, angles: Angles) -> None:
    """Part the cells by thin white lines, and the sides by a thicker one."""
    from matplotlib.patches import Circle

    for radius in _radii(n_layers):
        axes.add_artist(Circle((0, 0), radius, fill=False, edgecolor="white", linewidth=1.0))
    along = np.array([HOLE, 1.01])
    for angle in {start for start, _ in angles.values()} | {270.0}:
        turned, is_midline = math.radians(angle), math.isclose(angle % 180, 90)
        axes.plot(
            along * math.cos(turned), along * math.sin(turned), color="white",
            linewidth=3.0 if is_midline else 1.0, solid_capstyle="butt", zorder=2,
        )  # fmt: skip


def _draw_names(axes: Axes, angles: Angles, abbreviations: Mapping[int, str]) -> None:
    for (side, lobe), (start, stop) in angles.items():
        if (side, lobe) == (RIGHT, CORPUS_CALLOSUM):
            continue
        middle = math.radians(90 if lobe == CORPUS_CALLOSUM else (start + stop) / 2)
        across, upward = math.cos(middle), math.sin(middle)
        # a word needs more room beside the rim than above it
        away = 1.05 + 0.04 * len(abbreviations[lobe]) * abs(across) + 0.06 * abs(upward)
        axes.text(
            away * across, away * upward, abbreviations[lobe], fontsize=9.5, ha="center",
            va="center", parse_math=False,
        )  # fmt: skip
    for letter, x in (("L", -1.2), ("R", 1.2)):
        axes.text(x, 1.15, letter, fontsize=13, fontweight="bold", ha="center", va="center")


def _draw_bar(axes: Axes, plot: BullseyePlot, colours: ScalarMappable) -> None:
    """Draw the colour bar; the power of ten of small and large values stands with the unit."""
    from matplotlib.ticker import MaxNLocator

    power = math.floor(math.log10(max(map(abs, plot.limits))))
    power = power if power < -2 or power > 3 else 0
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10])
    axes.figure.colorbar(
        colours, cax=axes, orientation="horizontal", ticks=ticks,
        format=lambda value, _: f"{value / 10**power:.6g}".replace("-", "−"),
    )  # fmt: skip
    axes.tick_params(labelsize=9, length=3)
    scale = f"×10{str(power).translate(RAISED)}" if power else ""
    axes.set_xlabel(f"{scale} {pretty_unit(plot.unit)}".strip(), fontsize=9, parse_math=False)


def _draw_footer(figure: Figure, has_missing: bool, columns: int) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(label="centre: ventricles, rim: cortex", alpha=0)]
    if has_missing:
        handles.append(Patch(label="no value", **NO_VALUE))
    figure.legend(
        handles=handles, ncols=min(columns, 2), loc="lower center", frameon=False, fontsize=9,
        handlelength=1.6, borderaxespad=0.2,
    )  # fmt: skip
