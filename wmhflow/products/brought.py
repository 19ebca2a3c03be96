"""Maps that are resampled onto the reference, since what leads there bends them."""

from __future__ import annotations

from collections.abc import Iterator

from wmhflow.plan.visit import Composed, Computed, MapPlan
from wmhflow.products.inputs import WITHOUT
from wmhflow.products.keys import Visit
from wmhflow.products.maps import factor_of, fit_of, transform_of, values_of
from wmhflow.products.product import Recipe, Taken, Work
from wmhflow.steps.bringing import bring_map
from wmhflow.steps.measures import MapOptions

# Steps whose maps are 0 where the image that they are made of is; others write NaN where no value
# is known, and 0 where the fit says so.
OF_GIVEN_ZEROS = ("component", "uptake")


def is_brought(entry: MapPlan) -> bool:
    """Tell whether a map is resampled onto the reference.

    Parameters
    ----------
    entry
        The map.
    """
    return isinstance(entry.transform, Composed) and entry.transform.bends


def sampled_of(entry: MapPlan) -> Taken:
    """Return what of a map is sampled: the map itself, or what was resampled of it.

    Parameters
    ----------
    entry
        The map.
    """
    return f"brought_{entry.name}" if is_brought(entry) else values_of(entry)


def brought_maps(visit: Visit, group: tuple[MapPlan, ...]) -> Iterator[Recipe]:
    """Declare the maps of a group on the reference's grid, if what leads there bends them.

    Parameters
    ----------
    visit
        The visit.
    group
        Maps that are aligned together.
    """
    for entry in group if is_brought(group[0]) else ():
        fit = fit_of(entry)
        others = [other for other in group if other != entry and fit and fit_of(other) == fit]
        yield Recipe(
            f"bringing_{entry.name}",
            bring_map,
            takes={
                "maps": [values_of(one) for one in (entry, *others)],
                "transform": transform_of(group),
                "without": WITHOUT,
            },
            beside={"space": visit.reference},
            options={
                "options": [map_options(one) for one in (entry, *others)],
                "zeros": visit.settings.inputs.zeros,
                **visit.trusted,
            },
            makes={"image": Work(f"brought_{entry.name}")},
        )


def map_options(entry: MapPlan) -> MapOptions:
    """State what the steps that sample a map know of it.

    Parameters
    ----------
    entry
        The map.
    """
    return MapOptions(
        entry.name,
        entry.definition.unit,
        *entry.definition.valid_range,
        entry.definition.can_be_zero,
        fit_of(entry),
        factor_of(entry),
        entry.definition.plausible,
        entry.definition.arbitrary_zero,
        entry.definition.in_fluid,
        entry.definition.free_water,
        isinstance(entry.values, Computed) and entry.values.step not in OF_GIVEN_ZEROS,
    )
