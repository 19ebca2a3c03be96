"""How bright a person's normal white matter and cortex are, where lesions are among them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.masks import deeper
from wmhflow.core.arrays.robust import MAD_TO_SD
from wmhflow.core.arrays.validation import UnfitImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wmhflow.core.wmh.normal import NormalTissue

# Chosen, like the model's numbers, on the people of docs/benchmarks.md, "Computed WMH", as a whole;
# each by itself was not measured, nor was how few samples and rounds would do.
FIELD_SAMPLES = 100_000
FIELD_ROUNDS = 6
# Probability of a tissue above which its voxels describe it.
SURE_PRIOR, SURE_CORTEX = 0.9, 0.8
DARKEST_Z, BRIGHTEST_Z = -10.0, 12.0
LEAST_SD = 0.06
# Darker than this share of the image's white matter is no signal; so sure of a voxel's being normal
# white matter, its spread is measured.
LEAST_RATIO, SURELY_NORMAL = 1e-3, 0.9
# The peak of a histogram is looked for after smoothing by this share of the interquartile range.
PEAK_BINS, PEAK_SMOOTHING = 200, 0.15
# Cortex darker than this is CSF; less than this share of cortex around says little.
LIKELY_CORTEX, LEAST_CORTEX_Z, LITTLE_CORTEX = 0.6, -2.5, 0.02


def brightness(
    image: NDArray[np.float32],
    white_prior: NDArray[np.float32],
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Express an image in SD of the person's normal white matter, without its bias field.

    Parameters
    ----------
    image
        FLAIR or T1w in any unit.
    white_prior
        Probability of white matter, 0..1.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    z, contrast : float32 arrays
        SD above normal white matter, clipped, and the logarithm of the ratio to it.
    sd : float
        The SD of that logarithm.

    Raises
    ------
    UnfitImageError
        If there is no positive value where white matter is likely.
    """
    white = _sure_white(image, white_prior, brain, voxel_sizes_mm)
    expected = white_matter_field(image, white)
    floor = 1e-3 * float(np.median(expected))
    ratio = np.log(np.maximum(image, floor) / np.maximum(expected, floor))
    centre, sd = robust_location_scale(ratio[white])
    return _in_sds((ratio - centre).astype(np.float32), sd)


