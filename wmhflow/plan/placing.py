"""How a quantitative map comes to lie on the reference: by header, transforms, or registered.

Names are not believed beyond what they can mean: a map whose ``space-T1w`` is another image than
the visit's raw T1w is brought there by the transforms of its dataset, or registered, and never
taken as lying there. Where everything lies in the end is judged by the images.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from wmhflow.bids.query import FoundFile
from wmhflow.errors import InputError
from wmhflow.files.chains import chain_matrix
from wmhflow.files.inspection import boxes_meet
from wmhflow.plan.bending import bent_chain, check_bent_chain, in_words
from wmhflow.plan.choice import OF_SCANS, nearest_first
from wmhflow.plan.context import Planning
from wmhflow.plan.named import named_transform
from wmhflow.plan.routes import MATCHED, Route, find_route, lies_beside
from wmhflow.plan.spaces import OF_SCAN, RAW
from wmhflow.plan.transforms import ITERATED, check_linear, check_matrix, given_transform
from wmhflow.plan.visit import Composed, Computed, Given, Source, VisitPlan
from wmhflow.registries.maps import MapDefinition
from wmhflow.registries.spaces import T1W, kind_of_space

HEADER, NATIVE, ELSEWHERE = range(3)
# As many transforms that are not used are named in one line.
MOST_NAMED = 3
RESAMPLED = "which bends it: it is resampled onto the reference once"


def is_usable(planning: Planning, file: FoundFile) -> bool:
    """Tell whether an image says that it lies where something can lead to the reference from."""
    return planning.spaces.of_image(file) is not None


def is_on_reference(planning: Planning, visit: VisitPlan, file: FoundFile) -> bool:
    """Tell whether an image says that it lies on the reference."""
    return planning.spaces.of_image(file) == RAW[visit.reference]


def is_where_scanned(planning: Planning, file: FoundFile) -> bool:
    """Tell whether an image says that it lies where its scan does."""
    return planning.spaces.of_image(file) == OF_SCAN


def nearest(
    planning: Planning, visit: VisitPlan, name: str, files: Sequence[FoundFile]
) -> list[FoundFile]:
    """Keep, of images of one map, those that need least to lie on the reference; say the others.

    Parameters
    ----------
    planning, visit
        The visit's.
    name
        The map's.
    files
        Images that are usable.
    """
    ranks = [_rank(planning, visit, file) for file in files]
    kept = [file for file, rank in zip(files, ranks, strict=True) if rank == min(ranks)]
    for file in (file for file in files if file not in kept):
        why = {
            HEADER: "lies on the reference by its header",
            NATIVE: "lies where its scan does, and is measured without another interpolation",
        }[min(ranks)]
        planning.say(name, "note", f"{file.named} is passed over: {kept[0].named} {why}")
    return kept


def _rank(planning: Planning, visit: VisitPlan, file: FoundFile) -> int:
    if is_on_reference(planning, visit, file):
        return HEADER
    return NATIVE if is_where_scanned(planning, file) else ELSEWHERE


def place_map(
    planning: Planning,
    visit: VisitPlan,
    definition: MapDefinition,
    file: FoundFile,
    shown_by: str | None = None,
    *,
    may_bend: bool = False,
) -> Source | Composed | None:
    """Decide how a map comes to lie on the reference, and say it.

    Parameters
    ----------
    planning, visit
        The visit's.
    definition
        The registry's row of the map.
    file
        The image that holds it, or the first of those that it is computed from.
    shown_by
        In words, what is registered where no transform leads there, if the file itself gives that.
    may_bend
        Whether it may be resampled, as transforms that are not linear ask for.

    Returns
    -------
    Source, Composed or None
        None where the header says it.

    Raises
    ------
    AmbiguousInputError
        If several transforms answer for one.
    InputError
        If it lies outside the reference's field of view, or a transform cannot be used.
    """
    name = definition.name
    named = named_transform(planning, name)
    if named is not None:
        return _by_named(planning, visit, name, named, file, may_bend)
    route = find_route(planning, visit, file, [*definition.transform_from, name])
    if route.iterates and not may_bend:
        # what follows is measured in its own grid, and is registered
        route = Route(None, unused=route.unused)
    if route.legs is None:
        return _registered(planning, definition, file, route, shown_by)
    if not route.legs and route.end == visit.reference:
        _check_meets(planning, visit, file)
        planning.say(name, "found", f"{file.named}, aligned by its header")
        return None
    (first, *others) = route.legs or (None,)
    bends = may_bend and bool(bent_chain(planning, route.legs))
    alone = not others and route.end == visit.reference and not bends
    if first is not None and alone and not first.inverted:
        read = check_linear(planning, visit, first.file, file)
        how = f"aligned by {first.file.named} ({read.program})"
        planning.say(name, "found", f"{file.named}, {how}")
        return given_transform(first.file, read)
    return _composed(planning, visit, name, file, route, may_bend)


def _by_named(
    planning: Planning,
    visit: VisitPlan,
    name: str,
    named: Given,
    file: FoundFile,
    may_bend: bool,
) -> Given | Composed:
    """Take a map's transform of ``--transform``."""
    how = f"{file.named}, aligned by {named.named} (--transform)"
    if named.bends and named.inverted:
        how += f", {ITERATED}"
    if may_bend and named.bends:
        bent = Composed((named,), visit.reference_file)
        check_bent_chain(planning, bent)
        planning.say(name, "found", f"{how}, {RESAMPLED}")
        return bent
    if named.inverted:
        found = Composed((named,), visit.reference_file)
        _check_chain(planning, found, file)
        planning.say(name, "found", how)
        return found
    read = check_linear(planning, visit, named.file, file)
    planning.say(name, "found", how)
    return given_transform(named.file, read)


