"""Print the speed and memory of the kernels beside other ways to do the work, as Markdown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edt
import nibabel as nib
import numpy as np
import SimpleITK
from nilearn.maskers import NiftiLabelsMasker
from scipy import ndimage
from skimage.measure import regionprops_table

from benchmarks.kernels import THREADS, rivals
from benchmarks.kernels.atlases import LABELS, N_TRACTS, made_atlases
from benchmarks.kernels.diffusion import simulated_series
from benchmarks.kernels.measure import (
    copy_seconds,
    extra_memory,
    once,
    seconds,
    side_by_side,
)
from benchmarks.kernels.ours import everything, tables, wanted_regions
from benchmarks.kernels.scene import Scene, real_codes, real_scene, zoomed_scene
from wmhflow.core.arrays.distance import distance_to, nearest
from wmhflow.core.diffusion.tensor import fit_tensor
from wmhflow.core.measure.coverage import coverage_weights
from wmhflow.core.measure.statistics import region_statistics
from wmhflow.core.regions.bullseye import bullseye_labels, depth
from wmhflow.core.regions.lesions import label_lesions, lesion_measures
from wmhflow.core.regions.lobes import propagate_lobes
from wmhflow.core.regions.shells import shell_labels
from wmhflow.core.regions.zones import zone_labels
from wmhflow.files.network import wmh_network

LIMIT_MM = 16.0
N_MAPS, N_GRIDS, N_REGIONS, MAP_MM = 20, 4, 250, 2.0
N_LESIONS, N_LOOPED = 5000, 25
GROWTH_SIZES = (128, 192, 256, 320, 384)
EXTRA_ALLOWED = 3.0
WARM_ALLOWED_S = 0.5
FRAMEWORKS_ALLOWED_S = 6.0
TENSORS_ALLOWED_S = 2.0
N_SLICES, SLICE = 8, (176, 144)
missed: list[str] = []


def main() -> int:
    """Run everything; exit 1 if a figure was missed."""
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(THREADS)
    scene = real_scene()
    print(f"# Kernels on {scene.name}, {THREADS} threads, median of 5\n")
    print(f"{scene.lesions.max()} lesions, ventricles of "
          f"{scene.ventricles.sum() * np.prod(scene.spacing) / 1000:.0f} ml\n")  # fmt: skip
    print("| work | beside | ours (ms) | theirs (ms) | times faster | asked | |")
    print("| --- | --- | ---: | ---: | ---: | ---: | --- |")
    ventricle_distance(scene)
    lesion_owners(scene)
    all_regions(scene)
    frameworks(scene)
    lobes(scene)
    sampling(scene)
    many_lesions(scene)
    tensors()
    floor_and_memory(scene)
    growth()
    reading()
    compilation()
    print()
    print("Missed: " + ("; ".join(missed) if missed else "nothing") + ".")
    return 1 if missed else 0


def compare(
    work: str,
    ours: Callable[[], Any],
    others: dict[str, tuple[Callable[[], Any], float | None, float]],
) -> None:
    """Print rows: each rival's call, the ratio asked of it, and what its time is multiplied by."""
    calls = {"ours": ours} | {name: call for name, (call, _, _) in others.items()}
    taken = side_by_side(calls)
    for name, (_, asked, factor) in others.items():
        theirs = taken[name] * factor
        ratio = theirs / taken["ours"]
        verdict = "" if asked is None else "ok" if ratio >= asked else "**missed**"
        if verdict == "**missed**":
            missed.append(f"{work} beside {name} {ratio:.1f} of {asked:g}")
        print(
            f"| {work} | {name} | {1e3 * taken['ours']:.1f} | {1e3 * theirs:.0f} | {ratio:.1f} | "
            f"{'' if asked is None else f'{asked:g}'} | {verdict} |",
            flush=True,
        )


def ventricle_distance(scene: Scene) -> None:
    """Distance to the ventricles inside the brain."""
    outside = ~scene.ventricles
    box = ndimage.find_objects(scene.brain.astype(np.uint8))[0]
    outside_in_box = np.ascontiguousarray(outside[box])
    compare(
        "distance to the ventricles inside the brain",
        lambda: distance_to(scene.ventricles, scene.spacing, within=scene.brain),
        {
            "`edt`, whole volume": (_edt(outside, scene.spacing), 4, 1),
            "`edt`, the brain's box": (_edt(outside_in_box, scene.spacing), 1.5, 1),
        },
    )


