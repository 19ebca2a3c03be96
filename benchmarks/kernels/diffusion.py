"""A simulated series of diffusion, as many voxels as a brain of 2 mm and more has."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.diffusion.gradients import Gradients

# the voxels of a brain in a grid of 140 x 140 x 80
N_VOXELS, N_B0, N_DIRECTIONS, B, NOISE = 573_760, 5, 60, 1000.0, 0.03


def simulated_series() -> tuple[NDArray[np.float32], Gradients]:
    """Return signals (voxels, volumes) of tensors in all directions with noise, and the table."""
    rng = np.random.default_rng(0)
    vectors = np.zeros((N_B0 + N_DIRECTIONS, 3))
    drawn = rng.normal(size=(N_DIRECTIONS, 3))
    vectors[N_B0:] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    bvals = np.where(np.arange(len(vectors)) < N_B0, 0, B)
    fibres = rng.normal(size=(500, 3))
    fibres /= np.linalg.norm(fibres, axis=1, keepdims=True)
    clean = np.exp(-bvals * (0.3e-3 + 1.4e-3 * (fibres @ vectors.T) ** 2)).astype(np.float32)
    signals = clean[rng.integers(500, size=N_VOXELS)]
    signals += rng.normal(0, NOISE, signals.shape).astype(np.float32)
    return np.maximum(signals, np.float32(0.01)), Gradients(bvals, vectors)
