"""The brain in an image without its skull, and telling such an image from a whole head."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.boxes import bounding_box
from wmhflow.core.arrays.components import largest_component, without_holes
from wmhflow.core.arrays.masks import deeper, within
from wmhflow.core.arrays.slices import thick_axis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wmhflow.core.arrays.validation import Spacing

# A skull-stripped image holds this much; adult brains with their CSF have 0.9 to 2 litres. Measured
# on ten stripped images: 1.1 to 2.04 litres, and 2.24 and 2.61 with scraps.
STRIPPED_VOLUME_L = (0.6, 2.2)
# Share of the image's outermost faces that a stripped brain may touch (a head's neck does more). On
# the same images up to 0.001, and 0.026 and 0.029 with scraps.
FACE_SHARE = 0.02
# The same with scraps of skull and neck; heads in a scanner's own images have 0.15 and more.
FACE_SHARE_OF_SCRAPS = 0.05
# Brains stretched to a template, with such scraps, have up to 2.6 litres; whole heads 4 and more.
LARGEST_CUT_OUT_L = 3.0
# Share of the faces of its own bounding box that a brain may fill. Measured on 20 images: brains in
# slices of up to 5 mm, with scraps or without, have up to 0.056; heads of a short field of view,
# padded with zeros, 0.14 to 0.25, and brains that lack 3 cm or more 0.10 to 0.15.
BOX_FACE_SHARE = 0.12
# Gaps narrower than twice this are fluid's, and what they lead to. Where they are closed, brains of
# five label images that were cut out tightly, loosely or with holes, in voxels of 1 mm and slices
# of 5 mm, grow by at most 0.028, and by 0.08 to 0.25 if their fluid was taken away.
GAP_MM, FLUID_SHARE, LOOKED_AT_MM = 5.0, 0.05, 2.0


def background_value(data: NDArray[Any]) -> float | None:
    """Find the one value that fills the surroundings.

    Parameters
    ----------
    data
        3D image.

    Returns
    -------
    float or None
        The commonest value of the outermost faces if at least half of their voxels have it.

    Examples
    --------
    >>> image = np.zeros((5, 5, 5))
    >>> image[2, 2, 2] = 7
    >>> background_value(image)
    0.0
    """
    values, counts = np.unique(_faces(data), return_counts=True)
    common = int(np.argmax(counts))
    return float(values[common]) if counts[common] >= counts.sum() / 2 else None


def _faces(data: NDArray[Any]) -> NDArray[Any]:
    """Gather the voxels of the six outermost faces."""
    faces = [np.moveaxis(data, axis, 0)[index].ravel() for axis in range(3) for index in (0, -1)]
    return np.concatenate(faces)


def filled_foreground(data: NDArray[Any]) -> NDArray[np.bool_]:
    """Take everything that is not background as one body without holes.

    Parameters
    ----------
    data
        3D image with a constant background.

    Returns
    -------
    ndarray
        Largest component of the foreground, filled; empty if there is no constant background.

    Examples
    --------
    >>> image = np.ones((7, 7, 7))
    >>> image[0] = image[-1] = 0
    >>> image[:, [0, -1]] = image[:, :, [0, -1]] = image[3, 3, 3] = 0
    >>> int(filled_foreground(image).sum())
    125
    """
    value = background_value(data)
    if value is None:
        return np.zeros(data.shape, bool)
    return without_holes(largest_component(data != value))


def with_fluid(body: NDArray[np.bool_], voxel_sizes_mm: Spacing) -> NDArray[np.bool_]:
    """Give a brain its fluid back where others kept grey and white matter alone.

    Ventricles open into the cisterns, and no hole is filled then: closed narrow gaps make holes of
    them.

    Parameters
    ----------
    body
        A brain that was cut out.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        The brain with its sulci and ventricles; the body as it is where hardly anything is missing.

    Examples
    --------
    >>> ball = np.linalg.norm(np.mgrid[-20:21, -20:21, -20:21], axis=0) < 18
    >>> emptied = ball & (np.linalg.norm(np.mgrid[-20:21, -20:21, -20:21], axis=0) > 9)
    >>> emptied[20, 20, 20:] = False
    >>> bool(with_fluid(emptied, (2, 2, 2))[20, 20, 20]), with_fluid(ball, (2, 2, 2)) is ball
    (True, True)
    """
    box = bounding_box(body)
    if box is None:
        return body
    # some of the voxels tell whether fluid is missing, in a tenth of the time
    steps = [max(int(LOOKED_AT_MM / size), 1) for size in voxel_sizes_mm]
    some = body[box][tuple(slice(None, None, step) for step in steps)]
    sizes = [step * size for step, size in zip(steps, voxel_sizes_mm, strict=True)]
    if np.count_nonzero(_closed(some, sizes)) < (1 + FLUID_SHARE) * np.count_nonzero(some):
        return body
    whole = np.zeros_like(body)
    whole[box] = _filled_in_slices(_closed(body[box], voxel_sizes_mm), voxel_sizes_mm)
    return whole


def _closed(body: NDArray[np.bool_], voxel_sizes_mm: Spacing) -> NDArray[np.bool_]:
    """Close narrow gaps, and fill the holes that there are then."""
    margins = [int(np.ceil(GAP_MM / size)) + 1 for size in voxel_sizes_mm]
    padded = np.pad(body, [(margin, margin) for margin in margins])
    closed = deeper(within(padded, GAP_MM, voxel_sizes_mm), GAP_MM, voxel_sizes_mm) | padded
    return without_holes(closed)[tuple(slice(margin, -margin) for margin in margins)]


def _filled_in_slices(body: NDArray[np.bool_], voxel_sizes_mm: Spacing) -> NDArray[np.bool_]:
    """Fill what is enclosed in a thick slice: from one to the next, wide cisterns are gaps."""
    axis = thick_axis(np.asarray(voxel_sizes_mm, np.float64).tolist())
    if axis is None:
        return body
    slices = [ndimage.binary_fill_holes(one) for one in np.moveaxis(body, axis, 0)]
    return np.ascontiguousarray(np.moveaxis(np.stack(slices), 0, axis))


class Shown(Enum):
    """What an anatomical image shows: all of the head, or the brain, cut out roughly or well."""

    WHOLE_HEAD = "whole head"
    ROUGH_BRAIN = "brain with scraps of skull"
    BRAIN = "brain"

    @property
    def without_skull(self) -> bool:
        """Whether the brain was cut out, be it roughly."""
        return self is not Shown.WHOLE_HEAD


def what_is_shown(data: NDArray[Any], voxel_volume_mm3: float) -> Shown:
    """Tell a whole head from a brain that was cut out of one.

    This is the one answer to that question: brain extraction, rigid alignment and sidecars ask
    here. An image is to be judged on the grid on which it was made, where a neck or a short field
    of view ends at the border; padding with zeros is looked through as long as it is not turned.

    Parameters
    ----------
    data
        3D image, all voxels finite.
    voxel_volume_mm3
        Volume of a voxel.

    Returns
    -------
    Shown
        A brain stands free on a constant background, be it 0 or another value. Without such a
        background, as where air is noise, the image shows a whole head; so it does where what
        stands out has more than 3 litres, runs out of the image as a neck does, or ends flat as if
        it had run out of a smaller one. A brain of 0.6 to 2.2 litres that hardly touches the border
        is a brain alone; any other has scraps of skull, or was stretched to a template.

    Examples
    --------
    >>> x, y, z = np.indices((41, 41, 41)) - 20
    >>> ball = 100.0 * (x**2 + y**2 + z**2 < 16**2)
    >>> what_is_shown(ball, 64).name, what_is_shown(ball, 150).name
    ('BRAIN', 'ROUGH_BRAIN')
    >>> what_is_shown(ball, 250).name, what_is_shown(ball[16:], 64).name
    ('WHOLE_HEAD', 'WHOLE_HEAD')
    """
    body = filled_foreground(data)
    box = bounding_box(body)
    if box is None:
        return Shown.WHOLE_HEAD
    litres = float(body.sum()) * voxel_volume_mm3 / 1e6
    at_border, at_box = (float(_faces(part).mean()) for part in (body, body[box]))
    if litres > LARGEST_CUT_OUT_L or at_border > FACE_SHARE_OF_SCRAPS or at_box > BOX_FACE_SHARE:
        return Shown.WHOLE_HEAD
    low, high = STRIPPED_VOLUME_L
    alone = low <= litres <= high and at_border <= FACE_SHARE
    return Shown.BRAIN if alone else Shown.ROUGH_BRAIN
