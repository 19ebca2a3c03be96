"""Values on a voxel grid, as registration sees them: scaled, cut, made coarser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

# scipy's image functions are imported where they are used: every plan would wait for them
from wmhflow.core.space.geometry import voxel_mm3

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


# So many planes are worked on at once.
PLANES = 8


@dataclass(frozen=True)
class Grid3D:
    """Values on a grid: a 3D array and the affine from voxels to RAS millimetres."""

    data: NDArray[np.float32]
    affine: NDArray[np.float64]

    @property
    def voxel_sizes_mm(self) -> tuple[float, ...]:
        """Voxel size along each axis; a sheared grid has them too."""
        return tuple(np.linalg.norm(self.affine[:3, :3], axis=0).tolist())

    @property
    def finest_mm(self) -> float:
        """The smallest edge of a voxel."""
        return min(self.voxel_sizes_mm)

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel."""
        return voxel_mm3(self.affine)


def box_of(mask: NDArray[np.bool_], margins: Sequence[int] | None = None) -> tuple[slice, ...]:
    """Find the smallest box that holds a mask.

    Parameters
    ----------
    mask
        With at least one voxel.
    margins
        Voxels added on both sides along each axis, as far as there are any.

    Returns
    -------
    tuple of slices
        The box.

    Raises
    ------
    ValueError
        If the mask is empty.

    Examples
    --------
    >>> box_of(np.array([False, False, True, True]), [1])
    (slice(1, 4, None),)
    """
    found, rest = [], np.asarray(mask)
    for axis in range(rest.ndim):
        filled = np.flatnonzero(rest.any(axis=tuple({*range(rest.ndim)} - {axis})))
        if not filled.size:
            raise ValueError("an empty mask has no box")
        found.append(slice(int(filled[0]), int(filled[-1]) + 1))
        # the other axes are looked for in what is left
        rest = rest[(slice(None),) * axis + (found[-1],)]
    return tuple(
        slice(max(part.start - more, 0), min(part.stop + more, n))
        for part, more, n in zip(found, margins or [0] * mask.ndim, mask.shape, strict=True)
    )


def box_around(mask: Grid3D, margin_mm: float) -> tuple[slice, ...]:
    """Find the smallest box that holds a mask and some millimetres around it.

    Parameters
    ----------
    mask
        Above 0 somewhere.
    margin_mm
        Distance added on every side, to whole voxels upwards, as far as there are any.

    Returns
    -------
    tuple of slices
        The box.

    Raises
    ------
    ValueError
        If the mask is empty.

    Examples
    --------
    >>> ball = np.zeros((9, 9, 9), np.float32)
    >>> ball[4, 4, 4] = 1
    >>> box_around(Grid3D(ball, np.diag([1.0, 1.0, 5.0, 1.0])), 3.0)
    (slice(1, 8, None), slice(1, 8, None), slice(3, 6, None))
    """
    margins = np.ceil(np.divide(margin_mm, mask.voxel_sizes_mm) - 1e-5)
    return box_of(mask.data > 0, [int(n) for n in margins])


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


def uncropped(part: NDArray[Any], box: tuple[slice, ...], shape: Sequence[int]) -> NDArray[Any]:
    """Put what was found in a box back into the whole image.

    Parameters
    ----------
    part
        Values in the box.
    box
        Where it lies in the image.
    shape
        Shape of the image.

    Returns
    -------
    ndarray
        The values, 0 outside the box.
    """
    whole = np.zeros(tuple(shape), part.dtype)
    whole[box] = part
    return whole


