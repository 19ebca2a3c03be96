"""The group level: a person's tables and record disturbed.

A disturbed table is *another sound one* if it has the columns that it had, every line as many
cells, every cell is of its column's kind (as the undisturbed cells show it), and it is as long in
bytes as the record says. Of any other the group level has to say what is wrong, and end with 1.
"""

from __future__ import annotations

import json
import re

from tests.fuzz.mutate import Random, disturbed_json, disturbed_text, pick
from tests.fuzz.records import RECORD, Finished, _finished, command
from tests.fuzz.verdicts import AS_IT_SAYS, HARM, OTHER_NUMBERS, SAME, Verdict
from tests.fuzz.world import World

NUMBER = re.compile(r"n/a|-?\d+(\.\d+)?(e[+-]?\d+)?")
TABLES = (
    "volumes_regions",
    "maps_regions",
    "maps_profiles",
    "maps_penumbra",
    "maps_curves",
    "wmhflow_qc",
    "lesions",
)


def groups(world: World, rng: Random) -> Verdict:
    """Disturb one of a finished person's tables, or the record, and gather the study."""
    finished: Finished = world.room(_finished)
    before = _gathered(finished)
    paths = [
        path for path in sorted(finished.out.glob("sub-01/**/*.tsv"))
        if path.stem.endswith(TABLES)
    ]  # fmt: skip
    path = pick(rng, [*paths, finished.out / RECORD])
    old = path.read_bytes()
    if path.suffix == ".json":
        made, what = disturbed_json(rng, json.loads(old), finished.victims())
    elif rng.random() < 0.05:
        made, what = None, "removed"
    else:
        made, what = disturbed_text(rng, old.decode())
    about = f"{path.name}: {what}"
    if made is None:
        path.unlink()
    else:
        path.write_bytes(made)
    try:
        look = command(finished.group_words)
        if finished.state_of_others() != finished.others:
            return Verdict(HARM, "files of others", about)
        ended = look.stopped(about)
        if ended:
            return ended
        now = _gathered(finished)
        if now == before or made == old:
            return Verdict(SAME, "", about)
        if path.suffix != ".json" and made is not None and is_sound(old, made):
            return Verdict(AS_IT_SAYS, "", about)
        changed = sorted(name for name in before if now.get(name) != before[name])
        return Verdict(OTHER_NUMBERS, f"exit 0, other {changed[:3]}; {look.said}", about)
    finally:
        finished.restore()


def _gathered(finished: Finished) -> dict[str, bytes]:
    folders = (finished.out / "group", finished.out / "phenotype")
    return {path.name: path.read_bytes() for folder in folders for path in folder.glob("*.tsv")}


def is_sound(old: bytes, made: bytes) -> bool:
    """Whether a disturbed table is another one that could have been written."""
    if len(old) != len(made):
        return False
    try:
        was, now = (text.decode().split("\n") for text in (old, made))
    except UnicodeDecodeError:
        return False
    if was[0] != now[0] or len(was) != len(now) or now[-1] != "":
        return False
    header = was[0].split("\t")
    rows, others = ([line.split("\t") for line in lines[1:-1]] for lines in (was, now))
    if any(len(row) != len(header) for row in others):
        return False
    numeric = [all(NUMBER.fullmatch(row[at]) for row in rows) for at in range(len(header))]
    return all(
        NUMBER.fullmatch(cell) is not None or not numeric[at]
        for row in others
        for at, cell in enumerate(row)
    )
