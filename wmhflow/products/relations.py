"""Which relations the maps of a visit have to hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wmhflow.plan.visit import MapPlan
from wmhflow.products.maps import fit_of
from wmhflow.registries.maps import load_maps
from wmhflow.registries.relations import SUM, Relation, load_relations
from wmhflow.registries.units import factor_between
from wmhflow.steps.relations import Applied


def relating(maps: Sequence[MapPlan]) -> dict[str, Any]:
    """State the relations between maps of a visit, as the step takes them; nothing without any.

    Parameters
    ----------
    maps
        Of the visit.
    """
    by_name = {entry.name: entry for entry in maps}
    found = [one for relation in load_relations() if (one := _applied(relation, by_name))]
    return {"relations": found} if found else {}


def _applied(relation: Relation, maps: dict[str, MapPlan]) -> Applied | None:
    """Apply a relation to maps that are all there, in units that can be compared."""
    if not all(name in maps for name in relation.maps):
        return None
    entries = [maps[name] for name, _ in relation.terms]
    # only what was fitted together adds up
    fits = {fit_of(entry) for entry in entries}
    if relation.kind == SUM and ("" in fits or len(fits) > 1):
        return None
    factors: list[float] = []
    for entry in entries:
        # the user's own definition of a map may have another unit
        factor = factor_between(entry.definition.unit, load_maps()[entry.name].unit)
        # one map's tissues are compared in any unit
        if factor is None and len(relation.maps) > 1:
            return None
        factors.append(1.0 if factor is None else factor)
    return Applied(relation, tuple(factors), tuple(str(entry.file.path) for entry in entries))
