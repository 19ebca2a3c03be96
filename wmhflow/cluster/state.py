"""What became of every task: told from what its log says, the scheduler, and what was written."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from wmhflow.cluster.scheduler import Found, Place, Scheduler, Used
from wmhflow.cluster.seeking import found_again, names_by_number, sent_by_hand
from wmhflow.cluster.submission import Cut, Submission, Task, plain
from wmhflow.errors import InputError, MissingProgramError
from wmhflow.products.product import Place as PersonPlace
from wmhflow.products.record import visit_record_path
from wmhflow.registries.executors import load_executors

log = logging.getLogger("wmhflow")
STATES = ("waiting", "running", "done", "failed", "lost", "unknown")
ACTIVE = frozenset(("waiting", "running"))
MISSING = frozenset(("failed", "lost"))
# why a task is lost, in words
WHYS = {
    "memory": "it needed more memory than it had asked for",
    "time": "it reached its time limit",
    "node": "its node failed, or was taken for others",
    "cancelled": "it was cancelled",
    "killed": "it was killed, and nothing says why",
    "never": "it never began, and the scheduler does not know it any more: it was cancelled there",
    "caches": "the job that makes the caches failed, so it never began",
    "unsent": "it was never sent",
    "gone": "it ended well, but its outputs are not there any more",
}
# what more of is asked for, where a task is lost for it
LACKS = ("memory", "time")
NOT_ASKED = "the scheduler cannot be asked"
CONTRADICTED = (
    "the scheduler does not list it any more, and its account says that it runs; wait until its "
    "time limit, or ask your site"
)
NOT_KNOWN = "the scheduler has it in a state that this program does not know; ask it yourself"
NOTE = re.compile(
    r"^=== wmhflow task (?P<what>begin|end)(?: (?P<code>\d+))?: (?P<person>\S+), job \S+ on "
    r"(?P<host>\S+), (?P<at>\d+)(?:, peak (?P<peak>\d+))? ===$",
    re.MULTILINE,
)
# what the program says last of a person who is done
ALL_DONE = re.compile(r"^(\d+) of \1 persons done; tables are in ", re.MULTILINE)
PROGRESS = re.compile(
    r"^\[(?P<elapsed>[\d:]+)\] .*?(?P<done>\d+) of (?P<total>\d+) steps"
    r"(?:, [^;]* left)?; now: (?P<now>.+)$",
    re.MULTILINE,
)
SAID = re.compile(r"^(?:sub-\S+(?: ses-\S+)? FAILED|wmhflow): (.+)$", re.MULTILINE)
# what the program says of a step whose process was killed
STEP_KILLED = "a worker process was killed while it ran this step"
NO_SPACE = re.compile(r"No space left on|[Dd]isk quota exceeded")
# of a log, so much is looked at: its begin, and its end
MOST_BYTES = 2**16
GB = 1024**3
# no site lets a task take so many times what it asked for
MOST_TIMES = 16
# exit codes from here on are of signals
SIGNALS = 128


@dataclass(frozen=True)
class TaskState:
    """What is known of a task.

    Attributes
    ----------
    task
        Whom it processes.
    submission, cut, number
        Where it was sent.
    state
        One of :data:`STATES`.
    why
        Of one that is missing: a key of :data:`WHYS`, ``space`` for a full disk, else empty.
    sentence
        What to tell of it.
    log
        Where its messages are, if it began.
    step, since, left_s, limit_left
        Of one that runs: what it does, when it began (seconds since 1970), how many seconds it may
        still take, and what the scheduler still gives it.
    minutes, mem_gb
        What it used, as far as that is known.
    is_whole
        Whether it made all of its person's steps: the log tells some, and no task before it can
        have left a part of them.
    """

    task: Task
    submission: Submission
    cut: Cut
    number: int
    state: str
    why: str = ""
    sentence: str = ""
    log: Path | None = None
    step: str = ""
    since: float | None = None
    left_s: float | None = None
    limit_left: str = ""
    minutes: float | None = None
    mem_gb: float | None = None
    is_whole: bool = False

    @property
    def lacked(self) -> tuple[str, ...]:
        """What it had too little of, ``memory`` or ``time``; both where nobody tells why."""
        tells_why = load_executors()[self.submission.executor].tells_why
        return LACKS if self.why == "killed" and not tells_why else tuple({self.why} & {*LACKS})


@dataclass
class Study:
    """The latest state of everybody who was submitted into an output folder.

    ``problem`` says why the scheduler could not be asked, if it could not; ``jobs`` holds the state
    of the last submission's jobs beside the tasks, ``forgotten`` where the scheduler does not know;
    ``asked_s`` is how many seconds it took to answer.
    """

    output_dir: Path
    submissions: list[Submission]
    tasks: list[TaskState]
    problem: str = ""
    jobs: dict[str, str] = field(default_factory=dict)
    asked_s: float = 0.0

    def count(self, state: str) -> int:
        """Count the tasks in a state."""
        return sum(one.state == state for one in self.tasks)

    def of(self, states: frozenset[str]) -> list[TaskState]:
        """List the tasks in any of some states."""
        return [one for one in self.tasks if one.state in states]


def study_state(output_dir: Path, submissions: Sequence[Submission]) -> Study:
    """Say what became of everybody who was submitted, each by the latest task for them.

    Parameters
    ----------
    output_dir
        Of the run.
    submissions
        The oldest first.
    """
    begun = time.monotonic()
    asked = _asked(submissions)
    asked_s = time.monotonic() - begun
    study = replace(_study(output_dir, *asked), asked_s=asked_s)
    missing = {one.submission.id for one in study.of(MISSING)}
    if missing and not study.problem:
        # scripts may be edited, and sent again by hand
        found = [_sent_by_hand(one) if one.id in missing else one for one in study.submissions]
        if found != study.submissions:
            return _study(output_dir, *_asked(found))
    return study


def _sent_by_hand(submission: Submission) -> Submission:
    try:
        return sent_by_hand(submission, Scheduler(load_executors()[submission.executor]))
    except (InputError, MissingProgramError) as error:
        log.warning("It is not known whether a script was sent by hand: %s", error)
        return submission


def _study(
    output_dir: Path, submissions: list[Submission], found: Mapping[str, Answer], problem: str
) -> Study:
    latest: dict[Task, tuple[Submission, Cut, int]] = {}
    again: set[Task] = set()
    for submission in submissions:
        sent = {task.subject for task, (_, cut, _) in latest.items() if cut.job is not None}
        for task, cut, number in submission.places():
            latest[task] = (submission, cut, number)
            if task.subject in sent:
                again.add(task)
    study = Study(output_dir, submissions, [], problem)
    for task, (submission, cut, number) in latest.items():
        one = _state(task, submission, cut, number, found.get(submission.id))
        study.tasks.append(replace(one, is_whole=one.is_whole and task not in again))
    for submission in submissions[-1:]:
        if submission.group is None and all(cut.job is not None for cut in submission.cuts):
            study.jobs["group"] = "unsent"
        jobs = (("caches", submission.caches), ("group", submission.group))
        for name, job in jobs:
            if job is not None:
                answer = found.get(submission.id)
                forgotten = Found("forgotten" if answer else "unknown")
                known = answer.found if answer else {}
                study.jobs[name] = known.get((plain(job), None), forgotten).state
    return study


@dataclass(frozen=True)
class Answer:
    """What the scheduler said of a submission; ``None`` in its place where it did not answer."""

    found: Mapping[Place, Found]
    used: Mapping[Place, Used]


def _asked(
    submissions: Sequence[Submission],
) -> tuple[list[Submission], dict[str, Answer], str]:
    """Ask each scheduler once about all jobs that were sent to it.

    Submissions come back with the numbers of jobs that were sent, and not noted.
    """
    answers: dict[str, Answer] = {}
    sought = {one.id: one for one in submissions}
    problem = ""
    for name in dict.fromkeys(submission.executor for submission in submissions):
        own = [one for one in submissions if one.executor == name]
        scheduler = Scheduler(load_executors()[name])
        try:
            own = [found_again(one, scheduler) for one in own]
            jobs = [job for one in own for job in one.jobs]
            names = {job: called for one in own for job, called in names_by_number(one).items()}
            answer = Answer(scheduler.tasks(jobs, names), scheduler.used(jobs, names))
        except (InputError, MissingProgramError) as error:
            problem = str(error)
            continue
        sought |= {one.id: one for one in own}
        answers |= {one.id: answer for one in own}
    return list(sought.values()), answers, problem


def place_of(submission: Submission, cut: Cut, number: int) -> Place:
    """Return how the scheduler calls a task that was sent: its job, and its number there."""
    is_array = cut.count > 1 or load_executors()[submission.executor].single
    return plain(cut.job or ""), number if is_array else None


def _state(
    task: Task, submission: Submission, cut: Cut, number: int, answer: Answer | None
) -> TaskState:
    known = TaskState(task, submission, cut, number, "unknown")
    if cut.job is None:
        # it may have been taken, and not answered for
        may_be_sent = answer is None and submission.tagged
        return replace(known, sentence=NOT_ASKED) if may_be_sent else _lost(known, "unsent")
    place = place_of(submission, cut, number)
    log = _Log.read(submission.log(cut, number))
    if log is None:
        return _not_begun(known, answer, place)
    used = answer.used.get(place) if answer else None
    now = answer.found.get(place) if answer else None
    known = replace(
        known,
        log=submission.log(cut, number),
        since=log.began,
        minutes=_believed((used and used.minutes, log.minutes), cut.needs.minutes),
        mem_gb=_believed((used and used.mem_gb, log.peak_gb), cut.needs.mem_gb),
        step=log.step,
        is_whole=log.n_steps > 0 and log.n_begins == 1,
    )
    if _is_done(log, task, submission, now):
        return replace(known, state="done", step="")
    if now is not None and now.state in ACTIVE and _goes_on(log, now):
        return _running(known, log, now)
    if log.code is None and (why := _why_unknown(now, used, cut)):
        return replace(known, sentence=why)
    log = log.with_more(_said_by_scheduler(submission, cut, number))
    return _ended(known, log, _ended_by(log, now, used, submission), is_asked=answer is not None)


def _believed(told: Sequence[float | None], asked: float) -> float | None:
    """Take the first that a task can have used; accounts have numbers that overflowed."""
    return next((one for one in told if one and 0 < one <= MOST_TIMES * asked), None)


def _why_unknown(now: Found | None, used: Used | None, cut: Cut) -> str:
    """Say why the scheduler's answer does not tell whether a task that told no end still runs."""
    if now is not None:
        return NOT_KNOWN if now.state == "unknown" else ""
    return CONTRADICTED if _may_run(used, cut) else ""


