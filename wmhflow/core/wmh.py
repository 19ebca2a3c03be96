"""White matter hyperintensities by a robust threshold against a person's own white matter."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core import tissue
from wmhflow.core.brain import within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAD_TO_SD = 1.4826
THRESHOLD_Z = 2.5
SLOPE_Z = 0.5
SMOOTHING_MM = 0.5
GROW_TO = 0.5
RIBBON_MM = 1.5
FIELD_SAMPLES = 100_000
FIELD_ROUNDS = 6
LEAST_LESION_MM3 = 5.0
HEIGHT_MM = 5.0


@dataclass(frozen=True)
class WMHResult:
    """Mask and probability of WMH, and the numbers that they rest on."""

    mask: NDArray[np.bool_]
    probability: NDArray[np.float32]
    white_matter_median: float
    white_matter_sd: float
    threshold_z: float

    def numbers(self) -> dict[str, float]:
        """Give the numbers that the mask rests on.

        Returns
        -------
        dict
            Everything but the images.
        """
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in ("mask", "probability")
        }


def robust_location_scale(values: NDArray[np.floating]) -> tuple[float, float]:
    """Estimate centre and spread of the normal part of values with bright outliers.

    Parameters
    ----------
    values
        Sample; at least one.

    Returns
    -------
    tuple of float
        Median, and the SD from the deviations of the lower half, which lesions do not reach.

    Examples
    --------
    >>> values = np.concatenate([np.linspace(-1, 1, 101), np.full(20, 50.0)])
    >>> centre, _ = robust_location_scale(values)
    >>> abs(centre) < 0.1
    True
    """
    kept = np.asarray(values, dtype=np.float64)
    centre = scale = 0.0
    for _ in range(4):
        centre = float(np.median(kept))
        below = centre - kept[kept <= centre]
        scale = MAD_TO_SD * float(np.median(below))
        kept = values[np.abs(values - centre) <= 2.5 * scale] if scale > 0 else kept
    return centre, scale


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


def candidate_region(
    labels: NDArray[np.uint8], brain: NDArray[np.bool_], voxel_sizes_mm: Sequence[float]
) -> NDArray[np.bool_]:
    """Find where WMH may lie: white matter, what it encloses, and the ventricle's lining.

    Parameters
    ----------
    labels
        Tissue labels (hemispheres merged).
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        The region.
    """
    white = np.isin(labels, (tissue.WHITE, tissue.WMH))
    ventricles = labels == tissue.VENTRICLES
    lining = within(ventricles, 1.0, voxel_sizes_mm) & ~ventricles & (labels != tissue.CSF)
    # A T1-dark lesion is often called grey matter; cortex is never wrapped up in white matter.
    solid = white | ventricles | (labels == tissue.DEEP_GREY)
    wrapped = ndimage.binary_fill_holes(solid) & (labels == tissue.CORTEX)
    return (white | lining | wrapped) & brain


def midline_voxels(
    hemispheres: NDArray[np.uint8], voxel_sizes_mm: Sequence[float], half_width_mm: float
) -> NDArray[np.bool_]:
    """Find the voxels close to the plane between the hemispheres.

    Parameters
    ----------
    hemispheres
        1 left, 2 right, 0 outside.
    voxel_sizes_mm
        Voxel size along each axis.
    half_width_mm
        Largest distance from the plane.

    Returns
    -------
    ndarray
        The voxels near the midline.
    """
    left, right = hemispheres == tissue.LEFT, hemispheres == tissue.RIGHT
    return within(left, half_width_mm, voxel_sizes_mm) & within(
        right, half_width_mm, voxel_sizes_mm
    )


def segment_wmh(
    flair: NDArray[np.float32],
    tissue_labels: NDArray[np.uint8],
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    threshold_z: float = THRESHOLD_Z,
) -> WMHResult:
    """Segment WMH by the FLAIR's robust z against the person's own white matter.

    Parameters
    ----------
    flair
        FLAIR; its bias field is modelled here.
    tissue_labels
        Labels 10 + k (left) and 20 + k (right).
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.
    threshold_z
        Lowest threshold that may be chosen (see ``choose_threshold``).

    Returns
    -------
    WMHResult
        Mask without holes, probability, and the model's numbers.

    Raises
    ------
    ValueError
        If the FLAIR has no positive value in white matter.
    """
    labels = tissue.merge_sides(tissue_labels)
    white = labels == tissue.WHITE
    inner = white & ndimage.binary_erosion(white)
    white = inner if inner.any() else white
    if not (white & (flair > 0)).any():
        raise ValueError("the FLAIR has no white matter; look at tissue and registration")
    expected = white_matter_field(flair, white)
    floor = 1e-3 * float(np.median(expected))
    contrast = np.log(np.maximum(flair, floor) / np.maximum(expected, floor))
    centre, spread = robust_location_scale(contrast[white])
    z = ((contrast - centre) / spread if spread > 0 else np.zeros_like(flair)).astype(np.float32)
    threshold = choose_threshold(z[labels == tissue.CORTEX], threshold_z)
    region = candidate_region(labels, brain, voxel_sizes_mm)
    region &= ~septum(tissue_labels, voxel_sizes_mm)
    smooth = ndimage.gaussian_filter(z, [SMOOTHING_MM / size for size in voxel_sizes_mm])
    exponent = np.clip((smooth - threshold) / SLOPE_Z, -30, 30)
    probability = np.where(region, 1 / (1 + np.exp(-exponent)), 0)
    mask = accept_lesions(probability, labels, voxel_sizes_mm) & brain
    mask = trim_to_half_height(mask, np.expm1(contrast - centre), voxel_sizes_mm) & brain
    probability = np.where(mask, np.maximum(probability, 0.5), np.minimum(probability, 0.499))
    return WMHResult(
        mask=mask,
        probability=probability.astype(np.float32),
        white_matter_median=float(np.median(flair[white])),
        white_matter_sd=spread,
        threshold_z=threshold,
    )


def choose_threshold(cortex_z: NDArray[np.floating], least: float) -> float:
    """Choose the least z of a WMH: brighter than nearly all of the person's own cortex.

    Parameters
    ----------
    cortex_z
        The cortex's z against normal white matter.
    least
        Lowest threshold.

    Returns
    -------
    float
        The cortex's median plus twice the step to its upper quartile, or ``least`` if larger.

    Examples
    --------
    >>> choose_threshold(np.array([0.0, 1.0, 2.0, 3.0, 4.0]), 2.5)
    4.0
    >>> choose_threshold(np.array([]), 2.5)
    2.5
    """
    if cortex_z.size == 0:
        return least
    middle, upper = np.quantile(cortex_z, [0.5, 0.75])
    return float(max(middle + 2 * (upper - middle), least))


def septum(tissue_labels: NDArray[np.uint8], voxel_sizes_mm: Sequence[float]) -> NDArray[np.bool_]:
    """Find the voxels between the two lateral ventricles, bright on FLAIR and no lesion.

    Parameters
    ----------
    tissue_labels
        Labels 10 + k (left) and 20 + k (right).
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        Voxels near the midline and near the ventricles.
    """
    ventricles = tissue.merge_sides(tissue_labels) == tissue.VENTRICLES
    midline = midline_voxels(tissue_labels // tissue.HEMISPHERE_STEP, voxel_sizes_mm, 2.0)
    return midline & within(ventricles, 4.0, voxel_sizes_mm)


def accept_lesions(
    probability: NDArray[np.floating],
    labels: NDArray[np.uint8],
    voxel_sizes_mm: Sequence[float],
) -> NDArray[np.bool_]:
    """Grow lesions from sure voxels, drop slivers along the cortex, fill holes.

    Parameters
    ----------
    probability
        Probability of WMH.
    labels
        Tissue labels (hemispheres merged).
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        The lesions.
    """
    likely = probability >= GROW_TO
    lesions, n_lesions = ndimage.label(likely, structure=np.ones((3, 3, 3)))
    outer = np.isin(labels, (tissue.CORTEX, tissue.CSF, tissue.INFRATENTORIAL, 0))
    to_outer = ndimage.distance_transform_edt(~outer, sampling=voxel_sizes_mm)
    sure = (probability >= 0.5) & (to_outer > RIBBON_MM)
    seeds = np.bincount(lesions[sure], minlength=n_lesions + 1)
    accepted = seeds > 0
    accepted[0] = False
    mask = keep_large(accepted[lesions], LEAST_LESION_MM3, voxel_sizes_mm)
    return ndimage.binary_fill_holes(mask)


def trim_to_half_height(
    mask: NDArray[np.bool_], excess: NDArray[np.floating], voxel_sizes_mm: Sequence[float]
) -> NDArray[np.bool_]:
    """Put the edge of lesions where they stand out half as much as their surroundings in the mask.

    A bright lesion in thick slices reaches the threshold where little of the voxel is lesion, and
    comes out too large. Where it covers half of a voxel, it stands out half as much as in its core.

    Parameters
    ----------
    mask
        Lesions, not too small.
    excess
        Brightness above normal white matter, as a fraction of it; linear in the lesion's share.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        Part of the mask, without small components and without holes.

    Examples
    --------
    >>> excess = np.array([0, 0.2, 0.6, 0.6, 0.6, 0.2, 0]).reshape(7, 1, 1)
    >>> trim_to_half_height(excess > 0.1, excess, (2.0, 2.0, 2.0)).ravel().astype(int).tolist()
    [0, 0, 1, 1, 1, 0, 0]
    """
    sigma = [HEIGHT_MM / size for size in voxel_sizes_mm]
    weight = np.where(mask, np.maximum(excess, 0), 0).astype(np.float32)
    # What stands out weighs more, by its square, so that the core counts and the fringe does not.
    height = ndimage.gaussian_filter(weight**3, sigma)
    total = ndimage.gaussian_filter(weight**2, sigma)
    kept = mask & (excess * total >= 0.5 * height)
    return ndimage.binary_fill_holes(keep_large(kept, LEAST_LESION_MM3, voxel_sizes_mm))


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
    large = (counts * float(np.prod(voxel_sizes_mm)) >= least_mm3) & (counts >= 2)
    large[0] = False
    return large[labels]
