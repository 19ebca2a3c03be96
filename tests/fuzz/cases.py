"""Which case a number means: the kind, by a fixed order, and the random choices within it.

A case is told by the seed and its number alone, whatever ran before it.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tests.builders import ROOT
from tests.fuzz.images import headers, streams
from tests.fuzz.mutate import Random
from tests.fuzz.options import options
from tests.fuzz.records import records
from tests.fuzz.studies import groups
from tests.fuzz.texts import texts
from tests.fuzz.transforms import transforms
from tests.fuzz.verdicts import CRASH, Verdict
from tests.fuzz.whole import commands, wholes
from tests.fuzz.world import World, own_environment

Kind = Callable[[World, Random], Verdict]
KINDS: Mapping[str, Kind] = {
    kind.__name__: kind
    for kind in (headers, streams, transforms, records, groups, texts, options, wholes, commands)
}
# so often each comes in a round, in turn; whole runs take a hundred times as long
ROUND = ("headers", "streams", "transforms", "records", "texts", "options", "headers", "groups",
         "transforms", "texts")  # fmt: skip
WHOLE_EVERY, COMMAND_EVERY = 300, 2500
# seconds after which a case hangs; where all is run, kernels may have to be compiled first
HANG_S = dict.fromkeys(("wholes", "commands", "transforms", "records", "groups"), 600.0)
USUAL_HANG_S = 60.0


def kind_of(number: int) -> str:
    """Return the kind of a case.

    Examples
    --------
    >>> [kind_of(number) for number in (0, 1, 150, 450, 40)]
    ['headers', 'streams', 'wholes', 'wholes', 'commands']
    """
    if number % COMMAND_EVERY == 40:
        return "commands"
    if number % WHOLE_EVERY == WHOLE_EVERY // 2:
        return "wholes"
    return ROUND[number % len(ROUND)]


def numbers_of(kind: str | None, start: int, count: int) -> list[int]:
    """List the first ``count`` numbers of a kind from ``start`` on; of all kinds if it is None."""
    found, number = list[int](), start
    while len(found) < count:
        if kind is None or kind_of(number) == kind:
            found.append(number)
        number += 1
    return found


def run_case(world: World, seed: int, number: int) -> Verdict:
    """Run one case; what escapes the harness itself is a fault, too."""
    kind = kind_of(number)
    try:
        verdict = KINDS[kind](world, np.random.default_rng([seed, number]))
    except Exception:  # noqa: BLE001 - a fault of the harness must not end all other cases
        return Verdict(CRASH, traceback.format_exc(), "in the harness, or past what it guards")
    return replace(verdict, detail=verdict.detail[-4000:])


def make(seed: int, folder: Path) -> Callable[[int], Verdict]:
    """Make what runs a case in a worker's process."""
    own_environment(folder)
    # what a word of the command line names by mistake lies in no folder of anybody's
    sys.path.insert(0, str(ROOT))
    os.chdir(folder)
    return partial(run_case, World(folder / "world"), seed)


def limit_of(number: int) -> float:
    """Return after how many seconds a case hangs."""
    return HANG_S.get(kind_of(number), USUAL_HANG_S)
