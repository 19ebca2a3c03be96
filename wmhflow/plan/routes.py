"""How an image gets from where it lies to the reference, through the transforms that there are."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count

from wmhflow.bids.query import IMAGE_EXTENSIONS, FoundFile
from wmhflow.errors import AmbiguousInputError, InputError
from wmhflow.files.composites import FIELD_ENDINGS
from wmhflow.files.inspection import same_lattice
from wmhflow.files.transforms import TransformFile
from wmhflow.plan.context import Planning
from wmhflow.plan.spaces import OF_SCAN, ORIG, RAW, Frame
from wmhflow.plan.visit import Given, VisitPlan
from wmhflow.registries.spaces import ACPC, ANAT, OWN, SCAN, T1W, kind_of_space, same_scan

# What a transform and the image that it moves cannot disagree on, by the words of messages.
MATCHED = {
    "acquisition": "acquisition",
    "run": "run",
    "direction": "direction of phase encoding",
    "reconstruction": "reconstruction",
    "task": "task",
    "tracer": "tracer",
    "ceagent": "contrast agent",
    "volume": "volume of interest",
}
ANATOMICAL = (T1W, ANAT, ACPC)
# Folders that say of which kind a scan is.
SCANS = frozenset(("dwi", "perf", "func", "pet"))
# A route of fewer transforms is better, of two alike the one without an inverse.
LEG, BACKWARDS = 1.0, 0.1


@dataclass(frozen=True)
class Edge:
    """A given transform between two places, as it leads or backwards."""

    start: Frame
    end: Frame
    file: FoundFile
    inverted: bool = False
    rank: tuple[int, int, bool] = (0, 0, False)


@dataclass
class Route:
    """The transforms from an image to the reference, in their order, and why others are none.

    ``legs`` is None where nothing leads there. ``end`` is ``T1w`` or ``FLAIR``, where the given
    transforms end: if that is not the reference, its own transform follows. ``iterates`` says that
    the inverse of a transform that is not linear has to be found on the way.
    """

    legs: tuple[Edge, ...] | None
    end: str = ""
    unused: list[str] = field(default_factory=list)
    iterates: bool = False


def disagreement(transform: FoundFile, image: FoundFile) -> str | None:
    """Say in what a transform states another thing than the image does; None if in nothing.

    Parameters
    ----------
    transform, image
        Entities that one of them does not have do not count.
    """
    for entity, words in MATCHED.items():
        one, other = transform.get(entity), image.get(entity)
        if one is not None and other is not None and one != other:
            return f"{transform.path.name} is of another {words} ({one}, not {other})"
    one, other = transform.get("datatype"), image.get("datatype")
    if {one, other} <= SCANS and one != other:
        return f"{transform.path.name} is of another kind of scan ({one}, not {other})"
    return None


def find_route(
    planning: Planning, visit: VisitPlan, image: FoundFile, names: Sequence[str]
) -> Route:
    """Find the given transforms that lead from an image to the reference.

    Linear ones go before others, since what follows them is exact; one that is not linear is taken
    where nothing else leads there, for who can follow it, or refuses it, and the inverse of one
    after all others.

    Parameters
    ----------
    planning
        The visit's.
    visit
        What is decided so far: the images and how they come to the reference.
    image
        What is to be moved.
    names
        What the place of its scan may be called in transforms.

    Raises
    ------
    AmbiguousInputError
        If several transforms answer for one.
    """
    scan = _scan_labels(image, names)
    alike = _alike(planning, visit, image, scan)
    known = planning.routes.get(alike)
    if known is None:
        known = _find_route(planning, visit, image, scan)
        if alike is not None:
            planning.routes[alike] = known
    return known


def _alike(
    planning: Planning, visit: VisitPlan, image: FoundFile, scan: frozenset[str]
) -> Hashable:
    """Return what is equal for images that have one route, as the maps of a scan have; else None.

    It is the image's own grid that counts where a transform may be a stranger's.
    """
    spaces = planning.spaces
    family = spaces.family(image)
    if not spaces.families_with_scans <= {family}:
        return None
    told = tuple(image.get(entity) for entity in (*MATCHED, "datatype"))
    place = spaces.of_image(image)
    return visit.reference, place, family, image.root, scan & spaces.labels, told


def _find_route(
    planning: Planning, visit: VisitPlan, image: FoundFile, scan: frozenset[str]
) -> Route:
    start = planning.spaces.of_image(image)
    unused: list[str] = []
    edges = list(_edges(planning, visit, image, scan, unused))
    bent_way: Route | None = None
    iterated_way: Route | None = None
    while start is not None:
        found = _shortest(start, _best(planning, edges), visit)
        if found is None:
            break
        bent = next((leg for leg in found if _bends(planning, leg)), None)
        inverted = [leg for leg in found if leg.inverted and _bends(planning, leg)]
        usable = all(has_inverse(planning.transform(leg.file)) for leg in inverted)
        is_first = (iterated_way if inverted else bent_way) is None
        if bent is None or (usable and is_first):
            _check_one(planning, found, edges)
        if bent is None:
            return Route(found, found[-1].end.kind if found else start.kind, unused)
        why = ", so that its inverse is not known" if inverted and not usable else ""
        unused.append(f"{bent.file.path.name} is not linear{why}")
        if inverted and usable and is_first:
            iterated_way = Route(found, found[-1].end.kind, iterates=True)
        elif not inverted and is_first:
            bent_way = Route(found, found[-1].end.kind)
        # a linear way that is longer, or backwards, is exact
        edges.remove(bent)
    if bent_way is not None:
        return bent_way
    if iterated_way is not None:
        return replace(iterated_way, unused=list(dict.fromkeys(unused)))
    if start is not None:
        unused += _end_at_other(visit, start, _best(planning, edges))
        unused += _dead_ends(planning, start, edges)
    return Route(None, unused=list(dict.fromkeys(unused)))


def _dead_ends(planning: Planning, start: Frame, edges: Sequence[Edge]) -> Iterator[str]:
    """Say of transforms that begin where the image lies that they end where nothing leads on.

    One to the T1w does so where that of its dataset is another than the visit's.
    """
    for edge in edges:
        if edge.start == start and not edge.inverted and edge.end.kind in (ANAT, ACPC):
            called = str(edge.file.get("to"))
            is_t1w = kind_of_space(called) == T1W
            why = planning.spaces.whose(edge.file) if is_t1w else None
            where = f"the {called}, from where nothing leads to the reference"
            yield f"{edge.file.path.name} leads to {where}{f' ({why})' if why else ''}"


def _end_at_other(visit: VisitPlan, start: Frame, edges: list[Edge]) -> Iterator[str]:
    """Say that a way ends at the other image, from where no linear transform leads on."""
    given = visit.other_transform
    if leads_on(visit) or not isinstance(given, Given):
        return
    if _shortest(start, edges, replace(visit, reference=visit.other_name)) is not None:
        yield (
            f"{given.file.path.name} is not linear, so that nothing leads on from the "
            f"{visit.other_name} to the {visit.reference}: give a linear transform there, or the "
            f"image resampled to the {visit.reference}"
        )


def has_inverse(read: TransformFile) -> bool:
    """Tell whether a transform is of kinds whose inverse can be found, and in a file that is read.

    Parameters
    ----------
    read
        What its file holds.
    """
    bent = [kind for kind, make in zip(read.parts, read.matrices, strict=True) if make is None]
    is_kept = not bent or read.path.name.endswith(FIELD_ENDINGS)
    return is_kept and all(kind.startswith("DisplacementField") for kind in bent)


def _bends(planning: Planning, leg: Edge) -> bool:
    return not planning.transform(leg.file).is_linear


def _edges(
    planning: Planning,
    visit: VisitPlan,
    image: FoundFile,
    scan: frozenset[str],
    unused: list[str],
) -> Iterator[Edge]:
    """Go through the person's transforms that have to do with the image's place or the reference's.

    Why those of its scan are not used is added to ``unused``.
    """
    for file in planning.spaces.transforms:
        ends = [_end(planning, visit, image, file, which, scan) for which in ("from", "to")]
        start, end = ends
        if start is None or end is None or start == end:
            continue
        if {start, end} <= set(RAW.values()):
            # how the other image comes to the reference is decided for the whole visit
            continue
        if not _is_visits(planning, file):
            continue
        moved = image if OF_SCAN in ends else visit.t1w if ORIG in _labels(file) else None
        why = None if moved is None else disagreement(file, moved)
        if why is None and OF_SCAN in ends:
            why = _stranger(planning, file, image)
        if why is not None:
            if OF_SCAN in ends:
                unused.append(why)
            continue
        rank = _rank(planning, file, image, moved)
        yield Edge(start, end, file, rank=rank)
        yield Edge(end, start, file, inverted=True, rank=rank)


def _is_visits(planning: Planning, file: FoundFile) -> bool:
    """Tell whether a transform is the visit's, or between images of the person."""
    is_of_person = all(kind_of_space(label) in ANATOMICAL for label in _labels(file))
    return (is_of_person and file.get("session") is None) or bool(planning.of_visit([file]))


