"""How far off a parcellation seems that lies right, half a voxel beside, and a voxel beside.

Heads are simulated with 20 ml of lesions, in T1w and FLAIRs of the kinds of the section on brains.
Their own labels are the parcellation, as they are and as a program draws them (smoothed by 1 mm).
The bounds of ``wmhflow.core.checks.border`` were chosen on heads 01, 04, 09, 13 and 15; these are
the other five.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.brain import KINDS, codes_in
from benchmarks.accuracy.chain import on_all_cores
from benchmarks.accuracy.gauntlet.acquire import Acquired, acquired
from benchmarks.accuracy.gauntlet.anatomy import CORTEX, FAINT, LABELS, LESION, WHITE, Head, planted
from benchmarks.accuracy.gauntlet.people import everybody
from benchmarks.accuracy.gauntlet.protocols import Protocol
from wmhflow.core.checks.border import tissue_shifts_mm, without_parts
from wmhflow.steps.tissue import MOST_BORDER_MM

SEED, LOAD_ML, TURNED_DEG, DRAWN_MM = 11, 20.0, 10.0, 1.0
HEADS = sorted({person.head for person in everybody()})
# Along each axis of the image in turn, in voxels, and a voxel counts 1 mm at least.
MOVES = {"right": 0.0, "half a voxel beside": 0.5, "a voxel beside": 1.0}
LEAST_VOXEL_MM = 1.0
# deep grey matter, and cerebellum and brain stem
DEEP = (10, 11, 12, 13, 17, 18, 26, 28, 49, 50, 51, 52, 53, 54, 58, 60)
BEHIND = (7, 8, 16, 46, 47)
THIN_MM = 1.5


@dataclass(frozen=True)
class Told:
    """How far one parcellation was moved and seemed to be, mm; None where nothing was told."""

    kind: str
    is_smooth: bool
    moved: str
    by_mm: float
    mm: float | None


def measured(number: int) -> list[Told]:
    """Acquire one head in one kind, and move its labels."""
    kind = list(KINDS)[number % len(KINDS)]
    scan, shown = KINDS[kind]
    head = planted(HEADS[number % len(HEADS)], LOAD_ML, SEED + number)
    protocol = Protocol("border", scan, shown=shown, turned_deg=TURNED_DEG)
    taken = acquired(head, protocol, scan, SEED + number)
    image = taken.image.get_fdata(dtype=np.float32)
    sizes = tuple(float(size) for size in taken.image.header.get_zooms()[:3])
    # another axis for the second head of a kind
    axis = (number + number // len(KINDS)) % 3
    voxel_mm = max(sizes[axis], LEAST_VOXEL_MM)
    along = taken.image.affine[:3, axis] / sizes[axis]
    told = []
    for (moved, voxels), is_smooth in product(MOVES.items(), (False, True)):
        by_mm = voxels * voxel_mm
        white, cortex, others = tissues(head, taken, by_mm * along, is_smooth)
        images = {"image": (image, np.isfinite(image))}
        shift = tissue_shifts_mm(images, np.eye(4), white, cortex, sizes, others)["image"]
        kept = None if shift is None else without_parts(shift, np.array(sizes), np.eye(4))
        length = None if kept is None else float(np.linalg.norm(kept))
        told.append(Told(kind, is_smooth, moved, by_mm, length))
    return told


def tissues(
    head: Head, taken: Acquired, moved_mm: NDArray[np.float64], is_smooth: bool
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Lay white matter, cortex and other tissue on an image's grid, moved in the world."""
    affine = taken.image.affine.copy()
    affine[:3, 3] += moved_mm
    moved = replace(taken, image=nib.Nifti1Image(np.zeros(taken.image.shape, np.uint8), affine))
    codes = codes_in(head, moved)
    white, cortex = np.isin(codes, (*WHITE, LESION, FAINT)), np.isin(codes, CORTEX)
    others = np.isin(codes, (*DEEP, *BEHIND))
    if not is_smooth:
        return white, cortex, others
    sigma = [DRAWN_MM / size for size in taken.image.header.get_zooms()[:3]]
    shares = [
        ndimage.gaussian_filter(one.astype(np.float32), sigma)
        for one in (white, cortex, others, ~(white | cortex | others))
    ]
    largest = np.argmax(shares, axis=0)
    return largest == 0, largest == 1, largest == 2


def main() -> list[str]:
    """Print how far labels seem to be moved; return what was missed."""
    if not LABELS.is_dir():
        print(f"No label images at {LABELS.name}: nothing measured.")
        return ["border: no label images"]
    told = [one for some in on_all_cores(measured, range(2 * len(KINDS))) for one in some]
    print("# Parcellations that lie right, and beside\n")
    print("| images | parcellation | lies | told of | largest error (mm) | marked |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    missed = []
    for (name, thin), is_smooth, moved in product(GROUPS.items(), (False, True), MOVES):
        those = [
            one for one in told
            if thin(one.kind) and one.is_smooth == is_smooth and one.moved == moved
        ]  # fmt: skip
        known = [one for one in those if one.mm is not None]
        marked = sum(one.mm > MOST_BORDER_MM for one in known)
        errors = [abs(one.mm - one.by_mm) for one in known]
        largest = f"{max(errors):.2f}" if errors else "n/a"
        drawn = "smoothed" if is_smooth else "as it is"
        count = f"{len(known)} of {len(those)}"
        print(f"| {name} | {drawn} | {moved} | {count} | {largest} | {marked} |")
        # half a voxel may be told or not
        wrong = {0.0: marked, 1.0: len(known) - marked}.get(MOVES[moved], 0)
        if wrong:
            missed.append(f"border: {wrong} of {len(known)} in {name}, {drawn}, {moved}")
    return missed


def is_thin(kind: str) -> bool:
    """Say whether the voxels of a kind are nearly cubes."""
    return KINDS[kind][0].slice_mm <= THIN_MM


GROUPS = {
    "T1w, 1 mm": lambda kind: kind.startswith("T1w") and is_thin(kind),
    "FLAIR, 1 mm": lambda kind: kind.startswith("FLAIR") and is_thin(kind),
    "slices": lambda kind: not is_thin(kind),
}
