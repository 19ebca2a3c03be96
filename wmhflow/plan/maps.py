"""Quantitative maps: which files they are, and how each comes to lie on the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from wmhflow.bids.query import IMAGE_EXTENSIONS, FoundFile
from wmhflow.errors import AmbiguousInputError, InputError
from wmhflow.files.inspection import boxes_meet, same_lattice
from wmhflow.plan.answering import answering, known_maps
from wmhflow.plan.choice import choose_map, nearest_first
from wmhflow.plan.computed import Computing
from wmhflow.plan.context import Planning
from wmhflow.plan.judges import JUDGES
from wmhflow.plan.transforms import check_linear, find_transform, given_transform
from wmhflow.plan.units import settle_unit
from wmhflow.plan.visit import REFUSED, Computed, Given, MapPlan, Source, VisitPlan
from wmhflow.registries.maps import MapDefinition

UNMOVED_SPACES = (None, "ACPC", "orig", "native", "dwi", "asl", "aslref")


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
    computing = Computing(planning, visit, JUDGES, _transform, _is_native)
    for definition in known_maps(planning, maps):
        try:
            yield from _find_map(planning, visit, definition, computing)
        except AmbiguousInputError as error:
            why = str(error).removeprefix(f"{planning.label}: ")
            planning.say(definition.name, REFUSED, f"not used: {why}")


def _find_map(
    planning: Planning, visit: VisitPlan, definition: MapDefinition, computing: Computing
) -> Iterator[MapPlan]:
    found = answering(planning, definition)
    nearest = partial(_nearest, planning, visit, definition.name)
    chosen = choose_map(planning, definition, found, partial(_is_native, visit), nearest)
    if chosen is not None:
        yield from _given(planning, visit, definition, chosen)
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
    transform = _transform(planning, visit, read, file)
    shown_by = _shown_by(planning, read, file, transform)
    grid = _grid(planning, file)
    yield MapPlan(read, Given(file), transform, grid, shown_by, read_as)


def _shown_by(
    planning: Planning, definition: MapDefinition, file: FoundFile, transform: Source | None
) -> FoundFile | None:
    """Find the image by which an alignment that is not made here is judged."""
    is_judged = planning.settings.anatomy.registration_qc != "off"
    if not is_judged or isinstance(transform, Computed):
        return None
    return _companion(planning, definition, file)


def _nearest(
    planning: Planning, visit: VisitPlan, name: str, files: Sequence[FoundFile]
) -> Sequence[FoundFile]:
    """Keep those on the reference, if there are any; say the others."""
    kept = [file for file in files if file.get("space") == visit.reference]
    for file in files if kept else ():
        if file not in kept:
            why = f"{file.named} is ignored: {kept[0].named} lies on the reference"
            planning.say(name, "note", why)
    return kept or files


def _is_native(visit: VisitPlan, file: FoundFile) -> bool:
    return file.get("space") in (visit.reference, *UNMOVED_SPACES)


def _grid(planning: Planning, file: FoundFile) -> tuple[Any, ...]:
    """Return what is equal for maps that are stored on one grid."""
    facts = planning.facts(file)
    return facts.shape, tuple(facts.affine.round(5).ravel().tolist())


def _transform(
    planning: Planning,
    visit: VisitPlan,
    definition: MapDefinition,
    file: FoundFile,
    shown_by: str | None = None,
) -> Source | None:
    name = definition.name
    if file.get("space") == visit.reference:
        if not boxes_meet(planning.facts(file), planning.facts(visit.reference_file)):
            raise InputError(
                f"{file.path} lies outside the {visit.reference} image "
                f"{visit.reference_file.path.name} although its name says the same space; check "
                "its header."
            )
        planning.say(name, "found", f"{file.path.name}, aligned by its header")
        return None
    given = find_transform(planning, [*definition.transform_from, name], visit.reference)
    if given:
        read = check_linear(planning, visit, given, file)
        how = f"aligned by {given.path.name} ({read.program})"
        planning.say(name, "found", f"{file.path.name}, {how}")
        return given_transform(given, read)
    if shown_by is not None:
        words = shown_by.replace("_", " ")
        planning.say(name, "found", f"{file.path.name}; registered rigidly by its {words}")
        return Computed("register_rigid")
    companion = _companion(planning, definition, file)
    moved = companion.path.name if companion else "the map itself, lacking a companion image"
    planning.say(name, "found", f"{file.path.name}; registered rigidly by {moved}")
    return Computed("register_rigid", (companion,) if companion else ())


def _companion(planning: Planning, definition: MapDefinition, file: FoundFile) -> FoundFile | None:
    """Find an image of the same scan that shows more of the anatomy than the map does."""
    for wanted in definition.companions:
        derived = planning.query.derived("", planning.subject, **wanted)
        kin = [other for other in derived if other.dataset == file.dataset]
        near = sorted(kin, key=lambda other: other.root != file.root)
        for files in (near, planning.query.raw_images("", planning.subject, **wanted)):
            for candidate in nearest_first(file, planning.of_visit(files)):
                if _lies_on_grid_of(planning, candidate, file):
                    return candidate
    return None


def _lies_on_grid_of(planning: Planning, candidate: FoundFile, file: FoundFile) -> bool:
    if candidate.get("extension") not in IMAGE_EXTENSIONS:
        return False
    try:
        return same_lattice(planning.facts(candidate), planning.facts(file))
    except InputError as error:
        planning.say("companion", "note", f"not used: {error}")
        return False
