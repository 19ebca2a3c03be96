"""Step that takes one volume of a series as a map."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wmhflow.core.space.grids import Grid3D
from wmhflow.files.forms import trusted_affine
from wmhflow.files.images import load_series
from wmhflow.steps.kinds import step

log = logging.getLogger("wmhflow")


class Component(NamedTuple):
    """One volume of a series."""

    map: Grid3D


@step(mem_gb=1.0, gives_maps=True)
def take_component(
    in_file: Path, name: str, number: int, factor: float = 1.0, trust: str | None = None
) -> Component:
    """Take one volume of a series.

    Parameters
    ----------
    in_file
        The series.
    name
        How messages call the map.
    number
        Of the volume, from 1 on.
    factor
        What its values are multiplied by.
    trust
        The form of the header that is believed, ``sform`` or ``qform``.
    """
    data, affine = load_series(in_file, [number - 1])
    values = data[..., 0] * np.float32(factor)
    if not np.isfinite(values).any() or np.ptp(values[np.isfinite(values)]) == 0:
        log.warning(
            "%s: component %d holds one value or none, and the samples of %s are n/a; correct the "
            "number in --maps.", in_file, number, name,
        )  # fmt: skip
        values = np.full_like(values, np.nan)
    return Component(Grid3D(values, trusted_affine(in_file, affine, trust)))