def _is_done(log: _Log, task: Task, submission: Submission, now: Found | None) -> bool:
    """Tell whether a task ended well: it said so, or was killed between its last word and that."""
    if log.code == 0:
        # put back into the queue after it had ended, it finds that nothing is left to do
        return _is_recorded(submission.output_dir, task)
    is_over = now is None or now.state not in ACTIVE
    return is_over and log.all_done and _is_recorded(submission.output_dir, task)


def _goes_on(log: _Log, now: Found) -> bool:
    """Tell whether a task is not over, though its log may tell an end.

    One that was preempted, or put back by an administrator, noted its end and begins again; one
    that has just ended is called running for a while, and its outputs may be seen late.
    """
    return not log.code or now.state == "waiting" or log.code >= SIGNALS


def _may_run(used: Used | None, cut: Cut) -> bool:
    """Tell whether a task still runs by the account, and within its time, though it is not told.

    Accounts have jobs that run for ever, where a node took its end with it.
    """
    return (
        used is not None
        and used.state == "running"
        and (used.minutes is None or used.minutes <= cut.needs.minutes)
    )


def _said_by_scheduler(submission: Submission, cut: Cut, number: int) -> str:
    """Read what the scheduler itself wrote of a task, where that is in a file of its own."""
    form = load_executors()[submission.executor].more_log
    if not form:
        return ""
    job, index = place_of(submission, cut, number)
    pattern = form.format(job=job, index="" if index is None else f"[[]{index}[]]")
    texts = []
    for path in sorted((submission.folder / "tasks").glob(pattern)):
        with path.open("rb") as stream:
            texts.append(stream.read(MOST_BYTES).decode("utf-8", "replace"))
    return "\n".join(texts)


