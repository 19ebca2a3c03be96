"""What is drawn over slices: borders of masks, labels in colours, and the legend of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wmhflow.reports.drawing.layout import GAP_MM, INK
from wmhflow.reports.drawing.planes import cut

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from wmhflow.reports.drawing.layout import Panel
    from wmhflow.reports.drawing.volumes import Box

LEGEND_ROW_MM = 10.0
LEGEND_MARK_MM = 22.0
LEGEND_LETTER_MM = 3.9


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
class LegendEntry:
    """What a colour means; ``opacity`` is that of a fill, None for a line."""

    colour: str
    name: str
    opacity: float | None = None


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


def legend_entries(outlines: Sequence[Outline], fill: Fill | None) -> tuple[LegendEntry, ...]:
    """List what a legend explains: lines first, then the labels that have a name."""
    lines = [LegendEntry(outline.colour, outline.name) for outline in outlines]
    if fill is not None:
        lines += [
            LegendEntry(colour, name, fill.opacity) for _, colour, name in fill.entries if name
        ]
    return tuple(lines)


def draw_overlays(
    axes: Axes, panel: Panel, box: Box, outlines: Sequence[Outline], fill: Fill | None
) -> None:
    """Draw labels and, above them, borders on one slice.

    Parameters
    ----------
    axes
        In mm of the canvas.
    panel
        The slice, and where it stands.
    box
        What of the grid is shown.
    outlines, fill
        On the reference grid.
    """
    if fill is not None:
        _draw_fill(axes, panel, cut(fill.labels, panel.plane, panel.index, box), fill)
    for outline in outlines:
        shown = cut(outline.mask, panel.plane, panel.index, box)
        _draw_outline(axes, panel, shown, outline)


def _draw_fill(axes: Axes, panel: Panel, labels: NDArray[Any], fill: Fill) -> None:
    from matplotlib.colors import to_rgba

    if not any(np.any(labels == label) for label, _, _ in fill.entries):
        return
    painted = np.zeros((*labels.shape, 4))
    for label, colour, _ in fill.entries:
        painted[labels == label] = to_rgba(colour, fill.opacity)
    axes.imshow(
        painted,
        extent=panel.extent,
        origin="lower",
        interpolation="nearest",
        aspect="auto",
        zorder=2,
    )


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


def draw_legend(axes: Axes, legend: Legend) -> None:
    """Draw a legend below zero of the canvas: lines as lines, fills as boxes."""
    from matplotlib.patches import Rectangle

    for number, entry in enumerate(legend.entries):
        row, column = divmod(number, legend.per_row)
        x = GAP_MM + column * legend.entry_mm
        y = -LEGEND_ROW_MM * (row + 0.6)
        if entry.opacity is None:
            axes.plot([x, x + 9], [y, y], color=entry.colour, linewidth=2.2, zorder=5)
        else:
            axes.add_patch(Rectangle((x, y - 2.6), 9, 5.2, facecolor=entry.colour, zorder=5))
        axes.text(
            x + 12, y, entry.name, color=INK, fontsize=10.5, va="center", parse_math=False, zorder=5
        )
