"""Lobes and layers of simulated heads, beside the same computed by other means and another rule."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from benchmarks.accuracy.chain import DATA, array
from benchmarks.accuracy.simulate import simulated
from wmhflow.labels.freesurfer import load_freesurfer_codes

LABELS, ATLAS = DATA / "labels", DATA / "atlases" / "mindboggle_dkt"
LOBES = ("frontal", "parietal", "temporal", "occipital")
WHITE, CORTEX = (5, 6), 3
LAYERS = 4
INFERIOR_HORNS = (5, 44)
CINGULATE, INSULA = (1002, 1010, 1023, 1026), (1035,)
# Nearer to the edge of a bin than this, two ways to compute one depth may fall on either side.
EDGE = 1e-5


@dataclass(frozen=True)
class Person:
    """One head: its images, and what other computations say of them."""

    name: str
    with_lobe_and_layer: float
    lobe_is_nearest: float
    layer_is_theirs: float
    on_edges: int
    unlike: dict[str, float]
    lobes_ml: dict[str, float]
    layers_ml: tuple[float, ...]


def main() -> list[str]:
    """Run the program on every head and print the tables; return what was missed."""
    heads = sorted(LABELS.glob("training_seg_*.nii.gz"))
    if not heads or not ATLAS.is_dir():
        print(f"No label images at {LABELS.name}, or no atlas: nothing measured.")
        return ["lobes: no label images or no atlas"]
    with tempfile.TemporaryDirectory() as temporary:
        out = run_program(heads, Path(temporary))
        people = [measured(head, out) for head in heads]
    print("# Lobes (DKT31 laid over) and layers of simulated heads\n")
    print(
        "| head | white matter with one lobe and one layer | lobe of the nearest cortex, by a "
        "k-d tree | layer by scipy's distances | voxels on an edge, in the other bin |"
    )
    print("| --- | ---: | ---: | ---: | ---: |")
    for person in people:
        print(f"| {person.name} | {person.with_lobe_and_layer:.4%} | {person.lobe_is_nearest:.4%} "
              f"| {person.layer_is_theirs:.4%} | {person.on_edges} |")  # fmt: skip
    causes = list(people[0].unlike)
    print("\nWhite matter in another layer, or without one, by what the first pipeline "
          "does differently:\n")  # fmt: skip
    print("| head | " + " | ".join(causes) + " |\n| --- |" + " ---: |" * len(causes))
    for person in people:
        print(f"| {person.name} | " + " | ".join(f"{v:.1%}" for v in person.unlike.values()) + " |")
    sides = [f"{lobe} {side}" for lobe in LOBES for side in "LR"]
    layers = [f"layer {n}" for n in range(1, LAYERS + 1)]
    print("\n| head (ml of white matter) | " + " | ".join([*sides, *layers]) + " |")
    print("| --- |" + " ---: |" * (len(sides) + LAYERS))
    for person in people:
        cells = [*(person.lobes_ml[name] for name in sides), *person.layers_ml]
        print(f"| {person.name} | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |")
    return [
        f"lobes: {person.name} {what} {share:.4%} of 100 %"
        for person in people
        for what, share in (
            ("one lobe and one layer", person.with_lobe_and_layer),
            ("nearest cortex", person.lobe_is_nearest),
            ("layers", person.layer_is_theirs),
        )
        if share < 1
    ]


def label_of(head: Path) -> str:
    """Name a person after the head's number."""
    return head.name.split(".")[0].split("_")[-1]


def run_program(heads: list[Path], folder: Path) -> Path:
    """Give the program a simulated T1w, the head's labels without parcels, and an empty mask."""
    for name in ("raw", "given"):
        content = {"Name": name, "BIDSVersion": "1.10.0"}
        if name == "given":
            content |= {"DatasetType": "derivative", "GeneratedBy": [{"Name": "by hand"}]}
        (folder / name).mkdir()
        (folder / name / "dataset_description.json").write_text(json.dumps(content))
    for head in heads:
        image = nib.load(head)
        codes = np.asanyarray(image.dataobj).astype(np.int16)
        sub = f"sub-{label_of(head)}"
        spacing = np.array(image.header.get_zooms()[:3], float)
        scan = simulated(codes, spacing, "T1w", int(label_of(head)))
        inside = np.where(codes < 500, codes, 0).astype(np.int16)
        given = folder / "given" / sub / "anat" / f"{sub}_space-T1w"
        for path, data in (
            (folder / "raw" / sub / "anat" / f"{sub}_T1w.nii.gz", scan),
            (given.with_name(given.name + "_desc-aseg_dseg.nii.gz"), inside),
            (given.with_name(given.name + "_label-WMH_mask.nii.gz"), 0 * inside.astype(np.uint8)),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(data, image.affine), path)
    (image,) = ATLAS.glob("*.nii.gz")
    words = [sys.executable, "-m", "wmhflow", folder / "raw", folder / "out", "participant"]
    words += ["-d", f"given={folder / 'given'}", "-w", folder / "work", "--atlas", f"dkt31={image}"]
    environment = os.environ | {"WMHFLOW_ATLAS_DIR": str(folder / "atlases")}
    subprocess.run(list(map(str, words)), check=True, env=environment)
    return folder / "out"


