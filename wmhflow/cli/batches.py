"""The graphs of a run, each of some persons, one after the other."""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wmhflow.cli.image import folder_in_image
from wmhflow.cli.progress import Progress, person_of, short_name
from wmhflow.cli.steptimes import StepTimes, expected_steps
from wmhflow.errors import InputError, NoSpaceError, WmhflowError
from wmhflow.files.messages import how_said
from wmhflow.files.space import full_folder, no_space
from wmhflow.plan.visit import ParticipantPlan
from wmhflow.settings import Resources, Settings

if TYPE_CHECKING:
    from wmhflow.products.unit import Unit
    from wmhflow.workflows.plugin import Failure

# What the system says of a full disk, a worker that may have died of it, or any error that is not
# the program's own: nipype does not find the result that it could not write.
NO_SPACE = re.compile(r"[Nn]o space left|quota exceeded|was killed while|\w(Error|Exception)\b")
log = logging.getLogger("wmhflow")
# So few persons are one graph, however few processors there are.
LEAST_BATCH = 8


@dataclass(frozen=True)
class Problem:
    """Why a person's results are not complete."""

    person: str
    why: str


class Batches:
    """The graphs of a run, one after the other; what they share is computed in the first.

    Parameters
    ----------
    settings
        The run's settings.
    resources
        How many steps may run at once, and their memory.
    """

    def __init__(self, settings: Settings, resources: Resources) -> None:
        self.settings = settings
        self.resources = resources
        self.name = time.strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}"
        self.logs = settings.output_dir.resolve() / "logs"
        self.size = max(LEAST_BATCH, 4 * resources.nprocs)
        self.times = StepTimes.of_this_machine(folder_in_image(settings))
        self.n_run = 0
        self.is_stopped = False
        # who names the steps that all batches share
        self._first: str | None = None

    @property
    def resources_table(self) -> Path | None:
        """Where memory and CPU are recorded, if they are."""
        wanted = self.settings.reporting.resource_monitor
        return self.logs / f"{self.name}_resources.tsv" if wanted else None

    def run(self, plans: Sequence[ParticipantPlan]) -> list[Problem]:
        """Run the graph of some persons, and note whose visits are complete.

        Parameters
        ----------
        plans
            Visits that can be processed.

        Returns
        -------
        list of Problem
            One per person of whom a step failed.
        """
        from wmhflow.products.record import begin_again, write_record
        from wmhflow.workflows.execute import execute
        from wmhflow.workflows.study import init_study_wf
        from wmhflow.workflows.units import units_of

        if self.is_stopped:
            return []
        plans, depends_on, lost = self._begin(plans)
        if not plans:
            return lost
        self.n_run += 1
        self._first = self._first or plans[0].subject
        log_dirs = {plan.subject: self.logs / f"sub-{plan.subject}" / self.name for plan in plans}
        units = [unit for plan in plans for unit in units_of(plan, self.settings) if unit.record]
        for unit in units:
            begin_again(unit, self.settings.output_dir)
        workflow = init_study_wf(plans, self.settings, log_dirs, self._first)
        is_all = self.n_run == 1 and len(plans) < self.size
        progress = Progress(
            _count_steps(workflow),
            "" if is_all else f"batch {self.n_run}: ",
            expected_steps(plans, self.settings),
            self.times,
            self.resources.nprocs,
            how=how_said(self.settings.reporting),
        )
        number = "" if self.n_run == 1 else f"_{self.n_run}"
        log_file = self.logs / f"{self.name}{number}.log"
        with progress.shown():
            failures = execute(workflow, self.settings, self.resources, progress.step, log_file)
        problems = _problems_of(failures, log_dirs, self._told)
        changed = _changed_inputs(units, depends_on)
        for unit, why in changed.values():
            person = f"sub-{unit.place.subject}"
            problems.setdefault(person, Problem(person, why))
        work = Path(workflow.base_dir) / workflow.name
        # what was computed of one content may be kept there under the name of the other
        _clean(work, [plan for plan in plans if plan.subject in _persons(changed)])
        finished = [
            unit
            for unit in units
            if unit.name not in changed and self._is_written(unit, progress.ended)
        ]
        for unit in list(finished):
            try:
                write_record(unit, self.settings.output_dir, depends_on[unit.name])
            except (NoSpaceError, OSError) as error:
                finished.remove(unit)
                person = f"sub-{unit.place.subject}"
                why = f"{unit.name} could not be noted as finished: {self._told(str(error))}"
                problems.setdefault(person, Problem(person, why))
        self._write_other_pages(plans, problems, {unit.name for unit in finished})
        self.is_stopped = bool(problems) and self.settings.execution.stop_on_first_crash
        if not problems and self.settings.execution.clean_workdir == "on-success":
            _clean(work, plans)
        return [*lost, *problems.values()]

    def _begin(
        self, plans: Sequence[ParticipantPlan]
    ) -> tuple[list[ParticipantPlan], dict[str, dict[str, Any]], list[Problem]]:
        """State what each unit is made from; a person whose files are gone since is left out."""
        from wmhflow.products.record import made_from
        from wmhflow.workflows.units import units_of

        ready, lost = [], []
        depends_on: dict[str, dict[str, Any]] = {}
        for plan in plans:
            units = [unit for unit in units_of(plan, self.settings) if unit.record]
            try:
                depends_on |= {unit.name: made_from(unit) for unit in units}
            except InputError as error:
                lost.append(Problem(f"sub-{plan.subject}", str(error)))
            else:
                ready.append(plan)
        return ready, depends_on, lost

    def _is_written(self, unit: Unit, ended: Set[str]) -> bool:
        """Tell whether this run wrote all of a unit: files of an earlier one do not count."""
        from wmhflow.products.writing import with_writing
        from wmhflow.workflows.study import study_name
        from wmhflow.workflows.units import missing_files

        sinks = with_writing(unit, self.settings).recipes[len(unit.recipes) :]
        folder = ".".join([study_name(self.settings), *unit.folders])
        if not {f"{folder}.{sink.name}" for sink in sinks} <= ended:
            return False
        return not missing_files([unit], self.settings.output_dir)

    def _told(self, reason: str) -> str:
        """Say which folder of the run a full disk is about, where a step's reason may be one."""
        execution, out = self.settings.execution, self.settings.output_dir
        folders = {"OUTPUT_DIR": out, "--work-dir": execution.work_dir}
        folders["temporary files (TMPDIR)"] = Path(tempfile.gettempdir())
        if "No space left on /" in reason:
            named = reason.partition("No space left on ")[2].partition(";")[0]
            inside = [what for what, path in folders.items() if Path(named).is_relative_to(path)]
            # one may lie in another
            what = max(inside, key=lambda what: len(folders[what].parts), default=None)
            return f"{reason} (in {what})" if what else reason
        if not NO_SPACE.search(reason):
            return reason
        full = full_folder(folders.values())
        what = next((what for what, path in folders.items() if path == full), "")
        return f"{no_space(full)} (in {what})" if full else reason

    def _write_other_pages(
        self, plans: Sequence[ParticipantPlan], problems: Mapping[str, Problem], done: Set[str]
    ) -> None:
        """Write the page of those of whom only some visits could be finished: it says why."""
        from wmhflow.reports.person import write_report

        for plan in plans:
            problem = problems.get(f"sub-{plan.subject}")
            if problem is None or not done & {visit.label for visit in plan.visits}:
                continue
            visits = tuple(
                visit if visit.label in done else replace(visit, problem=problem.why)
                for visit in plan.visits
            )
            try:
                write_report(self.settings, replace(plan, visits=visits))
            except (WmhflowError, OSError) as error:
                log.warning("sub-%s: its page could not be written: %s", plan.subject, error)


