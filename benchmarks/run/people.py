"""One made person at 1 mm: raw images, and what others would have made of them, ten maps included.

The head is a label image where there is one beside the project (or where ``WMHFLOW_DATA`` says),
else the template's own anatomy. Images hold whole numbers, as scanners write them. The same files
are made every time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.chain import DATA
from benchmarks.accuracy.simulate import (
    CORTEX,
    LATERAL_VENTRICLES,
    OUTSIDE_FROM,
    WHITE,
    WMH_CODE,
    simulated,
)
from benchmarks.kernels.scene import planted
from wmhflow.bids.naming import TEMPLATE
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.tissue.template import draw_ventricle_core
from wmhflow.files.itk import write_itk_affine
from wmhflow.files.template import cached_template

SUBJECT = "sub-01"
# The head whose labels are taken, and what seeds its noise.
HEAD, SEED = "training_seg_04.nii.gz", 4
# Scanners write whole numbers up to some thousand; white matter of the T1w is 100 before.
STEPS_OF_SCAN = 8
# Superior frontal, superior parietal, lateral occipital and superior temporal cortex.
PARCELS = {"frontal": 28, "parietal": 29, "occipital": 11, "temporal": 30}
# Codes that stand for the template's tissues, left and right.
TISSUES = {"csf": (24, 24), "deep_grey": (10, 49), "white": (2, 41), "infratentorial": (8, 47)}


class Grid(NamedTuple):
    """Where maps lie: voxels, their size in mm, and how the head lay (degrees and mm)."""

    shape: tuple[int, int, int]
    size_mm: tuple[float, float, float]
    motion: tuple[float, ...]


GRIDS = {
    "dwi": Grid((128, 128, 72), (1.75, 1.75, 1.75), (-2, 3, 1, -3, 2, 3)),
    "asl": Grid((96, 96, 40), (2.5, 2.5, 3.5), (1, 2, -3, 4, 0, -4)),
    "megre": Grid((256, 256, 160), (0.9, 0.9, 0.9), (2, -1, 2, 1, 3, -2)),
}
MAPS = {
    "dwi": ("FA", "MD", "AD", "RD", "MK", "FW"),
    "asl": ("CBF", "ATT"),
    "megre": ("Chi", "R2star"),
}
NAMES = {
    **{name: f"model-tensor_param-{name.lower()}_dwimap" for name in ("FA", "MD", "AD", "RD")},
    "MK": "model-dki_param-mk_dwimap",
    "FW": "model-fwdti_param-fwf_dwimap",
    "CBF": "cbf",
    "ATT": "att",
    "Chi": "Chimap",
    "R2star": "R2starmap",
}
FOLDERS = {"dwi": "dwi", "asl": "perf", "megre": "anat"}
COMPANIONS = {"dwi": "dwiref", "asl": "m0scan", "megre": "T2starw"}
# What a map says of white matter, of grey matter, of fluid, and of a lesion.
VALUES: dict[str, tuple[float, float, float, float]] = {
    "FA": (0.45, 0.15, 0.05, 0.28),
    "MD": (0.75e-3, 0.85e-3, 3.0e-3, 1.1e-3),
    "AD": (1.2e-3, 1.0e-3, 3.0e-3, 1.5e-3),
    "RD": (0.55e-3, 0.8e-3, 2.9e-3, 0.9e-3),
    "MK": (1.0, 0.7, 0.2, 0.7),
    "FW": (0.12, 0.18, 0.95, 0.3),
    "CBF": (22.0, 55.0, 5.0, 14.0),
    "ATT": (1.4, 1.1, 1.5, 1.7),
    "Chi": (-0.02, 0.02, 0.005, -0.005),
    "R2star": (20.0, 17.0, 3.0, 15.0),
}
# A map whose JSON file does not say its unit would be read already to be planned.
UNITS = {
    "MD": "mm^2/s",
    "AD": "mm^2/s",
    "RD": "mm^2/s",
    "CBF": "mL/100g/min",
    "ATT": "s",
    "Chi": "ppm",
    "R2star": "1/s",
}
# of a map's value: its noise, as smooth as a scan's
NOISE, GRAIN_VOXELS = 0.08, 0.7


@dataclass(frozen=True)
class Head:
    """Codes of a head, above 500 outside of the brain, with lesions as a code of their own."""

    codes: NDArray[np.int16]
    affine: NDArray[np.float64]

    @property
    def lesions(self) -> NDArray[np.bool_]:
        """Where lesions are planted."""
        return self.codes == WMH_CODE


@cache
def head() -> Head:
    """Return the head that is measured, lesions planted in its white matter."""
    path = DATA / "labels" / HEAD
    if path.is_file():
        image: Any = nib.load(path)
        codes, affine = np.asanyarray(image.dataobj).astype(np.int16), image.affine
    else:
        codes, affine = _template_codes()
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    found = planted(np.isin(codes, LATERAL_VENTRICLES), np.isin(codes, WHITE), tuple(sizes))
    codes[found] = WMH_CODE
    return Head(np.ascontiguousarray(codes), affine)


def _template_codes() -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Give every voxel of the template the code of the tissue that it holds most of."""
    template = cached_template()
    grids = {name: template.grid(name) for name in (*TISSUES, "cortex")}
    affine = grids["csf"].affine
    shares = [grids[name].data.astype(np.float32) for name in grids]
    most = np.argmax(shares, axis=0)
    x = np.arange(most.shape[0])[:, None, None] * affine[0, 0] + affine[0, 3]
    right = x > 0
    codes = np.choose(most, [np.where(right, r, le) for le, r in (*TISSUES.values(), CORTEX)])
    codes = np.where(template.grid("brain_mask").data > 0.5, codes, 0)
    core = draw_ventricle_core(grids["csf"].data, affine)
    codes[core] = np.where(np.broadcast_to(right, core.shape), 43, 4)[core]
    return codes.astype(np.int16), affine


