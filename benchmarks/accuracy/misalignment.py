"""Whether a small error of an alignment is seen: simulated pairs on which nothing was chosen."""

from __future__ import annotations

from collections.abc import Iterator

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.chain import on_all_cores
from benchmarks.accuracy.gauntlet.acquire import Acquired, acquired
from benchmarks.accuracy.gauntlet.anatomy import LABELS, planted
from benchmarks.accuracy.gauntlet.protocols import PROTOCOLS
from wmhflow.core.align.quality import alignment_quality, poor_numbers
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.space.grids import Grid3D, apply_affine, robust_range

# Heads that no number was chosen on, and T1w and FLAIR of many kinds.
PAIRS = (
    ("16", "isopair"), ("17", "ax5pair"), ("18", "ax8pair"), ("19", "noisypair"),
    ("20", "contrast"), ("16", "pairstripped"), ("17", "mp2rage"), ("18", "defaced"),
    ("19", "spinecho"), ("20", "ax3pair"),
)  # fmt: skip
SEED, LOAD_ML, N_SHIFTS = 900, 20.0, 3
SHIFT_MM, TURN_DEG = 3.0, 4.0
FLAGGED, FALSELY = 0.9, 0.1
RIGHT = "right"
Judged = tuple[str, float, bool]


def main() -> list[str]:
    """Print how often each kind of alignment is said to be poor; return what was missed."""
    if not LABELS.is_dir():
        print(f"No label images at {LABELS.name}: nothing measured.")
        return ["misalignment: no label images"]
    judged = [one for pair in on_all_cores(judge_pair, range(len(PAIRS))) for one in pair]
    print("# Small errors of an alignment\n")
    print("| alignment | cases | misalignment (mm) | said to be poor |")
    print("| --- | ---: | ---: | ---: |")
    missed = []
    for kind in dict.fromkeys(kind for kind, _, _ in judged):
        of = [(away, poor) for name, away, poor in judged if name == kind]
        away, n_poor = [one for one, _ in of], sum(poor for _, poor in of)
        print(f"| {kind} | {len(of)} | {min(away):.1f} – {max(away):.1f} | {n_poor} |")
        share = n_poor / len(of)
        if share > FALSELY if kind == RIGHT else share < FLAGGED:
            missed.append(f"misalignment: {kind}: {n_poor} of {len(of)} said to be poor")
    return missed


def judge_pair(number: int) -> list[Judged]:
    """Judge the true alignment of a pair, and the same after small errors."""
    head, name = PAIRS[number]
    protocol = next(one for one in PROTOCOLS if one.name == name)
    if protocol.t1w is None:
        raise ValueError(f"{name} has no T1w")
    person = planted(f"training_seg_{head}", LOAD_ML, SEED + number)
    t1w, flair = (
        acquired(person, protocol, scan, SEED + number) for scan in (protocol.t1w, protocol.flair)
    )
    truth = flair.motion @ np.linalg.inv(t1w.motion)
    centre = apply_affine(t1w.motion, person.middle_mm[None])[0]
    found = []
    for kind, error in errors(np.random.default_rng(SEED + number), centre):
        quality = alignment_quality(_grid(t1w), _grid(flair), error @ truth, seed=1)
        found.append((kind, quality["misalignment_mm"], bool(poor_numbers(quality))))
    return found


def errors(
    rng: np.random.Generator, centre: NDArray[np.float64]
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Draw no error, shifts in any direction, and a turn about any axis."""
    yield RIGHT, np.eye(4)
    for _ in range(N_SHIFTS):
        shift = rng.normal(size=3)
        shift *= SHIFT_MM / np.linalg.norm(shift)
        yield f"shifted by {SHIFT_MM:g} mm", rigid_matrix([0, 0, 0, *shift], centre)
    turn = rng.normal(size=3)
    turn *= TURN_DEG / np.linalg.norm(turn)
    yield f"turned by {TURN_DEG:g} degrees", rigid_matrix([*turn, 0, 0, 0], centre)


def _grid(made: Acquired) -> Grid3D:
    image: nib.Nifti1Image = made.image
    return Grid3D(robust_range(image.get_fdata(dtype=np.float32)), image.affine)
