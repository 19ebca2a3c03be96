"""Slices of grey images with masks and labels over them, as one PNG."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from wmhflow.reports.drawing.common import COARSE, DPI, pixel_size, png_bytes
from wmhflow.reports.drawing.layout import GAP_MM, INK, arrange, mark_places
from wmhflow.reports.drawing.overlays import (
    Legend,
    draw_legend,
    draw_marks,
    draw_outlines,
    legend_entries,
)
from wmhflow.reports.drawing.painting import Tile, greys_under, paint
from wmhflow.reports.drawing.planes import (
    cut,
    display_range,
    edge_letters,
    sample_slice,
    slice_position_mm,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from wmhflow.reports.drawing.layout import Canvas, Panel, Row
    from wmhflow.reports.drawing.overlays import Fill, Mark, Outline
    from wmhflow.reports.drawing.volumes import Box, Volume

PIXELS_PER_MM = 2.0
ROW_TITLE_MM = 8.0
SCALE_BAR_MM = 50.0
NEAR_MIDDLE_MM = 8.0
BACKGROUND = "#000000"
AXIS_NAMES = {"axial": "z", "coronal": "y", "sagittal": "x"}


@dataclass(frozen=True)
class Underlay:
    """A grey image: ``matrix`` leads from the reference's world to the image's, in mm RAS.

    Nothing is drawn over a bare one.
    """

    image: Volume
    title: str = ""
    matrix: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    is_bare: bool = False


def slice_png(
    reference: Volume,
    box: Box,
    rows: Sequence[Row],
    underlays: Sequence[Underlay],
    outlines: Sequence[Outline] = (),
    fill: Fill | None = None,
    marks: Sequence[Mark] = (),
    scale: float = 1.0,
) -> bytes:
    """Draw slices of images on the reference grid, with masks and labels over them.

    Left is left (neurological); letters at the edges say so.

    Parameters
    ----------
    reference
        The grid, in the order right, front, up.
    box
        What of it is shown.
    rows
        Which slices of which underlay stand side by side.
    underlays
        Grey images.
    outlines, fill
        Masks and labels on the reference grid. The legend has the colours of labels as they look
        on what lies under most of their voxels.
    marks
        What is written beside voxels.
    scale
        How much larger the picture is than ``PIXELS_PER_MM`` says, its letters too.

    Returns
    -------
    bytes
        A PNG.
    """
    titled = any(underlay.title for underlay in underlays)
    canvas = arrange(rows, reference.spacing, box, ROW_TITLE_MM if titled else 0.0)
    tiles = _tiles(canvas, reference, box, underlays, fill)
    legend = Legend(legend_entries(outlines, fill, greys_under(tiles)), canvas.width)
    figure, axes = _dark_canvas(canvas.width, canvas.height, legend.height_mm, scale)
    ground = paint(tiles, pixel_size(figure), PIXELS_PER_MM * scale, legend.height_mm, fill)
    for number, underlay in enumerate(underlays):
        own = [panel for panel in canvas.panels if panel.underlay == number]
        if own and underlay.title:
            _row_title(axes, own[0], underlay.title)
    for panel in canvas.panels:
        _annotate(axes, panel, reference, box)
        if not underlays[panel.underlay].is_bare:
            draw_outlines(axes, panel, box, outlines)
            draw_marks(axes, panel, box, reference.spacing, marks)
    _scale_bar(axes, canvas)
    draw_legend(axes, legend)
    return png_bytes(figure, COARSE, ground)


def _dark_canvas(
    width_mm: float, height_mm: float, legend_mm: float, scale: float
) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    inches = PIXELS_PER_MM / DPI
    total = height_mm + legend_mm
    size = width_mm * inches, total * inches
    figure = Figure(figsize=size, dpi=DPI * scale, facecolor=BACKGROUND)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, width_mm)
    axes.set_ylim(-legend_mm, height_mm)
    return figure, axes


def _tiles(
    canvas: Canvas, reference: Volume, box: Box, underlays: Sequence[Underlay], fill: Fill | None
) -> list[Tile]:
    """Cut the slices; an image with and without lines over it has one range of greys."""
    shown = [underlays[panel.underlay] for panel in canvas.panels]
    places = [
        (id(own.image), own.matrix.tobytes(), panel.plane, panel.index)
        for own, panel in zip(shown, canvas.panels, strict=True)
    ]
    cuts: dict[tuple[int, bytes, str, int], NDArray[np.float32]] = {}
    for place, own, panel in zip(places, shown, canvas.panels, strict=True):
        if place not in cuts:
            cuts[place] = sample_slice(
                own.image, own.matrix, reference, panel.plane, panel.index, box
            )
    for image in dict.fromkeys(image for image, *_ in places):
        alike = {place: values for place, values in cuts.items() if place[0] == image}
        low, high = display_range(list(alike.values()))
        cuts |= {place: np.clip((part - low) / (high - low), 0, 1) for place, part in alike.items()}
    return [
        Tile(panel, cuts[place], _labels(panel, box, own, fill))
        for place, own, panel in zip(places, shown, canvas.panels, strict=True)
    ]


def _labels(panel: Panel, box: Box, underlay: Underlay, fill: Fill | None) -> NDArray[Any] | None:
    if fill is None or underlay.is_bare:
        return None
    return cut(fill.labels, panel.plane, panel.index, box)


def _annotate(axes: Axes, panel: Panel, reference: Volume, box: Box) -> None:
    """Name a slice and its edges; on sagittal slices, the side too."""
    top = panel.bottom + panel.height
    if panel.is_titled:
        text = slice_title(reference, panel.plane, panel.index, box)
        axes.text(
            panel.left + panel.width / 2, top + 1.5, text, color=INK, fontsize=10.5,
            ha="center", va="bottom", zorder=5,
        )  # fmt: skip
    for letter, x, side in mark_places(panel, edge_letters(reference, panel.plane)):
        axes.text(
            x, top - 1.5, letter, color=INK, fontsize=13, fontweight="bold",
            ha=side, va="top", zorder=5,
        )  # fmt: skip


def slice_title(reference: Volume, plane: str, index: int, box: Box) -> str:
    """Name a slice by its place in the world; a sagittal one by its side of the shown box too.

    Parameters
    ----------
    reference
        In the order right, front, up.
    plane, index, box
        The slice.

    Examples
    --------
    >>> from wmhflow.reports.drawing.volumes import Volume
    >>> cube = Volume(np.zeros((81, 1, 1)), np.array(np.diag([1.0, 1, 1, 1])))
    >>> slice_title(cube, "sagittal", 10, (slice(0, 81), slice(0, 1), slice(0, 1)))
    'x = 10 mm (left)'
    """
    position = slice_position_mm(reference, plane, index, box)
    text = f"{AXIS_NAMES[plane]} = {round(position)} mm".replace("-", "−")
    if plane != "sagittal":
        return text
    offset = position - slice_position_mm(reference, plane, (box[0].start + box[0].stop) // 2, box)
    if abs(offset) < NEAR_MIDDLE_MM:
        return f"{text} (near the middle)"
    return f"{text} ({'left' if offset < 0 else 'right'})"


def _row_title(axes: Axes, panel: Panel, title: str) -> None:
    axes.text(
        ROW_TITLE_MM, panel.bottom + panel.height / 2, title, color=INK, fontsize=11,
        rotation=90, ha="center", va="center", parse_math=False, zorder=5,
    )  # fmt: skip


def _scale_bar(axes: Axes, canvas: Canvas) -> None:
    right, level = canvas.width - GAP_MM, GAP_MM / 2
    axes.plot([right - SCALE_BAR_MM, right], [level, level], color=INK, linewidth=2.5, zorder=5)
    axes.text(
        right - SCALE_BAR_MM - 2, level, f"{SCALE_BAR_MM:.0f} mm", color=INK, fontsize=10.5,
        ha="right", va="center", zorder=5,
    )  # fmt: skip
