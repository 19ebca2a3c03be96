"""What the QC table says of an anisotropy beside the diffusivities that were fitted with it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.measure.anisotropy import anisotropy_range, outside_range

# The mean distance of FA from what its eigenvalues allow. On a real series of voxels of 4 mm it is
# 0 for maps of one fit, 0.006 and 0.011 where all were interpolated to a third of that, linearly
# and by cubic splines; for FA times 0.8 it is more than 0.03, for its half or its square 0.12 to
# 0.18.
MOST_OFF = 0.03
FA, EIGENVALUES = "FA", ("AD", "RD", "MD")
LEAST_VOXELS = 50
log = logging.getLogger("wmhflow")


def eigenvalue_facts(
    files: Mapping[str, Path],
    maps: Mapping[str, tuple[NDArray[np.floating], NDArray[np.bool_]]],
    voxels: NDArray[np.integer],
    fractions: NDArray[np.floating],
) -> dict[str, Any]:
    """Tell how far FA lies from what the diffusivities of its fit allow, and say it.

    Parameters
    ----------
    files
        FA and the diffusivities that were fitted with it, by name.
    maps
        The values of each, in any unit that is the same for all diffusivities, and which of them
        count; shape (I, J, K).
    voxels, fractions
        In which voxels of the flattened maps NAWM lies, and the share of each.

    Returns
    -------
    dict
        ``map_FA_nawm_off_eigenvalues``, the mean over NAWM; None with fewer than 50 voxels. Nothing
        without FA and two diffusivities of its fit.
    """
    named = sorted_names(files)
    if not named:
        return {}
    known = np.ones(voxels.size, bool)
    for name in named:
        known &= maps[name][1].ravel()[voxels]
    inside = voxels[known]
    values = {name: maps[name][0].ravel()[inside].astype(np.float64) for name in named}
    axial, radial = _two_of(values)
    off = outside_range(values[FA], *anisotropy_range(axial, radial))
    told = np.isfinite(off)
    metric = f"map_{FA}_nawm_off_eigenvalues"
    if np.count_nonzero(told) < LEAST_VOXELS:
        return {metric: None}
    mean = float(np.average(off[told], weights=fractions[known][told]))
    if mean > MOST_OFF:
        log.warning(
            "%s cannot be the anisotropy of %s: in NAWM it lies %.2g outside of what these allow, "
            "on average; was one of them multiplied, filtered, moved, or made of other images? It "
            "is marked 'check'.",
            files[FA], " and ".join(str(files[name]) for name in named if name != FA), mean,
        )  # fmt: skip
    return {metric: mean}


def sorted_names(files: Mapping[str, Any]) -> tuple[str, ...]:
    """Name FA and two of its diffusivities; nothing where they are not there.

    Examples
    --------
    >>> sorted_names({"MD": 1, "FA": 2, "AD": 3}), sorted_names({"MD": 1, "FA": 2})
    (('FA', 'AD', 'MD'), ())
    """
    found = [name for name in EIGENVALUES if name in files][:2]
    return (FA, *found) if FA in files and len(found) == 2 else ()


def _two_of(values: Mapping[str, NDArray[np.float64]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the axial and the radial diffusivity; the mean tells the one that is missing."""
    if "AD" not in values:
        return 3 * values["MD"] - 2 * values["RD"], values["RD"]
    if "RD" not in values:
        return values["AD"], (3 * values["MD"] - values["AD"]) / 2
    return values["AD"], values["RD"]