def robust_range(data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale intensities to 0..1: from 0, or a negative 1st percentile, to the 99.5th.

    Zeros do not count; they stay.

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
    >>> robust_range(np.array([0, 100, 200, 400], dtype=np.float32)).round(2).tolist()
    [0.0, 0.25, 0.5, 1.0]
    """
    values = data[data != 0]
    if values.size == 0:
        return np.zeros_like(data)
    low, high = np.percentile(values, [1.0, 99.5], overwrite_input=True)
    low = min(float(low), 0.0)
    span = float(high) - low
    scaled = data - low
    # in place, and some planes at a time, which stay in the processor's cache until they are done
    for start in range(0, len(scaled), PLANES):
        part = scaled[start : start + PLANES]
        part /= span if span > 0 else 1.0
        np.clip(part, 0, 1, out=part)
        part *= data[start : start + PLANES] != 0
    return scaled


def resample_isotropic(grid: Grid3D, spacing_mm: float) -> Grid3D:
    """Resample along the image's own axes to cubic voxels, smoothing first where it gets coarser.

    Parameters
    ----------
    grid
        Image of any voxel size.
    spacing_mm
        Edge of the new voxels.

    Returns
    -------
    Grid3D
        Image that covers the same field of view.

    Examples
    --------
    >>> coarse = resample_isotropic(Grid3D(np.ones((4, 4, 2), np.float32), np.eye(4)), 2.0)
    >>> coarse.data.shape, coarse.data.max().round(3).item(), coarse.affine[0].tolist()
    ((2, 2, 1), 1.0, [2.0, 0.0, 0.0, 0.5])
    """
    factors = np.divide(spacing_mm, grid.voxel_sizes_mm)
    data = grid.data
    for axis, factor in enumerate(factors):
        data = along_axis(_coarser(data.shape[axis], float(factor)), data, axis)
    to_old = np.eye(4)
    to_old[:3, :3], to_old[:3, 3] = np.diag(factors), (factors - 1) / 2
    return Grid3D(data, grid.affine @ to_old)


def _coarser(n_voxels: int, factor: float) -> NDArray[np.float64]:
    """Return the weights of old voxels (columns) in new ones, `factor` times as wide."""
    from scipy import ndimage

    # Half of the wider voxel's width, less what the voxel itself already averages.
    sigma = 0.5 * np.sqrt(max(factor**2 - 1, 0))
    smooth = ndimage.gaussian_filter(np.eye(n_voxels), (sigma, 0))
    n_new = max(int(np.ceil(n_voxels / factor)), 1)
    return ndimage.affine_transform(
        smooth, np.diag([factor, 1.0]), ((factor - 1) / 2, 0), (n_new, n_voxels), order=1,
        mode="nearest",
    )  # fmt: skip


def along_axis(
    weights: NDArray[np.float64], data: NDArray[np.float32], axis: int
) -> NDArray[np.float32]:
    """Replace the values along one axis by weighted sums of them.

    Parameters
    ----------
    weights, (m, n)
        Weights of the n old values in each of the m new ones.
    data
        Array of length n along the axis.
    axis
        The axis.

    Returns
    -------
    ndarray
        Array of length m along the axis. It does not depend on the number of threads.

    Examples
    --------
    >>> along_axis(np.array([[0.5, 0.5, 0]]), np.array([[1, 3, 5]], np.float32), 1).tolist()
    [[2.0]]
    """
    from scipy import sparse

    first = np.moveaxis(data, axis, 0)
    columns = np.ascontiguousarray(first, dtype=np.float32).reshape(len(first), -1)
    summed = sparse.csr_array(weights).astype(np.float32) @ columns
    return np.ascontiguousarray(np.moveaxis(summed.reshape(-1, *first.shape[1:]), 0, axis))


def resample_mask(
    mask: NDArray[np.bool_], affine: NDArray[np.float64], spacing_mm: float
) -> NDArray[np.bool_]:
    """Resample a mask to cubic voxels: where it is above one half after smoothing.

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
    from scipy import ndimage

    centre = (np.array(grid.data.shape) - 1) / 2
    if grid.data.sum() > 0:
        centre = np.array(ndimage.center_of_mass(grid.data))
    return apply_affine(grid.affine, centre)
