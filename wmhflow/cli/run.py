"""Participant level: from settings to written outputs and an exit code that tells the truth."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from wmhflow.bids.query import Query, find_subjects, misnamed_files, open_query
from wmhflow.cli.batches import Batches, Problem
from wmhflow.cli.holding import held_persons
from wmhflow.cli.methods import MethodsOfRun
from wmhflow.cli.places import check_is_folder, check_own_folder, check_places, unwritable
from wmhflow.cli.planners import plans_of
from wmhflow.cli.resources import check_kernels, find_resources, monitor, prepare_environment
from wmhflow.errors import InputError, MissingProgramError, NothingToDoError, UsageError
from wmhflow.files.locks import scratch_folder
from wmhflow.files.standard_output import standard_output
from wmhflow.plan.atlases import PlannedAtlases
from wmhflow.plan.computed import check_uncomputed
from wmhflow.plan.filters import check_filter_maps
from wmhflow.plan.judging import judged
from wmhflow.plan.named import check_named
from wmhflow.plan.packing import rows_of_run
from wmhflow.plan.participant import plan_participant, sessions_of
from wmhflow.plan.text import format_plan
from wmhflow.plan.visit import ParticipantPlan
from wmhflow.registries.maps import load_maps
from wmhflow.registries.segmenters import Segmenter, find_segmenter
from wmhflow.settings import Resources, Settings
from wmhflow.steps.containers import check_mountable, find_runtime, image_facts

if TYPE_CHECKING:
    from wmhflow.products.unit import Unit

OK, FAILED = 0, 1
log = logging.getLogger("wmhflow")


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
    check_places(settings)
    if settings.reporting.boilerplate_only:
        return _write_boilerplate(settings)
    plans = make_plans(settings)
    if settings.reporting.dry_run:
        return _print_plans(settings, plans)
    _make_folders(settings)
    resources = find_resources(settings.execution)
    prepare_environment(resources)
    if settings.reporting.reports_only:
        check_kernels()
        return _write_reports(settings, plans)
    return _process(settings, plans, resources)


def _print_plans(settings: Settings, plans: Iterable[ParticipantPlan]) -> int:
    """Print what would be done; that nobody can be processed is a failure."""
    n_persons = n_possible = 0
    for plan in plans:
        shown = judged(plan) if settings.reporting.check_values else plan
        print(format_plan([shown]), end="")
        n_persons += 1
        n_possible += any(visit.problem is None for visit in shown.visits)
    if n_persons and not n_possible:
        print(f"None of {n_persons} persons can be processed.", file=sys.stderr)
        return FAILED
    # what a run would end with before its first step
    if refused := list(unwritable(settings)):
        print(*refused, sep="\n", file=sys.stderr)
        return FAILED
    # the plan is what was asked for
    return FAILED if standard_output.is_lost else OK


def _check_programs(settings: Settings) -> None:
    """Look for the program of ``--wmh-command``, or for what runs its container image."""
    command, image = settings.anatomy.wmh_command, settings.anatomy.segmenter_image
    if command is None:
        return
    if image is not None:
        image_facts(image)
        find_runtime(image)
        check_mountable(settings.execution.work_dir)
        return
    known = find_segmenter(command)
    programs = known.programs if known else (shlex.split(command)[0],)
    missing = [program for program in programs if shutil.which(program) is None]
    if known is not None and (missing or known.only_image):
        raise MissingProgramError(f"--wmh-command {known.name}: {_how_to_get(known, missing)}.")
    if missing:
        raise MissingProgramError(
            f"--wmh-command: {missing[0]} is not installed or not on PATH; install it, or name a "
            "container image that holds it with --segmenter-image."
        )


def _check_plugin(settings: Settings) -> None:
    """Read the file of ``--use-plugin`` before anything is planned, if it is given."""
    if settings.execution.use_plugin is not None:
        from wmhflow.workflows.plugins import read_plugin

        read_plugin(settings.execution.use_plugin)


def _how_to_get(known: Segmenter, missing: Sequence[str]) -> str:
    """Say what of a segmenter is missing, where it comes from, and the image that holds it."""
    image = f"--segmenter-image {known.image}" if known.image else "with --segmenter-image"
    if known.only_image:
        return f"{known.install} ({known.address}); name it: {image}"
    return (
        f"{missing[0]} is not installed or not on PATH; {known.install} ({known.address}), or name "
        f"a container image that holds it: {image}"
    )


def _make_folders(settings: Settings) -> None:
    """Make folders now, so that a read-only one is found before an hour is spent."""
    folders = {"OUTPUT_DIR": settings.output_dir}
    if not (settings.reporting.boilerplate_only or settings.reporting.reports_only):
        folders["--work-dir"] = settings.execution.work_dir
    for what, folder in folders.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            why = "" if os.access(folder, os.W_OK) else "Permission denied"
        except OSError as error:
            why = error.strerror or str(error)
        if why:
            raise UsageError(
                f"{what} {folder} cannot be written to ({why}); choose another folder."
            )


def make_plans(
    settings: Settings, order: Sequence[str] | None = None
) -> Generator[ParticipantPlan, None, None]:
    """Check the options, and plan one person after the other, each when it is asked for.

    Of many persons the next ones are planned by several processes meanwhile.

    Parameters
    ----------
    settings
        The run's settings.
    order
        The labels of those who are planned, in this order; by default all who are asked for.

    Returns
    -------
    iterator of ParticipantPlan
        Those who have a visit that is asked for; the first steps can run while others still wait.

    Raises
    ------
    UsageError
        If a person or a visit asked for does not exist.
    NothingToDoError
        If there is nobody to process.
    MissingProgramError
        If the program of ``--wmh-command`` is not installed.
    """
    from wmhflow.products.product import Place
    from wmhflow.products.record import visit_record_path
    from wmhflow.products.rows import check_crosses

    _check_programs(settings)
    _check_plugin(settings)
    check_crosses(settings.regions)
    maps = load_maps(settings.inputs.maps, settings.inputs.units)
    check_named(settings.inputs.transform, maps)
    check_uncomputed(settings.inputs.no_compute, maps)
    atlases = PlannedAtlases(settings.regions)
    subjects = order or find_subjects(settings.bids_dir, settings.inputs.participant_label)
    query = open_query(settings.bids_dir, settings.inputs)
    check_filter_maps(query, maps)
    _check_sessions(settings, query, subjects)

    def is_recorded(subject: str, session: str | None) -> bool:
        return (settings.output_dir / visit_record_path(Place(subject, session))).is_file()

    def plan(subject: str) -> ParticipantPlan:
        if not settings.inputs.skip_bids_validation:
            for path in misnamed_files(query, subject):
                log.warning("%s has a name that BIDS does not know.", path)
        return plan_participant(query, subject, settings, maps, is_recorded, atlases)

    # an index is one process's to make, and to read
    is_indexed = settings.inputs.bids_database_dir is not None
    processes = 1 if is_indexed else find_resources(settings.execution).nprocs
    plans = plans_of(subjects, plan, processes, rows_of_run(maps.values(), atlases))
    planned = (one for one in plans if one.visits)
    return _with_warning(planned, [dataset.name for dataset in query.derivatives])


def _with_warning(
    plans: Iterable[ParticipantPlan], given: Sequence[str]
) -> Generator[ParticipantPlan, None, None]:
    """Warn, when all are planned, of every folder of ``-d`` that gave nobody anything."""
    useful: set[str] = set()
    n_possible = 0
    for plan in plans:
        for visit in plan.visits:
            n_possible += visit.problem is None
            useful.update(file.dataset for file in visit.sources if visit.problem is None)
        yield plan
    for name in given if n_possible else ():
        if name not in useful:
            log.warning(
                "--derivatives %s gave nothing that is used; --dry-run says what it holds.", name
            )


def _check_sessions(settings: Settings, query: Query, subjects: Sequence[str]) -> None:
    """Look for one person who has each visit asked for; most often the first one does."""
    for label in settings.inputs.session_label:
        if not any(label in _sessions_or_none(query, subject) for subject in subjects):
            raise UsageError(f"--session-label: none of the persons has a ses-{label}.")


def _sessions_or_none(query: Query, subject: str) -> list[str | None]:
    try:
        return sessions_of(query, subject)
    except InputError:
        # said when the person is planned
        return []


def _write_boilerplate(settings: Settings) -> int:
    from wmhflow.products.dataset import write_dataset_files, write_methods
    from wmhflow.workflows.units import units_of

    # the text names the atlases: there have to be such
    PlannedAtlases(settings.regions)

    _make_folders(settings)
    methods = MethodsOfRun(settings)
    try:
        for plan in make_plans(settings):
            methods.note(units_of(plan, settings), plan)
    except (NothingToDoError, MissingProgramError) as error:
        log.warning("The methods text names all that the options allow: %s", error)
    write_dataset_files(settings)
    if methods.names:
        methods.finish()
    else:
        write_methods(settings, None, is_all=True)
    print(f"Methods text: {settings.output_dir / 'logs' / 'CITATION.md'}")
    return OK


def _write_reports(settings: Settings, plans: Iterable[ParticipantPlan]) -> int:
    from wmhflow.reports.person import write_report

    tally = Tally()
    for plan in plans:
        tally.persons.append(plan.subject)
        done = {unit.name for unit in _recorded(plan, settings) if _is_done(unit, settings)}
        unfinished = [visit.label for visit in plan.visits if visit.label not in done]
        if unfinished:
            why = f"{unfinished[0]} is not finished; run without --reports-only first"
            tally.problems.append(Problem(f"sub-{plan.subject}", why))
        if len(unfinished) < len(plan.visits):
            with held_persons(settings, [plan], tally.problems) as held:
                for one in held:
                    print(f"Report: {write_report(settings, judged(one))}")
    return _summarise(settings, tally)


def _process(settings: Settings, plans: Iterable[ParticipantPlan], resources: Resources) -> int:
    """Run what is not finished, batch by batch, and look for every promised file afterwards.

    A batch begins as soon as its persons are planned; one graph of ten thousand persons could
    neither be built nor be held.
    """
    from wmhflow.products.dataset import write_dataset_files

    def replan(subject: str) -> ParticipantPlan:
        only = replace(settings.inputs, participant_label=(subject,))
        (plan,) = make_plans(replace(settings, inputs=only))
        return _unfinished(plan, settings)

    write_dataset_files(settings)
    tally, methods = Tally(), MethodsOfRun(settings)
    checks = settings.reporting.check_values
    ready = _ready(settings, map(judged, plans) if checks else plans, tally, methods)
    if checks:
        check_kernels()
        ready = iter(list(ready))
        for problem in tally.problems:
            print(f"{problem.person} cannot be processed: {problem.why}", file=sys.stderr)
    with scratch_folder():
        batches = Batches(settings, resources)
        with monitor(batches.resources_table):
            while batch := list(islice(ready, batches.size)):
                check_kernels()
                methods.write()
                with held_persons(settings, batch, tally.problems, replan) as held:
                    tally.problems += batches.run(held) if held else []
                    explained = {problem.person for problem in tally.problems}
                    tally.problems += _unkept(settings, held, explained)
    methods.finish()
    return _summarise(settings, tally)


@dataclass
class Tally:
    """Who was asked for, and why some results are not complete."""

    persons: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def _ready(
    settings: Settings, plans: Iterable[ParticipantPlan], tally: Tally, methods: MethodsOfRun
) -> Iterator[ParticipantPlan]:
    """Go through those who have visits to run, noting everybody and what cannot be processed.

    Noted are also the methods of those who can be.
    """
    for plan in plans:
        tally.persons.append(plan.subject)
        if problem := _link_away(plan, settings):
            tally.problems.append(problem)
            continue
        left = _unfinished(plan, settings, methods)
        for visit in plan.visits:
            if visit.problem is not None:
                tally.problems.append(Problem(visit.label, visit.problem))
            tally.problems += [Problem(visit.label, why) for why in visit.refused]
        if left.visits:
            yield left


def _link_away(plan: ParticipantPlan, settings: Settings) -> Problem | None:
    """Refuse a person whose folders in the output dataset are files, or links into an input."""
    person = settings.output_dir / f"sub-{plan.subject}"
    visits = [person / f"ses-{one.session}" if one.session else person for one in plan.visits]
    folders = (person, person / "figures", *visits, *(visit / "anat" for visit in visits))
    try:
        for folder in folders:
            check_own_folder(settings, folder)
            check_is_folder(folder)
        check_is_folder(settings.output_dir / "logs" / person.name)
    except (InputError, UsageError) as error:
        return Problem(f"sub-{plan.subject}", str(error))
    return None


def _unfinished(
    plan: ParticipantPlan, settings: Settings, methods: MethodsOfRun | None = None
) -> ParticipantPlan:
    """Keep the visits that can be processed, if any of them, or the page, is not finished yet.

    What still fits in the work folder is taken from there.
    """
    from wmhflow.products.product import page_path
    from wmhflow.products.record import is_page_whole
    from wmhflow.workflows.units import units_of

    visits = tuple(visit for visit in plan.visits if visit.problem is None)
    impossible = tuple(visit for visit in plan.visits if visit.problem is not None)
    promised = replace(plan, visits=visits, earlier=(*plan.earlier, *impossible))
    units = units_of(promised, settings)
    if methods is not None:
        methods.note(units, promised)
    recorded = all(_is_done(unit, settings) for unit in units if unit.record)
    page = page_path(plan.subject)
    if recorded and (not visits or is_page_whole(plan.subject, settings.output_dir, page)):
        return replace(plan, visits=())
    return promised


def _recorded(plan: ParticipantPlan, settings: Settings) -> list[Unit]:
    """List the units of a person of which it is noted when they are finished."""
    from wmhflow.workflows.units import units_of

    return [unit for unit in units_of(plan, settings) if unit.record]


def _is_done(unit: Unit, settings: Settings) -> bool:
    from wmhflow.products.record import is_finished

    return is_finished(unit, settings.output_dir)


def _unkept(
    settings: Settings, plans: Sequence[ParticipantPlan], explained: set[str]
) -> list[Problem]:
    """Find promised files that are missing although no step said that it failed."""
    from wmhflow.workflows.units import missing_files, units_of

    problems = []
    for plan in plans:
        person = f"sub-{plan.subject}"
        missing = missing_files(units_of(plan, settings), settings.output_dir)
        if missing and person not in explained:
            why = f"{len(missing)} promised files were not written, the first is {missing[0]}"
            problems.append(Problem(person, why))
    return problems


def _summarise(settings: Settings, tally: Tally) -> int:
    """Say last what a user must know: who failed and why, or where the results are."""
    problems, n_persons = tally.problems, len(tally.persons)
    failed = {problem.person.split(" ")[0] for problem in problems}
    done = [person for person in tally.persons if f"sub-{person}" not in failed]
    for person in done[:20]:
        print(f"sub-{person}: {settings.output_dir / f'sub-{person}.html'}")
    for problem in problems:
        print(f"{problem.person} FAILED: {problem.why}", file=sys.stderr)
    if problems:
        print(f"{len(failed)} of {n_persons} persons failed.", file=sys.stderr, flush=True)
        return FAILED
    print(f"{len(done)} of {n_persons} persons done; tables are in {settings.output_dir}.")
    return OK
