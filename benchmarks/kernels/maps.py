"""What the step that samples maps costs, from warped labels and files of maps to rows of tables.

``python -m benchmarks.kernels.maps`` prints a table, and ends with 1 where a figure is missed. The
head is that of the other tables: 256³ voxels of 1 mm, lesions planted. The maps are smooth noise in
files of 2 mm on grids that are turned against the head and against each other.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from benchmarks.kernels import THREADS
from benchmarks.kernels.scene import Scene, real_scene
from wmhflow.core.arrays.distance import distance_to, nearest
from wmhflow.core.measure.mirror import free_of_lesions
from wmhflow.core.space.grids import Grid3D
from wmhflow.labels.digits import CORTEX, VENTRICLES, WHITE_MATTER, WMH, with_side
from wmhflow.labels.rows import TableRegion
from wmhflow.plan.visit import VisitPlan
from wmhflow.products.rows import table_regions
from wmhflow.settings import Settings
from wmhflow.steps.kinds import LabelImage, MaskImage
from wmhflow.steps.measures import MapOptions
from wmhflow.steps.partition import as_partition, divide_finest
from wmhflow.steps.sampling import sample_maps

N_MAPS, MAP_MM, FWHM_MM, TURN_DEGREES = 20, 2.0, 4.0, 4.0
GROUPS = (1, 4)
ATLASES = (32, 100)
N_SHELLS, SEED = 7, 7
ALLOWED_S, ALLOWED_GB = 8.0, 1.5
FWHM_TO_SD = 2.3548
GB = 1e9


def main() -> int:
    """Measure maps on one grid and on several, each in a process of its own."""
    if len(sys.argv) == 3:
        print(json.dumps(_measured(Path(sys.argv[1]), int(sys.argv[2]))))
        return 0
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        scene = real_scene()
        n_rows = _write(scene, Path(folder))
        print(f"{N_MAPS} maps of {MAP_MM:g} mm, {n_rows} regions, on {scene.name}, {THREADS} "
              "threads\n")  # fmt: skip
        print("| grids | wall (s) | processor (s) | peak (GB) | |")
        print("| ---: | ---: | ---: | ---: | --- |")
        for n_groups in GROUPS:
            wall, processor, peak = _in_process(folder, n_groups)
            is_missed = wall > ALLOWED_S or peak > ALLOWED_GB
            missed |= is_missed
            verdict = "**missed**" if is_missed else "ok"
            print(f"| {n_groups} | {wall:.1f} | {processor:.1f} | {peak:.2f} | {verdict} |",
                  flush=True)  # fmt: skip
    return int(missed)


def _in_process(folder: str, n_groups: int) -> tuple[float, float, float]:
    words = [sys.executable, "-m", "benchmarks.kernels.maps", folder, str(n_groups)]
    run = subprocess.run(words, check=True, capture_output=True, text=True)
    wall, processor, peak = json.loads(run.stdout.splitlines()[-1])
    return wall, processor, peak


def _measured(folder: Path, n_groups: int) -> list[float]:
    """Return the seconds of the step, those of processors, and this process's peak in GB."""
    with (folder / "made.pickle").open("rb") as file:
        made: dict[str, Any] = pickle.load(file)
    files = [folder / f"{n_groups}_{number}.nii.gz" for number in range(N_MAPS)]
    every = [MapOptions(f"map{number}", "1", -10.0, 10.0) for number in range(N_MAPS)]
    # what numba has in its cache is read once in a process, and counts for no map
    sample_maps(maps=files[:1], options=every[:1], **made)
    wall, processor = time.perf_counter(), time.process_time()
    for place in range(n_groups):
        sample_maps(maps=files[place::n_groups], options=every[place::n_groups], **made)
    return [time.perf_counter() - wall, time.process_time() - processor, _peak_gb()]


