"""Volumes as the pictures want them: in the order right, front, up, and a box around the brain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.space.geometry import ras_axes, spacing_of
from wmhflow.core.space.grids import box_of

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

BOX_MARGIN_MM = 6.0

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Volume:
    """A 3D array and its affine, from voxels to world RAS in mm."""

    data: NDArray[Any]
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> NDArray[np.float64]:
        """The voxel size along each array axis in mm."""
        return spacing_of(self.affine)


def to_ras(volume: Volume) -> Volume:
    """Store a volume in the order right, front, up, without resampling it.

    Parameters
    ----------
    volume
        In any order of axes; an oblique grid stays oblique.

    Returns
    -------
    Volume
        A view of the same voxels at the same places in the world.

    Examples
    --------
    >>> stored = Volume(np.arange(3).reshape(3, 1, 1), np.diag([-1.0, 1, 1, 1]))
    >>> turned = to_ras(stored)
    >>> turned.data.ravel().tolist(), turned.affine[0].tolist()
    ([2, 1, 0], [1.0, 0.0, 0.0, -2.0])
    """
    order = ras_axes(volume.affine)
    back = np.zeros((4, 4))
    back[3, 3] = 1.0
    for new, (old, flipped) in enumerate(zip(order.axes, order.flips, strict=True)):
        back[old, new] = -1.0 if flipped else 1.0
        back[old, 3] = volume.data.shape[old] - 1.0 if flipped else 0.0
    return Volume(order.to_ras(volume.data), volume.affine @ back)


def bounding_box(mask: NDArray[np.bool_], spacing_mm: NDArray[np.float64]) -> Box:
    """Return the smallest box around a mask, with a margin; the whole grid if it is empty.

    Parameters
    ----------
    mask
        3D.
    spacing_mm
        Voxel sizes.

    Examples
    --------
    >>> bounding_box(np.pad(np.ones((1, 1, 1), bool), 9), np.array([2.0, 3.0, 6.0]))
    (slice(6, 13, None), slice(7, 12, None), slice(8, 11, None))
    """
    if not mask.any():
        return (slice(0, mask.shape[0]), slice(0, mask.shape[1]), slice(0, mask.shape[2]))
    first, second, third = box_of(mask, np.ceil(BOX_MARGIN_MM / spacing_mm).astype(int).tolist())
    return first, second, third


def obliquity_deg(affine: NDArray[np.float64]) -> float:
    """Return the largest angle between a grid's axes and the nearest world axes, in degrees."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs(axes).max(axis=0).clip(0, 1)
    return float(np.degrees(np.arccos(cosines.min())))
