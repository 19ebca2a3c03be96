"""Tissues and lobes: from a parcellation that was given, from the images, or from an atlas."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from wmhflow.bids.naming import TEMPLATE
from wmhflow.bids.query import LABEL_EXTENSIONS, FoundFile
from wmhflow.errors import AmbiguousInputError, InputError
from wmhflow.files.images import load_volume
from wmhflow.files.streams import open_file
from wmhflow.files.values import has_parcels, present_codes
from wmhflow.labels.foreign import side_of_name
from wmhflow.labels.freesurfer import load_freesurfer_codes
from wmhflow.plan.atlases import LOBES_ATLAS, AtlasPlan
from wmhflow.plan.choice import named
from wmhflow.plan.context import Planning, choose_native
from wmhflow.plan.scans import check_scan
from wmhflow.plan.visit import UNUSABLE, Computed, Given, Source, VisitPlan

PARCELLATION_ORDER = (
    *("aparcaseg", "aparcasegdkt", "aparcDKTaseg", "synthseg", "SynthSeg", "aseg", "samseg"),
)
# Whether a parcellation of this name has parcels of the cortex; SynthSeg makes both kinds.
HAS_PARCELS = {
    "aparcaseg": True, "aparcasegdkt": True, "aparcDKTaseg": True, "aseg": False, "samseg": False,
}  # fmt: skip
SIDES = ("L", "R")
SEGMENTATION_ENTITIES = {"segmentation": "seg", "desc": "desc"}


def find_tissues(planning: Planning, visit: VisitPlan) -> Source:
    """Find the one parcellation that tissues and ventricles are read from, the best named first.

    Parameters
    ----------
    planning
        The visit's.
    visit
        What is decided so far.
    """
    files = planning.query.derived(
        "parcellation",
        planning.subject,
        suffix="dseg",
        atlas=None,
        extension=list(LABEL_EXTENSIONS),
    )
    files = planning.of_visit([file for file in files if _kind(file)])
    ranks = {file.path: _rank(file) for file in files}
    given = None
    for rank in sorted(set(ranks.values())):
        same = [file for file in files if ranks[file.path] == rank]
        if given is None:
            given = _choose(planning, visit, same)
            continue
        for file in same:
            why = f"{file.named} is ignored: {given.file.named} goes before it"
            planning.say("parcellation", "note", why)
    if given is None and files:
        why = f"{named(files)} cannot be used, as said above; tissues and ventricles are computed"
        planning.say("parcellation", UNUSABLE, why)
    if given is None:
        planning.say("parcellation", "missing", "tissues and ventricles are computed")
        return Computed("segment_tissue")
    check_scan(planning, "parcellation", visit, given.file, given.space)
    name = given.file.named
    planning.say("parcellation", "found", f"{name} in {given.space} space (FreeSurfer codes)")
    return given


def _choose(planning: Planning, visit: VisitPlan, files: Sequence[FoundFile]) -> Given | None:
    """Choose the one that lies in a native space; one that lies nowhere costs only itself.

    Of two with the same voxels, as two producers make them from one FreeSurfer run, either is it.
    """
    placed = []
    for file in files:
        if file.get("space") is None:
            # a header that cannot be used is refused, as that of any image
            planning.facts(file)
        try:
            given = choose_native(planning, "parcellation", visit, [file])
        except InputError as error:
            if file.get("space") is not None:
                raise
            planning.say("parcellation", "not used", str(error))
        else:
            placed += [] if given is None else [given]
    best = [one for one in placed if one.space == visit.reference] or placed
    if len(best) > 1 and all(_are_one(best[0].file, one.file) for one in best[1:]):
        for one in best[1:]:
            why = f"{one.file.named} holds the same as {best[0].file.named}"
            planning.say("parcellation", "note", why)
        best = best[:1]
    if len(best) > 1:
        raise AmbiguousInputError(
            f"{planning.label}: {len(best)} files answer for one parcellation "
            f"({named([one.file for one in best])}); choose with --bids-filter-file."
        )
    return best[0] if best else None


def _are_one(one: FoundFile, other: FoundFile) -> bool:
    (first, place), (second, other_place) = (load_volume(file.path) for file in (one, other))
    return np.array_equal(first, second) and np.allclose(place, other_place, atol=1e-3)


def _rank(file: FoundFile) -> tuple[int, bool]:
    """Return the place of a parcellation; one that BIDS names goes before FreeSurfer's own file."""
    return PARCELLATION_ORDER.index(str(_kind(file))), bool(file.kind and file.kind.names)


def is_parcellation(file: FoundFile) -> bool:
    """Tell whether a file is called as a parcellation, of whatever kind it is."""
    return file.get("suffix") == "dseg" and not file.get("atlas") and _kind(file) is not None


