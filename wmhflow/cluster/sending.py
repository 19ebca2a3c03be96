"""Sending people to a scheduler: one job array a cut, with what comes before and after them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from wmhflow.bids.query import find_subjects
from wmhflow.bids.scan import is_folder
from wmhflow.bids.writer import write_text
from wmhflow.cluster.scheduler import Scheduler, TooManyError
from wmhflow.cluster.script import Scripts
from wmhflow.cluster.state import ACTIVE, MISSING, Study, TaskState
from wmhflow.cluster.submission import Cut, Needs, Submission, Task, group_command
from wmhflow.errors import InputError, NothingToDoError, UsageError
from wmhflow.settings import Settings

SESSION = re.compile("ses-[a-zA-Z0-9+]+")
# the stages of memory that are asked for after one was not enough
GROWN_STEP_GB = 0.5
# an array of a part of the largest that was taken is sent; a smaller one waits
LEAST_PART = 8


def find_tasks(settings: Settings, per: str) -> list[Task]:
    """List whom to send: persons or visits, by the names of folders alone.

    Visits of one person, who wait for each other, stand far apart.

    Parameters
    ----------
    settings
        The run's settings.
    per
        ``person`` or ``visit``.

    Raises
    ------
    UsageError
        If somebody asked for does not exist, or nobody has a visit asked for.
    NothingToDoError
        If the dataset has no persons.
    """
    subjects = find_subjects(settings.bids_dir, settings.inputs.participant_label)
    wanted = settings.inputs.session_label
    if per == "person" and not wanted:
        return [Task(subject) for subject in subjects]
    ordered: list[tuple[int, Task]] = []
    for subject in subjects:
        sessions = _sessions(settings.bids_dir / f"sub-{subject}")
        kept = [one for one in sessions if not wanted or one in wanted]
        if (per == "person" and kept) or (per == "visit" and not sessions and not wanted):
            ordered.append((0, Task(subject)))
        elif per == "visit":
            ordered += [(number, Task(subject, one)) for number, one in enumerate(kept)]
    if not ordered:
        raise UsageError(f"--session-label: none of the persons has a ses-{wanted[0]}.")
    return [task for _, task in sorted(ordered, key=lambda one: one[0])]


def _sessions(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if is_folder(entry)]
    except OSError:
        # the task says what is wrong with the folder
        return []
    sessions = sorted(name for name in names if name.startswith("ses-"))
    if not all(SESSION.fullmatch(name) for name in sessions):
        # no label of a visit: the person's one task says which folder
        return []
    return [name.removeprefix("ses-") for name in sessions if _has_images(folder / name)]


def _has_images(visit: Path) -> bool:
    """Tell whether a visit may have a T1w or FLAIR; one of other images alone is no task."""
    if is_folder(visit / "anat"):
        return True
    names = (name for _, _, names in os.walk(visit) for name in names)
    return any("_T1w." in name or "_FLAIR." in name for name in names)


def refuse_active(study: Study, tasks: Iterable[Task]) -> None:
    """Refuse to send somebody whom an earlier submission still works on.

    Raises
    ------
    UsageError
        Naming that submission, and what to do.
    """
    busy = {one.task: one for one in study.of(ACTIVE | {"unknown"})}
    again = [busy[task] for task in tasks if task in busy]
    # a visit and its person are the same work
    if not again:
        persons = {one.task.subject: one for one in busy.values()}
        mixed = [task for task in tasks if task.subject in persons]
        again = [
            persons[task.subject]
            for task in mixed
            if (task.session is None) != (persons[task.subject].task.session is None)
        ]
    if again:
        one = again[0]
        if one.state == "unknown":
            why = study.problem or one.sentence
            raise UsageError(
                f"It is not known whether {one.task.name} still runs ({why}). Nothing was sent."
            )
        raise UsageError(
            f"{len(again)} of them are {one.state} already, {one.task.name} in submission "
            f"{one.submission.id}: wait until they have ended (wmhflow status "
            f"{study.output_dir}), or end them (wmhflow cancel {study.output_dir})."
        )


def missing_tasks(study: Study, grow: float) -> list[tuple[Task, Needs]]:
    """List what is missing of all that was submitted, with what each task is to ask for now.

    Parameters
    ----------
    study
        The state of everybody.
    grow
        How many times the memory, or the time, that was not enough.

    Raises
    ------
    NothingToDoError
        If nothing is missing.
    UsageError
        If the scheduler could not be asked.
    """
    if study.problem:
        raise UsageError(f"It is not known what is missing: {study.problem}")
    missing = study.of(MISSING)
    if not missing:
        n_active = len(study.of(ACTIVE))
        raise NothingToDoError(
            f"Nothing is missing in {study.output_dir}: {study.count('done')} are done, and "
            f"{n_active} are waiting or running."
        )
    return sorted(((one.task, grown(one, grow)) for one in missing), key=lambda pair: pair[1])


def grown(state: TaskState, grow: float) -> Needs:
    """Say what a task asks for when it is sent again: more of what was too little, or may be."""
    needs = state.cut.needs
    if "memory" in state.lacked:
        stages = -(-needs.mem_gb * grow // GROWN_STEP_GB)
        needs = needs._replace(mem_gb=stages * GROWN_STEP_GB)
    if "time" in state.lacked:
        needs = needs._replace(minutes=max(needs.minutes + 1, round(needs.minutes * grow)))
    return needs


def cuts_of(needs: Sequence[Needs], most: int) -> tuple[Cut, ...]:
    """Divide tasks into arrays: of equal needs, and none larger than the site allows.

    Parameters
    ----------
    needs
        Of every task, in the order of the list; equal ones stand together.
    most
        Tasks that an array may have.

    Examples
    --------
    >>> one, other = Needs(4, 60, 2), Needs(6, 60, 2)
    >>> [(cut.first, cut.count) for cut in cuts_of([one] * 5 + [other], 3)]
    [(0, 3), (3, 2), (5, 1)]
    """
    cuts: list[Cut] = []
    for number, one in enumerate(needs):
        last = cuts[-1] if cuts else None
        if last is not None and last.needs == one and last.count < most:
            cuts[-1] = replace(last, count=last.count + 1)
        else:
            cuts.append(Cut(number, 1, one))
    return tuple(cuts)


def preview(scripts: Scripts) -> Iterator[tuple[str, str]]:
    """Go through the scripts as they would be sent; what the scheduler will say is in capitals."""
    cuts = scripts.submission.cuts
    caches = ["JOB_OF_CACHES"] if scripts.makes_caches else []
    if caches:
        yield "caches.sh", scripts.caches()
    before: list[str] = []
    for number, cut in enumerate(cuts, start=1):
        yield _array_name(number, len(cuts)), _array(scripts, cut, caches, before)
        before = [f"JOB_OF_ARRAY_{number}"]
    yield "group.sh", scripts.group([f"JOB_OF_ARRAY_{n}" for n in range(1, len(cuts) + 1)])


def _array_name(number: int, count: int) -> str:
    return "array.sh" if count == 1 else f"array-{number}.sh"


def _array(scripts: Scripts, cut: Cut, caches: Sequence[str], before: Sequence[str]) -> str:
    """Write an array's script; where only so many may run at once, arrays follow each other."""
    if before and scripts.chosen.max_running:
        return scripts.array(cut, after_any=before)
    return scripts.array(cut, after=caches)


