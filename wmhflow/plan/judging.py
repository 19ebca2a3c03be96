"""What only voxels tell about the files of a visit, judged when its turn comes.

Planning believes names and headers. Before a visit's first real step its images are read to their
ends, and one that is not what its name says is refused with the sentence that a user needs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from wmhflow.core.align.plausible import field_fault, is_still
from wmhflow.core.checks.masks import HALF
from wmhflow.core.space.grids import apply_affine
from wmhflow.errors import InputError
from wmhflow.files.transforms import read_transform
from wmhflow.files.values import (
    ImageValues,
    LesionMask,
    check_contrast,
    check_freesurfer,
    check_parcels,
    check_two_images,
    check_two_masks,
    has_parcels,
    inspect_values,
    present_codes,
    read_lesions,
)
from wmhflow.plan.judging_fields import head_of, judge_fields, middle_of, taken_back
from wmhflow.plan.judging_maps import judge_maps
from wmhflow.plan.judging_sources import judge_sources
from wmhflow.plan.participant import sentence
from wmhflow.plan.tissues import check_named_sides
from wmhflow.plan.transforms import check_matrix
from wmhflow.plan.visit import (
    Composed,
    Decision,
    Given,
    ParticipantPlan,
    Source,
    VisitPlan,
)

NONE_LIES_NEAR = "no lesion lies near one"
EMPTY_MEANS = {"WMH": "volumes are 0 and samples n/a", "infarct": "nothing is kept out"}
# Points in the middle of the brain of any template called MNI152, RAS mm.
MIDDLE_OF_MNI = np.indices((5, 5, 5)).reshape(3, -1).T / 4 * np.array([70.0, 75, 60]) - np.array(
    [35.0, 55, 15]
)
log = logging.getLogger("wmhflow")


def judge_visit(visit: VisitPlan) -> tuple[Decision, ...]:
    """Read every file of a visit to its end, and refuse what cannot be used.

    Parameters
    ----------
    visit
        A plan without a problem.

    Returns
    -------
    tuple of Decision
        What is to be said and does not fail the visit; maps that cannot be used are among it.

    Raises
    ------
    InputError
        If an anatomical image, a mask, a parcellation or a transform is not what its name says.
    """
    # it knows compiled functions, whose folder is chosen after this module is imported
    from wmhflow.files.itk import check_whole

    notes = [*_judge_anatomical(visit), *_judge_parcellation(visit), *_judge_masks(visit)]
    notes += judge_sources(visit)
    notes += judge_maps(visit)
    given = (visit.other_transform, visit.forward, visit.inverse, *_of_maps(visit))
    # many maps share one
    for path in dict.fromkeys(one.file.path for one in given if isinstance(one, Given)):
        check_whole(path)
    notes += judge_fields(visit)
    return (*notes, *_judge_transforms(visit))


def _judge_transforms(visit: VisitPlan) -> Iterator[Decision]:
    """Refuse what the numbers of a given transform show to be none; those of maps are planned."""
    from wmhflow.files.itk import read_point_map

    fields: list[tuple[Source | None, bool]] = [(visit.inverse, True), (visit.forward, False)]
    if visit.other_anatomical is not None:
        fields.insert(0, (visit.other_transform, True))
    for given, leads_to_reference in fields:
        if not isinstance(given, Given):
            continue
        path = given.file.path
        read = read_transform(path)
        if read.program != "ITK":
            continue
        check_matrix(path, read.matrix)
        if given.bends and given.inverted:
            found = taken_back(path, head_of(visit.reference_file.path))
            if found is not None and found[1]:
                raise InputError(found[1])
        points = read_point_map([path])
        if points is None or points.displacements is None:
            # linear, or of a kind that ANTs knows alone
            continue
        if not given.inverted:
            for matrix in (points.before, points.after):
                check_matrix(path, matrix)
            middle = middle_of(visit.reference_file.path) if leads_to_reference else MIDDLE_OF_MNI
            fault = field_fault(points.displacements, apply_affine(points.before, middle))
            if fault:
                raise InputError(f"{path} {fault}; give the transform as its program wrote it.")
        if is_still(points.displacements):
            why = f"{path.name} has a field of displacements that are all 0: it moves nothing"
            yield Decision("transform", "note", why)


def _of_maps(visit: VisitPlan) -> Iterator[object]:
    for entry in visit.maps:
        one = entry.transform
        yield from one.legs if isinstance(one, Composed) else (one,)


def _judge_anatomical(visit: VisitPlan) -> Iterator[Decision]:
    read: list[ImageValues] = []
    for suffix, file in visit.anatomical.items():
        values = inspect_values(file.path)
        check_contrast(values)
        if values.n_nonfinite:
            why = f"{values.n_nonfinite} NaN or infinite voxels count as 0"
            yield Decision(suffix, "note", why)
        read.append(values)
    if len(read) > 1:
        check_two_images(*read)


def _judge_parcellation(visit: VisitPlan) -> Iterator[Decision]:
    given = visit.parcellation
    if given is None:
        return
    path = given.file.path
    codes = present_codes(path)
    check_freesurfer(path, codes)
    check_named_sides(given.file)
    if visit.lobes == "parcellation":
        check_parcels(path, codes)
    elif has_parcels(codes):
        why = f"{path.name} has parcels of the cortex, which its name does not say: not used"
        yield Decision("lobes", "note", f"{why} (seg-aparcaseg would say it)")


def _judge_masks(visit: VisitPlan) -> Iterator[Decision]:
    given = {"infarct": visit.infarct, "WMH": visit.wmh, **visit.others}
    read: dict[Path, LesionMask] = {}
    for what, source in given.items():
        if not isinstance(source, Given):
            continue
        name = source.file.path.name
        mask = read_lesions(
            source.file.path,
            is_probability=source.is_probability,
            labels=source.labels,
            others=source.others,
            union=what == "infarct",
        )
        for path, other in read.items():
            # labels of one file are different things
            if path != source.file.path:
                check_two_masks(other, mask, (path, source.file.path))
        read.setdefault(source.file.path, mask)
        for note in mask.reading.notes:
            yield Decision(what, "note", f"{name}: {note}")
        highest = float(mask.share.max(initial=0))
        if highest <= HALF:
            why = f" (no value is above {highest:.2g}, and from {HALF:g} on it counts)"
            empty = f"{name} is EMPTY{why if highest else ''}"
            yield Decision(what, "note", f"{empty}: {EMPTY_MEANS.get(what, NONE_LIES_NEAR)}")


def judged_visit(visit: VisitPlan) -> VisitPlan:
    """Return a visit's plan with what its voxels said: further notes, or the problem.

    Parameters
    ----------
    visit
        A plan; one with a problem is returned as it is.
    """
    if visit.problem is not None:
        return visit
    try:
        notes = judge_visit(visit)
    except Exception as error:
        # whatever one person's files do, the others go on
        if not isinstance(error, InputError):
            log.exception("%s: its images could not be judged", visit.label)
        return VisitPlan(
            visit.subject, visit.session, decisions=visit.decisions, problem=sentence(error)
        )
    return with_notes(visit, notes)


def with_notes(visit: VisitPlan, notes: Sequence[Decision]) -> VisitPlan:
    """Return a visit's plan with what its voxels said after the last line about the same thing.

    Parameters
    ----------
    visit
        A plan without them.
    notes
        What :func:`judge_visit` gave.
    """
    lines = list(visit.decisions)
    for note in notes:
        same = [number for number, line in enumerate(lines) if line.what == note.what]
        lines.insert(same[-1] + 1 if same else len(lines), note)
    return replace(visit, decisions=tuple(lines))


def judged(participant: ParticipantPlan) -> ParticipantPlan:
    """Return a person's plan with what the voxels of the visits that are asked for said.

    Parameters
    ----------
    participant
        The plan.
    """
    visits = tuple(judged_visit(visit) for visit in participant.visits)
    return replace(participant, visits=visits)
