"""What a submission asks for, and how far it is, in words and as plain values."""

from __future__ import annotations

import re
import shlex
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from wmhflow.cluster.state import ACTIVE, MISSING, STATES, Study, TaskState, iter_used
from wmhflow.cluster.submission import Needs, Submission, group_command
from wmhflow.registries.executors import load_executors

if TYPE_CHECKING:
    from wmhflow.cluster.estimate import Estimate, Learnt

# what is said of a job beside the tasks; anything else is a failure
JOB_WORDS = {
    "waiting": "waits",
    "running": "runs",
    "done": "is done",
    "forgotten": "has ended",
    "unknown": "has an unknown state",
}
# of a state, so many persons are named; all of them stand in the values
MOST_NAMED = 20


def minutes_text(minutes: float) -> str:
    """Write a time as hours and minutes.

    Examples
    --------
    >>> minutes_text(0.4), minutes_text(59.6), minutes_text(150)
    ('1 min', '1 h 00', '2 h 30')
    """
    whole = max(1, round(minutes))
    return f"{whole} min" if whole < 60 else f"{whole // 60} h {whole % 60:02d}"


def needs_text(needs: Needs) -> str:
    """Say what a task asks for."""
    processors = "1 processor" if needs.cpus == 1 else f"{needs.cpus} processors"
    return f"{needs.mem_gb:g} GB, {processors} and {minutes_text(needs.minutes)}"


def estimate_text(estimate: Estimate, learnt: Learnt, n_looked_at: int) -> str:
    """Say what was expected of a task, and where that comes from."""
    whose = (
        f"plans of {n_looked_at} persons expect" if n_looked_at != 1 else "plan of a person expects"
    )
    text = (
        f"The {whose} at most {estimate.mem_gb:.1f} GB and "
        f"{minutes_text(estimate.minutes)} ({estimate.voxels / 1e6:.1f} million voxels)"
    )
    told = [
        f"{factor:.2f} times that {what} ({count} tasks)"
        for what, factor, count in (
            ("memory", learnt.memory, learnt.n_memory),
            ("time", learnt.minutes, learnt.n_minutes),
        )
        if count
    ]
    return f"{text}; earlier tasks used at most {' and '.join(told)}." if told else f"{text}."


def mending(study: Study) -> str:
    """Return the one command that sends what is missing; nothing if nothing is."""
    missing = study.of(MISSING)
    # of thousands, the first that is there will do
    if not any(_is_in_dataset(one) for one in missing):
        return ""
    bids = shlex.quote(str(missing[0].submission.bids_dir))
    grow = any(one.lacked for one in missing)
    words = f"wmhflow submit {bids} {shlex.quote(str(study.output_dir))} --resume"
    return f"{words} --grow 1.5" if grow else words


def _is_in_dataset(one: TaskState) -> bool:
    """Tell whether a person can be sent again; a dataset that is not seen here may have them."""
    bids_dir = one.submission.bids_dir
    return not bids_dir.is_dir() or (bids_dir / f"sub-{one.task.subject}").is_dir()


def status_text(study: Study) -> str:
    """Say how far everybody is, and what mends what is missing."""
    n_submissions = len(study.submissions)
    lines = [
        (
            f"{study.output_dir}: {len(study.tasks)} "
            f"{'visit' if _is_by_visit(study.submissions) else 'person'}"
            f"{'s' if len(study.tasks) != 1 else ''}, "
            f"{n_submissions} submission{'s' if n_submissions > 1 else ''}, "
            f"the last is {study.submissions[-1].id}"
        )
    ]
    lines += [f"  {state:8}{n:6}" for state in STATES if (n := study.count(state))]
    for state, describe in (
        ("running", _running), ("failed", _failed), ("lost", _failed), ("unknown", _failed)
    ):  # fmt: skip
        rows = study.of(frozenset((state,)))
        if rows:
            lines += [f"{state}:", *(f"  {describe(one)}" for one in rows[:MOST_NAMED])]
        if len(rows) > MOST_NAMED:
            lines.append(f"  and {len(rows) - MOST_NAMED} more (all of them: --json)")
    lines += list(_stuck(study))
    lines += list(_closing(study))
    return "\n".join(lines) + "\n"


def _stuck(study: Study) -> Iterator[str]:
    """Say who waits for what does not come by itself."""
    reasons = Counter(
        one.sentence for one in study.of(frozenset(("waiting",))) if one.sentence and is_stuck(one)
    )
    for why, n in reasons.items():
        yield (
            f"{n} wait{'s' if n == 1 else ''} for what does not come by itself ({why}): see to it, "
            f"or end them (wmhflow cancel {shlex.quote(str(study.output_dir))}) and send them with "
            "other options."
        )


def is_stuck(one: TaskState) -> bool:
    """Tell whether a task waits for a reason that does not pass by itself."""
    stuck = load_executors()[one.submission.executor].stuck
    return bool(stuck and re.search(stuck, one.sentence))


