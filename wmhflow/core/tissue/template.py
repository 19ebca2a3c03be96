"""Anatomical priors drawn on the symmetric ICBM152 template from its T1w, grey and white images.

The template is symmetric to the last bit, and every prior made here is too. Coordinates are RAS
millimetres of the template; the paths and ellipsoids below are given for the left hemisphere and
are mirrored.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from wmhflow.core.arrays.components import largest_component, without_holes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


# Every place, radius and share below was read off the template, or chosen by eye on pictures of it;
# there is no other source. What the priors are worth is measured with the tissues of simulated
# heads (docs/benchmarks.md).
# Midline of the left lateral ventricle: frontal horn, body, atrium, occipital horn ...
VENTRICLE_BODY_MM = (
    (-15, 30, 3), (-11, 23, 8), (-7, 14, 11), (-7, 4, 15), (-9, -6, 20), (-12, -16, 23),
    (-15, -26, 21), (-19, -33, 17), (-24, -41, 11), (-26, -48, 8), (-27, -56, 7), (-25, -66, 5),
)  # fmt: skip
# ... and from the atrium through the inferior horn.
INFERIOR_HORN_MM = (
    (-26, -42, 8), (-31, -40, 0), (-35, -33, -8), (-35, -24, -13), (-33, -15, -17), (-30, -8, -20),
)  # fmt: skip
BODY_RADIUS_MM = 9.0
HORN_RADIUS_MM = 4.5
THREAD_RADIUS_MM = 1.5
VENTRICLE_REACH_MM = 10.0
RIM_VOXELS = 3
# The prior ends where other CSF or cortex is nearer than this many times the ventricle.
VENTRICLE_CLAIM = 1.3

# Centre, half axes (mm), and the grey probability given to the inside: the template's own grey
# image is pale in the thalamus and nearly blank in the pallidum.
DEEP_NUCLEI_MM = {
    "thalamus": ((-11, -19, 7), (11, 15, 10), 0.7),
    "caudate head": ((-13, 13, 6), (9, 13, 13), 0.0),
    "caudate body": ((-16, -6, 20), (7, 18, 8), 0.0),
    "putamen": ((-26, 1, 1), (8, 20, 14), 0.0),
    "pallidum": ((-19, -4, -1), (7, 10, 6), 0.7),
    "accumbens": ((-10, 11, -7), (7, 7, 6), 0.0),
}

# Cores of the two compartments that the tentorium separates: boxes (low corner, high corner).
CEREBELLUM_CORES_MM = (
    ((-38, -78, -48), (-8, -50, -28)),
    ((-10, -72, -40), (10, -50, -14)),
    ((-9, -36, -60), (9, -20, -22)),
)
CEREBRUM_CORES_MM = (
    ((-98, -134, 12), (98, 98, 116)),
    ((-98, -5, -72), (98, 98, 116)),
    ((-60, -30, -30), (-32, 0, 0)),
    ((-50, -64, -6), (-28, -30, 12)),
    ((-40, -98, -4), (-6, -80, 12)),
    ((-30, -38, -12), (-22, -20, 0)),
)
# The midbrain is cut by a plane through these two points (y, z), from peduncles to tectum.
MIDBRAIN_CUT_MM = ((-12.0, -10.0), (-34.0, 0.0))


@dataclass(frozen=True)
class TemplatePriors:
    """Probabilities (0..1) and masks on one grid, symmetric about x = 0."""

    brain_mask: NDArray[np.uint8]
    csf: NDArray[np.float32]
    cortex: NDArray[np.float32]
    deep_grey: NDArray[np.float32]
    white: NDArray[np.float32]
    ventricles: NDArray[np.uint8]
    infratentorial: NDArray[np.uint8]


def make_priors(
    t1w: NDArray[np.uint8],
    grey: NDArray[np.uint8],
    white: NDArray[np.uint8],
    affine: NDArray[np.float64],
) -> TemplatePriors:
    """Draw every prior on the template.

    Parameters
    ----------
    t1w
        Skull-stripped T1w image.
    grey, white
        Tissue probabilities times 255.
    affine
        Voxels to RAS mm; its axes are parallel to the world's.

    Returns
    -------
    TemplatePriors
        The priors, on the same grid.
    """
    x, y, z = world_coordinates(t1w.shape, affine)
    brain = without_holes(t1w > 0)
    p_grey, p_white = (values.astype(np.float32) / np.float32(255) for values in (grey, white))
    csf = np.where(brain, np.clip(1 - p_grey - p_white, 0, 1), 0).astype(np.float32)
    infratentorial = draw_infratentorial(brain, csf, (x, y, z))
    deep = draw_deep_grey(p_grey, csf, (x, y, z))
    core = draw_ventricle_core(csf, affine)
    # The template's grey image has a rim along the ventricles that is no cortex.
    rim = ndimage.binary_dilation(core, iterations=RIM_VOXELS) & (np.abs(x) > 0) & (z > 0)
    cortex = np.where(rim, 0, np.clip(p_grey - deep, 0, 1)) * brain
    ventricles = draw_ventricles(core, csf, np.where(infratentorial, 0, cortex), affine)
    return TemplatePriors(
        brain_mask=brain.astype(np.uint8),
        csf=csf,
        cortex=cortex.astype(np.float32),
        deep_grey=(deep * brain).astype(np.float32),
        white=(np.clip(1 - csf - cortex - deep, 0, 1) * brain).astype(np.float32),
        ventricles=ventricles.astype(np.uint8),
        infratentorial=infratentorial.astype(np.uint8),
    )


def world_coordinates(
    shape: Sequence[int], affine: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Give x, y and z of an axis-parallel grid, to be broadcast.

    Parameters
    ----------
    shape
        Shape of the grid.
    affine
        Voxels to RAS mm, without rotation.

    Returns
    -------
    tuple of ndarray
        Arrays of shapes (nx, 1, 1), (1, ny, 1), (1, 1, nz).

    Examples
    --------
    >>> x, y, z = world_coordinates((2, 2, 2), np.diag([2.0, 2, 2, 1]))
    >>> x.ravel().tolist()
    [0.0, 2.0]
    """
    axes = [affine[i, i] * np.arange(shape[i]) + affine[i, 3] for i in range(3)]
    return axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]


