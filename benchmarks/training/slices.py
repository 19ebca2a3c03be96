"""Slices that differ in brightness: people of training heads, segmented with and without mending.

``python -m benchmarks.training.slices`` acquires FLAIRs in slices, makes every second one brighter,
or each by chance, and segments them as they are and made even.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.chain import on_all_cores
from benchmarks.accuracy.gauntlet import anatomy
from benchmarks.accuracy.gauntlet.people import TRAINING_HEADS
from benchmarks.accuracy.gauntlet.protocols import Protocol, Scan
from benchmarks.training.cases import Drawn, acquired_with_priors
from benchmarks.training.noise import found_in
from wmhflow.core.arrays.slices import even_slices

SEED = 606
# In-plane, slice and gap in mm, and load in ml.
SCANS = (
    (0.9, 5.0, 0.0, 2),
    (0.7, 5.0, 1.5, 8),
    (0.47, 8.0, 0.0, 20),
    (0.9, 3.0, 0.0, 10),
    (0.6, 6.0, 0.6, 60),
)
EVERY_SECOND, BY_CHANCE = (0.1, 0.2), 0.05


def main() -> None:
    """Print a row for each scan."""
    names = ["as it is", *(f"every second +{share:.0%}" for share in EVERY_SECOND),
             f"each by chance, SD {BY_CHANCE:.0%}"]  # fmt: skip
    print("| slices (mm) | planted (ml) | largest difference | " + " | ".join(names) + " |")
    print("| --- | ---: | ---: |" + " ---: |" * len(names))
    for row in on_all_cores(scored, range(len(SCANS))):
        print(row)


def scored(number: int) -> str:
    """Segment one person in all ways; return the row, Dice before and after."""
    in_plane, thick, gap, _ = SCANS[number]
    case = drawn(number)
    n_slices = case.flair.shape[2]
    rng = np.random.default_rng([SEED, number, 1])
    second = [1 + share * (np.arange(n_slices) % 2) for share in EVERY_SECOND]
    kinds = [np.ones(n_slices), *second, np.exp(rng.normal(0, BY_CHANCE, n_slices))]
    told = [compared(case, (case.flair * factors).astype(np.float32)) for factors in kinds]
    planted = float(np.prod(case.voxel_sizes_mm)) / 1000 * np.count_nonzero(case.lesion >= 0.5)
    cells = [f"{before:.2f}, {now:.2f}" for _, before, now in told]
    return (
        f"| {in_plane} × {in_plane} × {thick:g} + {gap:g} | {planted:.1f} | {told[0][0]:.3f} | "
        + " | ".join(cells) + " |"
    )  # fmt: skip


def compared(case: Drawn, flair: NDArray[np.float32]) -> tuple[float, float, float]:
    """Tell how much slices differ, and the Dice as they are and made even."""
    even, most = even_slices(flair, case.brain, case.voxel_sizes_mm)
    before = found_in(case, flair)[1]
    return most or 0.0, before, before if even is flair else found_in(case, even)[1]


def drawn(number: int) -> Drawn:
    """Draw one person with one of the scans."""
    in_plane, thick, gap, load = SCANS[number]
    plain = anatomy.plain_brain(TRAINING_HEADS[number % len(TRAINING_HEADS)])
    head = anatomy.planted_in(plain, load, SEED + number, 0.0)
    scan = Scan(in_plane, thick, gap)
    protocol = Protocol("slices", scan, turned_deg=6)
    rng = np.random.default_rng([SEED, number])
    return acquired_with_priors(head, protocol, scan, SEED + number, 0.0, (plain, 0.0, rng))


if __name__ == "__main__":
    main()