def _labels(file: FoundFile) -> tuple[str, str]:
    return str(file.get("from")), str(file.get("to"))


def _scan_labels(image: FoundFile, names: Sequence[str]) -> frozenset[str]:
    """Return what the place of an image's scan may be called in transforms.

    An image that says that it lies where another scan does (an FA in space-aslref) lies there.
    """
    scan, space = same_scan(names), image.get("space")
    if kind_of_space(space) == SCAN and space not in scan:
        return same_scan((space,))
    # space-orig is the place of any image of which a transform begins
    own = {space} if space not in (None, ORIG) and kind_of_space(space) == OWN else set()
    return scan | own if own else scan


def _end(
    planning: Planning,
    visit: VisitPlan,
    image: FoundFile,
    file: FoundFile,
    which: str,
    scan: Collection[str],
) -> Frame | None:
    """Return the place that one end of a transform means; None if it is none of those of interest.

    A dataset of transforms alone speaks of the places of the image's dataset.
    """
    label, spaces = str(file.get(which)), planning.spaces
    if label in scan:
        return OF_SCAN
    kind = kind_of_space(label)
    if label == ORIG:
        others = {kind_of_space(one) for one in _labels(file)}
        is_anatomical = bool(others & {T1W, ANAT}) and visit.t1w is not None
        return RAW["T1w"] if is_anatomical else None
    if kind is None or kind not in (*ANATOMICAL, "FLAIR"):
        return None
    alone = file.root not in spaces.with_images
    family = spaces.family(image if alone and kind != T1W else file)
    if ORIG in _labels(file):
        # it leads to the dataset's anatomical image before any turn to AC-PC, also if called T1w
        return Frame(ANAT, family)
    return spaces.frame(label, file, family)