def _closing(study: Study) -> Iterator[str]:
    used = list(iter_used(study.tasks))
    if used:
        minutes = max(one.minutes or 0 for one in used)
        known = [one.mem_gb for one in used if one.mem_gb is not None]
        memory = f" and {max(known):.1f} GB" if known else ""
        asked = needs_text(used[-1].cut.needs)
        yield f"A task used at most {minutes_text(minutes)}{memory}; asked were {asked}."
    for name, state in study.jobs.items():
        last = study.submissions[-1]
        if state == "unsent":
            yield f"The group level was not sent; when all have ended: {group_command(last)}"
        elif name == "group" or state in ACTIVE:
            what = "The group level" if name == "group" else "The job that makes the caches"
            log = last.folder / f"{name}.log"
            if state == "forgotten" and not log.exists():
                yield f"{what} never began, and the scheduler does not know it any more."
            else:
                yield f"{what} {JOB_WORDS.get(state, 'failed')} (log: {log})."
    if study.problem:
        yield f"The scheduler could not be asked: {study.problem}"
    command = mending(study)
    if command and study.of(ACTIVE):
        yield f"To send what is missing, now or when all have ended: {command}"
    elif command:
        yield f"To send what is missing: {command}"


def _is_by_visit(submissions: Sequence[Submission]) -> bool:
    return any(one.chosen.get("per") == "visit" for one in submissions)


def _running(one: TaskState) -> str:
    parts = [f"{one.task.name}: {one.step or 'begins'}"]
    if one.since is not None:
        clock = time.strftime("%H:%M", time.localtime(one.since))
        parts.append(f"since {clock} ({minutes_text((time.time() - one.since) / 60)})")
    if one.left_s is not None:
        parts.append(f"about {minutes_text(one.left_s / 60)} left")
    if one.limit_left:
        parts.append(f"its limit ends in {one.limit_left}")
    return ", ".join(parts)


def _failed(one: TaskState) -> str:
    log = f" (log: {one.log})" if one.log else ""
    return f"{one.task.name}: {one.sentence}{log}"


def on_screen(text: str, columns: int, rows: int) -> str:
    r"""Cut what is said to a screen, so that its first lines, and what mends, stay in sight.

    Examples
    --------
    >>> on_screen("counts\nsub-01: it runs\nsub-02\nsub-03\nTo mend\n", 10, 5)
    'counts\nsub-01: i…\n… 2 more\nTo mend\n'
    """
    lines = text.splitlines()
    most = max(3, rows - 1)
    if len(lines) > most:
        lines = [*lines[: most - 2], f"… {len(lines) - most + 1} more", lines[-1]]
    return "".join(
        f"{line if len(line) <= columns else line[: columns - 1] + '…'}\n" for line in lines
    )


def status_values(study: Study) -> dict[str, Any]:
    """Return how far everybody is as plain values, for JSON."""
    return {
        "output_dir": str(study.output_dir),
        "submissions": [one.id for one in study.submissions],
        "counts": {state: study.count(state) for state in STATES},
        "caches": study.jobs.get("caches"),
        "group": study.jobs.get("group"),
        "problem": study.problem or None,
        "mend": mending(study) or None,
        "tasks": [_values(one) for one in study.tasks],
    }


def _values(one: TaskState) -> dict[str, Any]:
    needs = one.cut.needs
    return {
        "participant": f"sub-{one.task.subject}",
        "session": f"ses-{one.task.session}" if one.task.session else None,
        "state": one.state,
        "why": one.why or None,
        "sentence": one.sentence or None,
        "log": str(one.log) if one.log else None,
        "step": one.step or None,
        "since": one.since,
        "left_s": one.left_s,
        "limit_left": one.limit_left or None,
        "submission": one.submission.id,
        "job": f"{one.cut.job}_{one.number}" if one.cut.job else None,
        "asked": {"mem_gb": needs.mem_gb, "minutes": needs.minutes, "cpus": needs.cpus},
        "expected": one.submission.estimate or None,
        "used": {"mem_gb": one.mem_gb, "minutes": one.minutes},
    }


def sent_text(submission: Submission, estimate: str) -> str:
    """Say what was sent, and how to see how far it is."""
    n_arrays = len(submission.cuts)
    asked = "; ".join(dict.fromkeys(needs_text(cut.needs) for cut in submission.cuts))
    what, were = "visit" if _is_by_visit([submission]) else "person", "was"
    if len(submission.tasks) != 1:
        what, were = f"{what}s", "were"
    out = shlex.quote(str(submission.output_dir))
    lines = [
        (
            f"{len(submission.tasks)} {what} {were} sent to {submission.executor} in {n_arrays} "
            f"array{'s' if n_arrays > 1 else ''} as submission {submission.id}; a task asks for "
            f"{asked}."
        ),
        estimate,
        f"Scripts, labels, options and logs: {submission.folder}",
        f"How far it is: wmhflow status {out}    End it: wmhflow cancel {out}",
    ]
    return "\n".join(line for line in lines if line)
