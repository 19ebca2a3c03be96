"""The brain of a whole head or of a skull-stripped image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.align.affine import align_template
from wmhflow.core.arrays.components import largest_component
from wmhflow.core.arrays.masks import within
from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.checks.sanity import flattest_share
from wmhflow.core.space.grids import (
    Grid3D,
    apply_affine,
    box_around,
    robust_range,
    uncropped,
)
from wmhflow.core.tissue.bias import correct_bias
from wmhflow.core.tissue.brain import Shown, filled_foreground, what_is_shown, with_fluid
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
# More than any distance that is looked at around the rough mask.
WORKING_MARGIN_MM = 12.0
# Of the template's voxels every so-manieth tells where its box lies.
STEP = 50
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
) -> NDArray[np.bool_]:
    """Find the brain in a whole head or in a skull-stripped image.

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

    Returns
    -------
    ndarray
        Brain mask.

    Raises
    ------
    UnfitImageError
        If nothing in the image is like the template's brain, or its bias field is no scanner's.
    """
    shown = what_is_shown(head.data, head.voxel_mm3)
    find = _without_neck if shown is Shown.BRAIN else _brain_of
    return find(head, template, template_mask, seed)


def shared_brain(
    head: Grid3D,
    mask: NDArray[np.bool_],
    other: NDArray[np.bool_],
    other_voxel_mm: float | None = None,
) -> NDArray[np.bool_]:
    """Keep what two images without skulls share; any other brain stays as it is.

    Programs that take the skull off leave scraps of it, each image its own: eyes and bone in a T1w
    with contrast agent, where the FLAIR ends at the brain. Left in, they pull the warp to the
    template.

    Parameters
    ----------
    head
        T1w or FLAIR.
    mask
        Its brain, as `extract_brain` finds it.
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
    shown = what_is_shown(head.data, head.voxel_mm3)
    if not shown.without_skull:
        return mask
    sizes = head.voxel_sizes_mm
    body = mask if shown is Shown.BRAIN else with_fluid(filled_foreground(head.data), sizes)
    shared = body & other
    if np.count_nonzero(shared & mask) < LEAST_SHARED * np.count_nonzero(mask):
        return mask
    # an image that ends in the brain leaves a plane there, further in than slices are flat anyway
    nearly = body & within(other, (other_voxel_mm or max(sizes)) / 2, sizes)
    flatter = flattest_share(nearly, sizes) - flattest_share(mask, sizes)
    # scraps lie around the brain: what the other image lacks within it is fluid
    return mask if flatter > MOST_FLATTER else with_fluid(shared, sizes) & body


def _brain_of(
    head: Grid3D, template: Grid3D, template_mask: NDArray[np.bool_], seed: int
) -> NDArray[np.bool_]:
    """Find the brain in a whole head, or among scraps of skull."""
    rough = lay_template_mask(head, template, template_mask, seed)
    if not rough.any():
        raise UnfitImageError(
            "no brain was found: it would lie outside of the image; look at the image."
        )
    # nothing further away than this is looked at again, which saves most of the time
    box = box_around(Grid3D(rough.astype(np.float32), head.affine), WORKING_MARGIN_MM)
    part, inner, sizes = head.data[box], rough[box], head.voxel_sizes_mm
    refined = refine_brain_mask(correct_bias(part, inner, sizes), inner, sizes)
    body = filled_foreground(head.data)
    if body.any():
        near = np.count_nonzero(body[box] & within(inner, FAR_MM, sizes))
        far = np.count_nonzero(body) - near
        if far < STRIPPED_SHARE * np.count_nonzero(body):
            refined &= with_fluid(body, sizes)[box]
    return np.asarray(uncropped(refined, box, head.data.shape))


def _without_neck(
    head: Grid3D, template: Grid3D, template_mask: NDArray[np.bool_], seed: int
) -> NDArray[np.bool_]:
    """Take a neck or orbits off a brain that was cut out with them; a brain alone stays as it is.

    Left in, they are taken for cerebellum, and the warp to the template tears the brain.
    """
    body = with_fluid(filled_foreground(head.data), head.voxel_sizes_mm)
    try:
        rough = lay_template_mask(head, template, template_mask, seed)
    except UnfitImageError:
        # what is no brain is refused once it lies on the template, with its likeness to it
        return body
    near = body & within(rough, FAR_MM, head.voxel_sizes_mm)
    far = np.count_nonzero(body) - np.count_nonzero(near)
    if not near.any() or far < STRIPPED_SHARE * np.count_nonzero(body):
        return body
    return largest_component(near)


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

    Raises
    ------
    UnfitImageError
        If nothing in the image is like the template's brain.
    """
    scaled = [Grid3D(robust_range(grid.data), grid.affine) for grid in (template, head)]
    matrix, _ = align_template(scaled[0], template_mask, scaled[1], seed)
    to_template = np.linalg.inv(matrix @ template.affine) @ head.affine
    voxels = np.linalg.inv(head.affine) @ matrix
    box = _box_of_points(
        apply_affine(
            voxels @ template.affine, np.argwhere(template_mask)[::STEP].astype(np.float64)
        ),
        np.ceil(np.divide(WORKING_MARGIN_MM, head.voxel_sizes_mm)),
        head.data.shape,
    )
    start = to_template @ np.r_[[part.start for part in box], 1.0]
    laid = ndimage.affine_transform(
        template_mask.astype(np.float32),
        to_template[:3, :3],
        start[:3],
        tuple(part.stop - part.start for part in box),
        order=1,
    )
    grown = within(laid > 0.5, MARGIN_MM, head.voxel_sizes_mm)
    return np.asarray(uncropped(grown, box, head.data.shape))


def _box_of_points(
    voxels: NDArray[np.float64], margins: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[slice, ...]:
    """Find the box of a grid that holds points, and some voxels around them."""
    first = np.clip(np.floor(voxels.min(axis=0) - margins), 0, np.subtract(shape, 1)).astype(int)
    last = np.clip(np.ceil(voxels.max(axis=0) + margins), first + 1, shape).astype(int)
    return tuple(slice(int(low), int(high)) for low, high in zip(first, last, strict=True))
