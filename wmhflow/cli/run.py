"""Participant level: from settings to written outputs and an exit code that tells the truth."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wmhflow.bids.query import check_dataset, find_subjects, misnamed_files, open_query
from wmhflow.cli.progress import Progress, person_of, short_name
from wmhflow.cli.resources import find_resources, monitor, prepare_environment
from wmhflow.errors import MissingProgramError, NothingToDoError, UsageError
from wmhflow.plan.atlases import PlannedAtlases
from wmhflow.plan.planner import plan_participant
from wmhflow.plan.text import format_plan
from wmhflow.plan.visit import ParticipantPlan
from wmhflow.products.outputs import missing_promises
from wmhflow.products.record import (
    begin_again,
    is_finished,
    record_path,
    visit_record,
    write_record,
)
from wmhflow.products.rows import check_crosses
from wmhflow.registries.maps import load_maps
from wmhflow.settings import Resources, Settings

OK, FAILED = 0, 1
log = logging.getLogger("wmhflow")


@dataclass(frozen=True)
class Problem:
    """Why a person's results are not complete."""

    person: str
    why: str


def run_participants(settings: Settings) -> int:
    """Process every person asked for.

    Parameters
    ----------
    settings
        The run's settings.

    Returns
    -------
    int
        0 if everything promised was written, else 1.

    Raises
    ------
    UsageError
        If the datasets or the options are wrong.
    NothingToDoError
        If there is nobody to process.
    """
    _check_folders(settings)
    if settings.reporting.boilerplate_only:
        return _write_boilerplate(settings)
    plans = make_plans(settings)
    if settings.reporting.dry_run:
        print(format_plan(plans), end="")
        return OK
    _make_output_dir(settings)
    resources = find_resources(settings.execution)
    prepare_environment(resources)
    if settings.reporting.reports_only:
        return _write_reports(settings, plans)
    return _process(settings, plans, resources)


def _check_folders(settings: Settings) -> None:
    check_dataset(settings.bids_dir, "BIDS_DIR")
    inside = (settings.bids_dir, *(named.path for named in settings.inputs.derivatives))
    if settings.output_dir.resolve() in {path.resolve() for path in inside}:
        raise UsageError(
            f"OUTPUT_DIR {settings.output_dir} is one of the input datasets, which are never "
            "written to; choose another folder."
        )
    for what, folder in (
        ("OUTPUT_DIR", settings.output_dir),
        ("--work-dir", settings.execution.work_dir),
    ):
        within = [path for path in inside[1:] if _is_within(folder, path)]
        if within or (what == "--work-dir" and _is_within(folder, settings.bids_dir)):
            raise UsageError(
                f"{what} {folder} lies inside an input dataset, which is never written to; "
                "choose another folder."
            )
    if any(named.name == "raw" for named in settings.inputs.derivatives):
        raise UsageError("--derivatives: 'raw' is the name of BIDS_DIR; choose another name.")
    if settings.output_dir.exists() and not settings.output_dir.is_dir():
        raise UsageError(f"OUTPUT_DIR {settings.output_dir} is a file; choose a folder.")


def _check_programs(settings: Settings) -> None:
    command = settings.anatomy.wmh_command
    if command and shutil.which(shlex.split(command)[0]) is None:
        raise MissingProgramError(
            f"--wmh-command: {shlex.split(command)[0]} is not installed or not on PATH."
        )


def _is_within(folder: Path, dataset: Path) -> bool:
    return folder.resolve().is_relative_to(dataset.resolve())


def _make_output_dir(settings: Settings) -> None:
    """Make both folders now, so that a read-only one is found before an hour is spent."""
    for what, folder in (
        ("OUTPUT_DIR", settings.output_dir),
        ("--work-dir", settings.execution.work_dir),
    ):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            writable = os.access(folder, os.W_OK)
        except OSError:
            writable = False
        if not writable:
            raise UsageError(f"{what} {folder} cannot be written to; choose another folder.")


def make_plans(settings: Settings) -> list[ParticipantPlan]:
    """Query the datasets and plan every person asked for.

    Parameters
    ----------
    settings
        The run's settings.

    Raises
    ------
    UsageError
        If a person or a visit asked for does not exist.
    NothingToDoError
        If there is nobody to process.
    MissingProgramError
        If the program of ``--wmh-command`` is not installed.
    """
    _check_programs(settings)
    check_crosses(settings.regions)
    maps = load_maps(settings.inputs.maps)
    atlases = PlannedAtlases(settings.regions)
    subjects = find_subjects(settings.bids_dir, settings.inputs.participant_label)
    query = open_query(settings.bids_dir, subjects, settings.inputs)
    if not settings.inputs.skip_bids_validation:
        for subject in subjects:
            for path in misnamed_files(query, subject):
                log.warning("%s has a name that BIDS does not know.", path)

    def is_recorded(subject: str, session: str | None) -> bool:
        return (settings.output_dir / record_path(subject, session)).is_file()

    plans = [
        plan_participant(query, subject, settings, maps, is_recorded, atlases)
        for subject in subjects
    ]
    _check_sessions(settings, plans)
    return [plan for plan in plans if plan.visits]


def _check_sessions(settings: Settings, plans: Sequence[ParticipantPlan]) -> None:
    wanted = settings.inputs.session_label
    there = {visit.session for plan in plans for visit in plan.visits}
    unknown = [label for label in wanted if label not in there]
    if unknown:
        raise UsageError(f"--session-label: none of the persons has a ses-{unknown[0]}.")
    if not there:
        raise NothingToDoError("No visit was found.")


