"""Numbers that judge an alignment, and the bounds within which it is good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from wmhflow.core.align.search import refine_rigid
from wmhflow.core.align.similarity import Comparison, compare, mean_distance_mm
from wmhflow.core.arrays.components import without_holes
from wmhflow.core.space.grids import (
    Grid3D,
    apply_affine,
    resample_isotropic,
    robust_range,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


# Chosen with the bounds below, on the same images (docs/benchmarks.md), not by themselves.
QUALITY_SPACING_MM = 4.0
# Deeper than this in the head is what the verdict looks at.
INNER_MM = 20.0
N_DISPLACED = 60
# Degrees and mm.
DISPLACED_BY = (8.0, 25.0)
EDGE_SIGMA_MM = 2.0
SLOW_SIGMA_MM = 20.0
# First step, in mm and degrees, on the way to where the images fit best nearby.
CLIMB_STEP = 2.0
# Outside of these an alignment is searched anew, and marked if that does not help; how they were
# found is in docs/benchmarks.md.
ACCEPTABLE: dict[str, tuple[float | None, float | None]] = {
    "mutual_information_ratio": (2.5, None),
    "mutual_information_z": (3.0, None),
    "foreground_dice": (0.4, None),
    "field_of_view_overlap": (0.3, None),
    "misalignment_mm": (None, 2.5),
}


def foreground(grid: Grid3D) -> NDArray[np.bool_]:
    """Find what is no air: above half of Otsu's threshold, holes filled.

    Parameters
    ----------
    grid
        Image scaled to 0..1, coarse enough to hold little noise.

    Returns
    -------
    ndarray
        The head, or the brain of a skull-stripped image.

    References
    ----------
    Otsu N. A threshold selection method from gray-level histograms. IEEE Trans Syst Man Cybern
    1979. doi:10.1109/TSMC.1979.4310076
    """
    counts, edges = np.histogram(grid.data, bins=128, range=(0.0, 1.0))
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    mass = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    threshold = edges[1 + int(np.nanargmax(np.nan_to_num(between)))] / 2
    # beyond the edge of the image the head goes on as it is there
    padded = np.pad(grid.data > threshold, 2, mode="edge")
    closed = ndimage.binary_closing(padded, iterations=2)[2:-2, 2:-2, 2:-2]
    return without_holes(closed)


def flattened(grid: Grid3D, head: NDArray[np.bool_]) -> Grid3D:
    """Divide an image by its own slow changes, which coils make and no tissue.

    Parameters
    ----------
    grid
        Image scaled to 0..1.
    head
        Its foreground.

    Returns
    -------
    Grid3D
        Half of what each voxel is to its wide surroundings within the head, at most 1; 0 outside.
    """
    sigma = np.divide(SLOW_SIGMA_MM, grid.voxel_sizes_mm)
    inside = head.astype(np.float32)
    share = ndimage.gaussian_filter(inside, sigma)
    around = ndimage.gaussian_filter(grid.data * inside, sigma) / np.maximum(share, 1e-3)
    data = np.where(head & (around > 0), 0.5 * grid.data / np.maximum(around, 1e-6), 0)
    return Grid3D(np.clip(data, 0, 1).astype(np.float32), grid.affine)


def alignment_quality(
    fixed: Grid3D, moving: Grid3D, matrix: NDArray[np.float64], seed: int
) -> dict[str, float]:
    """Measure how well two images of one person lie on each other, apart from any registration.

    Deep inside the head, where its outline does not help, the mutual information of the images,
    freed of slow changes, is compared with what is left of it after random displacements by 8 to
    25 mm and degrees. And from where they lie, the nearest place is looked for in which they fit
    best: a small error leaves mutual information high, but does not lie there.

    Parameters
    ----------
    fixed, moving
        Images scaled to 0..1.
    matrix
        Points of fixed to points of moving, RAS mm.
    seed
        Seed of the displacements.

    Returns
    -------
    dict
        ``mutual_information_ratio`` (over the mean of the displaced), ``mutual_information_z``
        (in standard deviations of the displaced), ``foreground_dice`` (of the two heads or brains,
        where both fields of view are), ``field_of_view_overlap`` (share of the fixed foreground in
        the moving image's field of view), ``displacement_mm`` and ``misalignment_mm`` (how far the
        alignment, and the nearest best place from there, moves the fixed foreground on average).
    """
    grids = [resample_isotropic(grid, QUALITY_SPACING_MM) for grid in (fixed, moving)]
    heads = [foreground(grid) for grid in grids]
    inner = ndimage.binary_erosion(heads[0], iterations=round(INNER_MM / QUALITY_SPACING_MM))
    flat = [flattened(grid, head) for grid, head in zip(grids, heads, strict=True)]
    pair = compare(flat[0], flat[1], inner if inner.any() else heads[0], seed)
    centre = pair.points.mean(axis=0)
    score, null = pair.score(matrix), null_scores(pair, matrix, centre, seed)
    voxels = np.argwhere(np.ones(heads[0].shape, bool)).astype(np.float64)
    points = apply_affine(grids[0].affine, voxels)
    there = apply_affine(np.linalg.inv(grids[1].affine) @ matrix, points)
    seen = np.all((there >= -0.5) & (there <= np.array(heads[1].shape) - 0.5), axis=1)
    other = ndimage.map_coordinates(heads[1].astype(np.uint8), there[seen].T, order=0) > 0
    own = heads[0].ravel()
    both = own[seen].sum() + other.sum()
    best, _ = refine_rigid(compare(grids[0], grids[1], seed=seed), matrix, centre, CLIMB_STEP)
    return {
        "mutual_information_ratio": score / max(float(null.mean()), 1e-9),
        "mutual_information_z": (score - float(null.mean())) / max(float(null.std()), 1e-9),
        "foreground_dice": float(2 * (own[seen] & other).sum() / both) if both else 0.0,
        "field_of_view_overlap": float(own[seen].sum()) / max(int(own.sum()), 1),
        "displacement_mm": mean_distance_mm(matrix, np.eye(4), points[own]),
        "misalignment_mm": mean_distance_mm(matrix, best, points[own]),
    }


def poor_numbers(quality: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers of an alignment's quality that lie outside ``ACCEPTABLE``.

    Parameters
    ----------
    quality
        As :func:`alignment_quality` gives it.

    Examples
    --------
    >>> poor_numbers({"foreground_dice": 0.2, "mutual_information_z": 9.0, "displacement_mm": 1.0})
    {'foreground_dice': 0.2}
    """
    poor = {}
    for name, (low, high) in ACCEPTABLE.items():
        value = quality.get(name)
        if value is not None and not (
            (low is None or value >= low) and (high is None or value <= high)
        ):
            poor[name] = value
    return poor


