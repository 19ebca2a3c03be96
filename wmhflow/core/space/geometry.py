"""What an affine says of a voxel grid: voxel sizes, axes, and which side is left.

World coordinates are RAS in mm throughout: x grows to the right, y to the front, z upwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGEST_COSINE = 1e-3


class GeometryError(ValueError):
    """An affine that describes no usable voxel grid."""


class RasAxes(NamedTuple):
    """The array axis that lies closest to each world axis, and whether it runs against it."""

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def to_ras(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Return a view of `volume` whose axes run right, front and up."""
        return _flipped(volume.transpose(self.axes), self.flips)

    def from_ras(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Return a view of a right-front-up `volume` in the array's own order of axes."""
        return _flipped(volume, self.flips).transpose(np.argsort(self.axes))


def spacing_of(affine: ArrayLike) -> NDArray[np.float64]:
    """Return the voxel size along each array axis.

    Parameters
    ----------
    affine : (4, 4) array
        From voxel indices to world RAS coordinates in mm.

    Returns
    -------
    (3,) float64 array
        Voxel sizes in mm.

    Raises
    ------
    GeometryError
        If the affine is not 4 x 4, has NaN or infinite entries, is singular, or is sheared
        (two columns whose cosine is above 0.001): distances would be wrong on such a grid.

    Examples
    --------
    >>> spacing_of([[-1, 0, 0, 90], [0, 0, 2, -126], [0, 0.5, 0, -72], [0, 0, 0, 1]])
    array([1. , 0.5, 2. ])
    """
    columns = checked_affine(affine)[:3, :3]
    sizes = np.sqrt((columns**2).sum(axis=0))
    directions = columns / sizes
    cosines = np.abs(np.triu(directions.T @ directions, 1)).max()
    if cosines > LARGEST_COSINE:
        raise GeometryError(
            f"the affine is sheared (two voxel axes meet at a cosine of {cosines:.4f}): "
            "resample the image to a grid with right angles"
        )
    return sizes


def voxel_mm3(affine: ArrayLike) -> float:
    """Return the volume of a voxel.

    Parameters
    ----------
    affine : (4, 4) array
        From voxel indices to world coordinates in mm.

    Returns
    -------
    float
        Cubic millimetres, also on a sheared grid.

    Examples
    --------
    >>> voxel_mm3([[-1, 0, 0, 90], [0, 0, 2, -126], [0, 0.5, 0, -72], [0, 0, 0, 1]])
    1.0
    """
    return float(abs(np.linalg.det(np.asarray(affine, dtype=np.float64)[:3, :3])))


def checked_affine(affine: ArrayLike) -> NDArray[np.float64]:
    """Return the affine as (4, 4) float64, refusing what cannot be inverted.

    Parameters
    ----------
    affine : (4, 4) array
        From voxel indices to world RAS coordinates in mm.

    Returns
    -------
    (4, 4) float64 array

    Raises
    ------
    GeometryError
        If the affine is not 4 x 4, has NaN or infinite entries, or is singular.

    Examples
    --------
    >>> checked_affine([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    Traceback (most recent call last):
    ...
    wmhflow.core.space.geometry.GeometryError: the affine is singular: ...
    """
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise GeometryError(f"the affine has shape {matrix.shape}: 4 x 4 is needed")
    if not np.isfinite(matrix).all():
        raise GeometryError("the affine has NaN or infinite entries: repair the image's header")
    if not np.array_equal(matrix[3], [0, 0, 0, 1]):
        raise GeometryError(f"the affine's last row is {matrix[3].tolist()}, not 0 0 0 1")
    sizes = np.sqrt((matrix[:3, :3] ** 2).sum(axis=0))
    # The determinant of the unit directions does not depend on the voxel size.
    if (sizes == 0).any() or abs(np.linalg.det(matrix[:3, :3] / sizes)) < 1e-6:
        raise GeometryError("the affine is singular: repair the image's header")
    return matrix


def world_coordinates(indices: ArrayLike, affine: ArrayLike) -> NDArray[np.float64]:
    """Return the world position of voxel indices.

    Parameters
    ----------
    indices : (..., 3) array
        Voxel indices; fractions are allowed, integers are voxel centres.
    affine : (4, 4) array
        From voxel indices to world RAS coordinates in mm.

    Returns
    -------
    (..., 3) float64 array
        World RAS coordinates in mm.

    Raises
    ------
    GeometryError
        If the affine cannot be used.
    ValueError
        If the last axis of `indices` is not three long.

    Examples
    --------
    >>> world_coordinates(
    ...     [0, 0, 0], [[-1, 0, 0, 90], [0, 1, 0, -126], [0, 0, 1, -72], [0, 0, 0, 1]]
    ... )
    array([  90., -126.,  -72.])
    """
    matrix = checked_affine(affine)
    points = np.asarray(indices, dtype=np.float64)
    if points.shape[-1:] != (3,):
        raise ValueError(f"indices have shape {points.shape}: the last axis must be three long")
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def same_grid(
    shape_a: Sequence[int],
    affine_a: ArrayLike,
    shape_b: Sequence[int],
    affine_b: ArrayLike,
    tolerance_mm: float = 1e-3,
) -> bool:
    """Tell whether two grids have the same shape and put every voxel in the same place.

    Parameters
    ----------
    shape_a, shape_b : ints
        Shapes; only the first three axes are compared.
    affine_a, affine_b : (4, 4) arrays
        From voxel indices to world RAS coordinates in mm.
    tolerance_mm : float
        The largest distance allowed between the centres of two voxels of the same index,
        anywhere in the grid.

    Returns
    -------
    bool

    Raises
    ------
    GeometryError
        If one of the affines cannot be used.

    Examples
    --------
    >>> same_grid((2, 2, 2), np.eye(4), (2, 2, 2), np.diag([1, 1, 1.0000001, 1]))
    True
    """
    first, second = checked_affine(affine_a), checked_affine(affine_b)
    if tuple(shape_a[:3]) != tuple(shape_b[:3]):
        return False
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape_a[:3]], indexing="ij"), -1)
    difference = first - second
    offsets = corners.reshape(-1, 3) @ difference[:3, :3].T + difference[:3, 3]
    return bool(np.sqrt((offsets**2).sum(axis=1)).max() <= tolerance_mm)


