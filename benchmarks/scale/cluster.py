"""Ten thousand people with steps that do nothing: ``python -m benchmarks.scale.cluster N``.

What is left is what the program itself costs a study, on one machine: everybody planned, sent to a
scheduler (a program in its place that only counts), their promised files and records written as a
task would write them, all looked for again as a second run does, reported by ``wmhflow status``,
and gathered by the group level. People are those of :mod:`benchmarks.scale.plan`; tables are made
as in :mod:`benchmarks.scale.group`, images and pages are empty.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.scale.group import N_VARIANTS, made_lines
from benchmarks.scale.plan import arguments, make_people
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.cluster.reading import read_submissions
from wmhflow.products.columns import names
from wmhflow.products.record import (
    begin_again,
    is_finished,
    is_page_whole,
    made_from,
    note_page,
    write_record,
)
from wmhflow.products.tables import TABLES
from wmhflow.products.unit import Unit
from wmhflow.settings import Settings
from wmhflow.workflows.units import units_of

# Stand in for a scheduler: jobs get numbers, and nobody has ever heard of them afterwards.
PROGRAMS = {"sbatch": "echo $(date +%N)", "squeue": ":", "sacct": ":", "scancel": ":",
            "scontrol": "echo MaxArraySize = 1001", "sinfo": ":"}  # fmt: skip
NOTE = "=== wmhflow task {what}: sub-{person}, job {job}.{number} on node, {at} ===\n"
GB_PER_KB = 1024 / 1e9


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale.cluster",
        description="What the program itself costs a study.",
    )
    parser.add_argument("people", type=int, nargs="?", default=10_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_people(folder, chosen.people)
        print(f"| {chosen.people} people | wall (s) | processor (s) | a person (ms) |")
        print("| --- | ---: | ---: | ---: |", flush=True)
        study = Study(folder)
        for what, work in study.stages():
            started = time.monotonic(), _busy()
            work()
            wall, busy = time.monotonic() - started[0], _busy() - started[1]
            print(f"| {what} | {wall:.1f} | {busy:.1f} | {1000 * wall / chosen.people:.1f} |",
                  flush=True)  # fmt: skip
        used = [resource.getrusage(of).ru_maxrss * GB_PER_KB for of in
                (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]  # fmt: skip
        n_files = sum(len(files) for _, _, files in os.walk(folder / "out"))
        print(f"\nPeak memory {max(used):.2f} GB; {n_files / chosen.people:.0f} files a person.")
    return 0


def _busy() -> float:
    """Return the seconds of processors that this process and its children took."""
    return sum(os.times()[:4])


class Study:
    """People of whom nothing but the program's own books is made.

    Parameters
    ----------
    folder
        That :func:`make_people` made people in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.settings: Settings = parse_settings(arguments(folder))
        programs = folder / "bin"
        programs.mkdir()
        for name, does in PROGRAMS.items():
            (programs / name).write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
            (programs / name).chmod(0o755)
        self.variables = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}

    def stages(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """List what is measured, in order."""
        yield "planned", self.plan
        yield "submitted", self.submit
        yield "promised files and records written", self.record
        yield "found finished, every file read", self.find
        yield "reported by `wmhflow status`", self.report
        yield "gathered by `wmhflow … group`", self.gather

    def plan(self) -> None:
        """Plan everybody, as one run of all would."""
        for _ in make_plans(self.settings):
            pass

    def submit(self) -> None:
        """Send everybody to the scheduler."""
        words = arguments(self.folder)
        words.remove("participant")
        self._run("submit", *words, "--executor", "slurm")

    def record(self) -> None:
        """Write what everybody's units promise, and note that they are finished."""
        rng = np.random.default_rng(1)
        lines = {
            kind: [made_lines(kind, one.columns, rng) for _ in range(N_VARIANTS)]
            for kind, one in TABLES.items()
        }
        for plan in make_plans(self.settings):
            for unit in units_of(plan, self.settings):
                self._write(unit, lines, rng)
            page = f"sub-{plan.subject}.html"
            note_page(plan.subject, self.out, [Path(page)])

    def _write(
        self, unit: Unit, lines: dict[str, list[list[str]]], rng: np.random.Generator
    ) -> None:
        depends_on = made_from(unit) if unit.record else {}
        if unit.record:
            begin_again(unit, self.out)
        tables = {one.path(unit.place): kind for kind, one in TABLES.items()}
        for path in unit.files:
            target = self.out / path
            target.parent.mkdir(parents=True, exist_ok=True)
            text = ""
            if kind := tables.get(path):
                drawn = rng.integers(N_VARIANTS, size=len(lines[kind][0])).tolist()
                chosen = [lines[kind][variant][place] for place, variant in enumerate(drawn)]
                head = "\t".join(names(TABLES[kind].columns))
                text = "\n".join([head, *chosen, ""])
            target.write_text(text, encoding="utf-8")
        if unit.record:
            write_record(unit, self.out, depends_on)

    def find(self) -> None:
        """Look whether everybody is finished; everybody is."""
        for plan in make_plans(self.settings):
            page = Path(f"sub-{plan.subject}.html")
            done = [is_finished(unit, self.out) for unit in units_of(plan, self.settings)
                    if unit.record]  # fmt: skip
            if not all(done) or not is_page_whole(plan.subject, self.out, page):
                raise SystemExit(f"sub-{plan.subject} counts as unfinished")

    def report(self) -> None:
        """Let ``wmhflow status`` read what tasks noted in their logs; everybody is done."""
        for submission in read_submissions(self.out):
            for task, cut, number in submission.places():
                log = submission.log(cut, number)
                log.parent.mkdir(exist_ok=True)
                about = {"person": task.subject, "job": cut.job, "number": number}
                notes = [
                    NOTE.format(what=what, at=at, **about)
                    for what, at in (("begin", 100), ("end 0", 160))
                ]
                log.write_text("".join(notes), encoding="utf-8")
        said = self._run("status", str(self.out), "--json")
        counts = json.loads(said)["counts"]
        if counts["done"] != sum(counts.values()):
            raise SystemExit(f"not all are done: {counts}")

    def gather(self) -> None:
        """Gather everybody's tables."""
        self._run(str(self.folder / "raw"), str(self.out), "group")

    def _run(self, *words: str) -> str:
        command = [sys.executable, "-m", "wmhflow", *words]
        done = subprocess.run(
            command, env=self.variables, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"wmhflow {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout


if __name__ == "__main__":
    sys.exit(main())
