"""The diffusion tensor by weighted least squares, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.diffusion.gradients import Gradients, tensor_design

# The fit of a voxel is worth so many turns of a plain loop, when work is divided among threads.
WORK_OF_A_VOXEL = 100
# Where D's parts stand in a 3 × 3 tensor: xx, xy, yy, xz, yz, zz, as dipy keeps them.
ROWS, COLUMNS = (0, 0, 1, 0, 1, 2), (0, 1, 1, 2, 2, 2)


@dataclass(frozen=True)
class TensorFit:
    """Tensors of voxels and what they tell; NaN where there is no fit.

    Attributes
    ----------
    tensors : ndarray of shape (n, 6)
        Dxx, Dxy, Dyy, Dxz, Dyz, Dzz along the axes of the gradients, mm²/s.
    fa : ndarray of shape (n,)
        Fractional anisotropy.
    md, ad, rd : ndarray of shape (n,)
        Mean, axial and radial diffusivity, mm²/s.
    n_negative : int
        Voxels with an eigenvalue below 0, which counts as 0 in the four measures.
    """

    tensors: NDArray[np.float64]
    fa: NDArray[np.float64]
    md: NDArray[np.float64]
    ad: NDArray[np.float64]
    rd: NDArray[np.float64]
    n_negative: int


def fit_tensor(signals: NDArray[np.float32], gradients: Gradients) -> TensorFit:
    """Fit a tensor to each voxel's signals by weighted least squares of their logarithm.

    Weights are the squared signals that an unweighted fit predicts (Salvador et al. 2005,
    doi:10.1002/hbm.20076), as in dipy's ``TensorModel``.

    Parameters
    ----------
    signals : ndarray of shape (n, g)
        A row for each voxel. A voxel with a signal that is not finite or not above 0 has no fit.
    gradients
        Of the g volumes.

    Returns
    -------
    TensorFit

    Examples
    --------
    >>> b, vectors = np.array([0.0] + 6 * [1000.0]), np.zeros((7, 3))
    >>> vectors[1:] = np.array(
    ...     [[1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1]]
    ... )
    >>> vectors[1:] /= np.sqrt(2)
    >>> signal = np.exp(-b * (vectors**2 @ [1.7e-3, 0.3e-3, 0.3e-3]))[None]
    >>> fit = fit_tensor(signal.astype(np.float32), Gradients(b, vectors))
    >>> round(float(fit.fa[0]), 3), round(float(fit.ad[0]) * 1e3, 3)
    (0.799, 1.7)
    """
    design = tensor_design(gradients)
    inverse = np.linalg.pinv(design)
    products = _products(design)
    data = np.ascontiguousarray(signals)
    out = np.full((len(data), 10), np.nan)
    negative = over_ranges(
        lambda start, stop: _fit(data, design, inverse, products, out, start, stop),
        len(data),
        len(data) * WORK_OF_A_VOXEL,
    )
    out *= np.array([*[1e-3] * 6, 1, *[1e-3] * 3])
    return TensorFit(out[:, :6], out[:, 6], out[:, 7], out[:, 8], out[:, 9], int(sum(negative)))


def _products(design: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each volume the 28 products of its row of the design with itself."""
    rows, columns = np.tril_indices(7)
    return np.ascontiguousarray(design[:, rows] * design[:, columns])


@njit(cache=True, nogil=True)
def _fit(data, design, inverse, products, out, start, stop):  # type: ignore[no-untyped-def]
    """Fit the tensors of a range of voxels, µm²/ms; count those with an eigenvalue below 0."""
    g = data.shape[1]
    logs, normal, right = np.empty(g), np.empty(28), np.empty(7)
    first, values = np.empty(7), np.empty(3)
    negative = 0
    for voxel in range(start, stop):
        sound = True
        for k in range(g):
            value = data[voxel, k]
            if not (value > 0 and value < np.inf):
                sound = False
                break
            logs[k] = np.log(np.float64(value))
        if not sound:
            continue
        for i in range(7):
            total = 0.0
            for k in range(g):
                total += inverse[i, k] * logs[k]
            first[i] = total
        _normal_equations(logs, design, products, first, normal, right)
        if not _solve(normal, right):
            continue
        for i in range(6):
            out[voxel, i] = right[i]
        negative += _measure(right, values, out, voxel)
    return negative


