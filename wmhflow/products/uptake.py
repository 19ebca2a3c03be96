"""Regions of reference, where uptake ratios are computed from a PET."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wmhflow.plan.others import ACUTE, BLEED
from wmhflow.plan.pet import reference_of
from wmhflow.plan.visit import Computed
from wmhflow.products.keys import Visit
from wmhflow.products.product import Recipe, Taken, Work
from wmhflow.registries.tracers import load_references
from wmhflow.steps.uptake import lay_reference

UPTAKE = "uptake"


def reference_regions(visit: Visit) -> Iterator[Recipe]:
    """Declare each region of reference once, whatever number of tracers it serves.

    Parameters
    ----------
    visit
        The visit.
    """
    given = visit.plan.parcellation
    wanted = {
        reference_of(entry.values.options)
        for entry in visit.plan.maps
        if isinstance(entry.values, Computed) and entry.values.step == UPTAKE
    }
    if given is None:
        return
    for name in sorted(wanted):
        codes = [list(some) for some in load_references()[name].codes]
        yield Recipe(
            _key(name),
            lay_reference,
            takes={"in_file": given.file, "transforms": visit.to_reference(given)},
            beside={"space": visit.reference},
            options={"codes": codes} | visit.trusted,
            makes={"region": Work(_key(name))},
        )


def region_of_uptake(values: Computed) -> Mapping[str, Taken]:
    """Return the region that an uptake ratio is made with, by parameter; nothing for other maps.

    Parameters
    ----------
    values
        How the map is computed.
    """
    return {"region": _key(reference_of(values.options))} if values.step == UPTAKE else {}


def damaged(visit: Visit) -> list[Taken] | None:
    """Return the masks of what is no reference beside WMH: infarcts, acute lesions, bleeds.

    Parameters
    ----------
    visit
        The visit.
    """
    acute = [f"mask_{kind}" for kind in (ACUTE, BLEED) if kind in visit.plan.others]
    return [*([visit.infarct] if visit.infarct else []), *acute] or None


def _key(name: str) -> str:
    return f"reference_{name.replace('-', '_')}"
