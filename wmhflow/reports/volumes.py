"""Images for the report: brought to the right-front-up order, cut into slices, resampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.space.geometry import ras_axes, spacing_of
from wmhflow.files.images import load_volume

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

NORMAL_AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}
EDGE_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))
WARP_SPACING_MM = 2.0
BOX_MARGIN_MM = 6.0
# Slices at the very rim of the brain show nothing; slices are spread over what lies between.
SPREAD = (0.22, 0.82)

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


def load_ras(path: Path) -> Volume:
    """Load a 3D image in the order right, front, up; non-finite values become 0.

    Parameters
    ----------
    path
        A NIfTI file.

    Raises
    ------
    InputError
        If the image cannot be read.
    """
    data, affine, _ = load_volume(path)
    if np.issubdtype(data.dtype, np.floating):
        data = np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0)
    return to_ras(Volume(data, affine))


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
    found = ndimage.find_objects(mask.astype(np.uint8))
    if not found:
        return (slice(0, mask.shape[0]), slice(0, mask.shape[1]), slice(0, mask.shape[2]))
    margin = np.ceil(BOX_MARGIN_MM / spacing_mm).astype(int)
    first, second, third = (
        slice(max(int(edge.start - extra), 0), min(int(edge.stop + extra), int(length)))
        for edge, extra, length in zip(found[0], margin, mask.shape, strict=True)
    )
    return first, second, third


def cut(data: NDArray[Any], plane: str, index: int, box: Box) -> NDArray[Any]:
    """Cut one slice out of a right-front-up array, ready to be drawn with its origin at the bottom.

    Parameters
    ----------
    data
        3D.
    plane
        ``axial``, ``coronal`` or ``sagittal``.
    index
        Slice number along the plane's normal.
    box
        What is shown.

    Returns
    -------
    ndarray
        Rows run upwards (axial: to the front), columns to the right (sagittal: to the front).
    """
    where: list[slice | int] = list(box)
    where[NORMAL_AXIS[plane]] = index
    return data[tuple(where)].T


def plane_axes(plane: str) -> tuple[int, int]:
    """Return the array axes of a drawn slice's columns and rows.

    Examples
    --------
    >>> plane_axes("coronal")
    (0, 2)
    """
    columns, rows = (axis for axis in range(3) if axis != NORMAL_AXIS[plane])
    return columns, rows


def edge_letters(volume: Volume, plane: str) -> tuple[str, str]:
    """Return what stands at the left and the right edge of a drawn slice, by the affine alone.

    Parameters
    ----------
    volume
        The image, in whatever order it is stored.
    plane
        ``axial``, ``coronal`` or ``sagittal``.

    Examples
    --------
    >>> edge_letters(Volume(np.zeros((2, 2, 2)), np.eye(4)), "axial")
    ('L', 'R')
    """
    direction = volume.affine[:3, plane_axes(plane)[0]]
    world = int(np.abs(direction).argmax())
    low, high = EDGE_LETTERS[world]
    return (low, high) if direction[world] > 0 else (high, low)


def slice_position_mm(volume: Volume, plane: str, index: int, box: Box) -> float:
    """Return the world coordinate, along a plane's normal, of the centre of a shown slice."""
    centre = np.array([(edge.start + edge.stop - 1) / 2 for edge in box])
    axis = NORMAL_AXIS[plane]
    centre[axis] = index
    return float((volume.affine[:3, :3] @ centre + volume.affine[:3, 3])[axis])