def lesion_owners(scene: Scene) -> None:
    """Distance to the lesions up to 16 mm with owners, inside white matter."""
    # scipy and SimpleITK are run on whole images; the figure for `edt` is on the same box.
    for name, part, wanted in (
        ("whole volume", scene, (40, 8, None)),
        ("white matter's box", scene.cropped(scene.white, int(LIMIT_MM)), (None, None, 4)),
    ):
        image = SimpleITK.GetImageFromArray((part.lesions > 0).astype(np.uint8))
        image.SetSpacing(part.spacing[::-1])
        healthy = part.lesions == 0
        compare(
            f"lesions up to 16 mm with owners, in white matter, {name}",
            lambda part=part: nearest(
                part.lesions, part.spacing, limit=LIMIT_MM, within=part.white
            ),
            {
                "scipy with indices": (
                    lambda part=part: rivals.scipy_owners(part.lesions, part.spacing),
                    wanted[0],
                    1,
                ),
                "SimpleITK Maurer (no owners)": (
                    lambda image=image: SimpleITK.SignedMaurerDistanceMap(
                        image, squaredDistance=False, useImageSpacing=True
                    ),
                    wanted[1],
                    1,
                ),
                "`edt` (no owners)": (_edt(healthy, part.spacing), wanted[2], 1),
            },
        )


def frameworks(scene: Scene) -> None:
    """All frameworks of one person from masks and warps to the tables, on the head's own grid."""
    regions = wanted_regions()
    with tempfile.TemporaryDirectory() as folder:
        atlases = made_atlases(scene, Path(folder))
        ours = seconds(lambda: tables(scene, atlases))
    # it takes minutes, so that one call is enough
    theirs = once(lambda: rivals.tables(scene, regions, atlases))
    verdict = "ok" if ours <= FRAMEWORKS_ALLOWED_S else "**missed**"
    if verdict != "ok":
        missed.append(f"all frameworks {ours:.1f} s of {FRAMEWORKS_ALLOWED_S:g} s")
    print(
        f"| all frameworks, {len(regions)} regions, and atlases of {LABELS[0]} and {LABELS[1]} "
        f"labels and {N_TRACTS} tracts, masks and warps to tables, in at most "
        f"{FRAMEWORKS_ALLOWED_S:g} s | scipy and numpy | {1e3 * ours:.0f} | "
        f"{1e3 * theirs:.0f} | {theirs / ours:.1f} | | {verdict} |",
        flush=True,
    )


def all_regions(scene: Scene) -> None:
    """Everything from masks, by our kernels and by scipy and numpy."""
    cropped = scene.cropped(scene.brain, 1)
    compare(
        "masks in, all distances and regions out",
        lambda: everything(scene),
        {
            "scipy and numpy, whole volume": (lambda: rivals.everything(scene), 25, 1),
            "scipy and numpy, cropped to the brain": (
                lambda: rivals.everything(cropped),
                None,
                1,
            ),
        },
    )


def lobes(scene: Scene) -> None:
    """Cortical lobes into white matter."""
    compare(
        "lobes into white matter",
        lambda: propagate_lobes(scene.lobes, scene.right, scene.white, scene.right, scene.spacing),
        {
            "a Python loop, front by front": (lambda: rivals.lobes_by_loop(scene), 200, 1),
            "one scipy EDT with indices per hemisphere": (
                lambda: rivals.lobes_by_hemisphere(scene),
                15,
                1,
            ),
        },
    )


def sampling(scene: Scene) -> None:
    """20 maps on 4 native 2 mm grids, 250 regions, all statistics."""
    regions = many_regions(scene)
    rng = np.random.default_rng(1)
    box = np.array(scene.white.shape) * np.array(scene.spacing)
    shape = tuple(int(n) for n in np.ceil(box / MAP_MM))
    maps = rng.normal(size=(N_MAPS, *shape)).astype(np.float32)
    grids = [map_grid(scene.affine, shape, scene.spacing, turn) for turn in range(N_GRIDS)]
    images = [nib.Nifti1Image(values, grids[i % N_GRIDS]) for i, values in enumerate(maps)]
    label_image = nib.Nifti1Image(regions.astype(np.int16), scene.affine)

    def ours() -> list[dict[str, Any]]:
        weights = [coverage_weights(regions, scene.affine, shape, grid) for grid in grids]
        return [region_statistics(values, weights[i % N_GRIDS]) for i, values in enumerate(maps)]

    def with_pandas(summary: Callable[..., Any]) -> None:
        for place, grid in enumerate(grids):
            to_labels = np.linalg.inv(scene.affine) @ grid
            moved = ndimage.affine_transform(
                regions, to_labels[:3, :3], to_labels[:3, 3], output_shape=shape, order=0
            )
            for values in maps[place::N_GRIDS]:
                summary(values, moved)

    def with_nilearn() -> None:
        for image in images:
            masker = NiftiLabelsMasker(
                label_image, resampling_target="data", standardize=None, reports=False
            )
            masker.fit_transform(image)

    compare(
        f"{N_MAPS} maps, {N_REGIONS} regions, all statistics",
        ours,
        {
            "pandas groupby, a call per quantile": (
                lambda: with_pandas(rivals.pandas_statistics),
                10,
                1,
            ),
            "pandas groupby, `describe`": (
                lambda: with_pandas(rivals.pandas_describe),
                None,
                1,
            ),
            "nilearn `NiftiLabelsMasker` (mean)": (with_nilearn, 5, 1),
        },
    )


