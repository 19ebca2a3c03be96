"""Steps that compute maps from two images, or from one and a region of reference."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from wmhflow.core.contrasts import background_noise, rate_from_time, transfer_ratio
from wmhflow.core.space.grids import Grid3D
from wmhflow.steps.echoes import Shown
from wmhflow.steps.kinds import Facts, step


class Transfer(NamedTuple):
    """The magnetisation transfer ratio."""

    ratio: Grid3D
    facts: Facts


class Relaxation(NamedTuple):
    """A rate of relaxation."""

    rate: Grid3D
    facts: Facts


@step(mem_gb=1.0)
def without_pulse(off: Grid3D) -> Shown:
    """Show a pair of images by the one without the pulse, which is the brighter one.

    Parameters
    ----------
    off
        The image without the pulse.
    """
    return Shown(off)


@step(mem_gb=1.0)
def map_transfer(off: Grid3D, on: Grid3D) -> Transfer:
    """Compute the magnetisation transfer ratio.

    Parameters
    ----------
    off, on
        The images without and with the pulse, on one grid.
    """
    noise = background_noise(off.data)
    ratio = transfer_ratio(on.data, off.data, noise=noise)
    facts = {"noise": noise, "unfitted_voxels": int(np.count_nonzero(np.isnan(ratio)))}
    return Transfer(Grid3D(ratio, off.affine), facts)


@step(mem_gb=1.0)
def relaxation_time(time: Grid3D) -> Shown:
    """Show a map of a time by itself.

    Parameters
    ----------
    time
        The map.
    """
    return Shown(time)


@step(mem_gb=1.0)
def map_rate(time: Grid3D) -> Relaxation:
    """Compute R1 from a map of T1.

    Parameters
    ----------
    time
        T1 in s or ms.
    """
    found = rate_from_time(time.data)
    facts = {"seconds_per_unit": found.seconds_per_unit}
    return Relaxation(Grid3D(found.rate, time.affine), facts)
