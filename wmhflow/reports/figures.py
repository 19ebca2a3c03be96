"""The pictures of the report: slices with contours, and profiles; each function returns a PNG."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from wmhflow.reports.volumes import (
    cut,
    display_range,
    edge_letters,
    plane_axes,
    sample_slice,
    slice_position_mm,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from wmhflow.reports.volumes import Box, Volume

PIXELS_PER_MM = 2.0
DPI = 100
GAP_MM = 7.0
TITLE_MM = 10.0
TOP_MM = 3.0
ROW_TITLE_MM = 8.0
LEGEND_ROW_MM = 10.0
LEGEND_MARK_MM = 22.0
LEGEND_LETTER_MM = 3.9
SCALE_BAR_MM = 50.0
NEAR_MIDDLE_MM = 8.0
BACKGROUND, INK, OUTSIDE = "#000000", "#f4f4f4", "#23232b"
AXIS_NAMES = {"axial": "z", "coronal": "y", "sagittal": "x"}
CLASS_COLOURS = {"all": "#222222", "PV": "#d1620b", "deep": "#1c6fb0"}
CLASS_NAMES = {"all": "all lesions", "PV": "periventricular", "deep": "deep"}


@dataclass(frozen=True)
class Underlay:
    """A grey image: ``matrix`` leads from the reference's world to the image's, in mm RAS.

    Nothing is drawn over a bare one.
    """

    image: Volume
    title: str = ""
    matrix: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    is_bare: bool = False


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
class Panel:
    """Where a slice of which underlay stands on the canvas, in mm from the lower left corner."""

    underlay: int
    plane: str
    index: int
    left: float
    bottom: float
    width: float
    height: float


@dataclass(frozen=True)
class Canvas:
    """All slices of a picture at one scale, and the canvas's size in mm."""

    panels: tuple[Panel, ...]
    width: float
    height: float


Row = tuple[int, tuple[tuple[str, int], ...]]  # number of the underlay; planes and slices


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