def same_field_of_view(
    shape_a: Sequence[int], affine_a: ArrayLike, shape_b: Sequence[int], affine_b: ArrayLike
) -> bool:
    """Tell whether two grids cover the same box, in voxels of whatever size.

    Parameters
    ----------
    shape_a, shape_b : ints
        Shapes; only the first three axes are compared.
    affine_a, affine_b : (4, 4) arrays
        From voxel indices to world RAS coordinates in mm.

    Returns
    -------
    bool
        True if their corners lie at most a voxel apart along each axis, of the grid whose voxels
        are longer there. The order and the direction of the axes may differ.

    Raises
    ------
    GeometryError
        If one of the affines cannot be used.

    Examples
    --------
    >>> same_field_of_view((8, 8, 8), np.eye(4), (8, 8, 4), np.diag([1, 1, 4, 1]))
    False
    >>> slices = np.diag([1.0, 1, 4, 1])
    >>> slices[2, 3] = 1.5
    >>> same_field_of_view((8, 8, 8), np.eye(4), (8, 8, 2), slices)
    True
    """
    first, second = checked_affine(affine_a), checked_affine(affine_b)
    faces = [(-0.5, n - 0.5) for n in shape_b[:3]]
    corners = np.stack(np.meshgrid(*faces, indexing="ij"), -1).reshape(-1, 3)
    to_first = np.linalg.inv(first) @ second
    corners = corners @ to_first[:3, :3].T + to_first[:3, 3]
    slack = np.maximum(np.abs(to_first[:3, :3]).max(axis=1), 1)
    low, high = np.full(3, -0.5), np.array(shape_a[:3]) - 0.5
    off = np.minimum(np.abs(corners - low), np.abs(corners - high))
    ends = np.abs(corners.min(axis=0) - low), np.abs(corners.max(axis=0) - high)
    return bool((off <= slack).all() and (np.array(ends) <= slack).all())


def ras_axes(affine: ArrayLike) -> RasAxes:
    """Find the array axes, and their direction, that lie closest to right, front and up.

    Parameters
    ----------
    affine : (4, 4) array
        From voxel indices to world RAS coordinates in mm.

    Returns
    -------
    RasAxes
        `axes[w]` is the array axis of world axis `w`; `flips[w]` is true if it runs against it.
        An oblique grid gets the assignment with the largest sum of cosines; between equal sums
        the answer depends on the directions of the axes only, not on their order in the array.

    Raises
    ------
    GeometryError
        If the affine cannot be used.

    Examples
    --------
    >>> ras_axes([[-1, 0, 0, 90], [0, 0, 1, -126], [0, -1, 0, 72], [0, 0, 0, 1]])
    RasAxes(axes=(0, 2, 1), flips=(True, False, True))
    """
    columns = checked_affine(affine)[:3, :3]
    directions = columns / np.sqrt((columns**2).sum(axis=0))

    def closeness(axes: tuple[int, ...]) -> tuple[float, ...]:
        turned = directions[:, axes] * np.where(np.diag(directions[:, axes]) < 0, -1.0, 1.0)
        return (round(float(np.trace(turned)), 6), *np.round(turned, 6).ravel().tolist())

    first, second, third = max(permutations(range(3)), key=closeness)
    flips = np.diag(directions[:, (first, second, third)]) < 0
    return RasAxes(
        axes=(first, second, third), flips=(bool(flips[0]), bool(flips[1]), bool(flips[2]))
    )


def shift_in_words(mm: ArrayLike) -> str:
    """Say a shift in the world in words, its parts below a tenth of a millimetre left out.

    Parameters
    ----------
    mm : (3,) array
        To the right, to the front and up, RAS mm.

    Examples
    --------
    >>> shift_in_words([-1, 0.05, 2])
    '1.0 mm left and 2.0 mm up'
    """
    ways = (("right", "left"), ("forward", "back"), ("up", "down"))
    parts = [
        f"{abs(part):.1f} mm {words[0] if part > 0 else words[1]}"
        for part, words in zip(np.asarray(mm, np.float64).tolist(), ways, strict=True)
        if abs(part) >= 0.1
    ]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[:-1] else parts)


def _flipped(volume: NDArray[Any], flips: Sequence[bool]) -> NDArray[Any]:
    """Return a view of `volume` with the marked axes reversed."""
    return volume[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]
