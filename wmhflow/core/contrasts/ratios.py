"""Ratios of two images, and rates from times."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wmhflow.core.arrays.validation import (
    UnfitImageError,
    check_same_shape,
    checked_mask,
    checked_volume,
)
from wmhflow.core.contrasts.scaling import is_magnitude

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

# The T1 of brain at 0.5 to 7 T, in s, by the median of all that has one; and the same in ms.
T1_S = (0.3, 6.0)
T1_MS = (300.0, 6000.0)
# Two settings of a scanner are one if they differ by less than this share.
SAME = 1e-3
FEWEST_VOXELS = 100


class Rate(NamedTuple):
    """A rate, and how its time was read."""

    rate: NDArray[np.float32]
    """1/s; NaN where the time is 0, negative or not finite."""
    seconds_per_unit: float
    """What the time was multiplied with to be in seconds: 1, or 0.001 for milliseconds."""


def rate_from_time(time: ArrayLike, tissue: ArrayLike | None = None) -> Rate:
    """Return 1/T1 from a map of T1 in seconds or milliseconds.

    Parameters
    ----------
    time : (I, J, K) array
        T1 in s or ms; which of them is told by the median.
    tissue : (I, J, K) array of booleans or numbers, optional
        Voxels of brain, for the median; else all that are above 0.

    Returns
    -------
    Rate
        The rate, and the factor.

    Raises
    ------
    UnfitImageError
        If the median is a T1 of brain in neither unit.

    Examples
    --------
    >>> found = rate_from_time(np.full((5, 5, 5), 800.0))
    >>> float(found.rate[0, 0, 0]), found.seconds_per_unit
    (1.25, 0.001)
    """
    values = checked_volume(time, "time").astype(np.float64)
    counted = np.isfinite(values) & (values > 0)
    if tissue is not None:
        inside = checked_mask(tissue, "tissue")
        check_same_shape(time=values, tissue=inside)
        counted &= inside
    middle = float(np.median(values[counted])) if counted.any() else float("nan")
    if T1_S[0] <= middle <= T1_S[1]:
        factor = 1.0
    elif T1_MS[0] <= middle <= T1_MS[1]:
        factor = 1e-3
    else:
        raise UnfitImageError(
            f"its median is {middle:g}: a T1 of brain is {T1_S[0]:g} to {T1_S[1]:g} s or "
            f"{T1_MS[0]:g} to {T1_MS[1]:g} ms; look at its unit"
        )
    usable = np.isfinite(values) & (values > 0)
    rate = np.where(usable, 1 / np.where(usable, values * factor, 1), np.nan)
    return Rate(rate.astype(np.float32), factor)


def transfer_ratio(on: ArrayLike, off: ArrayLike, *, noise: float = 0.0) -> NDArray[np.float32]:
    """Return the magnetisation transfer ratio, 100 · (off − on) / off.

    Parameters
    ----------
    on, off : (I, J, K) arrays
        Magnitudes with and without the pulse off resonance, in one unit and on one grid.
    noise : float, optional
        Standard deviation of the noise; voxels whose `off` is below three of it are NaN.

    Returns
    -------
    (I, J, K) float32 array
        In %; NaN where `off` is not above the noise.

    Raises
    ------
    ValueError
        If shapes differ.
    UnfitImageError
        If an image is no magnitude, both are one image, or the image "on" is the brighter
        one: then the two are exchanged or were scaled apart.

    Examples
    --------
    >>> transfer_ratio(np.full((1, 1, 2), 60.0), np.array([[[100.0, 0.0]]])).ravel()
    array([40., nan], dtype=float32)
    """
    with_pulse, without = checked_volume(on, "on"), checked_volume(off, "off")
    check_same_shape(on=with_pulse, off=without)
    for name, volume in (("on", with_pulse), ("off", without)):
        if not is_magnitude(volume):
            raise UnfitImageError(f"the image with the pulse {name} has negative values")
    floor = 3 * noise if np.isfinite(noise) else 0.0
    usable = np.isfinite(with_pulse) & np.isfinite(without) & (without > max(floor, 0.0))
    ratio = 1 - np.where(usable, with_pulse, 0) / np.where(usable, without, 1)
    if usable.any() and not ratio[usable].any():
        raise UnfitImageError("the images with and without the pulse hold the same values")
    if usable.any() and np.median(ratio[usable]) < 0:
        raise UnfitImageError(
            "the image with the pulse is brighter than the one without it: they are exchanged, or "
            "each was scaled for itself"
        )
    return np.where(usable, 100.0 * ratio, np.nan).astype(np.float32)


def check_same_settings(
    first: Mapping[str, object], second: Mapping[str, object], names: Sequence[str]
) -> None:
    """Refuse two images whose scanner settings differ where a ratio needs them equal.

    Parameters
    ----------
    first, second
        Settings by name; those that one of them does not have are not compared.
    names
        Names of the settings that have to be equal.

    Raises
    ------
    UnfitImageError
        With the names and both values.

    Examples
    --------
    >>> check_same_settings({"FlipAngle": 6}, {"FlipAngle": 6.0}, ["FlipAngle"])
    """
    apart = [
        f"{name} {first[name]} and {second[name]}"
        for name in names
        if name in first and name in second and not _equal(first[name], second[name])
    ]
    if apart:
        raise UnfitImageError(
            f"the two images were not taken alike ({'; '.join(apart)}), so that their ratio "
            "is not what it should be"
        )


def _equal(first: object, second: object) -> bool:
    if isinstance(first, int | float) and isinstance(second, int | float):
        return abs(first - second) <= SAME * max(abs(first), abs(second))
    return first == second


def relative_ratio(
    numerator: ArrayLike, denominator: ArrayLike, reference: ArrayLike
) -> tuple[NDArray[np.float32], float]:
    """Divide two images, and the result by its median in a reference region.

    The scale of either image cancels, and so does most of what differs between scanners. What is
    left of the field of the transmitting coil does not, and differs with head and body size [1]_:
    the ratio compares places within a person.

    Parameters
    ----------
    numerator, denominator : (I, J, K) arrays
        Images without bias field, such as T1w and T2w.
    reference : (I, J, K) array of booleans or numbers
        Region whose median becomes 1, such as normal white matter far from lesions.

    Returns
    -------
    ratio : (I, J, K) float32 array
        Relative ratio; NaN where either image is not above 0.
    reference_ratio : float
        The median that it was divided by: the raw ratio is the product.

    Raises
    ------
    UnfitImageError
        If fewer than 100 voxels of the reference have a ratio.

    References
    ----------
    .. [1] Glasser MF, Coalson TS, Harms MP, Xu J, Baum GL, Autio JA, et al. Empirical transmit
       field bias correction of T1w/T2w myelin maps. Neuroimage 2022;258:119360.
       doi:10.1016/j.neuroimage.2022.119360
    """
    top, bottom = checked_volume(numerator, "numerator"), checked_volume(denominator, "denominator")
    inside = checked_mask(reference, "reference")
    check_same_shape(numerator=top, denominator=bottom, reference=inside)
    usable = np.isfinite(top) & np.isfinite(bottom) & (top > 0) & (bottom > 0)
    ratio = np.where(usable, top / np.where(usable, bottom, 1).astype(np.float64), np.nan)
    known = ratio[inside & usable]
    if known.size < FEWEST_VOXELS:
        raise UnfitImageError(
            f"the region of reference has {known.size} voxels with a value in both images: at "
            f"least {FEWEST_VOXELS} are needed"
        )
    middle = float(np.median(known))
    return (ratio / middle).astype(np.float32), middle


def check_fluid_is_bright(image: ArrayLike, fluid: ArrayLike, white: ArrayLike) -> None:
    """Refuse an image as T2w in which fluid is darker than white matter, as in a FLAIR.

    Parameters
    ----------
    image : (I, J, K) array
        What is said to be a T2w image.
    fluid, white : (I, J, K) arrays of booleans or numbers
        Inner voxels of ventricles and of white matter.

    Raises
    ------
    UnfitImageError
        If the median of fluid is not above that of white matter.
    """
    values = checked_volume(image, "image")
    medians = []
    for name, region in (("fluid", fluid), ("white", white)):
        inside = checked_mask(region, name)
        check_same_shape(image=values, **{name: inside})
        known = values[inside & np.isfinite(values)]
        if known.size == 0:
            raise UnfitImageError(f"no voxel of {name} lies in the image")
        medians.append(float(np.median(known)))
    if medians[0] <= medians[1]:
        raise UnfitImageError(
            f"fluid ({medians[0]:g}) is no brighter than white matter ({medians[1]:g}): this is no "
            "T2w image; look whether it is a FLAIR"
        )
