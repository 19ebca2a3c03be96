"""Where lesions end, which of them are kept, and how a probability follows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.components import keep_components, keep_large, without_holes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Least volume of a lesion and how far its core is looked for: chosen on the people of
# docs/benchmarks.md, "Computed WMH", with the rest of the model, not by themselves.
LEAST_LESION_MM3 = 5.0
HEIGHT_MM = 5.0
# Far enough from one half to stay on its side in single precision.
SHARE_STEP = 1e-3
TINY = 1e-12


def sure_somewhere(
    mask: NDArray[np.bool_], probability: NDArray[np.floating], peak: float
) -> NDArray[np.bool_]:
    """Keep the 26-connected components in which a probability is exceeded somewhere.

    Parameters
    ----------
    mask
        Lesions.
    probability
        Probability of lesion.
    peak
        What has to be exceeded.

    Returns
    -------
    ndarray
        Part of the mask.

    Examples
    --------
    >>> mask = np.array([1, 1, 0, 1], bool).reshape(4, 1, 1)
    >>> probability = np.array([0.5, 0.9, 0.9, 0.5]).reshape(4, 1, 1)
    >>> sure_somewhere(mask, probability, 0.8).ravel().tolist()
    [True, True, False, False]
    """
    above = probability > peak
    return keep_components(
        mask,
        lambda lesions, counts: np.bincount(lesions[above], minlength=counts.size + 1)[1:] > 0,
    )


def core_height(
    mask: NDArray[np.bool_], excess: NDArray[np.floating], voxel_sizes_mm: Sequence[float]
) -> NDArray[np.float32]:
    """Tell how much the cores of the lesions around each voxel stand out.

    Parameters
    ----------
    mask
        Lesions, not too small.
    excess
        Brightness above normal white matter, as a fraction of it, at least 0; linear in the
        lesion's share.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        In the unit of `excess`; infinite where no lesion is near.
    """
    sigma = [HEIGHT_MM / size for size in voxel_sizes_mm]
    weight = np.where(mask, excess, 0).astype(np.float32)
    # What stands out weighs more, by its square, so that the core counts and the fringe does not.
    height = ndimage.gaussian_filter(weight**3, sigma)
    total = ndimage.gaussian_filter(weight**2, sigma)
    near = height > TINY
    return np.where(near, height / np.where(near, total, 1), np.inf).astype(np.float32)


def trim_to_height(
    mask: NDArray[np.bool_],
    height: NDArray[np.floating],
    edge: float | NDArray[np.floating],
    voxel_sizes_mm: Sequence[float],
) -> NDArray[np.bool_]:
    """Put the edge of lesions where they stand out by a share of what their core does.

    A bright lesion in thick slices reaches the threshold where little of the voxel is lesion, and
    comes out too large. Where it covers half of a voxel, it stands out half as much as in its core.

    Parameters
    ----------
    mask
        Lesions, not too small.
    height
        How much each voxel stands out, as a share of the core around it.
    edge
        Least height, everywhere or at each voxel.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        Part of the mask, without small components and without holes.

    Examples
    --------
    >>> excess = np.array([0, 0.2, 0.6, 0.6, 0.6, 0.2, 0]).reshape(7, 1, 1)
    >>> height = excess / core_height(excess > 0.1, excess, (2.0, 2.0, 2.0))
    >>> trim_to_height(excess > 0.1, height, 0.5, (2.0, 2.0, 2.0)).ravel().astype(int).tolist()
    [0, 0, 1, 1, 1, 0, 0]
    """
    kept = mask & (height >= edge)
    return without_holes(keep_large(kept, LEAST_LESION_MM3, voxel_sizes_mm))


def share_at_edge(
    height: NDArray[np.floating],
    edge: NDArray[np.floating],
    mask: NDArray[np.bool_],
    possible: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Tell the share of lesion in voxels, so that the edge stays between them on another grid.

    Parameters
    ----------
    height
        How much each voxel stands out, as a share of the core around it.
    edge
        The height at which lesions end.
    mask
        Lesions, cut there, with what was filled in them.
    possible
        Where a voxel beside them can have a share.

    Returns
    -------
    ndarray
        As far below one half beside the edge as above it inside.

    Examples
    --------
    >>> height, edge = np.array([1.0, 0.75, 0.25]), np.full(3, 0.5)
    >>> share_at_edge(height, edge, height > edge, height > 0).tolist()
    [1.0, 0.75, 0.25]
    """
    share = np.where(possible, 0.5 + (height - edge) / (2 * np.minimum(edge, 1 - edge)), 0)
    # what was filled is lesion through and through: a spline would dip into a hole
    return lesion_share(np.where(mask & (height < edge), 1, share), mask)


def lesion_share(share: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Make a share of lesion agree with a mask, whose neighbours keep theirs.

    Parameters
    ----------
    share
        Any numbers; what is outside of 0 to 1 is clipped.
    mask
        On the same grid.

    Returns
    -------
    ndarray
        Above a half in the mask, below it beside the mask, 0 further away.

    Examples
    --------
    >>> lesion_share(np.array([0.3, 0.25, 0.2]), np.array([False, False, True])).round(2).tolist()
    [0.0, 0.25, 0.5]
    """
    beside = ndimage.binary_dilation(mask, np.ones((3,) * mask.ndim))
    outside = np.where(beside, np.clip(share, 0, 0.5 - SHARE_STEP), 0)
    return np.where(mask, np.clip(share, 0.5 + SHARE_STEP, 1), outside).astype(np.float32)


def agreeing(
    probability: NDArray[np.floating], mask: NDArray[np.bool_], threshold: float
) -> NDArray[np.float32]:
    """Make a probability agree with a mask: at least the threshold inside, below it outside.

    Parameters
    ----------
    probability
        0..1.
    mask
        On the same grid.
    threshold
        Between 0 and 1.

    Returns
    -------
    ndarray
        The probability, changed where it disagreed.

    Examples
    --------
    >>> agreeing(np.array([0.9, 0.2]), np.array([False, True]), 0.5).round(3).tolist()
    [0.5, 0.5]
    >>> (agreeing(np.array([0.9, 0.2]), np.array([False, True]), 0.5) >= 0.5).tolist()
    [False, True]
    """
    low, least = np.float32(0), np.float32(threshold)
    below = np.minimum(probability.astype(np.float32), np.nextafter(least, low))
    return np.where(mask, np.maximum(probability.astype(np.float32), least), below)