def _stranger(planning: Planning, file: FoundFile, image: FoundFile) -> str | None:
    """Say why a transform of another dataset does not belong to an image; None if it may.

    It may if its dataset holds no scan, or an image on the same grid in the same place; and for a
    raw image if it holds no scan of that kind, of which it could be instead.
    """
    spaces = planning.spaces
    if spaces.family(file) == spaces.family(image) or file.root not in spaces.with_scans:
        return None
    others = planning.query.derived("", planning.subject, datatype=image.get("datatype"))
    beside = [other for other in planning.of_visit(others) if other.root == file.root]
    is_raw = image.root.resolve() == planning.settings.bids_dir.resolve()
    if (is_raw and not beside) or any(_may_lie_beside(planning, other, image) for other in beside):
        return None
    return (
        f"{file.path.name} is of the dataset {file.dataset}, which has no image on the grid of "
        f"{image.path.name}"
    )


def _may_lie_beside(planning: Planning, other: FoundFile, image: FoundFile) -> bool:
    try:
        return lies_beside(planning, other, image)
    except InputError:
        # one that cannot be read, or is a series, tells nothing of the grid
        return False


def lies_beside(planning: Planning, one: FoundFile, image: FoundFile) -> bool:
    """Tell whether two images say that they lie in one place, of one scan, and share a grid.

    Parameters
    ----------
    planning
        The visit's.
    one, image
        The images.

    Raises
    ------
    InputError
        If a header cannot be read, or is that of no single 3D image.
    """
    if one.get("extension") not in IMAGE_EXTENSIONS or disagreement(one, image):
        return False
    if planning.spaces.of_image(one) != planning.spaces.of_image(image):
        return False
    return same_lattice(planning.facts(one), planning.facts(image))


