"""What only voxels tell about the maps of a visit; a map that cannot be used costs itself alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.measure.typical import typical_size
from wmhflow.errors import InputError
from wmhflow.files.values import check_contrast, check_range, inspect_values
from wmhflow.plan.units import contradiction
from wmhflow.plan.visit import UNUSABLE, Computed, Decision, Given, MapPlan, UnitReading, VisitPlan

NOTHING_SAMPLED = "nothing of it is sampled, its numbers are n/a"


def judge_maps(visit: VisitPlan) -> Iterator[Decision]:
    """Read every map of a visit to its end, and say which cannot be used, and why.

    Parameters
    ----------
    visit
        A plan without a problem.

    Yields
    ------
    Decision
        One for each map that is left without values: a given one whose values cannot be true or
        belong to another unit, one that can be aligned by nothing, and one that would be computed
        from such a map.
    """
    faulty: set[Path] = set()
    for entry in visit.maps:
        if isinstance(entry.values, Given):
            why = _fault(entry)
            if why is not None:
                faulty.add(entry.file.path)
                yield Decision(entry.name, UNUSABLE, f"{NOTHING_SAMPLED}: {why}")
    for entry in visit.maps:
        if isinstance(entry.values, Computed):
            lost = [file.path for file in entry.values.files if file.path in faulty]
            if lost:
                why = f"it would be computed from {lost[0]}, which cannot be used"
                yield Decision(entry.name, UNUSABLE, f"{NOTHING_SAMPLED}: {why}.")


def unusable_maps(visit: VisitPlan) -> set[str]:
    """Name the maps of which a visit's plan, once it was judged, says that they cannot be used.

    Parameters
    ----------
    visit
        A plan with what :func:`judge_maps` said.
    """
    return {line.what for line in visit.decisions if line.state == UNUSABLE}


def _fault(entry: MapPlan) -> str | None:
    """Say in a sentence why a given map cannot be used; None if it can."""
    definition, read_as = entry.definition, entry.read_as or UnitReading(entry.definition.unit)
    path = entry.file.path
    try:
        data = check_range(
            path, entry.name, definition.unit, definition.valid_range, read_as.factor
        )
        _check_varies(path, data)
        if isinstance(entry.transform, Computed):
            for companion in entry.transform.files:
                check_contrast(inspect_values(companion.path))
    except InputError as error:
        return str(error)
    if definition.plausible is None:
        return None
    return contradiction(entry.file, definition, read_as, typical_size(data))


def _check_varies(path: Path, data: NDArray[Any]) -> None:
    """Refuse a map that holds one value wherever it holds any."""
    held = data[np.isfinite(data) & (data != 0)]
    if held.size and held.min() == held.max():
        raise InputError(
            f"{path} holds the one value {float(held.flat[0]):g} wherever it is not 0, which no "
            "measurement does; give the map itself."
        )
