"""Disturb inputs at random, and look for tracebacks, other numbers in silence, and hangs.

``python -m tests.fuzz --cases 100000`` or ``--seconds 120``. Every fault is printed with the
command that repeats it. The figures come last; exit 1 if there was a fault. Many cases can be
shared by several machines or nights: ``--first 8000`` begins with case 8000.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from functools import partial

import wmhflow
from wmhflow.files.caches import cache_folder

# numba reads this when it is imported, which the next lines do: without it, all kernels would be
# compiled once more than the tests and the demo did
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder(f"numba-{wmhflow.__version__}")))

from tests.fuzz.cases import KINDS, kind_of, limit_of, make, numbers_of
from tests.fuzz.workers import Answer, answers

SEED = 20080324


def told(answer: Answer, seed: int) -> str:
    """Write a case with the command that repeats it."""
    verdict = answer.verdict
    return (
        f"{verdict.outcome}: {kind_of(answer.number)}: {verdict.about}\n"
        f"  repeat: python -m tests.fuzz --seed {seed} --case {answer.number}\n"
        + "".join(f"    {line}\n" for line in verdict.detail.splitlines())
    )


def figures(found: list[Answer]) -> str:
    """Write the table of kinds and outcomes."""
    outcomes = sorted({answer.verdict.outcome for answer in found})
    rows = [["kind", "cases", "seconds", *outcomes]]
    for kind in [*KINDS, "all"]:
        mine = [one for one in found if kind in {kind_of(one.number), "all"}]
        counts = Counter(answer.verdict.outcome for answer in mine)
        seconds = f"{sum(answer.seconds for answer in mine):.0f}"
        rows.append([kind, str(len(mine)), seconds, *(str(counts[name]) for name in outcomes)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> int:
    """Run cases; 1 if one of them broke a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, help="so many cases")
    parser.add_argument("--first", type=int, default=0, help="the case to begin with")
    parser.add_argument("--seconds", type=float, help="no case begins later")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--case", type=int, help="this one case alone, with all that was said")
    parser.add_argument("--kind", choices=tuple(KINDS), help="cases of one kind alone")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    start = time.monotonic()
    if given.case is not None:
        numbers = [given.case]
    elif given.cases is not None:
        numbers = numbers_of(given.kind, given.first, given.cases)
    else:
        numbers = numbers_of(given.kind, given.first, 100_000)
    until = start + given.seconds if given.seconds else float("inf")
    found = []
    n_workers = min(given.workers, len(numbers))
    for answer in answers(numbers, partial(make, given.seed), n_workers, limit_of, until):
        found.append(answer)
        if answer.verdict.is_fault or given.case is not None:
            print(told(answer, given.seed), flush=True)
    print(figures(found))
    faults = sum(answer.verdict.is_fault for answer in found)
    seconds = time.monotonic() - start
    print(f"{len(found)} cases, seed {given.seed}, {seconds:.0f} s: {faults} faults.")
    return int(bool(faults) or not found)


if __name__ == "__main__":
    sys.exit(main())
