"""The step that sets every region of a map beside far white matter and the opposite place."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from wmhflow.steps.kinds import Rows, step
from wmhflow.steps.lesion_maps import contrast, far_means

KEPT = ("seg", "index", "name", "hemisphere", "tissue", "map", "unit", "mean")


class Contrasts(NamedTuple):
    """Rows of the table of contrasts."""

    table: Rows


@step(mem_gb=0.5)
def contrast_regions(
    maps: Rows, profiles: Rows, opposites: list[Rows], without_ratio: list[str]
) -> Contrasts:
    """Compare every region that holds a value with far white matter, and with its opposite.

    Parameters
    ----------
    maps, profiles
        Rows of the tables of maps and of profiles.
    opposites
        Rows of :func:`wmhflow.steps.mirror.opposite_rows`, of every group of maps.
    without_ratio
        Maps whose zero is chosen by the program that made them.
    """
    far = far_means(profiles)
    beside = {
        (row["measure"], row["seg"], row["index"]): row["opposite_value"]
        for group in opposites
        for row in group
    }
    table: list[dict[str, Any]] = []
    for row in maps:
        mean = row["mean"]
        if mean is None or math.isnan(mean):
            continue
        has_ratio = row["map"] not in without_ratio
        reference = far.get(row["map"], math.nan)
        found = beside.get((row["map"], row["seg"], row["index"]))
        opposite = math.nan if found is None else found
        against = contrast(mean, opposite, has_ratio=has_ratio)
        table.append(
            {name: row[name] for name in KEPT}
            | {"reference_mean": reference}
            | contrast(mean, reference, has_ratio=has_ratio)
            | {"opposite_mean": opposite}
            | {f"opposite_{key}": value for key, value in against.items()}
        )
    return Contrasts(table)
