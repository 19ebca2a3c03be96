"""The transforms that were given, and what is registered where none was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wmhflow.bids.naming import TEMPLATE
from wmhflow.bids.query import FoundFile
from wmhflow.core.align.plausible import matrix_fault
from wmhflow.errors import AmbiguousInputError, InputError
from wmhflow.files.chains import chain_matrix
from wmhflow.files.fields import is_field_image
from wmhflow.files.inspection import ImageFacts, boxes_meet, holds_middle
from wmhflow.files.transforms import TRANSFORM_EXTENSIONS, TransformFile, program_of
from wmhflow.plan.context import Planning
from wmhflow.plan.named import named_transform
from wmhflow.plan.routes import disagreement, has_inverse
from wmhflow.plan.visit import Computed, Given, Source, VisitPlan
from wmhflow.registries.spaces import T1W, labels_of

ITERATED = "a field of displacements, inverted here by iteration"


def find_transform(
    planning: Planning, source: str, target: str, moving: FoundFile | None = None
) -> FoundFile | None:
    """Find the one transform between two places.

    Parameters
    ----------
    planning
        The visit's; gets a note for one that leads to or from another T1w than the raw one.
    source, target
        Where it leads from and to: ``T1w``, ``FLAIR`` or the template.
    moving
        The image that it moves: a transform of another run or acquisition is none of it.

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
            **{"from": _labels(source), "to": _labels(target)},
            extension=list(TRANSFORM_EXTENSIONS),
        )
    )
    planning.unclear.update(planning.spaces.foreign)
    found = [file for file in found if file.path not in planning.spaces.foreign]
    if moving is not None:
        found = [file for file in found if disagreement(file, moving) is None]
    found = [file for file in found if not _of_another_t1w(planning, file, (source, target))]
    if len(found) > 1:
        names = " and ".join(file.named for file in found[:3])
        raise AmbiguousInputError(
            f"{planning.label}: {len(found)} transforms answer for one "
            f"({names}); choose with --bids-filter-file."
        )
    return found[0] if found else None


def _labels(place: str) -> list[str]:
    """List what a place is called; the template has one name."""
    return list(labels_of(place)) or [place]


def _of_another_t1w(planning: Planning, file: FoundFile, ends: tuple[str, str]) -> bool:
    why = planning.spaces.whose(file) if T1W in ends else None
    if why:
        planning.say("transform", "note", f"{file.named} is not used: {why}")
    return why is not None


def given_transform(file: FoundFile, read: TransformFile) -> Given:
    """State that a transform is taken as it is, or converted: another program's, or an image."""
    convert = read.program != "ITK" or is_field_image(file.path)
    return Given(file, convert=convert, bends=not read.is_linear)


def between_images(planning: Planning, visit: VisitPlan) -> Source | None:
    """Decide how the T1w or FLAIR that is not the reference is brought to it."""
    if visit.other_anatomical is None:
        return None
    name, what = visit.other_name, f"{visit.other_name} to {visit.reference}"
    given = named_transform(planning, name) or _found_between(planning, visit)
    if given:
        check_place(
            planning, given.file, visit.other_anatomical, visit.reference_file, given.inverted
        )
        read = planning.transform(given.file)
        kind = "" if read.is_linear else ", which is not linear"
        if given.bends and given.inverted:
            kind = f", {ITERATED}"
        how = f"the inverse of {given.file.named}" if given.inverted else given.file.named
        planning.say(what, "found", f"{how} ({read.program}){kind}")
        return given
    planning.say(what, "computed", "rigid registration; no transform is given")
    return Computed("register_rigid")


def _found_between(planning: Planning, visit: VisitPlan) -> Given | None:
    """Find the transform of the image that is not the reference, or one whose inverse is known."""
    found = find_transform(planning, visit.other_name, visit.reference, visit.other_anatomical)
    if found:
        return given_transform(found, planning.transform(found))
    back = find_transform(planning, visit.reference, visit.other_name, visit.other_anatomical)
    if back is None:
        return None
    read = planning.transform(back)
    if read.is_linear or has_inverse(read):
        return Given(back, convert=True, inverted=True, bends=not read.is_linear)
    why = f"{back.path.name} is not used: it is not linear, so that its inverse is not known"
    planning.say("transform", "note", why)
    return None


