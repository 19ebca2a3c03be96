"""How far off maps seem that lie right, half a voxel beside, and a voxel beside.

Maps of ten kinds are simulated from label images: each tissue has a value, white matter's FA rises
with depth and differs from bundle to bundle, voxels blur, and noise is added. The tissues in which
they are sampled are the labels as a program draws them (smoothed by 1 mm). The bounds of
``wmhflow.core.checks.border`` were chosen on heads 01, 04, 09, 13 and 15; these are the other five.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.border import (
    BEHIND,
    DEEP,
    DRAWN_MM,
    HEADS,
    LEAST_VOXEL_MM,
    LOAD_ML,
    MOVES,
    drawn,
    length_mm,
)
from benchmarks.accuracy.chain import on_all_cores
from benchmarks.accuracy.gauntlet.anatomy import (
    CORTEX,
    FAINT,
    LABELS,
    LESION,
    WHITE,
    Head,
    plain_brain,
    planted_in,
)
from wmhflow.core.align.search import rigid_matrix
from wmhflow.steps.kinds import LabelImage
from wmhflow.steps.shifts import MOST_BORDER_MM

SEED, TURNED_DEG = 23, 6.0
BRAIN_MM = 3
# FA rises to what it is in white matter over this depth, and differs over this length
DEEP_MM, BUNDLE_MM = 6.0, 12


@dataclass(frozen=True)
class Quantity:
    """Values of tissues, the noise's SD, voxels and the blur's SD in mm."""

    white: float
    cortex: float
    deep: float
    fluid: float
    lesion: float
    noise: float
    voxel_mm: tuple[float, float, float]
    blur_mm: float


QUANTITIES = {
    "FA, 2 mm": Quantity(0.45, 0.14, 0.28, 0.08, 0.25, 0.06, (2, 2, 2), 0.8),
    "FA, 2.5 mm": Quantity(0.45, 0.14, 0.28, 0.08, 0.25, 0.08, (2.5, 2.5, 2.5), 1.0),
    "MD, 2 mm": Quantity(0.75, 0.85, 0.78, 3.0, 1.1, 0.06, (2, 2, 2), 0.8),
    "MD, 1.7 × 1.7 × 3 mm": Quantity(0.75, 0.85, 0.78, 3.0, 1.1, 0.06, (1.7, 1.7, 3), 0.8),
    "CBF, 3.4 × 3.4 × 4 mm": Quantity(22, 55, 45, 2, 14, 12, (3.4, 3.4, 4), 1.7),
    "T1, 1 mm": Quantity(850, 1350, 1100, 4200, 1100, 80, (1, 1, 1), 0.4),
    "MTR, 1.5 mm": Quantity(0.42, 0.32, 0.36, 0.05, 0.34, 0.03, (1.5, 1.5, 1.5), 0.6),
    "R2*, 1.2 mm": Quantity(21, 17, 24, 2, 18, 3, (1.2, 1.2, 1.2), 0.5),
    "susceptibility, 1 mm": Quantity(-0.02, 0.02, 0.04, 0, 0.01, 0.03, (1, 1, 1), 0.5),
    "uptake, 2 mm, blurred by 6 mm": Quantity(0.9, 1.6, 1.5, 0.2, 0.8, 0.15, (2, 2, 2), 2.5),
}


@dataclass(frozen=True)
class Told:
    """How far one map was moved and seemed to be, mm; None where nothing was told."""

    kind: str
    moved: str
    by_mm: float
    mm: float | None


def measured(number: int) -> list[Told]:
    """Make one map of one head, and move it."""
    kind = list(QUANTITIES)[number % len(QUANTITIES)]
    rng = np.random.default_rng([SEED, number])
    plain = plain_brain(HEADS[(number // len(QUANTITIES)) % len(HEADS)])
    head = planted_in(plain, LOAD_ML, SEED + number)
    values, affine = made(head, kind, rng)
    tissue = LabelImage(drawn(head.codes, [DRAWN_MM] * 3), head.affine)
    axis = number % 3
    along = affine[:3, axis] / np.linalg.norm(affine[:3, axis])
    voxel_mm = max(QUANTITIES[kind].voxel_mm[axis], LEAST_VOXEL_MM)
    told = []
    for moved, voxels in MOVES.items():
        there = affine.copy()
        there[:3, 3] += voxels * voxel_mm * along
        found = length_mm(values, there, tissue)
        told.append(Told(kind, moved, voxels * voxel_mm, found))
    return told


def made(
    head: Head, kind: str, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make a map on a grid of its own, NaN outside the brain, and its affine."""
    quantity = QUANTITIES[kind]
    white, cortex = np.isin(head.codes, WHITE), np.isin(head.codes, CORTEX)
    lesion = np.isin(head.codes, (LESION, FAINT))
    values = np.full(head.codes.shape, quantity.fluid, np.float32)
    values[white], values[cortex] = quantity.white, quantity.cortex
    values[np.isin(head.codes, DEEP)] = quantity.deep
    values[np.isin(head.codes, BEHIND)] = (quantity.white + quantity.cortex) / 2
    if kind.startswith("FA"):
        deep = np.clip(ndimage.distance_transform_edt(white | lesion) / DEEP_MM, 0, 1)
        coarse = rng.normal(size=tuple(np.array(white.shape) // BUNDLE_MM + 2))
        bundles = ndimage.zoom(coarse, BUNDLE_MM, order=1)[tuple(map(slice, white.shape))]
        rising = quantity.cortex + (quantity.white - quantity.cortex) * (0.3 + 0.7 * deep)
        values[white] = (rising * (1 + 0.35 * bundles))[white]
    values[lesion] = quantity.lesion
    brain = ndimage.binary_dilation(white | cortex | lesion, iterations=BRAIN_MM)
    shape = tuple(np.ceil(np.array(white.shape) / quantity.voxel_mm).astype(int))
    turn = rigid_matrix((*rng.uniform(-TURNED_DEG, TURNED_DEG, 3), 0, 0, 0), np.zeros(3))
    to_head = turn @ np.diag([*quantity.voxel_mm, 1.0])
    middle = (np.array(white.shape) - 1) / 2 + rng.uniform(-3, 3, 3)
    to_head[:3, 3] = middle - to_head[:3, :3] @ ((np.array(shape) - 1) / 2)
    soft = ndimage.gaussian_filter(values, quantity.blur_mm)
    # a voxel holds the mean of its eight parts
    parts = [
        on_grid(soft, to_head, shape, np.array(part)) for part in product((-0.25, 0.25), repeat=3)
    ]
    held = np.mean(parts, axis=0) + rng.normal(0, quantity.noise, shape)
    held = np.abs(held) if kind.startswith("FA") else held
    inside = on_grid(brain.astype(np.float32), to_head, shape, np.zeros(3)) > 0.5
    return np.where(inside, held, np.nan), head.affine @ to_head


def on_grid(
    image: NDArray[np.float32],
    to_head: NDArray[np.float64],
    shape: tuple[int, ...],
    part: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Look an image up at one point of each voxel of a grid."""
    found: NDArray[np.float32] = ndimage.affine_transform(
        image, to_head[:3, :3], to_head[:3, :3] @ part + to_head[:3, 3], shape, order=1
    )
    return found


def main() -> list[str]:
    """Print how far maps seem to be moved; return what was missed."""
    if not LABELS.is_dir():
        print(f"No label images at {LABELS.name}: nothing measured.")
        return ["maps: no label images"]
    numbers = range(len(QUANTITIES) * len(HEADS))
    told = [one for some in on_all_cores(measured, numbers) for one in some]
    print("# Maps that lie right, and beside\n")
    print("| map | lies | told of | median error (mm) | largest error (mm) | marked |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    missed = []
    for kind, moved in product(QUANTITIES, MOVES):
        those = [one for one in told if (one.kind, one.moved) == (kind, moved)]
        known = [one for one in those if one.mm is not None]
        marked = sum(one.mm > MOST_BORDER_MM for one in known)
        errors = [abs(one.mm - one.by_mm) for one in known]
        middle, largest = (f"{f(errors):.2f}" if errors else "n/a" for f in (np.median, np.max))
        count = f"{len(known)} of {len(those)}"
        print(f"| {kind} | {moved} | {count} | {middle} | {largest} | {marked} |")
        # half a voxel may be told or not
        wrong = {0.0: marked, 1.0: len(those) - marked}.get(MOVES[moved], 0)
        if wrong:
            missed.append(f"maps: {wrong} of {len(those)}, {kind}, {moved}")
    return missed
