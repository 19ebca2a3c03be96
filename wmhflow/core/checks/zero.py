"""Which value of an image means no signal, where that is not 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wmhflow.core.tissue.brain import background_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Air, bone and fluid are darker than this share of what is bright, and magnitudes are not below 0
# but for what interpolation leaves. Thirteen simulated images of heads that do not measure have a
# lowest value of up to 0.05 of what is bright; the bounds are loose.
MOST_ABOVE, MOST_BELOW = 0.2, 0.15
# What stands out on a background begins within this share of its own range above it; values that
# only mark where nothing was taken lie further off.
NEAR = 0.5
# Air lies along the edges of an image, and is within this share of the range above the darkest: in
# an inverted image it is brightest, and where numbers are larger than their type tissue is darkest.
AIR = 0.25
LOWEST, BRIGHT = 0.1, 99.0
PAIRS = ((0, 1), (0, 2), (1, 2))


def zero_level(values: NDArray[Any]) -> float:
    """Find the value that no signal has.

    Programs that lose a header's intercept, or take a mean away, move all values by one number.
    Shares of brightness are wrong then, and everything that is told from them.

    Parameters
    ----------
    values
        Image, finite, in any unit.

    Returns
    -------
    float
        0 where values are as a scanner gives them. Otherwise the darkest value if it is far from 0,
        beside what is bright, and the image is as dark along its edges; of an image on a constant
        background that is darkest, that background's if it fits. Padding that is brighter than the
        darkest does not count, nor does padding that lies far below all else.

    Examples
    --------
    >>> image = np.random.default_rng(0).random((20, 20, 20)) * 90
    >>> image[5:-5, 5:-5, 5:-5] += 800
    >>> zero_level(image), round(zero_level(image + 10000), -1), round(zero_level(image - 500), -1)
    (0.0, 10000.0, -500.0)
    """
    padding = background_value(values)
    shown = values if padding is None else values[values != padding]
    if not shown.size:
        return 0.0
    darkest, bright = (float(value) for value in np.percentile(shown, [LOWEST, BRIGHT]))
    if padding is None:
        air = float(np.median(_edges(values)))
        is_dark = air - darkest <= AIR * (bright - darkest)
        return darkest if is_dark and _is_moved(darkest, bright) else 0.0
    if padding > 0:
        # what stands out on it may have no dark part, as a brain without fluid has
        return padding if padding <= darkest and _is_moved(padding, bright) else 0.0
    # 0 says nothing of what stands out on it; far below all else it is no level, but a mark
    near = darkest - padding <= NEAR * (bright - darkest)
    return padding if padding < 0 and near and _is_moved(padding, bright) else 0.0


def _is_moved(level: float, bright: float) -> bool:
    """Tell whether a level is far from 0 beside what is bright."""
    return level > MOST_ABOVE * bright or level < -MOST_BELOW * (bright - level)


def _edges(values: NDArray[Any]) -> NDArray[Any]:
    """Gather the voxels of the twelve edges."""
    ends = [values.take([0, -1], axis).take([0, -1], other) for axis, other in PAIRS]
    return np.concatenate([part.ravel() for part in ends])
