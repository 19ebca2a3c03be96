"""How a run shows that it goes on: a live display on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from wmhflow.cli.steptimes import Expected, Pace, StepTimes, time_text
from wmhflow.cli.terminal import Block
from wmhflow.files.messages import JSON_LINES, PLAIN, QUIET, write_json
from wmhflow.files.standard_output import standard_output

# of lines in a log, and of drawings on a terminal
PLAIN_INTERVAL_S, TICK_S = 60.0, 0.5
# A drawing takes milliseconds, and thousands of steps may end at once; so does the time left.
LEAST_TICK_S, LEFT_S = 0.1, 1.0
SHOWN_PERSONS = 12
LONGEST_BAR, SHORTEST_BAR = 30, 5
# As `cluster.estimate`: chains of steps leave more than two processors of a person idle.
AT_ONCE_PER_PERSON = 2


class Progress:
    """Counts finished steps per person; nipype calls :meth:`step` for every change.

    Parameters
    ----------
    totals
        Number of steps of each person, by the person's label.
    title
        What these persons are of the run, if they are not all.
    expected
        What is known of steps before they run, by their full names.
    times
        How long such steps took on this machine.
    at_once
        How many steps run at the same time.
    how
        ``plain``, ``quiet`` (nothing is shown) or ``json``.
    stream
        Where it is shown; standard output by default.
    clock
        Seconds since any moment.
    """

    def __init__(
        self,
        totals: dict[str, int],
        title: str = "",
        expected: Mapping[str, Expected] | None = None,
        times: StepTimes | None = None,
        at_once: int = 1,
        *,
        how: str = PLAIN,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.totals = totals
        self.title = title
        self.times = times or StepTimes()
        self.at_once = at_once
        self.how = how
        self.done = dict.fromkeys(totals, 0)
        # with None for a step that is for everybody
        self.failed: set[str | None] = set()
        self.ended: set[str] = set()
        self._clock = clock
        self.started = clock()
        self._left = dict(expected or {})
        self._pace = Pace()
        self._since: dict[str, float] = {}
        self._told_at: float | None = None
        self._drawn_at = -LEAST_TICK_S
        # when the time left was estimated, and what it was
        self._estimated: tuple[float, float | None] | None = None
        self._stream = stream or sys.stdout
        self._block: Block | None = None
        # the display is drawn by a thread of its own, too
        self._lock = threading.RLock()

    @property
    def running(self) -> list[str]:
        """The steps that run now, as a user would say them."""
        return [short_name(fullname) for fullname in self._since]

    def step(self, node: Any, status: str) -> None:
        """Take note that a step started, ended or failed."""
        with self._lock:
            self._note(node.fullname, status)
            if self.how == JSON_LINES:
                _tell_step(node.fullname, status)
            if self._block is None or self._clock() - self._drawn_at >= LEAST_TICK_S:
                self.tick()

    def _note(self, fullname: str, status: str) -> None:
        person = person_of(fullname)
        if status == "start":
            self._since[fullname] = self._clock()
            return
        began, expected = self._since.pop(fullname, None), self._left.pop(fullname, None)
        if status == "exception":
            self.failed.add(person)
        else:
            self.ended.add(fullname)
            # one that was done before did not begin
            if began is not None and expected is not None:
                taken, was_known = self._clock() - began, self.times.expect(expected) is not None
                self.times.add(expected, taken)
                # beside what is known now, or the same seconds would lengthen the rest twice
                known = self.times.expect(expected)
                if was_known and known is not None:
                    self._pace.add(known, taken)
        if person is not None and person in self.done:
            self.done[person] += 1

    def tick(self) -> None:
        """Draw the display, or write the line of a log if it is time for one."""
        with self._lock:
            if self._block is not None:
                self._drawn_at = self._clock()
                self._block.draw(self.lines(self._block.size()[0] - 1))
            elif self.how != QUIET and self._is_time():
                self._told_at = self._clock()
                self._tell()

    def _is_time(self) -> bool:
        # between one step's end and the next one's start there is nothing to name
        if not self._since:
            return False
        return self._told_at is None or self._clock() - self._told_at >= PLAIN_INTERVAL_S

    def _tell(self) -> None:
        """Write where the run is as a line of a log."""
        if self.how == JSON_LINES:
            steps, total = self.counts()
            left = self.seconds_left()
            told = {"done": steps, "total": total, "seconds_left": left and round(left)}
            write_json("info", self.line(), person=None, **told)
        else:
            self._print(self.line())

    def _print(self, line: str) -> None:
        """Print a line; an output that takes none, as on a full disk, costs the lines alone."""
        try:
            print(line, file=self._stream, flush=True)
        except OSError as error:
            standard_output.lose(error)
            self.how = QUIET

    def counts(self) -> tuple[int, int]:
        """Return how many steps are done, and how many there are."""
        return sum(self.done.values()), sum(self.totals.values())

    def seconds_left(self) -> float | None:
        """Estimate the time to the end; None if too little of what is left was seen before."""
        waiting = sum(self.done[person] < self.totals[person] for person in self.totals)
        if not waiting:
            return None
        now = self._clock()
        left = {
            fullname: (step, now - self._since.get(fullname, now))
            for fullname, step in self._left.items()
            if person_of(fullname) not in self.failed
        }
        at_once = min(self.at_once, AT_ONCE_PER_PERSON * waiting)
        return self.times.seconds_left(left, at_once, self._pace)

    def _left_lately(self) -> float | None:
        """Return the time left as it was a second ago at most; None if all is done."""
        now, (steps, total) = self._clock(), self.counts()
        if self._estimated is None or now - self._estimated[0] >= LEFT_S:
            self._estimated = now, self.seconds_left()
        return self._estimated[1] if steps < total else None

    def line(self) -> str:
        """One line of state for a log."""
        return f"{self._states()[0]}; now: {', '.join(self.running) or '–'}"

    def _states(self) -> tuple[str, ...]:
        """Say where the run is, in ever fewer columns."""
        steps, total = self.counts()
        finished = sum(self.done[person] >= self.totals[person] for person in self.totals)
        persons, seconds = len(self.totals), self._left_lately()
        left = "" if seconds is None else f", {time_text(seconds)} left"
        about = left.replace(", ", ", about ") if left[2:3].isdigit() else left
        short, head = f"{steps}/{total}{left}", f"[{self.elapsed()}]"
        whole = f"{self.title}{finished} of {persons} persons, {steps} of {total} steps{about}"
        return (
            f"{head} {whole}",
            f"{head} {finished}/{persons} persons, {steps}/{total} steps{left}",
            f"{finished}/{persons}, {short}",
            short,
            f"{steps}/{total}",
        )

    def elapsed(self) -> str:
        """Time since the start as m:ss."""
        seconds = int(self._clock() - self.started)
        return f"{seconds // 60}:{seconds % 60:02d}"

    def lines(self, columns: int) -> list[str]:
        """Return the lines of the display: counts, what runs, and the busy persons.

        Parameters
        ----------
        columns
            So many are there; counts are never cut.
        """
        states = self._states()
        state = next((one for one in states if len(one) <= columns), states[-1])
        busy = [p for p in self.totals if self.done[p] < self.totals[p]] or list(self.totals)
        # who waits says nothing
        begun = [p for p in busy if self.done[p] or p in self.failed] or busy
        now = f"now: {', '.join(self.running) or '–'}"
        return [state, now, *(self._row(person, columns) for person in begun[:SHOWN_PERSONS])]

    def _row(self, person: str, columns: int) -> str:
        """Return a person's line: label, bar and counts, of which the counts always fit."""
        done, total = self.done[person], self.totals[person]
        count = f"{done}/{total}" + (" failed" if person in self.failed else "")
        label = max(map(len, self.totals))
        bar = min(LONGEST_BAR, columns - label - len(count) - 4)
        if bar >= SHORTEST_BAR:
            full = bar * done // max(total, 1)
            return f"{person:<{label}}  {'█' * full}{'░' * (bar - full)}  {count}"
        room = max(columns - len(count) - 1, 0)
        name = person if len(person) <= room else f"{person[: room - 1]}…" if room > 1 else ""
        return f"{name} {count}".lstrip()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the display while the run goes on."""
        if self.how == PLAIN and self._stream.isatty():
            self._block = Block(self._stream)
        stop = threading.Event()
        thread = threading.Thread(target=self._keep_telling, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
            self.tick()
        finally:
            stop.set()
            thread.join()
            self._finish()

    def _keep_telling(self, stop: threading.Event) -> None:
        """Show that the run goes on also while no step begins or ends."""
        while not stop.wait(TICK_S):
            self.tick()

    def _finish(self) -> None:
        with self._lock:
            self.times.save()
            if self._block is not None:
                self._block.leave(self.lines(self._block.size()[0] - 1))
                self._block = None
            elif self.how != QUIET:
                self._tell()


def _tell_step(fullname: str, status: str) -> None:
    """Write as JSON that a step started, ended or failed."""
    words = {"start": "started", "exception": "failed"}
    person, name = person_of(fullname), short_name(fullname)
    said = words.get(status, "ended")
    write_json(
        "error" if status == "exception" else "info", f"{name} {said}", person=person,
        step=fullname.rpartition(".")[2], state=said,
    )  # fmt: skip


def person_of(fullname: str) -> str | None:
    """Return the person that a step belongs to, from its full name; None if it is for everybody.

    Examples
    --------
    >>> person_of("wmhflow_0_1_0_wf.sub_01_wf.ses_1_wf.zones")
    'sub-01'
    >>> person_of("wmhflow_0_1_0_wf.template_01_wf.template") is None
    True
    """
    parts = [part for part in fullname.split(".") if part.startswith("sub_")]
    return _as_label(parts[0]) if parts else None


def _as_label(folder: str) -> str:
    """Turn a workflow's name, such as ``sub_a_b_wf``, back into ``sub-a+b``."""
    return folder.removesuffix("_wf").replace("_", "-", 1).replace("_", "+")


def short_name(fullname: str) -> str:
    """Return a step's name as a user would say it.

    Examples
    --------
    >>> short_name("wmhflow_0_1_0_wf.sub_01_wf.ses_1_wf.zones")
    'sub-01 ses-1 zones'
    """
    parts = [part for part in fullname.split(".")[1:] if part != "visit_wf"]
    return " ".join(
        _as_label(part) if part.startswith(("sub_", "ses_")) else part.removesuffix("_wf")
        for part in parts
    )
