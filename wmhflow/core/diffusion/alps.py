"""Diffusion along the perivascular space (DTI-ALPS), from tensors averaged in regions.

Tensors are averaged first and then turned into the head's frame, so that the tilt of the head in
the scanner does not change the index; and the axes are the anatomy's, never sorted eigenvalues,
which noise spreads apart (an index of 1 comes out as 1.1 to 1.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.diffusion.tensor import as_matrices

# Middles in the template (MNI152), mm, on the right; the left ones have the opposite x. Spheres of
# 2.5 mm at the level of the bodies of the lateral ventricles (github.com/gbarisano/alps).
PROJECTION, ASSOCIATION = "projection", "association"
MIDDLES_MM = {PROJECTION: (26.0, -16.0, 27.0), ASSOCIATION: (38.0, -16.0, 27.0)}
RADIUS_MM = 2.5
# The axis of the head along which the fibres run: up in the projection, to the front in the
# association fibres.
ALONG = {PROJECTION: 2, ASSOCIATION: 1}
# What is kept of a region: fibres within this angle of the axis.
LEAST_FA, LARGEST_ANGLE_DEG = 0.2, 45.0
# A middle may be moved to where more voxels agree.
LARGEST_MOVE_MM, STEP_MM = 4.0, 1.0
LEAST_VOXELS, LEAST_MM3 = 4, 50.0


@dataclass(frozen=True)
class TensorField:
    """Tensors on a grid, along the world's axes.

    Attributes
    ----------
    tensors : ndarray of shape (n, 6)
        Dxx, Dxy, Dyy, Dxz, Dyz, Dzz, mm²/s.
    places : ndarray of shape (n, 3)
        Middles of the voxels in the world, mm.
    voxel_mm3
        Volume of a voxel.
    is_white : ndarray of shape (n,)
        Whether a voxel is white matter or lesion, and neither grey matter nor fluid.
    is_lesion : ndarray of shape (n,)
        Whether it is a lesion.
    """

    tensors: NDArray[np.float64]
    places: NDArray[np.float64]
    voxel_mm3: float
    is_white: NDArray[np.bool_]
    is_lesion: NDArray[np.bool_]


@dataclass(frozen=True)
class AlpsRegion:
    """One region: its voxels and their mean tensor.

    Attributes
    ----------
    tensor : ndarray of shape (3, 3)
        The mean along the axes of the head (right, front, up), mm²/s; NaN where the region is not
        to be used.
    without_lesions : ndarray of shape (3, 3)
        The same without voxels of lesions.
    n, volume_mm3, fa, md, wmh_fraction
        Of the kept voxels; FA and MD (mm²/s) of the mean tensor.
    angle_deg
        Between the mean tensor's main direction and the axis along which the fibres should run.
    moved_mm
        How far the region's middle was moved.
    """

    tensor: NDArray[np.float64]
    without_lesions: NDArray[np.float64]
    n: int
    volume_mm3: float
    fa: float
    md: float
    wmh_fraction: float
    angle_deg: float
    moved_mm: float


@dataclass(frozen=True)
class Alps:
    """The index of one side; NaN with a reason where it cannot be told.

    Attributes
    ----------
    index
        mean(Dxx of both regions) / mean(Dyy of projection, Dzz of association fibres).
    without_lesions
        The same without voxels of lesions.
    local
        The same along the axes that the two regions' main directions span, without the head's.
    regions
        By name.
    reason
        Why there is no index.
    """

    index: float
    without_lesions: float
    local: float
    regions: Mapping[str, AlpsRegion] = field(default_factory=dict)
    reason: str | None = None


def head_rotation(
    template_mm: NDArray[np.float64], world_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Find the rotation from the template's axes to those of a person's world.

    Parameters
    ----------
    template_mm, world_mm : ndarray of shape (n, 3)
        The same points of the brain in both.

    Returns
    -------
    ndarray of shape (3, 3)
        The rotation nearest to the transform between them (Kabsch 1976,
        doi:10.1107/S0567739476001873): without its sizes and shears, which would change tensors.

    Examples
    --------
    >>> points = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10.0]])
    >>> turned = points @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]]) * 1.2
    >>> head_rotation(points, turned).round().astype(int).tolist()
    [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    """
    one, other = template_mm - template_mm.mean(axis=0), world_mm - world_mm.mean(axis=0)
    left, _, right = np.linalg.svd(other.T @ one)
    sign = np.sign(np.linalg.det(left @ right))
    return np.asarray(left @ np.diag([1.0, 1.0, sign]) @ right)


def middles_of(hemisphere: str) -> dict[str, NDArray[np.float64]]:
    """Return the middles of a side's regions in the template, mm.

    Parameters
    ----------
    hemisphere
        ``L`` or ``R``.
    """
    side = np.array([-1.0 if hemisphere == "L" else 1.0, 1.0, 1.0])
    return {name: np.array(middle) * side for name, middle in MIDDLES_MM.items()}


