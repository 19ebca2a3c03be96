"""Quantitative maps: which files they are, and how each comes to lie on the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from wmhflow.bids.query import FoundFile
from wmhflow.errors import AmbiguousInputError, InputError
from wmhflow.plan.answering import answering, known_maps
from wmhflow.plan.choice import choose_map, named, without_never
from wmhflow.plan.components import component_of
from wmhflow.plan.computed import Computing
from wmhflow.plan.context import Planning
from wmhflow.plan.judges import JUDGES
from wmhflow.plan.placing import find_companion, is_usable, nearest, place_map
from wmhflow.plan.units import settle_unit
from wmhflow.plan.visit import (
    REFUSED,
    UNUSABLE,
    Composed,
    Computed,
    Given,
    MapPlan,
    Source,
    VisitPlan,
)
from wmhflow.registries.maps import MapDefinition


def find_maps(
    planning: Planning, visit: VisitPlan, maps: Mapping[str, MapDefinition]
) -> Iterator[MapPlan]:
    """Find the visit's maps; one that cannot be chosen is left out and said.

    Parameters
    ----------
    planning
        The visit's.
    visit
        What is decided so far.
    maps
        The registry of maps.
    """
    computing = Computing(planning, visit, JUDGES, place_map, partial(is_usable, planning))
    for definition in known_maps(planning, maps):
        try:
            yield from _find_map(planning, visit, definition, computing)
        except AmbiguousInputError as error:
            why = str(error).removeprefix(f"{planning.label}: ")
            planning.say(definition.name, REFUSED, f"not used: {why}")
    computing.say_unmade()


def _find_map(
    planning: Planning, visit: VisitPlan, definition: MapDefinition, computing: Computing
) -> Iterator[MapPlan]:
    found = answering(planning, definition)
    usable, near = partial(is_usable, planning), partial(nearest, planning, visit, definition.name)
    chosen = choose_map(planning, definition, found, usable, near) if found else None
    if chosen is not None:
        computing.note_given(definition)
        yield from _given(planning, visit, definition, chosen)
        return
    made = list(computing.plan(definition))
    yield from made
    if found and not made:
        _say_elsewhere(planning, definition, found)


def _say_elsewhere(
    planning: Planning, definition: MapDefinition, found: Sequence[FoundFile]
) -> None:
    """Say of a map that it was given where it cannot be measured, and nowhere else."""
    meant, _ = without_never(definition.name, found)
    moved = [file for file in meant if not is_usable(planning, file)]
    if moved:
        space = moved[0].get("space")
        planning.say(
            definition.name,
            UNUSABLE,
            f"{named(moved)} cannot be used: a map in space-{space} is not measured; give it where "
            "its scan lies, or in space-T1w",
        )


def _given(
    planning: Planning, visit: VisitPlan, definition: MapDefinition, file: FoundFile
) -> Iterator[MapPlan]:
    """Plan a map that is given; one whose unit or place cannot be told is refused alone.

    So is one of several volumes (a vector, a tensor, a time series), unless its definition names
    one of them.
    """
    try:
        if definition.component is not None:
            yield from _component(planning, visit, definition, file)
            return
        planning.facts(file)
        read, read_as = settle_unit(planning, definition, file)
        transform = place_map(planning, visit, read, file, may_bend=True)
    except AmbiguousInputError:
        raise
    except InputError as error:
        # who names a transform by hand wants it used, or to be stopped
        if definition.name in {one.name for one in planning.settings.inputs.transform}:
            raise
        planning.say(definition.name, REFUSED, str(error))
        return
    shown_by = _shown_by(planning, read, file, transform)
    grid = _grid(planning, file)
    yield MapPlan(read, Given(file), transform, grid, shown_by, read_as)


def _component(
    planning: Planning, visit: VisitPlan, definition: MapDefinition, file: FoundFile
) -> Iterator[MapPlan]:
    """Plan one volume of a series as a map."""
    read, values = component_of(planning, definition, file)
    transform = place_map(planning, visit, read, file)
    shown_by = _shown_by(planning, read, file, transform)
    yield MapPlan(read, values, transform, _grid(planning, file), shown_by)


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
    facts, key = planning.facts(file), planning.known_grid(file)
    if key not in planning.grids:
        planning.grids[key] = facts.shape, tuple(facts.affine.round(5).ravel().tolist())
    return planning.grids[key]
