"""Steps that compute maps from the echoes of a gradient echo: R2* and magnetic susceptibility."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.ants.transforms import average_through
from wmhflow.core.contrasts import (
    background_noise,
    check_scaled_together,
    fit_decay,
    off_decay,
)
from wmhflow.core.space.grids import Grid3D
from wmhflow.core.susceptibility import (
    check_sign,
    phases_in_radians,
    quantify_susceptibility,
    reference_offset,
)
from wmhflow.labels.digits import DEEP_GREY, VENTRICLES, WHITE_MATTER, class_of
from wmhflow.steps.kinds import Facts, LabelImage, computed_or_nothing, step
from wmhflow.steps.levels import without_level
from wmhflow.steps.meeting import apart_fact

# The share of a voxel that has to lie in the brain, or in a tissue to stand for it.
IN_BRAIN, WHOLLY = 0.5, 0.95
# of a turn; a bound of the QC table as well
LEAST_FILLED = 0.9
log = logging.getLogger("wmhflow")
# What is found out of a map, by its step.
DECAY_FACTS = (
    *("echoes", "noise", "off_line", "fewer_echoes_voxels", "unfitted_voxels", "apart_mm"),
    "air_share",
)
CHI_FACTS = (
    *("reference_offset_ppm", "deep_grey_ppm", "white_matter_ppm", "residual_rad", "brain_share"),
    "phase_turn_share",
)


class Decay(NamedTuple):
    """The rate of decay of a signal over its echoes."""

    rate: Grid3D
    facts: Facts


class Magnetic(NamedTuple):
    """A map of susceptibility, relative to the mean of the brain."""

    chi: Grid3D
    facts: Facts


class Shown(NamedTuple):
    """What shows the anatomy of a series."""

    image: Grid3D


@step(mem_gb=1.0, gives_maps=True)
def first_echo(magnitude: list[Grid3D]) -> Shown:
    """Show a series of echoes by its first.

    Parameters
    ----------
    magnitude
        The echoes, the first one first.
    """
    return Shown(magnitude[0])


@step(mem_gb=3.0, seconds=5, gives_maps=True)
def map_decay(magnitude: list[Grid3D], echo_times_s: list[float]) -> Decay:
    """Fit R2* to the magnitudes of a gradient echo.

    Parameters
    ----------
    magnitude
        One image for each echo.
    echo_times_s
        Their echo times.
    """
    order = np.argsort(echo_times_s)
    times = [echo_times_s[place] for place in order]

    def compute() -> tuple[NDArray[np.floating], Facts]:
        given = [magnitude[place].data for place in order]
        check_scaled_together(given)
        echoes, air = without_level("R2starmap", given)
        noise = background_noise(echoes[-1])
        fit = fit_decay(echoes, times, noise=noise)
        return fit.rate, {
            "echoes": len(magnitude),
            "noise": noise,
            "off_line": off_decay(echoes, times, fit),
            "fewer_echoes_voxels": int(np.count_nonzero(fit.n_echoes < len(magnitude))),
            "unfitted_voxels": int(np.count_nonzero(np.isnan(fit.rate))),
            "apart_mm": apart_fact("R2starmap", magnitude, _echo_names(echo_times_s)),
            "air_share": air,
        }

    return Decay(*computed_or_nothing("R2starmap", magnitude[0], compute, DECAY_FACTS))


def _echo_names(echo_times_s: Sequence[float]) -> list[str]:
    return [f"the echo at {1000.0 * time:g} ms" for time in echo_times_s]


@step(mem_gb=6.0, seconds=200, gives_maps=True)
def map_susceptibility(
    magnitude: list[Grid3D],
    phase: list[Grid3D],
    tissue: LabelImage,
    echo_times_s: list[float],
    field_strength_t: float,
    phase_unit: str | None = None,
    transform: Path | None = None,
) -> Magnetic:
    """Compute magnetic susceptibility from the phase of a gradient echo.

    Parameters
    ----------
    magnitude, phase
        One image each for every echo.
    tissue
        Tissues on the reference: the brain, and the tissues by which the map is checked.
    echo_times_s, field_strength_t, phase_unit
        What the sidecars say of the echoes.
    transform
        From the echoes to the reference; None where the headers agree.
    """
    grid = magnitude[0]
    classes = class_of(tissue.data)

    def compute() -> tuple[NDArray[np.floating], Facts]:
        phases = phases_in_radians([echo.data for echo in phase], phase_unit)
        filled = turn_share(phases)
        if filled < LEAST_FILLED:
            log.warning(
                "Chimap: the phases are said to be in radians and fill %.0f %% of a turn: they may "
                "be scaled otherwise, or filtered as for SWI. It is marked 'check'.",
                100.0 * filled,
            )  # fmt: skip
        # they are weights here, and the noise that is read from their air is, too
        weights, _ = without_level("Chimap", [echo.data for echo in magnitude])
        found = quantify_susceptibility(
            phases,
            weights,
            echo_times_s,
            share_on(grid, tissue.data > 0, tissue, transform) > IN_BRAIN,
            grid.affine,
            field_strength_t,
        )
        fluid, grey, white = (
            reference_offset(
                found.chi_ppm, share_on(grid, classes == one, tissue, transform) >= WHOLLY
            )
            for one in (VENTRICLES, DEEP_GREY, WHITE_MATTER)
        )
        check_sign(grey, white)
        return found.chi_ppm, {
            "reference_offset_ppm": fluid,
            "deep_grey_ppm": grey,
            "white_matter_ppm": white,
            "residual_rad": found.residual_rad,
            "brain_share": found.share_left,
            "phase_turn_share": filled,
        }

    return Magnetic(*computed_or_nothing("Chimap", grid, compute, CHI_FACTS))


def turn_share(phases: Sequence[NDArray[np.floating]]) -> float:
    """Return how much of a turn phases fill: all of it, if they are what a scanner measures.

    Parameters
    ----------
    phases
        In radians.

    Examples
    --------
    >>> turn_share([np.array([-np.pi / 2, 0.0]), np.array([0.0, np.pi / 2])])
    0.5
    """
    highest = max(float(one.max()) for one in phases)
    lowest = min(float(one.min()) for one in phases)
    return (highest - lowest) / (2 * np.pi)


def share_on(
    grid: Grid3D, mask: NDArray[np.bool_], of: LabelImage, transform: Path | None
) -> NDArray[np.float32]:
    """Return how much of each voxel of a grid a mask on the reference covers.

    Parameters
    ----------
    grid
        The grid.
    mask, of
        The mask, and an image that says where its voxels lie.
    transform
        From the grid to the reference; None where the headers agree.
    """
    moving = Grid3D(np.asarray(mask, np.float32), of.affine)
    through = [] if transform is None else [str(transform)]
    return average_through(moving, grid, through, [True] * len(through))
