"""How far a given parcellation lies from where cortex and white matter meet in the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.validation import check_same_shape, checked_mask, checked_volume
from wmhflow.core.checks.fit import climbed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wmhflow.core.arrays.validation import Spacing

# The border is looked for up to this far, along each axis, from where it lies.
REACH_MM = 3.0
# With a border of fewer voxels nothing is told (loose), and of more so many are looked at.
LEAST_VOXELS, MOST_VOXELS = 2000, 60_000
# How much brighter one side is than the other, as a share of the two tissues' difference. Chosen on
# thirteen simulated scans of training heads: T1w had 0.34 to 0.51 and a FLAIR of 1 mm 0.28, all
# found to 0.1 mm; FLAIRs in slices had 0.05 to 0.22, and two of these, noisy or with ghosts, were
# not found. `python -m benchmarks.accuracy border` tries it on other heads.
LEAST_DIFFERENCE = 0.25
# Less than this share of a voxel says nothing: right ones had up to 0.18.
LEAST_SHARE = 0.25


def border_shift_mm(
    image: NDArray[np.floating],
    white: NDArray[np.bool_],
    cortex: NDArray[np.bool_],
    spacing: Spacing,
) -> NDArray[np.float64] | None:
    """Find the shift that brings the border of two tissues to where the image has it.

    The voxels of one tissue that touch the other differ most from those of the other that touch the
    first where both lie right: a voxel beside it, both sides hold some of both.

    Parameters
    ----------
    image
        Shape (X, Y, Z), any unit.
    white, cortex
        Same shape: two tissues that touch each other all over the brain.
    spacing
        Voxel size in mm.

    Returns
    -------
    ndarray or None
        Along each axis of the array, mm, to parts of a voxel; 0 where it is less than a quarter of
        one. None where few voxels touch, and where the two hardly differ in the image.

    Examples
    --------
    >>> x, y, z = np.indices((60, 60, 60)) - 30
    >>> white = x**2 + y**2 + z**2 < 20**2
    >>> cortex = (x**2 + y**2 + z**2 < 24**2) & ~white
    >>> image = np.roll(np.select([white, cortex], [3.0, 2.0], 1.0), (1, -1), axis=(0, 1))
    >>> border_shift_mm(image, white, cortex, (1, 1, 1)).round(1) + 0.0
    array([ 1., -1.,  0.])
    """
    image = checked_volume(image, "image")
    white, cortex = checked_mask(white, "white"), checked_mask(cortex, "cortex")
    check_same_shape(image=image, white=white, cortex=cortex)
    sizes = np.asarray(spacing, np.float64)
    pairs = ((white, cortex), (cortex, white))
    sides = [np.argwhere(one & ndimage.binary_dilation(other)) for one, other in pairs]
    if min(len(side) for side in sides) < LEAST_VOXELS:
        return None
    reach = np.maximum(np.ceil(REACH_MM / sizes), 1).astype(int) + 1
    low, high = (float(np.median(image[one])) for one in (cortex, white))
    if low == high:
        return None
    # from 0, cortex and what is beyond it, to 1
    scaled = np.clip((image.astype(np.float32) - low) / (high - low), 0, 1)
    values = np.pad(scaled, [(one, one) for one in reach], mode="edge")
    places = [side[:: max(len(side) // MOST_VOXELS, 1)] + reach for side in sides]

    def fit(shift: tuple[int, ...]) -> float:
        first, second = (values[tuple((place + shift).T)].mean() for place in places)
        return float(first - second)

    found = climbed(fit, reach - 1)
    nearest = np.rint(found).astype(int)
    if not fit(tuple(nearest.tolist())) > LEAST_DIFFERENCE:
        return None
    return np.where(np.abs(found) < LEAST_SHARE, 0.0, found) * sizes
