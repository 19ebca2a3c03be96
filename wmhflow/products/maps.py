"""Maps of a visit: given or computed, and in groups that one transform brings to the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wmhflow.bids.query import FoundFile
from wmhflow.core.space.geometry import voxel_mm3
from wmhflow.plan.visit import Composed, Computed, Given, MapPlan, VisitPlan
from wmhflow.products.keys import Visit
from wmhflow.products.product import Facts, Product, Recipe, Taken, Transform
from wmhflow.registries.units import factor_between
from wmhflow.steps.composing import compose_fields, compose_transforms

LONGEST_NAME = 60
# What of a head is sampled; map voxels are not expected to be smaller than this.
SAMPLED_MM3, SMALLEST_MM3 = 2.4e6, 0.1
OWN_ENTITIES = ("param", "suffix")


def map_groups(visit: VisitPlan) -> list[tuple[MapPlan, ...]]:
    """Gather maps that are aligned by the same file and stored on the same grid.

    They share one registration and one set of sampling weights.
    """
    groups: dict[Any, list[MapPlan]] = {}
    for entry in visit.maps:
        groups.setdefault(_group_key(entry), []).append(entry)
    return [tuple(group) for group in groups.values()]


def group_of(visit: VisitPlan, entry: MapPlan) -> tuple[MapPlan, ...] | None:
    """Return the group of maps that an image moves with; None if it moves by itself."""
    return next(
        (group for group in map_groups(visit) if _group_key(group[0]) == _group_key(entry)), None
    )


def _group_key(entry: MapPlan) -> tuple[Any, ...]:
    if isinstance(entry.transform, Given):
        return ("transform", entry.transform.file.path, entry.grid)
    if isinstance(entry.transform, Composed):
        legs = tuple((leg.file.path, leg.inverted) for leg in entry.transform.legs)
        return ("composed", legs, entry.transform.through_other, entry.grid)
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


def sampling_seconds(group: tuple[MapPlan, ...]) -> float | None:
    """Estimate how long sampling a group takes, so that maps of small voxels begin first.

    Parameters
    ----------
    group
        Maps on one grid.

    Returns
    -------
    float or None
        As long as heads of 1 mm took; None for a computed map, whose grid the plan does not know.
    """
    affine = group[0].grid[-1] if group[0].grid else None
    if not isinstance(affine, tuple):
        return None
    smallest = max(voxel_mm3(np.reshape(affine, (4, 4))), SMALLEST_MM3)
    millions = SAMPLED_MM3 / smallest / 1e6
    return 2.0 + 4.0 * millions + len(group) * (0.4 + 0.8 * millions)


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
    # the dataset, and the folder in it
    return repr((entry.file.uri.removesuffix(entry.file.path.name), named))


def transform_of(group: tuple[MapPlan, ...]) -> Taken:
    """Return what leads from a group of maps to the reference; None where the headers agree."""
    aligned = group[0].transform
    if aligned is None:
        return None
    if isinstance(aligned, Given) and not aligned.convert:
        return aligned.file
    return f"transform_{group_name(group)}"


def shown_of(entry: MapPlan) -> Taken:
    """Return the image by which a map is aligned where no other image of its scan shows more.

    It is the map itself, or of a series the image that a step makes of it.
    """
    values = entry.values
    return entry.file if isinstance(values, Given) else series_image(values) or values_of(entry)


def series_image(values: Computed) -> str | None:
    """Name the product that shows the anatomy of a series; None for what is of no series."""
    return f"shown_{values.series}{values.which}" if values.series else None


def composed(visit: Visit, key: str, transform: Composed, name: str, moving: FoundFile) -> Recipe:
    """Declare the one transform of a group of maps that others make up.

    Parameters
    ----------
    visit
        The visit.
    key
        Of the product.
    transform
        The transforms, in their order.
    name
        The group's name.
    moving
        A map of the group.
    """
    legs = transform.legs
    if transform.bends:
        return Recipe(
            key,
            compose_fields,
            takes={
                "in_files": list(transform.files),
                "other": visit.other_transform if transform.through_other else None,
            },
            beside={"fixed": visit.reference},
            options={"inverted": [leg.inverted for leg in legs]},
            makes={"transform": Transform(key, name, visit.plan.reference, ".h5")}
            | inverse_facts(legs, key, f"map_{name}"),
        )
    return Recipe(
        key,
        compose_transforms,
        takes={
            "in_files": list(transform.files) or None,
            "other": visit.other_transform if transform.through_other else None,
        },
        beside={"moving": moving, "fixed": transform.last},
        options=({"inverted": [leg.inverted for leg in legs]} if legs else {}) | visit.trusted,
        makes={"transform": Transform(key, name, visit.plan.reference, ".txt")},
    )


def inverse_facts(legs: Sequence[Given], key: str, what: str) -> dict[str, Product]:
    """Declare what tells how well inverses of fields lead back; nothing where there are none.

    Parameters
    ----------
    legs
        The transforms of a chain.
    key
        Of the chain's product.
    what
        What it moves, as the QC table names it.
    """
    if not any(leg.bends and leg.inverted for leg in legs):
        return {}
    return {"facts": Facts(f"{key}_inverse", f"{what}_registration_")}
