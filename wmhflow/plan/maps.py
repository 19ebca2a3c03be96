"""Quantitative maps: which files they are, and how each comes to lie on the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wmhflow.bids.query import IMAGE_EXTENSIONS, FoundFile
from wmhflow.errors import AmbiguousInputError, InputError
from wmhflow.files.inspection import boxes_meet, same_lattice
from wmhflow.plan.answering import answering, known_maps
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
    computing = Computing(planning, visit, JUDGES, _transform, _is_native)
    for definition in known_maps(planning, maps):
        found = answering(planning, definition)
        native = [file for file in found if _is_native(visit, file)]
        for file in (file for file in found if file not in native):
            why = f"{file.path.name} is ignored: it lies in space-{file.get('space')}"
            planning.say(definition.name, "note", why)
        in_reference = [file for file in native if file.get("space") == visit.reference]
        native = in_reference or native
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
        derived = planning.query.derived("map", planning.subject, **wanted)
        near = [other for other in derived if other.dataset == file.dataset]
        for files in (near, planning.query.raw_images("", planning.subject, **wanted)):
            for candidate in planning.of_visit(files):
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