def _ended(known: TaskState, log: _Log, ended_by: str, *, is_asked: bool) -> TaskState:
    """Say of a task that does not run any more, and is not done, what ended it."""
    if log.code == 0:
        return _lost(known, "gone")
    if log.code is None and not (is_asked or ended_by):
        return replace(known, sentence=NOT_ASKED)
    if log.code is not None and log.code < SIGNALS and not ended_by:
        why = "space" if NO_SPACE.search(log.text) else ""
        return replace(known, state="failed", why=why, sentence=log.said)
    return _lost(known, ended_by or "killed")


def _lost(known: TaskState, why: str) -> TaskState:
    during = f" (during {known.step})" if known.step else ""
    return replace(known, state="lost", why=why, sentence=f"{WHYS[why]}{during}")


def _not_begun(known: TaskState, answer: Answer | None, place: Place) -> TaskState:
    if answer is None:
        return replace(known, sentence=NOT_ASKED)
    now = answer.found.get(place)
    used = answer.used.get(place)
    if now is not None and now.state in ACTIVE:
        # a task that begins has no log for a moment
        return replace(known, state=now.state, sentence=now.why, limit_left=now.left)
    if why := _why_unknown(now, used, known.cut):
        return replace(known, sentence=why)
    state = now.state if now is not None else used.state if used is not None else ""
    if now is None and state == "waiting":
        # the account has not heard that the scheduler lost it
        state = ""
    caches = known.submission.caches
    if caches and answer.found.get((plain(caches), None), Found("")).state in {
        "ended",
        "memory",
        "time",
        "node",
    }:
        return _lost(known, "caches")
    return _lost(known, state if state in WHYS else "killed" if state else "never")


