"""Tissues of a person from one image and the template's priors: bias, classes, labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.arrays.slices import even_slices
from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.space.grids import box_of
from wmhflow.core.tissue import labelling as tissue
from wmhflow.core.tissue.bias import correct_bias
from wmhflow.core.tissue.mixture import Mixture, fit_mixture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wmhflow.core.space.grids import Grid3D

CSF, CORTEX, DEEP_GREY, WHITE = range(4)
# Powers of the priors beside the likelihood's 1, and what neighbours add to a logarithm: chosen on
# three simulated images (T1w of 1 mm, FLAIR slices of 5 and 8 mm), priors made of their labels.
T1W_PRIOR_POWER, FLAIR_PRIOR_POWER = 0.5, 1.5
LIKENESS = 3.0
# A class that the template expects in a brain and that has less of it than this was not found.
LEAST_EXPECTED, LEAST_FOUND, MOST_FOUND = 0.1, 0.01, 0.97
ADVICE = "look at image, brain mask and registration, or give a parcellation"


def segment_tissue(
    image: Grid3D,
    brain: NDArray[np.bool_],
    priors: tissue.WarpedPriors,
    lesions: NDArray[np.bool_],
    infarcts: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Correct slices and bias, classify, and label.

    Parameters
    ----------
    image
        T1w, or FLAIR if there is no T1w.
    brain
        Brain mask.
    priors
        The template's priors on the image's grid.
    lesions
        Lesions; empty if unknown.
    infarcts
        Where nothing is learnt from brightness, and the priors alone say what tissue there was.

    Returns
    -------
    tuple of ndarray
        Tissue labels and ventricles.

    Raises
    ------
    UnfitImageError
        If there is nothing to classify, or what was found are no tissues of a brain.
    """
    grey = priors.cortex + priors.deep_grey
    sizes = image.voxel_sizes_mm
    data = np.nan_to_num(image.data, nan=0.0, posinf=0.0, neginf=0.0)
    data, _ = even_slices(data, brain, sizes)
    tamed = tissue.tame_outliers(data, priors.white, grey, brain)
    gone = np.zeros(brain.shape, bool) if infarcts is None else infarcts & ~lesions
    counted = ~(lesions | gone) & np.isfinite(image.data)
    corrected = correct_bias(data, brain, sizes, weight=counted & ~(tamed < data))
    tamed = tissue.tame_outliers(corrected, priors.white, grey, brain)
    # On FLAIR the edge between cortex and CSF is as bright as white matter: trust the priors more.
    inverted = tissue.grey_is_brighter(corrected, priors.white, grey, brain)
    power = FLAIR_PRIOR_POWER if inverted else T1W_PRIOR_POWER
    posteriors = classify(tamed, brain, priors, lesions, counted, sizes, power)
    return tissue.label_tissue(posteriors, priors, brain, lesions, sizes, gone)


def classify(
    data: NDArray[np.float32],
    brain: NDArray[np.bool_],
    priors: tissue.WarpedPriors,
    lesions: NDArray[np.bool_],
    counted: NDArray[np.bool_],
    voxel_sizes_mm: tuple[float, ...],
    prior_power: float,
) -> NDArray[np.float32]:
    """Find the probabilities of CSF, grey and white matter.

    Cortex and deep grey matter differ in brightness: they are two classes of the model.

    Parameters
    ----------
    data
        Bias-corrected image of any contrast.
    brain
        Brain mask.
    priors
        The template's priors.
    lesions
        Lesions, which are white matter.
    counted
        Voxels that the model is fitted to; the others keep their priors.
    voxel_sizes_mm
        Voxel size along each axis.
    prior_power
        Power of the priors beside the likelihood's 1.

    Returns
    -------
    ndarray, (3, x, y, z)
        Probabilities, 0 outside the brain.

    Raises
    ------
    UnfitImageError
        If there is nothing to classify, or what was found are no tissues of a brain.
    """
    stack = tissue.class_priors(priors, brain, lesions)
    posteriors = np.zeros((3, *brain.shape), np.float32)
    if not (brain & counted).any():
        raise UnfitImageError(
            "the brain mask is empty, or all of it is lesion or not finite; look at the masks."
        )
    box = box_of(brain)
    inner = (slice(None), *box)
    found = fit_mixture(
        data[box],
        brain[box],
        stack[inner],
        voxel_sizes_mm,
        counted[box],
        prior_power,
        LIKENESS,
        CSF,
    )
    judge_mixture(found)
    part = found.posteriors
    posteriors[inner] = [part[CSF], part[CORTEX] + part[DEEP_GREY], part[WHITE]]
    return posteriors


def judge_mixture(found: Mixture) -> None:
    """Refuse classes that are none: not finite, all one, or in an order that no contrast has.

    Parameters
    ----------
    found
        Classes in the order CSF, cortex, deep grey and white matter.

    Raises
    ------
    UnfitImageError
        With what is wrong and what to do.
    """
    numbers = (found.posteriors, found.means, found.sds)
    if not all(np.isfinite(values).all() for values in numbers):
        raise UnfitImageError(f"the probabilities of tissues are not finite ({ADVICE}).")
    total = max(float(found.voxels.sum()), 1.0)
    if np.ptp(found.means) <= 1e-6 * max(float(np.abs(found.means).max()), 1e-30):
        raise UnfitImageError(
            f"the brain is equally bright everywhere: it has no tissues ({ADVICE})."
        )
    for number, name in ((WHITE, "white matter"), (CORTEX, "cortex")):
        expected, share = found.expected[number] / total, found.voxels[number] / total
        if share > max(MOST_FOUND, expected):
            raise UnfitImageError(f"{share:.0%} of the brain was taken for {name} ({ADVICE}).")
        if expected > LEAST_EXPECTED and share < LEAST_FOUND:
            raise UnfitImageError(
                f"hardly any {name} was found ({share:.1%} of the brain, where the template has "
                f"{expected:.0%}; {ADVICE})."
            )
    csf, cortex, _, white = found.means
    if found.voxels[CSF] > LEAST_FOUND * total and min(cortex, white) < csf < max(cortex, white):
        raise UnfitImageError(
            f"fluid was found brighter than one of white matter ({white:.3g}) and cortex "
            f"({cortex:.3g}) and darker than the other ({csf:.3g}), which no contrast has "
            f"({ADVICE})."
        )
