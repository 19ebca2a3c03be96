"""How the share of white matter that is hyperintense changes with depth and with distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.arrays.validation import check_same_shape, checked_distance, checked_mask


def load_curve(
    position: ArrayLike,
    white_matter: ArrayLike,
    wmh: ArrayLike,
    edges: Sequence[float],
    voxel_mm3: float,
) -> Mapping[str, NDArray[np.float64]]:
    """Measure white matter and the WMH in it, bin by bin.

    Parameters
    ----------
    position : (I, J, K) array
        Depth, or a distance in mm. Voxels without a finite one are left out.
    white_matter, wmh : (I, J, K) arrays of booleans or numbers
        White matter, lesions included, and lesions.
    edges : sequence of float
        Rising, at least two. Bins are open below and closed above; the first includes its lower
        edge, and what lies below it (a lesion that overlaps the ventricle has distance 0).
    voxel_mm3 : float
        Volume of a voxel.

    Returns
    -------
    dict of (n_bins,) arrays
        ``volume_mm3``, ``wmh_volume_mm3`` and ``wmh_fraction``, NaN for an empty bin.

    Raises
    ------
    ValueError
        If shapes differ or the edges do not rise.
    TypeError
        If an image has the wrong type.

    Examples
    --------
    >>> everywhere = np.ones((1, 1, 4))
    >>> curve = load_curve([[[0.0, 1.0, 2.0, 3.0]]], everywhere, [[[1, 1, 0, 0]]], (0, 1, 4), 2.0)
    >>> curve["volume_mm3"].tolist(), curve["wmh_fraction"].tolist()
    ([4.0, 4.0], [1.0, 0.0])
    """
    limits = np.asarray(edges, dtype=np.float64)
    if limits.size < 2 or not (np.diff(limits) > 0).all():
        raise ValueError(f"edges are {list(edges)}: two or more are needed, each above the last")
    place = checked_distance(position, "position")
    matter, lesion = checked_mask(white_matter, "white_matter"), checked_mask(wmh, "wmh")
    check_same_shape(position=place, white_matter=matter, wmh=lesion)
    counted = matter & np.isfinite(place) & (place <= limits[-1])
    # closed above: a bin's number is how many inner edges lie below the position
    bins = np.searchsorted(limits[1:-1].astype(place.dtype), place[counted], side="left")
    volume = np.bincount(bins, minlength=limits.size - 1) * voxel_mm3
    diseased = np.bincount(bins[lesion[counted]], minlength=limits.size - 1) * voxel_mm3
    with np.errstate(invalid="ignore"):
        fraction = diseased / np.where(volume > 0, volume, np.nan)
    return {"volume_mm3": volume, "wmh_volume_mm3": diseased, "wmh_fraction": fraction}
