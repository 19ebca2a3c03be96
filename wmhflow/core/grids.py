"""Values on a voxel grid, as registration sees them: scaled, cut, made coarser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Grid3D:
    """Values on a grid: a 3D array and the affine from voxels to RAS millimetres."""

    data: NDArray[np.float32]
    affine: NDArray[np.float64]


def cropped(grid: Grid3D, box: tuple[slice, ...]) -> Grid3D:
    """Cut a box out of a grid.

    Parameters
    ----------
    grid
        Values on a grid.
    box
        First and last voxel along each axis, in steps of one.

    Returns
    -------
    Grid3D
        The part, where it was.

    Examples
    --------
    >>> part = cropped(Grid3D(np.arange(8).reshape(2, 2, 2), np.eye(4)), np.s_[1:2, 0:2, 0:2])
    >>> part.data.shape, part.affine[:3, 3].tolist()
    ((1, 2, 2), [1.0, 0.0, 0.0])
    """
    first = [part.indices(n)[0] for part, n in zip(box, grid.data.shape, strict=True)]
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ first
    return Grid3D(grid.data[box], affine)


def robust_range(data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale intensities to 0..1 between the 1st and 99.5th percentile of the non-zero ones.

    Parameters
    ----------
    data
        Image in any unit.

    Returns
    -------
    ndarray
        Scaled and clipped image; the background of a skull-stripped one stays 0.

    Examples
    --------
    >>> robust_range(np.array([0, 2, 4, 6], dtype=np.float32)).tolist()[0]
    0.0
    """
    values = data[data != 0]
    if values.size == 0:
        return np.zeros_like(data)
    low, high = np.percentile(values, [1.0, 99.5])
    low = min(float(low), 0.0) if low < 0 else 0.0
    span = float(high) - low
    return np.clip((data - low) / (span if span > 0 else 1.0), 0, 1) * (data != 0)


def resample_isotropic(grid: Grid3D, spacing_mm: float, order: int = 1) -> Grid3D:
    """Resample along the image's own axes to cubic voxels, smoothing first where it gets coarser.

    Parameters
    ----------
    grid
        Image of any voxel size.
    spacing_mm
        Edge of the new voxels.
    order
        Order of the interpolating spline.

    Returns
    -------
    Grid3D
        Image that covers the same field of view.
    """
    sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    factor = spacing_mm / sizes
    # Half of the coarser voxel's width, less what the voxel itself already averages.
    sigma = 0.5 * np.sqrt(np.maximum(factor**2 - 1, 0))
    smooth = ndimage.gaussian_filter(grid.data, sigma if order else 0)
    shape = np.maximum(np.ceil(np.array(grid.data.shape) / factor).astype(int), 1)
    offset = (factor - 1) / 2
    data = ndimage.affine_transform(
        smooth, np.diag(factor), offset, tuple(int(n) for n in shape), order=order, mode="nearest"
    )
    to_old = np.eye(4)
    to_old[:3, :3], to_old[:3, 3] = np.diag(factor), offset
    return Grid3D(data, grid.affine @ to_old)


def resample_mask(
    mask: NDArray[np.bool_], affine: NDArray[np.float64], spacing_mm: float
) -> NDArray[np.bool_]:
    """Resample a mask to cubic voxels: those that it fills by more than half.

    Parameters
    ----------
    mask
        The mask.
    affine
        Voxels to RAS mm.
    spacing_mm
        Edge of the new voxels.

    Returns
    -------
    ndarray
        The mask on the grid of :func:`resample_isotropic`.
    """
    return resample_isotropic(Grid3D(mask.astype(np.float32), affine), spacing_mm).data > 0.5


def finest_mm(grid: Grid3D) -> float:
    """Return the smallest edge of a voxel.

    Parameters
    ----------
    grid
        An image.

    Returns
    -------
    float
        Millimetres.
    """
    return float(np.min(np.linalg.norm(grid.affine[:3, :3], axis=0)))


def apply_affine(matrix: NDArray[np.float64], points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Map points by a matrix.

    Parameters
    ----------
    matrix, (4, 4)
        An affine.
    points, (..., 3)
        Points.

    Returns
    -------
    ndarray, (..., 3)
        The mapped points.

    Examples
    --------
    >>> apply_affine(np.diag([2.0, 1.0, 1.0, 1.0]), np.array([3.0, 4.0, 5.0])).tolist()
    [6.0, 4.0, 5.0]
    """
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def centroid_mm(grid: Grid3D) -> NDArray[np.float64]:
    """Find the centre of mass in RAS millimetres.

    Parameters
    ----------
    grid
        Image without negative values.

    Returns
    -------
    ndarray, (3,)
        The centre of mass; the centre of the grid if the image is empty.
    """
    centre = (np.array(grid.data.shape) - 1) / 2
    if grid.data.sum() > 0:
        centre = np.array(ndimage.center_of_mass(grid.data))
    return apply_affine(grid.affine, centre)