def send(scripts: Scripts, scheduler: Scheduler) -> Submission:
    """Write the scripts of a submission and send them; what was sent is noted after each.

    An array of which the site says that it is too large is sent in halves.

    Parameters
    ----------
    scripts
        Of a submission whose folder holds its labels and options.
    scheduler
        Who gets them.

    Returns
    -------
    Submission
        With the numbers of its jobs.

    Raises
    ------
    InputError
        If the scheduler refuses one; what was sent before stays, and ``--resume`` sends the rest.
    """
    submission = scripts.submission
    submission.write()
    caches: list[str] = []
    if scripts.makes_caches:
        caches = [_sent(submission, "caches", "caches.sh", scripts.caches(), scheduler)]
        submission = replace(submission, caches=caches[0])
        submission.write()
    before: list[str] = []
    number = 0
    while number < len(submission.cuts):
        cut = submission.cuts[number]
        name = _array_name(number + 1, len(submission.cuts))
        text = _array(scripts, cut, caches, before)
        try:
            job = _sent(submission, f"array {cut.first}", name, text, scheduler)
        except TooManyError as error:
            if cut.count <= max(1, _least(submission, number)):
                raise _left(submission, number, error) from None
            (submission.folder / name).unlink()
            submission = _halved(submission, number)
            submission.write()
            continue
        except InputError as error:
            raise _left(submission, number, error) from None
        submission = _with_job(submission, number, job)
        submission.write()
        before = [job]
        number += 1
    jobs = [cut.job for cut in submission.cuts if cut.job is not None]
    try:
        group = _sent(submission, "group", "group.sh", scripts.group(jobs), scheduler)
    except InputError as error:
        raise InputError(
            f"{error} All {len(submission.tasks)} tasks were sent, and only the group level was "
            f"not; when they have ended: {group_command(submission)}"
        ) from None
    submission = replace(submission, group=group)
    submission.write()
    return submission


def _least(submission: Submission, number: int) -> int:
    """Say how small an array is worth to be sent, after others of its submission were taken."""
    return max((cut.count for cut in submission.cuts[:number]), default=0) // LEAST_PART


def _halved(submission: Submission, number: int) -> Submission:
    cut = submission.cuts[number]
    half = cut.count // 2
    parts = [
        replace(cut, count=half),
        replace(cut, first=cut.first + half, count=cut.count - half),
    ]
    cuts = [*submission.cuts[:number], *parts, *submission.cuts[number + 1 :]]
    return replace(submission, cuts=tuple(cuts))


def _with_job(submission: Submission, number: int, job: str) -> Submission:
    cuts = list(submission.cuts)
    cuts[number] = replace(cuts[number], job=job)
    return replace(submission, cuts=tuple(cuts))


def _left(submission: Submission, number: int, error: InputError) -> InputError:
    n_sent = sum(one.count for one in submission.cuts[:number])
    when = " when some have ended" if isinstance(error, TooManyError) and n_sent else ""
    return InputError(
        f"{error} Sent were {n_sent} of {len(submission.tasks)} tasks; wmhflow submit "
        f"{submission.bids_dir} {submission.output_dir} --resume sends the others{when}."
    )


def _sent(submission: Submission, script: str, name: str, text: str, scheduler: Scheduler) -> str:
    path = submission.folder / name
    write_text(path, text)
    # some disks cannot; schedulers do not ask
    with suppress(PermissionError):
        path.chmod(0o755)
    kind, *_ = script.split()
    return scheduler.submit(path, submission.job_name(kind, script))
