"""What the program reads back of its own: records, and everything else in OUTPUT_DIR.

The finished visit's record and outputs are disturbed, and the run's command given again; where it
would compute, it is stopped. A visit may be taken for finished only if its record says, value for
value, what it said, and its outputs are what they were. Nothing outside OUTPUT_DIR and the work
folder may change, and nothing of another person.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

from tests.fuzz.mutate import Random, disturbed_bytes, disturbed_json, pick
from tests.fuzz.verdicts import HARM, MADE_ANEW, OTHER_NUMBERS, REFUSED, SAME, Verdict
from tests.fuzz.whole import clear
from tests.fuzz.world import Look, World, heard
from tests.inprocess import Steps, run
from wmhflow.cli.main import main
from wmhflow.workflows.study import run_units

RECORD = Path("logs") / "sub-01" / "record.json"


class Finished:
    """A dataset whose one person is finished, a copy of the outputs, and files of others."""

    def __init__(self, world: World) -> None:
        self.world = World(world.folder / "finished")
        self.out = self.world.coarse.out
        clear(self.world)
        done = run(self.world.words)
        if done.code:
            raise RuntimeError(f"the undisturbed input fails: {done.err}")
        group = [word if word != "participant" else "group" for word in self.world.words]
        self.group_words = group
        look = command(self.group_words)
        if look.code or look.escaped:
            raise RuntimeError(f"the group level fails: {look.said}{look.escaped}")
        self.precious = self.world.folder / "precious"
        for name in ("table.tsv", "record.json", "sub-02/anat/sub-02_desc-volumes_regions.tsv"):
            path = self.precious / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("not to be touched\n", encoding="utf-8")
        (self.out / "sub-02" / "anat").mkdir(parents=True)
        (self.out / "sub-02" / "anat" / "sub-02_T1w.json").write_text("{}", encoding="utf-8")
        self.copy = self.world.folder / "copy"
        shutil.copytree(self.out, self.copy, symlinks=True)
        self.names = sorted(
            path.relative_to(self.out).as_posix() for path in self.out.rglob("*") if path.is_file()
        )
        self.record = json.loads((self.out / RECORD).read_text(encoding="utf-8"))
        self.promised = sorted(self.record["outputs"])
        self.others = self.state_of_others()
        self.contents = {name: Path(name).read_bytes() for name in self.others}

    def state_of_others(self) -> dict[str, tuple[int, int]]:
        """Tell every file that no run of this person may touch."""
        folder = self.world.folder
        roots = (folder / "data" / "raw", folder / "data" / "given", self.precious, self.copy,
                 self.out / "sub-02")  # fmt: skip
        return {
            str(path): (path.stat().st_size, path.stat().st_mtime_ns)
            for root in roots
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }

    def restore(self) -> None:
        """Put the outputs back."""
        shutil.rmtree(self.out, ignore_errors=True)
        shutil.copytree(self.copy, self.out, symlinks=True)
        shutil.rmtree(self.out.with_name("work"), ignore_errors=True)
        now = self.state_of_others()
        for name, state in self.others.items():
            if now.get(name) != state:
                Path(name).parent.mkdir(parents=True, exist_ok=True)
                Path(name).write_bytes(self.contents[name])
                os.utime(name, ns=(state[1], state[1]))

    def victims(self) -> tuple[Any, ...]:
        """Name files that are not this person's, in every way that a record could."""
        precious = self.precious / "table.tsv"
        # from OUTPUT_DIR
        up = "../../precious/table.tsv"
        return (
            str(precious), up, f"sub-01/../{up}", f"sub-01/anat/../../{up}",
            "../raw/dataset_description.json", str(self.world.images["T1w"]),
            f"/proc/self/root{precious}", "../given", "..", "/", ".", "", "~/table.tsv",
            "sub-02/anat/sub-02_T1w.json", f"{up}\x00", "a" * 5000, "link/table.tsv",
        )  # fmt: skip

    def disturb(self, rng: Random) -> str:
        """Disturb the record, the description, or an output."""
        which = pick(rng, ("record",) * 5 + ("output", "output", "description", "links"))
        if which == "output":
            path = self.out / pick(rng, self.promised)
            content, what = disturbed_bytes(rng, path.read_bytes())
            path.write_bytes(content)
            return f"{path.name}: {what}"
        if which == "links":
            # a folder of the outputs that leads elsewhere
            (self.out / "link").symlink_to(self.precious)
        name = RECORD if which != "description" else Path("dataset_description.json")
        content = json.loads((self.out / name).read_text(encoding="utf-8"))
        if which != "description" and rng.random() < 0.6:
            outputs, victim = content["outputs"], pick(rng, self.victims())
            outputs[victim] = pick(rng, (1, 18, -1, None, "18", 1e300, [], {}))
            (self.out / name).write_text(json.dumps(content), encoding="utf-8")
            return f"{name.name}: outputs hold {victim[:60]!r}"
        made, what = disturbed_json(rng, content, self.victims())
        (self.out / name).write_bytes(made)
        return f"{name.name}: {what}"


def _finished(world: World) -> Finished:
    return Finished(world)


def command(words: list[str], started: list[str] | None = None) -> Look:
    """Give a command; where it would compute, that is noted, and nothing is done."""

    def note(steps: Steps, *_: Any) -> list[Any]:
        if started is not None:
            started.extend(unit.name for unit in steps.units)
        return []

    def steps(participants: Any, settings: Any, _: Any, first: str) -> Steps:
        return Steps(run_units(participants, settings, first), settings)

    look = Look()
    patches = (
        mock.patch("wmhflow.workflows.study.init_study_wf", steps),
        mock.patch("wmhflow.workflows.execute.execute", note),
        mock.patch("wmhflow.cli.run.prepare_environment", return_value=None),
        mock.patch("wmhflow.cli.run.check_kernels", return_value=None),
    )
    with contextlib.ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        stack.enter_context(heard(look))
        look.code = main(words)
    return look


def records(world: World, rng: Random) -> Verdict:
    """Disturb what a finished visit left, and ask for it again."""
    finished: Finished = world.room(_finished)
    about = finished.disturb(rng)
    # the page alone made anew, from what is read back
    more = ["--reports-only"] if rng.random() < 0.15 else []
    about = " ".join([about, *more])
    started: list[str] = []
    try:
        look = command([*finished.world.words, *more], started)
        found = look.fault()
        if found:
            return Verdict(found.outcome, found.detail, about)
        if finished.state_of_others() != finished.others:
            before, now = finished.others, finished.state_of_others()
            gone = [name for name in before if now.get(name) != before[name]]
            return Verdict(HARM, f"changed or removed: {gone[:3]}", about)
        if started:
            return Verdict(MADE_ANEW, look.said, about)
        if look.code:
            return Verdict(REFUSED, look.said, about)
        return _taken_for_finished(finished, about, with_pages=not more)
    finally:
        finished.restore()


def _taken_for_finished(finished: Finished, about: str, *, with_pages: bool) -> Verdict:
    try:
        record = json.loads((finished.out / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        record = None
    if record != finished.record:
        return Verdict(OTHER_NUMBERS, "finished, by a record that says something else", about)
    names = [name for name in finished.promised if with_pages or not name.endswith(".html")]
    changed = [
        name
        for name in names
        if not (finished.out / name).is_file()
        or (finished.out / name).read_bytes() != (finished.copy / name).read_bytes()
    ]
    if changed:
        return Verdict(OTHER_NUMBERS, f"finished, with a damaged {changed[0]}", about)
    return Verdict(SAME, "", about)
