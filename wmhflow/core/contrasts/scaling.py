"""Images of one scan that are no magnitudes, or were each scaled for themselves: no series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.arrays.validation import UnfitImageError

# Highest values that differ by less than this share are one.
SAME = 1e-5
# Where a scanner cuts off what is too bright, it does so in more voxels of a brighter image.
MORE, FEW = 1.5, 2
# What lies below 0 in a magnitude is what interpolation by splines leaves beside bright edges: a
# share of all that is as small as this. Of a phase, half of the values do.
MOST_NEGATIVE = 0.05


def is_magnitude(image: NDArray[np.floating]) -> bool:
    """Tell whether an image may be a magnitude, which is 0 or above.

    Parameters
    ----------
    image
        Values that are not finite do not count.

    Examples
    --------
    >>> is_magnitude(np.array([100.0, 50, -1])), is_magnitude(np.array([3.0, -3]))
    (True, False)
    """
    known = image[np.isfinite(image)].astype(np.float64)
    below = -float(known[known < 0].sum())
    above = float(known[known > 0].sum())
    return below <= MOST_NEGATIVE * above


def check_scaled_together(images: Sequence[NDArray[np.floating]]) -> None:
    """Refuse images that all reach one highest value, as if each had been scaled to it.

    Parameters
    ----------
    images
        Two or more, the brightest first. Where their highest value is the most that can be stored,
        and more voxels of the first hold it, it was cut off and nothing is scaled.

    Raises
    ------
    UnfitImageError
        With the value.

    Examples
    --------
    >>> check_scaled_together([np.array([100.0, 80]), np.array([60.0, 50])])
    """
    known = [image[np.isfinite(image)] for image in images]
    if len(known) < 2 or not all(values.size for values in known):
        return
    highest = np.array([values.max() for values in known], dtype=np.float64)
    if highest[0] <= 0 or np.ptp(highest) > SAME * highest[0]:
        return
    if all(np.array_equal(images[0], other, equal_nan=True) for other in images[1:]):
        # one image under several names, which is told as that
        return
    held = [int(np.count_nonzero(values >= highest[0] * (1 - SAME))) for values in known]
    if held[0] <= MORE * held[-1] + FEW:
        raise UnfitImageError(
            f"its images all reach the highest value {highest[0]:g}, so that each seems to have "
            "been scaled for itself; give them as they were measured"
        )
