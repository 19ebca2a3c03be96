"""What the folders of ``-d`` hold and is not used: said, with the name that would be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import lru_cache

from wmhflow.bids.folders import INPUT_ENDINGS
from wmhflow.bids.query import LABEL_EXTENSIONS, Dataset, FoundFile
from wmhflow.bids.scan import belongs
from wmhflow.errors import InputError
from wmhflow.files.transforms import foreign_transform
from wmhflow.plan.choice import named, queries_of
from wmhflow.plan.context import NATIVE_SPACES, PARCELLATION, Planning
from wmhflow.plan.sessions import is_same_session
from wmhflow.plan.tissues import is_parcellation
from wmhflow.plan.visit import PASSED, REFUSED, UNUSABLE, Computed, VisitPlan
from wmhflow.registries.maps import MapDefinition
from wmhflow.registries.producers import (
    IMAGE_ENDINGS,
    UNREAD_ENDINGS,
    looks_like_wmh,
    recognise_name,
)
from wmhflow.registries.spaces import kind_of_space

MOST_NAMED = 4
# A person of a functional study has hundreds of images; what they might mean is not asked of all.
MOST_COMPARED = 50
# Two words are meant as one if so much of their letters agree.
NEAR = 0.7
PUT_IT = "put it into a folder sub-…"
WMH_NAME = "label-WMH_mask"
# What label- a mask of WMH may have.
WMH_LABELS = ("WMH", "WML", "lesion", "L")
PARCELLATION_NAME = "desc-aparcaseg_dseg"
# the longest first: .mif.gz before .gz
_OTHER_ENDINGS = sorted((*IMAGE_ENDINGS, *UNREAD_ENDINGS), key=len, reverse=True)


def check_lookalikes(planning: Planning, visit: VisitPlan, infarcts: Sequence[FoundFile]) -> None:
    """Refuse to compute WMH where there is a file that seems to be their mask.

    Parameters
    ----------
    planning, visit
        The visit's, for which no mask was taken.
    infarcts
        Masks of other lesions.

    Raises
    ------
    InputError
        With the files, and what to do.
    """
    others = {file.path for file in infarcts}
    files = [
        file
        for file in planning.query.given(planning.subject)
        if file.path not in others and _may_be_wmh(planning, file)
    ]
    untold = [
        f"{name} of {dataset.name} (whose it is cannot be told: {PUT_IT})"
        for dataset in planning.query.derivatives
        for name in _untold(dataset)
        if looks_like_wmh(name, None)
    ]
    if not files and not untold:
        return
    names = " and ".join([*([named(files)] if files else []), *untold[:2]])
    lacks = next((why for file in files if (why := _what_it_lacks(visit, file))), None)
    if lacks is not None:
        raise InputError(
            f"{planning.label} has no mask that is taken for WMH, and {names} may be one: {lacks}, "
            "or let WMH be computed all the same with --wmh-source compute."
        )
    why = next((f" ({why})" for file in files if (why := planning.unclear.get(file.path))), "")
    raise InputError(
        f"{planning.label} has no mask that is taken for WMH, and {names} may be one{why}: call it "
        f"…_space-FLAIR_{WMH_NAME} or …_space-T1w_{WMH_NAME}, or let WMH be computed all the same "
        "with --wmh-source compute."
    )


def _what_it_lacks(visit: VisitPlan, file: FoundFile) -> str | None:
    """Say why a file that is called as a mask of WMH is not taken; None if it is called otherwise.

    The sentence ends with what to do.
    """
    space = kind_of_space(file.get("space"))
    if not file.path.name.endswith(LABEL_EXTENSIONS):
        ending = str(file.get("extension") or file.path.suffix)
        return f"{ending} is not read; save it as .nii.gz"
    is_theirs = file.kind is not None and bool(file.kind.names)
    if not is_theirs and not _begins_as_its_folders(file):
        return f"{file.path.name} does not begin as its folders are called; rename it"
    if file.get("label") in WMH_LABELS and space in NATIVE_SPACES and space not in visit.anatomical:
        return f"it lies on the {space}, and {visit.label} has none; add the {space}"
    return None


def _begins_as_its_folders(file: FoundFile) -> bool:
    parts = file.path.relative_to(file.root).parts
    return not parts[0].startswith("sub-") or len(parts) == 1 or belongs(file.path, file.root)


def _may_be_wmh(planning: Planning, file: FoundFile) -> bool:
    label = str(file.get("label") or "").lower()
    # a file of another person's name in this person's folder is one of the two
    is_here = f"sub-{planning.subject}" in file.path.relative_to(file.root).parts
    is_mine = is_here or file.get("subject") == planning.subject
    is_mine = is_mine and _is_of_visit(planning, file)
    is_read = file.kind is not None and bool(file.kind.labels)
    if not is_mine or is_read or label in ("infarct", "stroke") or file.get("datatype") == "func":
        return False
    suffix = None if file.kind and file.kind.names else file.get("suffix")
    return looks_like_wmh(file.path.name, suffix)


def _is_of_visit(planning: Planning, file: FoundFile) -> bool:
    """Tell whether a file is this visit's, or no other's."""
    session, own = file.get("session"), planning.session
    # a file of another visit's name in this visit's folder is one of the two
    is_here = own is not None and f"ses-{own}" in file.path.relative_to(file.root).parts
    if is_here or is_same_session(session, own, planning.sessions):
        return True
    return not any(is_same_session(session, one, planning.sessions) for one in planning.sessions)


def say_left_over(
    planning: Planning, visit: VisitPlan, maps: Mapping[str, MapDefinition]
) -> list[str]:
    """Say of every folder of ``-d`` what in it is not used, and whether nothing is.

    Parameters
    ----------
    planning, visit
        The visit's, planned to its end.
    maps
        The registry of maps.

    Returns
    -------
    list of str
        The names of the folders of which something is used.
    """
    used = {file.dataset for file in visit.sources}
    paths = {file.path for file in visit.sources} | planning.considered | set(planning.unclear)
    for dataset in planning.query.derivatives:
        files = [
            file
            for file in dataset.of(planning.subject)
            if file.path.name.endswith((*INPUT_ENDINGS, "_xfm.txt"))
        ]
        left = [file for file in files if file.path not in paths and _is_of_visit(planning, file)]
        for file in files:
            if file.path in planning.unclear and file.path not in planning.considered:
                why = f"{file.named} is not used: {planning.unclear[file.path]}"
                planning.say(dataset.name, "note", why)
        if left:
            planning.say(dataset.name, "note", _listed(planning, left, maps))
        unread = [file for file in _unread(dataset, planning) if _nearest(planning, file, maps)]
        if unread:
            planning.say(dataset.name, "note", _listed_unread(unread))
        _say_unread(planning, visit, unread, maps)
        for file in dataset.of(planning.subject):
            foreign = foreign_transform(file.path.name)
            if foreign is not None and _is_of_visit(planning, file):
                planning.say(dataset.name, "note", f"{file.named} is not used: {foreign}")
        for name in _untold(dataset)[:1]:
            planning.say(dataset.name, "note", f"whose {name} is cannot be told: {PUT_IT}")
        if dataset.name not in used:
            planning.say(dataset.name, "warning", _nothing(planning, dataset, files))
    return sorted(used)


def _unread(dataset: Dataset, planning: Planning) -> Iterator[FoundFile]:
    """Go through images of a kind that is not read: a pair of files, or another program's."""
    for file in dataset.of(planning.subject):
        name = file.path.name
        is_other = name.lower().endswith((*IMAGE_ENDINGS, *UNREAD_ENDINGS))
        if is_other and not name.endswith(IMAGE_ENDINGS) and _is_of_visit(planning, file):
            yield _as_if_read(file)


