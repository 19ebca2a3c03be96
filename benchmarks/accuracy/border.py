"""How far off a parcellation seems that lies right, half a voxel beside, and a voxel beside.

Heads are simulated with 20 ml of lesions, in T1w and FLAIRs of the kinds of the section on brains.
Their own labels are the parcellation, as they are and as a program draws them (smoothed by 1 mm).
The bounds of ``wmhflow.core.checks.border`` were chosen on heads 01, 04, 09, 13 and 15; these are
the other five.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from wmhflow.labels.digits import CORTEX as CORTEX_CLASS
from wmhflow.labels.digits import DEEP_GREY, WHITE_MATTER
from wmhflow.steps.kinds import LabelImage
from wmhflow.steps.shifts import MOST_BORDER_MM, shown_shifts
from wmhflow.steps.shifts import told as shifts_told

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
        tissue = tissues(head, taken, by_mm * along, is_smooth)
        found = length_mm(image, taken.image.affine, tissue)
        told.append(Told(kind, is_smooth, moved, by_mm, found))
    return told


def length_mm(
    values: NDArray[np.floating], affine: NDArray[np.float64], tissue: LabelImage
) -> float | None:
    """Ask the program how far tissues lie from where an image shows them."""
    shifts = shown_shifts({"image": (values, np.isfinite(values))}, affine, tissue)
    return shifts_told(shifts["image"], tissue, [affine]).mm


def tissues(
    head: Head, taken: Acquired, moved_mm: NDArray[np.float64], is_smooth: bool
) -> LabelImage:
    """Lay tissues on an image's grid, moved in the world."""
    affine = taken.image.affine.copy()
    affine[:3, 3] += moved_mm
    moved = replace(taken, image=nib.Nifti1Image(np.zeros(taken.image.shape, np.uint8), affine))
    sizes = taken.image.header.get_zooms()[:3]
    sigma = [DRAWN_MM / size for size in sizes] if is_smooth else None
    return LabelImage(drawn(codes_in(head, moved), sigma), taken.image.affine)


def drawn(codes: NDArray[np.integer], sigma: Sequence[float] | None) -> NDArray[np.uint8]:
    """Draw tissue classes as the codes have them, or smoothed, as a program draws them."""
    where = {
        WHITE_MATTER: np.isin(codes, (*WHITE, LESION, FAINT)),
        CORTEX_CLASS: np.isin(codes, CORTEX),
        DEEP_GREY: np.isin(codes, (*DEEP, *BEHIND)),
    }
    outside = ~np.logical_or.reduce(list(where.values()))
    shares = np.stack([outside, *where.values()]).astype(np.float32)
    if sigma is not None:
        shares = np.stack([ndimage.gaussian_filter(one, sigma) for one in shares])
    return np.array([0, *where], np.uint8)[np.argmax(shares, axis=0)]


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
