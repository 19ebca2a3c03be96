"""Bright rims around cavities: old infarcts and lacunes that a mask holds as lesions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.boxes import bounding_box, grown_box
from wmhflow.core.arrays.components import keep_components, keep_large
from wmhflow.core.arrays.masks import deeper, within
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
# part is a part of it.
LEAST_CAVITY_MM3, MOST_VENTRICLE, NEAR_VENTRICLE_MM = 20.0, 0.5, 3.0
# A cavity of which no rim is whole hangs on sulci by less than twice this, and most of it lies
# where white or deep grey matter is expected. Chosen with the line above on 17 simulated people of
# training heads (`benchmarks/training/rims.py`).
NARROW_MM, LEAST_IN_TISSUE = 1.0, 0.5
# So far around the lesions cavities are looked for, so that of a ventricle enough is seen.
AROUND_MM = 20.0
# A lesion is a rim where so much of it is; a lacune in a large lesion leaves this as it is.
LEAST_OF_LESION = 0.5
EVERYWHERE = np.ones((3, 3, 3), bool)


def rim_share(
    flair: NDArray[np.floating],
    lesions: NDArray[np.bool_],
    normal: NDArray[np.bool_],
    anatomy: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    voxel_sizes_mm: Sequence[float],
) -> float:
    """Measure how much of a lesion mask are rims of cavities.

    Parameters
    ----------
    flair
        Shape (X, Y, Z), any unit.
    lesions, normal
        Same shape: lesions, and normal-appearing white matter.
    anatomy
        Two of the same shape, by someone who was not told of the lesions: the lateral ventricles,
        and white and deep grey matter.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    float
        Volume of the lesions of which at least half lies within 4 mm of a cavity (or, in thick
        slices, covers it in the next one), over that of all lesions; 0 to 1, NaN where there are no
        lesions, no normal white matter or no signal in it. A cavity is dark and no ventricle, and
        is enclosed by lesions in a plane (that of thick slices, any of the three else), or lies
        where white or deep grey matter is expected, apart from sulci.

    Notes
    -----
    The rim of a lacune or of an old infarct is no WMH of presumed vascular origin
    (Duering et al. 2023, doi:10.1016/S1474-4422(23)00131-X).

    Examples
    --------
    >>> away = np.sqrt(sum((part - 20.0) ** 2 for part in np.indices((41, 41, 41))))
    >>> flair = np.where(away < 8, 10.0, 100.0)
    >>> rim, other = (away >= 8) & (away < 10), away > 32
    >>> normal, anatomy = away > 15, (away < 0, away < 99)
    >>> [rim_share(flair, one, normal, anatomy, (1, 1, 1)) for one in (rim, other)]
    [1.0, 0.0]
    """
    tight = bounding_box(lesions)
    bright = flair[normal & np.isfinite(flair)]
    usual = float(np.median(bright)) if bright.size else float("nan")
    if tight is None or not usual > 0:
        return float("nan")
    margin = np.ceil(AROUND_MM / np.asarray(voxel_sizes_mm)).astype(np.int64)
    box = grown_box(tight, margin, lesions.shape)
    inside, sizes = lesions[box], voxel_sizes_mm
    ventricles, tissue = (one[box] for one in anatomy)
    dark = (flair[box] < DARK_SHARE * usual) & ~inside
    if ventricles.any():
        ventricles = within(ventricles, NEAR_VENTRICLE_MM, sizes)
    cavities = _beside_ventricles(_enclosed(inside, sizes) & dark, ventricles)
    cavities |= _in_tissue(dark, ventricles, tissue, sizes)
    cavities = keep_large(cavities, LEAST_CAVITY_MM3, sizes)
    if not cavities.any():
        return 0.0
    near = _around(cavities, sizes) & inside
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


def _beside_ventricles(dark: NDArray[np.bool_], near: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out the pieces that lie near ventricles for the most part."""

    def other(labels: NDArray[np.int32], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        held = np.bincount(labels[near], minlength=counts.size + 1)[1:]
        return held <= MOST_VENTRICLE * counts

    return keep_components(dark, other)


def _in_tissue(
    dark: NDArray[np.bool_],
    near: NDArray[np.bool_],
    tissue: NDArray[np.bool_],
    sizes_mm: Sequence[float],
) -> NDArray[np.bool_]:
    """Find dark places where tissue is expected, apart from ventricles and sulci."""

    def expected(labels: NDArray[np.int32], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        held = np.bincount(labels[tissue], minlength=counts.size + 1)[1:]
        return held >= LEAST_IN_TISSUE * counts

    middle = keep_components(deeper(dark, NARROW_MM, sizes_mm), expected, by_faces=True)
    middle = _beside_ventricles(middle, near)
    return within(middle, NARROW_MM, sizes_mm) & dark if middle.any() else middle


def _around(cavities: NDArray[np.bool_], sizes_mm: Sequence[float]) -> NDArray[np.bool_]:
    """Find where rims of cavities lie: around them, and in thick slices over them."""
    found = within(cavities, RIM_MM, sizes_mm)
    thick = thick_axis(sizes_mm)
    if thick is None:
        return found
    planes, over = np.moveaxis(cavities, thick, 0), np.zeros_like(cavities)
    covers = np.moveaxis(over, thick, 0)
    covers[1:] |= planes[:-1]
    covers[:-1] |= planes[1:]
    return found | within(over, GAP_MM, sizes_mm)
