"""T1w-like and FLAIR-like heads made from label images, whose anatomy is known to the voxel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LATERAL_VENTRICLES = (4, 5, 43, 44)
WHITE, CORTEX, WMH_CODE = (2, 41), (3, 42), 77
# Brightness of groups of FreeSurfer codes on T1w and on FLAIR; white matter on T1w is 100.
GROUPS: dict[str, tuple[tuple[int, ...], float, float]] = {
    "white": (WHITE, 100, 70),
    "cortex": (CORTEX, 68, 85),
    "white matter hyperintensity": ((WMH_CODE,), 75, 115),
    "cerebellar white": ((7, 46), 98, 72),
    "cerebellar cortex": ((8, 47), 66, 82),
    "thalamus": ((10, 49), 84, 78),
    "caudate": ((11, 50), 74, 82),
    "putamen": ((12, 51), 80, 80),
    "pallidum": ((13, 52), 93, 70),
    "hippocampus and amygdala": ((17, 18, 53, 54), 70, 90),
    "accumbens": ((26, 58), 72, 82),
    "ventral diencephalon": ((28, 60), 90, 74),
    "brain stem": ((16,), 94, 72),
    "ventricles": ((*LATERAL_VENTRICLES, 14, 15), 22, 12),
    "CSF": ((24,), 24, 14),
    "vessels": ((30, 62, 72, 85), 45, 50),
}
# Outside the brain every code has its own brightness, from dark bone to bright fat.
OUTSIDE_FROM = 500
OUTSIDE_BRIGHTNESS = (15.0, 120.0)
OTHER_BRIGHTNESS = 60.0
NOISE_SHARE, BIAS_SHARE, BIAS_MM, TEXTURE_SHARE, BLUR_MM = 0.03, 0.25, 60.0, 0.02, 0.5


def simulated(
    codes: NDArray[np.integer], spacing_mm: NDArray[np.float64], contrast: str, seed: int
) -> NDArray[np.float32]:
    """Make an image of a head: brightness by code, texture, blur, bias field and noise.

    Parameters
    ----------
    codes
        FreeSurfer codes; above 500 what lies outside the brain.
    spacing_mm
        Voxel sizes.
    contrast
        ``T1w`` or ``FLAIR``.
    seed
        Seed of texture, bias field and noise.

    Returns
    -------
    ndarray
        The image; air is 0 but for noise.
    """
    rng = np.random.default_rng([seed, contrast == "FLAIR"])
    brightness = np.full(int(codes.max()) + 1, OTHER_BRIGHTNESS, np.float32)
    brightness[0] = 0
    for members, t1w, flair in GROUPS.values():
        known = [code for code in members if code < brightness.size]
        brightness[known] = flair if contrast == "FLAIR" else t1w
    outside = np.arange(OUTSIDE_FROM, brightness.size)
    brightness[outside] = rng.uniform(*OUTSIDE_BRIGHTNESS, outside.size)
    image = brightness[codes]
    image *= 1 + TEXTURE_SHARE * _cloud(rng, codes.shape, 3.0 / spacing_mm)
    image = ndimage.gaussian_filter(image, BLUR_MM / spacing_mm)
    image *= np.exp(BIAS_SHARE * _cloud(rng, codes.shape, BIAS_MM / spacing_mm))
    level = NOISE_SHARE * 100
    real, imaginary = (rng.normal(0, level, codes.shape).astype(np.float32) for _ in range(2))
    return np.hypot(image + real, imaginary).astype(np.float32)


def _cloud(
    rng: np.random.Generator, shape: tuple[int, ...], sigma: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return smooth random values with mean 0 and SD 1; wide ones are made on a coarse grid."""
    step = max(int(sigma.min() // 4), 1)
    coarse = [n // step + 2 for n in shape]
    cloud = ndimage.gaussian_filter(rng.normal(size=coarse).astype(np.float32), sigma / step)
    fine = ndimage.zoom(cloud, step, order=1)[tuple(slice(n) for n in shape)]
    return (fine - fine.mean()) / fine.std()
