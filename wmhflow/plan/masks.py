"""Masks of lesions: white matter hyperintensities, given or computed, and infarcts."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wmhflow.bids.query import LABEL_EXTENSIONS, FoundFile
from wmhflow.errors import InputError
from wmhflow.files.values import present_codes
from wmhflow.plan.choice import named, without_never
from wmhflow.plan.context import Planning, choose_native
from wmhflow.plan.scans import check_scan
from wmhflow.plan.transforms import check_leads_back
from wmhflow.plan.unused import WMH_LABELS, check_lookalikes
from wmhflow.plan.visit import REFUSED, Computed, Given, Source, VisitPlan
from wmhflow.registries.mask_labels import find_mask_labels
from wmhflow.registries.segmenters import Segmenter, find_segmenter, segmenters_reading

INFARCT_LABELS = ("infarct", "Infarct", "stroke", "Stroke")
OTHER_LESIONS = ", or call a mask of infarcts or other lesions label-infarct"


def find_wmh(planning: Planning, visit: VisitPlan) -> Source:
    """Decide where WMH come from: the one mask that is given, a program, or the FLAIR.

    Parameters
    ----------
    planning
        The visit's.
    visit
        What is decided so far.

    Raises
    ------
    InputError
        If there is no mask, and nothing to compute one from or no leave to.
    """
    anatomy = planning.settings.anatomy
    given = None if anatomy.wmh_source == "compute" else _given_wmh(planning, visit)
    if given:
        if anatomy.wmh_command:
            why = "a given mask goes before it, unless --wmh-source compute says otherwise"
            planning.say("WMH", "note", f"--wmh-command is not used: {why}")
        return given
    if anatomy.wmh_source == "given":
        raise InputError(
            f"{planning.label} has no WMH mask in the derivative datasets, "
            "which --wmh-source given demands."
        )
    if anatomy.wmh_source == "auto":
        check_lookalikes(planning, visit, _infarcts(planning))
    why = "--wmh-source compute" if anatomy.wmh_source == "compute" else "no mask is given"
    if anatomy.wmh_command:
        return _by_program(planning, visit, anatomy.wmh_command, why)
    if visit.flair is None:
        planning.say("WMH", "missing", "no mask is given and there is no FLAIR to compute it from")
        raise InputError(
            f"{planning.label} has neither a WMH mask nor a FLAIR to compute one from; "
            "add one of them, or leave the person out."
        )
    check_leads_back(planning, visit)
    how = "outliers of the FLAIR from the person's own tissues, weighed by a network"
    planning.say("WMH", "computed", f"{how}; {why}")
    return Computed("segment_wmh")


def _given_wmh(planning: Planning, visit: VisitPlan) -> Given | None:
    found = _masks(planning, "wmh", {"label": list(WMH_LABELS)})
    # label-L and label-lesion are WMH unless the filter file says that they are infarcts
    infarcts = _infarcts(planning) if _names_infarcts(planning) else []
    mine = [file for file in found if file not in infarcts]
    asked = list(planning.query.filters.get("wmh", {}))
    mine, passed = without_never("WMH", mine, asked)
    for one in passed:
        planning.say("WMH", "note", f"{one.file.named} is ignored: {one.why}")
    given = _given_mask(planning, "WMH", visit, mine, OTHER_LESIONS)
    if given is None:
        return _labelled_wmh(planning, visit)
    meaning = find_mask_labels(planning.settings.anatomy.wmh_labels)
    return replace(given, labels=meaning.wmh, others=meaning.other)


def _labelled_wmh(planning: Planning, visit: VisitPlan) -> Given | None:
    """Take WMH from a segmentation of many labels, if its producer's has one of them."""
    entities = {"suffix": "dseg", "extension": list(LABEL_EXTENSIONS)}
    derived = planning.query.derived("wmh", planning.subject, **entities)
    offered = []
    for file in planning.of_visit([one for one in derived if one.kind and one.kind.labels]):
        labels = file.kind.labels if file.kind else ()
        if present_codes(file.path) & set(labels):
            offered.append(file)
        else:
            numbers = " and ".join(map(str, labels))
            planning.say("WMH", "note", f"{file.named} has no label {numbers}, which would be WMH")
    given = choose_native(planning, "WMH", visit, offered)
    if given is None or given.file.kind is None:
        return None
    check_scan(planning, "wmh", visit, given.file, given.space)
    labels = given.file.kind.labels
    numbers = " and ".join(map(str, labels))
    planning.say("WMH", "found", f"label {numbers} of {given.file.named} in {given.space} space")
    return replace(given, labels=labels)


def find_infarct(planning: Planning, visit: VisitPlan) -> Given | None:
    """Find the one mask of infarcts, if there is any: a file, or other lesions in the WMH mask.

    Parameters
    ----------
    planning
        The visit's.
    visit
        What is decided so far, WMH among it.

    Raises
    ------
    InputError
        If there are two masks of them.
    """
    given = _given_mask(planning, "infarct", visit, _infarcts(planning))
    meaning = find_mask_labels(planning.settings.anatomy.wmh_labels)
    other = meaning.other
    if not other or not isinstance(visit.wmh, Given) or visit.wmh.is_probability:
        return given
    name, numbers = visit.wmh.file.named, " and ".join(map(str, other))
    if given is not None:
        raise InputError(
            f"{planning.label} has infarcts or other lesions twice: {given.file.named}, and "
            f"label {numbers} of {name} (--wmh-labels); join them in one mask."
        )
    planning.say("infarct", "found", f"label {numbers} of {name}")
    return replace(visit.wmh, labels=other, others=meaning.wmh)


