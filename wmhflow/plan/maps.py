"""Quantitative maps: which files they are, and how each comes to lie on the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from wmhflow.bids.query import FoundFile
from wmhflow.errors import AmbiguousInputError, InputError
from wmhflow.plan.answering import answering, known_maps
from wmhflow.plan.computed import Computing
from wmhflow.plan.context import Planning
from wmhflow.plan.judges import JUDGES
from wmhflow.plan.placing import find_companion, is_usable, nearest, place_map
from wmhflow.plan.units import settle_unit
from wmhflow.plan.visit import REFUSED, Composed, Computed, Given, MapPlan, Source, VisitPlan
from wmhflow.registries.maps import MapDefinition


def find_maps(
    planning: Planning, visit: VisitPlan, maps: Mapping[str, MapDefinition]
) -> Iterator[MapPlan]:
    """Find the visit's maps.

    Parameters
    ----------
    planning
        The visit's.
    visit
        What is decided so far.
    maps
        The registry of maps.

    Raises
    ------
    AmbiguousInputError
        If several files answer for one map.
    """
    computing = Computing(planning, visit, JUDGES, place_map, partial(is_usable, planning))
    for definition in known_maps(planning, maps):
        found = answering(planning, definition)
        native = [file for file in found if is_usable(planning, file)]
        for file in (file for file in found if file not in native):
            why = f"{file.path.name} is ignored: it lies in space-{file.get('space')}"
            planning.say(definition.name, "note", why)
        native = nearest(planning, visit, definition.name, native)
        if len(native) > 1:
            names = " and ".join(file.path.name for file in native[:3])
            raise AmbiguousInputError(
                f"{planning.label}: {len(native)} files answer for one map {definition.name} "
                f"({names}); choose with --bids-filter-file."
            )
        if native:
            yield from _given(planning, visit, definition, native[0])
        else:
            yield from computing.plan(definition)


def _given(
    planning: Planning, visit: VisitPlan, definition: MapDefinition, file: FoundFile
) -> Iterator[MapPlan]:
    """Plan a map that is given; one whose unit cannot be told is refused, and the others go on."""
    try:
        read, read_as = settle_unit(planning, definition, file)
    except InputError as error:
        planning.say(definition.name, REFUSED, str(error))
        return
    transform = place_map(planning, visit, read, file)
    shown_by = _shown_by(planning, read, file, transform)
    grid = _grid(planning, file)
    yield MapPlan(read, Given(file), transform, grid, shown_by, read_as)


def _shown_by(
    planning: Planning,
    definition: MapDefinition,
    file: FoundFile,
    transform: Source | Composed | None,
) -> FoundFile | None:
    """Find the image by which an alignment that is not made here is judged."""
    is_judged = planning.settings.anatomy.registration_qc != "off"
    if not is_judged or isinstance(transform, Computed):
        return None
    return find_companion(planning, definition, file)


def _grid(planning: Planning, file: FoundFile) -> tuple[Any, ...]:
    """Return what is equal for maps that are stored on one grid."""
    facts = planning.facts(file)
    return facts.shape, tuple(facts.affine.round(5).ravel().tolist())
