"""What runs cost: ``python -m benchmarks.run [--folder FOLDER] [--only RUN …]`` prints tables.

One made person at 1 mm (:mod:`benchmarks.run.people`) goes through the command line as a user
would call it, each run in a process of its own: from raw images, then from given masks,
parcellation, warps and ten maps, then once more although all is finished. The example dataset and
the start of the program are measured beside them. Exit code 1 says that a figure that was asked for
was missed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks.run.measure import Cost, Folder, content_of, cost_of, shares, step_seconds
from benchmarks.run.people import write_given, write_raw

EXAMPLE = Path(__file__).parents[2] / "bids_examples" / "phantom"
PROCESSES = 2
# The most that is asked for: seconds, GB, MB and files.
MOST_GIVEN_S, MOST_GIVEN_GB, MOST_FINISHED_S, MOST_START_S = 15.0, 2.5, 2.0, 1.0
MOST_WORK_MB, MOST_WORK_FILES, MOST_OUTPUT_MB = 300.0, 400, 60.0


@dataclass(frozen=True)
class Measured:
    """A run: what it took, and what it left in its work folder and in its outputs."""

    name: str
    cost: Cost
    work: Folder | None = None
    output: Folder | None = None
    seconds: Counter[str] = field(default_factory=Counter)


class Asked(NamedTuple):
    """A figure, and the most that it may be."""

    what: str
    value: float
    most: float

    @property
    def is_missed(self) -> bool:
        """Whether it is more than it may be."""
        return self.value > self.most


class Runs:
    """The runs that are measured, each by its name; later ones need what earlier ones made.

    Parameters
    ----------
    folder
        Where the person is made and processed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: dict[str, Callable[[], list[Measured]]] = {
            "start": self.start,
            "demo": self.demo,
            "raw": self.raw,
            "given": self.given,
            "finished": self.finished,
        }

    def start(self) -> list[Measured]:
        """Measure how soon the program answers; the second call of each, as of a warm disk."""
        found = []
        for word in ("--version", "--help"):
            self._run(word)
            found.append(Measured(f"`wmhflow {word}`", self._run(word)))
        return found

    def demo(self) -> list[Measured]:
        """Measure the example dataset, person and study level, as ``make demo`` runs them."""
        given = [f"{name}={EXAMPLE / 'derivatives' / name}" for name in
                 ("lesions", "parcellation", "maps", "others")]  # fmt: skip
        person = self._measured("the example dataset", EXAMPLE, "demo", "-d", *given)
        out, work = self._emptied("demo", keep=True)
        study = self._run(str(EXAMPLE), str(out), "group", "-w", str(work))
        return [person, Measured("the example dataset, study level", study)]

    def raw(self) -> list[Measured]:
        """Measure the person from a raw T1w and FLAIR."""
        raw = self.folder / "raw"
        if not raw.is_dir():
            write_raw(self.folder)
        return [self._measured("one person from raw T1w and FLAIR", raw, "raw_run")]

    def given(self) -> list[Measured]:
        """Measure the person from masks, parcellation, warps and ten maps."""
        given = self.folder / "given"
        if not given.is_dir():
            if not (self.folder / "raw_run" / "out").is_dir():
                self.raw()
            write_given(self.folder, self.folder / "raw_run" / "out")
        name = "one person from given masks, parcellation, warps and ten maps"
        raw = self.folder / "raw"
        return [self._measured(name, raw, "given_run", "-d", f"given={given}")]

    def finished(self) -> list[Measured]:
        """Measure the same call once more, when nothing is left to do."""
        if not (self.folder / "given_run" / "out").is_dir():
            self.given()
        out, work = self._emptied("given_run", keep=True)
        words = [str(self.folder / "raw"), str(out), "participant", "-w", str(work)]
        cost = self._run(*words, "-d", f"given={self.folder / 'given'}")
        return [Measured("the same person, finished before", cost)]

    def _measured(self, name: str, raw: Path, place: str, *more: str) -> Measured:
        out, work = self._emptied(place)
        words = [str(raw), str(out), "participant", "-w", str(work), "--nprocs", str(PROCESSES)]
        cost = self._run(*words, *more)
        people = [*out.glob("sub-*"), *out.glob("logs/sub-*")]
        seconds = step_seconds(work)
        return Measured(name, cost, content_of(work), content_of(*people), seconds)

    def _emptied(self, place: str, *, keep: bool = False) -> tuple[Path, Path]:
        folder = self.folder / place
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        return folder / "out", folder / "work"

    def _run(self, *words: str) -> Cost:
        log = self.folder / "log.txt"
        try:
            return cost_of([sys.executable, "-m", "wmhflow", *words], log)
        except subprocess.CalledProcessError:
            sys.exit(f"wmhflow {' '.join(words)} failed:\n{log.read_text(encoding='utf-8')}")


