"""What only voxels tell about the maps of a visit; a map that cannot be used costs itself alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.measure.typical import typical_size
from wmhflow.errors import InputError
from wmhflow.files.inspection import inspect_image
from wmhflow.files.values import (
    ImageValues,
    are_one,
    check_contrast,
    check_range,
    inspect_values,
    told_by,
)
from wmhflow.plan.units import contradiction
from wmhflow.plan.visit import UNUSABLE, Computed, Decision, Given, MapPlan, UnitReading, VisitPlan

NOTHING_SAMPLED = "nothing of it is sampled, its numbers are n/a"
COPY = (
    "{} holds the same values as {}; one of them is not what its name says: give the right file, "
    "or leave it out."
)
# A map of more values than this has been measured; so many voxels tell whether it has. Of one with
# fewer, the typical value has at least so many steps: rounding moves a mean by half a step.
FEW_VALUES, ENOUGH, LEAST_STEPS = 64, 200_000, 8


def judge_maps(visit: VisitPlan) -> Iterator[Decision]:
    """Read every map of a visit to its end, and say which cannot be used, and why.

    Parameters
    ----------
    visit
        A plan without a problem.

    Yields
    ------
    Decision
        One for each map that is left without values: a given one whose values cannot be true,
        belong to another unit or are those of another image, one that can be aligned by nothing,
        and one that would be computed from such a map.
    """
    faulty: dict[Path, str] = {}
    read: list[ImageValues] = []
    given = [entry for entry in visit.maps if isinstance(entry.values, Given)]
    for entry in given:
        told = _told(entry)
        if isinstance(told, str):
            faulty[entry.file.path] = told
        elif all(one.path != told.path for one in read):
            read.append(told)
    faulty |= _copies(visit, read)
    for entry in given:
        if entry.file.path in faulty:
            why = faulty[entry.file.path]
            yield Decision(entry.name, UNUSABLE, f"{NOTHING_SAMPLED}: {why}")
    for entry in visit.maps:
        if isinstance(entry.values, Computed):
            lost = [file.path for file in entry.values.files if file.path in faulty]
            if lost:
                why = f"it would be computed from {lost[0]}, which cannot be used"
                yield Decision(entry.name, UNUSABLE, f"{NOTHING_SAMPLED}: {why}.")


def _copies(visit: VisitPlan, read: list[ImageValues]) -> dict[Path, str]:
    """Say of every map that holds the values of another image which that is."""
    found: dict[Path, str] = {}
    for number, one in enumerate(read):
        for other in read[number + 1 :]:
            if are_one(one, other):
                for mine, its in ((one, other), (other, one)):
                    found[mine.path] = COPY.format(mine.path, its.path)
        for file in visit.anatomical.values():
            # its voxels are read only where its grid is the map's
            on_grid = inspect_image(file.path).shape == one.shape
            if on_grid and are_one(one, inspect_values(file.path)):
                found[one.path] = COPY.format(one.path, file.path)
    return found


def unusable_maps(visit: VisitPlan) -> set[str]:
    """Name the maps of which a visit's plan, once it was judged, says that they cannot be used.

    Parameters
    ----------
    visit
        A plan with what :func:`judge_maps` said.
    """
    return {line.what for line in visit.decisions if line.state == UNUSABLE}


def _told(entry: MapPlan) -> ImageValues | str:
    """Return what a given map's values tell, or say in a sentence why it cannot be used."""
    definition, read_as = entry.definition, entry.read_as or UnitReading(entry.definition.unit)
    path = entry.file.path
    try:
        data = check_range(
            path, entry.name, definition.unit, definition.valid_range, read_as.factor
        )
        _check_varies(path, data)
        size = typical_size(data)
        if not definition.can_be_negative:
            _check_steps(path, data, size)
        if isinstance(entry.transform, Computed):
            for companion in entry.transform.files:
                check_contrast(inspect_values(companion.path))
    except InputError as error:
        return str(error)
    told, fault = told_by(path, data), None
    if definition.plausible is not None:
        fault = contradiction(entry.file, definition, read_as, size, max(-told.low, told.high))
    return fault or told


def _check_varies(path: Path, data: NDArray[Any]) -> None:
    """Refuse a map that holds one value wherever it holds any."""
    held = data[np.isfinite(data) & (data != 0)]
    if held.size and held.min() == held.max():
        raise InputError(
            f"{path} holds the one value {float(held.flat[0]):g} wherever it is not 0, which no "
            "measurement does; give the map itself."
        )


def _check_steps(path: Path, data: NDArray[Any], size: float) -> None:
    """Refuse a map in steps so coarse that its means are those of the steps, as of whole numbers.

    Where both signs are measured, noise about 0 makes up for steps.
    """
    some = data.ravel(order="K")[:: max(1, data.size // ENOUGH)]
    if np.unique(some[np.isfinite(some)]).size > FEW_VALUES:
        return
    distinct = np.unique(data[np.isfinite(data)])
    if not 1 < distinct.size <= FEW_VALUES:
        return
    step = float(np.diff(distinct.astype(np.float64)).min())
    if size < LEAST_STEPS * step:
        raise InputError(
            f"{path} holds {distinct.size} different values, in steps of {step:.3g} where "
            f"{size:.3g} is typical, as after rounding; give the map as it was computed."
        )
