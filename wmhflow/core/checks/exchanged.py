"""Whether a mask of WMH and one of infarcts are each other's, told by how lesions of both lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.distance import distance_to
from wmhflow.core.arrays.validation import check_same_shape, checked_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wmhflow.core.arrays.validation import Spacing

# WMH lie on both sides and most of them around the ventricles (the zones JV and PV end at 13 mm).
NEAR_MM = 13.0
# 27 of 29 masks of white matter lesions drawn by hand (Lesjak et al. 2017) have at least 0.2 on the
# other side and 0.59 near the ventricles. Seven of eight strokes drawn by hand have at most 0.41
# near the ventricles and 0.67 in one piece; the eighth is smaller than 0.5 mL.
LEAST_OTHER_SIDE, LEAST_NEAR = 0.2, 0.5
LEAST_LARGEST, MOST_NEAR = 0.6, 0.45
# Less tells nothing.
LEAST_MM3 = 500.0


@dataclass(frozen=True)
class Lay:
    """How lesions lie.

    Attributes
    ----------
    volume_mm3
        All of them.
    other_side
        Share of the hemisphere that has less of them.
    near
        Share within 13 mm of the ventricles.
    largest
        Share of the largest piece.
    """

    volume_mm3: float
    other_side: float
    near: float
    largest: float

    @property
    def is_wmh(self) -> bool:
        """Whether they lie as WMH do: on both sides, and much of them around the ventricles."""
        known = self.volume_mm3 >= LEAST_MM3
        return known and self.other_side >= LEAST_OTHER_SIDE and self.near >= LEAST_NEAR

    @property
    def is_infarct(self) -> bool:
        """Whether they lie as an infarct does: most in one piece, far from the ventricles."""
        known = self.volume_mm3 >= LEAST_MM3
        return known and self.largest >= LEAST_LARGEST and self.near <= MOST_NEAR


def lay_of(
    mask: NDArray[np.bool_],
    ventricles: NDArray[np.bool_],
    left: NDArray[np.bool_],
    right: NDArray[np.bool_],
    spacing: Spacing,
) -> Lay:
    """Tell how lesions lie in a brain.

    Parameters
    ----------
    mask
        Shape (X, Y, Z), the lesions.
    ventricles, left, right
        Same shape, the lateral ventricles and the two sides of the brain.
    spacing
        Voxel size in mm.

    Examples
    --------
    >>> mask = np.zeros((8, 8, 8), bool)
    >>> mask[1, 1, 1] = mask[6, 1, 1] = True
    >>> left = np.zeros((8, 8, 8), bool)
    >>> left[:4] = True
    >>> lay_of(mask, ~mask, left, ~left, (1, 1, 1))
    Lay(volume_mm3=2.0, other_side=0.5, near=1.0, largest=0.5)
    """
    mask, ventricles = checked_mask(mask, "mask"), checked_mask(ventricles, "ventricles")
    check_same_shape(mask=mask, ventricles=ventricles, left=left, right=right)
    n = int(np.count_nonzero(mask))
    volume = n * float(np.prod(spacing))
    if n == 0:
        return Lay(volume, 0.0, 0.0, 0.0)
    sides = [int(np.count_nonzero(mask & side)) for side in (left, right)]
    near = 0.0
    if ventricles.any():
        apart = distance_to(ventricles, spacing, limit=NEAR_MM)
        near = int(np.count_nonzero(mask & (apart <= NEAR_MM))) / n
    pieces, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    largest = int(np.bincount(pieces.ravel())[1:].max()) / n
    return Lay(volume, min(sides) / max(sum(sides), 1), near, largest)


def seem_exchanged(wmh: Lay, infarct: Lay) -> bool:
    """Tell whether what is called WMH lies as an infarct does, and the infarct as WMH.

    Parameters
    ----------
    wmh, infarct
        How the lesions of each mask lie.
    """
    return wmh.is_infarct and infarct.is_wmh
