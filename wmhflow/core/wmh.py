"""White matter hyperintensities on a FLAIR's own grid, by a model of each person's normal tissue.

Where white matter, cortex, deep grey matter and CSF may lie is known from the template's priors;
how bright they are is learnt from the person. What is brighter than the tissues that can be
there is a lesion: in deep white matter a little is enough, near the cortex much is needed. This
is the outlier model of Van Leemput et al. [1]_ with a neighbourhood prior, in a single pass.

References
----------
.. [1] Van Leemput K, Maes F, Vandermeulen D, Colchester A, Suetens P. Automated segmentation of
   multiple sclerosis lesions by model outlier detection. IEEE Trans Med Imaging 2001;20:677-688.
   doi:10.1109/42.938237
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.grids import box_of, uncropped
from wmhflow.core.lesion_model import LesionModel
from wmhflow.core.masks import ROUNDING, deeper, within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAD_TO_SD = 1.4826
FIELD_SAMPLES = 100_000
FIELD_ROUNDS = 6
LEAST_LESION_MM3 = 5.0
HEIGHT_MM = 5.0
# Probability of a tissue above which its voxels describe it.
SURE_PRIOR, SURE_CORTEX = 0.9, 0.8
# Errors of the template's alignment blur its priors by about this much.
BLUR_MM, CORTEX_BLUR_MM = 1.0, 1.5
DARKEST_Z, BRIGHTEST_Z = -10.0, 12.0
# CSF on FLAIR and on T1w, in SD of white matter.
CSF_FLAIR_Z, CSF_T1W_Z = 0.0, -5.0
CSF_FLAIR_ALONE_Z = -3.0
VENTRICLE_GAP_MM = 2.0
SEPTUM_HALF_WIDTH_MM, SEPTUM_REACH_MM = 2.0, 4.0
LEAST_SD, LARGEST_SD = 0.06, 0.5
# The peak of a histogram is looked for after smoothing by this share of the interquartile range.
PEAK_BINS, PEAK_SMOOTHING = 200, 0.15
MEAN_FIELD_ROUNDS = 4
# Cortex darker than this is CSF; less than this share of cortex around says little.
LIKELY_CORTEX, LEAST_CORTEX_Z, LITTLE_CORTEX = 0.6, -2.5, 0.02
SURFACE_MM, SURFACE_WHITE = 3.0, 0.2
# A voxel beside a lesion with less than this probability has no share of it.
SHARE_PROBABILITY, SHARE_STEP = 0.05, 1e-3
TINY = 1e-12


@dataclass(frozen=True)
class TissuePriors:
    """The template's priors on the FLAIR's grid.

    Probabilities 0..1 of four tissues, the generous region of the lateral ventricles, and the
    distance in mm from the template's midline.
    """

    csf: NDArray[np.float32]
    cortex: NDArray[np.float32]
    deep_grey: NDArray[np.float32]
    white: NDArray[np.float32]
    ventricles: NDArray[np.bool_]
    midline_mm: NDArray[np.float32]


@dataclass(frozen=True)
class WMHResult:
    """Mask and probability of WMH, and the numbers that they rest on.

    `share` is at least a half in the mask and below it outside; between voxels it changes as the
    share of lesion does, so that the mask can be drawn on a finer grid.
    """

    mask: NDArray[np.bool_]
    probability: NDArray[np.float32]
    share: NDArray[np.float32]
    white_matter_sd: float
    cortex_z: float
    cortex_spread_z: float
    lesion_z: float

    def numbers(self) -> dict[str, float]:
        """Give the numbers that the mask rests on.

        Returns
        -------
        dict
            SD of normal white matter as a share of its brightness, and median brightness (in
            these SD) and spread of the cortex, and the brightness expected of lesions.
        """
        return {
            "white_matter_sd": self.white_matter_sd,
            "cortex_z": self.cortex_z,
            "cortex_spread_z": self.cortex_spread_z,
            "lesion_z": self.lesion_z,
        }


def segment_wmh(
    flair: NDArray[np.float32],
    t1w: NDArray[np.float32] | None,
    priors: TissuePriors,
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    model: LesionModel | None = None,
) -> WMHResult:
    """Segment WMH on the FLAIR's own grid.

    Parameters
    ----------
    flair
        FLAIR in any unit; its bias field is modelled here.
    t1w
        T1w on the same grid, which tells CSF and choroid plexus from lesions; None without one.
    priors
        The template's priors on the same grid.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.
    model
        What is taken for granted; `LesionModel()` if None.

    Returns
    -------
    WMHResult
        Mask without holes other than ventricles, probability (at least `threshold` in the mask and
        below it outside), and the person's numbers.

    Raises
    ------
    ValueError
        If the FLAIR has no positive value where white matter is likely, or its values there
        differ wildly.
    """
    model = LesionModel() if model is None else model
    if not brain.any():
        raise ValueError("the brain mask is empty; look at it and at the FLAIR")
    box = box_of(brain)
    part = TissuePriors(*(getattr(priors, name)[box] for name in TissuePriors.__annotations__))
    inner = brain[box]
    z, contrast, white_sd = brightness(flair[box], part.white, inner, voxel_sizes_mm)
    if white_sd > LARGEST_SD:
        raise ValueError(
            f"the FLAIR's white matter differs by {white_sd:.0%} (SD) from place to place; look at "
            "the registration, and give a FLAIR whose 0 is no signal (no z-scores)"
        )
    t1w_z = None
    if t1w is not None:
        t1w_z = brightness(t1w[box], part.white, inner, voxel_sizes_mm)[0]
    cortex_z, cortex_spread = grey_brightness(z, part.cortex, inner)
    smooth = _smooth_within(z, inner, 0.6, voxel_sizes_mm)
    nearby = cortex_nearby(z, cortex_z, part.cortex, inner, voxel_sizes_mm, model.cortex_mm)
    probability = lesion_probability(
        smooth, part, inner, voxel_sizes_mm, (cortex_z, cortex_spread), nearby, model
    )
    excluded = ventricles_and_septum(z, t1w_z, part, inner, voxel_sizes_mm)
    excluded |= surface(part.white, inner, voxel_sizes_mm)
    accepted = accept_lesions(probability, excluded, voxel_sizes_mm, model)
    excess = np.maximum(np.expm1(contrast), 0)
    core = core_height(accepted, excess, voxel_sizes_mm)
    edge = model.lesion_edge(core, cortex_z * white_sd, voxel_sizes_mm)
    height = excess / core
    mask = trim_to_height(accepted, height, edge, voxel_sizes_mm) & inner & ~excluded
    mask = sure_somewhere(mask, probability, model.peak)
    # As far below one half beside the edge as above it inside, so that the edge stays between
    # voxels where the mask is drawn on another grid.
    share = 0.5 + (height - edge) / (2 * np.minimum(edge, 1 - edge))
    share = np.where((probability > SHARE_PROBABILITY) & ~excluded, share, 0)
    # what was filled is lesion through and through: a spline would dip into a hole
    share = lesion_share(np.where(mask & (height < edge), 1, share), mask)
    probability = agreeing(probability, mask, model.threshold)
    return WMHResult(
        mask=uncropped(mask, box, flair.shape),
        probability=uncropped(probability, box, flair.shape),
        share=uncropped(share, box, flair.shape),
        white_matter_sd=white_sd,
        cortex_z=cortex_z,
        cortex_spread_z=cortex_spread,
        lesion_z=float(model.lesion_brightness(cortex_z)),
    )


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
    ValueError
        If there is no positive value where white matter is likely.
    """
    white = brain & (white_prior > SURE_PRIOR)
    core = deeper(white, float(min(voxel_sizes_mm)), voxel_sizes_mm)
    white = core if core.any() else white
    if not (white & (image > 0)).any():
        raise ValueError("the image has no white matter; look at brain mask and registration")
    expected = white_matter_field(image, white)
    floor = 1e-3 * float(np.median(expected))
    ratio = np.log(np.maximum(image, floor) / np.maximum(expected, floor))
    centre, sd = robust_location_scale(ratio[white])
    # Thick slices average noise away, but not how much normal tissue differs from place to place.
    sd = max(sd, LEAST_SD)
    contrast = (ratio - centre).astype(np.float32)
    return np.clip(contrast / sd, DARKEST_Z, BRIGHTEST_Z).astype(np.float32), contrast, sd


