"""What the QC table says of maps that lie beside the tissues in which they are sampled."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from wmhflow.core.space.geometry import shift_in_words
from wmhflow.steps.kinds import Facts, LabelImage
from wmhflow.steps.measures import LoadedMaps, MapOptions
from wmhflow.steps.shifts import shown_shifts, told

log = logging.getLogger("wmhflow")


def map_border_facts(
    files: Sequence[Path], options: Sequence[MapOptions], loaded: LoadedMaps, tissue: LabelImage
) -> Facts:
    """Tell how far each map lies from the tissues that it shows, and say it.

    Parameters
    ----------
    files, options, loaded
        Maps on one grid, what is known of each, and what they hold.
    tissue
        seg-tissue.

    Returns
    -------
    dict
        ``map_<name>_border_apart_mm``: None where a map hardly shows the border.
    """
    shifts = shown_shifts(loaded.maps, loaded.affine, tissue)
    facts: Facts = {}
    for path, one in zip(files, options, strict=True):
        apart = told(shifts[one.name], tissue, [loaded.affine])
        facts[f"map_{one.name}_border_apart_mm"] = apart.mm
        if apart.is_much:
            called = f"{one.name}, as it was computed," if one.writes_nan else path
            log.warning(
                "%s lies %.1f mm beside the tissues in which it is sampled, by where it shows "
                "white matter and cortex: it fits if it is moved %s. Look at its alignment: was a "
                "transform given, did a header lose a voxel, or half of one, or was it distorted? "
                "It is marked 'check'.",
                called, apart.mm, shift_in_words(-apart.way),
            )  # fmt: skip
    return facts
