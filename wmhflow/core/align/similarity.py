"""How alike two images are in a given position: mutual information at fixed points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from scipy import ndimage

from wmhflow.core.space.grids import (
    Grid3D,
    apply_affine,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


# 32 bins as in antsRegistrationSyN.sh; the others were chosen with the search, not by themselves.
N_BINS = 32
MOST_POINTS = 100_000
BACKGROUND_WEIGHT = 0.05


def mean_distance_mm(
    one: NDArray[np.float64], other: NDArray[np.float64], points: NDArray[np.float64]
) -> float:
    """Tell how far two transforms take points from each other, on average.

    Parameters
    ----------
    one, other
        Transforms, RAS mm.
    points, (n, 3)
        RAS mm.

    Returns
    -------
    float
        Millimetres.

    Examples
    --------
    >>> shifted = np.eye(4)
    >>> shifted[0, 3] = 3.0
    >>> mean_distance_mm(np.eye(4), shifted, np.zeros((2, 3)))
    3.0
    """
    return float(np.linalg.norm(apply_affine(one - other, points), axis=1).mean())


@dataclass(frozen=True)
class Comparison:
    """Two images made ready to be compared under many transforms.

    Attributes
    ----------
    points : ndarray, (n, 3)
        Voxel centres of the fixed image that count, RAS mm.
    values : ndarray, (n,)
        The fixed image there, 0 to 1.
    moving : ndarray, (x, y, z)
        The moving image, 0 to 1.
    to_voxels : ndarray, (4, 4)
        RAS mm to voxels of the moving image.
    """

    points: NDArray[np.float64]
    values: NDArray[np.float32]
    moving: NDArray[np.float32]
    to_voxels: NDArray[np.float64]

    def score(self, matrix: NDArray[np.float64]) -> float:
        """Judge an alignment: mutual information where both images are, times the share of it.

        Parameters
        ----------
        matrix
            Points of fixed to points of moving, RAS mm.

        Returns
        -------
        float
            Nats; larger is better. The share is that of the fixed image's weight inside the
            moving image's field of view, where background weighs a twentieth.
        """
        histogram, seen, total = _joint_histogram(
            self.points, self.values, self.moving, self.to_voxels @ matrix, N_BINS
        )
        return _information(histogram) * seen / total if seen > 0 else 0.0


def compare(
    fixed: Grid3D,
    moving: Grid3D,
    mask: NDArray[np.bool_] | None = None,
    seed: int | None = None,
    n_points: int | None = None,
) -> Comparison:
    """Make two images ready to be compared, at so many points at most if there is a seed.

    Parameters
    ----------
    fixed, moving
        Images scaled to 0..1.
    mask
        Part of the fixed grid that counts, or None for all.
    seed
        Draws the points, and moves each by up to half a voxel: where the points of two grids
        coincide, interpolation blurs nothing, and mutual information has a false peak. None takes
        all voxel centres as they are.
    n_points
        How many points are drawn at most; ``MOST_POINTS`` if None.

    Returns
    -------
    Comparison

    Examples
    --------
    >>> ramp = np.linspace(0, 1, 1000, dtype=np.float32).reshape(10, 10, 10)
    >>> pair = compare(Grid3D(ramp, np.eye(4)), Grid3D(1 - ramp, np.eye(4)))
    >>> shifted = np.eye(4)
    >>> shifted[0, 3] = 3.0
    >>> pair.score(np.eye(4)) > pair.score(shifted) > 0
    True
    """
    counted = np.ones(fixed.data.shape, bool) if mask is None else mask
    voxels = np.argwhere(counted).astype(np.float64)
    if seed is None:
        values = fixed.data[counted]
    else:
        rng = np.random.default_rng(seed)
        n_points = n_points or MOST_POINTS
        if len(voxels) > n_points:
            # in the order in which they lie in memory, or every one has to be fetched by itself
            voxels = voxels[np.sort(rng.choice(len(voxels), n_points, replace=False))]
        voxels += rng.uniform(-0.5, 0.5, voxels.shape)
        values = ndimage.map_coordinates(fixed.data, voxels.T, order=1, mode="nearest")
    return Comparison(
        apply_affine(fixed.affine, voxels),
        # what is brighter than 1 would be counted outside of the histogram
        np.ascontiguousarray(np.clip(values, 0, 1), dtype=np.float32),
        np.ascontiguousarray(np.clip(moving.data, 0, 1), dtype=np.float32),
        np.linalg.inv(moving.affine).astype(np.float64),
    )


@njit(cache=True, nogil=True)
def _joint_histogram(points, values, moving, to_voxels, n_bins):  # type: ignore[no-untyped-def]
    """Count pairs of values, each shared among the two nearest bins of either image.

    Also returns the weight of the points inside the moving image, and of all.
    """
    histogram = np.zeros((n_bins, n_bins))
    shape = moving.shape
    seen = total = 0.0
    for k in range(points.shape[0]):
        weight = 1.0 if values[k] > 0 else BACKGROUND_WEIGHT
        total += weight
        x, y, z = points[k, 0], points[k, 1], points[k, 2]
        i = to_voxels[0, 0] * x + to_voxels[0, 1] * y + to_voxels[0, 2] * z + to_voxels[0, 3]
        j = to_voxels[1, 0] * x + to_voxels[1, 1] * y + to_voxels[1, 2] * z + to_voxels[1, 3]
        m = to_voxels[2, 0] * x + to_voxels[2, 1] * y + to_voxels[2, 2] * z + to_voxels[2, 3]
        if not (
            -0.5 <= i <= shape[0] - 0.5
            and -0.5 <= j <= shape[1] - 0.5
            and -0.5 <= m <= shape[2] - 0.5
        ):
            continue
        seen += weight
        i = min(max(i, 0.0), shape[0] - 1.0)
        j = min(max(j, 0.0), shape[1] - 1.0)
        m = min(max(m, 0.0), shape[2] - 1.0)
        i0, j0, m0 = int(i), int(j), int(m)
        i1, j1, m1 = min(i0 + 1, shape[0] - 1), min(j0 + 1, shape[1] - 1), min(m0 + 1, shape[2] - 1)
        a, b, c = i - i0, j - j0, m - m0
        low = (moving[i0, j0, m0] * (1 - c) + moving[i0, j0, m1] * c) * (1 - b)
        low += (moving[i0, j1, m0] * (1 - c) + moving[i0, j1, m1] * c) * b
        high = (moving[i1, j0, m0] * (1 - c) + moving[i1, j0, m1] * c) * (1 - b)
        high += (moving[i1, j1, m0] * (1 - c) + moving[i1, j1, m1] * c) * b
        first = values[k] * (n_bins - 1)
        second = (low * (1 - a) + high * a) * (n_bins - 1)
        p, q = min(int(first), n_bins - 2), min(int(second), n_bins - 2)
        u, v = first - p, second - q
        histogram[p, q] += (1 - u) * (1 - v)
        histogram[p, q + 1] += (1 - u) * v
        histogram[p + 1, q] += u * (1 - v)
        histogram[p + 1, q + 1] += u * v
    return histogram, seen, total


def _information(histogram: NDArray[np.float64]) -> float:
    joint = histogram / histogram.sum()
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log(joint[seen] / expected[seen])))
