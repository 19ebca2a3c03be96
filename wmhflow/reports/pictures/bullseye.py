"""The picture of bullseyes: the load of WMH, and each map, in lobes and layers of depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wmhflow.labels.digits import LOBES, layer_of
from wmhflow.labels.regions import load_regions
from wmhflow.reports.drawing.bullseye import BullseyePlot, bullseye_png, describe
from wmhflow.reports.pictures.picture import Picture
from wmhflow.reports.tables import bullseye_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wmhflow.reports.context import VisitContext


def bullseye(context: VisitContext) -> Picture:
    """Draw a bullseye of WMH's share, and one of each map."""
    plots = list(bullseye_plots(context))
    abbreviations = {k: load_regions("lobes")[k].abbreviation for k in LOBES}
    return Picture(
        "bullseye",
        "plot",
        bullseye_png(plots, abbreviations),
        " ".join(describe(plot) for plot in plots),
        "Bullseye: rings are layers of equal depth from ventricles (centre) to cortex (rim), and "
        "wedges lobes (FL frontal, PL parietal, TL temporal, OL occipital), basal ganglia and "
        "thalamus (BGT) and corpus callosum (CC); left is left. First the share of each cell that "
        "is WMH, then the mean of each map in it, lesions included. Hatched: no value.",
    )


def bullseye_plots(context: VisitContext) -> Iterator[BullseyePlot]:
    """Plot WMH's share of each cell, and the mean of each map in all of its tissue."""
    load = bullseye_values(context.table("volumes"), "wmh_fraction")
    # of the outputs: a report that is made anew may be asked for with other settings
    n_layers = max(layer_of(cell) for cell in load)
    yield BullseyePlot("WMH volume fraction", "", load, n_layers, starts_at_zero=True)
    for entry in context.visit.maps:
        rows = context.table("maps")
        own = [row for row in rows if (row["map"], row["tissue"]) == (entry.name, "all")]
        values = bullseye_values(own, "mean")
        yield BullseyePlot(entry.name, entry.definition.unit, values, n_layers)
