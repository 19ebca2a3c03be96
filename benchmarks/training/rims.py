"""How much of what is found are rims of cavities, and what ``wmh_cavity_rim_share`` says of it.

``python -m benchmarks.training.rims [SEED [NUMBER]]`` draws people of training heads with few
lesions or none, some with lacunes and an old infarct, and segments them.
"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np

from benchmarks.accuracy.chain import on_all_cores
from benchmarks.training.cases import Drawn, drawn
from wmhflow.core.checks.cavities import rim_share
from wmhflow.core.wmh.segmentation import segment_wmh
from wmhflow.files.network import wmh_network

SEED, NUMBER = 31000, 16
# White matter and ventricles as the priors have them stand for those that a run finds.
MOSTLY, PARTLY, A_LITTLE = 0.8, 0.5, 0.15
# Above the first the QC table says check, and below the second volume of WMH it says nothing.
BOUND, LEAST_ML = 0.2, 0.5


def main() -> None:
    """Print a row for each person."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else SEED
    number = int(sys.argv[2]) if len(sys.argv) > 2 else NUMBER
    print("| slices (mm) | planted (ml) | found (ml) | of it rims | said | |")
    print("| ---: | ---: | ---: | ---: | ---: | --- |")
    for row in on_all_cores(partial(scored, seed), range(number)):
        print(row, flush=True)


def scored(seed: int, number: int) -> str:
    """Segment one person, and give the row."""
    # three in six of the classes of load have few lesions or none
    case = drawn(number // 3 * 6 + number % 3, seed)
    sizes = case.voxel_sizes_mm
    ml = float(np.prod(sizes)) / 1000
    try:
        mask = segment_wmh(
            case.flair, None, case.priors, case.brain, sizes, None, wmh_network()
        ).mask
    except ValueError as error:
        return f"| {max(sizes):.1f} | {ml * case.lesion.sum():.1f} | refused: {error} | | | |"
    found = ml * float(mask.sum())
    # thick slices hold rims in part
    rims = mask & (case.rim > case.lesion) & (case.rim > A_LITTLE)
    true = float(rims.sum()) / max(int(mask.sum()), 1)
    said = told(case, mask)
    verdict = "" if found < LEAST_ML or not said > BOUND else "check"
    cells = [f"{max(sizes):.1f}", f"{ml * float(case.lesion.sum()):.1f}", f"{found:.1f}"]
    return "| " + " | ".join([*cells, f"{true:.2f}", f"{said:.2f}", verdict]) + " |"


def told(case: Drawn, mask: np.ndarray) -> float:
    """Measure the share as a run does, on what it finds of normal tissue."""
    normal = (case.priors.white > MOSTLY) & ~mask
    ventricles = case.priors.ventricles & (case.priors.csf > PARTLY)
    tissue = case.priors.white + case.priors.deep_grey > PARTLY
    return rim_share(case.flair, mask, normal, (ventricles, tissue), case.voxel_sizes_mm)


if __name__ == "__main__":
    main()
