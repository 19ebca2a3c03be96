"""How far a given lesion mask lies from where it fits best, and whether lesions go on beyond it.

They go on where the mask was cut off, and between the slices of one that was drawn on some alone.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wmhflow.core.arrays.masks import within
from wmhflow.core.arrays.validation import check_same_shape, checked_mask, checked_volume
from wmhflow.core.space.grids import box_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from wmhflow.core.arrays.validation import Spacing

# Lesions are compared with the brain up to this far from them.
AROUND_MM = 4.0
# A mask is looked for up to this far, along each axis, from where it lies.
REACH_MM = 6.0
# Smaller lesions fit noise as well.
LEAST_MM3, LEAST_VOXELS = 300.0, 20
# What ends within a smaller area is the tip of a lesion.
LEAST_CUT_MM2 = 30.0
# Slices between which nothing was drawn are up to so far apart: one of 5 mm and the gap beside it.
MOST_GAP_MM = 7.0
# Around a mask with gaps much is lesion, and this percentile of it is not.
PLAIN_PERCENTILE = 25
# Where a mask fits as well as anywhere, but for this share, it lies right: one of the middles of
# lesions may lie anywhere in these.
AS_WELL = 0.01
# Of the brightness in the mask, so many percent are no brighter.
BRIGHT_PERCENTILE = 90


def fitting_shift_mm(
    image: NDArray[np.floating],
    mask: NDArray[np.bool_],
    brain: NDArray[np.bool_],
    spacing: Spacing,
) -> NDArray[np.float64] | None:
    """Find the shift that brings a mask to where the image is brightest in it beside around it.

    Parameters
    ----------
    image
        FLAIR of shape (X, Y, Z), any unit.
    mask, brain
        Same shape: the lesions, and the brain.
    spacing
        Voxel size in mm.

    Returns
    -------
    ndarray or None
        Along each axis of the array, mm, to parts of a voxel; the nearest place from where no step
        leads to a better one, or 0 where it is hardly better. None below 0.3 mL or 20 voxels, and
        where the image shows nothing.

    Examples
    --------
    >>> true = np.zeros((30, 30, 30), bool)
    >>> true[12:18, 12:18, 12:18] = True
    >>> moved = np.roll(true, 2, axis=0)
    >>> fitting_shift_mm(true * 1.0, moved, np.ones_like(true), (2, 2, 2))
    array([-4.,  0.,  0.])
    """
    scene = _scene(image, mask, brain, spacing)
    if scene is None:
        return None
    sizes = np.asarray(spacing, np.float64)
    reach = np.maximum(np.ceil(REACH_MM / sizes), 1).astype(int) + 1
    values = _clipped(scene, reach)
    if values is None:
        return None
    places = [np.argwhere(part) + reach for part in (scene.mask[scene.box], scene.ring)]

    def fit(shift: tuple[int, ...]) -> float:
        bright, plain = (values[tuple((place + shift).T)].mean() for place in places)
        return float(bright - plain)

    return climbed(fit, reach - 1, AS_WELL) * sizes


class _Scene(NamedTuple):
    """An image, a mask and the brain; the box around the mask, and the brain around it there."""

    image: NDArray[np.floating]
    mask: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    box: tuple[slice, ...]
    ring: NDArray[np.bool_]


def _scene(
    image: NDArray[np.floating],
    mask: NDArray[np.bool_],
    brain: NDArray[np.bool_],
    spacing: Spacing,
) -> _Scene | None:
    """Check what is given; None where the mask is too small to tell, or no brain lies around it."""
    image, mask = checked_volume(image, "image"), checked_mask(mask, "mask")
    brain = checked_mask(brain, "brain")
    check_same_shape(image=image, mask=mask, brain=brain)
    if np.count_nonzero(mask) < max(LEAST_VOXELS, LEAST_MM3 / float(np.prod(spacing))):
        return None
    box = box_of(mask, [int(np.ceil(AROUND_MM / size)) for size in spacing])
    ring = within(mask[box], AROUND_MM, spacing) & brain[box] & ~mask[box]
    return _Scene(image, mask, brain, box, ring) if ring.any() else None


def _clipped(scene: _Scene, reach: NDArray[np.signedinteger]) -> NDArray[np.float32] | None:
    """Cut out what a mask can be moved over, from 0 (as around it, or darker) to 1 (as in it)."""
    image, mask, brain, box, ring = scene
    low = float(np.median(image[box][ring]))
    high = float(np.percentile(image[mask], BRIGHT_PERCENTILE))
    if not high > low:
        return None
    edges = list(zip(box, reach.tolist(), mask.shape, strict=True))
    wide = tuple(slice(max(one.start - edge, 0), one.stop + edge) for one, edge, _ in edges)
    scaled = np.clip((image[wide].astype(np.float32) - low) / (high - low), 0, 1)
    # beyond the image there is nothing
    missing = [(max(edge - one.start, 0), max(one.stop + edge - n, 0)) for one, edge, n in edges]
    return np.pad(np.where(brain[wide], scaled, np.float32(0)), missing)


def climbed(
    fit: Callable[[tuple[int, ...]], float],
    reach: NDArray[np.signedinteger],
    as_well: float = 0.0,
) -> NDArray[np.float64]:
    """Go to the best of 27 neighbours until none is better; then to the top of parabolas.

    Parameters
    ----------
    fit
        How well something fits that is moved by so many voxels along each axis.
    reach
        The largest move along each axis, voxels.
    as_well
        Where it fits as well without a move, but for this share of the best, it stays.

    Returns
    -------
    ndarray of shape (3,)
        The best move, in voxels and parts of them.

    Examples
    --------
    >>> best = np.array([1.25, -1.0, 0.0])
    >>> climbed(lambda move: -float(((move - best) ** 2).sum()), np.full(3, 4)).tolist()
    [1.25, -1.0, 0.0]
    """
    known: dict[tuple[int, ...], float] = {}

    def at(shift: tuple[int, ...]) -> float:
        if shift not in known:
            known[shift] = fit(shift) if np.all(np.abs(shift) <= reach) else -np.inf
        return known[shift]

    here: tuple[int, ...] = (0, 0, 0)
    while True:
        steps = product((0, -1, 1), repeat=3)
        best = max((tuple(np.add(here, step).tolist()) for step in steps), key=at)
        # not `<=`, with which what is no number would be climbed for ever
        if not at(best) > at(here):
            break
        here = best
    if as_well and at((0, 0, 0)) > (1 - as_well) * at(here):
        return np.zeros(3)
    parts = []
    for axis in range(3):
        step = np.eye(3, dtype=int)[axis]
        below, above = (at(tuple((np.array(here) + way * step).tolist())) for way in (-1, 1))
        bend = below - 2 * at(here) + above
        known_bend = np.isfinite(bend) and bend < 0
        parts.append((below - above) / (2 * bend) if known_bend else 0.0)
    return np.add(here, parts)


def cut_share(
    image: NDArray[np.floating],
    mask: NDArray[np.bool_],
    brain: NDArray[np.bool_],
    spacing: Spacing,
) -> float | None:
    """Measure how much of a mask ends in one plane beyond which lesions go on.

    Parameters
    ----------
    image, mask, brain, spacing
        As for :func:`fitting_shift_mm`.

    Returns
    -------
    float or None
        Of the outermost slices of the mask along each axis, the area of the one beyond which most
        voxels are as bright as lesions, over the mask's largest cross-section along that axis. 0
        where that area is below 30 mm^2. None where :func:`fitting_shift_mm` says nothing.

    Examples
    --------
    >>> lesion = np.zeros((20, 20, 20), bool)
    >>> lesion[5:15, 5:15, 5:15] = True
    >>> half = lesion & (np.arange(20) < 10)
    >>> both = [cut_share(lesion * 1.0, one, ~half | half, (1, 1, 1)) for one in (lesion, half)]
    >>> [float(one) for one in both]
    [0.0, 1.0]
    """
    scene = _scene(image, mask, brain, spacing)
    if scene is None:
        return None
    around, inside = scene.image[scene.box][scene.ring], scene.image[scene.mask]
    is_bright = scene.image > (np.median(around) + np.median(inside)) / 2
    return max(_bright_ends(is_bright & scene.brain, scene.mask, spacing), default=0.0)


def _bright_ends(
    bright: NDArray[np.bool_], mask: NDArray[np.bool_], spacing: Spacing
) -> Iterator[float]:
    for axis in range(3):
        area = float(np.prod(spacing)) / spacing[axis]
        filled, here = np.moveaxis(bright, axis, 0), np.moveaxis(mask, axis, 0)
        counts = here.sum((1, 2))
        slices = np.flatnonzero(counts)
        for last, beyond in ((slices[0], slices[0] - 1), (slices[-1], slices[-1] + 1)):
            # beyond the last slice of the image nobody can see
            if 0 <= beyond < len(counts):
                on = int(np.count_nonzero(here[last] & filled[beyond]))
                yield on / int(counts.max()) if on * area >= LEAST_CUT_MM2 else 0.0


def gap_share(
    image: NDArray[np.floating],
    mask: NDArray[np.bool_],
    brain: NDArray[np.bool_],
    spacing: Spacing,
) -> float | None:
    """Measure how much lies between parts of a mask along one axis and is as bright as lesions.

    Parameters
    ----------
    image, mask, brain, spacing
        As for :func:`fitting_shift_mm`.

    Returns
    -------
    float or None
        Voxels beside the mask with some of it before and behind them, up to 7 mm apart (one voxel
        where these are larger), over those of the mask; the most of three axes. 1 where every
        second slice was left out, 2 where two of three were. None where
        :func:`fitting_shift_mm` says nothing.

    Examples
    --------
    >>> lesion = np.zeros((20, 20, 20), bool)
    >>> lesion[5:14, 5:15, 5:15] = True
    >>> drawn = lesion & (np.arange(20) % 2 == 1)[:, None, None]
    >>> everywhere = np.ones_like(lesion)
    >>> [gap_share(lesion * 1.0, one, everywhere, (1, 1, 1)) for one in (lesion, drawn)]
    [0.0, 0.8]
    """
    scene = _scene(image, mask, brain, spacing)
    if scene is None:
        return None
    values, here = scene.image[scene.box], scene.mask[scene.box]
    plain = np.percentile(values[scene.ring], PLAIN_PERCENTILE)
    is_bright = (values > (plain + np.median(values[here])) / 2) & scene.brain[scene.box]
    most = max(
        np.count_nonzero(_between(here, axis, spacing[axis]) & is_bright) for axis in range(3)
    )
    return float(most / np.count_nonzero(here))


def _between(mask: NDArray[np.bool_], axis: int, size_mm: float) -> NDArray[np.bool_]:
    """Find what lies between two voxels of a mask along an axis that are not far apart."""
    most = max(1, int(MOST_GAP_MM / size_mm))
    ahead = np.moveaxis(mask, axis, 0)
    places = np.arange(len(ahead))[:, None, None]
    before = np.maximum.accumulate(np.where(ahead, places, -len(ahead)))
    behind = np.minimum.accumulate(np.where(ahead, places, 2 * len(ahead))[::-1])[::-1]
    return np.moveaxis(~ahead & (behind - before - 1 <= most), 0, axis)
