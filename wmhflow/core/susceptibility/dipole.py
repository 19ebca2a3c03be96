"""The field that a susceptibility makes in a scanner's main field, and that field's direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

from wmhflow.core.arrays.threads import thread_count
from wmhflow.core.arrays.validation import checked_volume

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from wmhflow.core.arrays.validation import Spacing

# Axes of an affine that are farther from right angles than this (cosine) are sheared.
LARGEST_COSINE = 1e-3
# Empty room around an object, so that the copies which a discrete transform implies lie far away.
MARGIN_MM = 24.0


def main_field_direction(affine: ArrayLike) -> NDArray[np.float64]:
    """Return the direction of the scanner's main field along the axes of an image.

    In the scanner's coordinates, which an affine gives, the field runs along z. In an oblique image
    it therefore runs along no axis.

    Parameters
    ----------
    affine : (4, 4) array
        From voxels to scanner RAS in mm.

    Returns
    -------
    (3,) float64 array
        A unit vector; its components are along the axes of the array.

    Raises
    ------
    ValueError
        If the axes of the image are not at right angles.

    Examples
    --------
    >>> main_field_direction(np.diag([1.0, 1.0, 2.0, 1.0]))
    array([0., 0., 1.])
    """
    columns = np.asarray(affine, np.float64)[:3, :3]
    axes = columns / np.linalg.norm(columns, axis=0)
    cosines = np.abs(axes.T @ axes - np.eye(3))
    if cosines.max() > LARGEST_COSINE:
        raise ValueError(
            "the axes of the image are not at right angles, so that the direction of the main "
            "field in it cannot be told"
        )
    along: NDArray[np.float64] = axes.T @ np.array([0.0, 0.0, 1.0])
    return along / np.linalg.norm(along)


def field_of(chi_ppm: ArrayLike, affine: ArrayLike) -> NDArray[np.float32]:
    """Return the field that a susceptibility makes, relative to the main field.

    It is the convolution with the field of a magnetic dipole, done by Fourier transforms [1]_ with
    empty room around the object.

    Parameters
    ----------
    chi_ppm : (I, J, K) array
        Susceptibility in ppm relative to what surrounds the array.
    affine : (4, 4) array
        From voxels to scanner RAS in mm.

    Returns
    -------
    (I, J, K) float32 array
        Field in ppm of the main field, as protons feel it (with the sphere of Lorentz).

    Raises
    ------
    ValueError
        If the image is not three-dimensional or its axes are not at right angles.

    References
    ----------
    .. [1] Marques JP, Bowtell R. Application of a Fourier-based method for rapid calculation of
       field inhomogeneity due to spatial variation of magnetic susceptibility. Concepts Magn Reson
       B 2005;25:65-78. doi:10.1002/cmr.b.20034

    Examples
    --------
    >>> drop = np.zeros((9, 9, 9))
    >>> drop[4, 4, 4] = 1.0
    >>> field = field_of(drop, np.eye(4))
    >>> bool(field[4, 4, 7] > 0 > field[7, 4, 4])  # raised along the main field, lowered beside it
    True
    """
    chi = checked_volume(chi_ppm, "chi_ppm").astype(np.float32)
    sizes = np.linalg.norm(np.asarray(affine, np.float64)[:3, :3], axis=0)
    shape = padded_shape([2 * n for n in chi.shape], sizes)
    kernel = dipole_kernel(shape, sizes, main_field_direction(affine))
    there = forward(chi, shape)
    return backward(there * kernel, shape)[tuple(slice(0, n) for n in chi.shape)]


def dipole_kernel(
    shape: tuple[int, ...], sizes_mm: Spacing, direction: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return what a susceptibility's field is of it, for each frequency of `forward`.

    It is the transform of the field of a dipole in every voxel. Written down as a function of
    frequency it would ring where the main field runs along no axis of the grid. The part that a
    voxel has in its own field follows from a ball's being free of its own field.

    Parameters
    ----------
    shape
        Of the transforms.
    sizes_mm
        Voxel sizes.
    direction
        Of the main field, along the axes of the grid.

    Returns
    -------
    (I, J, K // 2 + 1) float32 array
        0 at frequency 0: a constant susceptibility shows in no field.
    """
    axes = [
        (np.where(np.arange(n) <= n // 2, np.arange(n), np.arange(n) - n) * size).astype(np.float32)
        for n, size in zip(shape, sizes_mm, strict=True)
    ]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    square = x**2 + y**2 + z**2
    along = (
        x * np.float32(direction[0]) + y * np.float32(direction[1]) + z * np.float32(direction[2])
    )
    square[0, 0, 0] = 1.0
    field = (3 * along**2 / square - 1) / square**1.5
    field[0, 0, 0] = 0.0
    field *= np.float32(np.prod(sizes_mm) / (4 * np.pi))
    reach = min(n * size for n, size in zip(shape, sizes_mm, strict=True)) / 2.5
    field[0, 0, 0] = -field[square < reach**2].sum(dtype=np.float64)
    kernel = np.ascontiguousarray(forward(field, shape).real)
    kernel[0, 0, 0] = 0.0
    return kernel


def padded_shape(shape: list[int] | tuple[int, ...], sizes_mm: Spacing) -> tuple[int, ...]:
    """Return a shape with empty room, of lengths that a fast transform likes."""
    return tuple(
        int(fft.next_fast_len(int(n + np.ceil(MARGIN_MM / size)), real=True))
        for n, size in zip(shape, sizes_mm, strict=True)
    )


def forward(volume: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.complex64]:
    """Transform a real volume, filled up with zeros to a shape."""
    transformed: NDArray[np.complex64] = fft.rfftn(
        volume, shape, axes=(0, 1, 2), workers=thread_count()
    )
    return transformed


def backward(transformed: NDArray[np.complex64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Undo `forward`."""
    volume: NDArray[np.float32] = fft.irfftn(
        transformed, shape, axes=(0, 1, 2), workers=thread_count()
    )
    return volume