def main() -> int:
    """Measure, print the tables, and say by the exit code whether a figure was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description="What runs of the program cost."
    )
    parser.add_argument("--folder", type=Path, help="where people are made and kept")
    parser.add_argument("--only", nargs="+", metavar="RUN",
                        choices=("start", "demo", "raw", "given", "finished"))  # fmt: skip
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (chosen.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        runs = Runs(folder).runs
        found = [one for name in chosen.only or runs for one in runs[name]()]
    print(table(found))
    asked = list(figures(found))
    print(asked_table(asked))
    return int(any(one.is_missed for one in asked))


def table(runs: list[Measured]) -> str:
    """Write the costs of runs as a Markdown table, and under it the steps that took longest."""
    load, cores = os.getloadavg()[0], os.cpu_count()
    lines = [
        f"{cores} processors, {PROCESSES} steps at once; load when the last run ended: {load:.1f}.",
        "",
        "| run | wall (s) | processor (s) | peak (GB) | work (files) | (MB) | out (files) | (MB) |",
        f"| --- |{' ---: |' * 7}",
    ]
    for one in runs:
        cost = one.cost
        cells = [f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", f"{cost.peak_gb:.2f}"]
        for folder in (one.work, one.output):
            cells += [str(folder.n_files), f"{folder.mb:.0f}"] if folder else ["", ""]
        lines.append(f"| {one.name} | {' | '.join(cells)} |")
    lines += ["", "Steps that took longest, and their share of the seconds of all steps:", ""]
    lines += [f"- {one.name}: {shares(one.seconds)}" for one in runs if one.seconds]
    return "\n".join([*lines, ""])


def figures(runs: list[Measured]) -> Iterator[Asked]:
    """Hold the runs against what is asked of them."""
    for one in runs:
        if "ten maps" in one.name and one.work and one.output:
            yield Asked("from given masks and warps with ten maps (s)", one.cost.wall_s,
                        MOST_GIVEN_S)  # fmt: skip
            yield Asked("its memory (GB)", one.cost.peak_gb, MOST_GIVEN_GB)
            yield Asked("its work folder (MB)", one.work.mb, MOST_WORK_MB)
            yield Asked("its work folder (files)", one.work.n_files, MOST_WORK_FILES)
            yield Asked("its output (MB)", one.output.mb, MOST_OUTPUT_MB)
        elif "raw" in one.name and one.work and one.output:
            yield Asked("work folder from raw images (MB)", one.work.mb, MOST_WORK_MB)
            yield Asked("work folder from raw images (files)", one.work.n_files, MOST_WORK_FILES)
            yield Asked("output from raw images (MB)", one.output.mb, MOST_OUTPUT_MB)
        elif "finished" in one.name:
            yield Asked("a person who was finished before (s)", one.cost.wall_s, MOST_FINISHED_S)
        elif one.name.startswith("`"):
            yield Asked(f"{one.name} (s)", one.cost.wall_s, MOST_START_S)


def asked_table(asked: list[Asked]) -> str:
    """Write what was asked beside what was measured."""
    lines = ["| figure | measured | asked | |", "| --- | ---: | ---: | --- |"]
    for one in asked:
        verdict = "**missed**" if one.is_missed else "ok"
        lines.append(f"| {one.what} | {one.value:.1f} | {one.most:g} | {verdict} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
