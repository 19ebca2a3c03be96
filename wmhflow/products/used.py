"""Which methods a visit's products are made with, so that the methods text names no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wmhflow.plan.pet import reference_of
from wmhflow.plan.visit import Computed, Given, VisitPlan
from wmhflow.products.unit import Unit
from wmhflow.products.uptake import UPTAKE

# beside the names of steps
REFERENCE, ATLAS, LOBES, UPTAKE_REGION = "reference:", "atlas:", "lobes:", "uptake:"
GIVEN_WMH, GIVEN_PROBABILITY, FILLED = "given WMH", "given probability of WMH", "filled WMH"
# acute lesions whose distance from a haemorrhage is told
ACUTE_BESIDE_BLEED = "acute beside haemorrhage"
# fields of displacements that lead the other way
INVERTED = "inverted fields"
BRIDGE, OWN_LABELS = ATLAS + "bridge", ATLAS + "own labels"


@dataclass(frozen=True)
class Used:
    """Methods by name; without names all that the settings allow.

    Examples
    --------
    >>> "fit_tensors" in Used(), "fit_tensors" in Used(frozenset({"find_nawm"}))
    (True, False)
    """

    names: frozenset[str] | None = None

    def __contains__(self, name: str) -> bool:
        return self.names is None or name in self.names

    def any(self, *names: str) -> bool:
        """Tell whether one of some methods was used."""
        return any(name in self for name in names)

    def chosen(self, parts: Iterable[tuple[str, str]]) -> list[str]:
        """Keep the texts of the methods that were used, each given with the method's name."""
        return [text for name, text in parts if name in self]


def methods_of(unit: Unit, visit: VisitPlan) -> frozenset[str]:
    """Name the methods of a visit: its steps, and what they are told that the text tells.

    Parameters
    ----------
    unit
        What is made of the visit.
    visit
        Its plan.
    """
    steps = {recipe.function.__name__ for recipe in unit.recipes}
    return frozenset(steps | set(_told(unit, visit)))


def _told(unit: Unit, visit: VisitPlan) -> Iterator[str]:
    yield REFERENCE + visit.reference
    if isinstance(visit.wmh, Given):
        yield GIVEN_PROBABILITY if visit.wmh.is_probability else GIVEN_WMH
    if any(
        recipe.function.__name__ in ("warp_to_template", "warp_again") and recipe.takes.get("wmh")
        for recipe in unit.recipes
    ):
        yield FILLED
    if any(one.function.__name__ == "tabulate_acute" and one.takes.get("haemorrhage")
           for one in unit.recipes):  # fmt: skip
        yield ACUTE_BESIDE_BLEED
    for recipe in unit.recipes:
        if recipe.function.__name__ == "compose_fields" and "facts" in recipe.makes:
            yield INVERTED
    for atlas in visit.laid_atlases:
        if atlas.bridge is not None:
            yield OWN_LABELS if atlas.by_labels else BRIDGE
    if visit.lobes_atlas is not None:
        yield LOBES + visit.lobes_atlas.name
    for entry in visit.maps:
        if isinstance(entry.values, Computed) and entry.values.step == UPTAKE:
            yield UPTAKE_REGION + reference_of(entry.values.options)
