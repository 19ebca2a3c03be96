"""The template's priors brought to a person, and what was found there brought back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wmhflow.ants.transforms import average_through, resample_all
from wmhflow.core.space.grids import Grid3D, box_around, cropped, uncropped
from wmhflow.core.tissue.parcellation import complete_hemispheres
from wmhflow.core.wmh import segmentation as wmh
from wmhflow.files.template import MASK_PRIORS, PRIORS, Template

if TYPE_CHECKING:
    from numpy.typing import NDArray

# what lesions are told by, of the template
LESION_PRIORS = ("csf", "cortex", "deep_grey", "white", "ventricles")
# Beyond the brain nothing asks for priors, and sides are those of the nearest place that has one; a
# wide margin, not measured.
PRIORS_MARGIN_MM = 10.0


def wmh_priors(
    flair: Grid3D, template: Template, transforms: list[str], invert: list[bool]
) -> wmh.TissuePriors:
    """Bring the template's priors to the FLAIR's own grid, once.

    Parameters
    ----------
    flair
        FLAIR in its own space.
    template
        The template and its priors.
    transforms
        From points of the FLAIR to points of the template, the first applied first.
    invert
        For each transform, whether its inverse is meant.

    Returns
    -------
    TissuePriors
        On the FLAIR's grid.
    """
    grids = {name: template.grid(name) for name in (*LESION_PRIORS, "infratentorial")}
    white = grids["white"]
    # nothing of the template lies where this stays 0: far from the midline, so no septum
    offset = 1000.0
    x = template_x(white.data.shape, white.affine) + offset
    grids["midline_mm"] = Grid3D(x.astype(np.float32), white.affine)
    placed = resample_all(grids, flair, transforms, invert, averaged=True)
    return wmh.TissuePriors(
        csf=placed["csf"],
        cortex=placed["cortex"],
        deep_grey=placed["deep_grey"],
        white=placed["white"],
        ventricles=placed["ventricles"] > 0.5,
        midline_mm=np.abs(placed["midline_mm"] - offset),
        infratentorial=placed["infratentorial"] > 0.5,
    )


def brought_to_brain(
    found: wmh.WMHResult,
    affine: NDArray[np.float64],
    brain: Grid3D,
    transforms: list[str],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bring share and probability of WMH from the FLAIR's grid to the reference's.

    Parameters
    ----------
    found
        WMH on the FLAIR's grid.
    affine
        Of the FLAIR.
    brain
        Brain mask on the reference's grid; nothing is brought further than 10 mm from it.
    transforms
        From points of the reference to points of the FLAIR.

    Returns
    -------
    tuple of ndarray
        Share and probability on the reference's grid, 0..1.
    """
    box = box_around(brain, PRIORS_MARGIN_MM)
    part = cropped(brain, box)
    # a straight line between voxels cuts the tops off: small lesions would shrink
    share, probability = (
        average_through(Grid3D(values, affine), part, transforms, interpolation=how)
        for values, how in ((found.share, "bspline"), (found.probability, "linear"))
    )
    whole = brain.data.shape
    return uncropped(share.clip(0, 1), box, whole), uncropped(probability, box, whole)


def template_x(shape: tuple[int, ...], affine: Any) -> Any:
    """Return every voxel's x in mm: once warped, its sign tells the side without rounding."""
    i, j, k = (weight * np.arange(n) for weight, n in zip(affine[0, :3], shape, strict=True))
    return i[:, None, None] + j[:, None] + k + affine[0, 3]


def warped_priors(
    brain: Grid3D, template: Template, inverse: str
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.uint8]]:
    """Bring the template's priors to the brain: masks by nearest neighbour.

    Parameters
    ----------
    brain
        Brain mask on the reference grid.
    template
        The template and its priors.
    inverse
        Transform from the template to the reference.

    Returns
    -------
    priors : dict
        By their names in the template, 0 further than 10 mm from the brain.
    hemispheres : ndarray
        1 left and 2 right, everywhere.
    """
    box = box_around(brain, PRIORS_MARGIN_MM)
    part, whole = cropped(brain, box), brain.data.shape
    images = {name: template.grid(name) for name in PRIORS}
    white = images["white"]
    images["x"] = Grid3D(template_x(white.data.shape, white.affine), white.affine)
    laid = resample_all(images, part, [inverse], nearest=MASK_PRIORS)
    x = laid.pop("x")
    placed = {name: uncropped(values, box, whole) for name, values in laid.items()}
    # exactly 0 is what lies outside the template's field of view
    sides = uncropped(np.where(x < 0, 1, np.where(x > 0, 2, 0)), box, whole)
    return placed, complete_hemispheres(sides, brain.affine)
