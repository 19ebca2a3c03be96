"""What is drawn over slices: borders of masks, labels in colours, and the legend of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wmhflow.reports.drawing.layout import GAP_MM, INK
from wmhflow.reports.drawing.planes import NORMAL_AXIS, cut, plane_axes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from wmhflow.reports.drawing.layout import Panel
    from wmhflow.reports.drawing.volumes import Box

LEGEND_ROW_MM = 10.0
LEGEND_MARK_MM = 22.0
LEGEND_LETTER_MM = 3.9
# On what translucent colours are explained that no slice shows.
MIDDLE_GREY = 0.5
# How far beside its voxel a mark stands.
MARK_MM = 2.5


@dataclass(frozen=True)
class Outline:
    """The border of a mask on the reference grid, drawn along the voxels' edges."""

    mask: NDArray[np.bool_]
    colour: str
    name: str
    width: float = 1.3


@dataclass(frozen=True)
class Fill:
    """Labels on the reference grid in translucent colours.

    ``entries`` are label, colour and name; the legend leaves out those without a name.
    """

    labels: NDArray[Any]
    entries: tuple[tuple[int, str, str], ...]
    opacity: float = 0.45


@dataclass(frozen=True)
class Mark:
    """A short text on the right of a voxel, in the slice of one plane that shows it."""

    text: str
    voxel: tuple[int, int, int]
    plane: str


@dataclass(frozen=True)
class LegendEntry:
    """What a colour means: as it is seen in the picture, of a line or of an area."""

    colour: str
    name: str
    is_area: bool = False


