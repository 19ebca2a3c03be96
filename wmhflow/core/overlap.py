"""How much of every region of an atlas a mask covers, where both lie in one space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.geometry import same_grid

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
        Voxels to world mm. Where the grids differ, every voxel of the mask takes the label at its
        centre (nearest neighbour).
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
    if same_grid(values.shape, mask_affine, labels.shape, label_affine):
        found = labels[inside]
    else:
        found = _labels_at(np.argwhere(inside), mask_affine, labels, label_affine)
    n_labels = int(max(labels.max(initial=0), *regions, 0)) + 1
    sizes = np.bincount(labels.ravel(), minlength=n_labels)
    counts = np.bincount(found, minlength=n_labels)
    known = np.zeros(n_labels, dtype=bool)
    known[list(regions)] = True
    return Overlap(
        mask_mm3=float(found.size * mask_voxel),
        outside_mm3=float(counts[~known].sum() * mask_voxel),
        region_mm3={region: float(sizes[region] * label_voxel) for region in regions},
        overlap_mm3={region: float(counts[region] * mask_voxel) for region in regions},
    )


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
        Per volume, by threshold and weighted by probability; the region's number is 1.
    """
    pairs = []
    values = np.asarray(mask)
    inside = np.isfinite(values) & (values != 0)
    places = np.argwhere(inside)
    mask_voxel, label_voxel = (_voxel_mm3(affine) for affine in (mask_affine, label_affine))
    for number in range(probabilities.shape[3]):
        volume = probabilities[..., number]
        at = _labels_at(places, mask_affine, volume, label_affine).astype(np.float64)
        pairs.append(
            tuple(
                Overlap(
                    float(at.size * mask_voxel),
                    float((at.size - part.sum()) * mask_voxel),
                    {1: float(whole.sum(dtype=np.float64) * label_voxel)},
                    {1: float(part.sum() * mask_voxel)},
                )
                for part, whole in (((at >= threshold) * 1.0, volume >= threshold), (at, volume))
            )
        )
    return pairs  # type: ignore[return-value]


def sides_on_the_wrong_side(
    labels: NDArray[np.integer], affine: NDArray[np.float64], hemispheres: Mapping[int, str]
) -> list[int]:
    """List the regions whose centroid lies on the other side of x = 0 than their name says.

    Parameters
    ----------
    labels : (X, Y, Z) integer array
        In a space whose midplane is x = 0.
    affine : (4, 4) array
        Voxels to world mm.
    hemispheres
        ``L``, ``R`` or ``B`` by number; ``B`` and regions without a voxel are not judged.

    Examples
    --------
    >>> labels = np.array([[[1]], [[2]]])
    >>> affine = np.array([[1.0, 0, 0, -0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    >>> sides_on_the_wrong_side(labels, affine, {1: "R", 2: "R"})
    [1]
    """
    voxels = np.argwhere(labels)
    numbers = labels[tuple(voxels.T)]
    x = voxels @ affine[0, :3] + affine[0, 3]
    n_labels = int(max(numbers.max(initial=0), *hemispheres, 0)) + 1
    counts = np.bincount(numbers, minlength=n_labels)
    sums = np.bincount(numbers, weights=x, minlength=n_labels)
    sign = {"L": -1, "R": 1}
    return [
        region
        for region, side in hemispheres.items()
        if side in sign and counts[region] and sums[region] * sign[side] <= 0
    ]


def _voxel_mm3(affine: NDArray[np.float64]) -> float:
    # rounded, so that 1 mm is 1 mm whatever the header's single precision made of it
    return float(round(abs(np.linalg.det(affine[:3, :3])), 6))


def _labels_at(
    voxels: NDArray[np.int64],
    affine: NDArray[np.float64],
    labels: NDArray,
    label_affine: NDArray[np.float64],
) -> NDArray:
    """Read the labels at the centres of another grid's voxels; 0 outside the field of view."""
    to_labels = np.linalg.inv(label_affine) @ affine
    index = np.floor(voxels @ to_labels[:3, :3].T + to_labels[:3, 3] + HALF).astype(np.int64)
    inside = ((index >= 0) & (index < labels.shape)).all(axis=1)
    found = np.zeros(len(voxels), dtype=labels.dtype)
    found[inside] = labels[tuple(index[inside].T)]
    return found
