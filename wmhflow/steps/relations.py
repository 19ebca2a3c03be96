"""Whether the maps of a visit contradict each other, by medians and means of tissues."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wmhflow.core.regions.partition import ALL, IN_NAWM
from wmhflow.labels.digits import CORTEX, DEEP_GREY, WHITE_MATTER
from wmhflow.registries import relations as registry
from wmhflow.registries.relations import Relation

# A difference by less than this share is none.
SAME_SHARE = 0.05
# The least of a tissue that tells anything.
LEAST_MM3 = 1000.0
PLACES = {
    registry.NAWM: ("tissue", WHITE_MATTER, IN_NAWM),
    registry.CORTEX: ("tissue", CORTEX, ALL),
    registry.DEEP_GREY: ("tissue", DEEP_GREY, ALL),
}
WORDS = {registry.NAWM: "NAWM", registry.CORTEX: "cortex", registry.DEEP_GREY: "deep grey matter"}
log = logging.getLogger("wmhflow")


@dataclass(frozen=True)
class Applied:
    """A relation between maps of a visit.

    ``factors`` make the tables' units those of the registry, for each term; ``sources`` are the
    files of the maps, for messages.
    """

    relation: Relation
    factors: tuple[float, ...]
    sources: tuple[str, ...]


def tissue_facts(
    name: str, sampled: Mapping[str, Any], places: Mapping[Any, int]
) -> dict[str, float | None]:
    """Tell a map's medians in the tissues that relations compare, and its mean if one adds it up.

    Parameters
    ----------
    name
        The map's.
    sampled
        Its statistics, one column each.
    places
        The row of each region and tissue.

    Returns
    -------
    dict
        In the tables' unit; None where less than 1 mL of a tissue has values.
    """
    facts: dict[str, float | None] = {}
    for tissue in registry.tissues_told(name):
        row = places[PLACES[tissue]]
        seen = float(sampled["volume_mm3"][row] * sampled["coverage"][row])
        known = math.isfinite(seen) and seen >= LEAST_MM3
        facts[f"map_{name}_median_{tissue}"] = float(sampled["median"][row]) if known else None
        if tissue == registry.NAWM and registry.is_summed(name):
            facts[f"map_{name}_mean_{tissue}"] = float(sampled["mean"][row]) if known else None
    return facts


def contradictions(
    gathered: Mapping[str, Any], applied: Sequence[Applied]
) -> dict[str, int | None]:
    """Tell which relations between maps do not hold, and say it.

    Parameters
    ----------
    gathered
        What :func:`tissue_facts` told of all maps.
    applied
        The relations that the maps of the visit could have.

    Returns
    -------
    dict
        ``maps_<relation>_contradict``: 1, 0, or None where a map has no value there.
    """
    found: dict[str, int | None] = {}
    for one in applied:
        statistic = "mean" if one.relation.kind == registry.SUM else "median"
        told = [gathered.get(f"map_{of}_{statistic}_{where}") for of, where in one.relation.terms]
        known = [float(value) for value in told if value is not None and math.isfinite(value)]
        metric = f"maps_{one.relation.name}_contradict"
        found[metric] = None
        if len(known) == len(told):
            values = [value * by for value, by in zip(known, one.factors, strict=True)]
            found[metric] = int(is_broken(one.relation, values))
            if found[metric]:
                log.warning("%s", _said(one, values, statistic))
    return found


def is_broken(relation: Relation, values: Sequence[float]) -> bool:
    """Tell whether values contradict a relation.

    Parameters
    ----------
    relation
        The relation.
    values
        One for each of its terms, in the registry's units.

    Examples
    --------
    >>> above = registry.load_relations()[0]
    >>> is_broken(above, [1.1e-3, 7e-4]), is_broken(above, [7e-4, 1.1e-3])
    (False, True)
    """
    if relation.kind == registry.SUM:
        parts = [weight * value for weight, value in zip(relation.weights, values, strict=True)]
        scale = max(abs(relation.value), *map(abs, parts))
        return abs(sum(parts) - relation.value) > relation.within * scale
    first, second = map(abs, values) if relation.sized else values
    if relation.kind == registry.RECIPROCAL:
        return not 1 - relation.within <= first * second <= 1 / (1 - relation.within)
    return second - first > SAME_SHARE * max(abs(first), abs(second))


def _said(one: Applied, values: Sequence[float], statistic: str) -> str:
    """Say what contradicts what, and since when."""
    relation = one.relation
    shown = " and ".join(
        f"{value:.3g} for {of} in {WORDS[where]}"
        for (of, where), value in zip(relation.terms, values, strict=True)
    )
    maps = dict(zip([of for of, _ in relation.terms], one.sources, strict=True))
    files = " and ".join(maps.values())
    if len(maps) == 1:
        lacks = f"{files} cannot be what its name says"
    else:
        lacks = f"{files} cannot all be what their names say"
    return (
        f"{lacks}: the {statistic}s are {shown} (in the registry's units), and "
        f"{_rule(relation)}, since {relation.why}. Look whether names were exchanged, or a map was "
        "turned round. It is marked 'check'."
    )


def _rule(relation: Relation) -> str:
    (first, there), (second, here), *_ = relation.terms
    if relation.kind == registry.ABOVE and first == second:
        size = "larger in size" if relation.sized else "higher"
        return f"{first} is {size} in {WORDS[there]} than in {WORDS[here]}"
    if relation.kind == registry.ABOVE:
        return f"{first} is above {second} there"
    return f"{' and '.join(relation.maps)} do not fit"