def _kind(file: FoundFile) -> str | None:
    """Return the name of a parcellation that is known, which ``seg`` or ``desc`` holds."""
    names = (file.get(entity) for entity in SEGMENTATION_ENTITIES)
    return next((name for name in names if name in PARCELLATION_ORDER), None)


def lay_atlases(planning: Planning) -> tuple[AtlasPlan, ...]:
    """Say which atlases are laid over the person."""
    for atlas in planning.atlases.asked:
        how = f"on {atlas.template}"
        if atlas.bridge is not None:
            image = "its own labels" if atlas.by_labels else atlas.bridge.name
            how += f", registered to {TEMPLATE} by {image}"
        what = "; ".join([f"{atlas.path.name}, {len(atlas.regions)} regions, {how}", *atlas.notes])
        planning.say(f"atlas {atlas.name}", "found", what)
    return planning.atlases.asked


def with_lobes(planning: Planning, visit: VisitPlan) -> VisitPlan:
    """Say where lobes come from: the parcels of the cortex, given or of an atlas.

    Parameters
    ----------
    planning
        The visit's.
    visit
        What is decided so far.
    """
    given = visit.parcellation
    if given and promises_parcels(given.file):
        planning.say("lobes", "found", f"cortical parcels of {given.file.named}")
        return replace(visit, lobes="parcellation")
    try:
        atlas = planning.atlases.for_lobes
    except InputError as error:
        # nobody asked for it: the person goes on without lobes
        planning.say("lobes", "missing", f"the atlas {LOBES_ATLAS} cannot be used: {error}")
        _say_crosses_without_lobes(planning)
        return visit
    if atlas is not None:
        planning.say("lobes", "computed", f"from the atlas {atlas.name}, laid over the cortex")
        return replace(visit, lobes=atlas.name, lobes_atlas=atlas)
    planning.say(
        "lobes",
        "missing",
        "a parcellation with the parcels of the cortex would give lobes and the bullseye, or "
        f"the atlas {LOBES_ATLAS} ('wmhflow atlas fetch {LOBES_ATLAS}')",
    )
    _say_crosses_without_lobes(planning)
    return visit


def _say_crosses_without_lobes(planning: Planning) -> None:
    for pair in planning.settings.regions.cross:
        if {"lobes", "bullseye"} & set(pair):
            why = f"{':'.join(pair)} needs lobes; its rows are left out"
            planning.say("cross", "missing", why)


def promises_parcels(file: FoundFile) -> bool:
    """Tell whether a parcellation has parcels of the cortex, without its voxels where possible.

    Its name says so, or the table that names its labels, beside it or at the dataset's root. Where
    neither does, its voxels are read. A visit's first step finds out whether the promise is kept.

    Parameters
    ----------
    file
        A parcellation of one of the known names.
    """
    kind = _kind(file)
    if kind in HAS_PARCELS:
        return HAS_PARCELS[kind]
    for table in tables_of(file):
        codes = frozenset(_named_codes(table))
        if codes:
            return has_parcels(codes)
    return has_parcels(present_codes(file.path))


def tables_of(file: FoundFile) -> list[Path]:
    """List where a table that names a parcellation's labels may lie, the nearest first.

    Parameters
    ----------
    file
        A parcellation of one of the known names.
    """
    kind = _kind(file)
    beside = file.path.with_name(file.path.name.removesuffix(str(file.get("extension"))) + ".tsv")
    at_root = [
        file.root / f"{short}-{file.get(entity)}_dseg.tsv"
        for entity, short in SEGMENTATION_ENTITIES.items()
        if file.get(entity) == kind
    ]
    return [beside, *at_root]


def check_named_sides(file: FoundFile) -> None:
    """Refuse a parcellation whose own table gives a FreeSurfer code to the other side.

    Parameters
    ----------
    file
        A parcellation of one of the known names.

    Raises
    ------
    InputError
        With the table, the number and both names.
    """
    known = load_freesurfer_codes()
    table = next((one for one in tables_of(file) if _named_codes(one)), None)
    for code, name in _named_codes(table).items() if table is not None else ():
        meant = known.get(code)
        if meant is None or meant.hemisphere not in SIDES:
            continue
        if side_of_name(name) in SIDES and side_of_name(name) != meant.hemisphere:
            raise InputError(
                f"{file.path} is read by FreeSurfer's codes, where {code} is {meant.name}, and "
                f"{table} calls it {name}; give a parcellation with FreeSurfer's codes, or mend "
                "the table."
            )


@lru_cache(maxsize=16)
def _named_codes(table: Path) -> Mapping[int, str]:
    """Return the names that a table of labels gives to codes; none if it is no such table."""
    try:
        with open_file(table) as stream:
            lines = stream.read().decode("utf-8-sig").splitlines()
            rows = csv.DictReader(lines, delimiter="\t")
            return {int(row["index"]): str(row.get("name") or "") for row in rows}
    except (OSError, InputError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError):
        # the voxels will tell
        return {}
