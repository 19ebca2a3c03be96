"""Whether a mask or a parcellation was drawn on the very images of a visit that are used."""

from __future__ import annotations

from wmhflow.bids.query import FoundFile
from wmhflow.errors import InputError
from wmhflow.plan.context import Planning
from wmhflow.plan.visit import VisitPlan

ENTITIES = {"run": "run", "acquisition": "acq"}


def check_scan(
    planning: Planning, what: str, visit: VisitPlan, file: FoundFile, space: str | None
) -> None:
    """Refuse a file whose name says another run or acquisition than the images that are used.

    It lies on that other image, in which the head was elsewhere. An acquisition that no raw image
    has says nothing, nor does what the filter file asks for.

    Parameters
    ----------
    planning
        The visit's.
    what
        What the file is, as the filter file calls it but for capitals.
    visit
        What is decided so far: T1w and FLAIR.
    file, space
        The mask or parcellation, and the image that it lies on.

    Raises
    ------
    InputError
        With both names.
    """
    used = [image for image in (visit.t1w, visit.flair) if image is not None]
    asked = planning.query.filters.get(what.lower(), {})
    mine = visit.anatomical.get(space or "")
    for entity, short in ENTITIES.items():
        told = _value(file, entity)
        if told is None or mine is None or entity in asked:
            continue
        if told in {_value(image, entity) for image in used}:
            continue
        is_known = told in {_value(image, entity) for image in _raw(planning, mine)}
        is_other_run = entity == "run" and _value(mine, entity) is not None
        if is_known or is_other_run:
            raise InputError(
                f"{file.path} says {short}-{file.get(entity)}, and the {space} that is used is "
                f"{mine.path.name}: it lies on another image. Choose that one with "
                f"--bids-filter-file (under {str(space).lower()}), or take out what is not meant."
            )


def _raw(planning: Planning, image: FoundFile) -> list[FoundFile]:
    """List the visit's raw images of one kind."""
    return [
        file
        for file in planning.query.raw.of(planning.subject)
        if file.get("suffix") == image.get("suffix") and file.get("session") == planning.session
    ]


def _value(file: FoundFile, entity: str) -> str | None:
    """Return what a name says; 1 is 01."""
    value = file.get(entity)
    if value is None:
        return None
    return str(int(str(value))) if str(value).isdecimal() else str(value)
