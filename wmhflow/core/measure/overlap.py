"""How much of every region of an atlas a mask covers, where both lie in one space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.measure.coverage import coverage_weights
from wmhflow.core.measure.statistics import region_statistics
from wmhflow.core.space.geometry import same_grid, voxel_mm3

HALF = 0.5


@dataclass(frozen=True)
class Overlap:
    """A mask beside the regions of an atlas, mm³; regions by number.

    Attributes
    ----------
    mask_mm3
        Volume of the mask.
    outside_mm3
        What of it lies in no region.
    region_mm3
        Volume of every region, in the atlas's own grid.
    overlap_mm3
        What of it the mask covers.
    """

    mask_mm3: float
    outside_mm3: float
    region_mm3: Mapping[int, float]
    overlap_mm3: Mapping[int, float]

    def fraction(self, region: int) -> float:
        """Return the share of a region that the mask covers; NaN for an empty region."""
        whole = self.region_mm3[region]
        return self.overlap_mm3[region] / whole if whole else float("nan")


def label_overlap(
    mask: ArrayLike,
    mask_affine: NDArray[np.float64],
    labels: NDArray[np.integer],
    label_affine: NDArray[np.float64],
    regions: Sequence[int],
) -> Overlap:
    """Measure a mask in every region of a label image.

    Parameters
    ----------
    mask : (I, J, K) array
        Finite and not zero inside.
    mask_affine, label_affine : (4, 4) arrays
        Voxels to world mm. Where the grids differ, the volumes in which voxels of both overlap
        count, exactly.
    labels : (X, Y, Z) integer array
        0 outside.
    regions : sequence of int
        Numbers that are wanted.

    Returns
    -------
    Overlap

    Examples
    --------
    >>> found = label_overlap([[[1, 1, 0]]], np.eye(4), np.array([[[1, 2, 2]]]), np.eye(4), [1, 2])
    >>> found.mask_mm3, found.fraction(1), found.fraction(2)
    (2.0, 1.0, 0.5)
    """
    values = np.asarray(mask)
    inside = np.isfinite(values) & (values != 0)
    mask_voxel, label_voxel = (_voxel_mm3(affine) for affine in (mask_affine, label_affine))
    n_labels = int(max(labels.max(initial=0), *regions, 0)) + 1
    sizes = np.bincount(labels.ravel(), minlength=n_labels) * label_voxel
    if same_grid(values.shape, mask_affine, labels.shape, label_affine):
        covered = np.bincount(labels[inside], minlength=n_labels) * mask_voxel
    else:
        covered = _covered_mm3(inside, mask_affine, labels, label_affine, n_labels)
    whole = float(np.count_nonzero(inside) * mask_voxel)
    return Overlap(
        mask_mm3=whole,
        outside_mm3=max(0.0, whole - float(covered[list(regions)].sum())),
        region_mm3={region: float(sizes[region]) for region in regions},
        overlap_mm3={region: float(covered[region]) for region in regions},
    )


def _covered_mm3(
    inside: NDArray[np.bool_],
    mask_affine: NDArray[np.float64],
    labels: NDArray[np.integer],
    label_affine: NDArray[np.float64],
    n_labels: int,
) -> NDArray[np.float64]:
    """Measure what a mask on another grid covers of every label."""
    covered = np.zeros(n_labels)
    weights = coverage_weights(labels, label_affine, inside.shape, mask_affine)
    found = region_statistics(inside.astype(np.float64), weights)
    volumes = np.nan_to_num(found["mean"] * found["coverage"] * found["volume_mm3"]).round(6)
    covered[found["index"]] = volumes
    return covered


def probability_overlap(
    mask: ArrayLike,
    mask_affine: NDArray[np.float64],
    probabilities: NDArray[np.floating],
    label_affine: NDArray[np.float64],
    threshold: float,
) -> list[tuple[Overlap, Overlap]]:
    """Measure a mask in every volume of a probabilistic atlas, whose regions may overlap.

    Parameters
    ----------
    mask, mask_affine, label_affine
        As in :func:`label_overlap`.
    probabilities : (X, Y, Z, n) array
        0..1.
    threshold
        From which a voxel belongs to the region.

    Returns
    -------
    list of pairs of Overlap
        Per volume, by threshold and weighted by probability; the region's number is 1. Where the
        grids differ, every voxel of the mask takes the probability at its centre.
    """
    pairs = []
    values = np.asarray(mask)
    inside = np.isfinite(values) & (values != 0)
    places = np.argwhere(inside)
    mask_voxel, label_voxel = (_voxel_mm3(affine) for affine in (mask_affine, label_affine))
    for number in range(probabilities.shape[3]):
        volume = probabilities[..., number]
        at = _labels_at(places, mask_affine, volume, label_affine)
        by_threshold, weighted = (
            Overlap(
                float(at.size * mask_voxel),
                float((at.size - part.sum(dtype=np.float64)) * mask_voxel),
                {1: float(whole.sum(dtype=np.float64) * label_voxel)},
                {1: float(part.sum(dtype=np.float64) * mask_voxel)},
            )
            for part, whole in ((at >= threshold, volume >= threshold), (at, volume))
        )
        pairs.append((by_threshold, weighted))
    return pairs


def _voxel_mm3(affine: NDArray[np.float64]) -> float:
    # rounded, so that 1 mm is 1 mm whatever the header's single precision made of it
    return float(round(voxel_mm3(affine), 6))


def _labels_at(
    voxels: NDArray[np.int64],
    affine: NDArray[np.float64],
    labels: NDArray[Any],
    label_affine: NDArray[np.float64],
) -> NDArray[Any]:
    """Read the labels at the centres of another grid's voxels; 0 outside the field of view."""
    to_labels = np.linalg.inv(label_affine) @ affine
    index = np.floor(voxels @ to_labels[:3, :3].T + to_labels[:3, 3] + HALF).astype(np.int64)
    inside = ((index >= 0) & (index < labels.shape)).all(axis=1)
    found = np.zeros(len(voxels), dtype=labels.dtype)
    found[inside] = labels[tuple(index[inside].T)]
    return found
