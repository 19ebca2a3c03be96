"""What tells a sound lesion mask from a shifted, swapped or wrong one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.arrays.robust import median_and_spread
from wmhflow.core.arrays.validation import (
    Spacing,
    check_same_shape,
    checked_mask,
    checked_positive,
    checked_volume,
)
from wmhflow.core.checks.cavities import rim_share
from wmhflow.labels.digits import CORTEX, CSF, DEEP_GREY, VENTRICLES, WHITE_MATTER, class_of

SMALL_LESION_MM3 = 5.0
# A voxel that the template gives less tissue than this is taken for CSF.
LEAST_TISSUE = 0.5


def robust_contrast(
    image: NDArray[np.floating], inside: NDArray[np.bool_], reference: NDArray[np.bool_]
) -> float:
    """Measure how far a region stands out from a reference region, in robust SDs of the latter.

    Parameters
    ----------
    image
        Shape (X, Y, Z), any unit; non-finite voxels do not count.
    inside
        Same shape, the region (as WMH).
    reference
        Same shape, what it is compared with (as NAWM).

    Returns
    -------
    float
        (median inside − median of the reference) / (1.4826 × median absolute deviation of the
        reference), without unit; negative where the region is darker. NaN where either region is
        empty or the reference does not vary.

    Examples
    --------
    >>> image = np.array([[[8.0, 9.0, 10.0, 11.0, 12.0, 14.4478]]])
    >>> inside = image > 12
    >>> round(robust_contrast(image, inside, ~inside), 6)
    3.0
    """
    image, inside = checked_volume(image, "image"), checked_mask(inside, "inside")
    reference = checked_mask(reference, "reference")
    check_same_shape(image=image, inside=inside, reference=reference)
    finite = np.isfinite(image)
    bright = image[inside & finite].astype(np.float64)
    normal = image[reference & finite].astype(np.float64)
    if not (bright.size and normal.size):
        return float("nan")
    centre, spread = median_and_spread(normal)
    return (float(np.median(bright)) - centre) / spread if spread > 0 else float("nan")


def share_inside(mask: NDArray[np.bool_], region: NDArray[np.bool_]) -> float:
    """Return the share of a mask's voxels that lie in a region; NaN for an empty mask.

    Parameters
    ----------
    mask, region
        Of one shape (X, Y, Z).

    Examples
    --------
    >>> mask = np.array([[[True, True, False]]])
    >>> share_inside(mask, np.array([[[True, False, True]]]))
    0.5
    """
    mask, region = checked_mask(mask, "mask"), checked_mask(region, "region")
    check_same_shape(mask=mask, region=region)
    return float(np.mean(region[mask])) if mask.any() else float("nan")


def count_small_lesions(
    lesions: NDArray[np.integer], voxel_mm3: float, smaller_than_mm3: float = SMALL_LESION_MM3
) -> tuple[int, int]:
    """Count lesions, and those below a volume.

    Parameters
    ----------
    lesions
        Shape (X, Y, Z), a number per lesion from 1 on, 0 outside.
    voxel_mm3
        Volume of a voxel in mm³.
    smaller_than_mm3
        A lesion of exactly this volume is not small, in mm³.

    Returns
    -------
    total : int
    small : int

    Examples
    --------
    >>> count_small_lesions(np.array([[[1, 0, 2, 2, 2]]]), 2.0, 6.0)
    (2, 1)
    """
    voxel_mm3 = checked_positive(voxel_mm3, "voxel_mm3")
    sizes = np.bincount(checked_volume(lesions, "lesions").ravel())[1:]
    sizes = sizes[sizes > 0]
    # voxel volumes come from determinants: a lesion of just the limit must not fall below it
    small = sizes * voxel_mm3 < smaller_than_mm3 * (1 - 1e-6)
    return int(sizes.size), int(np.count_nonzero(small))


def likeliest_tissue(
    csf: NDArray[np.floating],
    cortex: NDArray[np.floating],
    deep_grey: NDArray[np.floating],
    white: NDArray[np.floating],
    ventricle_region: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Name the tissue that the template expects at every voxel.

    A segmentation that was told of the lesions calls them white matter and cannot judge them; the
    template was told nothing.

    Parameters
    ----------
    csf, cortex, deep_grey, white
        The template's probabilities on the person's grid, shape (X, Y, Z), 0 to 1.
    ventricle_region
        Same shape, where CSF is that of the lateral ventricles.

    Returns
    -------
    ndarray of uint8
        Tissue classes; 0 where the template has less than half a probability of anything.

    Examples
    --------
    >>> some, none = np.full((1, 1, 1), 0.9), np.zeros((1, 1, 1))
    >>> int(likeliest_tissue(some, none, none, none, some > 0)[0, 0, 0]) == VENTRICLES
    True
    """
    stack = np.stack([csf, cortex, deep_grey, white])
    classes = np.array([CSF, CORTEX, DEEP_GREY, WHITE_MATTER], dtype=np.uint8)
    tissue = classes[np.argmax(stack, axis=0)]
    tissue[(tissue == CSF) & ventricle_region] = VENTRICLES
    return np.where(stack.sum(axis=0) < LEAST_TISSUE, 0, tissue).astype(np.uint8)


def lesion_mask_quality(
    lesions: NDArray[np.integer],
    tissue: NDArray[np.integer],
    brain: NDArray[np.bool_],
    nawm: NDArray[np.bool_],
    spacing: Spacing,
    flair: NDArray[np.floating] | None = None,
) -> dict[str, float]:
    """Measure everything that tells a sound lesion mask from a wrong one.

    Parameters
    ----------
    lesions
        Shape (X, Y, Z), a number per lesion from 1 on, 0 outside.
    tissue
        Same shape, tissue classes 1 to 7 (with or without the tens of a side) by someone who was
        not told of the lesions.
    brain, nawm
        Same shape, the brain and normal-appearing white matter.
    spacing
        Voxel size in mm.
    flair
        Same shape, any unit; None if there is none.

    Returns
    -------
    dict
        ``n_lesions``, ``n_small_lesions``, and shares and contrast as in the QC table, NaN where
        there is no lesion, no brain or no FLAIR.
    """
    wmh = checked_volume(lesions, "lesions") > 0
    brain = checked_mask(brain, "brain")
    classes = class_of(checked_volume(tissue, "tissue"))
    check_same_shape(lesions=wmh, tissue=classes, brain=brain)
    voxel_mm3 = float(np.prod(spacing))
    total, small = count_small_lesions(lesions, voxel_mm3)
    n_brain = int(np.count_nonzero(brain))
    ventricles = classes == VENTRICLES
    contrast = rims = float("nan")
    if flair is not None:
        contrast = robust_contrast(flair, wmh, nawm)
        anatomy = (ventricles, np.isin(classes, (WHITE_MATTER, DEEP_GREY)))
        rims = rim_share(flair, wmh, nawm, anatomy, [float(one) for one in spacing])
    return {
        "n_lesions": total,
        "n_small_lesions": small,
        "small_lesion_fraction": small / total if total else float("nan"),
        "brain_volume_mm3": n_brain * voxel_mm3,
        "wmh_brain_fraction": int(wmh.sum()) / n_brain if n_brain else float("nan"),
        "wmh_outside_brain": share_inside(wmh, ~brain),
        "wmh_outside_white_matter": share_inside(wmh, classes != WHITE_MATTER),
        "wmh_in_ventricles": share_inside(wmh, ventricles),
        "wmh_flair_contrast": contrast,
        "wmh_cavity_rim_share": rims,
    }
