"""Choose weights and numbers of the search for WMH on simulated people of training heads.

``python -m benchmarks.training.choose FOLDER [NUMBER] [--weights FILE …] [--model NAME=VALUE,… …]``
draws people other than those that the network learnt from, and segments each with each of the
weights and numbers; scans and priors are kept in the folder. With ``--protocols`` they are acquired
as the gauntlet's people are, with ``--wide`` their ventricles are wide and most have cavities.
"""

from __future__ import annotations

import argparse
import dataclasses
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks.accuracy.chain import dice, on_all_cores
from benchmarks.accuracy.gauntlet.acquire import STRUCTURE
from benchmarks.training.cases import Drawn, drawn, drawn_of_protocol
from benchmarks.training.wide import drawn_to_choose
from wmhflow.core.wmh.model import LesionModel
from wmhflow.core.wmh.network import Network
from wmhflow.core.wmh.segmentation import segment_wmh
from wmhflow.files.network import wmh_network

NUMBER, SEED, PROTOCOLS_SEED = 48, 9000, 9500
LARGE_ML, NONE_ML, THICK_MM = 5.0, 0.2, 2.5
WRONG, FLAGGED = 0.5, 0.6


@dataclass(frozen=True)
class Outcome:
    """What was found of one person, in ml; `false` counts lesions that touch no planted one."""

    slice_mm: float
    planted: float
    found: float
    dice: float
    expected: float
    false: int
    false_ml: float


# Kinds of people, and who draws them.
KINDS = {
    "": partial(drawn, seed=SEED),
    "protocol-": partial(drawn_of_protocol, seed=PROTOCOLS_SEED),
    "wide-": drawn_to_choose,
}


def person(folder: Path, kind: str, number: int) -> Drawn:
    """Draw a person, or read what was drawn before."""
    file = folder / f"{kind}{number:04d}.pickle"
    if not file.exists():
        file.write_bytes(pickle.dumps(KINDS[kind](number)))
    found: Drawn = pickle.loads(file.read_bytes())
    return found


def outcome(
    chosen: Callable[[int], Drawn], weights: Path | None, model: LesionModel, number: int
) -> Outcome | None:
    """Segment one person; None where the scan is refused."""
    case = chosen(number)
    network = wmh_network() if weights is None else Network.of(np.load(weights))
    ml = float(np.prod(case.voxel_sizes_mm)) / 1000
    truth = case.lesion > 0.5
    try:
        found = segment_wmh(
            case.flair, None, case.priors, case.brain, case.voxel_sizes_mm, model, network
        )
    except ValueError as error:
        print(f"{number} refused: {error}", flush=True)
        return None
    overlap = dice(found.mask, truth)
    sizes = (ml * float(truth.sum()), ml * float(found.mask.sum()))
    ours, number = ndimage.label(found.mask, STRUCTURE)
    right = np.setdiff1d(ours[truth], 0)
    false_ml = ml * float(np.isin(ours, right, invert=True)[found.mask].sum())
    false = number - len(right)
    return Outcome(case.scan.slice_mm, *sizes, overlap, found.expected_dice, false, false_ml)


def row(name: str, those: Sequence[Outcome]) -> str:
    """Give the row of a setting: large loads, small ones, none."""
    large = [one for one in those if one.planted >= LARGE_ML]
    small = [one for one in those if NONE_ML <= one.planted < LARGE_ML]
    free = [one.found for one in those if one.planted < NONE_ML]
    ratio = np.array([one.found / one.planted for one in large])
    wrong = [one for one in large + small if one.dice < WRONG]
    right = [one for one in large + small if one.dice >= WRONG]
    false_ml = np.mean([one.false_ml for one in those])
    cells = [
        name, f"{len(large)}, {len(small)}, {len(free)}",
        f"{np.mean([one.dice for one in large]):.3f}",
        f"{min((one.dice for one in large), default=np.nan):.2f}",
        f"{np.median(ratio):.2f}", f"{np.mean(np.abs(ratio - 1) <= 0.2):.0%}",
        f"{np.mean([one.dice for one in small]):.3f}",
        f"{np.median([one.found / one.planted for one in small]):.2f}",
        f"{np.mean(free):.2f} ({max(free):.2f})" if free else "n/a",
        f"{np.mean([one.false for one in those]):.1f} ({false_ml:.2f} ml)",
        f"{sum(one.expected < FLAGGED for one in wrong)} of {len(wrong)}",
        f"{sum(one.expected < FLAGGED for one in right)} of {len(right)}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def told() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("number", type=int, nargs="?", default=NUMBER)
    parser.add_argument("--weights", type=Path, nargs="*", default=[None])
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--protocols", dest="kind", action="store_const", const="protocol-", default="",
        help="acquired as in the gauntlet",
    )  # fmt: skip
    kinds.add_argument(
        "--wide", dest="kind", action="store_const", const="wide-", help="with wide ventricles"
    )
    parser.add_argument(
        "--people", type=int, nargs="+", help="their numbers; the first ones if not told"
    )
    parser.add_argument("--model", nargs="*", default=[""])
    return parser.parse_args()


def main() -> None:
    """Print a table for thin slices, and one for thick ones."""
    said = told()
    said.folder.mkdir(parents=True, exist_ok=True)
    chosen = partial(person, said.folder, said.kind)
    people = said.people or range(said.number)
    on_all_cores(chosen, people)
    found = {}
    for weights in said.weights:
        for setting in said.model:
            pairs = (pair.split("=") for pair in setting.split(",") if pair)
            changed = {name: float(value) for name, value in pairs}
            model = dataclasses.replace(LesionModel(), **changed)
            name = f"{weights.stem if weights else 'shipped'} {setting}".strip()
            work = partial(outcome, chosen, weights, model)
            outcomes = on_all_cores(work, people)
            found[name] = [one for one in outcomes if one is not None]
    for title, thick in (("Slices of up to 1.2 mm", False), ("Slices of 3 to 8 mm", True)):
        shown = {
            name: [one for one in outcomes if (one.slice_mm > THICK_MM) == thick]
            for name, outcomes in found.items()
        }
        if not any(shown.values()):
            continue
        print(f"\n{title}\n")
        print("| weights and numbers | people (from 5 ml, less, none) | Dice from 5 ml | worst "
              "| found / planted | within 20 % | Dice below 5 ml | found / planted | without "
              "lesions, mean and worst (ml) | false lesions | wrong flagged | right flagged "
              "|")  # fmt: skip
        print("| --- |" + " ---: |" * 11)
        for name, outcomes in shown.items():
            print(row(name, outcomes))


if __name__ == "__main__":
    main()
