"""Simulated series of diffusion for the tests: tables of gradients and signals of known tissue."""

from __future__ import annotations

import numpy as np

STICK = np.diag([1.7e-3, 0.3e-3, 0.3e-3])


def directions(n: int) -> np.ndarray:
    """Directions spread evenly over half a sphere, (n, 3)."""
    z = (np.arange(n) + 0.5) / n
    angle = np.arange(n) * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def table(*shells: tuple[float, int], n_b0: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """b-values (g,) and unit vectors (g, 3) of shells (b, number of directions)."""
    bvals = [0.0] * n_b0
    vectors = [np.zeros((n_b0, 3))]
    for b, n in shells:
        bvals += [b] * n
        vectors.append(directions(n))
    return np.array(bvals), np.concatenate(vectors)


def tensor_signal(tensor: np.ndarray, bvals: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Signals of a Gaussian tensor, (g,)."""
    return np.exp(-bvals * np.einsum("gi,ij,gj->g", vectors, tensor, vectors))


def turned(tensor: np.ndarray, degrees: float, axis: int) -> np.ndarray:
    """A tensor turned about an axis."""
    rotation = turn(degrees, axis)
    return rotation @ tensor @ rotation.T


def turn(degrees: float, axis: int) -> np.ndarray:
    """A rotation about an axis."""
    angle = np.radians(degrees)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    rotation = np.eye(3)
    rotation[i, i] = rotation[j, j] = np.cos(angle)
    rotation[j, i], rotation[i, j] = np.sin(angle), -np.sin(angle)
    return rotation


def noisy(signal: np.ndarray, snr: float, n: int, seed: int = 0) -> np.ndarray:
    """n voxels with Rician noise, (n, g)."""
    rng = np.random.default_rng(seed)
    real = signal + rng.normal(0, 1 / snr, (n, signal.size))
    imaginary = rng.normal(0, 1 / snr, (n, signal.size))
    return np.hypot(real, imaginary).astype(np.float32)