def many_regions(scene: Scene) -> np.ndarray:
    """Divide the brain among 250 seeds."""
    rng = np.random.default_rng(2)
    seeds = np.zeros(scene.brain.shape, np.int32)
    places = np.argwhere(scene.brain)
    chosen = places[rng.choice(len(places), N_REGIONS, replace=False)]
    seeds[tuple(chosen.T)] = np.arange(1, N_REGIONS + 1)
    return nearest(seeds, scene.spacing, within=scene.brain)[1]


def map_grid(
    affine: np.ndarray, shape: tuple[int, ...], spacing: tuple[float, ...], turn: int
) -> np.ndarray:
    """Return the affine of a 2 mm grid, turned by some degrees about its centre."""
    angle = np.deg2rad(4.0 * turn)
    rotation = np.eye(4)
    rotation[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    grid = affine @ np.diag([*(MAP_MM / np.array(spacing)), 1.0])
    centre = np.eye(4)
    centre[:3, 3] = (grid @ [*((np.array(shape) - 1) / 2), 1])[:3]
    return centre @ rotation @ np.linalg.inv(centre) @ grid


def many_lesions(scene: Scene) -> None:
    """Measure 5,000 lesions."""
    labels, n_lesions = label_lesions(sown(scene), scene.affine)
    distances = {
        "ventricle": distance_to(scene.ventricles, scene.spacing),
        "cortex": distance_to(scene.cortex, scene.spacing),
    }
    stacked = np.stack(list(distances.values()), axis=-1)
    looped = np.random.default_rng(3).choice(n_lesions, N_LOOPED, replace=False) + 1
    properties = ("label", "area", "centroid", "bbox", "intensity_min")
    compare(
        f"the measures of {n_lesions} lesions",
        lambda: lesion_measures(labels, scene.affine, distances),
        {
            f"a loop of masks (from {N_LOOPED} lesions)": (
                lambda: rivals.measures_by_loop(labels, looped, scene.affine, distances),
                200,
                n_lesions / N_LOOPED,
            ),
            "`regionprops_table`": (
                lambda: regionprops_table(labels, stacked, properties=properties),
                5,
                1,
            ),
        },
    )


def tensors() -> None:
    """Fit a tensor to each voxel of a brain, with FA, MD, AD and RD."""
    signals, gradients = simulated_series()
    part = signals[: len(signals) // 10]
    ours = seconds(lambda: fit_tensor(signals, gradients))
    if ours > TENSORS_ALLOWED_S:
        missed.append(f"tensors {ours:.1f} s of {TENSORS_ALLOWED_S:g} s")
    compare(
        f"tensors of {len(signals)} voxels from {signals.shape[1]} volumes, in at most "
        f"{TENSORS_ALLOWED_S:g} s",
        lambda: fit_tensor(signals, gradients),
        {"dipy `TensorModel`, WLS (from a tenth)": (
            lambda: rivals.dipy_tensors(part, gradients), 5, len(signals) / len(part)
        )},
    )  # fmt: skip


def reading() -> None:
    """Time the network that weighs the search for lesions on eight slices."""
    network = wmh_network()
    shape = (N_SLICES, network.n_channels, *SLICE)
    slices = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    taken = seconds(lambda: network.logits(slices))
    print(f"\nThe network reads {N_SLICES} slices of {SLICE[0]} x {SLICE[1]} voxels in "
          f"{taken:.2f} s ({1e6 * taken * THREADS / (N_SLICES * SLICE[0] * SLICE[1]):.2f} s of a "
          "processor for a million voxels).")  # fmt: skip


def sown(scene: Scene) -> np.ndarray:
    """Sow small cubes over the brain, far enough from each other to be lesions of their own."""
    rng = np.random.default_rng(4)
    lesion = np.zeros(scene.brain.shape, bool)
    corners = [np.arange(2, n - 4, 5) for n in scene.brain.shape]
    places = np.stack(np.meshgrid(*corners, indexing="ij"), -1).reshape(-1, 3)
    places = places[scene.brain[tuple(places.T)]]
    chosen = places[rng.choice(len(places), min(N_LESIONS, len(places)), replace=False)]
    for (i, j, k), size in zip(chosen, rng.integers(1, 4, len(chosen)), strict=True):
        lesion[i : i + size, j : j + size, k : k + size] = True
    return lesion


def floor_and_memory(scene: Scene) -> None:
    """Each kernel's time over that of one copy of its output, and its extra memory."""
    to_ventricle = distance_to(scene.ventricles, scene.spacing)
    to_cortex = distance_to(scene.cortex, scene.spacing)
    n_lesions = int(scene.lesions.max())
    periventricular = [True] * n_lesions
    found = propagate_lobes(scene.lobes, scene.right, scene.white, scene.right, scene.spacing)
    deep = depth(to_ventricle, to_cortex)
    kernels: dict[str, Callable[[], Any]] = {
        "distance_to, everywhere": lambda: distance_to(scene.ventricles, scene.spacing),
        "distance_to, in the brain": lambda: distance_to(
            scene.ventricles, scene.spacing, within=scene.brain
        ),
        "nearest, everywhere": lambda: nearest(scene.lesions, scene.spacing),
        "nearest, 16 mm, in white matter": lambda: nearest(
            scene.lesions, scene.spacing, limit=LIMIT_MM, within=scene.white
        ),
        "label_lesions": lambda: label_lesions(scene.lesions > 0, scene.affine),
        "zone_labels": lambda: zone_labels(to_ventricle, to_cortex, scene.white, scene.right),
        "shell_labels": lambda: shell_labels(
            scene.lesions, n_lesions, periventricular, scene.nawm, scene.spacing, scene.right
        ),
        "depth": lambda: depth(to_ventricle, to_cortex),
        "propagate_lobes": lambda: propagate_lobes(
            scene.lobes, scene.right, scene.white, scene.right, scene.spacing
        ),
        "bullseye_labels": lambda: bullseye_labels(deep, found),
    }
    print("\n| kernel | ms | times one copy of its output | extra memory / output | |")
    print("| --- | ---: | ---: | ---: | --- |")
    for name, call in kernels.items():
        extra, output = extra_memory(call)
        ratio = extra / output
        if ratio > EXTRA_ALLOWED:
            missed.append(f"memory of {name} {ratio:.1f} of {EXTRA_ALLOWED:g}")
        taken = seconds(call)
        print(
            f"| `{name}` | {1e3 * taken:.1f} | {taken / copy_seconds(call()):.1f} | {ratio:.2f} | "
            f"{'ok' if ratio <= EXTRA_ALLOWED else '**missed**'} |",
            flush=True,
        )


def growth() -> None:
    """Time per voxel from 128 to 384 cubed."""
    codes, affine = real_codes()
    print("\n| size | distances, shells, zones, bullseye (ms) | ns per voxel |")
    print("| ---: | ---: | ---: |")
    for size in GROWTH_SIZES:
        scene = zoomed_scene(codes, affine, size)
        taken = seconds(lambda scene=scene: everything(scene))
        print(f"| {size}³ | {1e3 * taken:.0f} | {1e9 * taken / size**3:.1f} |", flush=True)


def compilation() -> None:
    """Time of the first call of every kernel, with an empty cache and with a filled one."""
    code = (
        "import json, time, numba, numpy, scipy.ndimage\n"
        "start = time.perf_counter()\n"
        "from wmhflow.core import warm\n"
        "warm.main()\n"
        "print(json.dumps(time.perf_counter() - start))\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        cold, *warm = (
            json.loads(
                subprocess.run(
                    [sys.executable, "-c", code],
                    env=environment,
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
            )
            for _ in range(4)
        )
    taken = float(np.median(warm))
    if taken > WARM_ALLOWED_S:
        missed.append(f"first calls with a warm cache {taken:.2f} s of {WARM_ALLOWED_S:g}")
    print("\n| first call of all kernels, beyond importing numba | s | asked |")
    print("| --- | ---: | ---: |")
    print(f"| cold cache | {cold:.1f} | |")
    print(f"| warm cache | {taken:.2f} | {WARM_ALLOWED_S:g} |")


def _edt(mask: np.ndarray, spacing: tuple[float, ...]) -> Callable[[], Any]:
    return lambda: edt.edt(mask, anisotropy=spacing, parallel=THREADS)


if __name__ == "__main__":
    sys.exit(main())
