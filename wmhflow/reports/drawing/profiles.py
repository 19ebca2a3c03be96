"""A map against the distance from the lesion edge, a line per lesion class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wmhflow.reports.drawing.common import DPI, png_bytes, pretty_unit
from wmhflow.reports.drawing.published import draw_published

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from wmhflow.registries.maps import PublishedWidth

CLASS_COLOURS = {"all": "#222222", "PV": "#d1620b", "deep": "#1c6fb0"}
CLASS_NAMES = {"all": "all lesions", "PV": "periventricular", "deep": "deep"}


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


@dataclass(frozen=True)
class CurvePoint:
    """One bin of a map's smoothed curve, and the limits of its 95 % band."""

    distance_mm: float
    value: float
    low: float
    high: float


def profile_figure(
    name: str,
    unit: str,
    profiles: Mapping[str, Sequence[ProfilePoint]],
    widths_mm: Mapping[str, float],
    curves: Mapping[str, Sequence[CurvePoint]] | None = None,
    published: Sequence[PublishedWidth] = (),
) -> Figure:
    """Draw a map against the distance from the lesion edge, a line per lesion class.

    Parameters
    ----------
    name, unit
        Of the map; the unit ``1`` is not written.
    profiles
        Points by lesion class, in ascending distance; those without a mean are left out.
    widths_mm
        Penumbra widths by lesion class, where there is one.
    curves
        Smoothed curves by lesion class, in ascending distance; drawn behind the points.
    published
        Widths that others found, drawn behind.

    Returns
    -------
    Figure
        Without a canvas; `profile_png` gives its bytes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 3.9), dpi=DPI, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    for lesion_class, curve in (curves or {}).items():
        _draw_curve(axes, CLASS_COLOURS[lesion_class], curve)
    outermost = _draw_profiles(axes, profiles)
    _draw_borders(axes, widths_mm)
    axes.set_xlabel("mean distance from the lesion edge (mm); inside the lesion below 0")
    label = f"{name} ({pretty_unit(unit)})" if pretty_unit(unit) else name
    axes.set_ylabel(label, parse_math=False)
    _name_rest(axes, outermost)
    draw_published(axes, published, CLASS_COLOURS)
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=True, framealpha=0.85, edgecolor="none")
    return figure


def profile_png(
    name: str,
    unit: str,
    profiles: Mapping[str, Sequence[ProfilePoint]],
    widths_mm: Mapping[str, float],
    curves: Mapping[str, Sequence[CurvePoint]] | None = None,
    published: Sequence[PublishedWidth] = (),
) -> bytes:
    """Return `profile_figure` as a PNG: the same bytes for the same values."""
    return png_bytes(profile_figure(name, unit, profiles, widths_mm, curves, published))


def _draw_curve(axes: Axes, colour: str, points: Sequence[CurvePoint]) -> None:
    """Draw the band of a curve, and thin, the curve in it."""
    known = [point for point in points if np.isfinite(point.value)]
    at = [point.distance_mm for point in known]
    axes.fill_between(
        at, [p.low for p in known], [p.high for p in known], color=colour, alpha=0.15, linewidth=0
    )
    axes.plot(at, [p.value for p in known], color=colour, linewidth=0.8, alpha=0.7)


def _draw_borders(axes: Axes, widths_mm: Mapping[str, float]) -> None:
    """Draw where lesions end and, dotted, where their penumbrae do."""
    for lesion_class, width in widths_mm.items():
        axes.axvline(width, color=CLASS_COLOURS[lesion_class], linestyle=":", linewidth=1.4)
    axes.axvline(0, color="#c01818", linewidth=1.2)
    axes.annotate(
        "lesion edge", (0, 1), (-4, -4), xycoords=("data", "axes fraction"),
        textcoords="offset points", color="#c01818", fontsize=8, rotation=90, ha="right", va="top",
    )  # fmt: skip


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
        _draw_class(axes, lesion_class, points, outermost + 0.5 * number)
    return outermost + 0.5


def _draw_class(
    axes: Axes, lesion_class: str, points: Sequence[ProfilePoint], beyond: float
) -> None:
    """Draw the line of one lesion class, and its far reference at the place ``beyond``."""
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
            beyond, far[0].mean, far[0].half_interval, marker="s",
            markersize=4, linestyle="none", **style,
        )  # fmt: skip


def _name_rest(axes: Axes, place: float) -> None:
    """Call the place right of the last shell 'beyond' rather than a distance."""
    low = axes.get_xlim()[0]
    step = 2 if place - low < 30 else 10
    ticks = [*range(int(np.ceil(low / step)) * step, int(place - 1.5), step)]
    axes.set_xticks([*ticks, place], [*(str(tick).replace("-", "−") for tick in ticks), "beyond"])
