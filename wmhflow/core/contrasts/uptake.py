"""Uptake of a tracer relative to a region of reference that holds no lesion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.arrays.masks import deeper
from wmhflow.core.arrays.validation import (
    UnfitImageError,
    check_same_shape,
    checked_mask,
    checked_spacing,
    checked_volume,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

LEAST_MM3 = 1000.0


def reference_region(
    region: ArrayLike,
    lesions: Sequence[ArrayLike],
    spacing: ArrayLike,
    *,
    erode_mm: float = 0.0,
    least_mm3: float = LEAST_MM3,
) -> NDArray[np.bool_]:
    """Return a region of reference: its inner part, without lesions.

    Parameters
    ----------
    region : (I, J, K) array of booleans or numbers
        The anatomy that serves as reference, such as the cerebellum or the pons.
    lesions : sequence of (I, J, K) arrays
        What may not be in it: white matter hyperintensities, infarcts, bleeds.
    spacing : three floats
        Voxel sizes in mm.
    erode_mm : float, optional
        Voxels within this distance of what lies outside are left out.
    least_mm3 : float, optional
        Least volume.

    Returns
    -------
    (I, J, K) boolean array
        The region.

    Raises
    ------
    UnfitImageError
        If less than the least volume is left.
    """
    whole, sizes = checked_mask(region, "region"), checked_spacing(spacing)
    inner = deeper(whole, erode_mm, sizes.tolist()) if erode_mm > 0 else whole.copy()
    for number, lesion in enumerate(lesions, 1):
        damaged = checked_mask(lesion, f"lesion image {number}")
        check_same_shape(region=whole, **{f"lesion image {number}": damaged})
        inner &= ~damaged
    volume = float(np.count_nonzero(inner) * np.prod(sizes))
    if volume < least_mm3:
        raise UnfitImageError(
            f"the region of reference has {volume / 1000:.2f} ml without its border and lesions: "
            f"at least {least_mm3 / 1000:g} ml are needed"
        )
    return inner


def uptake_ratio(activity: ArrayLike, weights: ArrayLike) -> tuple[NDArray[np.float32], float]:
    """Divide activity by its mean in a region of reference (SUVR).

    Parameters
    ----------
    activity : (I, J, K) array
        Activity or SUV, in any unit.
    weights : (I, J, K) array
        How much of each voxel belongs to the reference, from 0 to 1.

    Returns
    -------
    ratio : (I, J, K) float32 array
        The ratio; NaN where the activity is not finite.
    reference : float
        The mean of the reference, in the unit of the activity.

    Raises
    ------
    UnfitImageError
        If the activity has more than one frame, or no positive mean in the reference.

    Examples
    --------
    >>> ratio, mean = uptake_ratio(np.array([[[2.0, 4.0, 6.0]]]), np.array([[[1.0, 1.0, 0.0]]]))
    >>> ratio.ravel().tolist(), mean
    ([0.6666666865348816, 1.3333333730697632, 2.0], 3.0)
    """
    values, share = np.asarray(activity), np.asarray(weights, np.float64)
    if values.ndim != 3:
        raise UnfitImageError(
            "the image has several frames: a static image is needed, or the times of its frames"
        )
    check_same_shape(activity=values, weights=share)
    known = np.isfinite(values) & (share > 0)
    total = float(share[known].sum())
    mean = float((share[known] * values[known]).sum() / total) if total > 0 else float("nan")
    if not mean > 0:
        raise UnfitImageError(
            f"its mean in the region of reference is {mean:g}: a positive one is needed"
        )
    return (values / mean).astype(np.float32), mean


def mean_over_frames(
    activity: ArrayLike,
    starts_s: Sequence[float],
    durations_s: Sequence[float],
    window_s: tuple[float, float],
) -> NDArray[np.float32]:
    """Average the frames of a dynamic image that lie in a window of time.

    Parameters
    ----------
    activity : (I, J, K, T) array
        Activity, one volume a frame.
    starts_s, durations_s : sequences of T floats
        When each frame starts, and how long it lasts, in s.
    window_s : two floats
        From when to when; frames that lie wholly in it count, weighted by how long they last.

    Returns
    -------
    (I, J, K) float32 array
        The mean.

    Raises
    ------
    UnfitImageError
        If there is not one time for each frame, or no frame lies in the window.

    Examples
    --------
    >>> series = np.array([1.0, 2.0, 5.0]).reshape(1, 1, 1, 3)
    >>> float(mean_over_frames(series, [0, 60, 120], [60, 60, 180], (60, 300))[0, 0, 0])
    4.25
    """
    volumes = checked_series(activity)
    starts, lasting = (np.asarray(times, np.float64) for times in (starts_s, durations_s))
    if not starts.shape == lasting.shape == (volumes.shape[3],):
        raise UnfitImageError(
            f"the image has {volumes.shape[3]} frames, and there are {starts.size} starts and "
            f"{lasting.size} durations: one for each frame is needed"
        )
    chosen = (starts >= window_s[0]) & (starts + lasting <= window_s[1]) & (lasting > 0)
    if not chosen.any():
        raise UnfitImageError(
            f"no frame lies between {window_s[0]:g} and {window_s[1]:g} s: they reach from "
            f"{starts.min():g} to {(starts + lasting).max():g} s"
        )
    mean: NDArray[np.float32] = np.average(
        volumes[..., chosen], axis=3, weights=lasting[chosen]
    ).astype(np.float32)
    return mean


def checked_series(activity: ArrayLike) -> NDArray[np.float64]:
    """Return an image of frames, refusing any that has no fourth dimension."""
    volumes = np.asarray(activity, np.float64)
    if volumes.ndim != 4:
        raise UnfitImageError(f"the image has {volumes.ndim} dimensions: frames are the fourth")
    checked_volume(volumes[..., 0], "activity")
    return volumes