def write_raw(folder: Path) -> Path:
    """Write a dataset with a T1w and a FLAIR on one grid, and return its folder."""
    made = head()
    sizes = np.linalg.norm(made.affine[:3, :3], axis=0)
    root = _described(folder / "raw", "raw")
    for contrast in ("T1w", "FLAIR"):
        values = STEPS_OF_SCAN * simulated(made.codes, sizes, contrast, SEED)
        whole = np.rint(values).astype(np.int16)
        _save(root / SUBJECT / "anat" / f"{SUBJECT}_{contrast}.nii.gz", whole, made.affine)
    return root


def write_given(folder: Path, outputs: Path) -> Path:
    """Write a dataset of what others made: mask, parcellation, warps and ten maps.

    Parameters
    ----------
    folder
        Where.
    outputs
        Those of a run from the raw images, whose warps are taken.
    """
    made = head()
    root = _described(folder / "given", "derivative")
    anat = root / SUBJECT / "anat"
    mask, parcels = f"{SUBJECT}_space-T1w_label-WMH_mask", f"{SUBJECT}_desc-aparcaseg_dseg"
    _save(anat / f"{mask}.nii.gz", made.lesions.astype(np.uint8), made.affine)
    _save(anat / f"{parcels}.nii.gz", _parcellation(made), made.affine)
    for source, target in (("T1w", TEMPLATE), (TEMPLATE, "T1w")):
        name = f"{SUBJECT}_from-{source}_to-{target}_mode-image_xfm.h5"
        shutil.copyfile(outputs / SUBJECT / "anat" / name, anat / name)
    write_itk_affine(np.eye(4), anat / f"{SUBJECT}_from-FLAIR_to-T1w_mode-image_xfm.txt")
    for name, values, affine in _maps(made):
        _save(root / SUBJECT / name, values, affine)
    for scan, grid in GRIDS.items():
        for name in MAPS[scan]:
            sidecar = root / SUBJECT / FOLDERS[scan] / f"{SUBJECT}_{NAMES[name]}.json"
            about = json.dumps({"Units": UNITS.get(name, "1")})
            sidecar.write_text(about, encoding="utf-8")
        path = root / SUBJECT / FOLDERS[scan] / f"{SUBJECT}_from-{scan}_to-T1w_mode-image_xfm.txt"
        write_itk_affine(_motion(grid), path)
    return root


def _motion(grid: Grid) -> NDArray[np.float64]:
    """Return where points of the T1w lie in a scan, as transforms of images say it."""
    return rigid_matrix(grid.motion, np.zeros(3))