def _as_if_read(file: FoundFile) -> FoundFile:
    """Return what a file would be were it an image that is read: fa.mif is called as fa.nii.gz."""
    name = str(file.path.relative_to(file.root))
    stem = next((name[: -len(end)] for end in _OTHER_ENDINGS if name.lower().endswith(end)), name)
    known = recognise_name(f"{stem}{IMAGE_ENDINGS[0]}")
    if known is None or not known[0].is_used:
        return file
    return replace(file, entities={**file.entities, **known[1]}, kind=known[0])


def _say_unread(
    planning: Planning,
    visit: VisitPlan,
    unread: Sequence[FoundFile],
    maps: Mapping[str, MapDefinition],
) -> None:
    """Say what a file would be in the place of, were it of a kind that is read: once for each."""
    there = {one.name: one for one in visit.maps}
    meant: dict[str, FoundFile] = {}
    for file in unread:
        if visit.parcellation is None and is_parcellation(file):
            meant.setdefault(PARCELLATION, file)
        for definition in maps.values():
            if any(_fits(file, query) for query in queries_of(definition)):
                meant.setdefault(definition.name, file)
    for what, file in meant.items():
        ending = file.get("extension") or file.path.suffix
        why = f"{file.named} is not used: {ending} is not read; save it as .nii.gz"
        if what not in there:
            planning.say(what, UNUSABLE, why)
        elif isinstance(there[what].values, Computed):
            planning.say(what, PASSED, f"{why}. The map is computed")


def _fits(file: FoundFile, query: Mapping[str, object]) -> bool:
    """Tell whether a file's name has what a query asks for, but for its ending."""
    return all(
        str(file.get(entity) or "") in [str(one or "") for one in
                                        (value if isinstance(value, list) else [value])]
        for entity, value in query.items()
        if entity != "extension"
    )  # fmt: skip


