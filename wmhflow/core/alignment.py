"""How well two images lie on each other, and where to start aligning them.

Matrices map points of the fixed image to points of the moving image, in RAS millimetres.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from wmhflow.core.grids import (
    Grid3D,
    apply_affine,
    centroid_mm,
    resample_isotropic,
    resample_mask,
    robust_range,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

SEARCH_SPACINGS_MM = (8.0, 4.0)
ROTATIONS_TRIED_DEG = (-40.0, -20.0, 0.0, 20.0, 40.0)
DENSE_STEP_DEG = 30.0
STARTS_CLIMBED = 12
STARTS_KEPT = 3
# Alignments that differ by less, in degrees and mm, are one.
SAME_PLACE = 3.0
QUALITY_SPACING_MM = 4.0
# Deeper than this in the head is what the verdict looks at.
INNER_MM = 20.0
N_DISPLACED = 60
# Degrees and mm.
DISPLACED_BY = (8.0, 25.0)
EDGE_SIGMA_MM = 2.0
SLOW_SIGMA_MM = 20.0
# Outside of these an alignment is searched anew, and marked if that does not help; how they were
# found is in docs/benchmarks.md.
ACCEPTABLE: dict[str, tuple[float | None, float | None]] = {
    "mutual_information_ratio": (2.5, None),
    "mutual_information_z": (3.0, None),
    "foreground_dice": (0.4, None),
    "field_of_view_overlap": (0.3, None),
}
N_BINS = 32
MOST_POINTS = 100_000
BACKGROUND_WEIGHT = 0.05


def mean_distance_mm(
    one: NDArray[np.float64], other: NDArray[np.float64], points: NDArray[np.float64]
) -> float:
    """Tell how far two transforms take points from each other, on average.

    Parameters
    ----------
    one, other
        Transforms, RAS mm.
    points, (n, 3)
        RAS mm.

    Returns
    -------
    float
        Millimetres.

    Examples
    --------
    >>> shifted = np.eye(4)
    >>> shifted[0, 3] = 3.0
    >>> mean_distance_mm(np.eye(4), shifted, np.zeros((2, 3)))
    3.0
    """
    return float(np.linalg.norm(apply_affine(one - other, points), axis=1).mean())


def mutual_information(
    first: NDArray[np.float32], second: NDArray[np.float32], n_bins: int = 32
) -> float:
    """Compute the mutual information of paired values.

    Parameters
    ----------
    first, second
        Paired values between 0 and 1.
    n_bins
        Number of bins of each.

    Returns
    -------
    float
        Mutual information in nats.

    Examples
    --------
    >>> values = np.linspace(0, 1, 64, dtype=np.float32)
    >>> bool(np.isclose(mutual_information(values, 1 - values, 8), np.log(8)))
    True
    >>> mutual_information(values, np.zeros_like(values), 8)
    0.0
    """
    if first.size == 0:
        return 0.0
    codes = [
        np.minimum((values * n_bins).astype(np.int64), n_bins - 1) for values in (first, second)
    ]
    joint = np.bincount(codes[0] * n_bins + codes[1], minlength=n_bins**2).reshape(n_bins, n_bins)
    joint = joint / joint.sum()
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log(joint[seen] / expected[seen])))


@dataclass(frozen=True)
class Comparison:
    """Two images made ready to be compared under many transforms.

    Attributes
    ----------
    points : ndarray, (n, 3)
        Voxel centres of the fixed image that count, RAS mm.
    values : ndarray, (n,)
        The fixed image there, 0 to 1.
    moving : ndarray, (x, y, z)
        The moving image, 0 to 1.
    to_voxels : ndarray, (4, 4)
        RAS mm to voxels of the moving image.
    """

    points: NDArray[np.float64]
    values: NDArray[np.float32]
    moving: NDArray[np.float32]
    to_voxels: NDArray[np.float64]

    def score(self, matrix: NDArray[np.float64]) -> float:
        """Judge an alignment: mutual information where both images are, times the share of it.

        Parameters
        ----------
        matrix
            Points of fixed to points of moving, RAS mm.

        Returns
        -------
        float
            Nats; larger is better. The share is that of the fixed image's weight inside the
            moving image's field of view, where background weighs a twentieth.
        """
        histogram, seen, total = _joint_histogram(
            self.points, self.values, self.moving, self.to_voxels @ matrix, N_BINS
        )
        return _information(histogram) * seen / total if seen > 0 else 0.0


def compare(
    fixed: Grid3D,
    moving: Grid3D,
    mask: NDArray[np.bool_] | None = None,
    seed: int | None = None,
) -> Comparison:
    """Make two images ready to be compared, at ``MOST_POINTS`` points at most if there is a seed.

    Parameters
    ----------
    fixed, moving
        Images scaled to 0..1.
    mask
        Part of the fixed grid that counts, or None for all.
    seed
        Draws the points, and moves each by up to half a voxel: where the points of two grids
        coincide, interpolation blurs nothing, and mutual information has a false peak. None takes
        all voxel centres as they are.

    Returns
    -------
    Comparison

    Examples
    --------
    >>> ramp = np.linspace(0, 1, 1000, dtype=np.float32).reshape(10, 10, 10)
    >>> pair = compare(Grid3D(ramp, np.eye(4)), Grid3D(1 - ramp, np.eye(4)))
    >>> shifted = np.eye(4)
    >>> shifted[0, 3] = 3.0
    >>> pair.score(np.eye(4)) > pair.score(shifted) > 0
    True
    """
    counted = np.ones(fixed.data.shape, bool) if mask is None else mask
    voxels = np.argwhere(counted).astype(np.float64)
    if seed is None:
        values = fixed.data[counted]
    else:
        rng = np.random.default_rng(seed)
        if len(voxels) > MOST_POINTS:
            voxels = voxels[rng.choice(len(voxels), MOST_POINTS, replace=False)]
        voxels += rng.uniform(-0.5, 0.5, voxels.shape)
        values = ndimage.map_coordinates(fixed.data, voxels.T, order=1, mode="nearest")
    return Comparison(
        apply_affine(fixed.affine, voxels),
        np.ascontiguousarray(values, dtype=np.float32),
        np.ascontiguousarray(moving.data, dtype=np.float32),
        np.linalg.inv(moving.affine).astype(np.float64),
    )


@njit(cache=True, nogil=True)
def _joint_histogram(points, values, moving, to_voxels, n_bins):  # type: ignore[no-untyped-def]
    """Count pairs of values, each shared among the two nearest bins of either image.

    Also returns the weight of the points inside the moving image, and of all.
    """
    histogram = np.zeros((n_bins, n_bins))
    shape = moving.shape
    seen = total = 0.0
    for k in range(points.shape[0]):
        weight = 1.0 if values[k] > 0 else BACKGROUND_WEIGHT
        total += weight
        x, y, z = points[k, 0], points[k, 1], points[k, 2]
        i = to_voxels[0, 0] * x + to_voxels[0, 1] * y + to_voxels[0, 2] * z + to_voxels[0, 3]
        j = to_voxels[1, 0] * x + to_voxels[1, 1] * y + to_voxels[1, 2] * z + to_voxels[1, 3]
        m = to_voxels[2, 0] * x + to_voxels[2, 1] * y + to_voxels[2, 2] * z + to_voxels[2, 3]
        if not (
            -0.5 <= i <= shape[0] - 0.5
            and -0.5 <= j <= shape[1] - 0.5
            and -0.5 <= m <= shape[2] - 0.5
        ):
            continue
        seen += weight
        i = min(max(i, 0.0), shape[0] - 1.0)
        j = min(max(j, 0.0), shape[1] - 1.0)
        m = min(max(m, 0.0), shape[2] - 1.0)
        i0, j0, m0 = int(i), int(j), int(m)
        i1, j1, m1 = min(i0 + 1, shape[0] - 1), min(j0 + 1, shape[1] - 1), min(m0 + 1, shape[2] - 1)
        a, b, c = i - i0, j - j0, m - m0
        low = (moving[i0, j0, m0] * (1 - c) + moving[i0, j0, m1] * c) * (1 - b)
        low += (moving[i0, j1, m0] * (1 - c) + moving[i0, j1, m1] * c) * b
        high = (moving[i1, j0, m0] * (1 - c) + moving[i1, j0, m1] * c) * (1 - b)
        high += (moving[i1, j1, m0] * (1 - c) + moving[i1, j1, m1] * c) * b
        first = values[k] * (n_bins - 1)
        second = (low * (1 - a) + high * a) * (n_bins - 1)
        p, q = min(int(first), n_bins - 2), min(int(second), n_bins - 2)
        u, v = first - p, second - q
        histogram[p, q] += (1 - u) * (1 - v)
        histogram[p, q + 1] += (1 - u) * v
        histogram[p + 1, q] += u * (1 - v)
        histogram[p + 1, q + 1] += u * v
    return histogram, seen, total


def _information(histogram: NDArray[np.float64]) -> float:
    joint = histogram / histogram.sum()
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log(joint[seen] / expected[seen])))


def rotation_matrix(angles_deg: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Make a rotation from angles about x, y and z, applied in this order.

    Parameters
    ----------
    angles_deg
        Three angles in degrees.

    Returns
    -------
    ndarray, (3, 3)
        The rotation.

    Examples
    --------
    >>> rotation_matrix((0, 0, 90)).round().astype(int).tolist()
    [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    """
    a, b, c = np.deg2rad(angles_deg)
    about_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    about_y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    about_z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    return np.array(about_z) @ np.array(about_y) @ np.array(about_x)


