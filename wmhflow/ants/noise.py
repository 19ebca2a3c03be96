"""Noise taken out of a scan by non-local means, which leaves edges where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.ants.images import ants_image, mask_image, single_threaded_ants
from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.space.grids import Grid3D

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Voxels around each one that are looked for alike, and around each of these that are compared; the
# filter's defaults.
SEARCH_VOXELS, PATCH_VOXELS = 2, 1


def without_noise(image: Grid3D, mask: NDArray[np.bool_], seed: int) -> Grid3D:
    """Take noise out of an image by adaptive non-local means [1]_, as ANTs has it.

    Parameters
    ----------
    image
        Scan in any unit, with the noise of a magnitude image.
    mask
        Where it counts; the rest stays as it is.
    seed
        Seed of everything random in ANTs.

    Returns
    -------
    Grid3D
        The image on the same grid.

    Raises
    ------
    UnfitImageError
        If what comes back is no image: not finite, or the same everywhere.

    References
    ----------
    .. [1] Manjon JV, Coupe P, Marti-Bonmati L, Collins DL, Robles M. Adaptive non-local means
       denoising of MR images with spatially varying noise levels. J Magn Reson Imaging
       2010;31:192-203. doi:10.1002/jmri.22003
    """
    ants = single_threaded_ants(seed)
    found = ants.denoise_image(
        ants_image(image, seed),
        mask_image(mask, image.affine, seed),
        shrink_factor=1,
        p=PATCH_VOXELS,
        r=SEARCH_VOXELS,
        noise_model="Rician",
    ).numpy()
    inside = found[mask]
    if not np.isfinite(inside).all() or (inside.size > 1 and np.ptp(inside) == 0):
        raise UnfitImageError(
            "the image is full of noise, and nothing is left of it without the noise; give a mask"
        )
    return Grid3D(np.where(mask, found, image.data).astype(np.float32), image.affine)
