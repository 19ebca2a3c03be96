"""Which value of an image means no signal, where that is not 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wmhflow.core.tissue.brain import background_value

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    level, bright = _lowest(values)
    return level if _is_moved(level, bright) else 0.0


def without_zero_level(
    images: Sequence[NDArray[Any]], *, signed: bool = False
) -> tuple[list[NDArray[Any]], float, float]:
    """Take the value that no signal has off magnitudes of one scan, where it is far from 0.

    A ratio of images, or a decay, is another one if all values are moved by one number: of 10,000
    added to echoes, R2* comes out as 1 in place of 20 per second.

    Parameters
    ----------
    images
        The brightest one first, which decides; each may have a level of its own.
    signed
        Whether a level below 0 is taken off, too. A scan with values below 0 may as well be no
        magnitude, or hold the noise of a reconstruction.

    Returns
    -------
    images : list of arrays
        As they are, or without their level.
    level : float
        What was taken off the first; 0 if nothing was.
    share : float
        The value of no signal in the first, as it was given, beside what is bright in it.

    Examples
    --------
    >>> image = np.random.default_rng(0).random((20, 20, 20)) * 90
    >>> image[5:-5, 5:-5, 5:-5] += 800
    >>> images, level, share = without_zero_level([image + 1000, image / 2 + 1000])
    >>> round(level, -1), round(share, 1), round(float(images[1].max() / images[0].max()), 3)
    (1000.0, 0.5, 0.5)
    """
    level, bright = _lowest(images[0])
    level = level if signed else max(level, 0.0)
    share = abs(level) / (bright - min(level, 0.0)) if level else 0.0
    if not _is_moved(level, bright):
        return list(images), 0.0, share
    own = [level, *(_lowest(image)[0] for image in images[1:])]
    own = [one if signed else max(one, 0.0) for one in own]
    moved = zip(images, own, strict=True)
    return [image - image.dtype.type(one) for image, one in moved], level, share


def _lowest(values: NDArray[Any]) -> tuple[float, float]:
    """Return the value that no signal has, if one can be told, and what is bright."""
    padding = background_value(values)
    known = np.isfinite(values)
    if padding is not None and not np.isfinite(padding):
        # what is not known around a head is no air
        return 0.0, 0.0
    shown = values[known] if padding is None else values[known & (values != padding)]
    if not shown.size:
        return 0.0, 0.0
    darkest, bright = (float(value) for value in np.percentile(shown, [LOWEST, BRIGHT]))
    if padding is None:
        edges = _edges(values)
        air = float(np.median(edges[np.isfinite(edges)])) if np.isfinite(edges).any() else np.inf
        is_dark = air - darkest <= AIR * (bright - darkest)
        return darkest if is_dark else 0.0, bright
    if padding > 0:
        # what stands out on it may have no dark part, as a brain without fluid has
        return padding if padding <= darkest else 0.0, bright
    # 0 says nothing of what stands out on it; far below all else it is no level, but a mark
    near = darkest - padding <= NEAR * (bright - darkest)
    return padding if padding < 0 and near else 0.0, bright


def _is_moved(level: float, bright: float) -> bool:
    """Tell whether a level is far from 0 beside what is bright."""
    return level > MOST_ABOVE * bright or level < -MOST_BELOW * (bright - level)


def _edges(values: NDArray[Any]) -> NDArray[Any]:
    """Gather the voxels of the twelve edges."""
    ends = [values.take([0, -1], axis).take([0, -1], other) for axis, other in PAIRS]
    return np.concatenate([part.ravel() for part in ends])