def _changed_inputs(
    units: Iterable[Unit], depends_on: Mapping[str, dict[str, Any]]
) -> dict[str, tuple[Unit, str]]:
    """Say of each unit, by name, which of its inputs changed while it was processed."""
    from wmhflow.products.record import changed_inputs

    told = ((unit, changed_inputs(unit, depends_on[unit.name])) for unit in units)
    return {unit.name: (unit, why) for unit, why in told if why is not None}


def _persons(changed: Mapping[str, tuple[Unit, str]]) -> set[str]:
    return {unit.place.subject for unit, _ in changed.values()}


def _problems_of(
    failures: Iterable[Failure], log_dirs: Mapping[str, Path], told: Callable[[str], str] = str
) -> dict[str, Problem]:
    """Say per person which step failed first, and why."""
    problems: dict[str, Problem] = {}
    for failure in failures:
        person = person_of(failure.step)
        why = f"{short_name(failure.step)}: {told(failure.reason)}"
        if person is None:
            problems |= {f"sub-{subject}": Problem(f"sub-{subject}", why) for subject in log_dirs}
        else:
            hint = f" (traceback in {log_dirs[person.removeprefix('sub-')]})"
            problems.setdefault(person, Problem(person, why + hint))
    return problems


def _clean(folder: Path, plans: Iterable[ParticipantPlan]) -> None:
    """Remove what these persons' steps wrote and no more: other jobs may share the folder."""
    from wmhflow.products.visit import person_folder

    for plan in plans:
        shutil.rmtree(folder / person_folder(plan.subject), ignore_errors=True)


def _count_steps(workflow: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in workflow.list_node_names():
        person = person_of(f"{workflow.name}.{name}")
        if person is not None:
            counts[person] = counts.get(person, 0) + 1
    return counts
