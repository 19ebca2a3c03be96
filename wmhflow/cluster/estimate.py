"""What a task will need: the plan's own estimate, corrected by what earlier tasks used."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

from wmhflow.cluster.state import TaskState, iter_used
from wmhflow.cluster.submission import Needs
from wmhflow.files.images import read_header
from wmhflow.plan.visit import ParticipantPlan, VisitPlan
from wmhflow.products.writing import with_writing
from wmhflow.settings import Settings
from wmhflow.steps.kinds import needs_of
from wmhflow.workflows.units import units_of

# the head for which steps state their needs
HEAD_VOXELS = 256**3
# by default a task has so many processors
CPUS = 2
# the program itself with its imports, and each process of a step
OWN_GB, WORKER_GB = 0.65, 0.3
# from the start to the first step, and of every step: a process, reading and writing
START_S, EACH_S = 20.0, 0.3
# What is asked for is more than what is expected: a task that is killed costs all of its time.
SPARE_MEMORY, SPARE_TIME = 1.25, 3.0
LEAST_MINUTES, STEP_MINUTES, STEP_GB = 15, 5, 0.5
# of fewer tasks nothing is learnt
LEARNT_FROM = 3


@dataclass(frozen=True)
class Estimate:
    """What a person needs, by the plan.

    Attributes
    ----------
    mem_gb, minutes
        Memory at most, and time from start to end.
    voxels
        Of the largest reference image.
    steps
        The steps that take longest: name, GB and seconds of each.
    n_visits, all_voxels
        How many visits are processed, and the voxels of all their reference images together.
    """

    mem_gb: float
    minutes: float
    voxels: int
    steps: tuple[tuple[str, float, float], ...] = ()
    n_visits: int = 1
    all_voxels: int = 0


def estimate_person(plan: ParticipantPlan, settings: Settings, cpus: int) -> Estimate:
    """Estimate the memory and time of a person from the plan's steps and the reference's voxels.

    Parameters
    ----------
    plan
        A person of whom a visit can be processed.
    settings
        The run's settings.
    cpus
        How many steps run at once.
    """
    sizes = {visit.label: reference_voxels(visit) for visit in plan.visits if visit.problem is None}
    steps: list[tuple[str, float, float]] = []
    for unit in units_of(plan, settings):
        scale = sizes.get(unit.name, max(sizes.values())) / HEAD_VOXELS
        for recipe in with_writing(unit, settings).recipes:
            needs = needs_of(recipe.function)
            mem_gb = (recipe.mem_gb or needs.mem_gb) * scale
            seconds = EACH_S + (recipe.seconds or needs.seconds) * scale
            steps.append((f"{unit.name} {recipe.name}", mem_gb, seconds))
    mem_gb = OWN_GB + WORKER_GB * cpus + sum(heapq.nlargest(cpus, (one[1] for one in steps)))
    # chains of steps leave more than two processors idle
    seconds = START_S + sum(one[2] for one in steps) / min(cpus, 2)
    longest = tuple(sorted(steps, key=lambda one: -one[2])[:5])
    voxels = sizes.values()
    return Estimate(mem_gb, seconds / 60, max(voxels), longest, len(voxels), sum(voxels))


def reference_voxels(visit: VisitPlan) -> int:
    """Count the voxels of the image whose grid holds all label images.

    Parameters
    ----------
    visit
        A plan without a problem.
    """
    shape, _, _ = read_header(visit.reference_file.path)
    return math.prod(shape)


def most_of(estimates: Sequence[Estimate]) -> Estimate:
    """Take the most of several persons: memory, time, visits and voxels."""
    longest = max(estimates, key=lambda one: one.minutes)
    return Estimate(
        max(one.mem_gb for one in estimates),
        longest.minutes,
        max(one.voxels for one in estimates),
        longest.steps,
        max(one.n_visits for one in estimates),
        max(one.all_voxels for one in estimates),
    )


@dataclass(frozen=True)
class Learnt:
    """How many times the estimate tasks that ended well used, at most; 1 where nothing was learnt.

    ``n_memory`` and ``n_minutes`` count the tasks that told; 0 where nothing was learnt.
    """

    memory: float = 1.0
    minutes: float = 1.0
    n_memory: int = 0
    n_minutes: int = 0


def learn(tasks: Sequence[TaskState], cpus: int) -> Learnt:
    """Compare what tasks used with what had been estimated for them.

    That less is needed than was expected is learnt from those alone who made all steps: one who
    was done before, or goes on from where another task was killed, takes seconds and little memory.

    Parameters
    ----------
    tasks
        Those that were submitted before.
    cpus
        Of the next ones; others tell nothing about these.
    """
    ended = [one for one in iter_used(tasks) if one.cut.needs.cpus == cpus]
    # less than the program itself takes was not measured of it, but of what started its container
    memory, n_memory = _most_times(ended, "mem_gb", OWN_GB)
    minutes, n_minutes = _most_times(ended, "minutes", 0.0)
    return Learnt(memory, minutes, n_memory, n_minutes)


def _most_times(tasks: Sequence[TaskState], what: str, least: float) -> tuple[float, int]:
    """Return the largest ratio of used to expected, and of how many tasks it is."""
    told = [
        (used / expected, one.is_whole)
        for one in tasks
        if (used := getattr(one, what))
        and used >= least
        and (expected := one.submission.estimate.get(what))
    ]
    most = max((times for times, _ in told), default=0.0)
    n_whole = sum(is_whole for _, is_whole in told)
    is_learnt = len(told) >= LEARNT_FROM and (most > 1 or n_whole >= LEARNT_FROM)
    return (most, len(told)) if is_learnt else (1.0, 0)


def needs_from(estimate: Estimate, learnt: Learnt, cpus: int) -> Needs:
    """Say what a task asks for: the estimate, corrected, with room to spare.

    Examples
    --------
    >>> needs_from(Estimate(2.9, 12.0, 256**3), Learnt(), 2)
    Needs(mem_gb=4.0, minutes=40, cpus=2)
    >>> needs_from(Estimate(2.9, 12.0, 256**3), Learnt(0.5, 2.0, 10, 10), 2)
    Needs(mem_gb=2.0, minutes=75, cpus=2)
    """
    mem_gb = math.ceil(estimate.mem_gb * learnt.memory * SPARE_MEMORY / STEP_GB) * STEP_GB
    minutes = math.ceil(estimate.minutes * learnt.minutes * SPARE_TIME / STEP_MINUTES)
    return Needs(mem_gb, max(LEAST_MINUTES, minutes * STEP_MINUTES), cpus)
