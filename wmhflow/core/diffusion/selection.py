"""Which volumes a model is fitted to, or why it cannot be fitted to a series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.diffusion.gradients import (
    Gradients,
    Shell,
    UnfitSeriesError,
    check_b_unit,
    count_directions,
    shells_of,
    tensor_design,
)
from wmhflow.core.diffusion.ivim import LARGEST_SLOW_B

# Beyond this b the logarithm of the signal is no straight line any more, s/mm² (2 % for scanners
# that write 1510).
LARGEST_TENSOR_B = 1500.0 * 1.02
LEAST_DIRECTIONS = 6
TENSOR_UNKNOWNS = 7
# Kurtosis and free water are told apart from the tensor by how the signal bends between shells.
LEAST_SHELL_RATIO, LEAST_KURTOSIS_DIRECTIONS = 1.5, 15
KURTOSIS_B = (1450.0, 3060.0)
# b-values of perfusion and of diffusion in the two parts of an IVIM fit, s/mm².
IVIM_LOW, IVIM_HIGH, LEAST_IVIM_B = (10.0, 200.0), (200.0, 1000.0), 3
SAME_IVIM_B = 5.0
# Of so many shells each is told in words.
MOST_SAID = 6


@dataclass(frozen=True)
class Selection:
    """The volumes that a model is fitted to.

    ``condition`` is the condition number of the tensor's design in units in which it is near 1;
    ``redundancy`` says by how many volumes it is overdetermined; ``directions`` are counted for
    each shell. ``n_traces`` volumes of the series have no direction, and are left out.
    """

    volumes: tuple[int, ...]
    shells: tuple[Shell, ...]
    n_b0: int
    directions: tuple[int, ...]
    condition: float
    redundancy: int
    n_traces: int = 0

    @property
    def words(self) -> str:
        """Which volumes these are, in words."""
        if len(self.shells) > MOST_SAID:
            count = sum(len(shell.volumes) for shell in self.shells)
            ends = f"{self.shells[0].b:.0f} to {self.shells[-1].b:.0f}"
            parts = [f"{count} with b = {ends} ({len(self.shells)} b-values)"]
        else:
            parts = [f"{len(shell.volumes)} with b = {shell.b:.0f}" for shell in self.shells]
        if self.n_traces:
            parts.append(f"without {self.n_traces} of no direction (a scanner's trace)")
        return f"{self.n_b0} without weighting, " + ", ".join(parts)


def tensor_volumes(gradients: Gradients) -> Selection:
    """Choose the volumes for a diffusion tensor: b up to 1500, or else the lowest shell.

    Parameters
    ----------
    gradients
        The table.

    Raises
    ------
    UnfitSeriesError
        If fewer than six directions, or directions in one plane or cone, do not determine a tensor.
    """
    shells = _directed_shells(gradients)
    low = [shell for shell in shells if shell.b <= LARGEST_TENSOR_B]
    if _directions(gradients, low) < LEAST_DIRECTIONS:
        enough = [one for one in shells if _directions(gradients, [one]) >= LEAST_DIRECTIONS]
        low = enough[:1]
    if not low:
        counts = [_directions(gradients, [shell]) for shell in shells]
        raise UnfitSeriesError(
            f"a tensor needs {LEAST_DIRECTIONS} directions in a shell, and there are at most "
            f"{max(counts, default=0)}"
        )
    return _selected(gradients, low)


def kurtosis_volumes(gradients: Gradients) -> Selection:
    """Choose the volumes for diffusion kurtosis: two shells and more, up to b = 3000.

    Parameters
    ----------
    gradients
        The table.

    Raises
    ------
    UnfitSeriesError
        If there are not two shells with 15 directions each, whose b-values differ by half and of
        which the highest is at least 1500; or as :func:`check_directed`.
    """
    full = _full_shells("kurtosis", gradients, LEAST_KURTOSIS_DIRECTIONS)
    if full[-1].b < KURTOSIS_B[0]:
        raise UnfitSeriesError(
            f"kurtosis needs a shell of b = 1500 to 3000, and the highest is {full[-1].b:.0f}"
        )
    check_directed(gradients)
    return _selected(gradients, full)


def check_directed(gradients: Gradients) -> None:
    """Refuse weighted volumes of which no direction is known: dipy takes their b for 0.

    Parameters
    ----------
    gradients
        The table.

    Raises
    ------
    UnfitSeriesError
        If there are any.
    """
    if gradients.is_even.any():
        highest = float(gradients.bvals[gradients.is_even].max())
        raise UnfitSeriesError(
            f"volumes with b = {highest:.0f} count as without weighting, and have no direction: "
            "this fit would take their b for 0"
        )


def free_water_volumes(gradients: Gradients) -> Selection:
    """Choose the volumes for a tensor beside free water: two shells and more.

    Parameters
    ----------
    gradients
        The table.

    Raises
    ------
    UnfitSeriesError
        If there is one shell, from which free water cannot be told from a raised diffusivity
        (Golub et al. 2021, doi:10.1002/mrm.28599), or the two are too close to each other.
    """
    if len(_lower_shells(gradients)) < 2:
        raise UnfitSeriesError(
            "free water cannot be told from a raised diffusivity in one shell (Golub et al. 2021, "
            "doi:10.1002/mrm.28599), and in WMH diffusivity is raised; give a map of it"
        )
    return _selected(gradients, _full_shells("free water", gradients, LEAST_DIRECTIONS))


def fraction_volumes(gradients: Gradients) -> Selection:
    """Choose the volumes for fractions of three tissues: two shells that differ by half.

    Parameters
    ----------
    gradients
        The table.

    Raises
    ------
    UnfitSeriesError
        If there are not two such shells: three tissues need three mean signals.
    """
    full = _full_shells("fractions of three tissues", gradients, LEAST_DIRECTIONS)
    return _selected(gradients, full)


def ivim_volumes(bvals: NDArray[np.float64]) -> Selection:
    """Choose the volumes for intravoxel incoherent motion: low b-values and moderate ones.

    Parameters
    ----------
    bvals : ndarray of shape (g,)
        s/mm².

    Raises
    ------
    UnfitSeriesError
        If there is no b = 0, if fewer than three b-values are from 10 to 200, or from 200 to 1000,
        or if one of them has two directions, whose average is no trace.
    """
    check_b_unit(bvals)
    if not (bvals < SAME_IVIM_B).any():
        raise UnfitSeriesError("IVIM needs a volume of b = 0, and there is none")
    distinct = np.unique(np.round(bvals[bvals >= SAME_IVIM_B] / SAME_IVIM_B) * SAME_IVIM_B)
    low = distinct[(distinct >= IVIM_LOW[0]) & (distinct < IVIM_LOW[1])]
    high = distinct[(distinct >= IVIM_HIGH[0]) & (distinct <= LARGEST_SLOW_B)]
    for found, limits in ((low, IVIM_LOW), (high, IVIM_HIGH)):
        if len(found) < LEAST_IVIM_B:
            raise UnfitSeriesError(
                f"IVIM needs {LEAST_IVIM_B} b-values from {limits[0]:.0f} to {limits[1]:.0f}, and "
                f"there are {len(found)}"
            )
    shells = tuple(
        Shell(float(b), tuple(np.flatnonzero(np.abs(bvals - b) <= SAME_IVIM_B / 2).tolist()))
        for b in (*low, *high)
    )
    counts = tuple(len(shell.volumes) for shell in shells)
    if 2 in counts:
        raise UnfitSeriesError("IVIM needs three directions of each b, or their average")
    b0 = np.flatnonzero(bvals < SAME_IVIM_B).tolist()
    used = tuple(sorted([*b0, *(i for shell in shells for i in shell.volumes)]))
    return Selection(used, shells, len(b0), counts, 1.0, len(used) - 3)


def _lower_shells(gradients: Gradients) -> list[Shell]:
    return [shell for shell in _directed_shells(gradients) if shell.b <= KURTOSIS_B[1]]


def _directed_shells(gradients: Gradients) -> list[Shell]:
    """List the shells of volumes of which a direction is known."""
    is_trace = gradients.is_trace
    listed = [
        Shell(shell.b, tuple(one for one in shell.volumes if not is_trace[one]))
        for shell in shells_of(gradients)
    ]
    return [shell for shell in listed if shell.volumes]


def _full_shells(what: str, gradients: Gradients, least: int) -> list[Shell]:
    """List the shells of so many directions; two of them have to lie apart."""
    full = [one for one in _lower_shells(gradients) if _directions(gradients, [one]) >= least]
    if len(full) < 2 or full[-1].b / full[0].b < LEAST_SHELL_RATIO:
        found = " and ".join(f"{shell.b:.0f}" for shell in full)
        there = f"b = {found} alone" if full else "none of so many"
        raise UnfitSeriesError(
            f"{what} needs two shells of {least} directions each, the higher b at least "
            f"{LEAST_SHELL_RATIO:g} times the lower one, and there is {there}"
        )
    return full


def _directions(gradients: Gradients, shells: Sequence[Shell]) -> int:
    return count_directions(gradients, [i for shell in shells for i in shell.volumes])


def _selected(gradients: Gradients, shells: Sequence[Shell]) -> Selection:
    volumes = sorted([*gradients.b0.tolist(), *(i for shell in shells for i in shell.volumes)])
    weighted = [i for shell in shells for i in shell.volumes]
    if np.linalg.matrix_rank(tensor_design(gradients.part(volumes))) < TENSOR_UNKNOWNS:
        raise UnfitSeriesError(
            f"its {len(weighted)} directions lie so that they do not determine a tensor"
        )
    return Selection(
        tuple(volumes),
        tuple(shells),
        len(gradients.b0),
        tuple(_directions(gradients, [shell]) for shell in shells),
        design_condition(gradients.part(volumes)),
        len(volumes) - TENSOR_UNKNOWNS,
        int(np.count_nonzero(gradients.is_trace)),
    )


def design_condition(gradients: Gradients) -> float:
    """Return the condition number of a tensor's design, b in units of the mean of weighted volumes.

    Parameters
    ----------
    gradients
        Of the volumes that are fitted.
    """
    design = tensor_design(gradients)
    design[:, :6] /= gradients.bvals[gradients.bvals > gradients.b0_limit].mean() / 1000
    return float(np.linalg.cond(design))
