"""The tissue image: one label per voxel of the brain, from posteriors and warped priors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.arrays.components import keep_components
from wmhflow.core.arrays.distance import nearest
from wmhflow.core.arrays.masks import within
from wmhflow.core.arrays.robust import median_and_spread
from wmhflow.core.tissue.ventricles import lateral_ventricles
from wmhflow.labels.digits import (
    CORTEX,
    CSF,
    DEEP_GREY,
    INFRATENTORIAL,
    VENTRICLES,
    WHITE_MATTER,
    with_side,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# How sure the template has to be was chosen by eye on real heads; with it, white matter and cortex
# reached a Dice of 0.93 and more and of 0.86 and more on five simulated heads, with the classes of
# Atropos (docs/benchmarks.md).
# Grey matter or CSF where the template has less than this probability of any is a lesion.
LEAST_OTHER_PRIOR = 0.1
SURE_DEEP_PRIOR = 0.5
SURE_TISSUE_PRIOR = 0.9
# Nothing is impossible, or brightness could not correct the warp's errors; not measured.
PRIOR_FLOOR = 0.02
# So near to a ventricle there is no cortex where the template has less than this of it: without it
# the wall, as bright as cortex, cut the depth and the zones (docs/definitions.md).
LINING_MM, LEAST_CORTEX_PRIOR = 2.0, 0.5
# The cortex is a sheet, and white matter hangs together: a smaller piece is bone, fat, a bit of the
# cerebellum, or noise. It would put what lies around it next to the cortex. By eye, not measured.
LEAST_PIECE_MM3 = 1000.0


@dataclass(frozen=True)
class WarpedPriors:
    """The template's priors on the person's grid: probabilities 0..1 and masks."""

    csf: NDArray[np.float32]
    cortex: NDArray[np.float32]
    deep_grey: NDArray[np.float32]
    white: NDArray[np.float32]
    ventricles: NDArray[np.bool_]
    infratentorial: NDArray[np.bool_]
    hemispheres: NDArray[np.uint8]


def class_priors(
    priors: WarpedPriors, brain: NDArray[np.bool_], lesions: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Make the priors of the intensity model: CSF, cortex, deep grey and white matter.

    Parameters
    ----------
    priors
        Warped priors.
    brain
        Brain mask; where the template has no brain, CSF is likeliest.
    lesions
        Lesions, which are white matter.

    Returns
    -------
    ndarray, (4, x, y, z)
        Probabilities that sum to 1 inside the brain and are 0 outside.
    """
    stack = np.array([priors.csf, priors.cortex, priors.deep_grey, priors.white], np.float32)
    stack = np.clip(stack, 0, 1)
    stack[0] += stack.sum(axis=0) < 0.5
    stack += PRIOR_FLOOR
    stack[:, lesions] = np.array([0, 0, 0, 1], np.float32)[:, None]
    return np.where(brain, stack / stack.sum(axis=0), 0).astype(np.float32)