def _smooth_within(
    values: NDArray[np.float32],
    mask: NDArray[np.bool_],
    sd_mm: float,
    voxel_sizes_mm: Sequence[float],
) -> NDArray[np.float32]:
    """Smooth inside a mask, with nothing from outside."""
    sigma = [sd_mm / size for size in voxel_sizes_mm]
    share = ndimage.gaussian_filter(mask.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(mask, values, 0).astype(np.float32), sigma)
    return np.where(mask, total / np.maximum(share, 1e-3), 0).astype(np.float32)


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


def surface(
    white_prior: NDArray[np.float32], brain: NDArray[np.bool_], voxel_sizes_mm: Sequence[float]
) -> NDArray[np.bool_]:
    """Find the brain's surface: where a mask lets in dura, bone or fat, and no lesion can be.

    Parameters
    ----------
    white_prior
        Probability of white matter, 0..1.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        Voxels near the outside of the mask, without those where white matter is likely.
    """
    # the border of the array is the brain's too, where it is cut there
    depth = deeper(np.pad(brain, 1), SURFACE_MM, voxel_sizes_mm)[1:-1, 1:-1, 1:-1]
    return brain & ~depth & (white_prior < SURFACE_WHITE)


def lesion_probability(
    z: NDArray[np.float32],
    priors: TissuePriors,
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    cortex: tuple[float, float],
    cortex_around: NDArray[np.float32],
    model: LesionModel,
) -> NDArray[np.float32]:
    """Compute the probability of lesion from brightness, place and neighbours.

    Parameters
    ----------
    z
        Brightness of the FLAIR in SD of normal white matter.
    priors
        The template's priors.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.
    cortex
        Median and SD of the cortex's brightness.
    cortex_around
        Its brightness around each voxel.
    model
        What is taken for granted.

    Returns
    -------
    ndarray
        Probability, 0..1; 0 outside the brain.
    """
    blurs = {"white": BLUR_MM, "cortex": CORTEX_BLUR_MM, "deep_grey": BLUR_MM, "csf": BLUR_MM}
    share = {
        name: ndimage.gaussian_filter(getattr(priors, name), [mm / s for s in voxel_sizes_mm])
        for name, mm in blurs.items()
    }
    total = sum(share.values()) + 1e-3
    share = {name: values / total for name, values in share.items()}
    grey, grey_sd = cortex
    normal = share["white"] * (
        (1 - model.stray) * _gaussian(z, 0.0, 1.0) + model.stray * _gaussian(z, 1.5, 2.0)
    )
    normal += share["cortex"] * _gaussian(z, cortex_around, grey_sd * model.cortex_spread)
    normal += share["deep_grey"] * _gaussian(z, 0.6 * grey, max(grey_sd, 1.2))
    as_bright = _gaussian(z, cortex_around, grey_sd)
    normal += share["csf"] * np.where(z < cortex_around, model.csf_likelihood, as_bright)
    bright = model.lesion_brightness(cortex_around)
    lesion = _gaussian(np.minimum(z, bright), bright, model.spread_z)
    possible = np.clip(share["white"] + 0.3 * share["deep_grey"], 0.02, 1)
    sigma = [model.neighbours_mm / size for size in voxel_sizes_mm]
    probability = np.zeros_like(z)
    for number in range(MEAN_FIELD_ROUNDS):
        around = ndimage.gaussian_filter(probability, sigma) if number else probability
        prior = np.clip(model.prior + model.neighbours * around, 0, 0.9)
        prior *= np.clip(possible + around, 0, 1)
        weight = prior * lesion
        probability = np.where(brain, weight / (weight + (1 - prior) * normal + TINY), 0)
        probability = probability.astype(np.float32)
    return probability


