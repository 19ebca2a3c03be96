"""Jobs that were sent, and whose number was not noted: found by their names, or by their logs.

A scheduler may take a job and answer too late, and whoever sends may be killed before the answer is
written down.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from wmhflow.cluster.scheduler import Scheduler
from wmhflow.cluster.submission import Submission, plain

BEGIN = re.compile(r"^=== wmhflow task begin: (\S+), job ", re.MULTILINE)
# of a log, so much is read to see whose it is
MOST_BYTES = 2**14


def found_again(submission: Submission, scheduler: Scheduler) -> Submission:
    """Return a submission with the numbers of those of its jobs that were sent after all.

    Parameters
    ----------
    submission
        As its note has it.
    scheduler
        The one it was sent to.

    Raises
    ------
    InputError
        If the scheduler does not answer.
    """
    unknown = [
        name
        for script, name in names_of(submission).items()
        if submission.job_of(script) is None and _was_begun(submission, script)
    ]
    if not unknown:
        return submission
    numbers = {
        name: job
        for name, job in scheduler.find(unknown).items()
        if plain(job) not in {plain(known) for known in submission.jobs}
    }
    cuts = list(submission.cuts)
    for place, cut in enumerate(cuts):
        name = submission.job_name("array", f"array {cut.first}")
        if cut.job is None and name in numbers:
            cuts[place] = replace(cut, job=numbers[name])
    named = {kind: numbers.get(submission.job_name(kind, kind)) for kind in ("caches", "group")}
    found = replace(
        submission,
        cuts=tuple(cuts),
        caches=submission.caches or named["caches"],
        group=submission.group or named["group"],
    )
    return _by_logs(found)


def sent_by_hand(submission: Submission, scheduler: Scheduler) -> Submission:
    """Return a submission with the numbers of arrays whose scripts somebody sent again by hand.

    Parameters
    ----------
    submission
        Of whose tasks some are missing.
    scheduler
        The one it was sent to.

    Raises
    ------
    InputError
        If the scheduler does not answer.
    """
    names = [submission.job_name("array", f"array {cut.first}") for cut in submission.cuts]
    numbers = scheduler.find(names) if submission.tagged else {}
    cuts = [
        replace(cut, job=numbers[name])
        if cut.job is not None and int(plain(numbers.get(name, "0"))) > int(plain(cut.job))
        else cut
        for cut, name in zip(submission.cuts, names, strict=True)
    ]
    return replace(submission, cuts=tuple(cuts))


def names_of(submission: Submission) -> dict[str, str]:
    """Return how each job of a submission is called, by what it does."""
    kinds = ["caches", *(f"array {cut.first}" for cut in submission.cuts), "group"]
    return {kind: submission.job_name(kind.split()[0], kind) for kind in kinds}


def names_by_number(submission: Submission) -> dict[str, str]:
    """Return how each job of a submission is called, by its number; nothing of an older version."""
    if not submission.tagged:
        return {}
    return {
        plain(job): name
        for kind, name in names_of(submission).items()
        if (job := submission.job_of(kind)) is not None
    }


def _was_begun(submission: Submission, kind: str) -> bool:
    """Tell whether a script was written, which is done at once before it is sent."""
    if not submission.tagged:
        return False
    if kind in {"caches", "group"}:
        return (submission.folder / f"{kind}.sh").is_file()
    return any(submission.folder.glob("array*.sh"))


def _by_logs(submission: Submission) -> Submission:
    """Take what tasks themselves noted, where the scheduler has forgotten them by now."""
    if all(cut.job is not None for cut in submission.cuts):
        return submission
    known = {plain(job) for job in submission.jobs}
    cuts = list(submission.cuts)
    for job, number, person in _begun(submission):
        for place, cut in enumerate(cuts):
            if cut.job is None and job not in known and number <= cut.count:
                task = submission.tasks[cut.first + number - 1]
                if task.name.replace(" ", "_") == person:
                    cuts[place] = replace(cut, job=job)
                    known.add(job)
    return replace(submission, cuts=tuple(cuts))


def _begun(submission: Submission) -> Iterator[tuple[str, int, str]]:
    """Go through the logs of tasks: job, number, and whose it is."""
    for path in sorted((submission.folder / "tasks").glob("*.log")):
        found = re.fullmatch(r"(\d+)\.(\d+)", path.stem)
        if found is None:
            continue
        with path.open("rb") as stream:
            begin = BEGIN.search(stream.read(MOST_BYTES).decode("utf-8", "replace"))
        if begin:
            yield found[1], int(found[2]), begin[1]
