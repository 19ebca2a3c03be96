"""``wmhflow check``: what could go wrong on a cluster, looked at before anything is sent."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import wmhflow
from wmhflow.bids.query import find_subjects
from wmhflow.cli.places import why_unwritable
from wmhflow.cli.run import make_plans
from wmhflow.cluster.estimate import (
    CPUS,
    HEAD_VOXELS,
    Estimate,
    estimate_person,
    learn,
    most_of,
    needs_from,
)
from wmhflow.cluster.frozen import has_work_dir
from wmhflow.cluster.reading import read_submissions
from wmhflow.cluster.scheduler import Scheduler
from wmhflow.cluster.state import study_state
from wmhflow.cluster.submission import Needs
from wmhflow.cluster.text import estimate_text, minutes_text, needs_text
from wmhflow.errors import MissingProgramError, WmhflowError
from wmhflow.registries.executors import load_executors
from wmhflow.settings import Settings, Submission
from wmhflow.steps.containers import SINGULAR, find_runtime, is_file

OK, FAILED = 0, 1
# so long plans are made; of more people only some are looked at
PLANNING_S = 40.0
IMAGE_S = 60.0
GB = 1024**3
# What a visit of a head of 256 voxels a side writes, and keeps in the work folder meanwhile: 69 MB
# in 91 files, and 288 MB in 279, at most of those measured (docs/benchmarks.md), and some more.
OUTPUT_GB, N_OUTPUTS = 0.1, 120
WORK_GB, N_WORK = 0.6, 600
MOST_PROBLEMS = 10


@dataclass
class Findings:
    """What was found, one line each; ``wrong`` counts what would end tasks."""

    lines: list[str] = field(default_factory=list)
    wrong: int = 0

    def well(self, what: str, text: str) -> None:
        """Note what is as it should be."""
        self.lines.append(f"ok     {what}: {text}")

    def bad(self, what: str, text: str) -> None:
        """Note what is not."""
        self.lines.append(f"WRONG  {what}: {text}")
        self.wrong += 1

    def note(self, what: str, text: str) -> None:
        """Note what could not be told."""
        self.lines.append(f"?      {what}: {text}")


def check(settings: Settings, chosen: Submission) -> int:
    """Look at all that a submission depends on, and send nothing.

    Parameters
    ----------
    settings, chosen
        The options of a run, and of its submission.

    Returns
    -------
    int
        0 if nothing is wrong, else 1.

    Raises
    ------
    UsageError
        If the options are wrong.
    """
    found = Findings()
    subjects = find_subjects(settings.bids_dir, settings.inputs.participant_label)
    cpus = settings.execution.nprocs or CPUS
    estimates = _look_at_plans(settings, subjects, cpus, found)
    if estimates:
        most = most_of(estimates)
        tasks = study_state(settings.output_dir, read_submissions(settings.output_dir)).tasks
        learnt = learn(tasks, cpus)
        needs = needs_from(most, learnt, cpus)
        found.well("one person", f"{estimate_text(most, learnt, len(estimates))} A task would ask "
                   f"for {needs_text(needs)}.")  # fmt: skip
        for name, mem_gb, seconds in most.steps:
            found.lines.append(f"         {name}: {mem_gb:.1f} GB, {seconds:.0f} s")
        given = settings.execution.mem_gb
        if given is not None and given < most.mem_gb * learnt.memory:
            found.bad(
                "memory", f"--mem-gb {given:g} is less than the {most.mem_gb:.1f} GB expected"
            )
        asked = needs._replace(
            minutes=chosen.time or needs.minutes,
            mem_gb=given if given is not None else needs.mem_gb,
        )
        _look_at_limits(chosen, asked, most, found)
        _look_at_disks(settings, len(subjects), estimates, found)
    _look_at_image(chosen.image, found)
    print("\n".join(found.lines))
    print(f"{found.wrong} wrong." if found.wrong else "Nothing is wrong.")
    return FAILED if found.wrong else OK


def _look_at_plans(
    settings: Settings, subjects: Sequence[str], cpus: int, found: Findings
) -> list[Estimate]:
    deadline = time.monotonic() + PLANNING_S
    estimates: list[Estimate] = []
    problems: list[tuple[str, str]] = []
    refused: list[tuple[str, str]] = []
    n_seen = n_visits = 0
    with closing(make_plans(settings, _spread(subjects))) as plans:
        for plan in plans:
            n_seen += 1
            n_visits += len(plan.visits)
            problems += [(one.label, one.problem) for one in plan.visits if one.problem is not None]
            refused += [(one.label, why) for one in plan.visits for why in one.refused]
            if any(visit.problem is None for visit in plan.visits):
                estimates.append(estimate_person(plan, settings, cpus))
            if time.monotonic() > deadline:
                break
    some = "" if n_seen >= len(subjects) else f" of {len(subjects)}, spread over all of them"
    text = (
        f"{n_seen} persons{some}: {n_visits - len(problems)} of {n_visits} visits can be processed"
    )
    if refused:
        text += f"; {len(refused)} things that were given or asked for are refused, and end with 1"
    sound = estimates and not (problems or refused)
    (found.well if sound else found.bad)("plans", text)
    for group in (problems, refused):
        for count, (label, sentence) in _by_sentence(group)[:MOST_PROBLEMS]:
            more = f" (and {count - 1} like it)" if count > 1 else ""
            found.lines.append(f"         {label}: {sentence}{more}")
    return estimates


def _spread(subjects: Sequence[str]) -> list[str]:
    """Put everybody into an order in which any first part is spread over all."""
    step = 1 << max(0, len(subjects).bit_length() - 1)
    order: dict[str, None] = {}
    while step:
        order |= dict.fromkeys(subjects[::step])
        step //= 2
    return list(order)


def _by_sentence(problems: Sequence[tuple[str, str]]) -> list[tuple[int, tuple[str, str]]]:
    """Group problems that differ in the person's name alone, the most frequent first."""
    import re

    kinds = [re.sub(r"\S*sub-\S+", "…", sentence) for _, sentence in problems]
    counts = Counter(kinds)
    firsts = {kind: problems[kinds.index(kind)] for kind in counts}
    return [(count, firsts[kind]) for kind, count in counts.most_common()]