def _gaussian(
    values: NDArray[np.float32], mean: float | NDArray[np.float32], sd: float
) -> NDArray[np.float32]:
    scaled = (values - np.asarray(mean, np.float32)) / np.float32(sd)
    return np.exp(-0.5 * scaled**2) / np.float32(sd * np.sqrt(2 * np.pi))


def ventricles_and_septum(
    z: NDArray[np.float32],
    t1w_z: NDArray[np.float32] | None,
    priors: TissuePriors,
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
) -> NDArray[np.bool_]:
    """Find the ventricles with the choroid plexus in them, and the septum: bright and no lesion.

    Parameters
    ----------
    z
        Brightness of the FLAIR in SD of normal white matter.
    t1w_z
        The same of the T1w, or None.
    priors
        The template's priors.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        Where no lesion is looked for.
    """
    fluid = brain & priors.ventricles
    fluid &= z < (CSF_FLAIR_ALONE_Z if t1w_z is None else CSF_FLAIR_Z)
    if t1w_z is not None:
        fluid &= t1w_z < CSF_T1W_Z
    grown = within(fluid, VENTRICLE_GAP_MM, voxel_sizes_mm)
    closed = deeper(grown, VENTRICLE_GAP_MM, voxel_sizes_mm) | fluid
    ventricles = ndimage.binary_fill_holes(closed)
    septum = priors.midline_mm < SEPTUM_HALF_WIDTH_MM
    septum &= within(ventricles, SEPTUM_REACH_MM, voxel_sizes_mm)
    return ventricles | septum


