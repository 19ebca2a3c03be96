"""Susceptibility from a field: the map of least total variation that explains it.

What is minimised is the misfit of the field and the total variation of the map, by the alternating
direction method of multipliers [1]_ [2]_. For the whole field, the misfit is that of what spheres
leave of it: background and inversion are one problem, so that nothing has to be unblurred and cut
in between [3]_.

References
----------
.. [1] Bilgic B, Fan AP, Polimeni JR, Cauley SF, Bianciardi M, Adalsteinsson E, et al. Fast
   quantitative susceptibility mapping with L1-regularization and automatic parameter selection.
   Magn Reson Med 2014;72:1444-1459. doi:10.1002/mrm.25029
.. [2] Milovic C, Bilgic B, Zhao B, Acosta-Cabronero J, Tejos C. Fast nonlinear susceptibility
   inversion with variational regularization. Magn Reson Med 2018;80:814-821. doi:10.1002/mrm.27073
.. [3] Chatnuntawech I, McDaniel P, Cauley SF, Gagoski BA, Langkammer C, Martin A, et al.
   Single-step quantitative susceptibility mapping with variational penalties. NMR Biomed
   2017;30:e3570. doi:10.1002/nbm.3570
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wmhflow.core.arrays.boxes import bounding_box, grown_box
from wmhflow.core.susceptibility.background import checked_field, spheres_within
from wmhflow.core.susceptibility.dipole import (
    backward,
    dipole_kernel,
    forward,
    main_field_direction,
    padded_shape,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

N_ITERATIONS = 60
# Of the total variation (ppm per mm) beside the misfit (ppm²). In these units it need not change
# with the size of voxels: `python -m benchmarks.accuracy.susceptibility` finds the same at 1 and
# 2 mm.
WEIGHT = 5e-5
# How firmly the parts of the problem are coupled, as a multiple of the weight and of the misfit.
COUPLING, MISFIT_COUPLING = 1000.0, 0.1
RADII_MM = (12.0, 8.0, 4.0)


class View(NamedTuple):
    """Voxels where a filtered field is known, and what leads to it from a susceptibility."""

    where: NDArray[np.bool_]
    kernel: NDArray[np.float32]
    values: NDArray[np.float32]


def invert_field(
    field_ppm: ArrayLike,
    mask: ArrayLike,
    affine: ArrayLike,
    *,
    weight: float = WEIGHT,
    n_iterations: int = N_ITERATIONS,
) -> NDArray[np.float32]:
    """Return the susceptibility that explains a field of inner sources.

    Parameters
    ----------
    field_ppm : (I, J, K) array
        Field without background in ppm, as `local_field` gives it.
    mask : (I, J, K) array of booleans or numbers
        Where it is known.
    affine : (4, 4) array
        From voxels to scanner RAS in mm; it tells the direction of the main field.
    weight : float, optional
        Of the total variation.
    n_iterations : int, optional
        Rounds.

    Returns
    -------
    (I, J, K) float32 array
        Susceptibility in ppm relative to an unknown constant; 0 outside of the mask.

    Raises
    ------
    ValueError
        If shapes differ, the field is not finite in the mask, the mask is empty, or the axes of the
        image are not at right angles.
    """
    whole, everywhere = checked_field(field_ppm, mask)
    crop, field, inside, sizes, kernel, shape = _cropped(whole, everywhere, affine)
    views = [View(_in_corner(inside, shape), kernel, field[inside])]
    chi = _least_variation(views, kernel.shape, shape, sizes, weight, n_iterations)
    found = np.zeros(whole.shape, np.float32)
    found[crop] = np.where(inside, chi[tuple(slice(0, n) for n in inside.shape)], 0)
    return found


def invert_whole_field(
    field_ppm: ArrayLike,
    mask: ArrayLike,
    affine: ArrayLike,
    *,
    weight: float = WEIGHT,
    n_iterations: int = N_ITERATIONS,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the susceptibility in a mask that explains a field of sources inside and outside.

    Parameters
    ----------
    field_ppm : (I, J, K) array
        The whole field in ppm.
    mask, affine, weight, n_iterations
        As for `invert_field`.

    Returns
    -------
    chi_ppm : (I, J, K) float32 array
        Susceptibility in ppm relative to an unknown constant; 0 where it could not be told.
    told : (I, J, K) boolean array
        Where it could: the mask without its outermost layer.

    Raises
    ------
    ValueError
        As `invert_field`, and if no sphere of a voxel's radius fits into the mask.
    """
    whole, everywhere = checked_field(field_ppm, mask)
    crop, field, inside, sizes, kernel, shape = _cropped(whole, everywhere, affine)
    box = tuple(slice(0, n) for n in inside.shape)
    smallest = float(sizes.max())
    radii = np.array([*(radius for radius in RADII_MM if radius > smallest), smallest])
    transformed = forward(field, shape)
    views, told = [], np.zeros(whole.shape, bool)
    for where, high_pass in spheres_within(inside, sizes, shape, radii):
        values = backward(transformed * high_pass, shape)[box][where]
        views.append(View(_in_corner(where, shape), high_pass * kernel, values))
        told[crop] |= where
    chi = _least_variation(views, kernel.shape, shape, sizes, weight, n_iterations)
    found = np.zeros(whole.shape, np.float32)
    found[crop] = chi[box]
    return np.where(told, found, 0), told


