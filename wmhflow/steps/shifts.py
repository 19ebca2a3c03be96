"""How far images and maps lie from the tissues of a label image, by where they show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.checks.border import tissue_shifts_mm, without_parts
from wmhflow.core.space.geometry import spacing_of
from wmhflow.labels.digits import CORTEX, OTHER_TISSUE, WHITE_OR_WMH, class_of
from wmhflow.steps.kinds import LabelImage

# From here on it is marked: two thirds of a voxel of 1 mm, and less than half of one of 2 mm. Right
# maps of simulated training heads had up to 0.3 mm.
MOST_BORDER_MM = 0.7


class Apart(NamedTuple):
    """How far a shift is, mm; None where nothing was told. And where to in the world, RAS mm."""

    mm: float | None
    way: NDArray[np.float64]

    @property
    def is_much(self) -> bool:
        """Whether it is marked."""
        return self.mm is not None and self.mm > MOST_BORDER_MM


def shown_shifts(
    images: Mapping[str, tuple[NDArray[Any], NDArray[np.bool_]]],
    affine: NDArray[np.float64],
    tissue: LabelImage,
) -> dict[str, NDArray[np.float64] | None]:
    """Tell how white matter and cortex have to move to lie where images on one grid show them.

    Parameters
    ----------
    images
        Values, and where they are known.
    affine
        Of their grid, in the tissues' world.
    tissue
        Tissue classes.

    Returns
    -------
    dict
        Along each axis of the tissues' array, mm; None for what tells nothing.
    """
    classes, sizes = class_of(tissue.data), spacing_of(tissue.affine)
    white, cortex = np.isin(classes, WHITE_OR_WMH), classes == CORTEX
    beside = np.isin(classes, OTHER_TISSUE)
    return tissue_shifts_mm(images, _leading(tissue, affine), white, cortex, sizes, beside)


def told(
    shift: NDArray[np.float64] | None, tissue: LabelImage, affines: Sequence[NDArray[np.float64]]
) -> Apart:
    """Bring a shift to the world, without what is a small part of a voxel of one of some grids.

    Parameters
    ----------
    shift
        Along each axis of the tissues' array, mm; None where nothing was told.
    tissue
        Tissue classes.
    affines
        Of the grids of the images that told it, in the tissues' world.
    """
    if shift is None:
        return Apart(None, np.zeros(3))
    sizes = spacing_of(tissue.affine)
    for affine in affines:
        shift = without_parts(shift, sizes, _leading(tissue, affine))
    return Apart(float(np.linalg.norm(shift)), tissue.affine[:3, :3] @ (shift / sizes))


def _leading(tissue: LabelImage, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what leads from voxels of the tissues to voxels of a grid."""
    matrix: NDArray[np.float64] = np.linalg.inv(affine) @ tissue.affine
    return matrix