def _look_at_limits(chosen: Submission, asked: Needs, most: Estimate, found: Findings) -> None:
    minutes = asked.minutes
    scheduler = Scheduler(load_executors()[chosen.executor])
    try:
        scheduler.check_programs()
        scheduler.check_answer()
        limit, mem_gb = scheduler.limits(chosen.partition)
        found.well(
            "scheduler", f"{chosen.executor}, arrays of up to {scheduler.most_tasks()} tasks"
        )
    except WmhflowError as error:
        found.bad("scheduler", str(error))
        return
    known = scheduler.partitions()
    wanted = chosen.partition.split(",") if chosen.partition and known else []
    for name in wanted:
        if name not in known:
            found.bad("partition", f"there is no {name}; there are {', '.join(known)}")
    where = f"partition {chosen.partition}" if chosen.partition else "the default partition"
    if limit is None:
        found.note(
            "time limit", f"{where} tells none; a task would ask for {minutes_text(minutes)}"
        )
    elif minutes > limit:
        found.bad(
            "time limit",
            f"a task would ask for {minutes_text(minutes)}, and {where} gives "
            f"{minutes_text(limit)}; choose another with --partition, or give --time",
        )
    else:
        found.well("time limit", f"{minutes_text(minutes)} of {minutes_text(limit)} in {where}")
    if mem_gb is not None and asked.mem_gb > mem_gb:
        found.bad(
            "memory limit",
            f"a task would ask for {asked.mem_gb:g} GB, and a node of {where} has {mem_gb:.1f} GB; "
            "choose another with --partition, or give --mem-gb",
        )
    if chosen.time is not None and chosen.time < most.minutes:
        found.bad("time", f"--time {chosen.time} minutes is less than the "
                  f"{minutes_text(most.minutes)} expected")  # fmt: skip


def _look_at_disks(
    settings: Settings, n_persons: int, seen: Sequence[Estimate], found: Findings
) -> None:
    """Look for room for everybody's outputs, judged by those who were seen, and one work folder."""
    each = n_persons / len(seen)
    voxels, visits = sum(one.all_voxels for one in seen), sum(one.n_visits for one in seen)
    folder = settings.output_dir
    gb = each * OUTPUT_GB * voxels / HEAD_VOXELS
    _look_at_disk("OUTPUT_DIR", folder, gb, round(each * N_OUTPUTS * visits), found)
    given = settings.execution.work_dir if has_work_dir(settings) else None
    scratch = given or Path(os.environ.get("SLURM_TMPDIR") or tempfile.gettempdir())
    most = most_of(seen)
    gb = WORK_GB * most.all_voxels / HEAD_VOXELS
    _look_at_disk(
        "scratch, here (nodes may have other disks)", scratch, gb, N_WORK * most.n_visits, found
    )


def _look_at_disk(what: str, folder: Path, gb: float, n_files: int, found: Findings) -> None:
    if why := why_unwritable(folder):
        found.bad(what, f"{folder} cannot be written to ({why}); choose another folder")
        return
    folder = _there(folder)
    free = shutil.disk_usage(folder).free / GB
    facts = os.statvfs(folder)
    text = f"{folder} has {free:.1f} GB free, and about {gb:.1f} GB will be needed"
    if free < gb:
        found.bad(what, f"{text}; make room, or choose another folder")
    elif facts.f_files and facts.f_favail < n_files:
        found.bad(
            what, f"{folder} can hold {facts.f_favail} more files, and {n_files} will be made"
        )
    else:
        found.well(what, f"{text} (a quota of your own is not seen here)")


def _there(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(one for one in (folder, *folder.parents) if one.is_dir())


def _look_at_image(image: str | None, found: Findings) -> None:
    if image is None:
        return
    if is_file(image) and not Path(image).exists():
        found.bad("container", f"--image {image} does not exist")
        return
    try:
        runtime = find_runtime(image)
    except MissingProgramError as error:
        found.note(
            "container", f"{error} Nodes may have it.".replace("--segmenter-image", "--image")
        )
        return
    words = ["run", "--cleanenv"] if runtime in SINGULAR else ["run", "--rm", "--network", "none"]
    try:
        done = subprocess.run(
            [runtime, *words, image, "--version"], capture_output=True, text=True, check=False,
            timeout=IMAGE_S, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        found.bad("container", f"{image} does not answer within {IMAGE_S:.0f} s")
        return
    said = " ".join((done.stdout or done.stderr).split())[:200]
    if done.returncode or not said.startswith("wmhflow "):
        found.bad("container", f"{image} --version ended with {done.returncode}: {said}")
    elif said != f"wmhflow {wmhflow.__version__}":
        found.note("container", f"it holds {said}, and this is {wmhflow.__version__}")
    else:
        found.well("container", f"{image} holds {said} ({runtime})")
