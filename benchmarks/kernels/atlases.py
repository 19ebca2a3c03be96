"""Made atlases and a made warp of the sizes that studies have, and laying them over a head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.kernels.scene import Scene
from wmhflow.ants.transforms import map_points
from wmhflow.core.arrays.distance import nearest
from wmhflow.core.regions.lookup import as_volumes, labels_at, steps_at, voxels_of
from wmhflow.core.regions.probabilities import overlapping_labels
from wmhflow.core.space.geometry import world_coordinates
from wmhflow.files.itk import write_itk_affine

TEMPLATE_SHAPE, WARP_SHAPE, WARP_MM = (182, 218, 182), (97, 115, 97), 2.0
LABELS = (32, 100)
N_TRACTS, TRACT_MM, TRACT_SD_MM = 42, 40, 4.0
LARGEST_SHIFT_MM, SMOOTH_MM = 6.0, 16.0
THRESHOLD = 0.5
SEED = 31


@dataclass(frozen=True)
class Atlases:
    """Label atlases on two templates and tracts on the first, with the ways there."""

    warp: str
    bridge: str
    labels: tuple[NDArray[np.int32], ...]
    tracts: NDArray[np.float32]
    affine: NDArray[np.float64]
    shift: NDArray[np.float64]
    shift_affine: NDArray[np.float64]
    bridge_matrix: NDArray[np.float64]


@dataclass(frozen=True)
class Laid:
    """The atlases on the head's grid, and the tracts' probabilities at the voxels of its brain."""

    labels: tuple[NDArray[np.int32], ...]
    combinations: NDArray[np.int32]
    members: dict[int, list[int]]
    steps: NDArray[np.uint8]


def made_atlases(scene: Scene, folder: Path) -> Atlases:
    """Make atlases around the head's brain, and a smooth warp in the form in which ITK keeps it."""
    rng = np.random.default_rng(SEED)
    middle = world_coordinates(np.argwhere(scene.brain).mean(axis=0), scene.affine)
    affine, shift_affine = (
        _centred(middle, shape, size)
        for shape, size in ((TEMPLATE_SHAPE, 1.0), (WARP_SHAPE, WARP_MM))
    )
    shift = np.stack(
        [
            ndimage.gaussian_filter(rng.normal(size=WARP_SHAPE), SMOOTH_MM / WARP_MM)
            for _ in range(3)
        ],
        axis=-1,
    )
    shift *= LARGEST_SHIFT_MM / np.abs(shift).max()
    bridge_matrix = np.eye(4)
    bridge_matrix[:3, 3] = 1.0, -2.0, 0.5
    return Atlases(
        warp=_saved_warp(shift, shift_affine, folder / "warp.h5"),
        bridge=write_itk_affine(bridge_matrix, folder / "bridge.txt"),
        labels=tuple(_labels(n_regions, rng) for n_regions in LABELS),
        tracts=_tracts(rng),
        affine=affine,
        shift=shift,
        shift_affine=shift_affine,
        bridge_matrix=bridge_matrix,
    )


def lay(scene: Scene, atlases: Atlases) -> Laid:
    """Lay all atlases over the head, as the workflow does: one set of points a template."""
    centres = world_coordinates(voxels_of(scene.brain), scene.affine)
    own, other = (
        map_points(centres, chain, 0) for chain in ([atlases.warp], [atlases.warp, atlases.bridge])
    )
    labels = tuple(
        as_volumes(labels_at(points, data, atlases.affine), scene.brain)
        for points, data in zip((own, other), atlases.labels, strict=True)
    )
    steps = steps_at(own, atlases.tracts, atlases.affine)
    combined, members = overlapping_labels(steps, THRESHOLD)
    return Laid(labels, as_volumes(combined, scene.brain), members, steps)


def _centred(
    middle: NDArray[np.float64], shape: tuple[int, ...], size: float
) -> NDArray[np.float64]:
    affine = np.diag([size, size, size, 1.0])
    affine[:3, 3] = middle - (np.array(shape) - 1) / 2 * size
    return affine


def _labels(n_regions: int, rng: np.random.Generator) -> NDArray[np.int32]:
    seeds = np.zeros(TEMPLATE_SHAPE, np.int32)
    places = [rng.integers(10, n - 10, n_regions) for n in TEMPLATE_SHAPE]
    seeds[tuple(places)] = np.arange(1, n_regions + 1)
    return nearest(seeds, (1.0, 1.0, 1.0))[1]


def _tracts(rng: np.random.Generator) -> NDArray[np.float32]:
    volumes = np.zeros((*TEMPLATE_SHAPE, N_TRACTS), np.float32, order="F")
    along = np.arange(-TRACT_MM, TRACT_MM + 1)[:, None]
    for tract in range(N_TRACTS):
        direction = rng.normal(size=3)
        line = rng.uniform(50, 130, 3) + along * direction / np.linalg.norm(direction)
        line = np.clip(np.rint(line).astype(int), 0, np.array(TEMPLATE_SHAPE) - 1)
        reach = int(3 * TRACT_SD_MM)
        box = tuple(
            slice(max(places.min() - reach, 0), places.max() + reach + 1) for places in line.T
        )
        volume = volumes[(*box, tract)]
        volume[tuple((line - [side.start for side in box]).T)] = 1.0
        smooth = ndimage.gaussian_filter(volume, TRACT_SD_MM, truncate=3)
        volume[...] = smooth / smooth.max()
    return volumes


def _saved_warp(shift: NDArray[np.float64], affine: NDArray[np.float64], path: Path) -> str:
    """Save a field of displacements (RAS mm) as ITK's composite transforms hold one."""
    to_lps = np.array([-1.0, -1.0, 1.0])
    fixed = [*shift.shape[:3], *(affine[:3, 3] * to_lps), *(WARP_MM,) * 3, *np.diag(to_lps).ravel()]
    kinds = {"0": "CompositeTransform_double_3_3", "1": "DisplacementFieldTransform_double_3_3"}
    with h5py.File(path, "w") as file:
        file["ITKVersion"], file["HDFVersion"] = [b"5.4.0"], [b"1.14.0"]
        for number, kind in kinds.items():
            file[f"TransformGroup/{number}/TransformType"] = [kind.encode()]
        # the first axis runs fastest
        values = (shift * to_lps).transpose(2, 1, 0, 3).ravel()
        file["TransformGroup/1/TransformParameters"] = values
        file["TransformGroup/1/TransformFixedParameters"] = np.array(fixed, float)
    return str(path)
