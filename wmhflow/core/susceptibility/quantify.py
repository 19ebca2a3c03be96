"""Susceptibility from the phase and magnitude of gradient echoes, from end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wmhflow.core.arrays.components import largest_component, without_holes
from wmhflow.core.arrays.validation import UnfitImageError, check_same_shape, checked_mask
from wmhflow.core.susceptibility.dipole import main_field_direction
from wmhflow.core.susceptibility.echoes import combine_echoes
from wmhflow.core.susceptibility.inversion import WEIGHT, invert_whole_field
from wmhflow.core.susceptibility.limits import FIELD_T, LEAST_ECHOES
from wmhflow.core.susceptibility.phase import check_series

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

GYROMAGNETIC_HZ_PER_T = 42.577_478e6
# Radians that the phases of a voxel may be off a line; beyond, it is no phase.
LARGEST_RESIDUAL = 1.0
FEWEST_VOXELS = 30
# The share of the brain that has to be left of it.
LEAST_LEFT = 0.5


class Susceptibility(NamedTuple):
    """A map of susceptibility, and how it came about."""

    chi_ppm: NDArray[np.float32]
    """Relative to the mean of `mask`; NaN outside."""
    mask: NDArray[np.bool_]
    """Where it could be told."""
    field_ppm: NDArray[np.float32]
    """The whole field, 0 outside of the mask that was given."""
    residual_rad: float
    """Median of what the phases are off a line over echo time."""
    share_left: float
    """Of the mask that was given, how much has a value."""


def quantify_susceptibility(
    phases: Sequence[ArrayLike],
    magnitudes: Sequence[ArrayLike],
    echo_times_s: Sequence[float],
    mask: ArrayLike,
    affine: ArrayLike,
    field_strength_t: float,
    *,
    weight: float = WEIGHT,
) -> Susceptibility:
    """Return the magnetic susceptibility of a brain.

    Phases are unwrapped exactly and combined into one field; background and inversion are solved
    together, by spheres in the brain and least total variation.

    Parameters
    ----------
    phases : sequence of (I, J, K) arrays
        One for each echo, in radians.
    magnitudes : sequence of (I, J, K) arrays
        Of the same echoes.
    echo_times_s : sequence of floats
        Echo times in s; at least three, of readouts in one direction.
    mask : (I, J, K) array of booleans or numbers
        The brain.
    affine : (4, 4) array
        From voxels to scanner RAS in mm.
    field_strength_t : float
        The main field in tesla.
    weight : float, optional
        Of the total variation.

    Returns
    -------
    Susceptibility
        The map in ppm relative to the mean of the brain. The reference matters: between maps only
        differences can be compared, or values relative to one tissue (`reference_offset`).

    Raises
    ------
    ValueError
        If there are fewer than three echoes, times are missing or equal, or the field strength is
        none of a scanner's.
    UnfitImageError
        If the phases cannot be used; the message says why.

    References
    ----------
    .. [1] QSM Consensus Organization Committee, Bilgic B, Costagli M, Chan KS, Duyn J, Langkammer
       C, et al. Recommended implementation of quantitative susceptibility mapping for clinical
       research in the brain. Magn Reson Med 2024;91:1834-1862. doi:10.1002/mrm.30006
    """
    times = np.asarray(echo_times_s, np.float64)
    _check_times(times, len(phases), field_strength_t)
    order = np.argsort(times)
    turns = [np.asarray(phases[number], np.float32) for number in order]
    bright = [np.asarray(magnitudes[number], np.float32) for number in order[: len(magnitudes)]]
    brain = checked_mask(mask, "mask")
    sizes = np.linalg.norm(np.asarray(affine, np.float64)[:3, :3], axis=0)
    main_field_direction(affine)
    check_series(turns, bright, times[order], brain, sizes.tolist())
    seen = brain & np.all([image > 0 for image in bright], axis=0)
    seen = largest_component(seen & np.all([np.isfinite(image) for image in turns], axis=0))
    if not brain.any():
        raise UnfitImageError("no voxel of the brain lies in the images")
    _check_share(int(np.count_nonzero(seen)) / int(np.count_nonzero(brain)))
    fit = combine_echoes(turns, bright, times[order], seen, sizes.tolist())
    steady = largest_component(seen & (fit.residual_rad <= LARGEST_RESIDUAL))
    steady = without_holes(steady) & seen
    field = fit.field_hz / (GYROMAGNETIC_HZ_PER_T * 1e-6 * field_strength_t)
    chi, told = invert_whole_field(field, steady, affine, weight=weight)
    left = int(np.count_nonzero(told)) / max(1, int(np.count_nonzero(brain)))
    _check_share(left)
    return Susceptibility(
        np.where(told, chi - chi[told].mean(), np.nan).astype(np.float32),
        told,
        field.astype(np.float32),
        float(np.median(fit.residual_rad[seen])),
        left,
    )


def _check_times(times: NDArray[np.float64], n_phases: int, field_strength_t: float) -> None:
    if times.shape != (n_phases,):
        raise ValueError(f"{times.size} echo times for {n_phases} phases: one for each is needed")
    if n_phases < LEAST_ECHOES:
        raise ValueError(f"there are {n_phases} echoes: at least {LEAST_ECHOES} are needed")
    if not (np.isfinite(times) & (times > 0) & (times < 1)).all():
        raise ValueError(f"echo times {times.tolist()}: seconds between 0 and 1 are needed")
    if np.unique(times).size < n_phases:
        raise ValueError(f"two echoes have the same echo time ({times.tolist()} s)")
    if not FIELD_T[0] <= field_strength_t <= FIELD_T[1]:
        raise ValueError(f"a main field of {field_strength_t} T: the scanner's is needed, in tesla")


def _check_share(left: float) -> None:
    if left < LEAST_LEFT:
        raise UnfitImageError(
            f"the phase can be used in {100.0 * left:.0f} % of the brain: at least "
            f"{100.0 * LEAST_LEFT:.0f} % are needed; look at the mask and at the last echoes"
        )


def reference_offset(chi_ppm: ArrayLike, weights: ArrayLike) -> float:
    """Return the mean susceptibility of a region, which makes the region 0 when it is taken off.

    Parameters
    ----------
    chi_ppm : (I, J, K) array
        Susceptibility in ppm; voxels that are not finite do not count.
    weights : (I, J, K) array
        How much of each voxel lies in the region, such as the fluid of the ventricles.

    Returns
    -------
    float
        In ppm; NaN if the region has fewer than 30 voxels.

    Examples
    --------
    >>> reference_offset(np.full((4, 4, 4), 0.02), np.ones((4, 4, 4)))
    0.02
    """
    values, share = np.asarray(chi_ppm, np.float64), np.asarray(weights, np.float64)
    check_same_shape(chi_ppm=values, weights=share)
    known = np.isfinite(values) & (share > 0)
    if share[known].sum() < FEWEST_VOXELS:
        return float("nan")
    return float(np.average(values[known], weights=share[known]))


def check_sign(iron: float, white: float) -> None:
    """Refuse a map in which tissue rich in iron is lower than white matter.

    Scanners differ in the sign of the phase. With the wrong one the whole map is upside down.

    Parameters
    ----------
    iron, white : float
        Mean susceptibility of the pallidum (or of deep grey matter) and of white matter, in ppm.

    Raises
    ------
    UnfitImageError
        If the first is not above the second.

    Examples
    --------
    >>> check_sign(0.12, -0.03)
    """
    if not iron > white:
        raise UnfitImageError(
            f"deep grey matter ({1000.0 * iron:.1f} ppb) is not above white matter "
            f"({1000.0 * white:.1f} ppb): the phase has the opposite sign; turn it (multiply the "
            "phase images by −1)"
        )
