"""The transforms that were given, and what is registered where none was."""

from __future__ import annotations

from collections.abc import Iterable

from wmhflow.bids.naming import TEMPLATE
from wmhflow.bids.query import FoundFile
from wmhflow.errors import AmbiguousInputError, InputError
from wmhflow.files.transforms import TRANSFORM_EXTENSIONS, TransformFile, program_of
from wmhflow.plan.context import Planning
from wmhflow.plan.visit import Computed, Given, Source, VisitPlan


def find_transform(planning: Planning, sources: Iterable[str], target: str) -> FoundFile | None:
    """Find the one transform between two spaces.

    Parameters
    ----------
    planning
        The visit's.
    sources
        What the space that it leads from may be called.
    target
        The space that it leads to.

    Raises
    ------
    AmbiguousInputError
        If several answer.
    """
    found = planning.of_visit(
        planning.query.derived(
            "transform",
            planning.subject,
            suffix="xfm",
            **{"from": list(sources), "to": target},
            extension=list(TRANSFORM_EXTENSIONS),
        )
    )
    if len(found) > 1:
        names = " and ".join(file.path.name for file in found[:3])
        raise AmbiguousInputError(
            f"{planning.label}: {len(found)} transforms answer for one "
            f"({names}); choose with --bids-filter-file."
        )
    return found[0] if found else None


def given_transform(file: FoundFile, read: TransformFile) -> Given:
    """State that a transform is taken as it is, or converted if ITK cannot read it."""
    return Given(file, convert=read.program != "ITK")


def between_images(planning: Planning, visit: VisitPlan) -> Source | None:
    """Decide how the T1w or FLAIR that is not the reference is brought to it."""
    if visit.other_anatomical is None:
        return None
    name = visit.other_name
    given = find_transform(planning, [name], visit.reference)
    what = f"{name} to {visit.reference}"
    if given:
        read = planning.transform(given)
        kind = "" if read.is_linear else ", which is not linear"
        planning.say(what, "found", f"{given.path.name} ({read.program}){kind}")
        return given_transform(given, read)
    planning.say(what, "computed", "rigid registration; no transform is given")
    return Computed("register_rigid")


def to_template(planning: Planning, visit: VisitPlan) -> tuple[Source, Source]:
    """Decide how the reference is brought to the template, and how one gets back."""
    forward = find_transform(planning, [visit.reference], TEMPLATE)
    inverse = find_transform(planning, [TEMPLATE], visit.reference)
    what = f"{visit.reference} to template"
    if forward and inverse:
        for given in (forward, inverse):
            _check_itk(given)
        planning.say(what, "found", f"{forward.path.name} and {inverse.path.name}")
        return Given(forward), Given(inverse)
    why = "no transform is given"
    if forward or inverse:
        why = "only one direction is given, and both are needed"
    planning.say(what, "computed", f"affine and SyN to {TEMPLATE}; {why}")
    computed = Computed("register_to_template")
    return computed, computed


def _check_itk(given: FoundFile) -> None:
    """Refuse a transform to the template that ANTs cannot apply."""
    program = program_of(given.path)
    if program != "ITK":
        raise InputError(
            f"{given.path} is a transform of {program}, where one of ITK (.h5 or .txt) is "
            "needed between the reference and the template; convert it, or leave it out."
        )


def check_leads_back(planning: Planning, visit: VisitPlan) -> None:
    """Refuse a transform of the FLAIR without an inverse where priors need one.

    Raises
    ------
    InputError
        If it is not linear.
    """
    given = visit.other_transform
    if visit.reference != "T1w" or not isinstance(given, Given):
        return
    if planning.transform(given.file).is_linear:
        return
    raise InputError(
        f"{planning.label} needs WMH computed on the FLAIR's grid, and {given.file.path} is not "
        "linear, so that nothing leads back to it; give the WMH mask or a linear transform, or "
        "choose --reference FLAIR."
    )


def check_linear(planning: Planning, given: FoundFile) -> TransformFile:
    """Refuse a map's transform that is not linear: maps are sampled in their own grid.

    Raises
    ------
    InputError
        If it is not.
    """
    read = planning.transform(given)
    if not read.is_linear:
        raise InputError(
            f"{given.path} is not linear ({', '.join(read.parts)}), and a map is measured in its "
            "own grid, which only a linear transform brings to the reference; give the linear part "
            "alone, or the map resampled to the reference."
        )
    return read