def mirrored(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Join a mask with its mirror image about the middle of the first axis.

    Parameters
    ----------
    mask
        Mask on a grid that is symmetric about x = 0.

    Returns
    -------
    ndarray
        Symmetric mask.

    Examples
    --------
    >>> mirrored(np.array([True, False, False]).reshape(3, 1, 1)).ravel().tolist()
    [True, False, True]
    """
    return mask | mask[::-1]


def distance_to_path(
    coordinates: tuple[NDArray[np.float64], ...], path: Sequence[Sequence[float]]
) -> NDArray[np.float32]:
    """Compute the distance to a polyline.

    Parameters
    ----------
    coordinates
        x, y and z in mm, to be broadcast.
    path
        Corners of the polyline.

    Returns
    -------
    ndarray
        Distance in mm.

    Examples
    --------
    >>> grid = world_coordinates((3, 3, 1), np.eye(4))
    >>> distance_to_path(grid, [(0, 0, 0), (2, 0, 0)])[:, :, 0].tolist()
    [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]
    """
    nearest: NDArray[np.float64] = np.array(np.inf)
    for start, end in itertools.pairwise(path):
        along = np.subtract(end, start)
        offsets = [axis - s for axis, s in zip(coordinates, start, strict=True)]
        share = sum(o * a for o, a in zip(offsets, along, strict=True)) / float(along @ along)
        share = np.clip(share, 0, 1)
        squared = sum((o - share * a) ** 2 for o, a in zip(offsets, along, strict=True))
        nearest = np.minimum(nearest, squared)
    return np.sqrt(nearest).astype(np.float32)


def draw_ventricle_core(csf: NDArray[np.float32], affine: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Find the template's own lateral ventricles: CSF in a tube, and a thread along each horn.

    Parameters
    ----------
    csf
        Probability, 0..1.
    affine
        Voxels to RAS mm, without rotation.

    Returns
    -------
    ndarray
        The ventricles.
    """
    whole = world_coordinates(csf.shape, affine)
    grid, box = _around((*VENTRICLE_BODY_MM, *INFERIOR_HORN_MM), BODY_RADIUS_MM, whole)
    body = distance_to_path(grid, VENTRICLE_BODY_MM)
    horn = distance_to_path(grid, INFERIOR_HORN_MM)
    tube = ((body < BODY_RADIUS_MM) | (horn < HORN_RADIUS_MM)) & ~_third_ventricle(grid)
    tube &= grid[0] < 0
    fluid = largest_component(((csf[box] > 0.5) | (body < THREAD_RADIUS_MM)) & tube)
    core = np.zeros(csf.shape, bool)
    core[box] = fluid | (horn < THREAD_RADIUS_MM)
    return mirrored(core)


def _around(
    corners: Sequence[Sequence[float]],
    margin_mm: float,
    coordinates: tuple[NDArray[np.float64], ...],
) -> tuple[tuple[NDArray[np.float64], ...], tuple[slice, ...]]:
    """Cut a grid's coordinates (mm) to a box around some points; also the box, in voxels."""
    cut, box = [], []
    for i, (axis, points) in enumerate(zip(coordinates, zip(*corners, strict=True), strict=True)):
        near = (axis >= min(points) - margin_mm) & (axis <= max(points) + margin_mm)
        places = np.flatnonzero(near)
        cut.append(np.take(axis, places, axis=i))
        box.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(cut), tuple(box)


def _third_ventricle(grid: tuple[NDArray[np.float64], ...]) -> NDArray[np.bool_]:
    """Mark the midline below the fornix: third ventricle in front, cisterns behind."""
    roof = 13.0 - 2.0 * np.maximum(grid[1], 0.0)
    return (np.abs(grid[0]) < 5.0) & (grid[2] < roof)


def draw_ventricles(
    core: NDArray[np.bool_],
    csf: NDArray[np.float32],
    cortex: NDArray[np.float32],
    affine: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Draw a generous region around the lateral ventricles with both inferior horns.

    The region reaches outward from the ventricle until other CSF (third ventricle, cisterns,
    sulci) or cortex is nearly as close, so that an enlarged ventricle stays in and a sulcus out.

    Parameters
    ----------
    core
        The template's own lateral ventricles.
    csf, cortex
        Probabilities, 0..1.
    affine
        Voxels to RAS mm, without rotation.

    Returns
    -------
    ndarray
        The region.
    """
    sizes_mm = np.abs(np.diag(affine)[:3])
    to_core = ndimage.distance_transform_edt(~core, sampling=sizes_mm)
    rivals = ((csf > 0.5) & (to_core > 2.5)) | ((cortex > 0.6) & (to_core > 6.0))
    rivals |= _third_ventricle(world_coordinates(csf.shape, affine)) & (csf > 0.5)
    to_rival = ndimage.distance_transform_edt(~(rivals & ~core), sampling=sizes_mm)
    region = (to_core <= VENTRICLE_REACH_MM) & (to_core * VENTRICLE_CLAIM < to_rival)
    return mirrored(region | core)


def draw_deep_grey(
    grey: NDArray[np.float32],
    csf: NDArray[np.float32],
    coordinates: tuple[NDArray[np.float64], ...],
) -> NDArray[np.float32]:
    """Give the probability of the basal ganglia and the thalamus.

    Parameters
    ----------
    grey, csf
        Probabilities, 0..1.
    coordinates
        x, y and z in mm, to be broadcast.

    Returns
    -------
    ndarray
        Probability, 0..1.
    """
    x, y, z = coordinates
    deep = np.zeros(grey.shape, np.float32)
    for (cx, cy, cz), (ax, ay, az), least in DEEP_NUCLEI_MM.values():
        radius = ((np.abs(x) + cx) / ax) ** 2 + ((y - cy) / ay) ** 2 + ((z - cz) / az) ** 2
        inside = np.maximum(grey, np.where(radius <= 0.8, least, 0.0)) * (radius <= 1)
        deep = np.maximum(deep, inside)
    return np.minimum(deep, 1 - csf)


def draw_infratentorial(
    brain: NDArray[np.bool_],
    csf: NDArray[np.float32],
    coordinates: tuple[NDArray[np.float64], ...],
) -> NDArray[np.bool_]:
    """Separate cerebellum and brain stem from the cerebrum along the CSF of the tentorium.

    Parameters
    ----------
    brain
        Brain mask.
    csf
        Probability, 0..1.
    coordinates
        x, y and z in mm, to be broadcast.

    Returns
    -------
    ndarray
        Cerebellum, pons, medulla and lower midbrain, with the CSF around them.
    """
    x, y, z = coordinates
    below, above = (
        mirrored(np.logical_or.reduce([_box(coordinates, low, high) for low, high in boxes]))
        for boxes in (CEREBELLUM_CORES_MM, CEREBRUM_CORES_MM)
    )
    (y0, z0), (y1, z1) = MIDBRAIN_CUT_MM
    cut = z0 + (y - y0) * (z1 - z0) / (y1 - y0)
    stem = (np.abs(x) < 17) & (y > -38) & (y < -10)
    above |= stem & (z > cut)
    below |= (np.abs(x) < 12) & (y > -34) & (y < -16) & (z < cut) & (z > cut - 6)
    # The template's CSF is smooth: every second voxel is enough to find the path of least CSF.
    coarse = tuple(slice(None, None, 2) for _ in range(3))
    cost = 0.05 + ndimage.gaussian_filter(csf, 0.8)[coarse] ** 2
    markers = np.where(above, 1, np.where(below, 2, 0))[coarse]
    share = (grow_regions(markers, cost, brain[coarse]) == 2).astype(np.float32)
    grown = ndimage.map_coordinates(
        share, np.indices(brain.shape, dtype=np.float32) / 2, order=1, mode="nearest"
    )
    return mirrored(grown > 0.5) & brain


def grow_regions(
    markers: NDArray[np.integer], cost: NDArray[np.float32], mask: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Give every voxel of a mask the marker that is reached over the cheapest path.

    Parameters
    ----------
    markers
        Labels greater than 0 where a region is known.
    cost
        Price of a voxel, greater than 0.
    mask
        Where regions may grow.

    Returns
    -------
    ndarray
        Labels; 0 outside the mask and where no marker leads.

    Examples
    --------
    >>> line = np.array([1, 0, 0, 0, 2]).reshape(5, 1, 1)
    >>> price = np.array([1, 1, 1, 9, 1.0]).reshape(5, 1, 1)
    >>> grow_regions(line, price, np.ones((5, 1, 1), bool)).ravel().tolist()
    [1, 1, 1, 2, 2]
    """
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    starts, ends, prices = [], [], []
    for axis in range(3):
        low = tuple(slice(None, -1) if i == axis else slice(None) for i in range(3))
        high = tuple(slice(1, None) if i == axis else slice(None) for i in range(3))
        both = mask[low] & mask[high]
        starts.append(number[low][both])
        ends.append(number[high][both])
        prices.append((cost[low][both] + cost[high][both]) / 2)
    n_voxels = int(mask.sum())
    graph = sparse.csr_matrix(
        (np.concatenate(prices), (np.concatenate(starts), np.concatenate(ends))),
        shape=(n_voxels, n_voxels),
    )
    known = number[(markers > 0) & mask]
    _, _, source = csgraph.dijkstra(
        graph, directed=False, indices=known, min_only=True, return_predecessors=True
    )
    labels = np.zeros(mask.shape, np.int64)
    values = np.where(source >= 0, markers[mask][np.maximum(source, 0)], 0)
    labels[mask] = values
    return labels


def _box(
    coordinates: tuple[NDArray[np.float64], ...], low: Sequence[float], high: Sequence[float]
) -> NDArray[np.bool_]:
    inside = [
        (axis >= bottom) & (axis <= top)
        for axis, bottom, top in zip(coordinates, low, high, strict=True)
    ]
    return inside[0] & inside[1] & inside[2]