def _check_meets(planning: Planning, visit: VisitPlan, file: FoundFile) -> None:
    if boxes_meet(planning.facts(file), planning.facts(visit.reference_file)):
        return
    raise InputError(
        f"{file.path} lies outside the {visit.reference} image {visit.reference_file.path.name} "
        "although its name says the same space; check its header."
    )


def _composed(
    planning: Planning, visit: VisitPlan, name: str, file: FoundFile, route: Route, may_bend: bool
) -> Composed:
    """Compose the transforms of a route, and the other image's own after them, if it is needed."""
    bent = bent_chain(planning, route.legs or ())
    legs = [
        Given(edge.file, convert=True, inverted=edge.inverted, bends=edge in bent)
        for edge in route.legs or ()
    ]
    on = route.end != visit.reference
    last = visit.anatomical[route.end]
    found = Composed(tuple(legs), last, through_other=on)
    if bent and not may_bend:
        raise InputError(
            f"{file.path} would come to the reference by {found.named}; "
            f"{in_words(planning, bent)}, and maps that are computed from a series need a linear "
            "way; give the linear part alone, or the map resampled to the reference."
        )
    if bent:
        check_bent_chain(planning, found)
    else:
        _check_chain(planning, found, file)
    words = [_in_words(leg) for leg in legs]
    if on:
        made = "registration" if isinstance(visit.other_transform, Computed) else "transform"
        words.append(f"the {made} of the {visit.other_name} to the {visit.reference}")
    words = [", then ".join(words), *([RESAMPLED] if bent else [])]
    planning.say(name, "found", f"{file.named}, aligned by {', '.join(words)}")
    return found


def _in_words(leg: Given) -> str:
    if not leg.inverted:
        return leg.file.named
    return f"the inverse of {leg.file.named}" + (f" ({ITERATED})" if leg.bends else "")


