"""Which of several images can be a series: maps, and volumes without weighting, lie beside it."""

from __future__ import annotations

import numpy as np

from wmhflow.bids.query import FoundFile
from wmhflow.bids.sidecars import inherited_files
from wmhflow.core.diffusion.gradients import LARGEST_B0
from wmhflow.errors import InputError
from wmhflow.files.gradients import load_bvals, load_directions
from wmhflow.plan.context import Planning
from wmhflow.plan.visit import PASSED, Decision
from wmhflow.registries.series import SeriesDefinition

ONE_VOLUME = "it has one volume"
NO_DIRECTIONS = "none of its volumes has a direction, and those of another have"
BVAL, BVEC, TABLE = ".bval", ".bvec", ".b"


def that_can_lead(
    planning: Planning, definition: SeriesDefinition, leads: list[FoundFile]
) -> list[FoundFile]:
    """Keep the images that have what the series needs; what is passed over is said.

    An image of one volume is never a series of several.

    Parameters
    ----------
    planning
        The visit's.
    definition
        The series.
    leads
        Images of which one is meant.

    Returns
    -------
    list of FoundFile
        All but those of one volume, where none, or each, has it.
    """
    faults = {file.path: _fault(planning, definition, file) for file in leads}
    kept = [file for file in leads if faults[file.path] is None]
    has_tables = any(one.beside == BVEC for one in definition.files.values())
    directed = [one for one in kept if has_tables and len(kept) > 1 and _has_directions(one)]
    if directed:
        # the trace of a series is computed of it, too
        faults |= {file.path: NO_DIRECTIONS for file in kept if file not in directed}
        kept = directed
    if not kept:
        kept = [file for file in leads if faults[file.path] != ONE_VOLUME]
    for file in leads:
        if file not in kept:
            why = f"{file.named} is passed over as {definition.title}: {faults[file.path]}"
            said = Decision(definition.name, PASSED, why)
            if said not in planning.decisions:
                planning.decisions.append(said)
    return kept


def _fault(planning: Planning, definition: SeriesDefinition, file: FoundFile) -> str | None:
    """Say what an image lacks; what cannot be read is said by who uses it."""
    endings = [
        [one.beside, *(more.beside for more in definition.files.values() if name in more.instead)]
        for name, one in definition.files.items()
        if one.beside and not one.optional
    ]
    if not endings:
        return None
    try:
        if planning.series_facts(file).n_volumes == 1:
            return ONE_VOLUME
        highest = 0.0
        for some in endings:
            tables = [one for ending in some if ending for one in inherited_files(file, ending)]
            if not tables:
                return f"it has no {' or '.join(ending for ending in some if ending)} file"
            highest = max(highest, *(load_bvals(one.path).max(initial=0.0) for one in tables))
    except InputError:
        return None
    return None if highest > LARGEST_B0 else "none of its volumes has diffusion weighting"


def _has_directions(file: FoundFile) -> bool:
    """Tell whether any volume of a diffusion series has a direction."""
    bval, bvec, table = (
        next((one.path for one in inherited_files(file, ending)), None)
        for ending in (BVAL, BVEC, TABLE)
    )
    if bval is None and table is None:
        return False
    try:
        _, vectors = load_directions(bval or file.path, bvec, table)
    except InputError:
        return False
    return vectors is not None and bool(np.nan_to_num(vectors).any())