def _cropped(whole, everywhere, affine):  # type: ignore[no-untyped-def]
    """Cut out the mask; return the box, field, mask, voxel sizes, kernel and padded shape."""
    box = bounding_box(everywhere)
    if box is None:
        raise ValueError("mask is empty")
    crop = grown_box(box, np.ones(3, np.int64), whole.shape)
    sizes = np.linalg.norm(np.asarray(affine, np.float64)[:3, :3], axis=0)
    shape = padded_shape(whole[crop].shape, sizes)
    kernel = dipole_kernel(shape, sizes, main_field_direction(affine))
    return crop, whole[crop], everywhere[crop], sizes, kernel, shape


def _in_corner(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    padded = np.zeros(shape, bool)
    padded[tuple(slice(0, n) for n in mask.shape)] = mask
    return padded


def _least_variation(
    views: Sequence[View],
    half_shape: tuple[int, ...],
    shape: tuple[int, ...],
    sizes: NDArray[np.float64],
    weight: float,
    n_iterations: int,
) -> NDArray[np.float32]:
    """Minimise misfit and total variation; each round solves for the map, then for its parts."""
    least = np.float32(weight)
    rho, mu = np.float32(COUPLING * least), np.float32(MISFIT_COUPLING)
    steps = [np.float32(1 / size) for size in sizes]
    divisor = rho * _laplace(shape, half_shape, sizes)
    for view in views:
        divisor += mu * view.kernel**2
    divisor[0, 0, 0] = 1.0
    edges = [np.zeros(shape, np.float32) for _ in range(3)]
    edge_gaps = [np.zeros(shape, np.float32) for _ in range(3)]
    fields, gaps = [], [np.zeros(shape, np.float32) for _ in views]
    for view in views:
        known = np.zeros(shape, np.float32)
        known[view.where] = view.values
        fields.append(known)
    chi = np.zeros(shape, np.float32)
    for _ in range(n_iterations):
        spread = np.zeros(shape, np.float32)
        for axis, step in enumerate(steps):
            pull = edges[axis] - edge_gaps[axis]
            spread += (np.roll(pull, 1, axis) - pull) * step
        transformed = rho * forward(spread, shape)
        for view, field, gap in zip(views, fields, gaps, strict=True):
            transformed += mu * view.kernel * forward(field - gap, shape)
        transformed /= divisor
        chi = backward(transformed, shape)
        for axis, step in enumerate(steps):
            change = (np.roll(chi, -1, axis) - chi) * step + edge_gaps[axis]
            edge_gaps[axis] = np.clip(change, -least / rho, least / rho)
            edges[axis] = change - edge_gaps[axis]
        for number, view in enumerate(views):
            made = backward(view.kernel * transformed, shape) + gaps[number]
            fields[number] = made.copy()
            fields[number][view.where] = (view.values + mu * made[view.where]) / (1 + mu)
            gaps[number] = made - fields[number]
    return chi


def _laplace(
    shape: tuple[int, ...], half_shape: tuple[int, ...], sizes: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return what differences between neighbours, taken twice, do to each frequency."""
    parts = [
        (2 - 2 * np.cos(2 * np.pi * np.arange(count) / n)) / size**2
        for n, count, size in zip(shape, half_shape, sizes, strict=True)
    ]
    total = parts[0][:, None, None] + parts[1][:, None] + parts[2]
    return total.astype(np.float32)
