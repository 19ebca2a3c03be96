"""Lesions against other lesions: how far apart, how much lies near, and how near by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wmhflow.core.arrays.distance import distance_to, nearest
from wmhflow.core.arrays.validation import (
    check_same_shape,
    checked_distance,
    checked_labels,
    checked_mask,
    checked_spacing,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

# Places that are tried for a lesion in one draw, before it is left where it is not counted.
N_TRIES = 200
# A moved lesion keeps its distance from the ventricles to within so much.
KEPT_MM = 2.0
# Of a moved lesion so much lies in white matter: the shape of a real one follows its borders.
LEAST_INSIDE = 0.9


class Nearness(NamedTuple):
    """Each lesion beside a target."""

    distance_mm: NDArray[np.float64]
    """(n,) from its nearest voxel to the target's nearest one; 0 where they overlap, infinite where
    there is no target."""
    volume_mm3: NDArray[np.float64]
    """(n, k) of the target within each of k distances of the lesion; what is near several lesions
    counts for the nearest."""


class Chance(NamedTuple):
    """How near a target lesions would lie if they had arisen anywhere alike."""

    share: NDArray[np.float64]
    """(n,) of the draws in which the moved lesion lies near; NaN if it has no place."""
    n_draws: NDArray[np.int64]
    """(n,) draws in which a place was found."""


def nearness(
    lesions: ArrayLike, n_lesions: int, target: ArrayLike, spacing: ArrayLike,
    within_mm: Sequence[float] = (2.0, 5.0),
) -> Nearness:  # fmt: skip
    """Measure how near each lesion lies to a target, such as perivascular spaces or a bleed.

    Parameters
    ----------
    lesions : (I, J, K) integer array
        Numbers of the lesions, 1 to n.
    n_lesions : int
        Their number.
    target : (I, J, K) array of booleans or numbers
        What they are set against.
    spacing : three floats
        Voxel sizes in mm.
    within_mm : sequence of floats, optional
        Distances within which the target's volume is measured.

    Returns
    -------
    Nearness
        Distances from edge to edge (between voxel centres), and volumes.

    Raises
    ------
    ValueError
        If shapes differ or a lesion has a number above `n_lesions`.

    Examples
    --------
    >>> lesions = np.array([[[1, 0, 0, 0, 0, 2, 0]]])
    >>> target = np.array([[[0, 0, 0, 1, 0, 0, 0]]])
    >>> found = nearness(lesions, 2, target, (1, 1, 1))
    >>> found.distance_mm.tolist(), found.volume_mm3.tolist()
    ([3.0, 2.0], [[0.0, 0.0], [1.0, 1.0]])
    """
    labels, aim, sizes = _checked(lesions, n_lesions, target, spacing)
    to_target = distance_to(aim, sizes)
    distance = np.full(n_lesions + 1, np.inf)
    inside = labels > 0
    np.minimum.at(distance, labels[inside], to_target[inside])
    volumes = np.zeros((n_lesions, len(within_mm)))
    if n_lesions and aim.any():
        from_lesion, owner = nearest(labels, sizes, limit=max(within_mm), within=aim)
        for place, limit in enumerate(within_mm):
            near = aim & (owner > 0) & (from_lesion <= limit * (1 + 1e-5))
            counts = np.bincount(owner[near], minlength=n_lesions + 1)[1:]
            volumes[:, place] = counts * float(np.prod(sizes))
    return Nearness(distance[1:], volumes)


def nearness_by_chance(
    lesions: ArrayLike,
    n_lesions: int,
    target: ArrayLike,
    white_matter: ArrayLike,
    ventricle_distance: ArrayLike,
    spacing: ArrayLike,
    *,
    within_mm: float,
    n_draws: int = 200,
    seed: int = 0,
) -> Chance:
    """Tell how often each lesion would lie near a target if it lay elsewhere in white matter.

    A lesion is moved and mirrored as a whole, to places where at least nine tenths of it are white
    matter, none of it lies in a ventricle, and its middle is as far from the ventricles as before
    (to 2 mm): near the ventricles there is more of everything.

    Parameters
    ----------
    lesions, n_lesions, target, spacing
        As for `nearness`.
    white_matter : (I, J, K) array of booleans or numbers
        Where lesions can be, lesions included.
    ventricle_distance : (I, J, K) array
        Distance from the ventricles in mm, 0 inside.
    within_mm : float
        A lesion that is no farther than this from the target is near it.
    n_draws : int, optional
        Places for each lesion.
    seed : int, optional
        Of the draws; the same seed gives the same shares.

    Returns
    -------
    Chance
        Shares, and the number of places found.

    Raises
    ------
    ValueError
        As `nearness`.
    """
    labels, aim, sizes = _checked(lesions, n_lesions, target, spacing)
    white = checked_mask(white_matter, "white_matter")
    depth = checked_distance(ventricle_distance, "ventricle_distance")
    check_same_shape(lesions=labels, white_matter=white, ventricle_distance=depth)
    near = distance_to(aim, sizes, limit=within_mm) <= within_mm * (1 + 1e-5)
    places = np.argwhere(white)
    depths = depth[white]
    shares, drawn = np.full(n_lesions, np.nan), np.zeros(n_lesions, np.int64)
    order = np.argsort(labels, axis=None, kind="stable")
    ends = np.searchsorted(labels.ravel()[order], np.arange(1, n_lesions + 2))
    for number in range(n_lesions):
        flat = order[ends[number] : ends[number + 1]]
        voxels = np.stack(np.unravel_index(flat, labels.shape), axis=1)
        rng = np.random.default_rng((seed, number))
        hits, found = _draws(voxels, places, depths, depth, white, near, n_draws, rng)
        drawn[number] = found
        if found:
            shares[number] = hits / found
    return Chance(shares, drawn)


def _draws(
    voxels: NDArray[np.int64],
    places: NDArray[np.int64],
    depths: NDArray[np.floating],
    depth: NDArray[np.floating],
    white: NDArray[np.bool_],
    near: NDArray[np.bool_],
    n_draws: int,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Move one lesion again and again; return how often it lay near, and had a place."""
    if not len(voxels):
        return 0, 0
    middle = voxels[np.argmin(((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1))]
    alike = places[np.abs(depths - depth[tuple(middle)]) <= KEPT_MM]
    if not len(alike):
        return 0, 0
    hits = found = 0
    for _ in range(n_draws):
        for _ in range(N_TRIES):
            turned = (voxels - middle) * rng.choice((-1, 1), 3)
            moved = turned + alike[rng.integers(len(alike))]
            if (moved < 0).any() or (moved >= white.shape).any():
                continue
            at = tuple(moved.T)
            if white[at].mean() >= LEAST_INSIDE and (depth[at] > 0).all():
                found += 1
                hits += bool(near[at].any())
                break
        else:
            # a lesion too large to lie anywhere else would be tried for nothing
            return hits, found
    return hits, found


def _checked(
    lesions: ArrayLike, n_lesions: int, target: ArrayLike, spacing: ArrayLike
) -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.float64]]:
    labels = checked_labels(lesions, "lesions").astype(np.int32)
    aim = checked_mask(target, "target")
    check_same_shape(lesions=labels, target=aim)
    if labels.max(initial=0) > n_lesions:
        raise ValueError(f"lesions go up to {labels.max()}, and there should be {n_lesions}")
    return labels, aim, checked_spacing(spacing)
