"""Lesions painted like the white matter around them, so that they do not steer a registration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.distance import distance_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Fewer lesions, all together, move what lies in them by less than a voxel of 1 mm: lesions that a
# first registration helped to find are worth a second one from here on (docs/benchmarks.md, "What
# lesions do to the warp"). The rest was chosen by eye; filled heads are measured in the same place.
LEAST_AGAIN_ML = 5.0
RING_MM = (2.0, 8.0)
# Fluid is darker than this share of what is bright around, on T1w and on FLAIR.
FLUID_SHARE, BRIGHT_PERCENTILE = 0.5, 90
N_BINS, SMOOTH_BINS = 64, 2.0


def fill_lesions(
    data: NDArray[np.float32],
    lesions: NDArray[np.bool_],
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
) -> NDArray[np.float32]:
    """Give lesions of white matter the commonest brightness of the brain around them.

    What lies 2 to 8 mm from them is mostly white matter, with some cortex. Fluid does not count: it
    is so even that its peak may stand higher, although there is less of it.

    Parameters
    ----------
    data
        Image of any contrast, without slow changes of intensity.
    lesions
        Lesions of white matter.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        The image with lesions filled; a copy if there is nothing around them.

    References
    ----------
    The idea: Sdika M, Pelletier D. Nonrigid registration of multiple sclerosis brain images using
    lesion inpainting for morphometry or lesion mapping. Hum Brain Mapp 2009.
    doi:10.1002/hbm.20566

    Examples
    --------
    >>> data = np.full((1, 1, 9), 7.0, np.float32)
    >>> lesions = np.arange(9).reshape(1, 1, 9) == 4
    >>> data[lesions] = 1
    >>> fill_lesions(data, lesions, data > 0, (1, 1, 1)).ravel()[4].item()
    7.0
    """
    near, far = RING_MM
    distance = distance_to(lesions, voxel_sizes_mm, within=brain)
    ring = data[brain & (distance > near) & (distance <= far)]
    if not ring.size:
        return data.copy()
    ring = ring[ring > FLUID_SHARE * np.percentile(ring, BRIGHT_PERCENTILE)]
    lowest, highest = np.percentile(ring, (1, 99))
    counts, edges = np.histogram(ring, N_BINS, (lowest, highest))
    commonest = int(np.argmax(ndimage.gaussian_filter1d(counts.astype(float), SMOOTH_BINS)))
    around = ring[(ring >= edges[commonest]) & (ring <= edges[commonest + 1])]
    return np.where(lesions, np.median(around).astype(np.float32), data)