def poor_text(poor: Mapping[str, float]) -> str:
    """Write the numbers of a bad alignment with their bounds.

    Parameters
    ----------
    poor
        As :func:`poor_numbers` gives it.

    Examples
    --------
    >>> poor_text({"foreground_dice": 0.2})
    'foreground_dice 0.2 (at least 0.4)'
    """
    return ", ".join(
        f"{name} {value:.3g} ({_bound(*ACCEPTABLE[name])})" for name, value in poor.items()
    )


def _bound(low: float | None, high: float | None) -> str:
    return f"at least {low:g}" if low is not None else f"at most {high:g}"


def edges(grid: Grid3D) -> Grid3D:
    """Return the strength of the edges, which contrasts share when nothing else does.

    Parameters
    ----------
    grid
        Image scaled to 0..1.

    Returns
    -------
    Grid3D
        Scaled to 0..1.
    """
    sigma = np.divide(EDGE_SIGMA_MM, grid.voxel_sizes_mm)
    strength = ndimage.gaussian_gradient_magnitude(grid.data, sigma)
    return Grid3D(robust_range(strength.astype(np.float32)), grid.affine)


def null_scores(
    pair: Comparison, matrix: NDArray[np.float64], pivot: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """Score an alignment after random displacements: what is left when nothing fits.

    Parameters
    ----------
    pair
        The images.
    matrix
        Points of fixed to points of moving, RAS mm.
    pivot
        Centre of the fixed image's content, RAS mm.
    seed
        Seed of the displacements.

    Returns
    -------
    ndarray, (N_DISPLACED,)
        Scores in nats. Each displacement turns by 8 to 25 degrees about some axis through the
        pivot, and shifts by 8 to 25 mm in some direction.
    """
    rng = np.random.default_rng(seed)
    scores = np.empty(N_DISPLACED)
    for i in range(N_DISPLACED):
        axis, direction = (vector / np.linalg.norm(vector) for vector in rng.normal(size=(2, 3)))
        angle, length = rng.uniform(*DISPLACED_BY, 2)
        displaced = np.eye(4)
        displaced[:3, :3] = Rotation.from_rotvec(np.radians(angle) * axis).as_matrix()
        displaced[:3, 3] = pivot + length * direction - displaced[:3, :3] @ pivot
        scores[i] = pair.score(matrix @ displaced)
    return scores