def rigid_matrix(
    parameters: Sequence[float] | NDArray[np.float64], pivot: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Make a rigid transform from six numbers.

    Parameters
    ----------
    parameters
        Angles about x, y and z in degrees, and the shift of the pivot in mm.
    pivot
        Point about which is turned, RAS mm.

    Returns
    -------
    ndarray, (4, 4)
        The transform.

    Examples
    --------
    >>> rigid_matrix([0, 0, 180, 0, 3, 5], np.array([1.0, 0, 0]))[:3, 3].round().tolist()
    [2.0, 3.0, 5.0]
    """
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_matrix(parameters[:3])
    matrix[:3, 3] = pivot + np.asarray(parameters[3:]) - matrix[:3, :3] @ pivot
    return matrix


def linear_starts(
    fixed: Grid3D, moving: Grid3D, angles_deg: Sequence[Sequence[float]] | None = None
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Propose starting positions: as the headers say, centres of mass, centres of the grids.

    Parameters
    ----------
    fixed, moving
        Images scaled to 0..1.
    angles_deg
        Angles about x, y and z that are tried; all of ``ROTATIONS_TRIED_DEG`` if None.

    Yields
    ------
    tuple of str and ndarray
        A name, and angles in degrees with the shift of the fixed centre of mass in mm (see
        :func:`rigid_matrix`). The first is the header's own position, not turned. A position that
        is nearly the same as an earlier one is left out.
    """
    middles = [
        apply_affine(grid.affine, (np.array(grid.data.shape) - 1) / 2) for grid in (fixed, moving)
    ]
    shifts = {
        "header": np.zeros(3),
        "centre of mass": centroid_mm(moving) - centroid_mm(fixed),
        "centre of image": middles[1] - middles[0],
    }
    distinct: dict[str, NDArray[np.float64]] = {}
    for name, shift in shifts.items():
        if all(np.linalg.norm(shift - other) > SAME_PLACE for other in distinct.values()):
            distinct[name] = shift
    turns = angles_deg or sorted(
        itertools.product(ROTATIONS_TRIED_DEG, repeat=3), key=lambda turn: np.abs(turn).sum()
    )
    for name, shift in distinct.items():
        for angles in turns:
            turned = ", turned by " + "/".join(f"{angle:.0f}" for angle in angles)
            yield name + (turned if any(angles) else ""), np.array([*angles, *shift])


def every_turn() -> list[tuple[float, float, float]]:
    """List rotations that leave no direction further than about 25 degrees from one of them.

    Returns
    -------
    list of tuple
        Angles about x, y and z in degrees, no turn first.
    """
    step = DENSE_STEP_DEG
    around = np.arange(-180.0, 180.0, step)
    upright = np.arange(-90.0, 90.0 + step, step)
    turns = [(float(a), float(b), float(c)) for a in around for b in upright for c in around]
    return sorted(turns, key=lambda turn: np.abs(turn).sum())


def highest(
    score: Callable[[NDArray[np.float64]], float],
    start: NDArray[np.float64],
    step: float,
    rounds: int,
) -> tuple[float, NDArray[np.float64]]:
    """Climb to the nearest maximum, one direction after the other (Powell).

    Parameters
    ----------
    score
        What is to be high.
    start
        Where to begin.
    step
        First step, in the unit of the parameters.
    rounds
        How often all directions are tried, at most.

    Returns
    -------
    tuple of float and ndarray
        Score and parameters.

    References
    ----------
    Powell MJD. An efficient method for finding the minimum of a function of several variables
    without calculating derivatives. Comput J 1964. doi:10.1093/comjnl/7.2.155
    """
    found = optimize.minimize(
        lambda x: -score(x * step),
        start / step,
        method="Powell",
        options={"xtol": 0.02, "ftol": 1e-4, "maxiter": rounds},
    )
    return -float(found.fun), found.x * step


def climb(
    pair: Comparison, parameters: NDArray[np.float64], pivot: NDArray[np.float64], step: float
) -> tuple[float, NDArray[np.float64]]:
    """Move a rigid alignment to the nearest best one.

    Parameters
    ----------
    pair
        The images.
    parameters
        Where to begin, as in :func:`rigid_matrix`.
    pivot
        Point about which is turned, RAS mm.
    step
        First step, in mm and degrees.

    Returns
    -------
    tuple of float and ndarray
        Score and parameters.
    """
    return highest(lambda x: pair.score(rigid_matrix(x, pivot)), parameters, step, rounds=6)


def refine_rigid(
    pair: Comparison, matrix: NDArray[np.float64], pivot: NDArray[np.float64], step: float = 1.0
) -> tuple[NDArray[np.float64], float]:
    """Move a rigid transform to the nearest best one.

    Parameters
    ----------
    pair
        The images.
    matrix
        Points of fixed to points of moving, RAS mm.
    pivot
        Point about which is turned, RAS mm.
    step
        First step, in mm and degrees.

    Returns
    -------
    tuple of ndarray and float
        The transform, and its score.
    """
    # Turns about the axes of the moving image's space, after the given transform
    moved = apply_affine(matrix, pivot)
    score, change = climb(
        Comparison(apply_affine(matrix, pair.points), pair.values, pair.moving, pair.to_voxels),
        np.zeros(6),
        moved,
        step,
    )
    return rigid_matrix(change, moved) @ matrix, score


def search_rigid(
    fixed: Grid3D,
    moving: Grid3D,
    mask: NDArray[np.bool_] | None = None,
    angles_deg: Sequence[Sequence[float]] | None = None,
    seed: int = 0,
) -> list[tuple[str, NDArray[np.float64], float]]:
    """Look for rigid alignments from many starts, coarse to fine.

    Every start is judged on the coarsest images; the best, and the headers' own position, climb
    there, and the best of these climb on finer images.

    Parameters
    ----------
    fixed, moving
        Images scaled to 0..1.
    mask
        Part of the fixed grid that counts, or None for all.
    angles_deg
        Angles that are tried; those of ``ROTATIONS_TRIED_DEG`` if None.
    seed
        Seed of the points that are compared.

    Returns
    -------
    list of tuple
        Name of the start, transform (fixed to moving points, RAS mm) and score, best first.
    """
    found: list[tuple[float, str, NDArray[np.float64]]] = []
    finest = min(fixed.finest_mm, moving.finest_mm)
    for level, spacing in enumerate(max(wanted, finest) for wanted in SEARCH_SPACINGS_MM):
        grids = [resample_isotropic(grid, spacing) for grid in (fixed, moving)]
        part = None if mask is None else resample_mask(mask, fixed.affine, spacing)
        pair = compare(grids[0], grids[1], part, seed)
        if level == 0:
            pivot = centroid_mm(grids[0])
            starts = list(linear_starts(grids[0], grids[1], angles_deg))
            scores = [pair.score(rigid_matrix(start, pivot)) for _, start in starts]
            chosen = _apart(scores, [start for _, start in starts], STARTS_CLIMBED)
            found = [(scores[i], *starts[i]) for i in dict.fromkeys([0, *chosen])]
        climbed = [(name, *climb(pair, start, pivot, spacing)) for _, name, start in found]
        kept = _apart(
            [score for _, score, _ in climbed], [end for _, _, end in climbed], STARTS_KEPT
        )
        found = [(climbed[i][1], climbed[i][0], climbed[i][2]) for i in kept]
    return [(name, rigid_matrix(end, pivot), score) for score, name, end in found]


def _apart(scores: Sequence[float], places: Sequence[NDArray[np.float64]], n: int) -> list[int]:
    """Choose the best, none of which is nearly the same as a better one."""
    chosen: list[int] = []
    for i in np.argsort(np.negative(scores), kind="stable"):
        if all(np.abs(places[i] - places[other]).max() > SAME_PLACE for other in chosen):
            chosen.append(int(i))
        if len(chosen) == n:
            break
    return chosen


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
    return ndimage.binary_fill_holes(closed)


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
    25 mm and degrees.

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
        the moving image's field of view) and ``displacement_mm`` (mean over the fixed foreground).
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
    return {
        "mutual_information_ratio": score / max(float(null.mean()), 1e-9),
        "mutual_information_z": (score - float(null.mean())) / max(float(null.std()), 1e-9),
        "foreground_dice": float(2 * (own[seen] & other).sum() / both) if both else 0.0,
        "field_of_view_overlap": float(own[seen].sum()) / max(int(own.sum()), 1),
        "displacement_mm": mean_distance_mm(matrix, np.eye(4), points[own]),
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
