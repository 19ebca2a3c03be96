"""Time and memory from a raw T1w and FLAIR of 1 mm to all masks and warps.

The head is simulated from a label image with skull and neck, so that its size is a scan's, and with
lesions for which the program registers it to the template twice. Its steps and antspyx's SyN run in
a process each, with one ITK thread, one after the other.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.anatomy import LABELS, simulated_pair
from benchmarks.accuracy.chain import SEED, Chain
from benchmarks.accuracy.filling import planted_lesions
from wmhflow.ants.images import ants_image, single_threaded_ants
from wmhflow.core.space.grids import Grid3D, robust_range
from wmhflow.files.template import Template

MOST_MINUTES, MOST_GB = 8.0, 4.0
KB_PER_GB = 1e6


@dataclass(frozen=True)
class Cost:
    """Seconds of each step, peak memory of the process, and what a rival needs."""

    seconds: dict[str, float]
    peak_gb: float
    brain: Grid3D | None = None
    template: Template | None = None


def main() -> list[str]:
    """Print the time of each step and the peak of memory; return what was missed."""
    heads = sorted(LABELS.glob("training_seg_*.nii.gz"))
    if not heads:
        print(f"No label images at {LABELS.name}: nothing measured.")
        return ["time: no label images"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pair = _apart(simulated_pair, heads[0], folder, planted_lesions(heads[0]))
        own = _apart(_own_cost, pair, folder)
        syn = _apart(_syn_cost, own.brain, own.template, folder)
    total = sum(own.seconds.values())
    print("# From raw T1w and FLAIR of 1 mm to all masks and warps\n")
    print("| step | seconds | share |\n| --- | ---: | ---: |")
    for name, value in own.seconds.items():
        print(f"| {name} | {value:.0f} | {value / total:.0%} |")
    print(f"| all | {total:.0f} | |")
    print(f"\nPeak memory {own.peak_gb:.1f} GB. antspyx's SyN alone, same brain and template, one "
          f"thread: {syn.seconds['SyN']:.0f} s, {syn.peak_gb:.1f} GB.")  # fmt: skip
    missed = []
    if total > 60 * MOST_MINUTES:
        missed.append(f"{total / 60:.1f} minutes, at most {MOST_MINUTES:.0f}")
    if own.peak_gb > MOST_GB:
        missed.append(f"{own.peak_gb:.1f} GB, at most {MOST_GB:.0f}")
    return missed


def _apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run in a fresh process, whose peak of memory is its own."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KB_PER_GB


def _own_cost(pair: tuple[Path, Path], folder: Path) -> Cost:
    chain = Chain(folder, *pair)
    chain.to_template()
    chain.to_wmh()
    chain.to_template_again()
    chain.to_tissues()
    brain = np.where(chain.brain.data, chain.reference.data, 0)
    moving = Grid3D(robust_range(brain), chain.reference.affine)
    return Cost(chain.seconds, _peak_gb(), moving, chain.template)


def _syn_cost(moving: Grid3D, template: Template, folder: Path) -> Cost:
    ants = single_threaded_ants(SEED)
    start = time.perf_counter()
    ants.registration(
        ants_image(template.grid("t1w"), SEED), ants_image(moving, SEED), "SyN",
        outprefix=str(folder / "syn"), random_seed=SEED,
    )  # fmt: skip
    return Cost({"SyN": time.perf_counter() - start}, _peak_gb())
