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
TITLE_MM, UNTITLED_MM = 10.0, 2.0
TOP_MM = 3.0
INK = "#f4f4f4"

Items = tuple[tuple[str, int], ...]  # planes and slices
Row = tuple[int, Items]  # number of the underlay; what stands side by side


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
    is_titled: bool = True

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

    A row that repeats the slices of the one above stands closer to it, without their titles.

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
        With room for the titles of the slices above them.
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
    titled = [n == 0 or items != rows[n - 1][1] for n, (_, items) in enumerate(rows)]
    above = [TITLE_MM if is_titled else UNTITLED_MM for is_titled in titled]
    bottom = sum(heights) + sum(above) + GAP_MM
    canvas_height = bottom + TOP_MM
    panels = []
    for (underlay, items), width, height, title, is_titled in zip(
        rows, widths, heights, above, titled, strict=True
    ):
        bottom -= height + title
        left = margin_mm + (canvas_width - width) / 2 + GAP_MM
        for plane, index in items:
            across, upward = size(plane)
            panels.append(Panel(underlay, plane, index, left, bottom, across, upward, is_titled))
            left += across + GAP_MM
    return Canvas(tuple(panels), canvas_width + margin_mm, canvas_height)


def mark_places(panel: Panel, letters: tuple[str, str]) -> list[tuple[str, float, str]]:
    """Return where the letters of a slice's edges stand: letter, x in mm, alignment."""
    first, second = letters
    return [
        (first, panel.left + 1.5, "left"),
        (second, panel.left + panel.width - 1.5, "right"),
    ]