def obliquity_deg(affine: NDArray[np.float64]) -> float:
    """Return the largest angle between a grid's axes and the nearest world axes, in degrees."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs(axes).max(axis=0).clip(0, 1)
    return float(np.degrees(np.arccos(cosines.min())))


def spread_slices(brain: NDArray[np.bool_], plane: str, count: int) -> list[int]:
    """Choose slices at equal steps through the brain.

    Parameters
    ----------
    brain
        3D mask; the whole grid is used if it is empty.
    plane
        ``axial``, ``coronal`` or ``sagittal``.
    count
        How many at most; fewer if the brain has fewer slices.

    Returns
    -------
    list of int
        Ascending, without repetition.
    """
    occupied = np.flatnonzero(_area(brain, plane))
    if not occupied.size:
        occupied = np.arange(brain.shape[NORMAL_AXIS[plane]])
    places = np.linspace(*SPREAD, count) if count > 1 else np.array([0.5])
    chosen = np.rint(occupied[0] + places * (occupied[-1] - occupied[0])).astype(int)
    return sorted(set(chosen.tolist()))


def lesion_slices(
    lesions: NDArray[np.bool_], brain: NDArray[np.bool_], plane: str, count: int
) -> list[int]:
    """Choose slices that pass through the lesions, spread over all of them.

    The slices with lesions are divided into as many runs as are wanted, and of each run the
    slice with the largest lesion area is taken that is not next to the one before. Where there
    are too few, slices spread over the brain fill up.

    Parameters
    ----------
    lesions, brain
        3D masks of one shape.
    plane
        ``axial``, ``coronal`` or ``sagittal``.
    count
        How many at most.

    Returns
    -------
    list of int
        Ascending, without repetition.

    Examples
    --------
    >>> lesions = np.zeros((9, 9, 9), bool)
    >>> lesions[4, 4, 2:4] = lesions[4, 3, 3] = lesions[2, 2, 7] = True
    >>> lesion_slices(lesions, np.ones((9, 9, 9), bool), "axial", 2)
    [3, 7]
    """
    area = _area(lesions, plane)
    occupied = np.flatnonzero(area)
    gap = occupied.size / (2 * count)
    chosen: list[int] = []
    for run in np.array_split(occupied, min(count, max(occupied.size, 1))):
        apart = run[run - chosen[-1] >= gap] if chosen else run
        candidates = apart if apart.size else run[-1:]
        if candidates.size:
            chosen.append(int(candidates[area[candidates].argmax()]))
    fill = [index for index in spread_slices(brain, plane, count) if index not in chosen]
    return sorted([*chosen, *fill[: count - len(chosen)]])


def _area(mask: NDArray[np.bool_], plane: str) -> NDArray[np.int64]:
    others = tuple(axis for axis in range(3) if axis != NORMAL_AXIS[plane])
    return np.count_nonzero(mask, axis=others)


def sample_slice(
    image: Volume,
    matrix: NDArray[np.float64],
    grid: Volume,
    plane: str,
    index: int,
    box: Box,
) -> NDArray[np.float32]:
    """Sample an image on one slice of another grid through a linear transform.

    Parameters
    ----------
    image
        Values on their own grid.
    matrix
        From world RAS mm of the grid to world RAS mm of the image.
    grid
        The grid that the slice belongs to.
    plane, index, box
        As for :func:`cut`.

    Returns
    -------
    ndarray
        In the layout of :func:`cut`; NaN outside the image's field of view.
    """
    columns, rows = plane_axes(plane)
    voxels = np.empty((3, box[rows].stop - box[rows].start, box[columns].stop - box[columns].start))
    voxels[NORMAL_AXIS[plane]] = index
    voxels[columns] = np.arange(box[columns].start, box[columns].stop)[None, :]
    voxels[rows] = np.arange(box[rows].start, box[rows].stop)[:, None]
    to_image = np.linalg.inv(image.affine) @ matrix @ grid.affine
    where = np.einsum("ij,jrc->irc", to_image[:3, :3], voxels) + to_image[:3, 3, None, None]
    last = np.array(image.data.shape)[:, None, None] - 1
    inside = np.all((where >= -0.5) & (where <= last + 0.5), axis=0)
    sampled = ndimage.map_coordinates(
        image.data, np.clip(where, 0, last), order=1, output=np.float32
    )
    return np.where(inside, sampled, np.float32(np.nan))


def warp_coarsely(image_path: Path, transform: Path, grid: Volume, box: Box, seed: int) -> Volume:
    """Bring an image through a warp onto a coarse grid that covers a box; for pictures only.

    Parameters
    ----------
    image_path
        The image to warp.
    transform
        ITK file that takes it to the world of ``grid``.
    grid, box
        What is covered; voxels of at least 2 mm make it quick.
    seed
        Seed of everything random in ANTs.

    Returns
    -------
    Volume
        In the world of ``grid``.
    """
    from wmhflow.ants.transforms import resample_through
    from wmhflow.core.space.grids import Grid3D
    from wmhflow.files.grids import load_grid

    step = np.maximum(WARP_SPACING_MM / grid.spacing, 1.0)
    sizes = [
        int(np.ceil((edge.stop - edge.start) / by)) for edge, by in zip(box, step, strict=True)
    ]
    coarse = grid.affine @ np.diag([*step, 1.0])
    first = np.array([edge.start for edge in box]) + (step - 1) / 2
    coarse[:3, 3] = grid.affine[:3, :3] @ first + grid.affine[:3, 3]
    target = Grid3D(np.zeros(sizes, dtype=np.float32), coarse)
    moving = load_grid(image_path)
    clean = Grid3D(np.nan_to_num(moving.data, nan=0.0, posinf=0.0, neginf=0.0), moving.affine)
    return Volume(resample_through(clean, target, [str(transform)], seed=seed), coarse)


def display_range(values: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """Choose the values drawn black and white: the 1st and 99.7th percentile of what is not 0.

    Parameters
    ----------
    values
        Arrays, NaN where there is no image.

    Examples
    --------
    >>> display_range([np.array([np.nan, 0.0])])
    (0.0, 1.0)
    """
    gathered = np.concatenate([part[np.isfinite(part) & (part != 0)] for part in values] or [[]])
    if not gathered.size:
        return 0.0, 1.0
    low, high = (float(edge) for edge in np.percentile(gathered, (1.0, 99.7)))
    return (low, high) if high > low else (low, low + 1.0)
