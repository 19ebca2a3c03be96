"""Maps of a visit in groups: those on one grid, brought to the reference by one transform."""

from __future__ import annotations

from typing import Any

from wmhflow.plan.visit import Computed, Given, MapPlan, VisitPlan

LONGEST_NAME = 60


def map_groups(visit: VisitPlan) -> list[tuple[MapPlan, ...]]:
    """Gather maps that are aligned by the same file and stored on the same grid.

    They share one registration and one set of sampling weights.
    """
    groups: dict[Any, list[MapPlan]] = {}
    for entry in visit.maps:
        groups.setdefault(_group_key(entry), []).append(entry)
    return [tuple(group) for group in groups.values()]


def _group_key(entry: MapPlan) -> tuple[Any, ...]:
    if isinstance(entry.transform, Given):
        return ("transform", entry.transform.file.path, entry.grid)
    if isinstance(entry.transform, Computed):
        # maps of one scan move together, by their companion or by the first of them
        scan = entry.file.dataset, entry.definition.transform_from
        return ("register", entry.transform.files, *scan, entry.grid)
    return ("header", entry.grid)


def group_name(group: tuple[MapPlan, ...]) -> str:
    """Name a group of maps after its members, in letters and digits."""
    names = [entry.name for entry in group]
    joined = "".join(names)
    return joined if len(joined) <= LONGEST_NAME else f"{names[0]}and{len(names) - 1}more"
