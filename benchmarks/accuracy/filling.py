"""What lesions do to the warp to the template: heads simulated with and without planted ones."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.anatomy import LABELS, simulated_pair
from benchmarks.accuracy.chain import SEED, Chain, on_all_cores
from benchmarks.accuracy.simulate import LATERAL_VENTRICLES, WHITE
from benchmarks.kernels.scene import planted
from wmhflow.ants.transforms import map_points
from wmhflow.core.space.geometry import world_coordinates
from wmhflow.steps.kinds import MaskImage

# One with small ventricles and one with large ones.
HEADS = ("training_seg_04", "training_seg_18")
FEW_ML, CLOUD_MM = 5.0, 6.0
NEAR_MM = 5.0
# Less than this beyond what another seed of the same registration moves.
BEYOND_SEED_MM = 0.3
EVERY = 7
SEED_ALONE, GIVEN, COMPUTED = "no lesions, another seed", "filled, given", "filled, computed"


@dataclass(frozen=True)
class Shift:
    """How far places in a head go astray, on average (mm), by what was done about its lesions."""

    name: str
    lesions_ml: float
    found_ml: float
    shifts: dict[str, dict[str, float]]


def main() -> list[str]:
    """Register every head with and without lesions and print the table; return what was missed."""
    heads = [path for name in HEADS if (path := LABELS / f"{name}.nii.gz").is_file()]
    if not heads:
        print(f"No label images at {LABELS.name}: nothing measured.")
        return ["filling: no label images"]
    people = on_all_cores(shifted, heads)
    print("# Places in the template, against those of the same head without lesions\n")
    print("| head | lesions (ml) | found (ml) | registered | in lesions (mm) | "
          f"within {NEAR_MM:g} mm | ventricles | elsewhere |")  # fmt: skip
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    missed = []
    for person in people:
        for how, places in person.shifts.items():
            cells = " | ".join(f"{value:.2f}" for value in places.values())
            print(f"| {person.name} | {person.lesions_ml:.0f} | {person.found_ml:.0f} | {how} | "
                  f"{cells} |")  # fmt: skip
        seed = person.shifts[SEED_ALONE]
        for how in (GIVEN, COMPUTED):
            missed += [
                f"{person.name}, {how}: {value:.2f} mm in {place}, {seed[place]:.2f} by the seed"
                for place, value in person.shifts[how].items()
                if not value <= seed[place] + BEYOND_SEED_MM
            ]
    return missed


def shifted(path: Path) -> Shift:
    """Take a head with and without lesions to the template, and compare where places end."""
    lesions = planted_lesions(path)
    image = nib.load(path)
    codes = np.asanyarray(image.dataobj).astype(np.int16)
    spacing = np.array(image.header.get_zooms()[:3], float)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        clean = _chain(path, folder / "clean", None)
        clean.to_template()
        brain = clean.brain.data
        voxels = np.argwhere(brain)[::EVERY]
        points = world_coordinates(voxels, image.affine)
        truth = map_points(points, str(clean.warp.inverse), SEED)
        fluid = np.isin(codes, LATERAL_VENTRICLES)[tuple(voxels.T)]

        def shift(inverse: Path, planted: NDArray[np.bool_]) -> dict[str, float]:
            moved = np.linalg.norm(map_points(points, str(inverse), SEED) - truth, axis=1)
            away = ndimage.distance_transform_edt(~planted, sampling=spacing)[tuple(voxels.T)]
            parts = {
                "lesions": away == 0,
                "near": (away > 0) & (away <= NEAR_MM),
                "ventricles": fluid,
                "elsewhere": (away > NEAR_MM) & ~fluid,
            }
            return {name: float(moved[part].mean()) for name, part in parts.items()}

        shifts = {SEED_ALONE: shift(clean.registered("seed", SEED + 1).inverse, lesions)}
        chain = _chain(path, folder / "lesions", lesions)
        chain.to_template()
        shifts["as they are"] = shift(chain.warp.inverse, lesions)
        mask = MaskImage(lesions, chain.brain.affine)
        left_out = chain.registered("left_out", infarct=mask)
        shifts["left out of the metric"] = shift(left_out.inverse, lesions)
        shifts[GIVEN] = shift(chain.registered("given", wmh=mask).inverse, lesions)
        wmh = chain.to_wmh()
        chain.to_template_again()
        shifts[COMPUTED] = shift(chain.warp.inverse, lesions)
        voxel_ml = float(np.prod(spacing)) / 1000
        few = some_of(lesions, FEW_ML / voxel_ml, spacing)
        chain = _chain(path, folder / "few", few)
        chain.to_template()
        shifts[f"{FEW_ML:g} ml of them, as they are"] = shift(chain.warp.inverse, few)
        return Shift(
            path.name.split(".")[0],
            float(lesions.sum() * voxel_ml),
            float(wmh.sum() * voxel_ml),
            shifts,
        )


def planted_lesions(labels: Path) -> NDArray[np.bool_]:
    """Plant caps, bands and deep balls in the white matter of a label image."""
    image = nib.load(labels)
    codes = np.asanyarray(image.dataobj).astype(np.int16)
    sizes = tuple(float(size) for size in image.header.get_zooms()[:3])
    return planted(np.isin(codes, LATERAL_VENTRICLES), np.isin(codes, WHITE), sizes)


def some_of(
    lesions: NDArray[np.bool_], n_voxels: float, sizes_mm: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Keep whole parts of lesions here and there, some voxels all together."""
    rng = np.random.default_rng(SEED)
    cloud = ndimage.gaussian_filter(
        rng.random(lesions.shape, dtype=np.float32), CLOUD_MM / sizes_mm
    )
    kept = np.sort(cloud[lesions])[::-1][: int(n_voxels)]
    return lesions & (cloud >= kept[-1])


def _chain(labels: Path, folder: Path, lesions: NDArray[np.bool_] | None) -> Chain:
    folder.mkdir()
    return Chain(folder, *simulated_pair(labels, folder, lesions))
