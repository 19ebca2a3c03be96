"""Planes through a volume: cut, resampled, and where they lie in the world."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.slices import thick_axis
from wmhflow.core.space.geometry import ras_axes, spacing_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import ArrayLike, NDArray

    from wmhflow.reports.drawing.volumes import Box, Volume

NORMAL_AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}
PLANES = tuple(NORMAL_AXIS)
EDGE_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))


def cut(data: NDArray[Any], plane: str, index: int, box: Box) -> NDArray[Any]:
    """Cut one slice out of a right-front-up array, ready to be drawn with its origin at the bottom.

    Parameters
    ----------
    data
        3D.
    plane
        ``axial``, ``coronal`` or ``sagittal``.
    index
        Slice number along the plane's normal.
    box
        What is shown.

    Returns
    -------
    ndarray
        Rows run upwards (axial: to the front), columns to the right (sagittal: to the front).
    """
    where: list[slice | int] = list(box)
    where[NORMAL_AXIS[plane]] = index
    return data[tuple(where)].T


def plane_axes(plane: str) -> tuple[int, int]:
    """Return the array axes of a drawn slice's columns and rows.

    Examples
    --------
    >>> plane_axes("coronal")
    (0, 2)
    """
    columns, rows = (axis for axis in range(3) if axis != NORMAL_AXIS[plane])
    return columns, rows


def thick_plane(affine: ArrayLike) -> str | None:
    """Return the plane of an image's slices if they are much thicker than their voxels are wide.

    Parameters
    ----------
    affine
        Of the image, in whatever order it is stored, (4, 4).

    Returns
    -------
    str or None
        ``axial``, ``coronal`` or ``sagittal``, the nearest for an oblique image; None for voxels
        that are nearly cubes, which show all planes alike.

    Raises
    ------
    GeometryError
        If the affine describes no usable grid.

    Examples
    --------
    >>> thick_plane(np.diag([0.9, 5.0, 0.9, 1])), thick_plane(np.diag([1.0, 1, 1.2, 1]))
    ('coronal', None)
    """
    thickest = thick_axis(spacing_of(affine).tolist())
    return None if thickest is None else PLANES[ras_axes(affine).axes.index(thickest)]


def edge_letters(volume: Volume, plane: str) -> tuple[str, str]:
    """Return what stands at the left and the right edge of a drawn slice, by the affine alone.

    Parameters
    ----------
    volume
        The image, in whatever order it is stored.
    plane
        ``axial``, ``coronal`` or ``sagittal``.

    Examples
    --------
    >>> from wmhflow.reports.drawing.volumes import Volume
    >>> edge_letters(Volume(np.zeros((2, 2, 2)), np.eye(4)), "axial")
    ('L', 'R')
    """
    direction = volume.affine[:3, plane_axes(plane)[0]]
    world = int(np.abs(direction).argmax())
    low, high = EDGE_LETTERS[world]
    return (low, high) if direction[world] > 0 else (high, low)


def slice_position_mm(volume: Volume, plane: str, index: int, box: Box) -> float:
    """Return the world coordinate, along a plane's normal, of the centre of a shown slice."""
    centre = np.array([(edge.start + edge.stop - 1) / 2 for edge in box])
    axis = NORMAL_AXIS[plane]
    centre[axis] = index
    return float((volume.affine[:3, :3] @ centre + volume.affine[:3, 3])[axis])


def sample_slice(
    image: Volume,
    matrix: NDArray[np.float64],
    grid: Volume,
    plane: str,
    index: int,
    box: Box,
) -> NDArray[np.float32]:
    """Sample an image on one slice of another grid through a linear transform.

    Parameters
    ----------
    image
        Values on their own grid.
    matrix
        From world RAS mm of the grid to world RAS mm of the image.
    grid
        The grid that the slice belongs to.
    plane, index, box
        As for :func:`cut`.

    Returns
    -------
    ndarray
        In the layout of :func:`cut`; NaN outside the image's field of view.
    """
    if _is_same_grid(image, matrix, grid):
        return cut(image.data, plane, index, box).astype(np.float32)
    columns, rows = plane_axes(plane)
    voxels = np.empty((3, box[rows].stop - box[rows].start, box[columns].stop - box[columns].start))
    voxels[NORMAL_AXIS[plane]] = index
    voxels[columns] = np.arange(box[columns].start, box[columns].stop)[None, :]
    voxels[rows] = np.arange(box[rows].start, box[rows].stop)[:, None]
    to_image = np.linalg.inv(image.affine) @ matrix @ grid.affine
    where = np.einsum("ij,jrc->irc", to_image[:3, :3], voxels) + to_image[:3, 3, None, None]
    last = np.array(image.data.shape)[:, None, None] - 1
    inside = np.all((where >= -0.5) & (where <= last + 0.5), axis=0)
    sampled = ndimage.map_coordinates(
        image.data, np.clip(where, 0, last), order=1, output=np.float32
    )
    return np.where(inside, sampled, np.float32(np.nan))


def _is_same_grid(image: Volume, matrix: NDArray[np.float64], grid: Volume) -> bool:
    """Tell whether there is nothing to interpolate: voxels lie where the grid's do."""
    return (
        image.data.shape == grid.data.shape
        and np.array_equal(image.affine, grid.affine)
        and np.array_equal(matrix, np.eye(4))
    )


def display_range(values: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """Choose the values drawn black and white: the 1st and 99.7th percentile of what is not 0.

    Parameters
    ----------
    values
        Arrays, NaN where there is no image.

    Examples
    --------
    >>> display_range([np.array([np.nan, 0.0])])
    (0.0, 1.0)
    """
    gathered = np.concatenate([part[np.isfinite(part) & (part != 0)] for part in values] or [[]])
    if not gathered.size:
        return 0.0, 1.0
    low, high = (float(edge) for edge in np.percentile(gathered, (1.0, 99.7)))
    return (low, high) if high > low else (low, low + 1.0)
