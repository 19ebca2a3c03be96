"""Tissue classes with Atropos, started from and held by the template's priors."""

from __future__ import annotations

import contextlib
import tempfile
from typing import TYPE_CHECKING

import numpy as np

from wmhflow.ants.images import ants_image, single_threaded_ants
from wmhflow.core.space.grids import Grid3D, box_of, robust_range
from wmhflow.core.tissue import labelling as tissue
from wmhflow.core.tissue.bias import correct_bias
from wmhflow.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


# antspyx's default; how a FLAIR's was chosen above it was by eye on real heads, not measured.
T1W_PRIOR_WEIGHT = 0.25
FLAIR_PRIOR_WEIGHT = 0.5


# --- tissue -------------------------------------------------------------------------------------


def classify(
    image: Grid3D,
    brain: NDArray[np.bool_],
    class_priors: NDArray[np.float32],
    counted: NDArray[np.bool_],
    seed: int,
    prior_weight: float = T1W_PRIOR_WEIGHT,
) -> NDArray[np.float32]:
    """Classify the brain with Atropos, started from and held by the priors.

    Parameters
    ----------
    image
        Bias-corrected image of any contrast.
    brain
        Brain mask.
    class_priors
        Prior of each class, (n, x, y, z).
    counted
        Voxels of the brain that the intensity model is fitted to; the others keep their prior.
    seed
        Seed of everything random in ANTs.
    prior_weight
        Weight of the priors against intensity.

    Returns
    -------
    ndarray, (n, x, y, z)
        Posterior of each class.

    Raises
    ------
    InputError
        If there is nothing to classify.

    References
    ----------
    Avants BB et al. An open source multivariate framework for n-tissue segmentation with
    evaluation on public data. Neuroinformatics 2011. doi:10.1007/s12021-011-9109-y
    """
    ants = single_threaded_ants(seed)
    fitted = brain & counted
    if not fitted.any():
        raise InputError("the brain mask is empty, or all of it is lesion; look at the mask.")
    box = box_of(fitted)
    # Atropos needs neither orientation nor origin, and priors pass through files: leave them out.
    plain = np.diag([*image.voxel_sizes_mm, 1.0])
    images = [
        ants_image(Grid3D(values[box], plain), seed)
        for values in (robust_range(image.data), fitted, *class_priors)
    ]
    with temporary_files_in_scratch():
        result = ants.atropos(
            a=images[0],
            x=images[1],
            i=images[2:],
            # as antsAtroposN4.sh has it by default
            m="[0.1,1x1x1]",
            c="[5,0]",
            priorweight=prior_weight,
            **{"use-random-seed": 0},
        )
    posteriors = class_priors.copy()
    for index, probability in enumerate(result["probabilityimages"]):
        inner = posteriors[index][box]
        inner[fitted[box]] = probability.numpy()[fitted[box]]
    return posteriors


@contextlib.contextmanager
def temporary_files_in_scratch() -> Iterator[None]:
    """Give what makes temporary files and leaves them there (Atropos) a folder that goes away."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def segment_tissue(
    image: Grid3D,
    brain: NDArray[np.bool_],
    priors: tissue.WarpedPriors,
    lesions: NDArray[np.bool_],
    seed: int,
    infarcts: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float32]]:
    """Correct the bias, classify, and label.

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
    seed
        Seed of everything random in ANTs.
    infarcts
        Where nothing is learnt from brightness, and the priors alone say what tissue there was.

    Returns
    -------
    tuple of ndarray
        Tissue labels, ventricles, bias-corrected image.
    """
    grey = priors.cortex + priors.deep_grey
    tamed = tissue.tame_outliers(image.data, priors.white, grey, brain)
    gone = np.zeros(brain.shape, bool) if infarcts is None else infarcts & ~lesions
    unusual = lesions | gone | (tamed < image.data)
    corrected = correct_bias(image.data, brain, image.voxel_sizes_mm, weight=~unusual)
    sizes = image.voxel_sizes_mm
    stack = tissue.class_priors(priors, brain, lesions)
    tamed = tissue.tame_outliers(corrected, priors.white, grey, brain)
    # On FLAIR the edge between cortex and CSF is as bright as white matter: trust the priors more.
    inverted = tissue.grey_is_brighter(corrected, priors.white, grey, brain)
    weight = FLAIR_PRIOR_WEIGHT if inverted else T1W_PRIOR_WEIGHT
    posteriors = classify(
        Grid3D(tamed, image.affine), brain, stack, ~(lesions | gone), seed, weight
    )
    labels, ventricles = tissue.label_tissue(posteriors, priors, brain, lesions, sizes, gone)
    return labels, ventricles, corrected
