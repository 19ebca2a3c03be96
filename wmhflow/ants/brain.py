"""The brain of a whole head or of a skull-stripped image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.align.affine import align_template
from wmhflow.core.arrays.masks import within
from wmhflow.core.checks.sanity import flattest_share
from wmhflow.core.space.grids import Grid3D, robust_range
from wmhflow.core.tissue.bias import correct_bias
from wmhflow.core.tissue.brain import Shown, filled_foreground, what_is_shown
from wmhflow.core.tissue.brain_mask import refine_brain_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray


# Scalp, eyes and neck lie further than this from the brain; dura and partial volume do not. These
# were chosen by eye on real heads, whole and stripped; what they give is measured as a whole
# (docs/benchmarks.md, "Ventricles, tissues and the template's warp").
FAR_MM = 8.0
STRIPPED_SHARE = 0.03
# The affine leaves the gyri of some people just outside of the template's brain. By eye, too.
MARGIN_MM = 2.0
# Neither of these shares was measured.
# Another image's brain is believed if it leaves at least this share of what was found without it.
LEAST_SHARED = 0.9
# ... and if its largest flat face is not larger by more than this share of the surface.
MOST_FLATTER = 0.02


# --- brain --------------------------------------------------------------------------------------


def extract_brain(
    head: Grid3D,
    template: Grid3D,
    template_mask: NDArray[np.bool_],
    seed: int,
    other: NDArray[np.bool_] | None = None,
    other_voxel_mm: float | None = None,
) -> NDArray[np.bool_]:
    """Find the brain in a whole head or in a skull-stripped image.

    Programs that take the skull off leave scraps of it, each image its own: eyes and bone in a T1w
    with contrast agent, where the FLAIR ends at the brain. Left in, they pull the warp to the
    template. So two images without skulls have as brain what they share.

    Parameters
    ----------
    head
        T1w or FLAIR.
    template
        Skull-stripped template.
    template_mask
        Its brain.
    seed
        Seed of everything random.
    other
        Brain of a skull-stripped image of the same person, on the head's grid; true where that
        image does not reach.
    other_voxel_mm
        Longest edge of that image's voxels; the head's if None.

    Returns
    -------
    ndarray
        Brain mask.
    """
    mask = _brain_of(head, template, template_mask, seed)
    if other is None or not what_is_shown(head.data, head.voxel_mm3).without_skull:
        return mask
    body, sizes = filled_foreground(head.data), head.voxel_sizes_mm
    shared = body & other
    if np.count_nonzero(shared & mask) < LEAST_SHARED * np.count_nonzero(mask):
        return mask
    # an image that ends in the brain leaves a plane there, further in than slices are flat anyway
    nearly = body & within(other, (other_voxel_mm or max(sizes)) / 2, sizes)
    flatter = flattest_share(nearly, sizes) - flattest_share(mask, sizes)
    return mask if flatter > MOST_FLATTER else shared


def _brain_of(
    head: Grid3D, template: Grid3D, template_mask: NDArray[np.bool_], seed: int
) -> NDArray[np.bool_]:
    """Find the brain in one image."""
    if what_is_shown(head.data, head.voxel_mm3) is Shown.BRAIN:
        return filled_foreground(head.data)
    rough = lay_template_mask(head, template, template_mask, seed)
    body = filled_foreground(head.data)
    far = body & ~within(rough, FAR_MM, head.voxel_sizes_mm)
    stripped = bool(body.any()) and far.sum() < STRIPPED_SHARE * body.sum()
    corrected = correct_bias(head.data, rough, head.voxel_sizes_mm)
    refined = refine_brain_mask(corrected, rough, head.voxel_sizes_mm)
    return refined & body if stripped else refined


def lay_template_mask(
    head: Grid3D, template: Grid3D, template_mask: NDArray[np.bool_], seed: int
) -> NDArray[np.bool_]:
    """Lay the template's brain mask over a head, a little too large.

    Parameters
    ----------
    head
        T1w or FLAIR.
    template
        Skull-stripped template.
    template_mask
        Its brain.
    seed
        Seed of the points that are compared.

    Returns
    -------
    ndarray
        Mask on the head's grid.
    """
    scaled = [Grid3D(robust_range(grid.data), grid.affine) for grid in (template, head)]
    matrix, _ = align_template(scaled[0], template_mask, scaled[1], seed)
    to_template = np.linalg.inv(matrix @ template.affine) @ head.affine
    laid = ndimage.affine_transform(
        template_mask.astype(np.float32),
        to_template[:3, :3],
        to_template[:3, 3],
        head.data.shape,
        order=1,
    )
    return within(laid > 0.5, MARGIN_MM, head.voxel_sizes_mm)
