"""One field from the phases of several echoes: unwrapped, without their common offset, weighted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.susceptibility.phase import MOST_JUMPS, share_of_jumps
from wmhflow.core.susceptibility.unwrapping import TURN, unwrap_phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# The offset is that of the receiving coils, which is smooth.
OFFSET_SMOOTH_MM = 4.0
# Radians, the median over the brain; phases at random are 1.8 off any line.
LARGEST_RESIDUAL = 0.7


class EchoFit(NamedTuple):
    """A field, and how well the echoes agree on it."""

    field_hz: NDArray[np.float32]
    """Frequency relative to the scanner's, in Hz; 0 outside of the mask."""
    residual_rad: NDArray[np.float32]
    """Root of the weighted mean square of what the phases are off the line, in radians."""
    jumps: float
    """Share of neighbours that differ by more than half a turn in the first echo, unwrapped."""


def combine_echoes(
    phases: Sequence[NDArray[np.float32]],
    magnitudes: Sequence[NDArray[np.float32]],
    echo_times_s: NDArray[np.float64],
    mask: NDArray[np.bool_],
    spacing: Sequence[float],
) -> EchoFit:
    """Fit the field to the phases of all echoes.

    What the phase gains from the first echo to the second is unwrapped exactly in space. It tells
    the offset that all echoes share, which is made smooth and taken away, and to within half a turn
    what every later echo should be. A line through the origin is then fitted, each echo with the
    square of its magnitude as weight, as the noise of a phase is in inverse proportion to it.

    Parameters
    ----------
    phases, magnitudes : sequences of (I, J, K) float32 arrays
        One image for each echo; phases in radians.
    echo_times_s : (E,) float64 array
        Their echo times in s, rising.
    mask : (I, J, K) boolean array
        Voxels of one piece in which all magnitudes are above 0.
    spacing : three floats
        Voxel sizes in mm.

    Returns
    -------
    EchoFit
        The field, and how well it fits.

    Raises
    ------
    UnfitImageError
        If the first echo cannot be unwrapped, as where the phases of several coils were summed, or
        the phases lie on no line over echo time.

    References
    ----------
    .. [1] QSM Consensus Organization Committee, Bilgic B, Costagli M, Chan KS, Duyn J, Langkammer
       C, et al. Recommended implementation of quantitative susceptibility mapping for clinical
       research in the brain. Magn Reson Med 2024;91:1834-1862. doi:10.1002/mrm.30006
    """
    jumps = share_of_jumps(unwrap_phase(phases[0], mask), mask)
    if jumps > MOST_JUMPS:
        raise UnfitImageError(
            f"{100.0 * jumps:.1f} % of neighbours in the first echo's phase differ by more than "
            "half a turn however it is unwrapped: its fringes end in the open, as where the phases "
            "of several coils were summed"
        )
    gained = phases[1] - phases[0]
    gained = gained - TURN * np.round(gained / TURN)
    field = unwrap_phase(gained, mask) / (TURN * (echo_times_s[1] - echo_times_s[0]))
    offset = _smooth_angle(
        phases[0] - TURN * field * echo_times_s[0], magnitudes[0] * mask, spacing
    )
    above, below = np.zeros(mask.shape), np.zeros(mask.shape)
    straight = []
    for phase, magnitude, time in zip(phases, magnitudes, echo_times_s, strict=True):
        expected = TURN * field * time
        apart = phase - offset - expected
        unwrapped = expected + apart - TURN * np.round(apart / TURN)
        weight = magnitude.astype(np.float64) ** 2
        above += weight * time * unwrapped
        below += weight * time**2
        field = above / np.where(below > 0, below, 1) / TURN
        straight.append((weight, unwrapped, time))
    total = sum(weight for weight, _, _ in straight)
    squares = sum(weight * (turned - TURN * field * time) ** 2 for weight, turned, time in straight)
    residual = np.sqrt(squares / np.where(total > 0, total, 1))
    middle = float(np.median(residual[mask]))
    if middle > LARGEST_RESIDUAL:
        raise UnfitImageError(
            f"the phases of the echoes are {middle:.2f} radians off a line over echo time: look "
            "whether magnitude, phase and echo times are of one scan and in one order"
        )
    return EchoFit(
        np.where(mask, field, 0).astype(np.float32),
        np.where(mask, residual, 0).astype(np.float32),
        jumps,
    )


def _smooth_angle(
    angle: NDArray[np.floating], weight: NDArray[np.float32], spacing: Sequence[float]
) -> NDArray[np.float32]:
    """Average an angle over its surroundings."""
    widths = [OFFSET_SMOOTH_MM / size for size in spacing]
    real = ndimage.gaussian_filter(weight * np.cos(angle), widths)
    imaginary = ndimage.gaussian_filter(weight * np.sin(angle), widths)
    return np.arctan2(imaginary, real).astype(np.float32)