def _check_chain(planning: Planning, composed: Composed, file: FoundFile) -> None:
    """Refuse transforms that together bring no two heads together, by numbers or headers."""
    legs, last = composed.legs, composed.last
    trust = planning.settings.inputs.trust
    ours, theirs = planning.facts(last), planning.facts(file)
    paths, inverted = [leg.file.path for leg in legs], [leg.inverted for leg in legs]
    ends, read = (file.path, last.path, trust), planning.transform_at
    matrix = chain_matrix(paths, inverted, *ends, read)
    for path, backwards in zip(paths, inverted, strict=True):
        check_matrix(path, chain_matrix([path], [backwards], *ends, read))
    moved = replace(theirs, affine=np.linalg.inv(matrix) @ theirs.affine)
    if boxes_meet(moved, ours):
        return
    if not legs:
        raise InputError(
            f"{file.path} lies outside the image {last.path.name} although its name says the same "
            "space; check its header."
        )
    raise InputError(
        f"{' and then '.join(leg.named for leg in legs)} takes {file.path} out of the field of "
        f"view of {last.path}; give the transforms that belong to these images, or the whole one "
        "with --transform."
    )


def _registered(
    planning: Planning,
    definition: MapDefinition,
    file: FoundFile,
    route: Route,
    shown_by: str | None,
) -> Computed:
    """Register a map by an image of its scan, or by itself; say why no transform is used."""
    companion = find_companion(planning, definition, file) if shown_by is None else None
    moved = companion.named if companion else "the map itself, lacking a companion image"
    if shown_by is not None:
        moved = f"its {shown_by.replace('_', ' ')}"
    because = _why_registered(planning, file, route)
    planning.say(definition.name, "found", f"{file.named}; registered rigidly by {moved}{because}")
    return Computed("register_rigid", (companion,) if companion else ())


def _why_registered(planning: Planning, file: FoundFile, route: Route) -> str:
    """Say what a reader of the names would not expect: another T1w, transforms not used."""
    is_t1w = kind_of_space(file.get("space")) == T1W
    said = [planning.spaces.whose(file)] if is_t1w else []
    frame = planning.spaces.of_image(file)
    if frame is not None and frame in RAW.values():
        said.append(f"nothing linear leads from the {frame.kind} to the reference")
    told = [one for one in (*said, *route.unused[:MOST_NAMED]) if one]
    return f", since {'; '.join(told)}" if told else ""


def find_companion(
    planning: Planning, definition: MapDefinition, file: FoundFile
) -> FoundFile | None:
    """Find an image of the same scan that shows more of the anatomy than the map does.

    It is looked for in the map's dataset, in those of the programs that write for each other, and
    in the raw one.

    Parameters
    ----------
    planning
        The visit's.
    definition
        The registry's row of the map.
    file
        The map.
    """
    alike = _alike(planning, definition, file)
    if alike is not None and alike in planning.companions:
        return planning.companions[alike]
    n_said = len(planning.decisions)
    found = _find_companion(planning, definition, file)
    if alike is not None and len(planning.decisions) == n_said:
        planning.companions[alike] = found
    return found


def _alike(planning: Planning, definition: MapDefinition, file: FoundFile) -> Hashable:
    """Return what is equal for maps that have one companion, as those of a scan have; else None."""
    grid = planning.known_grid(file)
    if grid is None:
        return None
    spaces = planning.spaces
    told = tuple(file.get(entity) for entity in (*MATCHED, *OF_SCANS, "datatype"))
    wanted = tuple(map(id, definition.companions))
    place = spaces.of_image(file)
    return wanted, file.root, file.dataset, spaces.family(file), place, told, grid


def _find_companion(
    planning: Planning, definition: MapDefinition, file: FoundFile
) -> FoundFile | None:
    family = planning.spaces.family(file)
    for wanted in definition.companions:
        derived = planning.query.derived("", planning.subject, **wanted)
        near = [other for other in derived if other.root == file.root]
        kin = [
            other
            for other in derived
            if other.root != file.root
            and (other.dataset == file.dataset or planning.spaces.family(other) == family)
        ]
        for files in (near, kin, planning.query.raw_images("", planning.subject, **wanted)):
            for candidate in nearest_first(file, planning.of_visit(files)):
                if _is_companion(planning, candidate, file):
                    return candidate
    return None


def _is_companion(planning: Planning, candidate: FoundFile, file: FoundFile) -> bool:
    try:
        return lies_beside(planning, candidate, file)
    except InputError as error:
        planning.say("companion", "note", f"not used: {error}")
        return False
