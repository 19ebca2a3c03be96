"""Whole runs: in the process of the harness, and by the command line in one of their own."""

from __future__ import annotations

import csv
import gzip
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.fuzz.mutate import Random, disturbed_bytes, pick
from tests.fuzz.oracle import told, unpacked
from tests.fuzz.verdicts import (
    AS_IT_SAYS,
    FLAGGED,
    OTHER_NUMBERS,
    REFUSED,
    SAME,
    TRACEBACK,
    UNEXPECTED,
    Verdict,
)
from tests.fuzz.world import World, disturbed
from tests.inprocess import Done, run
from tests.runs import wmhflow

QC = "_desc-wmhflow_qc.tsv"


class Undisturbed:
    """The tables of a run of the undisturbed input."""

    def __init__(self, world: World) -> None:
        done = _run(world, world.words)
        if done.code:
            raise RuntimeError(f"the undisturbed input fails: {done.err}")
        self.tables = tables(world.coarse.out)
        self.checks = checks(world.coarse.out)
        clear(world)


def tables(out: Path) -> dict[str, bytes]:
    """Read all tables of an output folder."""
    return {path.name: path.read_bytes() for path in sorted(out.glob("sub-*/**/*.tsv"))}


def checks(out: Path) -> set[str]:
    """List what the QC table says ``check`` of."""
    found = set()
    for path in out.glob(f"sub-*/**/*{QC}"):
        with path.open(encoding="utf-8", newline="") as stream:
            rows = csv.DictReader(stream, delimiter="\t")
            found |= {row["metric"] for row in rows if row["verdict"] == "check"}
    return found


def clear(world: World) -> None:
    """Remove the outputs and the work folder."""
    for folder in (world.coarse.out, world.coarse.out.with_name("work")):
        shutil.rmtree(folder, ignore_errors=True)


def _run(world: World, words: Sequence[str]) -> Done:
    clear(world)
    return run(words)


def judge_whole(world: World, words: Sequence[str], about: str, why: str) -> Verdict:
    """Run all of it, and see whether the numbers are the undisturbed ones.

    Parameters
    ----------
    world
        The dataset, disturbed.
    words
        The arguments of the run.
    about
        What was disturbed.
    why
        Why a whole run is needed to tell; it is part of what is said of a fault.
    """
    base = world.room(_undisturbed_elsewhere)
    done = _run(world, words)
    try:
        return verdict_of(base, world.coarse.out, done, about, why)
    finally:
        clear(world)


def _undisturbed_elsewhere(world: World) -> Undisturbed:
    """Make the undisturbed tables from another dataset of the same bytes: this one is disturbed."""
    other = World(world.folder / "undisturbed")
    return Undisturbed(other)


def verdict_of(base: Undisturbed, out: Path, done: Done, about: str, why: str) -> Verdict:
    """Compare a run's exit, words and tables with those of the undisturbed input."""
    code, said = done.code, done.out + done.err
    found = UNEXPECTED.search(said)
    if found:
        return Verdict(TRACEBACK, said[max(0, found.start() - 300) : found.end() + 900], about)
    if code:
        return Verdict(REFUSED, done.err.strip()[-400:], about)
    now = tables(out)
    if now == base.tables:
        return Verdict(SAME, "", about)
    if checks(out) - base.checks:
        more = ", ".join(sorted(checks(out) - base.checks)[:4])
        return Verdict(FLAGGED, f"check in {more}", about)
    changed = sorted(name for name in base.tables if now.get(name) != base.tables[name])
    return Verdict(OTHER_NUMBERS, f"{why}; exit 0, no new check, other {changed[:4]}", about)


def wholes(world: World, rng: Random) -> Verdict:
    """Disturb a header, the voxels or the stream of an image, and run all of it here."""
    return _disturbed_run(world, rng, run)


def commands(world: World, rng: Random) -> Verdict:
    """The same by the command line, in a process of its own, with graph, workers and pages."""
    return _disturbed_run(world, rng, _by_command_line)


def _by_command_line(words: Sequence[str]) -> Done:
    done = wmhflow([*words, "--nprocs", "1"])
    return Done(done.returncode, done.stdout, done.stderr)


def _disturbed_run(world: World, rng: Random, run_it: Callable[[Sequence[str]], Done]) -> Verdict:
    """Run a disturbed input; if it is another sound one, its numbers may be others."""
    base: Undisturbed = world.room(_undisturbed_elsewhere)
    name = pick(rng, tuple(world.images))
    path = world.images[name]
    plain = gzip.decompress(path.read_bytes())
    if rng.random() < 0.5:
        made = bytearray(plain)
        at = int(rng.integers(len(made)))
        made[int(rng.integers(40, 348)) if rng.random() < 0.7 else at] ^= 1 << int(rng.integers(8))
        content, what = gzip.compress(bytes(made), 1, mtime=0), "a bit of the image"
    else:
        content, what = disturbed_bytes(rng, path.read_bytes())
    about = f"{name}: {what}"
    clear(world)
    try:
        with disturbed({path: content}):
            done = run_it(world.words)
        verdict = verdict_of(base, world.coarse.out, done, about, "a whole run")
    finally:
        clear(world)
    with np.errstate(all="ignore"):
        if verdict.outcome == OTHER_NUMBERS and told(unpacked(content, ".nii.gz")) is not None:
            return replace(verdict, outcome=AS_IT_SAYS)
    return verdict
