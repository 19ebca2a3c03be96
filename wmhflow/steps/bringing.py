"""The step that resamples a map onto the reference, where only what bends it leads there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wmhflow.ants.transforms import resample_all
from wmhflow.core.measure.zeros import AUTO
from wmhflow.core.space.grids import Grid3D
from wmhflow.steps.kinds import Space, step
from wmhflow.steps.measures import MapOptions, load_maps

# A voxel of the reference has a value where more than this of it is seen by voxels that count.
LEAST_SEEN = 0.5


class Brought(NamedTuple):
    """A map on the reference's grid, in the unit of its file; NaN where it has no value."""

    image: Grid3D


@step(mem_gb=2.0, seconds=5, gives_maps=True)
def bring_map(
    maps: list[Path],
    options: list[MapOptions],
    space: Space,
    transform: Path,
    zeros: str = AUTO,
    trust: str | None = None,
    without: Sequence[str] = (),
) -> Brought:
    """Resample a map onto the reference's grid, once; what does not count mixes with nothing.

    Parameters
    ----------
    maps, options
        The map, and after it others of its fit, which tell where it failed; what is known of each.
    space
        The reference.
    transform
        From the map to the reference, ITK.
    zeros
        What zeros are: ``auto``, ``data`` or ``missing``.
    trust
        The form of the maps' headers that is believed, ``sform`` or ``qform``.
    without
        Names of maps that cannot be used: they are NaN everywhere.
    """
    loaded = load_maps(maps, options, None, zeros, trust, without)
    values, valid = loaded.maps[options[0].name]
    own = np.where(valid, values, 0) / options[0].factor
    parts = {"sum": own, "share": valid}
    grids = {name: Grid3D(part.astype(np.float32), loaded.affine) for name, part in parts.items()}
    found = resample_all(grids, space.empty, [str(transform)])
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = found["sum"] / found["share"]
    seen = np.where(found["share"] > LEAST_SEEN, mean, np.float32(np.nan))
    return Brought(Grid3D(seen.astype(np.float32), space.affine))