def _parcellation(made: Head) -> NDArray[np.int16]:
    """Return codes as FreeSurfer's, cortex in parcels of four lobes, cut by planes."""
    codes = np.where(made.codes >= OUTSIDE_FROM, 0, made.codes)
    places = np.argwhere(np.isin(codes, CORTEX))
    world = places @ made.affine[:3, :3].T + made.affine[:3, 3]
    low, high = np.percentile(world, (1, 99), axis=0)
    share = (world - low) / (high - low)
    lobe = np.where(share[:, 1] > 0.55, PARCELS["frontal"], PARCELS["parietal"])
    lobe[(share[:, 2] < 0.45) & (share[:, 1] < 0.8)] = PARCELS["temporal"]
    lobe[share[:, 1] < 0.15] = PARCELS["occipital"]
    where = tuple(places.T)
    lobe += np.where(codes[where] == CORTEX[0], 1000, 2000)
    codes[where] = lobe
    # FreeSurfer calls a lesion white matter
    right = np.broadcast_to(_right(made), codes.shape)
    codes[made.lesions] = np.where(right[made.lesions], WHITE[1], WHITE[0])
    return codes.astype(np.int16)


def _right(made: Head) -> NDArray[np.bool_]:
    """Tell of every voxel whether it lies on the right of the brain's middle."""
    indices = np.indices(made.codes.shape, sparse=True)
    x = sum(made.affine[0, axis] * indices[axis] for axis in range(3)) + made.affine[0, 3]
    white = np.argwhere(np.isin(made.codes, WHITE)) @ made.affine[0, :3] + made.affine[0, 3]
    return np.asarray(x > white.mean())


def _maps(made: Head) -> Iterator[tuple[str, NDArray[np.floating], NDArray[np.float64]]]:
    """Make every map and the image that is registered in its place: name, values, affine."""
    rng = np.random.default_rng(SEED)
    centre = np.argwhere(made.codes > 0).mean(axis=0) @ made.affine[:3, :3].T + made.affine[:3, 3]
    sizes = np.linalg.norm(made.affine[:3, :3], axis=0)
    shown = simulated(made.codes, sizes, "FLAIR", SEED + 1)
    for scan, grid in GRIDS.items():
        affine = np.diag([*grid.size_mm, 1.0])
        middle = _motion(grid) @ [*centre, 1.0]
        affine[:3, 3] = middle[:3] - affine[:3, :3] @ (np.array(grid.shape) - 1) / 2
        # from voxels of the scan to voxels of the head
        back = np.linalg.inv(made.affine) @ np.linalg.inv(_motion(grid)) @ affine
        laid = {"matrix": back, "output_shape": grid.shape}
        codes = ndimage.affine_transform(made.codes, order=0, **laid)
        image = ndimage.affine_transform(shown, order=1, **laid)
        folder = FOLDERS[scan]
        whole = np.rint(STEPS_OF_SCAN * image).astype(np.int16)
        yield f"{folder}/{SUBJECT}_{COMPANIONS[scan]}.nii.gz", whole, affine
        for name in MAPS[scan]:
            values = _values(name, codes, rng)
            yield f"{folder}/{SUBJECT}_{NAMES[name]}.nii.gz", values, affine


def _values(name: str, codes: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.float32]:
    """Give every voxel of the brain a map's value with some noise; outside it is 0."""
    white, grey, fluid, lesion = VALUES[name]
    kinds: Mapping[float, tuple[int, ...]] = {
        white: (*WHITE, 7, 46, 16, 28, 60),
        fluid: (*LATERAL_VENTRICLES, 5, 44, 14, 15, 24),
        lesion: (WMH_CODE,),
    }
    values = np.where((codes > 0) & (codes < OUTSIDE_FROM), grey, 0).astype(np.float32)
    for value, members in kinds.items():
        values[np.isin(codes, members)] = value
    noise = ndimage.gaussian_filter(rng.standard_normal(codes.shape, np.float32), GRAIN_VOXELS)
    scale = NOISE * max(abs(white), abs(grey)) / noise.std()
    return np.where(values == 0, 0, values + scale * noise).astype(np.float32)


def _described(root: Path, kind: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    about: dict[str, Any] = {"Name": root.name, "BIDSVersion": "1.10.0", "DatasetType": kind}
    if kind == "derivative":
        about["GeneratedBy"] = [{"Name": "made"}]
    (root / "dataset_description.json").write_text(json.dumps(about), encoding="utf-8")
    return root


def _save(path: Path, values: NDArray[Any], affine: NDArray[np.float64]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