def tame_outliers(
    data: NDArray[np.float32],
    white_prior: NDArray[np.float32],
    grey_prior: NDArray[np.float32],
    brain: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Clip what is far brighter than grey and white matter: vessels, fat, dura, FLAIR lesions.

    Parameters
    ----------
    data
        Image of any contrast.
    white_prior, grey_prior
        Probabilities of white and of grey matter.
    brain
        Brain mask.

    Returns
    -------
    ndarray
        The image, clipped at 0 below, and above at three SD of the brighter of the two tissues.
    """
    tops = []
    for prior in (white_prior, grey_prior):
        likely = brain & (prior > SURE_TISSUE_PRIOR)
        if likely.any():
            median, spread = median_and_spread(data[likely])
            tops.append(median + 3 * spread if spread > 0 else float(data.max()))
    return np.clip(data, 0.0, max(tops)) if tops else data


def grey_is_brighter(
    data: NDArray[np.float32],
    white_prior: NDArray[np.float32],
    grey_prior: NDArray[np.float32],
    brain: NDArray[np.bool_],
) -> bool:
    """Tell a FLAIR's contrast from a T1w's.

    Parameters
    ----------
    data
        Image of any contrast.
    white_prior, grey_prior
        Probabilities of white and of grey matter.
    brain
        Brain mask.

    Returns
    -------
    bool
        True if likely grey matter is brighter than likely white matter.
    """
    white, grey = (brain & (prior > SURE_TISSUE_PRIOR) for prior in (white_prior, grey_prior))
    if not (white.any() and grey.any()):
        return False
    return bool(np.median(data[grey]) > np.median(data[white]))


def label_tissue(
    posteriors: NDArray[np.float32],
    priors: WarpedPriors,
    brain: NDArray[np.bool_],
    lesions: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    infarcts: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Label every voxel of the brain, and find the lateral ventricles.

    Parameters
    ----------
    posteriors
        Probabilities of CSF, grey and white matter, (3, x, y, z).
    priors
        Warped priors.
    brain
        Brain mask.
    lesions
        Lesions, which are white matter.
    voxel_sizes_mm
        Voxel size along each axis.
    infarcts
        Where there is no ventricle, however dark.

    Returns
    -------
    tuple of ndarray
        Labels (10 + k left, 20 + k right; 0 outside the brain), and the ventricles.
    """
    winner = np.argmax(posteriors, axis=0)
    cerebrum = brain & ~priors.infratentorial & ~lesions
    csf = cerebrum & (winner == 0)
    fluid = csf if infarcts is None else csf & ~infarcts
    inner = priors.white + priors.deep_grey
    ventricles = lateral_ventricles(fluid, priors.ventricles, priors.cortex, inner, voxel_sizes_mm)
    ventricles &= cerebrum if infarcts is None else cerebrum & ~infarcts
    # Dark holes in white matter, where the template has nothing else, are lesions.
    others = priors.cortex + priors.deep_grey + priors.csf
    nothing_else = (others < LEAST_OTHER_PRIOR) & (priors.white > 0.5)
    csf &= ventricles | ~nothing_else
    grey = cerebrum & (winner == 1) & ~nothing_else
    # Pallidum and thalamus are as bright as white matter: there the prior decides.
    deep = grey & (priors.deep_grey > priors.cortex)
    deep |= cerebrum & (winner != 0) & (priors.deep_grey > SURE_DEEP_PRIOR)
    # What a ventricle fills in part is as bright as cortex, and would put cortex at its wall.
    beside = within(ventricles, LINING_MM, voxel_sizes_mm)
    grey &= ~beside | (priors.cortex >= LEAST_CORTEX_PRIOR)
    labels = np.where(brain, WHITE_MATTER, 0)
    labels[csf] = CSF
    labels[grey] = CORTEX
    labels[deep] = DEEP_GREY
    labels[ventricles] = VENTRICLES
    labels[brain & priors.infratentorial & ~lesions] = INFRATENTORIAL
    loose = _pieces(labels == CORTEX, voxel_sizes_mm) | _pieces(
        labels == WHITE_MATTER, voxel_sizes_mm
    )
    loose &= ~lesions if infarcts is None else ~(lesions | infarcts)
    # what is a ventricle was decided above
    seeds = np.where(loose | ventricles, 0, labels)
    _, around = nearest(seeds, voxel_sizes_mm, within=loose)
    labels = np.where(loose, around, labels)
    sides = priors.hemispheres
    if not sides.all():
        raise ValueError("some voxels of the hemispheres have no side; complete them first")
    return with_side(labels, sides).astype(np.uint8), ventricles


def _pieces(tissue: NDArray[np.bool_], voxel_sizes_mm: Sequence[float]) -> NDArray[np.bool_]:
    """Find what of a tissue is no part of its large pieces; nothing, if it has none."""
    voxel_mm3 = float(np.prod(voxel_sizes_mm))
    large = keep_components(tissue, lambda _, counts: counts * voxel_mm3 >= LEAST_PIECE_MM3)
    return tissue & ~large & large.any()
