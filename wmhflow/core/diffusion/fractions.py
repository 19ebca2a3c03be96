"""Fractions of white matter, grey matter and fluid from the mean signal of each shell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wmhflow.core.arrays.threads import over_ranges

# Fewer voxels do not tell what a tissue's signal is.
LEAST_RESPONSE_VOXELS = 100
TISSUES = 3


def shell_means(
    signals: NDArray[np.float32], shells: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    """Average the signal over the directions of each shell.

    Parameters
    ----------
    signals : ndarray of shape (n, g)
        A row for each voxel.
    shells
        Numbers of the volumes of each, those without weighting first.

    Returns
    -------
    ndarray of shape (n, number of shells)
    """
    return np.stack(
        [np.asarray(signals[:, list(shell)].mean(axis=1), dtype=np.float64) for shell in shells],
        axis=1,
    )


def tissue_fractions(
    means: NDArray[np.float64], responses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Divide each voxel's mean signals among three tissues, none of them negative.

    This is the part of a multi-tissue deconvolution that knows no direction (Jeurissen et al. 2014,
    doi:10.1016/j.neuroimage.2014.07.061).

    Parameters
    ----------
    means : ndarray of shape (n, s)
        Mean signal of each shell.
    responses : ndarray of shape (3, s)
        The same of voxels of pure white matter, grey matter and fluid.

    Returns
    -------
    ndarray of shape (n, 3)
        Fractions that sum to 1; NaN where a mean is not finite or not above 0.

    Examples
    --------
    >>> pure = np.array([[100.0, 50, 30], [120, 50, 20], [300, 15, 1]])
    >>> tissue_fractions(0.5 * pure[:1] + 0.5 * pure[2:], pure).round(3).tolist()
    [[0.5, 0.0, 0.5]]
    """
    scale = responses.max()
    basis = np.ascontiguousarray(responses / scale)
    data = np.ascontiguousarray(means / scale)
    out = np.full((len(data), TISSUES), np.nan)
    over_ranges(
        lambda start, stop: _divide(data, basis, out, start, stop), len(data), len(data) * 20
    )
    return out


@njit(cache=True, nogil=True)
def _divide(data, basis, out, start, stop):  # type: ignore[no-untyped-def]
    """Divide the signals of a range of voxels; the others stay NaN."""
    gram = basis @ basis.T
    right, best = np.empty(3), np.empty(3)
    for voxel in range(start, stop):
        power = _power(data[voxel])
        if not (power > 0 and power < np.inf):
            continue
        for i in range(3):
            right[i] = 0.0
            for k in range(data.shape[1]):
                right[i] += basis[i, k] * data[voxel, k]
        _best_subset(gram, right, power, best)
        total = best.sum()
        if total > 0:
            for i in range(3):
                out[voxel, i] = best[i] / total


@njit(cache=True, nogil=True)
def _power(values):  # type: ignore[no-untyped-def]
    """Return the sum of squares; -1 if a value is not finite or not above 0."""
    power = 0.0
    for k in range(values.size):
        if not (values[k] > 0 and values[k] < np.inf):
            return -1.0
        power += values[k] * values[k]
    return power


@njit(cache=True, nogil=True)
def _best_subset(gram, right, power, best):  # type: ignore[no-untyped-def]
    """Try every set of tissues, and keep the best without a negative fraction."""
    part = np.empty(3)
    least = power
    best[:] = 0
    for subset in range(1, 8):
        if not _solve_subset(gram, right, subset, part):
            continue
        error = power
        for i in range(3):
            error -= part[i] * right[i]
        if error < least:
            least = error
            best[:] = part


@njit(cache=True, nogil=True)
def _solve_subset(gram, right, subset, part):  # type: ignore[no-untyped-def]
    """Solve for the tissues whose bits are set by elimination; False if one comes out negative."""
    part[:] = 0
    where = np.empty(3, np.int64)
    n = 0
    for i in range(3):
        if subset >> i & 1:
            where[n] = i
            n += 1
    matrix = np.empty((3, 4))
    for i in range(n):
        for j in range(n):
            matrix[i, j] = gram[where[i], where[j]]
        matrix[i, 3] = right[where[i]]
    for i in range(n):
        if not matrix[i, i] > 1e-14:
            return False
        for j in range(i + 1, n):
            factor = matrix[j, i] / matrix[i, i]
            for k in range(i, n):
                matrix[j, k] -= factor * matrix[i, k]
            matrix[j, 3] -= factor * matrix[i, 3]
    for i in range(n - 1, -1, -1):
        total = matrix[i, 3]
        for j in range(i + 1, n):
            total -= matrix[i, j] * part[where[j]]
        value = total / matrix[i, i]
        if value < 0:
            return False
        part[where[i]] = value
    return True
