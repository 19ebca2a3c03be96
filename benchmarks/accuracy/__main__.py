"""Print the accuracy of the sections that are named, or of all, as Markdown."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from benchmarks.accuracy import (
    acute,
    anatomy,
    border,
    brain,
    cost,
    filling,
    lobes,
    maps,
    misalignment,
    penumbra,
    people,
    rigid,
    susceptibility,
    ventricles,
    wmh,
)
from benchmarks.accuracy.gauntlet import table as gauntlet

# Each prints its tables and returns what was missed, in words.
SECTIONS: dict[str, Callable[[], list[str]]] = {
    "wmh": wmh.main,
    "acute": acute.main,
    "anatomy": anatomy.main,
    "border": border.main,
    "brain": brain.main,
    "filling": filling.main,
    "gauntlet": gauntlet.main,
    "lobes": lobes.main,
    "maps": maps.main,
    "misalignment": misalignment.main,
    "penumbra": penumbra.main,
    "people": people.main,
    "rigid": rigid.main,
    "susceptibility": susceptibility.main,
    "time": cost.main,
    "ventricles": ventricles.main,
}


def main() -> int:
    """Run the named sections; exit 1 if a figure was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    chosen = parser.parse_args().sections or list(SECTIONS)
    for name in set(chosen) - set(SECTIONS):
        parser.error(f"there is no section '{name}'; there are {', '.join(SECTIONS)}")
    missed = [line for name in chosen for line in SECTIONS[name]()]
    print("\nMissed: " + ("; ".join(missed) if missed else "nothing") + ".")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
