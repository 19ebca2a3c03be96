"""A tensor beside free water, from two shells and more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.diffusion.gradients import Gradients, tensor_design
from wmhflow.core.diffusion.tensor import _measure, _solve

# Diffusivity of free water at body temperature, and the mean from which a voxel is nothing else,
# µm²/ms.
WATER, ALL_WATER = 3.0, 2.7
# Beyond this share of free water the rest of the signal says nothing of its tensor.
LARGEST_WITH_TENSOR = 0.7
# How often the share is refined, and how many shares are tried the first time and then.
ROUNDS, FIRST, THEN = 3, 9, 19
LEAST_SIGNAL = 1e-6
# The fit of a voxel is worth so many turns of a plain loop, when work is divided among threads.
WORK_OF_A_VOXEL = 1000


@dataclass(frozen=True)
class FreeWaterFit:
    """Shares of free water and the tensors beside it; NaN where there is no fit.

    Attributes
    ----------
    fraction : ndarray of shape (n,)
        Share of the signal without weighting that is free water's.
    fa : ndarray of shape (n,)
        Fractional anisotropy of the rest; NaN where free water is more than 0.7.
    md : ndarray of shape (n,)
        Its mean diffusivity, mm²/s; NaN there, too.
    """

    fraction: NDArray[np.float64]
    fa: NDArray[np.float64]
    md: NDArray[np.float64]


def fit_free_water(signals: NDArray[np.float32], gradients: Gradients) -> FreeWaterFit:
    """Fit free water and a tensor by weighted least squares over a grid of shares.

    This is the fit of Hoy et al. 2014 (doi:10.1016/j.neuroimage.2014.09.053) as in dipy's
    ``fwdti`` with ``fit_method="WLS"``: the share to 0.01 in three rounds.

    Parameters
    ----------
    signals : ndarray of shape (n, g)
        A row for each voxel. A voxel with a signal that is not finite or not above 0 has no fit.
    gradients
        Of the g volumes, of two shells and more.

    Returns
    -------
    FreeWaterFit

    Examples
    --------
    >>> half = np.array([[1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1]])
    >>> vectors = np.concatenate([np.zeros((1, 3)), half, half]) / np.sqrt(2)
    >>> b = np.array([0, *[700.0] * 6, *[2000.0] * 6])
    >>> tissue = np.exp(-b * (vectors**2 @ [1.5e-3, 0.3e-3, 0.3e-3]))
    >>> mixed = 1000 * (0.7 * tissue + 0.3 * np.exp(-b * 3e-3))
    >>> round(float(fit_free_water(mixed[None], Gradients(b, vectors)).fraction[0]), 2)
    0.3
    """
    design = tensor_design(gradients)
    weighted = np.exp(design[:, [0, 2, 5]].sum(axis=1) * WATER)
    is_b0 = gradients.bvals <= gradients.b0_limit
    data = np.ascontiguousarray(signals)
    out = np.full((len(data), 11), np.nan)
    over_ranges(
        lambda start, stop: _fit(data, design, weighted, is_b0, out, start, stop),
        len(data),
        len(data) * WORK_OF_A_VOXEL,
    )
    out[:, 7] *= 1e-3
    unknown = out[:, 10] > LARGEST_WITH_TENSOR
    fa, md = (np.where(unknown, np.nan, out[:, column]) for column in (6, 7))
    return FreeWaterFit(out[:, 10], fa, md)


@njit(cache=True, nogil=True)
def _fit(data, design, water, is_b0, out, start, stop):  # type: ignore[no-untyped-def]
    """Fit a range of voxels; columns 6, 7 and 10 of `out` are FA, MD in µm²/ms and the share."""
    g = data.shape[1]
    signal, logs = np.empty(g), np.empty(g)
    project, normal = np.empty((7, g)), np.empty(28)
    params, best, values = np.empty(7), np.empty(7), np.empty(3)
    for voxel in range(start, stop):
        sound = True
        s0, n0 = 0.0, 0
        for k in range(g):
            value = np.float64(data[voxel, k])
            if not (value > 0 and value < np.inf):
                sound = False
                break
            signal[k] = value
            logs[k] = np.log(value)
            if is_b0[k]:
                s0 += value
                n0 += 1
        if not sound or n0 == 0 or not _projection(signal, design, normal, project):
            continue
        s0 /= n0
        _apply(project, logs, params)
        md = (params[0] + params[2] + params[5]) / 3
        if md >= ALL_WATER:
            out[voxel, 10] = 1.0
            continue
        out[voxel, 10] = _search(signal, s0, design, water, project, logs, params, best)
        _measure(best, values, out, voxel)


@njit(cache=True, nogil=True)
def _projection(signal, design, normal, project):  # type: ignore[no-untyped-def]
    """Find the matrix from logarithms of signals to parameters, weights their squares."""
    g = signal.size
    right = np.empty(7)
    # the solution for one volume after another; Cholesky's factors are made once for each
    top = signal.max()
    base = np.zeros(28)
    for k in range(g):
        weight = (signal[k] / top) ** 2
        number = 0
        for i in range(7):
            for j in range(i + 1):
                base[number] += weight * design[k, i] * design[k, j]
                number += 1
    # columns of the inverse, by seven right sides
    inverse = np.empty((7, 7))
    for i in range(7):
        right[:] = 0
        right[i] = 1
        normal[:] = base
        if not _solve(normal, right):
            return False
        for j in range(7):
            inverse[j, i] = right[j]
    for i in range(7):
        for k in range(g):
            total = 0.0
            for j in range(7):
                total += inverse[i, j] * design[k, j]
            project[i, k] = total * (signal[k] / top) ** 2
    return True


@njit(cache=True, nogil=True)
def _apply(project, logs, params):  # type: ignore[no-untyped-def]
    for i in range(7):
        total = 0.0
        for k in range(logs.size):
            total += project[i, k] * logs[k]
        params[i] = total


@njit(cache=True, nogil=True)
def _search(signal, s0, design, water, project, logs, params, best):  # type: ignore[no-untyped-def]
    """Find the share of free water with the least squares of signals, and the tensor beside it."""
    width, low, high, samples, found = 1.0, 0.0, 1.0, FIRST, 0.0
    for _ in range(ROUNDS):
        width *= 0.1
        first, last = low + width, high - width
        least = np.inf
        for number in range(samples):
            share = first + (last - first) * number / (samples - 1)
            for k in range(signal.size):
                rest = signal[k] - share * s0 * water[k]
                logs[k] = np.log(max(rest, LEAST_SIGNAL) / (1 - share))
            _apply(project, logs, params)
            error = 0.0
            for k in range(signal.size):
                total = 0.0
                for i in range(7):
                    total += design[k, i] * params[i]
                predicted = (1 - share) * np.exp(total) + share * s0 * water[k]
                error += (signal[k] - predicted) ** 2
            if error < least:
                least, found = error, share
                best[:] = params
        low, high, samples = found - width, found + width, THEN
    return found
