"""Slow changes of intensity, found as N4 finds them, on means of a few millimetres.

The method is that of N4 [1]_: the histogram is sharpened, and what the sharpening moves is smoothed
by B-splines, coarse meshes first. ITK's own implementation takes 3 to 17 s on the voxels for which
this takes less than half a second, and a visit needs three fields.

References
----------
.. [1] Tustison NJ, Avants BB, Cook PA, Zheng Y, Egan A, Yushkevich PA, Gee JC. N4ITK: improved N3
   bias correction. IEEE Trans Med Imaging 2010;29:1310-1320. doi:10.1109/TMI.2010.2046908
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.arrays.blocks import block_factors, block_means
from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.space.grids import along_axis, box_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WORKING_MM = 4.0
# The finest mesh is that which N4 has in a head of 256 mm by default; iterations and tolerance are
# less than its 4 x 50 and 1e-7.
MESHES_MM, ITERATIONS, TOLERANCE = (256.0, 128.0, 64.0), (30, 30, 20), 1e-5
# As N4 has them by default.
N_BINS, FWHM, WIENER_NOISE = 200, 0.15, 0.01
# No scanner's field differs by such a factor within a brain: loose, not measured.
MOST_UNEVEN = 8.0
# Of the contrast between voxels, in logarithms, so much is left at least; loose, not measured.
LEAST_CONTRAST = 0.25
ADVICE = "look at the image and at the brain mask, or give an image that is corrected already"


def correct_bias(
    image: NDArray[np.float32],
    mask: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    weight: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Correct slow changes of intensity.

    The field is found on means of about 4 mm along each axis, or of one voxel where voxels are
    longer than that, and judged before it is used.

    Parameters
    ----------
    image
        Image in any unit.
    mask
        Where the model counts; the field beyond its box is that of the box's faces.
    voxel_sizes_mm
        Voxel size along each axis.
    weight
        Voxels within the mask that the model is fitted to; all if None.

    Returns
    -------
    ndarray
        Corrected image, with the same mean over the mask as before; the image itself where nothing
        counts.

    Raises
    ------
    UnfitImageError
        If what is found is no field of a scanner.

    Examples
    --------
    >>> tissue = np.where(np.indices((40, 40, 40)).sum(axis=0) % 7 < 3, 80, 100).astype(np.float32)
    >>> uneven = tissue * np.linspace(0.8, 1.2, 40, dtype=np.float32)
    >>> even = correct_bias(uneven, np.ones(tissue.shape, bool), (4, 4, 4))
    >>> bool(even[tissue == 80].std() < uneven[tissue == 80].std() / 4)
    True
    """
    counted = mask if weight is None else mask & weight
    if not counted.any():
        return image
    box = box_of(mask)
    inner = image[box]
    # logarithms are taken: nothing may be zero or below
    top = float(np.percentile(inner[counted[box]], 99))
    floor = max(top * 1e-3, float(np.finfo(np.float32).tiny))
    factors = block_factors(voxel_sizes_mm, WORKING_MM)
    means, share = block_means(np.maximum(inner, floor), counted[box], factors)
    used = share >= min(0.5, float(share.max()))
    sizes_mm = [factor * size for factor, size in zip(factors, voxel_sizes_mm, strict=True)]
    lattices = bias_lattices(np.log(means), used, sizes_mm)
    places = [
        (np.arange(-part.start, n - part.start) + 0.5) / factor - 0.5
        for part, n, factor in zip(box, image.shape, factors, strict=True)
    ]
    judge_field(_evaluated(lattices, means.shape, None), np.log(means), used)
    corrected = image / np.exp(_evaluated(lattices, means.shape, places))
    before, after = float(image[mask].mean()), float(corrected[mask].mean())
    scale = before / after if before > 0 and after > 0 else 1.0
    return (corrected * np.float32(scale)).astype(np.float32)


def bias_lattices(
    logarithm: NDArray[np.floating], used: NDArray[np.bool_], sizes_mm: Sequence[float]
) -> list[NDArray[np.float32]]:
    """Find the field of an image: for each mesh the control points of a cubic B-spline.

    Parameters
    ----------
    logarithm
        Logarithm of the intensity on a coarse grid.
    used
        Voxels that the model is fitted to.
    sizes_mm
        Voxel size along each axis.

    Returns
    -------
    list of ndarray
        Control points, coarse meshes first; the field's logarithm is the sum of all splines.
    """
    shape = logarithm.shape
    lattices = []
    field = np.zeros(shape, np.float32)
    for mesh_mm, iterations in zip(MESHES_MM, ITERATIONS, strict=True):
        spans = [max(round(n * s / mesh_mm), 1) for n, s in zip(shape, sizes_mm, strict=True)]
        splines = [_basis(np.arange(n), n, m) for n, m in zip(shape, spans, strict=True)]
        lattice = np.zeros([m + 3 for m in spans], np.float32)
        norm = _along([splines[a] ** 2 for a in range(3)], used.astype(np.float32), summed=True)
        total = np.multiply.outer(
            np.multiply.outer((splines[0] ** 2).sum(1), (splines[1] ** 2).sum(1)),
            (splines[2] ** 2).sum(1),
        )
        for _ in range(iterations):
            rest = logarithm - field
            moved = np.zeros(shape, np.float32)
            moved[used] = rest[used] - sharpened(rest[used])
            # scattered data approximation: Lee, Wolberg and Shin 1997, doi:10.1109/2945.620490
            step = _along([s**3 for s in splines], (moved / total).astype(np.float32), summed=True)
            step = np.where(norm > 0, step / np.where(norm > 0, norm, 1), 0).astype(np.float32)
            change = _along(splines, step, summed=False)
            lattice += step
            field += change
            ratio = np.exp(change[used])
            if ratio.std() < TOLERANCE * ratio.mean():
                break
        lattices.append(lattice)
    return lattices