def measure_side(
    tensors: TensorField,
    middles_mm: Mapping[str, NDArray[np.float64]],
    rotation: NDArray[np.float64],
) -> Alps:
    """Measure the index of one side (Taoka et al. 2017, doi:10.1007/s11604-017-0617-z).

    Parameters
    ----------
    tensors
        Of the person.
    middles_mm
        Middle of each region in the person's world, mm.
    rotation : ndarray of shape (3, 3)
        From the head's axes (right, front, up) to the world's.

    Returns
    -------
    Alps
    """
    regions = {
        name: _region(tensors, middles_mm[name], rotation, ALONG[name]) for name in MIDDLES_MM
    }
    reasons = [
        f"{name}: {one.n} voxels of {one.volume_mm3:.0f} mm³ agree"
        for name, one in regions.items()
        if np.isnan(one.tensor).any()
    ]
    projection, association = regions[PROJECTION], regions[ASSOCIATION]
    return Alps(
        alps_index(projection.tensor, association.tensor),
        alps_index(projection.without_lesions, association.without_lesions),
        _local_index(projection.tensor, association.tensor),
        regions,
        "; ".join(reasons) or None,
    )


def alps_index(projection: NDArray[np.float64], association: NDArray[np.float64]) -> float:
    """Return the index of two mean tensors along the axes of the head.

    Parameters
    ----------
    projection, association : ndarray of shape (3, 3)
        mm²/s.

    Examples
    --------
    >>> up, front = np.diag([0.6, 0.4, 1.5]), np.diag([0.6, 1.5, 0.4])
    >>> round(alps_index(up, front), 3)
    1.5
    """
    across = projection[0, 0] + association[0, 0]
    return float(across / (projection[1, 1] + association[2, 2]))


def _region(
    tensors: TensorField,
    middle_mm: NDArray[np.float64],
    rotation: NDArray[np.float64],
    axis: int,
) -> AlpsRegion:
    """Gather the voxels of a sphere that agree with the anatomy, where most of them do."""
    near = np.flatnonzero(
        np.linalg.norm(tensors.places - middle_mm, axis=1) <= RADIUS_MM + LARGEST_MOVE_MM
    )
    near = near[np.isfinite(tensors.tensors[near]).all(axis=1) & tensors.is_white[near]]
    matrices = rotation.T @ as_matrices(tensors.tensors[near]) @ rotation
    values, vectors = np.linalg.eigh(matrices)
    agreement = np.abs(vectors[:, axis, 2])
    kept = (_fa(values) >= LEAST_FA) & (agreement >= np.cos(np.radians(LARGEST_ANGLE_DEG)))
    near, matrices, agreement = near[kept], matrices[kept], agreement[kept]
    within, moved = _best_sphere(tensors.places[near], middle_mm, agreement)
    chosen = near[within]
    n, volume = len(chosen), len(chosen) * tensors.voxel_mm3
    sound = ~tensors.is_lesion[chosen]
    none = np.full((3, 3), np.nan)
    is_enough = n >= LEAST_VOXELS and volume >= LEAST_MM3
    mean = matrices[within].mean(axis=0) if is_enough else none
    enough_sound = is_enough and int(sound.sum()) >= LEAST_VOXELS
    without = matrices[within][sound].mean(axis=0) if enough_sound else none
    lesions = float(np.mean(~sound)) if n else np.nan
    if not is_enough:
        return AlpsRegion(none, none, n, volume, np.nan, np.nan, lesions, np.nan, moved)
    values, vectors = np.linalg.eigh(mean)
    angle = float(np.degrees(np.arccos(min(abs(float(vectors[axis, 2])), 1.0))))
    fa = float(_fa(values[None])[0])
    return AlpsRegion(mean, without, n, volume, fa, float(values.mean()), lesions, angle, moved)


def _best_sphere(
    places: NDArray[np.float64], middle_mm: NDArray[np.float64], agreement: NDArray[np.float64]
) -> tuple[NDArray[np.intp], float]:
    """Find the sphere near a middle in which most voxels agree best, the nearest one of equals."""
    steps = np.arange(-LARGEST_MOVE_MM, LARGEST_MOVE_MM + STEP_MM / 2, STEP_MM)
    moves = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm(moves, axis=1)
    order = np.argsort(lengths, kind="stable")
    best: tuple[NDArray[np.intp], float] = (np.zeros(0, dtype=np.intp), 0.0)
    most = 0.0
    for number in order[lengths[order] <= LARGEST_MOVE_MM]:
        apart = np.linalg.norm(places - middle_mm - moves[number], axis=1)
        within = np.flatnonzero(apart <= RADIUS_MM)
        score = float(agreement[within].sum())
        # a little more is worth no move
        if score > most * 1.05:
            most, best = score, (within, float(lengths[number]))
    return best


def _local_index(projection: NDArray[np.float64], association: NDArray[np.float64]) -> float:
    """Return the index along the axes that two regions' main directions span."""
    if np.isnan(projection).any() or np.isnan(association).any():
        return float("nan")
    up, front = (np.linalg.eigh(one)[1][:, 2] for one in (projection, association))
    side = np.cross(front, up)
    side /= np.linalg.norm(side)
    beside_up, beside_front = np.cross(up, side), np.cross(front, side)
    across = side @ projection @ side + side @ association @ side
    along = beside_up @ projection @ beside_up + beside_front @ association @ beside_front
    return float(across / along)


def _fa(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.maximum(values, 0)
    spread = ((values - values.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return np.asarray(np.sqrt(1.5 * spread / np.maximum((values**2).sum(axis=1), 1e-30)))
