"""Heads whose lateral ventricles are wide: white matter lost around them, or pushed aside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.gauntlet.anatomy import VENTRICLES, WHITE, Codes, Head, Mask

# Cerebellum, brain stem and fourth ventricle stay where they are.
BELOW = (7, 8, 15, 16, 46, 47)
COARSE, ROUNDS, LEAST_SIZE = 2, 60, 24
STEPS, LONGEST_STEP, LEAST_SLOPE = 40, 0.5, 1e-4


def widened(head: Head, ventricle_ml: float, pushed: bool) -> Head:
    """Give a head wider lateral ventricles.

    Parameters
    ----------
    head
        Anatomy.
    ventricle_ml
        Their volume; the head as it is if they have it already.
    pushed
        Whether the tissue around them is pushed aside, as in a hydrocephalus; else white matter is
        lost, the nearest first.

    Returns
    -------
    Head
        The head with wide ventricles.
    """
    more = round(1000 * ventricle_ml) - int(head.ventricles.sum())
    if more <= 0:
        return head
    change = _pushed if pushed else _lost
    return Head(head.name, change(head.codes, head.brain, more), head.affine)


def _lost(codes: Codes, _: Mask, more: int) -> Codes:
    """Turn the white matter that is nearest to the ventricles into ventricle."""
    away, where = ndimage.distance_transform_edt(~np.isin(codes, VENTRICLES), return_indices=True)
    white = np.flatnonzero(np.isin(codes, WHITE))
    gone = white[np.argsort(away.ravel()[white], kind="stable")[:more]]
    codes = codes.copy()
    codes.flat[gone] = codes[tuple(part.ravel()[gone] for part in where)]
    return codes


def _pushed(codes: Codes, brain: Mask, more: int) -> Codes:
    """Move the tissue between the ventricles and the brain's surface outwards.

    Between the two lies a potential, 1 in the ventricles and 0 at the surface. The ventricles take
    what has the highest potential, and the tissue moves along the potential's slope.
    """
    fluid = np.isin(codes, VENTRICLES)
    moving = brain & ~np.isin(codes, BELOW)
    coarse = _potential(*(_coarser(part, COARSE) for part in (fluid, moving)))
    u = np.where(moving, _finer(coarse, codes.shape), 0)
    u[fluid] = 2
    inside = np.flatnonzero(moving)
    order = inside[np.argsort(-u.ravel()[inside], kind="stable")]
    wanted = int(fluid.sum()) + more
    edge = float(u.flat[order[wanted - 1]])
    taken = np.zeros(codes.shape, bool)
    taken.flat[order[:wanted]] = True
    rest = np.argwhere(moving & ~taken).T
    shift = [_finer(part * COARSE, codes.shape)[tuple(rest)] for part in _moved(coarse, edge)]
    source = np.rint(rest + np.array(shift)).astype(int)
    source = np.clip(source, 0, np.array(codes.shape)[:, None] - 1)
    found = codes.copy()
    found[tuple(rest)] = codes[tuple(source)]
    # what comes from the old ventricle is the tissue beside it
    solid = np.where(fluid | ~moving, 0, codes)
    for wrong, seeds in ((np.isin(found, VENTRICLES) & ~taken, solid), (taken, fluid * codes)):
        _, where = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
        found[wrong] = codes[tuple(part[wrong] for part in where)]
    return found


def _coarser(mask: Mask, factor: int) -> Mask:
    """Average over blocks; half of a block is enough."""
    padded = np.pad(mask, [(0, -n % factor) for n in mask.shape])
    parts = [n for size in padded.shape for n in (size // factor, factor)]
    return np.asarray(padded.reshape(parts).mean(axis=(1, 3, 5)) >= 0.5)


def _finer(values: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Interpolate between blocks' centres."""
    offset = (1 / COARSE - 1) / 2
    return np.asarray(
        ndimage.affine_transform(
            values.astype(np.float32), np.eye(3) / COARSE, offset, shape, order=1, mode="nearest"
        )
    )


def _potential(fluid: Mask, moving: Mask) -> NDArray[np.float32]:
    """Solve Laplace's equation between the ventricles (1) and what does not move (0)."""
    u = fluid.astype(np.float32)
    if min(fluid.shape) > LEAST_SIZE:
        half = _potential(_coarser(fluid, COARSE), _coarser(moving, COARSE))
        u = np.where(fluid, 1, np.where(moving, _finer(half, fluid.shape), 0)).astype(np.float32)
    kernel = np.array([0.5, 0, 0.5], np.float32)
    for _ in range(ROUNDS):
        mean = sum(ndimage.convolve1d(u, kernel, axis=axis) for axis in range(3)) / 3
        u = np.where(fluid, 1, np.where(moving, mean, 0)).astype(np.float32)
    return u


def _moved(u: NDArray[np.float32], edge: float) -> NDArray[np.float64]:
    """Follow the slope from each voxel until the potential is what it was there before.

    Before the ventricles took all above `edge`, it was larger by that factor.
    """
    here = np.argwhere((u > 0) & (u < edge)).T.astype(np.float64)
    slopes = np.gradient(ndimage.gaussian_filter(u, 0.5))
    goal, places = u[tuple(here.astype(int))] / edge, here.copy()
    for _ in range(STEPS):
        now = ndimage.map_coordinates(u, places, order=1)
        slope = np.array([ndimage.map_coordinates(part, places, order=1) for part in slopes])
        steep = np.maximum(np.linalg.norm(slope, axis=0), LEAST_SLOPE)
        step = np.clip((goal - now) / steep, 0, LONGEST_STEP)
        places += slope / steep * step
    shift = np.zeros((3, *u.shape))
    shift[(slice(None), *here.astype(int))] = places - here
    return shift