def slice_figure(
    reference: Volume,
    box: Box,
    rows: Sequence[Row],
    underlays: Sequence[Underlay],
    outlines: Sequence[Outline] = (),
    fill: Fill | None = None,
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
        Masks and labels on the reference grid.

    Returns
    -------
    bytes
        A PNG.
    """
    titled = any(underlay.title for underlay in underlays)
    canvas = arrange(rows, reference.spacing, box, ROW_TITLE_MM if titled else 0.0)
    entries = legend_entries(outlines, fill)
    letters = max((len(name) for _, name, _ in entries), default=0)
    entry_mm = LEGEND_MARK_MM + LEGEND_LETTER_MM * letters
    per_row = max(int(canvas.width // entry_mm), 1)
    legend_mm = LEGEND_ROW_MM * -(-len(entries) // per_row) + (GAP_MM if entries else 0.0)
    figure, axes = _dark_canvas(canvas.width, canvas.height, legend_mm)
    slices = [_underlay_slice(underlays, reference, panel, box) for panel in canvas.panels]
    for number, underlay in enumerate(underlays):
        own = [i for i, panel in enumerate(canvas.panels) if panel.underlay == number]
        # an image with and without lines over it has one range of greys
        alike = [
            i
            for i, panel in enumerate(canvas.panels)
            if underlays[panel.underlay].image is underlay.image
        ]
        limits = display_range([slices[i] for i in alike])
        for i in own:
            _draw_grey(axes, canvas.panels[i], slices[i], limits)
        if own and underlay.title:
            _row_title(axes, canvas.panels[own[0]], underlay.title)
    for panel in canvas.panels:
        _annotate(axes, panel, reference, box)
        if underlays[panel.underlay].is_bare:
            continue
        if fill is not None:
            _draw_fill(axes, panel, cut(fill.labels, panel.plane, panel.index, box), fill)
        for outline in outlines:
            shown = cut(outline.mask, panel.plane, panel.index, box)
            _draw_outline(axes, panel, shown, outline)
    _scale_bar(axes, canvas)
    _draw_legend(axes, entries, per_row, entry_mm)
    return png_bytes(figure)


def _underlay_slice(
    underlays: Sequence[Underlay], reference: Volume, panel: Panel, box: Box
) -> NDArray[np.float32]:
    underlay = underlays[panel.underlay]
    return sample_slice(underlay.image, underlay.matrix, reference, panel.plane, panel.index, box)


def _dark_canvas(width_mm: float, height_mm: float, legend_mm: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    inches = PIXELS_PER_MM / DPI
    total = height_mm + legend_mm
    figure = Figure(figsize=(width_mm * inches, total * inches), dpi=DPI, facecolor=BACKGROUND)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0, width_mm)
    axes.set_ylim(-legend_mm, height_mm)
    return figure, axes


def _extent(panel: Panel) -> tuple[float, float, float, float]:
    return panel.left, panel.left + panel.width, panel.bottom, panel.bottom + panel.height


def _draw_grey(
    axes: Axes, panel: Panel, values: NDArray[np.float32], limits: tuple[float, float]
) -> None:
    from matplotlib import colormaps

    low, high = limits
    scaled = np.clip((values - low) / (high - low), 0, 1)
    colours = colormaps["gray"].with_extremes(bad=OUTSIDE)
    axes.imshow(
        np.ma.masked_invalid(scaled),
        cmap=colours,
        vmin=0,
        vmax=1,
        extent=_extent(panel),
        origin="lower",
        interpolation="bilinear",
        interpolation_stage="rgba",
        aspect="auto",
        zorder=1,
    )


def _draw_fill(axes: Axes, panel: Panel, labels: NDArray[Any], fill: Fill) -> None:
    from matplotlib.colors import to_rgba

    if not any(np.any(labels == label) for label, _, _ in fill.entries):
        return
    painted = np.zeros((*labels.shape, 4))
    for label, colour, _ in fill.entries:
        painted[labels == label] = to_rgba(colour, fill.opacity)
    axes.imshow(
        painted,
        extent=_extent(panel),
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
    from matplotlib.collections import LineCollection

    if not mask.any():
        return
    scale = np.array([panel.width / mask.shape[1], panel.height / mask.shape[0]])
    lines = edge_segments(mask) * scale + (panel.left, panel.bottom)
    axes.add_collection(
        LineCollection(
            list(lines),
            colors=outline.colour,
            linewidths=outline.width,
            capstyle="projecting",
            zorder=3,
        ),
        autolim=False,
    )


def _annotate(axes: Axes, panel: Panel, reference: Volume, box: Box) -> None:
    """Name a slice and its edges; on sagittal slices, the side too."""
    text = slice_title(reference, panel.plane, panel.index, box)
    top = panel.bottom + panel.height
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
    >>> from wmhflow.reports.volumes import Volume
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


def mark_places(panel: Panel, letters: tuple[str, str]) -> list[tuple[str, float, str]]:
    """Return where the letters of a slice's edges stand: letter, x in mm, alignment."""
    first, second = letters
    return [
        (first, panel.left + 1.5, "left"),
        (second, panel.left + panel.width - 1.5, "right"),
    ]


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


def legend_entries(
    outlines: Sequence[Outline], fill: Fill | None
) -> list[tuple[str, str, float | None]]:
    """List what a legend explains: colour, name, and the opacity of a fill or None for a line."""
    lines: list[tuple[str, str, float | None]] = [
        (outline.colour, outline.name, None) for outline in outlines
    ]
    if fill is None:
        return lines
    return lines + [(colour, name, fill.opacity) for _, colour, name in fill.entries if name]


def _draw_legend(
    axes: Axes,
    entries: Sequence[tuple[str, str, float | None]],
    per_row: int,
    entry_mm: float,
) -> None:
    from matplotlib.patches import Rectangle

    for number, (colour, name, opacity) in enumerate(entries):
        row, column = divmod(number, per_row)
        x = GAP_MM + column * entry_mm
        y = -LEGEND_ROW_MM * (row + 0.6)
        if opacity is None:
            axes.plot([x, x + 9], [y, y], color=colour, linewidth=2.2, zorder=5)
        else:
            axes.add_patch(Rectangle((x, y - 2.6), 9, 5.2, facecolor=colour, zorder=5))
        axes.text(
            x + 12, y, name, color=INK, fontsize=10.5, va="center", parse_math=False, zorder=5
        )


# --- profiles ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProfilePoint:
    """One shell of a map's profile; ``is_rest`` marks the far reference beyond the last shell."""

    distance_mm: float
    mean: float
    sd: float
    n_effective: float
    is_rest: bool = False

    @property
    def half_interval(self) -> float:
        """Half the width of the 95 % confidence interval of the mean; NaN below two voxels."""
        if not self.n_effective > 1:
            return float("nan")
        return 1.96 * self.sd / float(np.sqrt(self.n_effective))


def profile_figure(
    name: str,
    unit: str,
    profiles: Mapping[str, Sequence[ProfilePoint]],
    widths_mm: Mapping[str, float],
) -> bytes:
    """Draw a map against the distance from the lesion edge, a line per lesion class.

    Parameters
    ----------
    name, unit
        Of the map; the unit ``1`` is not written.
    profiles
        Points by lesion class, in ascending distance; those without a mean are left out.
    widths_mm
        Penumbra widths by lesion class, where there is one.

    Returns
    -------
    bytes
        A PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 3.9), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    outermost = _draw_profiles(axes, profiles)
    for lesion_class, width in widths_mm.items():
        axes.axvline(width, color=CLASS_COLOURS[lesion_class], linestyle=":", linewidth=1.4)
    axes.axvline(0, color="#c01818", linewidth=1.2)
    axes.annotate(
        "lesion edge", (0, 1), (-4, -4), xycoords=("data", "axes fraction"),
        textcoords="offset points", color="#c01818", fontsize=8, rotation=90, ha="right", va="top",
    )  # fmt: skip
    axes.set_xlabel("mean distance from the lesion edge (mm); inside the lesion below 0")
    label = f"{name} ({pretty_unit(unit)})" if pretty_unit(unit) else name
    axes.set_ylabel(label, parse_math=False)
    _name_rest(axes, outermost)
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=True, framealpha=0.85, edgecolor="none")
    return png_bytes(figure)


def _draw_profiles(axes: Axes, profiles: Mapping[str, Sequence[ProfilePoint]]) -> float:
    """Draw the lines and the far reference; return where the far reference stands."""
    known = {
        key: [point for point in points if np.isfinite(point.mean)]
        for key, points in profiles.items()
    }
    distances = [p.distance_mm for points in known.values() for p in points if not p.is_rest]
    outermost = max(distances, default=0.0) + 2.5
    for rest in (point for point in known.get("all", ()) if point.is_rest):
        axes.axhspan(
            rest.mean - rest.sd, rest.mean + rest.sd, color="#8a8a8a", alpha=0.16, linewidth=0,
            label="far reference ± SD",
        )  # fmt: skip
        axes.axhline(rest.mean, color="#8a8a8a", linewidth=1.2)
    for number, (lesion_class, points) in enumerate(known.items()):
        style: dict[str, Any] = {
            "color": CLASS_COLOURS[lesion_class],
            "capsize": 2.0,
            "elinewidth": 1.0,
        }
        shells = [point for point in points if not point.is_rest]
        far = [point for point in points if point.is_rest]
        if shells:
            axes.errorbar(
                [p.distance_mm for p in shells], [p.mean for p in shells],
                [p.half_interval for p in shells], marker="o", markersize=3.5, linewidth=1.4,
                label=CLASS_NAMES[lesion_class], **style,
            )  # fmt: skip
        if far:
            axes.errorbar(
                outermost + 0.5 * number, far[0].mean, far[0].half_interval, marker="s",
                markersize=4, linestyle="none", **style,
            )  # fmt: skip
    return outermost + 0.5


def _name_rest(axes: Axes, place: float) -> None:
    """Call the place right of the last shell 'beyond' rather than a distance."""
    low = axes.get_xlim()[0]
    step = 2 if place - low < 30 else 10
    ticks = [*range(int(np.ceil(low / step)) * step, int(place - 1.5), step)]
    axes.set_xticks([*ticks, place], [*(str(tick).replace("-", "−") for tick in ticks), "beyond"])


def pretty_unit(unit: str) -> str:
    """Write a unit with raised digits; nothing for a number without one.

    Examples
    --------
    >>> pretty_unit("mm^2/s"), pretty_unit("1")
    ('mm²/s', '')
    """
    if unit in ("1", "n/a"):
        return ""
    return unit.replace("^2", "²").replace("^3", "³").replace("^-1", "⁻¹")


def png_bytes(figure: Figure) -> bytes:
    """Return the same bytes for the same picture: the Agg renderer, and no date or version."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()