@dataclass(frozen=True)
class Legend:
    """Entries in columns of one width, below the slices."""

    entries: tuple[LegendEntry, ...]
    canvas_mm: float

    @property
    def entry_mm(self) -> float:
        """The width of an entry: that of the longest name."""
        letters = max((len(entry.name) for entry in self.entries), default=0)
        return LEGEND_MARK_MM + LEGEND_LETTER_MM * letters

    @property
    def per_row(self) -> int:
        """How many entries stand side by side."""
        return max(int(self.canvas_mm // self.entry_mm), 1)

    @property
    def height_mm(self) -> float:
        """What the legend takes below the slices; nothing if it has no entry."""
        rows = -(-len(self.entries) // self.per_row)
        return LEGEND_ROW_MM * rows + (GAP_MM if self.entries else 0.0)


def legend_entries(
    outlines: Sequence[Outline], fill: Fill | None, greys: Mapping[int, float] | None = None
) -> tuple[LegendEntry, ...]:
    """List what a legend explains: lines first, then the labels that have a name.

    Parameters
    ----------
    outlines, fill
        What is drawn.
    greys
        By label, how bright the image is under it, from 0 to 1, and MIDDLE_GREY where it is not
        shown: translucent colours are seen on it.

    Examples
    --------
    >>> half = Fill(np.ones((1, 1, 1)), ((1, "#ff0000", "one"),), 0.5)
    >>> [entry.colour for entry in legend_entries((), half, {1: 1.0})]
    ['#ff8080']
    """
    entries = [LegendEntry(outline.colour, outline.name) for outline in outlines]
    if fill is not None:
        under = greys or {}
        entries += [
            LegendEntry(seen_on(colour, fill.opacity, under.get(label, MIDDLE_GREY)), name, True)
            for label, colour, name in fill.entries
            if name
        ]
    return tuple(entries)


def seen_on(colour: str, opacity: float, grey: float) -> str:
    """Return how a translucent colour looks on a grey between 0 and 1."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = (opacity * part + (1 - opacity) * grey for part in to_rgb(colour))
    return str(to_hex((red, green, blue)))


def draw_outlines(axes: Axes, panel: Panel, box: Box, outlines: Sequence[Outline]) -> None:
    """Draw borders on one slice.

    Parameters
    ----------
    axes
        In mm of the canvas.
    panel
        The slice, and where it stands.
    box
        What of the grid is shown.
    outlines
        On the reference grid.
    """
    for outline in outlines:
        shown = cut(outline.mask, panel.plane, panel.index, box)
        _draw_outline(axes, panel, shown, outline)


def edge_segments(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the border of a 2D mask as lines along the pixels' edges.

    Parameters
    ----------
    mask
        Rows upwards, columns to the right.

    Returns
    -------
    ndarray, (n, 2, 2)
        Start and end of each line as (column, row), in pixels from the lower left corner.

    Examples
    --------
    >>> len(edge_segments(np.ones((1, 1), bool))), len(edge_segments(np.ones((2, 3), bool)))
    (4, 10)
    """
    padded = np.pad(mask, 1)
    row, column = np.nonzero(padded[:, 1:] != padded[:, :-1])
    upright = np.stack([np.stack([column, row - 1], -1), np.stack([column, row], -1)], 1)
    row, column = np.nonzero(padded[1:] != padded[:-1])
    level = np.stack([np.stack([column - 1, row], -1), np.stack([column, row], -1)], 1)
    return np.concatenate([upright, level]).astype(np.float64)


def _draw_outline(axes: Axes, panel: Panel, mask: NDArray[np.bool_], outline: Outline) -> None:
    from matplotlib.collections import PathCollection
    from matplotlib.path import Path

    if not mask.any():
        return
    scale = np.array([panel.width / mask.shape[1], panel.height / mask.shape[0]])
    lines = edge_segments(mask) * scale + (panel.left, panel.bottom)
    # one path for all: matplotlib would spend half of a picture's time on a path for each line
    codes = np.tile([Path.MOVETO, Path.LINETO], len(lines))
    axes.add_collection(
        PathCollection(
            [Path(lines.reshape(-1, 2), codes)],
            facecolors="none",
            edgecolors=outline.colour,
            linewidths=outline.width,
            capstyle="projecting",
            zorder=3,
        ),
        autolim=False,
    )


def draw_marks(
    axes: Axes, panel: Panel, box: Box, spacing_mm: NDArray[np.float64], marks: Sequence[Mark]
) -> None:
    """Write marks on the right of their voxels, in the one slice of their plane that holds these.

    Parameters
    ----------
    axes
        In mm of the canvas.
    panel, box
        The slice, and what of the grid is shown.
    spacing_mm
        Voxel sizes of the grid.
    marks
        Of this slice and of others.
    """
    from matplotlib.patheffects import withStroke

    columns, upward = plane_axes(panel.plane)
    for mark in marks:
        if (mark.plane, mark.voxel[NORMAL_AXIS[panel.plane]]) != (panel.plane, panel.index):
            continue
        x, y = (
            float((mark.voxel[axis] - box[axis].start + 0.5) * spacing_mm[axis])
            for axis in (columns, upward)
        )
        axes.text(
            panel.left + x + MARK_MM, panel.bottom + y, mark.text, color=INK, fontsize=12,
            fontweight="bold", ha="left", va="center", zorder=5,
            path_effects=[withStroke(linewidth=3, foreground="black")],
        )  # fmt: skip


def draw_legend(axes: Axes, legend: Legend) -> None:
    """Draw a legend below zero of the canvas: lines as lines, fills as boxes."""
    from matplotlib.patches import Rectangle

    for number, entry in enumerate(legend.entries):
        row, column = divmod(number, legend.per_row)
        x = GAP_MM + column * legend.entry_mm
        y = -LEGEND_ROW_MM * (row + 0.6)
        if not entry.is_area:
            axes.plot([x, x + 9], [y, y], color=entry.colour, linewidth=2.2, zorder=5)
        else:
            axes.add_patch(Rectangle((x, y - 2.6), 9, 5.2, facecolor=entry.colour, zorder=5))
        axes.text(
            x + 12, y, entry.name, color=INK, fontsize=10.5, va="center", parse_math=False, zorder=5
        )