def brightness_beside(
    image: NDArray[np.float32],
    normal: NormalTissue,
    white_prior: NDArray[np.float32],
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Express an image in SD of normal white matter that was found beside cortex and fluid.

    Parameters
    ----------
    image
        FLAIR or T1w in any unit.
    normal
        The person's normal tissues on this image.
    white_prior
        Probability of white matter, 0..1.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    z, contrast : float32 arrays
        SD above normal white matter, clipped, and the logarithm of the ratio to it.
    sd : float
        The SD of that logarithm.

    Raises
    ------
    UnfitImageError
        If there is no positive value where white matter is likely.
    """
    white = _sure_white(image, white_prior, brain, voxel_sizes_mm)
    expected = normal.field + np.float32(normal.means["white"])
    floor = LEAST_RATIO * float(np.exp(np.median(expected[white])))
    contrast = (np.log(np.maximum(image, floor)) - expected).astype(np.float32)
    # lesions do not reach below the mean, and fluid lies where the warp does not follow ventricles
    below = -contrast[white & (contrast < 0) & (normal.white > SURELY_NORMAL)]
    sd = MAD_TO_SD * float(np.median(below)) if below.size else LEAST_SD
    return _in_sds(contrast, sd)


def _sure_white(
    image: NDArray[np.float32],
    white_prior: NDArray[np.float32],
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
) -> NDArray[np.bool_]:
    """Find where the template is sure of white matter, without its border if anything is left."""
    white = brain & (white_prior > SURE_PRIOR)
    core = deeper(white, float(min(voxel_sizes_mm)), voxel_sizes_mm)
    white = core if core.any() else white
    if not (white & (image > 0)).any():
        raise UnfitImageError("the image has no white matter; look at brain mask and registration")
    return white


def _in_sds(
    contrast: NDArray[np.float32], sd: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Express a contrast in SD, which are not too small, beside what it was."""
    # Thick slices average noise away, but not how much normal tissue differs from place to place.
    sd = max(sd, LEAST_SD)
    return np.clip(contrast / sd, DARKEST_Z, BRIGHTEST_Z).astype(np.float32), contrast, sd


def grey_brightness(
    z: NDArray[np.float32], cortex_prior: NDArray[np.float32], brain: NDArray[np.bool_]
) -> tuple[float, float]:
    """Measure how bright a person's cortex is.

    Parameters
    ----------
    z
        Brightness in SD of normal white matter.
    cortex_prior
        Probability of cortex, 0..1.
    brain
        Brain mask.

    Returns
    -------
    tuple of float
        Median, and SD by the lower quarter, which lesions do not reach; (1, 1.5) without cortex.
    """
    values = z[brain & (cortex_prior > SURE_CORTEX) & (z > LEAST_CORTEX_Z)]
    if values.size == 0:
        return 1.0, 1.5
    low, middle = np.quantile(values, [0.25, 0.5])
    return float(middle), max(MAD_TO_SD * float(middle - low), 0.7)


def cortex_nearby(
    z: NDArray[np.float32],
    cortex_z: float,
    cortex_prior: NDArray[np.float32],
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    sd_mm: float,
) -> NDArray[np.float32]:
    """Find how bright the cortex is around each voxel.

    Some cortex is brighter on FLAIR than the rest, by as much as lesions are: with one brightness
    for all of it, the gyri above the orbits are taken for lesions where the template's white
    matter reaches into them.

    Parameters
    ----------
    z
        Brightness in SD of normal white matter.
    cortex_z
        The median of all cortex.
    cortex_prior
        Probability of cortex, 0..1.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.
    sd_mm
        SD of the Gaussian that gathers the cortex around.

    Returns
    -------
    ndarray
        The median of all, plus the difference of the mean around from the mean of all; the median
        where there is no cortex around.
    """
    sigma = [sd_mm / size for size in voxel_sizes_mm]
    likely = brain & (cortex_prior > LIKELY_CORTEX) & (z > LEAST_CORTEX_Z)
    weight = np.where(likely, cortex_prior, 0).astype(np.float32)
    total = float(weight.sum())
    if total == 0:
        return np.full(z.shape, cortex_z, np.float32)
    mean = float((cortex_prior[likely] * z[likely]).sum()) / total
    around = ndimage.gaussian_filter(weight, sigma, truncate=3.0)
    above = np.where(likely, weight * (z - np.float32(mean)), 0)
    summed = ndimage.gaussian_filter(above, sigma, truncate=3.0)
    return (cortex_z + summed / (around + LITTLE_CORTEX)).astype(np.float32)


def robust_location_scale(values: NDArray[np.floating]) -> tuple[float, float]:
    """Estimate centre and spread of the normal part of values with bright outliers.

    The median of white matter moves with the lesions when these are a tenth of it; where its values
    are densest does not.

    Parameters
    ----------
    values
        Sample; at least one.

    Returns
    -------
    tuple of float
        Peak of the smoothed histogram, and the SD from the deviations below it, which lesions do
        not reach.

    Examples
    --------
    >>> normal = np.random.default_rng(0).normal(0, 1, 10_000)
    >>> centre, scale = robust_location_scale(np.concatenate([normal, np.full(2000, 5.0)]))
    >>> abs(centre) < 0.1, abs(scale - 1) < 0.1
    (True, True)
    """
    sample = np.asarray(values, dtype=np.float64)
    low, high = np.quantile(sample, [0.01, 0.99])
    if high <= low:
        return float(np.median(sample)), 0.0
    counts, edges = np.histogram(sample, PEAK_BINS, (low, high))
    quarters = np.quantile(sample, [0.25, 0.75])
    bins_per_spread = (quarters[1] - quarters[0]) / (high - low) * PEAK_BINS
    smooth = ndimage.gaussian_filter1d(
        counts.astype(np.float64), max(PEAK_SMOOTHING * bins_per_spread, 1.0), mode="constant"
    )
    peak = int(np.argmax(smooth))
    centre = float(edges[peak] + edges[peak + 1]) / 2
    below = centre - sample[sample <= centre]
    return centre, MAD_TO_SD * float(np.median(below))


def white_matter_field(
    flair: NDArray[np.float32], white: NDArray[np.bool_], order: int = 2
) -> NDArray[np.float32]:
    """Fit the slow change of normal white matter's intensity over the head.

    N4 takes large confluent lesions for a bias field and removes them. Here a polynomial of the
    logarithm is fitted to white matter alone, and what is brighter than it is left out.

    Parameters
    ----------
    flair
        FLAIR in any unit.
    white
        White matter, lesions included or not.
    order
        Highest total power of the coordinates.

    Returns
    -------
    ndarray
        Expected intensity of normal white matter at every voxel.

    Examples
    --------
    >>> image = np.full((8, 8, 8), 5, dtype=np.float32)
    >>> image[2, 2, 2] = 50
    >>> bool(np.allclose(white_matter_field(image, image > 0, order=1), 5))
    True
    """
    voxels = np.argwhere(white & (flair > 0))
    voxels = voxels[:: max(len(voxels) // FIELD_SAMPLES, 1)]
    values = np.log(flair[tuple(voxels.T)].astype(np.float64))
    scaled = 2 * voxels / np.maximum(np.array(flair.shape) - 1, 1) - 1
    powers = [p for p in itertools.product(range(order + 1), repeat=3) if sum(p) <= order]
    terms = np.stack([np.prod(scaled**p, axis=1) for p in np.array(powers)], axis=1)
    kept = np.ones(len(values), bool)
    weights = np.zeros(len(powers))
    for _ in range(FIELD_ROUNDS):
        weights = np.linalg.lstsq(terms[kept], values[kept], rcond=None)[0]
        rest = values - terms @ weights
        centre, spread = robust_location_scale(rest)
        kept = (rest < centre + 1.5 * spread) & (rest > centre - 2.5 * spread)
        kept |= spread == 0
    return np.exp(_polynomial(flair.shape, powers, weights)).astype(np.float32)


def _polynomial(
    shape: Sequence[int], powers: Sequence[tuple[int, ...]], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Evaluate a polynomial over a grid that spans -1..1 along each axis."""
    x, y, z = (np.linspace(-1, 1, n) if n > 1 else np.array([-1.0]) for n in shape)
    total = np.zeros(tuple(shape))
    for (a, b, c), weight in zip(powers, weights, strict=True):
        total += weight * np.multiply.outer(np.multiply.outer(x**a, y**b), z**c)
    return total