def _rank(
    planning: Planning, file: FoundFile, image: FoundFile, moved: FoundFile | None
) -> tuple[int, int, bool]:
    """Order transforms between the same places: the image's dataset first, then what agrees."""
    spaces = planning.spaces
    distance = 0 if file.root == image.root else 1
    if distance and spaces.family(file) != spaces.family(image):
        distance = 2
    agreed = sum(
        moved is not None and file.get(entity) is not None and file.get(entity) == moved.get(entity)
        for entity in MATCHED
    )
    return distance, -agreed, file.get("session") != planning.session


def _best(planning: Planning, edges: list[Edge]) -> list[Edge]:
    """Keep of the transforms between two places those of the best rank, forward ones first."""
    best: dict[tuple[Frame, Frame], Edge] = {}
    for edge in edges:
        known = best.get((edge.start, edge.end))
        if known is None or (edge.inverted, edge.rank) < (known.inverted, known.rank):
            best[edge.start, edge.end] = edge
    return list(best.values())


def _check_one(planning: Planning, legs: tuple[Edge, ...], edges: list[Edge]) -> None:
    """Refuse a route if others of the same rank answer for one of its transforms."""
    for leg in legs:
        same = [
            edge.file.named
            for edge in edges
            if (edge.start, edge.end, edge.inverted, edge.rank)
            == (leg.start, leg.end, leg.inverted, leg.rank)
        ]
        if len(same) > 1:
            raise AmbiguousInputError(
                f"{planning.label}: {len(same)} transforms answer for one "
                f"({' and '.join(same[:3])}); choose with --bids-filter-file."
            )


def _shortest(start: Frame, edges: list[Edge], visit: VisitPlan) -> tuple[Edge, ...] | None:
    """Find the shortest way to the reference; one that ends at the other image is a leg longer."""
    goals = {RAW[visit.reference]: 0.0}
    if leads_on(visit):
        goals[RAW[visit.other_name]] = LEG
    number = count()
    waiting: list[tuple[float, int, Frame, tuple[Edge, ...], bool]] = [
        (0.0, next(number), start, (), False)
    ]
    done: set[Frame] = set()
    while waiting:
        cost, _, here, legs, is_end = heappop(waiting)
        if is_end:
            return legs
        if here in done:
            continue
        done.add(here)
        if here in goals:
            heappush(waiting, (cost + goals[here], next(number), here, legs, True))
        for edge in edges:
            if edge.start == here and edge.end not in done:
                further = cost + LEG + BACKWARDS * edge.inverted
                heappush(waiting, (further, next(number), edge.end, (*legs, edge), False))
    return None


def leads_on(visit: VisitPlan) -> bool:
    """Tell whether the T1w or FLAIR that is not the reference is brought to it linearly."""
    given = visit.other_transform
    if visit.other_anatomical is None or given is None:
        return False
    return not (isinstance(given, Given) and given.bends)