def find_mask(
    planning: Planning, what: str, visit: VisitPlan, labels: Sequence[str]
) -> Given | None:
    """Find the one mask of something else than WMH, if there is any.

    Parameters
    ----------
    planning
        The visit's.
    what
        What it is a mask of, also in the filter file.
    visit
        What is decided so far.
    labels
        What it may be called.

    Raises
    ------
    InputError
        If there are two.
    """
    is_named = "label" in planning.query.filters.get(what, {})
    found = _masks(planning, what, {} if is_named else {"label": list(labels)})
    return _given_mask(planning, what, visit, found)


def _names_infarcts(planning: Planning) -> bool:
    return "label" in planning.query.filters.get("infarct", {})


def _infarcts(planning: Planning) -> list[FoundFile]:
    wanted = {} if _names_infarcts(planning) else {"label": list(INFARCT_LABELS)}
    return _masks(planning, "infarct", wanted)


def _masks(planning: Planning, kind: str, wanted: Mapping[str, Any]) -> list[FoundFile]:
    """Find masks and probability images of one kind."""
    entities = {"suffix": ["mask", "probseg"], "extension": list(LABEL_EXTENSIONS)}
    return planning.of_visit(planning.query.derived(kind, planning.subject, **entities, **wanted))


def _given_mask(
    planning: Planning, what: str, visit: VisitPlan, found: Sequence[FoundFile], hint: str = ""
) -> Given | None:
    """Choose the one mask; probabilities serve where there is none."""
    for suffix in ("mask", "probseg"):
        same = [file for file in found if file.get("suffix") == suffix]
        given = choose_native(planning, what, visit, same, hint)
        if given:
            check_scan(planning, what, visit, given.file, given.space)
            planning.say(what, "found", f"{given.file.named} in {given.space} space")
            for file in (one for one in found if one.get("suffix") != suffix):
                planning.say(what, "note", f"{file.named} is passed over: there is a mask")
            return replace(given, is_probability=suffix == "probseg")
    if found and what != "WMH":
        # WMH are computed, or looked for in other files; of these there are no others
        planning.say(
            what, REFUSED,
            f"{named(found)} cannot be used: a mask of these lesions lies on the T1w or the FLAIR "
            "(space-T1w, space-FLAIR); give it there, or take it out of the dataset.",
        )  # fmt: skip
    return None


def _by_program(planning: Planning, visit: VisitPlan, command: str, why: str) -> Computed:
    """Let a program find the lesions: one of the registry, or a command line of the user's."""
    segmenter, image = find_segmenter(command), planning.settings.anatomy.segmenter_image
    inside = f", in the image {_image_name(image)}" if image else ""
    if segmenter is None:
        _check_command(planning, visit, command)
        program = shlex.split(command)[0]
        planning.say("WMH", "computed", f"by {program} (--wmh-command{inside}); {why}")
        # a path in an image is none of this machine's
        line = command if image else with_whole_path(command)
        return Computed("run_program", command=line, image=image)
    _check_reads(planning, visit, segmenter)
    known = f"by {segmenter.title} (--wmh-command {segmenter.name}{inside})"
    planning.say("WMH", "computed", f"{known}; {why}")
    return Computed("run_segmenter", command=segmenter.line, segmenter=segmenter, image=image)


def _image_name(image: str) -> str:
    return Path(image).name if Path(image).is_absolute() else image


def _check_command(planning: Planning, visit: VisitPlan, command: str) -> None:
    for name, image in (("t1w", visit.t1w), ("flair", visit.flair)):
        if f"{{{name}}}" in command and image is None:
            raise InputError(
                f"{planning.label} has no image for {{{name}}} of --wmh-command; "
                "add it, or leave the person out."
            )


def _check_reads(planning: Planning, visit: VisitPlan, segmenter: Segmenter) -> None:
    missing = [suffix for suffix in segmenter.reads if suffix not in visit.anatomical]
    if missing:
        others = segmenters_reading(visit.anatomical)
        instead = f" ({', '.join(others)})" if others else ""
        raise InputError(
            f"{planning.label} has no {' and no '.join(missing)}, which --wmh-command "
            f"{segmenter.name} reads; add it, choose a segmenter that does without{instead}, or "
            "leave the person out."
        )


def with_whole_path(command: str) -> str:
    """Name a program and its files by whole paths, since a step does not run where the user stands.

    Parameters
    ----------
    command
        As ``--wmh-command``.

    Returns
    -------
    str
        The same, with a program that is named by a path, and arguments that name a file by a path
        or with an ending (``seg.py``), named by whole paths; letter for letter where there is none
        to change, as the methods text quotes it.

    Examples
    --------
    >>> with_whole_path("/opt/tool '{flair}' {out}")
    "/opt/tool '{flair}' {out}"
    """
    words = shlex.split(command)
    program, *arguments = words
    whole = str(Path(program).absolute()) if "/" in program else program
    changed = [whole, *map(_whole_file, arguments)]
    return command if changed == words else shlex.join(changed)


def _whole_file(word: str) -> str:
    # no pathlib: a word may be a text too long for a name
    named = ("/" in word or os.path.splitext(word)[1]) and os.path.isfile(word)  # noqa: PTH113, PTH122
    return os.path.abspath(word) if named else word  # noqa: PTH100
