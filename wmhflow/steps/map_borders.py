"""What the QC table says of maps that lie beside the tissues in which they are sampled."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wmhflow.core.checks.border import tissue_shifts_mm, without_parts
from wmhflow.core.space.geometry import shift_in_words, spacing_of
from wmhflow.labels.digits import CORTEX, OTHER_TISSUE, WHITE_OR_WMH, class_of
from wmhflow.steps.kinds import Facts, LabelImage
from wmhflow.steps.measures import LoadedMaps, MapOptions

# Right maps of simulated training heads had up to 0.3 mm; half a voxel of the usual 2 mm is 1.
MOST_BORDER_MM = 0.7
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
    classes, sizes = class_of(tissue.data), spacing_of(tissue.affine)
    white, cortex = np.isin(classes, WHITE_OR_WMH), classes == CORTEX
    to_map = np.linalg.inv(loaded.affine) @ tissue.affine

    beside = np.isin(classes, OTHER_TISSUE)
    shifts = tissue_shifts_mm(loaded.maps, to_map, white, cortex, sizes, beside)
    facts: Facts = {}
    for path, one in zip(files, options, strict=True):
        found = shifts[one.name]
        shift = None if found is None else without_parts(found, sizes, to_map)
        apart_mm = None if shift is None else float(np.linalg.norm(shift))
        facts[f"map_{one.name}_border_apart_mm"] = apart_mm
        if shift is None or apart_mm is None or apart_mm <= MOST_BORDER_MM:
            continue
        called = f"{one.name}, as it was computed," if one.writes_nan else path
        log.warning(
            "%s lies %.1f mm beside the tissues in which it is sampled, by where it shows white "
            "matter and cortex: it fits if it is moved %s. Look at its alignment: was a transform "
            "given, did a header lose a voxel, or half of one, or was it distorted? It is marked "
            "'check'.",
            called, apart_mm, shift_in_words(-tissue.affine[:3, :3] @ (shift / sizes)),
        )  # fmt: skip
    return facts
