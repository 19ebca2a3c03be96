"""Bright rims around cavities: old infarcts and lacunes that a mask holds as lesions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.boxes import bounding_box, grown_box
from wmhflow.core.arrays.components import keep_large
from wmhflow.core.arrays.masks import within
from wmhflow.core.arrays.slices import thick_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# A cavity is darker than this share of normal white matter's median; small ones are fluid in part.
DARK_SHARE = 0.7
# A rim may be open by gaps twice as wide, and is so thick. Scars around old infarcts are thicker
# than the 1 to 3 mm of the simulated ones, and voxels see them in part.
GAP_MM, RIM_MM = 1.5, 4.0
# Smaller cavities are perivascular spaces or noise. What lies so near to a ventricle for the most
# part is a part of it, which lesions enclose.
LEAST_CAVITY_MM3, MOST_VENTRICLE, NEAR_VENTRICLE_MM = 20.0, 0.5, 3.0
# A lesion is a rim where so much of it is; a lacune in a large lesion leaves this as it is.
LEAST_OF_LESION = 0.5
EVERYWHERE = np.ones((3, 3, 3), bool)


def rim_share(
    flair: NDArray[np.floating],
    lesions: NDArray[np.bool_],
    normal: NDArray[np.bool_],
    ventricles: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
) -> float:
    """Measure how much of a lesion mask are rims of cavities.

    Parameters
    ----------
    flair
        Shape (X, Y, Z), any unit.
    lesions, normal, ventricles
        Same shape: lesions, normal-appearing white matter, and the lateral ventricles.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    float
        Volume of the lesions of which at least half lies within 4 mm (or a thick slice) of a
        cavity that lesions enclose in a plane (the plane of thick slices, any of the three else),
        over that of all lesions; 0 to 1, NaN where there are no lesions, no normal white matter or
        no signal in it.

    Notes
    -----
    The rim of a lacune or of an old infarct is no WMH of presumed vascular origin
    (Duering et al. 2023, doi:10.1016/S1474-4422(23)00131-X).

    Examples
    --------
    >>> away = np.sqrt(sum((part - 20.0) ** 2 for part in np.indices((41, 41, 41))))
    >>> flair = np.where(away < 8, 10.0, 100.0)
    >>> rim, ball = (away >= 8) & (away < 10), away < 5
    >>> normal, none = away > 15, away < 0
    >>> [rim_share(flair, one, normal, none, (1, 1, 1)) for one in (rim, ball)]
    [1.0, 0.0]
    """
    tight = bounding_box(lesions)
    bright = flair[normal & np.isfinite(flair)]
    usual = float(np.median(bright)) if bright.size else float("nan")
    if tight is None or not usual > 0:
        return float("nan")
    margin = np.ceil(2 * GAP_MM / np.asarray(voxel_sizes_mm)).astype(np.int64) + 1
    box = grown_box(tight, margin, lesions.shape)
    inside, sizes = lesions[box], voxel_sizes_mm
    dark = (flair[box] < DARK_SHARE * usual) & ~inside
    enclosed = _enclosed(inside, sizes) & dark
    if not enclosed.any():
        return 0.0
    cavities = _cavities(enclosed, ventricles[box], sizes)
    if not cavities.any():
        return 0.0
    # what covers a cavity in the next thick slice is its rim
    near = within(cavities, max(RIM_MM, *sizes), sizes) & inside
    labels, n_lesions = ndimage.label(inside, EVERYWHERE)
    counts = np.bincount(labels.ravel(), minlength=n_lesions + 1)[1:]
    of_rim = np.bincount(labels[near], minlength=n_lesions + 1)[1:]
    return float(counts[of_rim >= LEAST_OF_LESION * counts].sum() / counts.sum())


def _enclosed(lesions: NDArray[np.bool_], sizes_mm: Sequence[float]) -> NDArray[np.bool_]:
    """Find what lesions enclose in a plane, gaps of 3 mm of theirs closed."""
    thick = thick_axis(sizes_mm)
    found = np.zeros(lesions.shape, bool)
    for axis in range(3) if thick is None else (thick,):
        planes = np.moveaxis(lesions, axis, 0)
        holes = np.moveaxis(found, axis, 0)
        steps = [size for other, size in enumerate(sizes_mm) if other != axis]
        for number, plane in enumerate(planes):
            if plane.any():
                holes[number] |= _filled(plane, steps)
    return found


def _filled(plane: NDArray[np.bool_], steps_mm: Sequence[float]) -> NDArray[np.bool_]:
    reach = [int(np.ceil(GAP_MM / step)) for step in steps_mm]
    away = [(np.arange(-n, n + 1) * step) ** 2 for n, step in zip(reach, steps_mm, strict=True)]
    disc = away[0][:, None] + away[1][None] <= GAP_MM**2
    closed = ndimage.binary_closing(np.pad(plane, max(reach)), disc)
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(closed)
    inner = tuple(slice(max(reach), max(reach) + n) for n in plane.shape)
    return filled[inner]


def _cavities(
    dark: NDArray[np.bool_], ventricles: NDArray[np.bool_], sizes_mm: Sequence[float]
) -> NDArray[np.bool_]:
    """Leave out what is too small, and what is a part of the ventricles."""
    large = keep_large(dark, LEAST_CAVITY_MM3, sizes_mm)
    if not large.any() or not ventricles.any():
        return large
    near = within(ventricles, NEAR_VENTRICLE_MM, sizes_mm)
    labels, n_cavities = ndimage.label(large, EVERYWHERE)
    counts = np.bincount(labels.ravel(), minlength=n_cavities + 1)
    held = np.bincount(labels[near], minlength=n_cavities + 1)
    other = held <= MOST_VENTRICLE * counts
    other[0] = False
    return np.asarray(other[labels])
