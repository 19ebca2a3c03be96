"""How long steps took on this machine before, and so how long a run will still take.

The times stand in a small file beside the caches. Nothing but the display uses them: a file that is
missing, damaged or not to be written costs the time left, and nothing else.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wmhflow.errors import InputError
from wmhflow.files.caches import cache_folder
from wmhflow.plan.visit import ParticipantPlan
from wmhflow.settings import Settings

FILE = "seconds_per_million_voxels.json"
# A file of this program is far smaller; and so many kinds of steps there are at most.
MOST_BYTES, MOST_KINDS = 2**18, 2000
# No step takes a day for a head of 16 million voxels.
MOST_RATE = 5000.0
# Later runs count more: a machine may have become faster, or busier.
REMEMBERED = 20
MILLION = 1e6
# So much of what is left has to be of known kinds, or nothing is said.
LEAST_KNOWN = 0.5
# A step that runs longer than ever goes on for as long again as it is over its time; and for so
# much of its time at least.
LEAST_SHARE = 0.1
# So many seconds of steps have to be seen before the pace of a run counts for half.
PACE_S = 10.0
log = logging.getLogger("wmhflow")


@dataclass(frozen=True)
class Expected:
    """A step that will run: its kind, the voxels of its image, and the seconds that it states.

    ``stated_s`` is by the program, not by this machine; ``after`` are the steps that it waits for.
    """

    kind: str
    voxels: int
    stated_s: float
    after: tuple[str, ...] = ()


def expected_steps(plans: Iterable[ParticipantPlan], settings: Settings) -> dict[str, Expected]:
    """State what is known of every step of some persons, by its full name in the graph.

    Parameters
    ----------
    plans
        Visits that can be processed.
    settings
        The run's settings.
    """
    # they know compiled functions, whose folder is chosen after this module is imported
    from wmhflow.cluster.estimate import EACH_S, HEAD_VOXELS, reference_voxels
    from wmhflow.products.product import parts_of
    from wmhflow.products.writing import with_writing
    from wmhflow.steps.kinds import needs_of
    from wmhflow.workflows.study import study_name
    from wmhflow.workflows.units import units_of

    expected: dict[str, Expected] = {}
    for plan in plans:
        try:
            sizes = {visit.label: reference_voxels(visit) for visit in plan.visits}
        except InputError as error:
            # a file that is gone since it was planned: whoever needs it says so
            log.debug("sub-%s: %s", plan.subject, error)
            continue
        for unit in units_of(plan, settings):
            voxels = sizes.get(unit.name, max(sizes.values()))
            folder = ".".join([study_name(settings), *unit.folders])
            written = with_writing(unit, settings)
            scale = voxels / HEAD_VOXELS
            for recipe in written.recipes:
                stated = EACH_S + (recipe.seconds or needs_of(recipe.function).seconds) * scale
                kind = f"{recipe.function.__module__}.{recipe.function.__qualname__}"
                taken = (*recipe.takes.values(), *recipe.beside.values(), recipe.after)
                makers = (written.makers.get(part) for part in parts_of(taken) if type(part) is str)
                after = tuple(f"{folder}.{one.name}" for one in makers if one is not None)
                expected[f"{folder}.{recipe.name}"] = Expected(kind, voxels, stated, after)
    return expected


class Pace:
    """How much longer steps take in this run than they took before, as on a busy machine.

    Examples
    --------
    >>> pace = Pace()
    >>> pace.add(60.0, 180.0)
    >>> round(pace.factor([]), 1), round(pace.factor([(60.0, 20.0), (10.0, 60.0)]), 1)
    (2.7, 3.1)
    """

    def __init__(self) -> None:
        self._expected_s = self._taken_s = 0.0

    def add(self, expected_s: float, taken_s: float) -> None:
        """Take note of a step that ended."""
        self._expected_s += expected_s
        self._taken_s += taken_s

    def factor(self, running: Iterable[tuple[float, float]]) -> float:
        """Return by how much the times known before are to be multiplied.

        Parameters
        ----------
        running
            Of steps that run: the seconds expected, and those passed. Who is in time tells nothing.
        """
        late = [(expected, since) for expected, since in running if since > expected]
        expected_s = self._expected_s + sum(expected for expected, _ in late)
        taken_s = self._taken_s + sum(since for _, since in late)
        return (taken_s + PACE_S) / (expected_s + PACE_S)


def seconds_to_end(whole: float, since: float, factor: float = 1.0) -> float:
    """Estimate how long a step goes on; the longer over its time, the longer.

    Parameters
    ----------
    whole
        Seconds that it took before.
    since
        Seconds for which it runs already.
    factor
        The pace of this run.

    Examples
    --------
    >>> [round(seconds_to_end(60.0, since)) for since in (0, 30, 60, 120, 600)]
    [60, 30, 6, 66, 546]
    """
    late = max(since - whole, 0.0)
    return max(factor * whole - since, LEAST_SHARE * factor * whole + late)


class StepTimes:
    """Seconds per million voxels of every kind of step, kept from run to run.

    Parameters
    ----------
    path
        The file; None keeps nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._known = _read(path) if path is not None else {}

    @classmethod
    def of_this_machine(cls, own: Path | None = None) -> StepTimes:
        """Return what is kept beside the caches, which lie in ``own`` inside the image."""
        folder = cache_folder("steps") if own is None else own / "caches"
        return cls(folder / FILE)

    def add(self, step: Expected, seconds: float) -> None:
        """Take note that a step took so long."""
        rate = seconds / max(step.voxels, 1) * MILLION
        if not 0 <= rate <= MOST_RATE:
            return
        mean, n = self._known.get(step.kind, (rate, 0))
        n = min(n + 1, REMEMBERED)
        self._known[step.kind] = (mean + (rate - mean) / n, n)

    def expect(self, step: Expected) -> float | None:
        """Return how many seconds a step will take; None if its kind was not seen here before."""
        known = self._known.get(step.kind)
        return None if known is None else known[0] * step.voxels / MILLION

    def seconds_left(
        self, steps: Mapping[str, tuple[Expected, float]], at_once: int, pace: Pace | None = None
    ) -> float | None:
        """Estimate how long steps will take together.

        Parameters
        ----------
        steps
            Those that are not done yet, by name, with the seconds for which each one runs already;
            a step stands after those that it waits for.
        at_once
            How many run at the same time.
        pace
            Of the run, which is that of earlier ones by default.

        Returns
        -------
        float or None
            What is left of all of them, divided by how many run at once, but at least the longest
            chain of steps that wait for each other. None where too little of it was seen before.
            Steps of an unknown kind take so many times the time that they state as the known ones.
        """
        expected = {name: self.expect(step) for name, (step, _) in steps.items()}
        stated = sum(step.stated_s for step, _ in steps.values())
        known = {name: seconds for name, seconds in expected.items() if seconds is not None}
        known_stated = sum(steps[name][0].stated_s for name in known)
        if stated == 0 or known_stated < LEAST_KNOWN * stated:
            return None
        scale = sum(known.values()) / known_stated
        factor = (pace or Pace()).factor((known[name], steps[name][1]) for name in known)
        total, ends = 0.0, dict[str, float]()
        for name, (step, since) in steps.items():
            whole = known.get(name, scale * step.stated_s)
            left = seconds_to_end(whole, since, factor)
            total += left
            ends[name] = left + max((ends.get(one, 0.0) for one in step.after), default=0.0)
        return max(total / max(at_once, 1), *ends.values())

    def save(self) -> None:
        """Keep the times for later runs, whole or not at all."""
        if self.path is None or not self._known:
            return
        kept = sorted(self._known.items())[:MOST_KINDS]
        text = json.dumps({kind: [round(rate, 6), n] for kind, (rate, n) in kept}, indent=0)
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(self.path)
        except OSError as error:
            log.debug("%s is not kept: %s", self.path, error.strerror)


def _read(path: Path) -> dict[str, tuple[float, int]]:
    """Read what an earlier run kept, of which nothing is believed that cannot be."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return {}
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        log.debug("%s cannot be read: %s", path, error)
        return {}
    if not isinstance(content, Mapping):
        return {}
    found = {kind: _entry(value) for kind, value in content.items()}
    return {kind: entry for kind, entry in found.items() if entry is not None}


def _entry(value: Any) -> tuple[float, int] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    rate, n = value
    if isinstance(rate, bool) or not isinstance(rate, int | float) or type(n) is not int:
        return None
    if not math.isfinite(rate) or not 0 <= rate <= MOST_RATE or not 1 <= n <= REMEMBERED:
        return None
    return float(rate), n


def time_text(seconds: float) -> str:
    """Say how long something takes, roughly.

    Examples
    --------
    >>> [time_text(seconds) for seconds in (20, 100, 3000, 8000)]
    ['less than 1 min', '2 min', '50 min', '2 h 13 min']
    """
    if seconds < 60:
        return "less than 1 min"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
