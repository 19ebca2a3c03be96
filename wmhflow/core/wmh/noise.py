"""How noisy a scan is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.arrays.robust import MAD_TO_SD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LIKELY_WHITE = 0.5
# Scanners interpolate to voxels that are finer than what they measured, so that the noise of
# neighbours is nearly the same. Voxels that are about so far from each other are compared.
APART_MM = 1.2
# Of three voxels in a row, twice the middle one less its neighbours has this variance.
VARIANCE_OF_DIFFERENCE = 6.0


def voxels_apart(voxel_sizes_mm: Sequence[float]) -> tuple[int, ...]:
    """Tell how many voxels on the noise is another one, along each axis.

    Parameters
    ----------
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    tuple of int
        At least 1.

    Examples
    --------
    >>> voxels_apart((0.45, 0.45, 6.0)), voxels_apart((1.0, 1.0, 1.0))
    ((3, 3, 1), (1, 1, 1))
    """
    return tuple(max(1, int(APART_MM / size + 0.5)) for size in voxel_sizes_mm)


def noise_sd(
    image: NDArray[np.floating],
    brain: NDArray[np.bool_],
    white_prior: NDArray[np.floating],
    voxel_sizes_mm: Sequence[float],
) -> float:
    """Measure noise as a share of white matter's brightness.

    What changes evenly along three voxels in a row says nothing; what is left is noise, and
    tissue's own texture. Small voxels in between are left out (see `voxels_apart`). The axis with
    the least of it counts, as slices differ from each other by more than noise.

    Parameters
    ----------
    image
        Scan in any unit.
    brain
        Brain mask.
    white_prior
        Probability of white matter, 0..1.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    float
        SD of the noise over the brightness of white matter; NaN where no three voxels in a row are
        likely white matter.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ramp = np.linspace(80, 120, 40)[:, None, None] * np.ones((40, 40, 40))
    >>> everywhere = np.ones(ramp.shape)
    >>> noisy = ramp + rng.normal(0, 10, ramp.shape)
    >>> round(noise_sd(noisy, everywhere > 0, everywhere, (1.0, 1.0, 1.0)), 2)
    0.1
    """
    likely = brain & (white_prior > LIKELY_WHITE) & (image > 0)
    found = []
    for axis, step in enumerate(voxels_apart(voxel_sizes_mm)):
        values, inside = np.moveaxis(image, axis, 0), np.moveaxis(likely, axis, 0)
        counted = inside[: -2 * step] & inside[step:-step] & inside[2 * step :]
        if not counted.any():
            continue
        middle = values[step:-step][counted]
        change = 2 * middle - values[: -2 * step][counted] - values[2 * step :][counted]
        spread = MAD_TO_SD * float(np.median(np.abs(change - np.median(change))))
        found.append(spread / np.sqrt(VARIANCE_OF_DIFFERENCE) / float(np.median(middle)))
    return float(min(found, default=np.nan))