def _running(known: TaskState, log: _Log, now: Found) -> TaskState:
    if now.state == "waiting":
        return replace(
            known, state="waiting", sentence="it is to begin again, or to go on", since=None
        )
    left = None
    if log.began is not None and log.n_done >= 5:
        spent = max(0.0, time.time() - log.began)
        left = spent * (log.n_steps - log.n_done) / log.n_done
    return replace(
        known, state="running", step=log.step or "begins", left_s=left, limit_left=now.left
    )


def _ended_by(log: _Log, now: Found | None, used: Used | None, submission: Submission) -> str:
    """Say why the scheduler, or the system, ended a task; nothing if neither did."""
    if STEP_KILLED in log.text:
        return "memory"
    executor = load_executors()[submission.executor]
    signs = [why for why, sign in executor.signs.items() if re.search(sign, log.text)]
    for state in (used.state if used else "", now.state if now else "", *signs):
        # what was killed for its memory is also called cancelled
        if state in WHYS and not (state == "cancelled" and "memory" in signs):
            return state
    return ""


def _is_recorded(output_dir: Path, task: Task) -> bool:
    """Tell whether the outputs note that a person, or the visit of a task, is finished."""
    if task.session is not None:
        return (output_dir / visit_record_path(PersonPlace(task.subject, task.session))).is_file()
    folder = output_dir / visit_record_path(PersonPlace(task.subject, None)).parent
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return False
    return any(name == "record.json" or (name.endswith("_record.json") and name.startswith("ses-"))
               for name in names)  # fmt: skip


@dataclass(frozen=True)
class _Log:
    """What a task's log says.

    ``code`` is its exit code, None if it has not ended.
    """

    text: str
    began: float | None = None
    code: int | None = None
    minutes: float | None = None
    peak_gb: float | None = None
    step: str = ""
    n_done: int = 0
    n_steps: int = 0
    n_begins: int = 1

    @classmethod
    def read(cls, path: Path) -> _Log | None:
        """Read a log; None if the task did not begin."""
        try:
            with path.open("rb") as stream:
                content = stream.read(MOST_BYTES)
                size = stream.seek(0, 2)
                if size > MOST_BYTES:
                    stream.seek(max(MOST_BYTES, size - MOST_BYTES))
                    content += b"\n" + stream.read()
        except OSError:
            return None
        text = content.decode("utf-8", "replace")
        notes = list(NOTE.finditer(text))
        if not notes:
            return None
        # one that was put back into the queue begins again in the same log
        begin = next((note for note in reversed(notes) if note["what"] == "begin"), notes[0])
        last = notes[-1]
        text = text[begin.start() :]
        ended = last if last["what"] == "end" else None
        steps = list(PROGRESS.finditer(text))
        now = steps[-1] if steps else None
        return cls(
            text=text,
            began=float(begin["at"]),
            code=int(ended["code"]) if ended else None,
            minutes=(int(ended["at"]) - int(begin["at"])) / 60 if ended else None,
            peak_gb=int(ended["peak"]) / GB if ended and ended["peak"] else None,
            step=now["now"] if now and now["now"] != "–" else "",
            n_done=int(now["done"]) if now else 0,
            n_steps=int(now["total"]) if now else 0,
            n_begins=sum(note["what"] == "begin" for note in notes),
        )

    def with_more(self, text: str) -> _Log:
        """Add what the scheduler wrote elsewhere."""
        return replace(self, text=f"{self.text}\n{text}") if text else self

    @property
    def all_done(self) -> bool:
        """Whether the program said that it had finished the person."""
        return ALL_DONE.search(self.text) is not None

    @property
    def said(self) -> str:
        """The sentence that says why it failed: the program's own, else the log's last line."""
        found = SAID.findall(self.text)
        if found:
            return str(found[0])
        lines = [line for line in self.text.splitlines() if line.strip() and "=== wm" not in line]
        return lines[-1].strip()[:300] if lines else f"it ended with {self.code} and said nothing"


def iter_used(tasks: Sequence[TaskState]) -> Iterator[TaskState]:
    """Go through the tasks that ended well and of which it is known what they used."""
    return (one for one in tasks if one.state == "done" and one.minutes is not None)
