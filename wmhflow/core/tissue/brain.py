"""The brain in an image without its skull, and telling such an image from a whole head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A skull-stripped image holds this much; adult brains with their CSF have 0.9 to 2 litres.
STRIPPED_VOLUME_L = (0.6, 2.2)
# Share of the image's outermost faces that a stripped brain may touch (a head's neck does more).
FACE_SHARE = 0.02
# The same with scraps of skull and neck; heads in a scanner's own images have 0.15 and more.
FACE_SHARE_OF_SCRAPS = 0.05
# Brains stretched to a template, with such scraps, have up to 2.6 litres; whole heads 4 and more.
LARGEST_CUT_OUT_L = 3.0


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
    return ndimage.binary_fill_holes(largest_component(data != value))


def largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest face-connected component.

    Parameters
    ----------
    mask
        Any mask.

    Returns
    -------
    ndarray
        Its largest component; empty for an empty mask.

    Examples
    --------
    >>> largest_component(np.array([1, 0, 1, 1], bool)).tolist()
    [False, False, True, True]
    """
    labels, n_labels = ndimage.label(mask)
    if n_labels == 0:
        return np.zeros(mask.shape, bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == int(np.argmax(sizes))


def looks_skull_stripped(data: NDArray[Any], voxel_volume_mm3: float) -> bool:
    """Tell whether an image shows a brain on a constant background, and nothing else.

    Parameters
    ----------
    data
        3D image.
    voxel_volume_mm3
        Volume of a voxel.

    Returns
    -------
    bool
        True if the background is constant, and what is left has a brain's volume and does not
        run out of the image as a neck does.
    """
    litres, on_faces = _extent(data, voxel_volume_mm3)
    low, high = STRIPPED_VOLUME_L
    return low <= litres <= high and on_faces <= FACE_SHARE


def stands_free(data: NDArray[Any], voxel_volume_mm3: float) -> bool:
    """Tell whether an image shows a brain that was cut out roughly, on a constant background.

    Parameters
    ----------
    data
        3D image.
    voxel_volume_mm3
        Volume of a voxel.

    Returns
    -------
    bool
        True for brains without their skulls, be they stretched to a template or with scraps of
        skull left on. False for whole heads: they hold more, or run out of a short field of view.

    Examples
    --------
    >>> image = np.zeros((9, 9, 9))
    >>> image[2:7, 2:7, 2:7] = 7
    >>> stands_free(image, 1e4), stands_free(image, 1e5), stands_free(image[2:], 1e4)
    (True, False, False)
    """
    litres, on_faces = _extent(data, voxel_volume_mm3)
    return 0 < litres <= LARGEST_CUT_OUT_L and on_faces <= FACE_SHARE_OF_SCRAPS


def _extent(data: NDArray[Any], voxel_volume_mm3: float) -> tuple[float, float]:
    """Measure the foreground: its volume in litres, and the share of the faces that it fills."""
    body = filled_foreground(data)
    return float(body.sum()) * voxel_volume_mm3 / 1e6, float(_faces(body).mean())
