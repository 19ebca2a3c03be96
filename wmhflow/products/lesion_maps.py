"""Products on maps in each lesion by itself."""

from __future__ import annotations

from wmhflow.plan.visit import MapPlan
from wmhflow.products.dictionary import describing
from wmhflow.products.keys import Visit
from wmhflow.products.maps import group_name
from wmhflow.products.product import Recipe, Work
from wmhflow.products.tables import LESION_MAPS_TABLE, PROFILES_TABLE
from wmhflow.steps.lesion_maps import arrange_lesions, mirror_lesions


def mirrored_lesions(visit: Visit) -> Recipe:
    """Declare the white matter that lies opposite to each lesion."""
    return Recipe(
        "lesion_opposites",
        mirror_lesions,
        takes={
            "lesions": "seg_lesions",
            "tissue": "seg_tissue",
            "forward": visit.forward,
            "inverse": visit.inverse,
            "infarct": visit.infarct,
        },
        makes={"opposite": Work("lesion_opposites")},
    )


def lesion_table(visit: Visit, groups: list[tuple[MapPlan, ...]]) -> Recipe:
    """Declare the table of maps in each lesion.

    Parameters
    ----------
    visit
        The visit.
    groups
        Its groups of maps.
    """
    maps = visit.plan.maps
    return Recipe(
        "lesion_maps",
        arrange_lesions,
        takes={
            "rows": [f"lesions_{group_name(group)}" for group in groups],
            "profiles": PROFILES_TABLE.key,
        },
        options={
            "names": [entry.name for entry in maps],
            "without_ratio": [one.name for one in maps if one.definition.arbitrary_zero],
        },
        makes={"table": describing(LESION_MAPS_TABLE, maps)},
    )
