"""Whether a given lesion mask ends where lesions end, and whether lesions lie elsewhere as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.distance import distance_to
from wmhflow.core.arrays.validation import check_same_shape, checked_mask, checked_volume
from wmhflow.core.space.grids import box_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wmhflow.core.arrays.validation import Spacing

# White matter so far from the mask tells what is no lesion: nearer ones are blurred.
PLAIN_MM = (4.0, 12.0)
# Smaller masks, and less white matter around, tell nothing.
LEAST_MM3, LEAST_VOXELS = 300.0, 20
# Of what is brightest in a mask that was drawn too large, many are no lesion.
BRIGHT_PERCENTILE = 75
# From white matter's brightness (0) to that of most of the mask (1), lesions have more.
AS_LESIONS = 0.7
# Smaller ones are noise and vessels; less of all of them may be an infarct's, or a rater's choice.
LEAST_LESION_MM3, LEAST_LEFT_OUT_MM3 = 100.0, 3000.0


class Levels(NamedTuple):
    """Brightness of white matter away from a mask, and of the mask."""

    plain: float
    middle: float
    bright: float


def brightness_levels(
    image: NDArray[np.floating],
    mask: NDArray[np.bool_],
    white: NDArray[np.bool_],
    spacing: Spacing,
) -> Levels | None:
    """Measure brightness in a mask and away from it, which the measures below are told from.

    Parameters
    ----------
    image
        FLAIR of shape (X, Y, Z), any unit; values that are not finite do not count.
    mask, white
        Same shape: the lesions, and white matter.
    spacing
        Voxel size in mm.

    Returns
    -------
    Levels or None
        None below 0.3 mL or 20 voxels, without white matter around, and where the mask is no
        brighter.
    """
    image, mask = checked_volume(image, "image"), checked_mask(mask, "mask")
    white = checked_mask(white, "white")
    check_same_shape(image=image, mask=mask, white=white)
    if np.count_nonzero(mask) < max(LEAST_VOXELS, LEAST_MM3 / float(np.prod(spacing))):
        return None
    nearest, farthest = PLAIN_MM
    away = distance_to(mask, spacing, limit=farthest)
    known = np.isfinite(image)
    around = image[white & known & (away > nearest) & (away <= farthest)]
    inside = image[mask & known]
    if min(around.size, inside.size) < LEAST_VOXELS:
        return None
    middle, bright = (float(np.percentile(inside, q)) for q in (50, BRIGHT_PERCENTILE))
    plain = float(np.median(around))
    return Levels(plain, middle, bright) if bright > plain else None


def rim_brightness(
    image: NDArray[np.floating], mask: NDArray[np.bool_], levels: Levels | None
) -> float | None:
    """Measure how bright the outermost voxels of a mask are, from white matter's to lesions'.

    Where a lesion ends, it is half as bright above white matter as within.

    Parameters
    ----------
    image
        FLAIR of shape (X, Y, Z), any unit.
    mask
        Same shape: the lesions.
    levels
        What :func:`brightness_levels` gives for them.

    Returns
    -------
    float or None
        The median, 0 as white matter 4 to 12 mm from the mask, 1 as what is brightest in it (the
        75th percentile). None without levels, and where nothing of the rim is known.

    Examples
    --------
    >>> lesion = np.zeros((30, 30, 30), bool)
    >>> lesion[10:20, 10:20, 10:20] = True
    >>> loose = ndimage.binary_dilation(lesion)
    >>> everywhere, image = np.ones_like(lesion), lesion * 1.0
    >>> levels = [brightness_levels(image, one, everywhere, (1, 1, 1)) for one in (lesion, loose)]
    >>> rim_brightness(image, lesion, levels[0]), rim_brightness(image, loose, levels[1])
    (1.0, 0.0)
    """
    if levels is None:
        return None
    rim = image[mask & ~ndimage.binary_erosion(mask)]
    rim = rim[np.isfinite(rim)]
    if not rim.size:
        return None
    return (float(np.median(rim)) - levels.plain) / (levels.bright - levels.plain)


def left_out_share(
    image: NDArray[np.floating],
    mask: NDArray[np.bool_],
    white: NDArray[np.bool_],
    spacing: Spacing,
    levels: Levels | None,
    elsewhere: NDArray[np.bool_] | None = None,
) -> float | None:
    """Measure how much white matter is as bright as the mask and touches no voxel of it.

    Parameters
    ----------
    image, mask, white, spacing
        As for :func:`brightness_levels`.
    levels
        What that gives for them.
    elsewhere
        Same shape: other lesions, which may be as bright; None without any.

    Returns
    -------
    float or None
        Volume of pieces of 0.1 mL and more inside white matter (a voxel from what is none) that are
        brighter than 0.7 from white matter's brightness to that of most of the mask, over the
        mask's volume; 0 where these are less than 3 mL. None without levels.

    Examples
    --------
    >>> lesions = np.zeros((60, 40, 40), bool)
    >>> lesions[6:26, 10:30, 10:30] = lesions[34:54, 10:30, 10:30] = True
    >>> half = lesions & (np.arange(60) < 30)[:, None, None]
    >>> image, everywhere, mm = lesions * 1.0, np.ones_like(lesions), (1, 1, 1)
    >>> levels = brightness_levels(image, half, everywhere, mm)
    >>> left_out_share(image, half, everywhere, mm, levels)
    1.0
    """
    if levels is None or levels.middle <= levels.plain:
        return None
    other = np.zeros_like(mask) if elsewhere is None else checked_mask(elsewhere, "elsewhere")
    inside = ndimage.binary_erosion(white | mask)
    bright = image > levels.plain + AS_LESIONS * (levels.middle - levels.plain)
    shown = (bright & inside) | mask | other
    # a box makes it faster
    box = box_of(shown)
    pieces, count = ndimage.label(shown[box], np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1) * float(np.prod(spacing))
    sizes[0] = 0
    # what touches the mask is its rim, and the mask's own business
    sizes[np.unique(pieces[(mask | other)[box]])] = 0
    left_out = float(sizes[sizes >= LEAST_LESION_MM3].sum())
    own = float(np.count_nonzero(mask) * np.prod(spacing))
    return left_out / own if left_out >= LEAST_LEFT_OUT_MM3 else 0.0
