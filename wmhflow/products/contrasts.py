"""Products on how regions of maps differ from far white matter and from their opposites."""

from __future__ import annotations

from wmhflow.plan.visit import MapPlan
from wmhflow.products.dictionary import describing
from wmhflow.products.keys import Visit
from wmhflow.products.maps import group_name
from wmhflow.products.product import Recipe
from wmhflow.products.tables import CONTRASTS_TABLE, MAPS_TABLE, PROFILES_TABLE
from wmhflow.steps.contrasts import contrast_regions


def contrasts(visit: Visit, groups: list[tuple[MapPlan, ...]]) -> Recipe:
    """Declare the table of contrasts.

    Parameters
    ----------
    visit
        The visit.
    groups
        Its groups of maps.
    """
    maps = visit.plan.maps
    return Recipe(
        "contrasts",
        contrast_regions,
        takes={
            "maps": MAPS_TABLE.key,
            "profiles": PROFILES_TABLE.key,
            "opposites": [f"opposites_{group_name(group)}" for group in groups],
        },
        options={"without_ratio": [one.name for one in maps if one.definition.arbitrary_zero]},
        makes={"table": describing(CONTRASTS_TABLE, maps)},
    )
