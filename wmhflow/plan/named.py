"""Transforms that the user names: ``--transform FA=PATH``."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from wmhflow.bids.query import FoundFile
from wmhflow.errors import InputError, UsageError
from wmhflow.files.fields import is_field_image
from wmhflow.plan.context import Planning
from wmhflow.plan.visit import Given, VisitPlan
from wmhflow.registries.maps import MapDefinition
from wmhflow.settings import NamedTransform


def check_named(transforms: Collection[NamedTransform], maps: Mapping[str, MapDefinition]) -> None:
    """Refuse transforms of what there is not.

    Parameters
    ----------
    transforms
        Of ``--transform``.
    maps
        The registry of maps; one that is there once per tracer is called after it, too.

    Raises
    ------
    UsageError
        If a name is neither a map's nor T1w nor FLAIR, or stands there twice.
    """
    names = [one.name for one in transforms]
    known = {*maps, "T1w", "FLAIR"}
    for name in names:
        of_tracer = any(one.per and name.startswith(one.name) for one in maps.values())
        if name not in known and not of_tracer:
            near = [one for one in sorted(known) if one.lower() == name.lower()]
            meant = f"{near[0]} seems to be meant" if near else f"known are {_listed(known)}"
            raise UsageError(f"--transform {name}=…: there is no map {name}; {meant}.")
        if names.count(name) > 1:
            raise UsageError(f"--transform names {name} twice; give one transform of it.")


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names, key=str.lower))


def named_transform(planning: Planning, name: str) -> Given | None:
    """Return the transform that the user named for an image, if any.

    Parameters
    ----------
    planning
        The visit's.
    name
        A map's, ``T1w`` or ``FLAIR``.

    Raises
    ------
    InputError
        If the visit has no such file, or it is no transform.
    """
    for one in planning.settings.inputs.transform:
        if one.name == name:
            path = one.of_visit(planning.subject, planning.session)
            # no pathlib: a text may be too long for a name
            if os.path.isdir(path):  # noqa: PTH112
                raise InputError(
                    f"{path}, which --transform {name} names, is a folder; give the file in it."
                )
            if not os.path.isfile(path):  # noqa: PTH113
                raise InputError(
                    f"{planning.label} has no {path}, which --transform {name} names; give it, or "
                    "leave the person out."
                )
            found = _as_found(planning, path, one)
            read = planning.transform(found)
            anew = one.inverted or read.program != "ITK" or is_field_image(path)
            bends = not read.is_linear
            return Given(found, convert=anew, inverted=one.inverted, bends=bends)
    return None


def say_unused(planning: Planning, visit: VisitPlan) -> None:
    """Note the transforms that the user named and that the visit has no use for.

    Parameters
    ----------
    planning
        The visit's.
    visit
        Its plan, with its maps.
    """
    used = {entry.name for entry in visit.maps}
    if visit.other_anatomical is not None:
        used.add(visit.other_name)
    for one in planning.settings.inputs.transform:
        if one.name not in used:
            is_reference = one.name == visit.reference
            why = "is the reference" if is_reference else "is not among the visit's images"
            planning.say("transform", "note", f"--transform {one.name} is not used: it {why}")


def _as_found(planning: Planning, path: Path, named: NamedTransform) -> FoundFile:
    """Say in which dataset a file lies; one in none is named by the folder that persons share."""
    resolved = path.resolve()
    for dataset in (*planning.query.derivatives, planning.query.raw):
        if resolved.is_relative_to(dataset.root):
            return FoundFile(resolved, {}, dataset.name, dataset.root)
    return FoundFile(path, {}, named.dataset, named.folder)
