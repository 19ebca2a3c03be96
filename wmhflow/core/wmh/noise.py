"""How noisy a scan is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.arrays.robust import MAD_TO_SD

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIKELY_WHITE = 0.5
# Of three voxels in a row, twice the middle one less its neighbours has this variance.
VARIANCE_OF_DIFFERENCE = 6.0


def noise_sd(
    image: NDArray[np.floating], brain: NDArray[np.bool_], white_prior: NDArray[np.floating]
) -> float:
    """Measure noise as a share of white matter's brightness.

    What changes evenly along three voxels in a row says nothing; what is left is noise, and
    tissue's own texture. The axis with the least of it counts, as slices differ from each other by
    more than noise.

    Parameters
    ----------
    image
        Scan in any unit.
    brain
        Brain mask.
    white_prior
        Probability of white matter, 0..1.

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
    >>> round(noise_sd(noisy, everywhere > 0, everywhere), 2)
    0.1
    """
    likely = brain & (white_prior > LIKELY_WHITE) & (image > 0)
    found = []
    for axis in range(3):
        values, inside = np.moveaxis(image, axis, 0), np.moveaxis(likely, axis, 0)
        counted = inside[:-2] & inside[1:-1] & inside[2:]
        if not counted.any():
            continue
        middle = values[1:-1][counted]
        change = 2 * middle - values[:-2][counted] - values[2:][counted]
        spread = MAD_TO_SD * float(np.median(np.abs(change - np.median(change))))
        found.append(spread / np.sqrt(VARIANCE_OF_DIFFERENCE) / float(np.median(middle)))
    return float(min(found, default=np.nan))
