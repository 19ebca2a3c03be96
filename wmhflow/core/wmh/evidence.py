"""What a slice shows beside what the template leads to expect, and a network that weighs it.

The outlier model weighs each voxel by itself and with its neighbours. It cannot tell a gyrus that
the template has elsewhere from a lesion that looks like it; shape and surroundings can. A network
reads both: brightness beside white matter and beside the cortex nearby, the template's tissues, and
what the outlier model makes of them. It was trained on simulated scans alone
(``benchmarks/training``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from wmhflow.core.arrays.blocks import block_factors, block_means, over_blocks
from wmhflow.core.arrays.distance import distance_to
from wmhflow.core.arrays.slices import thick_axis
from wmhflow.core.arrays.validation import UnfitImageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from wmhflow.core.wmh.network import Network

# Each channel, and what it is multiplied by so that all are of one size.
CHANNELS = {
    "brightness": 0.2,
    "beside_cortex": 0.2,
    "contrast": 2.0,
    "white": 1.0,
    "cortex": 1.0,
    "deep_grey": 1.0,
    "csf": 1.0,
    "probability": 1.0,
    "excluded": 1.0,
    "depth": 1 / 12,
}
# Slices are read in voxels of about this edge, as they were in training.
READ_MM = 1.0
MOST_CONTRAST, DEEPEST_MM = 1.2, 12.0


def depth_in(brain: NDArray[np.bool_], voxel_sizes_mm: Sequence[float]) -> NDArray[np.float32]:
    """Tell how deep voxels lie in the brain; the array's border is the brain's too.

    Parameters
    ----------
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        mm, up to ``DEEPEST_MM``.
    """
    found = distance_to(~np.pad(brain, 1), voxel_sizes_mm)
    return np.minimum(found[1:-1, 1:-1, 1:-1], np.float32(DEEPEST_MM))


def as_read(
    channels: Mapping[str, NDArray[np.floating]],
    brain: NDArray[np.bool_],
    factors: Sequence[int],
) -> NDArray[np.float32]:
    """Average the channels over blocks, in the size in which the network reads them.

    Parameters
    ----------
    channels
        An array of the image's shape for each of ``CHANNELS``.
    brain
        Brain mask; what lies outside does not count.
    factors
        Voxels of a block along each axis.

    Returns
    -------
    ndarray, (channels, x, y, z)
        0 where a block has nothing of the brain.
    """
    within = block_means(brain.astype(np.float32), np.ones_like(brain), factors)[0] > 0
    scaled = [
        np.where(within, block_means(channels[name], brain, factors)[0] * np.float32(scale), 0)
        for name, scale in CHANNELS.items()
    ]
    return np.stack(scaled).astype(np.float32)


def read_slices(
    network: Network,
    channels: Mapping[str, NDArray[np.floating]],
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
) -> NDArray[np.float32]:
    """Let a network read an image slice by slice, and along all three axes if voxels are cubes.

    A gyrus or a vessel looks like a lesion in slices of one direction more often than in those of
    all three, whose mean counts.

    Parameters
    ----------
    network
        Its weights.
    channels
        An array of the image's shape for each of ``CHANNELS``.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        Probability of lesion, 0..1; 0 outside the brain.

    Raises
    ------
    UnfitImageError
        If what the network says is no number everywhere.
    """
    factors = block_factors(voxel_sizes_mm, READ_MM)
    edges = [n * size for n, size in zip(factors, voxel_sizes_mm, strict=True)]
    thick = thick_axis(edges)
    blocks = as_read(channels, brain, factors)
    found = np.zeros(brain.shape, np.float32)
    axes = (0, 1, 2) if thick is None else (thick,)
    for axis in axes:
        logits = np.moveaxis(network.logits(np.moveaxis(blocks, axis + 1, 0)), 0, axis)
        if not np.isfinite(logits).all():
            raise UnfitImageError(
                "the search for lesions gave no number somewhere; look at the FLAIR"
            )
        found += expit(over_blocks(logits, factors, brain.shape)) / np.float32(len(axes))
    return np.where(brain, np.minimum(found, 1), 0).astype(np.float32)