def measured(head: Path, out: Path) -> Person:
    """Compute a head's lobes and layers again, from the program's tissues and ventricles."""
    sub = f"sub-{label_of(head)}"
    start = out / sub / "anat" / f"{sub}_space-T1w"

    def written(ending: str) -> NDArray:
        return array(start.with_name(f"{start.name}_{ending}.nii.gz"))

    tissue, lobes = written("seg-tissue_dseg"), written("seg-lobes_dseg")
    cells, dkt = written("seg-bullseye_dseg"), written("atlas-dkt31_dseg")
    image = nib.load(head)
    spacing = np.array(image.header.get_zooms()[:3], float)
    codes = np.asanyarray(image.dataobj).astype(int)
    white = np.isin(tissue % 10, WHITE)
    own = white & (lobes % 10 < 5)
    voxel_ml = float(np.prod(spacing)) / 1000
    parcels = nearest_parcels(tissue, dkt, spacing)
    ventricles = written("label-ventricles_mask") > 0
    layer, depth = theirs(ventricles, tissue % 10 == CORTEX, spacing)
    edge = np.abs(depth * LAYERS - np.rint(depth * LAYERS)) < EDGE
    same = layer == cells % 10
    return Person(
        name=label_of(head),
        with_lobe_and_layer=float(((lobes[white] > 0) & (cells[white] > 0)).mean()),
        lobe_is_nearest=lobes_agree(lobes, own, tissue, dkt, spacing),
        layer_is_theirs=float(same[white & ~edge].mean()),
        on_edges=int((~same & white & edge).sum()),
        unlike=unlike(cells % 10, white, tissue, parcels, codes, ventricles, spacing),
        lobes_ml={
            f"{lobe} {side}": float((own & (lobes == 10 * s + k)).sum() * voxel_ml)
            for k, lobe in enumerate(LOBES, start=1)
            for s, side in ((1, "L"), (2, "R"))
        },
        layers_ml=tuple(
            float((white & (cells % 10 == n)).sum() * voxel_ml) for n in range(1, LAYERS + 1)
        ),
    )


def nearest_parcels(tissue: NDArray, dkt: NDArray, spacing: NDArray) -> NDArray:
    """Give every voxel of cortex the nearest parcel of its side; scipy's distances say which."""
    parcels = np.zeros(tissue.shape, int)
    for side in (1, 2):
        source = (dkt >= 1000 * side) & (dkt < 1000 * (side + 1))
        near = ndimage.distance_transform_edt(~source, spacing, False, True)
        target = tissue == 10 * side + CORTEX
        parcels[target] = dkt[tuple(near)][target]
    return parcels


def nearest_lobes(tissue: NDArray, dkt: NDArray, spacing: NDArray) -> NDArray:
    """Give every voxel of cortex the lobe of the nearest parcel of its side, 0 for the insula.

    Of equally near ones the first in the registry's order counts, and the insula last.
    """
    codes = load_freesurfer_codes()
    lobe_of = np.zeros(int(max(dkt.max(), *codes)) + 1, int)
    lobe_of[list(codes)] = [entry.lobe for entry in codes.values()]
    found = np.zeros(tissue.shape, int)
    for side in (1, 2):
        on_side = (dkt >= 1000 * side) & (dkt < 1000 * (side + 1))
        target = tissue == 10 * side + CORTEX
        away = [
            ndimage.distance_transform_edt(~(on_side & (lobe_of[dkt] == lobe)), spacing)[target]
            for lobe in (1, 2, 3, 4, 0)
        ]
        found[target] = np.array([1, 2, 3, 4, 0])[np.argmin(away, axis=0)]
    return found


def lobes_agree(
    lobes: NDArray, own: NDArray, tissue: NDArray, dkt: NDArray, spacing: NDArray
) -> float:
    """Return the share of white matter whose lobe is that of a nearest voxel of cortex.

    Between voxels of cortex that are equally near, either lobe is right.
    """
    cortex_lobe = nearest_lobes(tissue, dkt, spacing)
    right, whole = 0, 0
    for side in (1, 2):
        targets = np.argwhere(own & (tissue // 10 == side))
        found = lobes[tuple(targets.T)] % 10
        away = np.full((len(targets), 5), np.inf)
        for lobe in range(1, 5):
            sources = np.argwhere((cortex_lobe == lobe) & (tissue == 10 * side + CORTEX))
            away[:, lobe] = cKDTree(sources * spacing).query(targets * spacing)[0]
        mine = away[np.arange(len(targets)), found]
        right += int((mine <= away.min(axis=1) + EDGE).sum())
        whole += len(targets)
    return right / whole


def theirs(ventricles: NDArray, cortex: NDArray, spacing: NDArray) -> tuple[NDArray, NDArray]:
    """Divide by depth as the first pipeline does: two distance transforms, bins closed below."""
    to_ventricle = ndimage.distance_transform_edt(~ventricles, spacing)
    to_cortex = ndimage.distance_transform_edt(~cortex, spacing)
    depth = to_ventricle / np.maximum(to_ventricle + to_cortex, np.finfo(float).tiny)
    return np.minimum(np.floor(depth * LAYERS).astype(int), LAYERS - 1) + 1, depth


def unlike(
    layers: NDArray, white: NDArray, tissue: NDArray, parcels: NDArray, codes: NDArray,
    ventricles: NDArray, spacing: NDArray,
) -> dict[str, float]:  # fmt: skip
    """Return the share of white matter that each difference puts into another layer."""
    cortex = tissue % 10 == CORTEX
    plain = parcels % 1000 + 1000
    without_horns = ventricles & ~np.isin(codes, INFERIOR_HORNS)
    choices = {
        "bins closed below": (ventricles, cortex),
        "no inferior horns": (without_horns, cortex),
        "no cingulate": (ventricles, cortex & ~np.isin(plain, CINGULATE)),
        "no insula": (ventricles, cortex & ~np.isin(plain, INSULA)),
        "all of these": (without_horns, cortex & ~np.isin(plain, CINGULATE + INSULA)),
    }
    return {
        cause: float((theirs(*masks, spacing)[0] != layers)[white].mean())
        for cause, masks in choices.items()
    }