def _peak_gb() -> float:
    """Return the most memory that this process held; what it inherits from its parent is none."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / GB


def _write(scene: Scene, folder: Path) -> int:
    """Write maps, and what the steps take of the head; return how many regions there are."""
    from benchmarks.kernels.ours import everything

    _, _, outside, _, zones, shells, _, cells = everything(scene)
    wmh = scene.lesions > 0
    side = np.where(scene.right, 2, 1)
    tissue = np.select(
        [wmh, scene.white, scene.ventricles, scene.cortex],
        [with_side(kind, side) for kind in (WMH, WHITE_MATTER, VENTRICLES, CORTEX)],
    )
    images = {"tissue": tissue, "zones": zones, "lobes": cells // 10, "bullseye": cells}
    images |= {"shells": shells}
    regions = _own_regions(set(images))
    for number, count in enumerate(ATLASES):
        name = f"atlas{number}"
        images[name] = _atlas(scene, count)
        regions += [
            TableRegion(name, label, f"{label}", "L", label, ((name, (label,)),))
            for label in range(1, count + 1)
        ]
    labelled = [LabelImage(one.astype(np.int32), scene.affine) for one in images.values()]
    found = divide_finest(list(images), labelled, regions, MaskImage(wmh, scene.affine),
                          MaskImage(scene.nawm, scene.affine))  # fmt: skip
    inside = distance_to(~wmh, scene.spacing)
    distance = np.where(wmh, -inside, np.where(np.isfinite(outside), outside, 300.0))
    mirrored = np.ascontiguousarray(found.labels.data[_left_right(scene)])
    own, opposite = free_of_lesions(as_partition(found.labels, found.columns), mirrored)
    lesions = LabelImage(scene.lesions, scene.affine)
    turned = np.where(scene.nawm, scene.lesions[_left_right(scene)], 0).astype(np.int32)
    made = {
        **found._asdict(),
        "distance": Grid3D(distance.astype(np.float32), scene.affine),
        "own": LabelImage(own.labels, scene.affine),
        "opposite": LabelImage(opposite.labels, scene.affine),
        "lesions": lesions,
        "lesion_opposites": LabelImage(turned, scene.affine),
        "tissue": labelled[0],
        "n_shells": N_SHELLS,
        "seed": SEED,
    }
    with (folder / "made.pickle").open("wb") as file:
        pickle.dump(made, file)
    _write_maps(scene, folder)
    return len(found.regions)


def _own_regions(there: set[str]) -> list[TableRegion]:
    visit = VisitPlan("01", None, lobes="parcellation")
    settings = Settings(Path(), Path(), "participant")
    return [one for one in table_regions(visit, settings) if one.seg in there]


def _atlas(scene: Scene, n_regions: int) -> Any:
    rng = np.random.default_rng(n_regions)
    seeds = np.zeros(scene.brain.shape, np.int32)
    places = np.argwhere(scene.brain)
    chosen = places[rng.choice(len(places), n_regions, replace=False)]
    seeds[tuple(chosen.T)] = np.arange(1, n_regions + 1)
    return nearest(seeds, scene.spacing, within=scene.brain)[1]


def _left_right(scene: Scene) -> tuple[slice, ...]:
    """Return what turns the array around along the axis that lies closest to left and right."""
    axis = int(np.abs(scene.affine[0, :3]).argmax())
    return tuple(slice(None, None, -1 if one == axis else 1) for one in range(3))


def _write_maps(scene: Scene, folder: Path) -> None:
    rng = np.random.default_rng(SEED)
    box = np.array(scene.white.shape) * np.array(scene.spacing)
    shape = tuple(int(n) for n in np.ceil(box / MAP_MM))
    values = [
        (
            0.5 + ndimage.gaussian_filter(rng.normal(size=shape), FWHM_MM / FWHM_TO_SD / MAP_MM)
        ).astype(np.float32)
        for _ in range(N_MAPS)
    ]
    for n_groups in GROUPS:
        for number, one in enumerate(values):
            grid = _turned(scene, shape, 1 + number % n_groups)
            nib.save(nib.Nifti1Image(one, grid), folder / f"{n_groups}_{number}.nii.gz")


def _turned(scene: Scene, shape: tuple[int, ...], turn: int) -> Any:
    """Return the affine of a grid over the head, turned about all axes, as other scans are."""
    angle = np.deg2rad(TURN_DEGREES * turn)
    rotation = np.eye(4)
    for one, other in ((0, 1), (1, 2), (0, 2)):
        part = np.eye(4)
        part[[one, other], [one, other]] = np.cos(angle)
        part[one, other], part[other, one] = -np.sin(angle), np.sin(angle)
        rotation = rotation @ part
    grid = scene.affine @ np.diag([*(MAP_MM / np.array(scene.spacing)), 1.0])
    centre = np.eye(4)
    centre[:3, 3] = (grid @ [*((np.array(shape) - 1) / 2), 1])[:3]
    return centre @ rotation @ np.linalg.inv(centre) @ grid


if __name__ == "__main__":
    sys.exit(main())
