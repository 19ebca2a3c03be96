"""Where slices stand on the canvas: in rows, all at the same number of pixels per mm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wmhflow.reports.drawing.planes import plane_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from wmhflow.reports.drawing.volumes import Box

GAP_MM = 7.0
TITLE_MM = 10.0
TOP_MM = 3.0
INK = "#f4f4f4"

Row = tuple[int, tuple[tuple[str, int], ...]]  # number of the underlay; planes and slices


@dataclass(frozen=True)
class Panel:
    """Where a slice of which underlay stands on the canvas, in mm from the lower left corner."""

    underlay: int
    plane: str
    index: int
    left: float
    bottom: float
    width: float
    height: float

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The left, right, lower and upper border in mm."""
        return self.left, self.left + self.width, self.bottom, self.bottom + self.height


@dataclass(frozen=True)
class Canvas:
    """All slices of a picture at one scale, and the canvas's size in mm."""

    panels: tuple[Panel, ...]
    width: float
    height: float


def arrange(
    rows: Sequence[Row], spacing_mm: NDArray[np.float64], box: Box, margin_mm: float = 0.0
) -> Canvas:
    """Place slices in centred rows, all at the same number of pixels per mm.

    Parameters
    ----------
    rows
        From top to bottom.
    spacing_mm
        Voxel sizes of the right-front-up reference.
    box
        What is shown.
    margin_mm
        Kept free on the left.

    Returns
    -------
    Canvas
        With the titles of the slices above them.
    """
    extents = [
        float((edge.stop - edge.start) * mm) for edge, mm in zip(box, spacing_mm, strict=True)
    ]

    def size(plane: str) -> tuple[float, float]:
        columns, upward = plane_axes(plane)
        return extents[columns], extents[upward]

    widths = [sum(size(plane)[0] + GAP_MM for plane, _ in items) + GAP_MM for _, items in rows]
    heights = [max((size(plane)[1] for plane, _ in items), default=0.0) for _, items in rows]
    canvas_width = max(widths)
    bottom = sum(heights) + TITLE_MM * len(rows) + GAP_MM
    canvas_height = bottom + TOP_MM
    panels = []
    for (underlay, items), width, height in zip(rows, widths, heights, strict=True):
        bottom -= height + TITLE_MM
        left = margin_mm + (canvas_width - width) / 2 + GAP_MM
        for plane, index in items:
            across, upward = size(plane)
            panels.append(Panel(underlay, plane, index, left, bottom, across, upward))
            left += across + GAP_MM
    return Canvas(tuple(panels), canvas_width + margin_mm, canvas_height)


def mark_places(panel: Panel, letters: tuple[str, str]) -> list[tuple[str, float, str]]:
    """Return where the letters of a slice's edges stand: letter, x in mm, alignment."""
    first, second = letters
    return [
        (first, panel.left + 1.5, "left"),
        (second, panel.left + panel.width - 1.5, "right"),
    ]
