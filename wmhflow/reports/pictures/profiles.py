"""Pictures of profiles: each map against the distance from the lesion edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wmhflow.reports.drawing.profiles import profile_png
from wmhflow.reports.pictures.picture import Picture
from wmhflow.reports.published import published_text
from wmhflow.reports.tables import (
    curve_points,
    has_profile,
    penumbra_widths,
    profile_points,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wmhflow.plan.visit import MapPlan
    from wmhflow.reports.context import VisitContext


def profiles(context: VisitContext) -> Iterator[Picture]:
    """Draw the profile of every map with a value in a shell (none for an empty lesion mask)."""
    for entry in context.visit.maps:
        if has_profile(context.table("profiles"), entry.name):
            yield _profile(context, entry)


def _profile(context: VisitContext, entry: MapPlan) -> Picture:
    points = profile_points(context.table("profiles"), entry.name)
    widths = penumbra_widths(context.table("penumbra"), entry.name)
    others = published_text(entry.definition)
    curves = curve_points(context.table("curves"), entry.name)
    more = " Dotted lines: penumbra width of the lesions in that colour." if widths else ""
    if curves:
        more += (
            " Thin lines with bands: the means in bins of 0.5 mm, smoothed, and their 95 % "
            "interval at each place."
        )
    if others:
        more += f" {others}"
    definition = entry.definition
    return Picture(
        f"profile{entry.name}",
        "profile",
        profile_png(
            entry.name, definition.unit, points, widths, curves, published=definition.published
        ),
        f"{entry.name} against the distance from the lesion edge",
        f"Mean {entry.name} with its 95 % confidence interval (SD / √ effective n, "
        "the independent samples that its voxels are worth) in each shell, at the shell's mean "
        "distance. Left of the red line lies the inside of the lesions. Squares at “beyond”: white "
        "matter outside the last shell, nearest to lesions of that class; grey band: its mean ± "
        f"SD for all lesions.{more}",
        map_name=entry.name,
    )
