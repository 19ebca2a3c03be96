"""The T1w and the FLAIR of a visit, and which of them is the reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wmhflow.bids.query import IMAGE_EXTENSIONS, NO_MAGNITUDES, FoundFile
from wmhflow.bids.scan import scan_person
from wmhflow.errors import AmbiguousInputError, InputError
from wmhflow.files.inspection import check_anatomical
from wmhflow.plan.context import Planning

RAW_SUFFIXES = ("T1w", "FLAIR")
# What stands beside images.
NO_IMAGES = (".json", ".tsv", ".txt")


def find_raw(planning: Planning, suffix: str) -> FoundFile | None:
    """Find the visit's one T1w or FLAIR, and judge it by its header.

    Parameters
    ----------
    planning
        The visit's.
    suffix
        ``T1w`` or ``FLAIR``.

    Raises
    ------
    AmbiguousInputError
        If several images answer that are no runs of one.
    InputError
        If it cannot be a head's.
    """
    found = planning.query.raw_images(
        suffix.lower(),
        planning.subject,
        session=planning.session,
        suffix=suffix,
        extension=list(IMAGE_EXTENSIONS),
    )
    if not found:
        why = "the raw dataset has none for this visit"
        planning.say(suffix, "missing", f"{why}{_other_formats(planning, suffix)}")
        return None
    chosen = _one_run(planning, suffix, found)
    facts = planning.facts(chosen)
    check_anatomical(facts)
    if facts.unit not in ("mm", "unknown"):
        why = f"its header's unit is {facts.unit}, but its affine is a head's in mm: read so"
        planning.say(suffix, "note", why)
    return chosen


def _other_formats(planning: Planning, *suffixes: str) -> str:
    """Name an image that would answer if it were NIfTI, or if it were called so."""
    for file in planning.query.raw.of(planning.subject):
        written, ending = str(file.get("suffix")), str(file.get("extension"))
        # T1 and t1w are meant for T1w
        names = {one: (one.lower(), one.lower().removesuffix("w")) for one in suffixes}
        meant = next((one for one, near in names.items() if written.lower() in near), None)
        if meant is None or ending.lower() in NO_IMAGES or not _is_of_visit(planning, file):
            continue
        if file.get("part") in NO_MAGNITUDES:
            return f" ({file.path.name} holds no magnitudes: give those, as part-mag)"
        if ending.lower() not in IMAGE_EXTENSIONS:
            return f" ({file.path.name} is no file of NIfTI, .nii or .nii.gz: convert it)"
        if (written, ending) != (meant, ending.lower()):
            called = f"…_{meant}{ending.lower()}"
            return f" ({file.path.name} is not read: call it {called}, if it is the {meant})"
    return ""


def _is_of_visit(planning: Planning, file: FoundFile) -> bool:
    return file.get("session") == planning.session


def _misplaced(planning: Planning) -> str:
    """Name an image in the person's folders whose name does not begin as these are called."""
    others: list[Path] = []
    root = planning.query.raw.root
    scan_person(root, planning.subject, others=others)
    for path in sorted(others):
        suffix = path.name.split(".", maxsplit=1)[0].rpartition("_")[2]
        if suffix in RAW_SUFFIXES and path.name.endswith(IMAGE_EXTENSIONS):
            inside = path.relative_to(root)
            named = [part for part in inside.parts[:-1] if part.startswith(("sub-", "ses-"))]
            return f" ({inside} is not read: its name has to begin with {'_'.join(named)}_)"
    return ""


def _one_run(planning: Planning, what: str, found: Sequence[FoundFile]) -> FoundFile:
    """Take the first run; anything else that differs is the user's to decide."""

    def without_run(file: FoundFile) -> dict[str, Any]:
        ignored = ("run", "extension")
        return {key: value for key, value in file.entities.items() if key not in ignored}

    if any(without_run(file) != without_run(found[0]) for file in found):
        names = " and ".join(file.path.name for file in found[:3])
        raise AmbiguousInputError(
            f"{planning.label}: {len(found)} images answer for one {what} ({names}); "
            "choose with --bids-filter-file."
        )
    runs = sorted(found, key=lambda file: int(file.get("run") or 0))
    if len({file.get("run") for file in runs}) < len(runs):
        raise AmbiguousInputError(
            f"{planning.label}: {runs[0].path.name} and {runs[1].path.name} are two files for one "
            f"{what}; remove one."
        )
    why = runs[0].path.name
    if len(runs) > 1:
        why += f", the first of {len(runs)} runs (choose another with --bids-filter-file)"
    planning.say(what, "found", why)
    return runs[0]


def choose_reference(planning: Planning, t1w: FoundFile | None, flair: FoundFile | None) -> str:
    """Choose the image whose grid holds all label images.

    Parameters
    ----------
    planning
        The visit's.
    t1w, flair
        What there is.

    Raises
    ------
    InputError
        If there is neither, or not the one that ``--reference`` demands.
    """
    wanted = planning.settings.anatomy.reference
    if t1w is None and flair is None:
        raise InputError(
            f"{planning.label} has no T1w and no FLAIR image in {planning.query.raw.root}"
            f"{_other_formats(planning, *RAW_SUFFIXES) or _misplaced(planning)}; "
            "one of them is needed as the reference."
        )
    present = {"T1w": t1w, "FLAIR": flair}
    if wanted != "auto":
        if present[wanted] is None:
            raise InputError(f"{planning.label} has no {wanted} image, which --reference demands.")
        planning.say("reference", "chosen", f"{wanted} (--reference)")
        return wanted
    chosen = "T1w" if t1w is not None else "FLAIR"
    planning.say("reference", "chosen", f"{chosen}" + ("" if t1w else ", there is no T1w"))
    return chosen
