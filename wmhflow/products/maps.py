"""Maps of a visit: given or computed, and in groups that one transform brings to the reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wmhflow.errors import UsageError
from wmhflow.plan.visit import Computed, Given, MapPlan, VisitPlan
from wmhflow.products.product import Image, Recipe, Taken
from wmhflow.registries.units import factor_between
from wmhflow.steps.computed import MAP_STEPS

LONGEST_NAME = 60
OWN_ENTITIES = ("param", "suffix")


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


def values_of(entry: MapPlan) -> Taken:
    """Return what holds a map's values: the file that was found, or the product of that name."""
    return entry.file if isinstance(entry.values, Given) else f"map_{entry.name}"


def factor_of(entry: MapPlan) -> float:
    """Return what the values of a map's file are multiplied by to be in the tables' unit."""
    if entry.read_as is not None:
        return entry.read_as.factor
    # what is computed here is written in the registry's unit
    return factor_between(entry.definition.own_unit, entry.definition.unit) or 1.0


def fit_of(entry: MapPlan) -> str:
    """Name the fit that made a given map: what its file's name says beside which map it is.

    Maps of one fit differ in `param` alone, as FA and MD do, or in their suffix, as CBF and its
    transit time do. A computed map is of no fit that others share.
    """
    if not isinstance(entry.values, Given):
        return ""
    own = {*OWN_ENTITIES, "extension"}
    named = sorted(
        (key, str(value)) for key, value in entry.file.entities.items() if key not in own
    )
    folder = entry.file.path.parent.relative_to(entry.file.root)
    return repr((entry.file.dataset, folder.as_posix(), named))


def computed_maps(visit: VisitPlan) -> Iterator[Recipe]:
    """Declare the maps that are computed here.

    Parameters
    ----------
    visit
        The plan.
    """
    for entry in visit.maps:
        how = entry.definition.computed
        if isinstance(entry.values, Given) or how is None:
            continue
        if how.step not in MAP_STEPS:
            raise UsageError(
                f"The registry of maps computes {entry.name} by {how.step!r}, and there is no such "
                f"step; there are: {', '.join(MAP_STEPS) or 'none'}."
            )
        yield Recipe(
            f"map_{entry.name}",
            MAP_STEPS[how.step],
            takes=dict(zip(how.files, entry.values.files, strict=True)),
            makes={"map": _image(entry, how.step)},
        )


def _image(entry: MapPlan, step: str) -> Image:
    """Declare a computed map, on the grid of the scan that it was computed from."""
    definition = entry.definition
    suffix = definition.query["suffix"]
    return Image(
        f"map_{entry.name}",
        suffix if isinstance(suffix, str) else suffix[0],
        {"desc": entry.name},
        definition.description or f"{entry.name}, computed by {step}",
        "scalars",
        {"Units": definition.own_unit, "SpatialReference": entry.file.uri},
        {"step": step},
    )