def _listed_unread(files: Sequence[FoundFile]) -> str:
    shown = ", ".join(sorted(file.path.name for file in files)[:MOST_NAMED])
    more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
    return f"not read: {shown}{more}; save as .nii.gz what is meant"


def _listed(
    planning: Planning, left: Sequence[FoundFile], maps: Mapping[str, MapDefinition]
) -> str:
    """Name the files of which another name would be read, then a few of the others."""
    meant = [file for file in left if file.kind is None or file.kind.is_used]
    compared = meant[:MOST_COMPARED]
    hints = {
        file.path: hint
        for file in compared
        if (hint := _nearest(planning, file, maps)) and hint not in file.path.name
    }
    first = sorted(meant, key=lambda file: (file.path not in hints, str(file.path)))
    shown = [
        file.path.name + (f" ({hints[file.path]} would be)" if file.path in hints else "")
        for file in first[:MOST_NAMED]
    ]
    more = len(left) - len(shown)
    if not shown:
        return f"{more} images that are no input are not used"
    return "not used: " + ", ".join(shown) + (f" and {more} more" if more else "")


def _nearest(planning: Planning, file: FoundFile, maps: Mapping[str, MapDefinition]) -> str | None:
    """Return the end of the name that a file's own seems to mean."""
    suffix = file.get("suffix")
    if suffix is None:
        return None
    if looks_like_wmh(file.path.name, suffix):
        return WMH_NAME
    if suffix == "dseg" and _likeness(file.get("desc") or file.get("segmentation"), "aparcaseg"):
        return PARCELLATION_NAME
    return _nearest_map(planning, file, maps)


def _nearest_map(
    planning: Planning, file: FoundFile, maps: Mapping[str, MapDefinition]
) -> str | None:
    """Return the end of the name of the map that is nearest; it is looked for once in a run."""
    known = planning.query.known
    if "asked" not in known:
        known["asked"] = sorted(
            {entity for one in maps.values() for query in one.queries for entity in query}
        )
    told = tuple(file.get(entity) for entity in known["asked"])
    if told not in known:
        best = max(_near_maps(file, maps), default=(0.0, ""))
        known[told] = best[1] or None
    found: str | None = known[told]
    return found


def _near_maps(file: FoundFile, maps: Mapping[str, MapDefinition]) -> Iterator[tuple[float, str]]:
    for query in (query for definition in maps.values() for query in queries_of(definition)):
        wanted = {
            entity: value if isinstance(value, list) else [value] for entity, value in query.items()
        }
        scores = [
            max(_likeness(file.get(entity), value) for value in values)
            for entity, values in wanted.items()
        ]
        if min(scores) > 0:
            first = {key: str(values[0] or "") for key, values in wanted.items()}
            told = [f"{key}-{value}" for key, value in first.items() if value and key != "suffix"]
            yield min(scores), "_".join([*told, first.get("suffix", "")])


def _likeness(value: object, wanted: object) -> float:
    if not value or not wanted:
        # absence is wanted, or there
        return 0.0 if value or wanted else 1.0
    return _word_likeness(str(value), str(wanted))


@lru_cache(maxsize=4096)
def _word_likeness(word: str, wanted: str) -> float:
    """Return how much of two words agrees; 0 if they are not near."""
    ratio = SequenceMatcher(None, word.lower(), wanted.lower()).ratio()
    return ratio if ratio >= NEAR else 0.0


def _nothing(planning: Planning, dataset: Dataset, files: Sequence[FoundFile]) -> str:
    """Say that nothing of a folder is used, and what may be the cause."""
    start = f"nothing in -d {dataset.name} is used"
    if not files:
        there = dataset.folders.labels() if dataset.folders else []
        some = f"; it has {', '.join(there[:3])}" if there else ""
        return f"{start}: it holds no image or transform of sub-{planning.subject}{some}"
    other = {str(file.get("session")) for file in files if not _is_of_visit(planning, file)}
    if other and not any(_is_of_visit(planning, file) for file in files):
        whose = "state no session" if other == {"None"} else f"are of ses-{min(other)}"
        return f"{start} for this visit: its files {whose}"
    held = f"{len(files)} file{'s' * (len(files) != 1)} of sub-{planning.subject}"
    whys = [one.why for one in planning.decisions if one.state == REFUSED]
    if any(str(file.path) in why for file in files for why in whys):
        return f"{start}: what it holds for sub-{planning.subject} is refused, as said"
    return f"{start}: it holds {held}, of which none is needed"


def _untold(dataset: Dataset) -> list[str]:
    return dataset.folders.untold() if dataset.folders else []
