"""The part of a field that comes from inside a mask, by spheres that lie in the mask.

A field of sources outside is harmonic inside: equal to its own mean over any sphere that lies in
the mask [1]_. A field without its means over spheres is therefore one of inner sources alone,
blurred in a known way. Near the border the spheres are as large as fit [2]_.

References
----------
.. [1] Schweser F, Deistung A, Lehr BW, Reichenbach JR. Quantitative imaging of intrinsic magnetic
   tissue properties using MRI signal phase. Neuroimage 2011;54:2789-2807.
   doi:10.1016/j.neuroimage.2010.10.070
.. [2] Wu B, Li W, Guidon A, Liu C. Whole brain susceptibility mapping using compressed sensing.
   Magn Reson Med 2012;67:137-147. doi:10.1002/mrm.23000
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wmhflow.core.arrays.distance import distance_to
from wmhflow.core.arrays.validation import (
    UnfitImageError,
    check_same_shape,
    checked_mask,
    checked_spacing,
    checked_volume,
)
from wmhflow.core.susceptibility.dipole import backward, forward, padded_shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

LARGEST_RADIUS_MM = 12.0
# Frequencies that the largest sphere keeps less of than this are left out.
LEAST_KEPT = 0.05
ROUNDING = 1e-6


class LocalField(NamedTuple):
    """A field without its background."""

    field: NDArray[np.float32]
    """In the unit of the field that was given; 0 outside of `mask`."""
    mask: NDArray[np.bool_]
    """Where it could be told: the mask without its outermost layer."""


class Sphere(NamedTuple):
    """Voxels for which one size of sphere is used, and what that does to a field."""

    where: NDArray[np.bool_]
    """Voxels around which it fits into the mask, and no larger one does."""
    high_pass: NDArray[np.float32]
    """What is left of each frequency without the mean over the sphere."""


def local_field(
    field: ArrayLike,
    mask: ArrayLike,
    spacing: ArrayLike,
    *,
    largest_radius_mm: float = LARGEST_RADIUS_MM,
    least_kept: float = LEAST_KEPT,
) -> LocalField:
    """Take away what comes from outside of a mask, by spheres of varying radius (V-SHARP).

    Parameters
    ----------
    field : (I, J, K) array
        The whole field, in any unit.
    mask : (I, J, K) array of booleans or numbers
        The brain.
    spacing : three floats
        Voxel sizes in mm.
    largest_radius_mm : float, optional
        Radius of the largest sphere.
    least_kept : float, optional
        Frequencies of which the largest sphere keeps less are set to 0.

    Returns
    -------
    LocalField
        The field of sources inside, and where it could be told.

    Raises
    ------
    ValueError
        If shapes differ, the field is not finite in the mask, or no sphere fits into the mask.
    """
    volume, inside = checked_field(field, mask)
    sizes = checked_spacing(spacing)
    shape = padded_shape(volume.shape, sizes)
    box = tuple(slice(0, n) for n in volume.shape)
    transformed = forward(volume, shape)
    filtered, done = np.zeros_like(volume), np.zeros(inside.shape, bool)
    radii = shrinking_radii(sizes, largest_radius_mm)
    spheres = list(spheres_within(inside, sizes, shape, radii))
    largest = spheres[0].high_pass
    for where, high_pass in spheres:
        filtered[where] = backward(transformed * high_pass, shape)[box][where]
        done |= where
    usable = np.abs(largest) >= least_kept
    inverse = np.where(usable, 1 / np.where(usable, largest, 1), 0).astype(np.float32)
    sharp = backward(forward(filtered, shape) * inverse, shape)[box]
    return LocalField(np.where(done, sharp, 0).astype(np.float32), done)


def checked_field(
    field: ArrayLike, mask: ArrayLike
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return a field that is 0 outside of its mask, refusing one that is not finite inside."""
    volume, inside = checked_volume(field, "field"), checked_mask(mask, "mask")
    check_same_shape(field=volume, mask=inside)
    if not np.isfinite(volume[inside]).all():
        raise ValueError("field is not finite everywhere in the mask")
    return np.where(inside, volume, 0).astype(np.float32), inside


def shrinking_radii(sizes: NDArray[np.float64], largest_mm: float) -> NDArray[np.float64]:
    """Return radii from the largest down to one voxel, in steps of a voxel or a millimetre."""
    smallest = float(sizes.max())
    n_radii = max(1, round((largest_mm - smallest) / max(smallest, 1.0)) + 1)
    return np.linspace(max(largest_mm, smallest), smallest, n_radii)


def spheres_within(
    inside: NDArray[np.bool_],
    sizes: NDArray[np.float64],
    shape: tuple[int, ...],
    radii: NDArray[np.float64],
) -> Iterator[Sphere]:
    """Divide a mask by the largest sphere that fits around each voxel.

    Parameters
    ----------
    inside
        The mask.
    sizes
        Voxel sizes in mm.
    shape
        Of the transforms.
    radii
        Of the spheres, in mm, falling.

    Yields
    ------
    Sphere
        The largest first; sizes that fit nowhere are left out.

    Raises
    ------
    ValueError
        If none fits anywhere.
    """
    depth = distance_to(~np.pad(inside, 1), sizes)[1:-1, 1:-1, 1:-1]
    done = np.zeros(inside.shape, bool)
    for radius in radii:
        where = inside & (depth > radius * (1 + ROUNDING)) & ~done
        if where.any():
            done |= where
            blur = forward(_sphere(shape, sizes, radius), shape).real
            yield Sphere(where, (1 - blur).astype(np.float32))
    if not done.any():
        raise UnfitImageError("mask is too thin: no sphere of a voxel's radius fits into it")


def _sphere(
    shape: tuple[int, ...], sizes: NDArray[np.float64], radius_mm: float
) -> NDArray[np.float32]:
    """Return a sphere of sum 1 around the first voxel of a volume whose borders meet."""
    axes = [
        (np.minimum(np.arange(n), n - np.arange(n)) * size) ** 2
        for n, size in zip(shape, sizes, strict=True)
    ]
    square = axes[0][:, None, None] + axes[1][:, None] + axes[2]
    sphere = (square <= (radius_mm * (1 + ROUNDING)) ** 2).astype(np.float32)
    return sphere / sphere.sum()