def to_template(planning: Planning, visit: VisitPlan) -> tuple[Source, Source]:
    """Decide how the reference is brought to the template, and how one gets back."""
    forward = find_transform(planning, visit.reference, TEMPLATE)
    inverse = find_transform(planning, TEMPLATE, visit.reference)
    what = f"{visit.reference} to template"
    if forward and inverse:
        for given in (forward, inverse):
            _check_itk(given)
            # a composite takes long to open, and is read when the visit's turn comes
            if given.path.suffix != ".h5":
                check_matrix(given.path, planning.transform(given).matrix)
        planning.say(what, "found", f"{forward.named} and {inverse.named}")
        return _to_template(forward), _to_template(inverse)
    if forward and _leads_back(planning, forward):
        planning.say(what, "found", f"{forward.named}, and back by its inverse: {ITERATED}")
        return _to_template(forward), Given(forward, convert=True, inverted=True, bends=True)
    why = f"no transform is given{_to_other_templates(planning)}{_of_other(planning, visit)}"
    if forward or inverse:
        why = "only one direction is given, and both are needed"
    planning.say(what, "computed", f"affine and SyN to {TEMPLATE}; {why}")
    computed = Computed("register_to_template")
    return computed, computed


def _to_template(file: FoundFile) -> Given:
    is_image = is_field_image(file.path)
    return Given(file, convert=is_image, bends=is_image)


def _leads_back(planning: Planning, forward: FoundFile) -> bool:
    """Tell whether the way back from the template can be found; of a matrix alone none is."""
    _check_itk(forward)
    read = planning.transform(forward)
    if read.is_linear or not has_inverse(read):
        return False
    check_inverse(read)
    return True


def _of_other(planning: Planning, visit: VisitPlan) -> str:
    """Name a transform of the image that is not the reference, and what to give in its place."""
    if visit.other_anatomical is None:
        return ""
    given = find_transform(planning, visit.other_name, TEMPLATE)
    if given is None:
        return ""
    return (
        f" ({given.named} leads there from the {visit.other_name}, and is not composed with that "
        f"between the images: give from-{visit.reference}_to-{TEMPLATE} and its inverse, or choose "
        f"--reference {visit.other_name})"
    )


def _to_other_templates(planning: Planning) -> str:
    """Say which other templates transforms lead to, which cannot stand for that one."""
    labels = {str(file.get(end)) for file in planning.spaces.transforms for end in ("from", "to")}
    others = sorted(label for label in labels if label.startswith("MNI") and label != TEMPLATE)
    return f" (those of {', '.join(others)} are of another template)" if others else ""


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


def check_place(
    planning: Planning,
    given: FoundFile,
    moving: FoundFile,
    fixed: FoundFile,
    inverted: bool = False,
) -> None:
    """Refuse a linear transform that its numbers, or the images' headers, show to be none of these.

    Parameters
    ----------
    planning
        The visit's.
    given
        The transform.
    moving, fixed
        The image that it moves, and the one that it leads to.
    inverted
        Whether its inverse is meant.

    Raises
    ------
    InputError
        As :func:`check_matrix`; if it has no inverse and that is meant; or if it takes the one
        image out of the field of view of the other.
    """
    read = planning.transform(given)
    if not read.is_linear:
        if inverted:
            check_inverse(read)
        return
    # headers that cannot be read are refused here
    ours, theirs = planning.facts(fixed), planning.facts(moving)
    # many maps lie on one grid and share a transform
    grid = (theirs.shape, theirs.affine.tobytes())
    if planning.is_known_in_place(given, inverted, fixed, grid):
        return
    trust = planning.settings.inputs.trust
    ends = (moving.path, fixed.path, trust)
    matrix = chain_matrix([given.path], [inverted], *ends, planning.transform_at)
    check_matrix(given.path, matrix)
    if _meet(matrix, theirs, ours):
        planning.note_in_place(given, inverted, fixed, grid)
        return
    turned = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    other = " Its inverse brings them together: give that." if _meet(turned, theirs, ours) else ""
    raise InputError(
        f"{given.path} takes {moving.path} out of the field of view of {fixed.path}; give the "
        f"transform between these two images.{other}"
    )


def check_inverse(read: TransformFile) -> None:
    """Refuse a transform that is not linear where its inverse is needed and cannot be found.

    Parameters
    ----------
    read
        What its file holds.

    Raises
    ------
    InputError
        If it is of other kinds than fields of displacements and matrices, in a file that holds no
        field, or has a matrix as :func:`check_matrix` refuses.
    """
    if not has_inverse(read):
        raise InputError(
            f"{read.path} is not linear ({', '.join(read.parts)}), and its inverse is needed, "
            "which is found of fields of displacements alone; give the transform of the other "
            "direction, or images resampled to the reference."
        )
    for make in read.matrices:
        if make is not None:
            check_matrix(read.path, make())


def _meet(matrix: NDArray[np.float64], moving: ImageFacts, fixed: ImageFacts) -> bool:
    """Tell whether fields of view meet through a matrix from points of fixed to those of moving."""
    if holds_middle(moving, matrix, fixed):
        return True
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
