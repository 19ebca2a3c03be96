"""Words of the command line at their extremes.

What is taken has to be what is written: a number is the one that ``float`` reads and lies within
what a head, a machine or a file system can mean, and a name is found or refused.
"""

from __future__ import annotations

import re

from tests.fuzz.mutate import NUMBER_WORDS, WORDS, Random, pick
from tests.fuzz.verdicts import AS_IT_SAYS, OTHER_NUMBERS, SAME, Verdict
from tests.fuzz.world import Look, World, heard, look_at
from wmhflow.cli.parser import parse_settings
from wmhflow.settings import Option, is_flag, iter_options
from wmhflow.workflows.units import units_of

# beyond these nothing can be meant, whatever the option: lengths in mm, counts, gigabytes
LEAST, MOST = 1e-6, 1e9
NUMBERS = (
    *NUMBER_WORDS, "1e-320", "1e-9", "4.9e-324", "1.7e308", "1e16", "0.1", "3", "4096", "+2", " 2",
    "2 ", "1000000007", "0.30000000000000004", "\uff12", "1/2", "2mm", "-0", "00002", "1e2",
    "infinity",
)  # fmt: skip
# no shell and no system hands on a zero byte
ARGUMENTS = tuple(word for word in WORDS if "\0" not in word)
PAIRS = ("zones:lobes", "zones:zones", ":", "zones:", "a:b:c", "shells:nothing", "WMH:NAWM")


def options(world: World, rng: Random) -> Verdict:
    """Give one to three options words that nobody should give."""
    known = [(f"{group}.{entry.name}", opt) for group, entry, opt in iter_options()
             if not is_flag(group, entry.name) and not opt.count]  # fmt: skip
    said, chosen = list[str](), dict[str, str]()
    for _ in range(pick(rng, (1, 1, 1, 2, 3))):
        name, opt = pick(rng, known)
        word = _word(rng, opt)
        said += [f"{opt.flags[-1]}={word}"] if rng.random() < 0.7 else [opt.flags[-1], word]
        chosen[name] = word
    words = list(world.words)
    if rng.random() < 0.1:
        place = int(rng.integers(3))
        words[place] = pick(rng, ARGUMENTS)
        said.append(f"argument {place} {words[place][:20]!r}")
    words += [one for one in said if not one.startswith("argument ")]
    about = " ".join(one[:60] for one in said)
    look = look_at(words)
    return look.stopped(about) or _taken(look, words, chosen, about)


def _word(rng: Random, opt: Option) -> str:
    if opt.metavar in {"MM", "N", "GB", "P"}:
        return pick(rng, NUMBERS)
    if opt.metavar == "DIR":
        # a folder may be made, and shall lie where the case runs
        return pick(rng, [word for word in ARGUMENTS if "/" not in word and ".." not in word])
    if opt.metavar == "ONE:OTHER":
        return pick(rng, (*PAIRS, *ARGUMENTS))
    return pick(rng, (*ARGUMENTS, *(opt.allowed or ()), "01", "sub-01", "02"))


def _taken(look: Look, words: list[str], chosen: dict[str, str], about: str) -> Verdict:
    """Look at what became of the words, and make all recipes with it."""
    settings = parse_settings(words)
    for name, word in chosen.items():
        group, field = name.split(".")
        has = getattr(getattr(settings, group), field)
        if not isinstance(has, int | float) or field == "random_seed":
            continue
        is_number = re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", word, re.ASCII)
        if is_number is None or float(word) != has or not LEAST <= abs(has) <= MOST:
            return Verdict(OTHER_NUMBERS, f"{field} is {has!r} by {word!r}", about)
    made = Look()
    with heard(made):
        for plan in look.plans:
            units_of(plan, settings)
    found = made.fault()
    if found:
        return Verdict(found.outcome, found.detail, about)
    return Verdict(AS_IT_SAYS if chosen else SAME, "", about)
