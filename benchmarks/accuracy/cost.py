"""Time and memory from a raw T1w and FLAIR of 1 mm to all masks, warps, regions and the report.

The head is simulated from a label image with skull and neck, so that its size is a scan's, and with
lesions for which the program registers it to the template twice. Its steps and antspyx's SyN run in
a process each, with one ITK thread, one after the other; then one person and two go through the
command line.
"""

from __future__ import annotations

import filecmp
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.accuracy.anatomy import LABELS, simulated_pair
from benchmarks.accuracy.chain import SEED, Chain
from benchmarks.accuracy.filling import planted_lesions
from wmhflow.ants.images import ants_image, single_threaded_ants
from wmhflow.core.space.grids import Grid3D, robust_range
from wmhflow.files.template import Template

MOST_MINUTES, MOST_GB, MOST_RATIO, MOST_TWO = 8.0, 3.0, 1.0, 1.5
KB_PER_GB, BYTES_PER_GB = 1e6, 1e9


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
        whole = _whole_runs(pair, folder)
    total = sum(own.seconds.values())
    print("# From raw T1w and FLAIR of 1 mm to all masks and warps\n")
    print("| step, alone | seconds | share |\n| --- | ---: | ---: |")
    for name, value in own.seconds.items():
        print(f"| {name} | {value:.0f} | {value / total:.0%} |")
    print(f"| all | {total:.0f} | |")
    print(f"\nPeak memory {own.peak_gb:.1f} GB. antspyx's SyN alone, same brain and template, one "
          f"thread: {syn.seconds['SyN']:.0f} s, {syn.peak_gb:.1f} GB.\n")  # fmt: skip
    print("| through the command line, report included | seconds | peak of all processes (GB) |")
    print("| --- | ---: | ---: |")
    for name, one in whole.items():
        print(f"| {name} | {one.seconds:.0f} | {one.peak_gb:.1f} |")
    missed = _missed(whole, syn.seconds["SyN"])
    if total > 60 * MOST_MINUTES:
        missed.append(f"{total / 60:.1f} minutes, at most {MOST_MINUTES:.0f}")
    if own.peak_gb > MOST_GB:
        missed.append(f"{own.peak_gb:.1f} GB in the steps, at most {MOST_GB:.0f}")
    return missed


def _missed(whole: dict[str, Run], syn_seconds: float) -> list[str]:
    """Hold the whole runs against what is asked."""
    one, two, serial = (whole[name] for name in RUNS)
    ratio, of_two = one.seconds / syn_seconds, two.seconds / one.seconds
    changed = [*differing(one.folder, two.folder), *differing(one.folder, serial.folder)]
    print(f"\nOne person over SyN alone: {ratio:.2f} (asked {MOST_RATIO}); two persons over one: "
          f"{of_two:.2f} (asked {MOST_TWO}); files that differ between the runs: "
          f"{len(changed)}.")  # fmt: skip
    missed = [f"{name} {value:.2f}, at most {asked}" for name, value, asked in (
        ("one person over SyN", ratio, MOST_RATIO),
        ("two persons over one", of_two, MOST_TWO),
        ("GB of memory", one.peak_gb, MOST_GB),
    ) if value > asked]  # fmt: skip
    missed += [f"{name} is not the same" for name in changed]
    return missed


@dataclass(frozen=True)
class Run:
    """Seconds and memory of a run of the command line, and its outputs."""

    seconds: float
    peak_gb: float
    folder: Path


# How many persons, with how many processes.
RUNS = {
    "one person, two processes": (1, 2),
    "two persons, two processes": (2, 2),
    "one person, one process": (1, 1),
}


def _whole_runs(pair: tuple[Path, Path], folder: Path) -> dict[str, Run]:
    """Send one person and two through the command line."""
    raw = folder / "raw"
    for subject in ("01", "02"):
        anat = raw / f"sub-{subject}" / "anat"
        anat.mkdir(parents=True)
        for suffix, image in zip(("T1w", "FLAIR"), pair, strict=True):
            shutil.copyfile(image, anat / f"sub-{subject}_{suffix}.nii.gz")
    about = {"Name": "cost", "BIDSVersion": "1.10.0"}
    (raw / "dataset_description.json").write_text(json.dumps(about), encoding="utf-8")
    return {
        name: _whole_run(raw, folder / f"whole{number}", *how)
        for number, (name, how) in enumerate(RUNS.items())
    }


def _whole_run(raw: Path, folder: Path, n_persons: int, n_processes: int) -> Run:
    out = folder / "out"
    words = [str(raw), str(out), "participant", "-w", str(folder / "work"), "--participant-label"]
    words += [f"{number + 1:02d}" for number in range(n_persons)]
    words += ["--nprocs", str(n_processes)]
    start, peak = time.perf_counter(), 0
    with (folder.parent / f"{folder.name}.txt").open("w", encoding="utf-8") as said:
        run = psutil.Popen([sys.executable, "-m", "wmhflow", *words], stdout=said, stderr=said)
        while run.poll() is None:
            peak = max(peak, _resident(run))
            time.sleep(1.0)
    if run.returncode:
        raise subprocess.CalledProcessError(run.returncode, words)
    return Run(time.perf_counter() - start, peak / BYTES_PER_GB, out)


def _resident(run: psutil.Process) -> int:
    """Sum up what a process and its children hold of memory, what they share counted once."""
    total = 0
    for process in [run, *run.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total


def differing(first: Path, second: Path) -> list[str]:
    """List the first person's files that are not the same to the byte in two folders."""
    files = [file for file in sorted((first / "sub-01").rglob("*")) if file.is_file()]
    pairs = ((file, second / file.relative_to(first)) for file in files)
    return [one.name for one, other in pairs if not (
        other.exists() and filecmp.cmp(one, other, shallow=False)
    )]  # fmt: skip


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