def _write_boilerplate(settings: Settings) -> int:
    from wmhflow.products.dataset import write_dataset_files

    # the text names the atlases: there have to be such
    PlannedAtlases(settings.regions)

    _make_output_dir(settings)
    write_dataset_files(settings)
    print(f"Methods text: {settings.output_dir / 'logs' / 'CITATION.md'}")
    return OK


def _write_reports(settings: Settings, plans: Sequence[ParticipantPlan]) -> int:
    from wmhflow.reports.person import write_report

    problems = []
    for plan in plans:
        person = f"sub-{plan.subject}"
        unfinished = [visit.label for visit in plan.visits if not is_finished(visit, settings)]
        if unfinished:
            why = f"{unfinished[0]} is not finished; run without --reports-only first"
            problems.append(Problem(person, why))
        if len(unfinished) < len(plan.visits):
            print(f"Report: {write_report(settings, plan)}")
    return _summarise(settings, plans, problems)


def _process(settings: Settings, plans: Sequence[ParticipantPlan], resources: Resources) -> int:
    """Run what is not finished, and look for every promised file afterwards."""
    from wmhflow.products.dataset import write_dataset_files

    problems = [
        Problem(visit.label, visit.problem)
        for plan in plans
        for visit in plan.visits
        if visit.problem
    ]
    left = [plan for plan in (_unfinished(plan, settings) for plan in plans) if plan.visits]
    write_dataset_files(settings)
    if left:
        problems += _run_graph(settings, left, resources)
    problems += _unkept(settings, plans, {problem.person for problem in problems})
    return _summarise(settings, plans, problems)


def _unfinished(plan: ParticipantPlan, settings: Settings) -> ParticipantPlan:
    """Keep the visits that can be processed, if any of the person's is not finished yet."""
    visits = tuple(visit for visit in plan.visits if visit.problem is None)
    impossible = tuple(visit for visit in plan.visits if visit.problem is not None)
    promised = replace(plan, visits=visits, earlier=(*plan.earlier, *impossible))
    complete = not missing_promises(settings, promised)
    if complete and all(is_finished(visit, settings) for visit in visits):
        return replace(plan, visits=())
    return promised


def _run_graph(
    settings: Settings, plans: Sequence[ParticipantPlan], resources: Resources
) -> list[Problem]:
    from wmhflow.products.visit import person_folder
    from wmhflow.workflows.execute import execute
    from wmhflow.workflows.study import init_study_wf

    run = time.strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}"
    logs = settings.output_dir.resolve() / "logs"
    log_dirs = {plan.subject: logs / f"sub-{plan.subject}" / run for plan in plans}
    made_from = {}
    for visit in (visit for plan in plans for visit in plan.visits):
        made_from[visit.label] = visit_record(visit, settings)
        begin_again(visit, settings)
    workflow = init_study_wf(plans, settings, log_dirs)
    progress = Progress(_count_steps(workflow))
    table = logs / f"{run}_resources.tsv" if settings.reporting.resource_monitor else None
    with monitor(table), progress.shown():
        failures = execute(workflow, settings, resources, progress.step, logs / f"{run}.log")
    problems: dict[str, Problem] = {}
    for failure in failures:
        person = person_of(failure.step)
        why = f"{short_name(failure.step)}: {failure.reason}"
        if person == "template":
            problems |= {
                f"sub-{plan.subject}": Problem(f"sub-{plan.subject}", why) for plan in plans
            }
        else:
            problems.setdefault(person, Problem(person, why + _traceback_hint(log_dirs, person)))
    _finish(settings, plans, problems, made_from)
    if not problems and settings.execution.clean_workdir == "on-success":
        # only what these persons' steps wrote: other jobs may share the folder
        for plan in plans:
            folder = Path(workflow.base_dir) / workflow.name / person_folder(plan.subject)
            shutil.rmtree(folder, ignore_errors=True)
    return list(problems.values())


def _traceback_hint(log_dirs: dict[str, Path], person: str) -> str:
    return f" (traceback in {log_dirs[person.removeprefix('sub-')]})"


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


def _unkept(
    settings: Settings, plans: Sequence[ParticipantPlan], explained: set[str]
) -> list[Problem]:
    """Find promised files that are missing although no step said that it failed."""
    problems = []
    for plan in plans:
        person = f"sub-{plan.subject}"
        good = ParticipantPlan(plan.subject, tuple(v for v in plan.visits if v.problem is None))
        missing = missing_promises(settings, good) if good.visits else []
        if missing and person not in explained:
            why = f"{len(missing)} promised files were not written, the first is {missing[0]}"
            problems.append(Problem(person, why))
    return problems


def _summarise(
    settings: Settings, plans: Sequence[ParticipantPlan], problems: Sequence[Problem]
) -> int:
    """Say last what a user must know: who failed and why, or where the results are."""
    failed = {problem.person.split(" ")[0] for problem in problems}
    done = [plan for plan in plans if f"sub-{plan.subject}" not in failed]
    for plan in done[:20]:
        print(f"sub-{plan.subject}: {settings.output_dir / f'sub-{plan.subject}.html'}")
    for problem in problems:
        print(f"{problem.person} FAILED: {problem.why}", file=sys.stderr)
    if problems:
        print(f"{len(failed)} of {len(plans)} persons failed.", file=sys.stderr, flush=True)
        return FAILED
    print(f"{len(done)} of {len(plans)} persons done; tables are in {settings.output_dir}.")
    return OK
