"""The gauntlet's tables, and what of its figures was missed."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.accuracy.gauntlet.anatomy import LABELS
from benchmarks.accuracy.gauntlet.measure import Score, run, scores
from benchmarks.accuracy.gauntlet.people import LOADS, Person, everybody, load_class, make_dataset

LARGE_ML, THIN_MM, THICK_MM = 5.0, 2.0, 5.0
MEAN_THIN, MEAN_THICK, LEAST_OF_CLASS = 0.75, 0.68, 0.60
VOLUME_ALLOWED, MEDIAN_VOLUME_ALLOWED = 0.20, 0.10
FALSE_ML_ALLOWED, FREE_SHARE = 0.5, 0.9
WRONG_DICE, WRONG_VENTRICLES = 0.5, 0.7
FOLDER_VARIABLE = "WMHFLOW_GAUNTLET"


def main() -> list[str]:
    """Make everybody, process them, and print the tables; return what was missed.

    What is made is kept in the folder that ``WMHFLOW_GAUNTLET`` names, if it names one.
    """
    if not LABELS.is_dir():
        print(f"No label images at {LABELS.name}: nothing measured.")
        return ["gauntlet: no label images"]
    people = everybody()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get(FOLDER_VARIABLE, temporary))
        if not (folder / "raw").is_dir():
            make_dataset(folder, people)
        run(folder, people)
        return report(scores(folder, people))


def report(found: Sequence[Score]) -> list[str]:
    """Print all tables; return what was missed."""
    print("# The gauntlet\n")
    print("| protocol | head | planted (ml) | found (ml) | Dice | lesions found | false lesions | "
          "brain | ventricles | verdicts |")  # fmt: skip
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    for one in found:
        print(row(one))
    print("\n| load (ml) | people | refused | Dice | volume error, median | lesions found | "
          "false lesions |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in [load_class(high) for _, high in LOADS]:
        print(class_row(name, [one for one in found if one.load == name]))
    verdicts(found)
    return judged(found)


def verdicts(found: Sequence[Score]) -> None:
    """Print how often each number of the QC table says ``check`` of wrong and of right results.

    A result is wrong where its Dice is below 0.5, where 0.5 ml is found in a person without
    lesions, or where the Dice of the ventricles is below 0.7.
    """
    seen = [one for one in found if one.dice is not None]
    wrong = [one for one in seen if is_wrong(one)]
    right = [one for one in seen if not is_wrong(one)]
    print(f"\nOf {len(seen)} results {len(wrong)} are wrong.\n")
    print("| number in the QC table | says check of wrong ones | of right ones |")
    print("| --- | ---: | ---: |")
    for name in sorted({name for one in seen for name in one.verdicts}):
        cells = [f"{sum(name in one.verdicts for one in those)}" for those in (wrong, right)]
        print(f"| {name} | {' | '.join(cells)} |")
    cells = [f"{sum(bool(one.verdicts) for one in those)}" for those in (wrong, right)]
    print(f"| any | {' | '.join(cells)} |")


def is_wrong(one: Score) -> bool:
    """Tell whether a result is wrong as a whole."""
    if one.ventricles is not None and one.ventricles < WRONG_VENTRICLES:
        return True
    if one.load == "0":
        return (one.found_ml or 0) >= FALSE_ML_ALLOWED
    return (one.dice or 0) < WRONG_DICE


def row(one: Score) -> str:
    """Give one person's row."""
    numbers = [one.found_ml, one.dice, one.sensitivity, one.false_lesions, one.brain]
    shown = [*map(_number, numbers), _number(one.ventricles)]
    said = ", ".join(one.verdicts) if one.refused is None else f"refused: {one.refused}"
    cells = [one.person.label, one.person.head.removeprefix("training_"), f"{one.truth_ml:.1f}"]
    return "| " + " | ".join([*cells, *shown, said]) + " |"


def _number(value: float | None) -> str:
    if value is None:
        return "n/a"
    return str(value) if isinstance(value, int) else f"{value:.2f}"


def class_row(name: str, found: Sequence[Score]) -> str:
    """Give the row of a class of load."""
    seen = [one for one in found if one.dice is not None]
    error = [volume_error(one) for one in seen if one.truth_ml > 0]
    cells = [
        name,
        str(len(found)),
        str(len(found) - len(seen)),
        _mean(one.dice for one in seen),
        f"{np.median(error):.0%}" if error else "n/a",
        _mean(one.sensitivity for one in seen),
        _mean(one.false_lesions for one in seen),
    ]
    return "| " + " | ".join(cells) + " |"


def _mean(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.2f}" if known else "n/a"


def volume_error(one: Score) -> float:
    """Return the error of a volume as a share of it, without its sign."""
    return abs((one.found_ml or 0.0) / one.truth_ml - 1)


def judged(found: Sequence[Score]) -> list[str]:
    """Hold the figures against what is asked; who was refused has a Dice of 0."""
    large = [one for one in found if one.truth_ml >= LARGE_ML]
    missed = []

    def hold(words: str, value: float, asked: float, at_least: bool = True) -> None:
        print(f"\n{words}: {value:.3f} (asked {asked:g}).")
        if value < asked if at_least else value > asked:
            missed.append(f"{words} {value:.3f}, asked {asked:g}")

    def mean_dice(chosen: Callable[[Person], bool]) -> float:
        of = [one.dice or 0.0 for one in large if chosen(one.person)]
        return float(np.mean(of)) if of else float("nan")

    refused = [one.person.label for one in found if one.dice is None]
    print(f"\nRefused: {', '.join(refused) or 'nobody'}.")
    thin = mean_dice(lambda person: person.protocol.flair.slice_mm <= THIN_MM)
    hold("Mean Dice from 5 ml on, slices of up to 2 mm", thin, MEAN_THIN)
    thick = mean_dice(_is_thick_alone)
    hold("Mean Dice from 5 ml on, slices of 5 to 8 mm, FLAIR alone", thick, MEAN_THICK)
    for low, high in LOADS[3:]:
        own = [one.dice or 0.0 for one in found if one.load == load_class(high)]
        if own:
            hold(f"Mean Dice of {low:g} to {high:g} ml", float(np.mean(own)), LEAST_OF_CLASS)
    errors = [volume_error(one) for one in large]
    share = float(np.mean([error <= VOLUME_ALLOWED for error in errors]))
    hold("Share of people whose volume is within 20 %", share, 1.0)
    hold("Median volume error", float(np.median(errors)), MEDIAN_VOLUME_ALLOWED, at_least=False)
    free = [one for one in found if one.load == "0" and one.found_ml is not None]
    if free:
        share = float(np.mean([(one.found_ml or 0) < FALSE_ML_ALLOWED for one in free]))
        hold("Share of people without lesions in whom less than 0.5 ml is found", share, FREE_SHARE)
    return missed


def _is_thick_alone(person: Person) -> bool:
    return person.protocol.t1w is None and person.protocol.flair.slice_mm >= THICK_MM


def chosen() -> argparse.Namespace:
    """Read the words of ``python -m benchmarks.accuracy.gauntlet.table``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where people and outputs are kept")
    parser.add_argument("--only", nargs="*", help="protocols; all if not given")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    told = chosen()
    those = [p for p in everybody(told.seed) if not told.only or p.label in told.only]
    if not (told.folder / "raw").is_dir():
        make_dataset(told.folder, those)
    print(f"{run(told.folder, those):.0f} s")
    report(scores(told.folder, those))
