"""The graphs of a run, each of some persons, one after the other."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wmhflow.cli.progress import Progress, person_of, short_name
from wmhflow.plan.visit import ParticipantPlan
from wmhflow.products.outputs import missing_promises
from wmhflow.products.record import begin_again, visit_record, write_record
from wmhflow.settings import Resources, Settings

if TYPE_CHECKING:
    from wmhflow.workflows.plugin import Failure

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
        from wmhflow.workflows.execute import execute
        from wmhflow.workflows.study import init_study_wf

        if self.is_stopped:
            return []
        self.n_run += 1
        self._first = self._first or plans[0].subject
        log_dirs = {plan.subject: self.logs / f"sub-{plan.subject}" / self.name for plan in plans}
        made_from = {}
        for visit in (visit for plan in plans for visit in plan.visits):
            made_from[visit.label] = visit_record(visit, self.settings)
            begin_again(visit, self.settings)
        workflow = init_study_wf(plans, self.settings, log_dirs, self._first)
        is_all = self.n_run == 1 and len(plans) < self.size
        progress = Progress(_count_steps(workflow), "" if is_all else f"batch {self.n_run}: ")
        number = "" if self.n_run == 1 else f"_{self.n_run}"
        log_file = self.logs / f"{self.name}{number}.log"
        with progress.shown():
            failures = execute(workflow, self.settings, self.resources, progress.step, log_file)
        problems = _problems_of(failures, log_dirs)
        _finish(self.settings, plans, problems, made_from)
        self.is_stopped = bool(problems) and self.settings.execution.stop_on_first_crash
        if not problems and self.settings.execution.clean_workdir == "on-success":
            _clean(Path(workflow.base_dir) / workflow.name, plans)
        return list(problems.values())


def _problems_of(failures: Iterable[Failure], log_dirs: Mapping[str, Path]) -> dict[str, Problem]:
    """Say per person which step failed first, and why."""
    problems: dict[str, Problem] = {}
    for failure in failures:
        person = person_of(failure.step)
        why = f"{short_name(failure.step)}: {failure.reason}"
        if person == "template":
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
        if person != "template":
            counts[person] = counts.get(person, 0) + 1
    return counts


def _finish(
    settings: Settings,
    plans: Sequence[ParticipantPlan],
    problems: dict[str, Problem],
    made_from: dict[str, dict[str, Any]],
) -> None:
    """Note which visits are complete; a visit that lacks a promised file is not."""
    for plan in plans:
        for visit in plan.visits:
            alone = ParticipantPlan(plan.subject, (visit,))
            missing = [path for path in missing_promises(settings, alone) if path.suffix != ".html"]
            if not missing and f"sub-{plan.subject}" not in problems:
                write_record(visit, settings, made_from[visit.label])
