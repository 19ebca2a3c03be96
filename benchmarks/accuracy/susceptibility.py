"""Susceptibility on simulated heads: from the true field, from the whole field, and from phase.

Run as ``python -m benchmarks.accuracy.susceptibility``, it prints instead what other weights of the
total variation give on other people, by which the weight was chosen.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.magnetic import (
    DEEP_GREY,
    FIELD_T,
    WHITE,
    Head,
    coarser,
    simulate_echoes,
    simulate_head,
)
from benchmarks.accuracy.rigid import DATA
from wmhflow.core.arrays.distance import distance_to
from wmhflow.core.susceptibility import invert_field, local_field, quantify_susceptibility
from wmhflow.core.susceptibility.inversion import invert_whole_field
from wmhflow.files.images import load_grid

PEOPLE = os.environ.get("SUSCEPTIBILITY_PEOPLE", "01 09 15").split()
# Where a person's head is also measured in voxels of 1 mm, which takes ten times as long.
FINE_PEOPLE = os.environ.get("SUSCEPTIBILITY_FINE_PEOPLE", "01").split()
ECHO_TIMES_S = 0.006 + 0.006 * np.arange(5)
SNR = 40.0
MOST_FROM_FIELD, MOST_FROM_PHASE, LEAST_SLOPE = 30.0, 65.0, 0.85
SHELLS_MM = ((-1.0, 0.01), (0.01, 2.0), (2.0, 4.0), (4.0, 6.0))
HEADING = """\
# Susceptibility of simulated heads

| person | voxels (mm) | from | error (%) | slope in deep grey | lesions and shells to 2, 4, 6 mm \
less white matter beyond (ppb) | CPU (s) |
| --- | ---: | --- | ---: | ---: | --- | ---: |"""


class Measured(NamedTuple):
    """How a map differs from the truth."""

    error_percent: float
    slope: float
    lesions_ppb: list[float]


def main() -> list[str]:
    """Print a row for each person, size of voxels and beginning; return what was missed."""
    print(HEADING, flush=True)
    missed = []
    for person in PEOPLE:
        grid = load_grid(DATA / "labels" / f"training_seg_{person}.nii.gz")
        fine = simulate_head(grid.data.astype(np.int32), grid.affine, seed=int(person))
        for head in [coarser(fine), *([fine] if person in FINE_PEOPLE else [])]:
            missed += [f"person {person}: {line}" for line in _rows(person, head)]
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\nError: root mean square relative to the truth's, both without their mean. "
          f"Peak memory {used:.1f} GB.")  # fmt: skip
    return missed


def _rows(person: str, head: Head) -> Iterator[str]:
    size = f"{head.sizes_mm[0]:g}"
    truth = measure(head.chi_ppm, head, head.brain)
    print(f"| {person} | {size} | (truth) | 0 | 1 | {_told(truth.lesions_ppb)} | |", flush=True)
    for name in ("true local field", "V-SHARP, then inverted", "whole field", "phase"):
        start = time.process_time()
        chi, mask = _made(name, head)
        taken = time.process_time() - start
        found = measure(chi, head, mask)
        print(
            f"| {person} | {size} | {name} | {found.error_percent:.1f} | {found.slope:.2f} | "
            f"{_told(found.lesions_ppb)} | {taken:.0f} |",
            flush=True,
        )
        most = {"true local field": MOST_FROM_FIELD, "phase": MOST_FROM_PHASE}.get(name)
        if most is None:
            continue
        if found.error_percent > most:
            yield f"{size} mm, from {name}: error {found.error_percent:.1f} % above {most:g}"
        if found.slope < LEAST_SLOPE:
            yield f"{size} mm, from {name}: slope {found.slope:.2f} below {LEAST_SLOPE:g}"
        lowest = int(np.argmin(found.lesions_ppb))
        if lowest != int(np.argmin(truth.lesions_ppb)):
            yield f"{size} mm, from {name}: the U is lowest in place {lowest}"


def _made(name: str, head: Head) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    if name == "true local field":
        return invert_field(head.local_ppm, head.brain, head.affine), head.brain
    if name == "whole field":
        return invert_whole_field(head.whole_ppm, head.brain, head.affine)
    if name == "V-SHARP, then inverted":
        local = local_field(head.whole_ppm, head.brain, head.sizes_mm)
        return invert_field(local.field, local.mask, head.affine), local.mask
    phases, magnitudes = simulate_echoes(head, ECHO_TIMES_S, SNR)
    found = quantify_susceptibility(
        phases, magnitudes, ECHO_TIMES_S.tolist(), head.brain, head.affine, FIELD_T
    )
    return found.chi_ppm, found.mask


def measure(chi: NDArray[np.float32], head: Head, mask: NDArray[np.bool_]) -> Measured:
    """Compare a map with the truth in a mask."""
    found, truth = (part[mask] - part[mask].mean() for part in (chi, head.chi_ppm))
    error = 100 * np.linalg.norm(found - truth) / np.linalg.norm(truth)
    means = np.array(
        [
            [part[mask & (head.labels == code)].mean() for code in DEEP_GREY]
            for part in (chi, head.chi_ppm)
        ]
    )
    white = np.isin(head.labels, WHITE)
    inner = mask & (distance_to(~white, head.sizes_mm) > 2 * head.sizes_mm.max())
    beyond = chi[inner & (head.lesion_distance_mm > SHELLS_MM[-1][1])].mean()
    shells = [
        1000 * float(chi[inner & (head.lesion_distance_mm > low)
                         & (head.lesion_distance_mm <= high)].mean() - beyond)
        for low, high in SHELLS_MM
    ]  # fmt: skip
    slope = float(np.polyfit(means[1], means[0], 1)[0])
    return Measured(float(error), slope, shells)


def _told(values: list[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


# ---- the choice of the weight --------------------------------------------------------------------

OTHER_PEOPLE = os.environ.get("SUSCEPTIBILITY_OTHERS", "04 13").split()
WEIGHTS = (1e-5, 3e-5, 1e-4, 3e-4)


def choose() -> None:
    """Print errors by weight and size of voxels, on people that the section does not measure."""
    print("| person | voxels (mm) | weight | true local field (%) | whole field (%) | slope |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for person in OTHER_PEOPLE:
        grid = load_grid(DATA / "labels" / f"training_seg_{person}.nii.gz")
        fine = simulate_head(grid.data.astype(np.int32), grid.affine, seed=int(person))
        for head in (coarser(fine), fine):
            for weight in WEIGHTS:
                local = invert_field(head.local_ppm, head.brain, head.affine, weight=weight)
                whole, told = invert_whole_field(
                    head.whole_ppm, head.brain, head.affine, weight=weight
                )
                first, second = (measure(local, head, head.brain), measure(whole, head, told))
                print(
                    f"| {person} | {head.sizes_mm[0]:g} | {weight:g} | {first.error_percent:.1f} | "
                    f"{second.error_percent:.1f} | {second.slope:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    choose()
