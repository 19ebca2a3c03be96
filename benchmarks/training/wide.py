"""Simulated FLAIRs of people with wide ventricles and cavities, to learn from and to choose by.

``python -m benchmarks.training.wide FOLDER [NUMBER]`` makes those to learn from, one file each,
beside those of ``benchmarks.training.cases``. Half of the priors follow the ventricles, as those of
a warp that they steer; the others follow in part, so that the search for lesions sees fluid where
the template has white matter. Many have few lesions or none, and most have cavities.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.accuracy.chain import on_all_cores
from benchmarks.accuracy.gauntlet import anatomy
from benchmarks.accuracy.gauntlet.anatomy import Head
from benchmarks.accuracy.gauntlet.people import TRAINING_HEADS
from benchmarks.accuracy.gauntlet.protocols import Protocol, Scan
from benchmarks.accuracy.gauntlet.wide import widened
from benchmarks.training import cases
from benchmarks.training.cases import Drawn

NUMBER, SEED, CHOOSING_SEED = 36, 17000, 19000
# Volume of the ventricles, and by which factor they grow at least where they are as wide already.
VENTRICLES_ML, GROWN = (25.0, 120.0), 1.2
# Half of the warps are steered by the ventricles and follow them; the others by a share of it all.
STEERED = 0.5
# Classes of load, ml, one after the other; those to choose by have three.
LOADS = ((0.0, 0.0), (0.2, 1.0), (1.0, 5.0), (0.0, 0.0), (0.5, 3.0), (5.0, 20.0), (20.0, 60.0))
CHOOSING_LOADS = ((0.0, 0.0), (0.3, 3.0), (8.0, 40.0))
# Lacunes and old infarcts, whatever the load.
HOLLOWED, LACUNES, INFARCT = 0.8, (1, 6), 0.5
SPOTTED = 0.4
SHOWN = ("whole", "whole", "stripped", "tight", "loose")


@dataclass(frozen=True)
class _Told:
    """What is not left to chance."""

    load_ml: tuple[float, float]
    scan: Scan
    spread: float
    pushed: bool


def main() -> None:
    """Make all cases that are not there."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    number = int(sys.argv[2]) if len(sys.argv) > 2 else NUMBER
    on_all_cores(partial(make, folder), range(number))


def make(folder: Path, number: int) -> None:
    """Make one case to learn from, if it is not there."""
    file = folder / f"wide-{number:04d}.npz"
    if not file.exists():
        cases.save(file, drawn_to_learn(number))


def drawn_to_learn(number: int) -> Drawn:
    """Draw one person to learn from.

    Parameters
    ----------
    number
        Loads, heads and kinds of wide ventricles go round by it.

    Returns
    -------
    Drawn
        Scan, priors and truth.
    """
    rng = np.random.default_rng([SEED, number])
    spread = float(rng.uniform(0, cases.MOST_SPREAD))
    scan = replace(cases.drawn_scan(rng), snr=float(np.exp(rng.uniform(*np.log([11, 40])))))
    told = _Told(LOADS[number % len(LOADS)], scan, spread, number % 2 == 0)
    return _drawn(number, SEED, told, rng)


def drawn_to_choose(number: int) -> Drawn:
    """Draw one person to choose by: no lesions, few, many; voxels of 1 mm, slices of 5 or 6 mm.

    Parameters
    ----------
    number
        Loads, slices, kinds of wide ventricles and heads go round by it.

    Returns
    -------
    Drawn
        Scan, priors and truth.
    """
    rng = np.random.default_rng([CHOOSING_SEED, number])
    thick = number // 3 % 2 == 1
    scan = Scan(
        in_plane_mm=float(rng.uniform(0.6, 0.9)) if thick else 1.0,
        slice_mm=float(rng.choice([5, 6])) if thick else 1.0,
        gap_mm=float(rng.choice([0, 1])) if thick else 0.0,
        tilt_deg=float(rng.uniform(-15, 15)),
        snr=float(rng.uniform(15, 35)),
        bias=float(rng.uniform(0.2, 0.5)),
        stored="float32",
    )
    # lesions of the gauntlet are as bright as each other and end at once
    spread = float(rng.uniform(0, cases.MOST_SPREAD)) if rng.random() < 0.5 else 0.0
    told = _Told(CHOOSING_LOADS[number % 3], scan, spread, number // 6 % 2 == 0)
    return _drawn(number, CHOOSING_SEED, told, rng)


def _drawn(number: int, seed: int, told: _Told, rng: np.random.Generator) -> Drawn:
    """Widen the ventricles, plant lesions and cavities, and acquire."""
    low, high = told.load_ml
    load = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if high else 0.0
    plain = anatomy.plain_brain(TRAINING_HEADS[number % len(TRAINING_HEADS)])
    least = 0.001 * float(plain.ventricles.sum())
    volume = max(float(np.exp(rng.uniform(*np.log(VENTRICLES_ML)))), GROWN * least)
    wide = followed = widened(plain, volume, told.pushed)
    if rng.random() >= STEERED:
        share = float(rng.uniform(0, 1))
        followed = widened(plain, least + share * (volume - least), told.pushed)
    head = anatomy.planted_in(wide, load, seed + number)
    if load and rng.random() < SPOTTED:
        head = cases.with_spots(head, rng)
    if rng.random() < HOLLOWED:
        head = hollowed(head, rng)
    protocol = Protocol("training", told.scan, shown=str(rng.choice(SHOWN)), turned_deg=6)
    off = (followed, 0.0, rng)
    return cases.acquired_with_priors(head, protocol, told.scan, seed + number, told.spread, off)


def hollowed(head: Head, rng: np.random.Generator) -> Head:
    """Put lacunes and perhaps an old infarct into a head, each with its bright rim."""
    codes = head.codes.copy()
    for _ in range(int(rng.integers(*LACUNES))):
        anatomy.hollow(codes, rng, rng.uniform(1.5, 5.5), (*anatomy.WHITE, *anatomy.DEEP))
    if rng.random() < INFARCT:
        anatomy.hollow(codes, rng, rng.uniform(6.0, 16.0), (*anatomy.WHITE, *anatomy.CORTEX))
    return Head(head.name, codes, head.affine)


if __name__ == "__main__":
    main()
