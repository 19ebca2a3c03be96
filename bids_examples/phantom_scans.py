"""From the template into scans: labels, images and maps of one visit."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_anatomy import Volume, with_side
from phantom_plan import (
    BIAS_AMPLITUDE,
    CEREBELLUM_CORTEX,
    CHOROID,
    CONTRASTS,
    CORTEX_NAMES,
    CSF,
    DEEP_GREY,
    FOURTH_VENTRICLE,
    IMAGE_NOISE_SD,
    INFERIOR_HORN,
    INFRATENTORIAL_WHITE,
    SEED,
    THIRD_VENTRICLE,
    VENTRICLE,
    WHITE,
    MapRecipe,
    Scan,
    Visit,
    rigid,
)
from scipy import ndimage as ndi


@dataclass
class Head:
    """One visit's anatomy with everything that leads from its scans back to the template.

    ``codes`` and ``numbers`` hold the true FreeSurfer codes and lesion numbers of the T1w's grid.
    """

    visit: Visit
    anatomy: Volume
    lesions: Volume
    grids: dict[str, tuple[NDArray[np.float64], tuple[int, int, int]]] = field(init=False)
    codes: Volume = field(init=False)
    numbers: Volume = field(init=False)

    def __post_init__(self) -> None:
        voxels = np.flatnonzero(self.anatomy.data)[::7]
        indices = np.stack(np.unravel_index(voxels, self.anatomy.data.shape))
        brain = move(self.anatomy.affine, indices.astype(np.float64))
        person = self.visit.warp.to_person(brain)
        single = next(lesion for lesion in self.visit.lesions if lesion.kind == "single")
        anchor = self.visit.warp.to_person(np.array(single.centres_mm).T)
        self.grids = {}
        for name, scan in self.visit.scans.items():
            to_scan = self.t1w_to(name) @ self.head_position()
            self.grids[name] = _grid(scan, move(to_scan, person), move(to_scan, anchor)[:, 0])
        self.codes, self.numbers = label_scan(self, "T1w")
        if self.visit.mask_space == "FLAIR":
            self.numbers = _numbers_from_flair(self)

    def head_position(self) -> NDArray[np.float64]:
        """Return the RAS matrix from the person's frame to the T1w."""
        scan = self.visit.scans["T1w"]
        return rigid(scan.rotation_deg, scan.shift_mm)

    def t1w_to(self, name: str) -> NDArray[np.float64]:
        """Return the RAS matrix from the T1w to another scan of the visit."""
        scan = self.visit.scans[name]
        return np.eye(4) if name == "T1w" else rigid(scan.rotation_deg, scan.shift_mm)

    def to_template(self, name: str, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pull world points of a scan back to the template."""
        from_scan = np.linalg.inv(self.t1w_to(name) @ self.head_position())
        return self.visit.warp.to_template(move(from_scan, points_mm))

    def world(self, name: str) -> NDArray[np.float64]:
        """Return the world points of a scan's voxel centres, shape (3, n)."""
        affine, shape = self.grids[name]
        return Volume(np.empty(shape, np.uint8), affine).world()

    def voxel_mm(self, name: str) -> tuple[float, float, float]:
        """Return the voxel size of a scan."""
        return self.visit.scans[name].spacing_mm


def move(matrix: NDArray[Any], points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply a 4 x 4 matrix to points, shape (3, n)."""
    return matrix[:3, :3] @ points_mm + matrix[:3, 3:]


def _grid(
    scan: Scan, head_mm: NDArray[np.float64], anchor_mm: NDArray[np.float64]
) -> tuple[NDArray[np.float64], tuple[int, int, int]]:
    """Return the affine and shape of a grid that holds the head and has a voxel at the anchor."""
    axes, spacing, margin_mm = scan.axes(), np.array(scan.spacing_mm), 6.0
    along = axes.T @ head_mm
    anchor = axes.T @ anchor_mm
    start = anchor - np.ceil((anchor - along.min(axis=1) + margin_mm) / spacing) * spacing
    i, j, k = (int(n) + 1 for n in np.ceil((along.max(axis=1) + margin_mm - start) / spacing))
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    affine[:3, 3] = axes @ start
    return affine.astype(np.float32).astype(np.float64), (i, j, k)


def label_scan(head: Head, name: str) -> tuple[Volume, Volume]:
    """Return FreeSurfer codes and lesion numbers at the voxel centres of a scan."""
    affine, shape = head.grids[name]
    points = head.to_template(name, head.world(name))
    codes = with_side(head.anatomy.nearest(points), points[0]).reshape(shape)
    numbers = head.lesions.nearest(points).reshape(shape)
    return Volume(codes, affine), Volume(numbers, affine)


def given_mask(head: Head) -> Volume:
    """Return the WMH mask of the lesions dataset, 0 and 1, in the grid in which it is given."""
    in_t1w = head.visit.mask_space == "T1w"
    numbers = head.numbers if in_t1w else label_scan(head, str(head.visit.mask_space))[1]
    return Volume((numbers.data > 0).astype(np.uint8), numbers.affine)


def _numbers_from_flair(head: Head) -> Volume:
    """Return the lesion numbers of the T1w's grid: those of the nearest FLAIR voxels.

    Where the mask is given in the FLAIR's grid, this is all that a program can know.
    """
    _, flair_numbers = label_scan(head, "FLAIR")
    affine, shape = head.grids["T1w"]
    points = move(head.t1w_to("FLAIR"), head.world("T1w"))
    return Volume(flair_numbers.nearest(points).reshape(shape), affine)


def _intensities(head: Head, contrast: str) -> Volume:
    """Return the image contrast on the template grid, with soft borders between tissues."""
    csf, grey, deep, white, lesion = CONTRASTS[contrast]
    table = np.zeros(3000, dtype=np.float32)
    table[[WHITE, *INFRATENTORIAL_WHITE]] = white
    table[[CEREBELLUM_CORTEX, *CORTEX_NAMES]] = grey
    table[list(DEEP_GREY)] = deep
    table[[CSF, VENTRICLE, INFERIOR_HORN, THIRD_VENTRICLE, FOURTH_VENTRICLE]] = csf
    table[CHOROID] = csf + 0.25 * (grey - csf)
    image = np.where(head.lesions.data > 0, np.float32(lesion), table[head.anatomy.data])
    return Volume(ndi.gaussian_filter(image, 0.6), head.anatomy.affine)


def sub_voxel_offsets(
    affine: NDArray[np.float64], counts: tuple[int, int, int]
) -> NDArray[np.float64]:
    """Return the offsets in mm of the centres of a voxel's parts, counts[axis] along each axis."""
    steps = [(np.arange(n) + 0.5) / n - 0.5 for n in counts]
    return affine[:3, :3] @ np.stack(np.meshgrid(*steps, indexing="ij")).reshape(3, -1)


def _random(*words: str) -> np.random.Generator:
    """Return a generator that depends on the names only, not on the order of the images."""
    return np.random.default_rng([SEED, zlib.crc32("/".join(words).encode())])


def render_image(head: Head, contrast: str) -> NDArray[np.int16]:
    """Return a skull-stripped image: mean over each voxel's volume, bias field, Rician noise."""
    affine, shape = head.grids[contrast]
    world = head.world(contrast)
    inside = head.anatomy.nearest(head.to_template(contrast, world)) > 0
    source = _intensities(head, contrast)
    counts = tuple(2 if size < 3 else 5 for size in head.voxel_mm(contrast))
    offsets = sub_voxel_offsets(affine, (counts[0], counts[1], counts[2]))
    points = world[:, inside]
    signal = np.zeros(points.shape[1])
    for offset in offsets.T:
        signal += source.linear(head.to_template(contrast, points + offset[:, None]))
    signal *= bias_field(points) / offsets.shape[1]
    noise = _random(head.visit.stem, contrast).normal(0, IMAGE_NOISE_SD[contrast], (2, signal.size))
    image = np.zeros(world.shape[1], dtype=np.int16)
    image[inside] = np.rint(np.hypot(signal + noise[0], noise[1])).astype(np.int16)
    return image.reshape(shape)


def bias_field(points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the receive field: 1 + 0.08 sin(pi x / 200) + 0.04 cos(pi (y + z) / 180)."""
    x, y, z = points_mm
    return (
        1
        + BIAS_AMPLITUDE * np.sin(np.pi * x / 200)
        + BIAS_AMPLITUDE / 2 * np.cos(np.pi * (y + z) / 180)
    )


def distance_to_lesion_mm(head: Head) -> Volume:
    """Return the distance of each T1w voxel centre to the nearest lesion voxel centre."""
    distance = ndi.distance_transform_edt(head.numbers.data == 0, sampling=head.voxel_mm("T1w"))
    return Volume(distance, head.numbers.affine)


def map_values(head: Head, recipe: MapRecipe) -> NDArray[np.float64]:
    """Return the noise-free map: the planted value at each voxel's centre."""
    points = move(np.linalg.inv(head.t1w_to(recipe.kind)), head.world(recipe.kind))
    codes = head.codes.nearest(points)
    distance = distance_to_lesion_mm(head).linear(points)
    values = np.full(codes.shape, recipe.csf)
    values[codes == 0] = recipe.outside
    values[(codes > 1000) | np.isin(codes, (8, 47))] = recipe.grey
    values[np.isin(codes, DEEP_GREY)] = recipe.deep_grey
    values[np.isin(codes, INFRATENTORIAL_WHITE)] = recipe.knots_value[-1]
    white = np.isin(codes, (2, 41))
    values[white] = recipe.white_matter(distance[white])
    values[head.numbers.nearest(points) > 0] = recipe.core
    return values.reshape(head.grids[recipe.kind][1])


def render_map(head: Head, recipe: MapRecipe) -> NDArray[np.float32]:
    """Return the map with noise inside the head, rounded to its quantum."""
    values = map_values(head, recipe)
    points = move(np.linalg.inv(head.t1w_to(recipe.kind)), head.world(recipe.kind))
    inside = head.codes.nearest(points).reshape(values.shape) > 0
    noise = _random(head.visit.stem, recipe.name).normal(0, recipe.noise_sd, values.shape)
    values = np.where(inside, values + noise, values)
    return (np.rint(values / recipe.quantum) * recipe.quantum).astype(np.float32)
