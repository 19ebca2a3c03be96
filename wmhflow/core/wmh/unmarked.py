"""Bright spots of white matter that a mask of lesions does not hold: what a reader should look at.

Some are lesions that were missed. Others are none: blood that flows, the edge of cortex, noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.blocks import block_factors
from wmhflow.core.arrays.masks import within
from wmhflow.core.arrays.robust import median_and_spread
from wmhflow.core.arrays.validation import check_same_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Chosen by looking at simulated people (docs/benchmarks.md, "The gauntlet"), on no real one. They
# decide what a picture points at, and no number of a table.
# So far from cortex and from what is marked, and beyond the next voxel of the scan, a bright voxel
# is none that is cortex or lesion in part.
MARGIN_MM = 1.5
# A spot is brighter than white matter around by so many SD everywhere, and by more at its peak.
LEAST_Z, LEAST_PEAK_Z = 3.0, 4.0
LEAST_MM3, LEAST_VOXELS = 10.0, 3
# White matter around: a mean with Gaussian weights, over blocks of voxels.
AROUND_MM, BLOCK_MM = 12.0, 5.0
# Fewer voxels say nothing of what is normal. White matter that is more even than this share of its
# brightness is drawn and no scan's, and what differs in it may be rounding.
LEAST_WHITE, LEAST_SPREAD = 100, 0.01


class BrightSpot(NamedTuple):
    """A bright spot: its volume, its mean over that of white matter around, and its voxels.

    ``middle`` is the voxel of the spot that lies nearest to its centre; ``voxels`` is (n, 3).
    """

    volume_mm3: float
    brightness: float
    middle: tuple[int, int, int]
    voxels: NDArray[np.int64]


def bright_spots(
    image: NDArray[np.floating],
    white: NDArray[np.bool_],
    marked: NDArray[np.bool_],
    grey: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    scanned_mm: Sequence[float] | None = None,
) -> list[BrightSpot] | None:
    """Find spots of white matter that are bright on a FLAIR and not marked, the largest first.

    Parameters
    ----------
    image
        FLAIR in any unit, (x, y, z); its brightness may drift over the head.
    white
        White matter, lesions included.
    marked
        What is marked as a lesion.
    grey
        Cortex, which is brighter than white matter.
    voxel_sizes_mm
        Voxel size along each axis.
    scanned_mm
        How large voxels were along these axes when the FLAIR was taken, if it was brought to
        another grid since: the rim of a lesion is as wide.

    Returns
    -------
    list of BrightSpot or None
        None if there is too little white matter, or none with a signal, to say what is normal.
    """
    check_same_shape(image=image, white=white, marked=marked, grey=grey)
    boxes = ndimage.find_objects(white.view(np.uint8), 1)
    if not boxes or boxes[0] is None:
        return None
    box = boxes[0]
    other = marked[box] | grey[box]
    left_out = within(other, MARGIN_MM, voxel_sizes_mm)
    scanned = np.asarray(voxel_sizes_mm if scanned_mm is None else scanned_mm)
    next_one = np.maximum(np.rint(scanned / np.asarray(voxel_sizes_mm)), 1).astype(int)
    left_out |= ndimage.maximum_filter(other, tuple(2 * next_one + 1), mode="constant")
    places = np.argwhere(white[box] & ~left_out)
    values = image[box][tuple(places.T)].astype(np.float64)
    # 0 is the outside of the image, and nothing positive has no brightness
    sound = np.isfinite(values) & (values > 0)
    places, values = places[sound], values[sound]
    if len(values) < LEAST_WHITE:
        return None
    ratio = values / _around(values, places, voxel_sizes_mm)
    centre, spread = median_and_spread(ratio)
    z = (ratio - centre) / max(spread, LEAST_SPREAD)
    found = _pieces(places, z, voxel_sizes_mm)
    first = [edge.start for edge in box]
    return [_spot(places[piece] + first, ratio[piece], voxel_sizes_mm) for piece in found]


def _around(
    values: NDArray[np.float64], places: NDArray[np.int64], voxel_sizes_mm: Sequence[float]
) -> NDArray[np.float64]:
    """Average values over what lies around each place; every block around one holds something."""
    factors = np.array(block_factors(voxel_sizes_mm, BLOCK_MM))
    blocks = places // factors
    shape = blocks.max(axis=0) + 1
    number = np.ravel_multi_index(tuple(blocks.T), tuple(shape))
    size = int(np.prod(shape))
    sigma = AROUND_MM / (factors * np.asarray(voxel_sizes_mm, np.float64))
    total, count = (
        ndimage.gaussian_filter(
            np.bincount(number, weights, size).reshape(shape), sigma, mode="constant"
        )
        for weights in (values, np.ones_like(values))
    )
    means = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    # linearly between the blocks' middles; beyond the last ones, theirs
    where = (places.T + 0.5) / factors[:, None] - 0.5
    weights = [
        ndimage.map_coordinates(part, where, order=1, mode="nearest")
        for part in (means * count, count)
    ]
    return weights[0] / weights[1]


def _pieces(
    places: NDArray[np.int64], z: NDArray[np.float64], voxel_sizes_mm: Sequence[float]
) -> list[NDArray[np.int64]]:
    """List the rows of ``places`` that each spot has, the spots with most voxels first."""
    bright = np.flatnonzero(z > LEAST_Z)
    flags = np.zeros(places.max(axis=0) + 1, dtype=bool)
    flags[tuple(places[bright].T)] = True
    labels, n_pieces = ndimage.label(flags, np.ones((3, 3, 3)))
    label = labels[tuple(places[bright].T)]
    counts = np.bincount(label, minlength=n_pieces + 1)
    peaks = np.full(n_pieces + 1, -np.inf)
    np.maximum.at(peaks, label, z[bright])
    least = max(LEAST_VOXELS, LEAST_MM3 / float(np.prod(voxel_sizes_mm)))
    kept = np.flatnonzero((counts >= least) & (peaks >= LEAST_PEAK_Z))
    largest_first = kept[np.argsort(-counts[kept], kind="stable")]
    return [bright[label == one] for one in largest_first]


def _spot(
    voxels: NDArray[np.int64], ratio: NDArray[np.float64], voxel_sizes_mm: Sequence[float]
) -> BrightSpot:
    sizes = np.asarray(voxel_sizes_mm, np.float64)
    off = (voxels - voxels.mean(axis=0)) * sizes
    x, y, z = (int(place) for place in voxels[np.square(off).sum(axis=1).argmin()])
    volume = len(voxels) * float(np.prod(sizes))
    return BrightSpot(volume, float(ratio.mean()), (x, y, z), voxels)
