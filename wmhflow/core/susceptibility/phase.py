"""Phase images as scanners and converters write them, and whether they can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.susceptibility.unwrapping import TURN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

# Whole turns in which converters count a phase, lowest and highest value: radians, thousandths of
# them, and 12 bits of a turn with and without a sign.
RANGES = {
    "radians from -pi to pi": (-np.pi, np.pi, 1.0),
    "radians from 0 to 2 pi": (0.0, TURN, 1.0),
    "milliradians": (-1000.0 * np.pi, 1000.0 * np.pi, 1e-3),
    "12 bits of a turn": (0.0, 4095.0, TURN / 4096),
    "12 bits of a turn, from -4096": (-4096.0, 4096.0, np.pi / 4096),
    "degrees from -180 to 180": (-180.0, 180.0, np.pi / 180),
    "degrees from 0 to 360": (0.0, 360.0, np.pi / 180),
}
# A phase takes all values of its range: of the range that is meant it fills at least this share.
FILLED, BEYOND = 0.97, 1.002
STATED = {"rad": 1.0, "radian": 1.0, "radians": 1.0, "mrad": 1e-3, "milliradians": 1e-3,
          "deg": np.pi / 180, "degree": np.pi / 180, "degrees": np.pi / 180}  # fmt: skip
# Of neighbours in the brain whose unwrapped phases are more than half a turn apart.
MOST_JUMPS = 0.01
# Radians; even echoes of alternating readouts have a phase of their own.
LARGEST_ALTERNATION = 0.3
EVEN_STEPS = 0.02
SMOOTH_MM = 4.0


def phases_in_radians(
    phases: Sequence[ArrayLike], unit: str | None = None
) -> list[NDArray[np.float32]]:
    """Return phases in radians, whatever numbers they are stored in.

    Parameters
    ----------
    phases : sequence of (I, J, K) arrays
        One for each echo, stored alike.
    unit : str, optional
        The unit that their sidecars state; "arbitrary" and none are told by the range of values,
        which the phases of later echoes fill.

    Returns
    -------
    list of (I, J, K) float32 arrays
        Radians, from −π to π.

    Raises
    ------
    UnfitImageError
        If the unit is another, or the values fill no range in which a phase is known to be stored.

    Examples
    --------
    >>> (found,) = phases_in_radians([np.arange(4096.0).reshape(16, 16, 16)])
    >>> round(float(np.ptp(found)), 2)
    6.28
    """
    stored = [np.asarray(phase, np.float64) for phase in phases]
    if not all(np.isfinite(values).all() for values in stored):
        raise UnfitImageError("the phase is not finite everywhere")
    stated = (unit or "arbitrary").strip().lower()
    if stated not in {*STATED, "arbitrary"}:
        raise UnfitImageError(f"its unit is {unit!r}: a phase in radians or arbitrary is needed")
    low = min(float(values.min()) for values in stored)
    high = max(float(values.max()) for values in stored)
    factor = _radians_per_unit(low, high, STATED.get(stated))
    if factor is None:
        raise UnfitImageError(
            f"its values go from {low:g} to {high:g}, which is no turn in radians, degrees, "
            "milliradians or 12 bits; look whether it is a phase, and give its Units"
        )
    radians = (values * factor for values in stored)
    return [np.asarray(turned - TURN * np.round(turned / TURN), np.float32) for turned in radians]


def _radians_per_unit(low: float, high: float, stated: float | None) -> float | None:
    """Tell in which way a phase is stored by the range that it fills; None if in none.

    Where a unit is stated, in radians, the range need not be filled.
    """
    for start, stop, factor in RANGES.values():
        margin = (BEYOND - 1) * (stop - start)
        fits = low >= start - margin and high <= stop + margin
        is_filled = high - low >= FILLED * (stop - start)
        if fits and (is_filled if stated is None else factor == stated):
            return factor
    return None


def check_series(
    phases: Sequence[NDArray[np.float32]],
    magnitudes: Sequence[NDArray[np.float32]],
    echo_times_s: NDArray[np.float64],
    mask: NDArray[np.bool_],
    spacing: Sequence[float],
) -> None:
    """Refuse echoes whose phase and magnitude are not of one scan, or whose readouts alternate.

    Parameters
    ----------
    phases, magnitudes
        One image for each echo; phases in radians.
    echo_times_s
        Their echo times, rising.
    mask
        The brain.
    spacing
        Voxel sizes in mm.

    Raises
    ------
    UnfitImageError
        If shapes or numbers differ, the phase is noise where the magnitude is bright, or even
        echoes have a phase of their own (tested where echoes are evenly spaced).
    """
    if len(phases) != len(magnitudes):
        raise UnfitImageError(
            f"there are {len(phases)} phase images and {len(magnitudes)} magnitudes: one of each "
            "is needed for every echo"
        )
    for number, (phase, magnitude) in enumerate(zip(phases, magnitudes, strict=True), 1):
        if phase.shape != magnitude.shape or phase.shape != mask.shape:
            raise UnfitImageError(
                f"echo {number}: the phase has shape {phase.shape}, the magnitude "
                f"{magnitude.shape} and the mask {mask.shape}: they must lie on one grid"
            )
    steps = np.diff(echo_times_s)
    if np.ptp(steps) > EVEN_STEPS * steps.mean():
        return
    bent = np.exp(1j * (phases[0] - 2.0 * phases[1] + phases[2])) * magnitudes[1] * mask
    widths = [SMOOTH_MM / size for size in spacing]
    smooth = ndimage.gaussian_filter(bent.real, widths) + 1j * ndimage.gaussian_filter(
        bent.imag, widths
    )
    apart = float(np.median(np.abs(np.angle(smooth[mask]))))
    if apart > LARGEST_ALTERNATION:
        raise UnfitImageError(
            f"the phases of the first three echoes lie {apart:.2f} radians off a line: readouts "
            "alternate in direction (bipolar), or magnitude and phase are not of one scan; "
            "echoes that are all read in one direction are needed"
        )


def share_of_jumps(unwrapped: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """Return the share of neighbours in a mask that differ by more than half a turn."""
    n_jumps = n_pairs = 0
    for axis in range(3):
        low = tuple(slice(0, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        both = mask[low] & mask[high]
        n_pairs += int(np.count_nonzero(both))
        n_jumps += int(np.count_nonzero(np.abs(unwrapped[high] - unwrapped[low])[both] > np.pi))
    return n_jumps / n_pairs if n_pairs else 0.0
