"""What JSON files say that given files were made from: another person's images, or visit's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wmhflow.bids.query import FoundFile
from wmhflow.bids.sidecars import read_sidecar
from wmhflow.errors import InputError
from wmhflow.plan.judging_maps import NOTHING_SAMPLED
from wmhflow.plan.visit import UNUSABLE, Decision, Given, VisitPlan

# Fields in which BIDS names what a file was made from, or what it lies on.
NAMING = ("Sources", "RawSources", "SpatialReference", "BasedOn")
PERSON, VISIT = re.compile(r"\bsub-([a-zA-Z0-9+]+)"), re.compile(r"\bses-([a-zA-Z0-9+]+)")


def judge_sources(visit: VisitPlan) -> Iterator[Decision]:
    """Refuse given files that were made of another person's images by what stands beside them.

    Parameters
    ----------
    visit
        A plan without a problem.

    Yields
    ------
    Decision
        One for each map that is another person's, which costs itself, and for what was made of
        another visit's images, which longitudinal programs do.

    Raises
    ------
    InputError
        If a mask, a parcellation or a transform is another person's.
    """
    for what, source in visit.parts.items():
        if isinstance(source, Given):
            fault = of_another_person(visit, source.file)
            if fault:
                raise InputError(fault)
            yield from _of_another_visit(visit, what, source.file)
    for entry in visit.maps:
        if isinstance(entry.values, Given):
            fault = of_another_person(visit, entry.file)
            if fault:
                yield Decision(entry.name, UNUSABLE, f"{NOTHING_SAMPLED}: {fault}")
            else:
                yield from _of_another_visit(visit, entry.name, entry.file)


def of_another_person(visit: VisitPlan, file: FoundFile) -> str | None:
    """Say that a file was made of another person of the dataset, if its JSON file says so.

    Parameters
    ----------
    visit
        Whose file it should be.
    file
        A given file.

    Returns
    -------
    str or None
        None also where the person that is named is none of the dataset, as where people were given
        other labels since.
    """
    people = visit.reference_file.root
    others = _others(PERSON, read_sidecar(file), visit.subject, people, "sub-")
    if not others:
        return None
    return (
        f"{file.path} was made from files of sub-{others[0]}, by its JSON file "
        f"({', '.join(NAMING[:2])} or {NAMING[2]}), and stands for sub-{visit.subject}; give the "
        "right file, or correct its JSON file."
    )


def _of_another_visit(visit: VisitPlan, what: str, file: FoundFile) -> Iterator[Decision]:
    if visit.session is None:
        return
    folder = visit.reference_file.root / f"sub-{visit.subject}"
    others = _others(VISIT, read_sidecar(file), visit.session, folder, "ses-")
    if others:
        why = f"{file.path.name} was made from files of ses-{others[0]} alone, by its JSON file"
        yield Decision(what, "note", f"{why}; look whether it is this visit's")


def _others(
    labels: re.Pattern[str], sidecar: dict[str, Any], own: str, root: Path, start: str
) -> list[str]:
    """List the labels in fields of a JSON file that name others alone, who are there."""
    found: list[str] = []
    for field in NAMING:
        texts = _texts(sidecar.get(field))
        named = list(dict.fromkeys(label for text in texts for label in labels.findall(text)))
        if own not in named:
            found += [label for label in named if (root / f"{start}{label}").is_dir()]
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