@njit(cache=True, nogil=True)
def _normal_equations(logs, design, products, first, normal, right):  # type: ignore[no-untyped-def]
    """Sum what weighted least squares need, weights by the fit without weights."""
    normal[:] = 0
    right[:] = 0
    for k in range(logs.size):
        predicted = 0.0
        for i in range(6):
            predicted += first[i] * design[k, i]
        # the signal without weighting is the same for all
        weight = np.exp(2 * predicted)
        for i in range(28):
            normal[i] += weight * products[k, i]
        for i in range(7):
            right[i] += weight * logs[k] * design[k, i]


@njit(cache=True, nogil=True)
def _solve(normal, right):  # type: ignore[no-untyped-def]
    """Solve 7 equations, lower triangle in rows, by Cholesky in place; False if it cannot be."""
    for i in range(7):
        for j in range(i + 1):
            total = normal[i * (i + 1) // 2 + j]
            for k in range(j):
                total -= normal[i * (i + 1) // 2 + k] * normal[j * (j + 1) // 2 + k]
            if i == j:
                if not total > 0:
                    return False
                normal[i * (i + 1) // 2 + i] = np.sqrt(total)
            else:
                normal[i * (i + 1) // 2 + j] = total / normal[j * (j + 1) // 2 + j]
    for i in range(7):
        for k in range(i):
            right[i] -= normal[i * (i + 1) // 2 + k] * right[k]
        right[i] /= normal[i * (i + 1) // 2 + i]
    for i in range(6, -1, -1):
        for k in range(i + 1, 7):
            right[i] -= normal[k * (k + 1) // 2 + i] * right[k]
        right[i] /= normal[i * (i + 1) // 2 + i]
    return True


@njit(cache=True, nogil=True)
def _measure(tensor, values, out, voxel):  # type: ignore[no-untyped-def]
    """Write FA, MD, AD and RD of a tensor; 1 if an eigenvalue is below 0."""
    _eigenvalues(tensor, values)
    negative = 1 if values[2] < 0 else 0
    for i in range(3):
        values[i] = max(values[i], 0.0)
    mean = (values[0] + values[1] + values[2]) / 3
    spread, size = 0.0, 0.0
    for i in range(3):
        spread += (values[i] - mean) ** 2
        size += values[i] ** 2
    out[voxel, 6] = np.sqrt(1.5 * spread / size) if size > 0 else 0.0
    out[voxel, 7] = mean
    out[voxel, 8] = values[0]
    out[voxel, 9] = (values[1] + values[2]) / 2
    return negative


@njit(cache=True, nogil=True)
def _eigenvalues(tensor, values):  # type: ignore[no-untyped-def]
    """Find the eigenvalues of xx, xy, yy, xz, yz, zz, largest first (Smith 1961).

    doi:10.1145/355578.366316
    """
    xx, xy, yy, xz, yz, zz = tensor[0], tensor[1], tensor[2], tensor[3], tensor[4], tensor[5]
    mean = (xx + yy + zz) / 3
    a, b, c = xx - mean, yy - mean, zz - mean
    size = np.sqrt((a * a + b * b + c * c + 2 * (xy * xy + xz * xz + yz * yz)) / 6)
    if size <= 1e-15 * max(abs(mean), 1e-300):
        values[:] = mean
        return
    determinant = a * (b * c - yz * yz) - xy * (xy * c - yz * xz) + xz * (xy * yz - b * xz)
    ratio = min(max(determinant / (2 * size**3), -1.0), 1.0)
    angle = np.arccos(ratio) / 3
    values[0] = mean + 2 * size * np.cos(angle)
    values[2] = mean + 2 * size * np.cos(angle + 2 * np.pi / 3)
    values[1] = 3 * mean - values[0] - values[2]


def as_matrices(tensors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return tensors as matrices.

    Parameters
    ----------
    tensors : ndarray of shape (n, 6)
        Dxx, Dxy, Dyy, Dxz, Dyz, Dzz.

    Returns
    -------
    ndarray of shape (n, 3, 3)
    """
    matrices = np.empty((*tensors.shape[:-1], 3, 3))
    matrices[..., ROWS, COLUMNS] = tensors
    matrices[..., COLUMNS, ROWS] = tensors
    return matrices


def main_directions(tensors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the direction of each tensor's largest eigenvalue.

    Parameters
    ----------
    tensors : ndarray of shape (n, 6)
        Finite ones.

    Returns
    -------
    ndarray of shape (n, 3)
        Of length 1.
    """
    return np.asarray(np.linalg.eigh(as_matrices(tensors))[1][..., :, 2])
