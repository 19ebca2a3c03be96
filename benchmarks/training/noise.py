"""When a FLAIR is denoised: people of training heads, segmented as they are and without noise.

``python -m benchmarks.training.noise`` acquires stripped FLAIRs in slices whose fine voxels the
scanner interpolated, so that the noise of neighbours is nearly the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.chain import dice, on_all_cores
from benchmarks.accuracy.gauntlet import anatomy
from benchmarks.accuracy.gauntlet.people import TRAINING_HEADS
from benchmarks.accuracy.gauntlet.protocols import Protocol, Scan
from benchmarks.training.cases import Drawn, acquired_with_priors
from wmhflow.ants.noise import without_noise
from wmhflow.core.space.grids import Grid3D
from wmhflow.core.wmh.noise import noise_sd
from wmhflow.core.wmh.segmentation import segment_wmh
from wmhflow.files.network import wmh_network

SEED = 404
# In-plane and slice in mm, SNR, load in ml.
SCANS = (
    (0.45, 6.0, 7, 25),
    (0.6, 6.0, 7, 25),
    (0.6, 6.0, 10, 25),
    (0.47, 8.0, 10, 40),
    (0.8, 5.0, 8, 10),
    (0.45, 5.0, 15, 15),
    (0.43, 5.0, 5, 30),
    (0.5, 5.0, 10, 3),
)


def main() -> None:
    """Print a row for each scan."""
    print("| slices (mm) | SNR | noise, neighbours | noise, 1.2 mm apart | planted (ml) | "
          "as it is (Dice) | denoised (Dice) |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in on_all_cores(scored, range(len(SCANS))):
        print(row)


def scored(number: int) -> str:
    """Segment one person twice; return the row."""
    in_plane, thick, snr, _ = SCANS[number]
    case = drawn(number)
    sizes = case.voxel_sizes_mm
    neighbours, apart = (
        noise_sd(case.flair, case.brain, case.priors.white, each) for each in ((9, 9, 9), sizes)
    )
    image = Grid3D(case.flair, np.diag([*sizes, 1.0]))
    found = [
        found_in(case, data) for data in (case.flair, without_noise(image, case.brain, 1).data)
    ]
    planted = float(np.prod(sizes)) / 1000 * np.count_nonzero(case.lesion >= 0.5)
    words = " | ".join(f"{ml:.1f} ({overlap:.2f})" for ml, overlap in found)
    return (
        f"| {in_plane} × {in_plane} × {thick:g} | {snr} | {neighbours:.3f} | {apart:.3f} | "
        f"{planted:.1f} | {words} |"
    )


def drawn(number: int) -> Drawn:
    """Draw one person with one of the scans."""
    in_plane, thick, snr, load = SCANS[number]
    plain = anatomy.plain_brain(TRAINING_HEADS[number % len(TRAINING_HEADS)])
    head = anatomy.planted_in(plain, load, SEED + number, 0.0)
    scan = Scan(in_plane, thick, snr=snr)
    protocol = Protocol("noise", scan, shown="stripped", turned_deg=6)
    rng = np.random.default_rng([SEED, number])
    return acquired_with_priors(head, protocol, scan, SEED + number, 0.0, (plain, 0.0, rng))


def found_in(case: Drawn, flair: NDArray[np.float32]) -> tuple[float, float]:
    """Segment a FLAIR; return the volume in ml, and the Dice."""
    sizes = case.voxel_sizes_mm
    found = segment_wmh(flair, None, case.priors, case.brain, sizes, network=wmh_network())
    mask = found.mask
    return float(np.prod(sizes)) / 1000 * mask.sum(), dice(mask, case.lesion >= 0.5)


if __name__ == "__main__":
    main()