def accept_lesions(
    probability: NDArray[np.floating],
    excluded: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    model: LesionModel,
) -> NDArray[np.bool_]:
    """Take what is probable, large enough and sure somewhere, and fill its holes.

    Parameters
    ----------
    probability
        Probability of lesion.
    excluded
        Where there is none.
    voxel_sizes_mm
        Voxel size along each axis.
    model
        Threshold and peak.

    Returns
    -------
    ndarray
        The lesions.
    """
    likely = (probability >= model.threshold) & ~excluded
    likely = keep_large(likely, LEAST_LESION_MM3, voxel_sizes_mm)
    sure = sure_somewhere(likely, probability, model.peak)
    return ndimage.binary_fill_holes(sure) & ~excluded


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
    lesions, n_lesions = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    sure = np.bincount(lesions[probability > peak], minlength=n_lesions + 1) > 0
    sure[0] = False
    return sure[lesions]


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
    return ndimage.binary_fill_holes(keep_large(kept, LEAST_LESION_MM3, voxel_sizes_mm))


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


def keep_large(
    mask: NDArray[np.bool_], least_mm3: float, voxel_sizes_mm: Sequence[float]
) -> NDArray[np.bool_]:
    """Drop 26-connected components smaller than a volume.

    Parameters
    ----------
    mask
        Any mask.
    least_mm3
        Least volume kept; a component of two voxels or more is needed in any case.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        The mask without its small components.

    Examples
    --------
    >>> keep_large(
    ...     np.array([1, 0, 1, 1, 1], bool).reshape(5, 1, 1), 3.0, (1, 1, 1)
    ... ).ravel().tolist()
    [False, False, True, True, True]
    """
    labels, n_labels = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    counts = np.bincount(labels.ravel(), minlength=n_labels + 1)
    volumes = counts * float(np.prod(voxel_sizes_mm)) * (1 + ROUNDING)
    large = (volumes >= least_mm3) & (counts >= 2)
    large[0] = False
    return large[labels]
