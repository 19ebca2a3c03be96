"""The transforms that were given, and what is registered where none was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wmhflow.bids.naming import TEMPLATE
from wmhflow.bids.query import FoundFile
from wmhflow.core.align.plausible import matrix_fault
from wmhflow.errors import AmbiguousInputError, InputError
from wmhflow.files.inspection import ImageFacts, boxes_meet
from wmhflow.files.transforms import (
    TRANSFORM_EXTENSIONS,
    TransformFile,
    linear_matrix,
    program_of,
)
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
        check_place(planning, given, visit.other_anatomical, visit.reference_file)
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
            # a composite takes long to open, and is read when the visit's turn comes
            if given.path.suffix != ".h5":
                check_matrix(given.path, planning.transform(given).matrix)
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


def check_matrix(path: Path, matrix: NDArray[np.float64] | None) -> None:
    """Refuse a transform that can bring no two heads together.

    Parameters
    ----------
    path
        Its file, for the message.
    matrix
        Points to points, RAS mm; None if it is not linear.

    Raises
    ------
    InputError
        If it is not finite, flat, mirrored, or scales as no two heads differ.
    """
    fault = None if matrix is None else matrix_fault(matrix)
    if fault:
        raise InputError(f"{path} {fault}; give the transform as its program wrote it.")


def check_place(planning: Planning, given: FoundFile, moving: FoundFile, fixed: FoundFile) -> None:
    """Refuse a linear transform that its numbers, or the images' headers, show to be none of these.

    Parameters
    ----------
    planning
        The visit's.
    given
        The transform.
    moving, fixed
        The image that it moves, and the one that it leads to.

    Raises
    ------
    InputError
        As :func:`check_matrix`; or if it takes the one image out of the field of view of the other.
    """
    if not planning.transform(given).is_linear:
        return
    # headers that cannot be read are refused here
    ours, theirs = planning.facts(fixed), planning.facts(moving)
    trust = planning.settings.inputs.trust
    matrix = linear_matrix(given.path, moving.path, fixed.path, trust)
    check_matrix(given.path, matrix)
    if _meet(matrix, theirs, ours):
        return
    turned = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    other = " Its inverse brings them together: give that." if _meet(turned, theirs, ours) else ""
    raise InputError(
        f"{given.path} takes {moving.path} out of the field of view of {fixed.path}; give the "
        f"transform between these two images.{other}"
    )


def _meet(matrix: NDArray[np.float64], moving: ImageFacts, fixed: ImageFacts) -> bool:
    """Tell whether fields of view meet through a matrix from points of fixed to those of moving."""
    return boxes_meet(replace(moving, affine=np.linalg.inv(matrix) @ moving.affine), fixed)


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


def check_linear(
    planning: Planning, visit: VisitPlan, given: FoundFile, file: FoundFile
) -> TransformFile:
    """Refuse a map's transform that is not linear: maps are sampled in their own grid.

    Parameters
    ----------
    planning, visit
        The visit's.
    given
        The transform.
    file
        The map.

    Raises
    ------
    InputError
        If it is not linear, or as :func:`check_place`.
    """
    read = planning.transform(given)
    if not read.is_linear:
        raise InputError(
            f"{given.path} is not linear ({', '.join(read.parts)}), and a map is measured in its "
            "own grid, which only a linear transform brings to the reference; give the linear part "
            "alone, or the map resampled to the reference."
        )
    check_place(planning, given, file, visit.reference_file)
    return read