def _evaluated(
    lattices: Sequence[NDArray[np.float32]],
    shape: Sequence[int],
    places: Sequence[NDArray[np.float64]] | None,
) -> NDArray[np.float32]:
    """Add up the splines at the coarse grid's voxels, or at places between them along each axis."""
    if places is None:
        places = [np.arange(n, dtype=np.float64) for n in shape]
    total = np.zeros([len(part) for part in places], np.float32)
    for lattice in lattices:
        spans = [n - 3 for n in lattice.shape]
        splines = [_basis(p, n, m) for p, n, m in zip(places, shape, spans, strict=True)]
        total += _along(splines, lattice, summed=False)
    return total


def _basis(places: NDArray[np.floating], length: int, spans: int) -> NDArray[np.float64]:
    """Return the weights of control points (columns) at places along an axis, in voxels."""
    along = np.clip(np.asarray(places, np.float64) / max(length - 1, 1), 0, 1) * spans
    first = np.minimum(along.astype(int), spans - 1)
    t = along - first
    cubic = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4,
                      -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6  # fmt: skip
    weights = np.zeros((len(along), spans + 3))
    for number in range(4):
        weights[np.arange(len(along)), first + number] = cubic[:, number]
    return weights


def _along(
    splines: Sequence[NDArray[np.float64]], data: NDArray[np.float32], *, summed: bool
) -> NDArray[np.float32]:
    """Apply the weights of each axis: from control points to voxels, or summed the other way."""
    for axis, weights in enumerate(splines):
        data = along_axis(weights.T if summed else weights, data, axis)
    return data


def sharpened(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Expect what values would be, were their histogram not blurred by a field.

    The histogram is deconvolved with a Gaussian (Wiener filter); each value is replaced by the mean
    of the true values that it may come from.

    Parameters
    ----------
    values
        Logarithms of intensities, 1D.

    Returns
    -------
    ndarray
        The expected values.
    """
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.asarray(values, np.float32)
    slope = (high - low) / (N_BINS - 1)
    place = (np.asarray(values, np.float64) - low) / slope
    lower = np.minimum(place.astype(int), N_BINS - 2)
    part = place - lower
    counts = np.bincount(lower, 1 - part, N_BINS) + np.bincount(lower + 1, part, N_BINS)
    size = 2 ** int(np.ceil(np.log2(N_BINS)) + 1)
    offset = (size - N_BINS) // 2
    padded = np.zeros(size)
    padded[offset : offset + N_BINS] = counts
    width = FWHM / slope
    distance = np.minimum(np.arange(size), size - np.arange(size))
    gauss = np.exp(-4 * np.log(2) / width**2 * distance**2)
    gauss *= 2 * np.sqrt(np.log(2) / np.pi) / width
    blur = np.fft.fft(gauss)
    wiener = np.conj(blur) / (np.abs(blur) ** 2 + WIENER_NOISE)
    true = np.maximum(np.real(np.fft.ifft(np.fft.fft(padded) * wiener)), 0)
    centres = low + (np.arange(size) - offset) * slope
    above = np.real(np.fft.ifft(np.fft.fft(centres * true) * blur))
    below = np.real(np.fft.ifft(np.fft.fft(true) * blur))
    expected = np.where(below > 1e-9 * below.max(), above / np.where(below != 0, below, 1), centres)
    inner = expected[offset : offset + N_BINS]
    return (inner[lower] * (1 - part) + inner[lower + 1] * part).astype(np.float32)


def judge_field(
    field: NDArray[np.floating], logarithm: NDArray[np.floating], used: NDArray[np.bool_]
) -> None:
    """Refuse a field that is none: not finite, too uneven, or all of the image.

    Parameters
    ----------
    field, logarithm
        Logarithms of the field and of the image.
    used
        Voxels that the field was fitted to.

    Raises
    ------
    UnfitImageError
        With what is wrong and what to do.
    """
    if not np.isfinite(field).all():
        raise UnfitImageError(f"no bias field was found ({ADVICE}).")
    low, high = np.percentile(field[used], [1, 99])
    if high - low > np.log(MOST_UNEVEN):
        factor = np.exp(high - low)
        raise UnfitImageError(
            f"the bias field differs by a factor of {factor:.0f} within the brain, which is no "
            f"scanner's ({ADVICE})."
        )
    before = float(np.std(logarithm[used]))
    if before > 0 and np.std((logarithm - field)[used]) < LEAST_CONTRAST * before:
        raise UnfitImageError(f"all contrast of the brain was taken for a bias field ({ADVICE}).")
