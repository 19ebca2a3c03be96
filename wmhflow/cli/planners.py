"""Many persons planned by several processes, in order and as one process would plan them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from wmhflow.files.children import die_with_parent
from wmhflow.plan.packing import Packing
from wmhflow.plan.visit import ParticipantPlan

Plan = Callable[[str], ParticipantPlan]
# Fewer are planned before processes have begun.
LEAST = 40
# So many are planned here at first: what is read once is there when the others are forked.
ALONE = 4
# A process plans so many before it answers, of whom it is told while it still plans the last ones.
CHUNK, WAITING = 8, 2
# So many answers of each process may wait until they are asked for.
AHEAD = 4
# More processes wait for the disk, and for the one that takes their plans.
MOST = 8
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
log = logging.getLogger("wmhflow")


def plans_of(
    subjects: Sequence[str], plan: Plan, processes: int, shared: Sequence[object] = ()
) -> Iterator[ParticipantPlan]:
    """Plan persons one after the other; many of them in several processes, ahead of the asking.

    The plans, their order and what is logged are the same whatever the number of processes.

    Parameters
    ----------
    subjects
        Labels.
    plan
        Plans a person.
    processes
        As many may be used.
    shared
        Rows of registries that plans hold, see :class:`wmhflow.plan.packing.Packing`.

    Yields
    ------
    ParticipantPlan
        In the order of the labels.
    """
    processes = min(processes, MOST)
    if processes < 2 or len(subjects) <= LEAST:
        yield from map(plan, subjects)
        return
    yield from map(plan, subjects[:ALONE])
    if not _can_fork():
        yield from map(plan, subjects[ALONE:])
        return
    with _Planners(plan, Packing(shared), processes) as planners:
        yield from planners.plans(subjects[ALONE:])


def _can_fork() -> bool:
    """Tell whether a process that is forked here can go on: it has this one's thread alone."""
    return (
        sys.platform == "linux"
        and threading.active_count() == 1
        and not multiprocessing.current_process().daemon
    )


@dataclass
class _Planner:
    """A process that plans, and the numbers of the chunks that it was told and did not answer."""

    process: BaseProcess
    connection: Connection
    told: deque[int] = field(default_factory=deque)


@dataclass(frozen=True)
class _Answer:
    """What became of one person: a plan or an error, and what was said meanwhile."""

    plan: ParticipantPlan | None
    error: Exception | None
    records: list[logging.LogRecord]
    warned: list[tuple[str, type[Warning], str, int]]


class _Planners:
    """Processes that were forked from this one, and end with it.

    Parameters
    ----------
    plan
        Plans a person.
    packing
        How plans are sent.
    number
        Of processes.
    """

    def __init__(self, plan: Plan, packing: Packing, number: int) -> None:
        self._plan = plan
        self._packing = packing
        self._planners: list[_Planner] = []
        self._answers: dict[int, list[_Answer] | None] = {}
        # as Python keeps it for modules: a warning of one line of code is shown once
        self._shown: dict[Any, Any] = {}
        self._number = number

    def __enter__(self) -> _Planners:
        # what ends this process must not reach another one before it is deaf to it
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            try:
                self._begin()
            finally:
                # it is here that a signal is heard which came meanwhile
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self) -> None:
        context = multiprocessing.get_context("fork")
        for _ in range(self._number):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work, args=(theirs, self._plan, self._packing, os.getpid()), daemon=True
            )
            # known before it begins: a signal may also reach a thread that does not put it off
            self._planners.append(_Planner(process, ours))
            try:
                process.start()
            except OSError as error:
                self._planners.pop().connection.close()
                log.info("Fewer processes plan: %s", error.strerror)
                break
            finally:
                theirs.close()

    def __exit__(self, *_: object) -> None:
        begun = [one for one in self._planners if one.process.pid is not None]
        for one in begun:
            # it writes nothing that could be left half written
            one.process.kill()
        for one in begun:
            one.process.join()
        for one in self._planners:
            one.connection.close()
        self._planners.clear()

    def plans(self, subjects: Sequence[str]) -> Iterator[ParticipantPlan]:
        """Go through the plans of persons, in order."""
        chunks = [subjects[start : start + CHUNK] for start in range(0, len(subjects), CHUNK)]
        n_told = 0
        for number, chunk in enumerate(chunks):
            while number not in self._answers:
                most = min(len(chunks), number + AHEAD * self._number)
                n_told = self._tell(chunks, n_told, most)
                if n_told <= number:
                    # nobody is left to be told
                    self._answers[number] = None
                    n_told += 1
                else:
                    self._listen()
            yield from self._taken(chunk, self._answers.pop(number))

    def _tell(self, chunks: Sequence[Sequence[str]], start: int, end: int) -> int:
        """Tell whoever has little to do of further chunks; return the first that was not told."""
        for number in range(start, end):
            free = min(self._planners, key=lambda one: len(one.told), default=None)
            if free is None or len(free.told) >= WAITING:
                return number
            free.told.append(number)
            with suppress(OSError):
                # one that is gone is found so by who listens
                free.connection.send(list(chunks[number]))
        return max(start, end)

    def _listen(self) -> None:
        """Wait for an answer; what a process that is gone was told is planned here, later."""
        by_connection = {one.connection: one for one in self._planners}
        for connection in wait(list(by_connection)):
            one = by_connection[connection]  # type: ignore[index]
            try:
                answer = one.connection.recv_bytes()
            except (EOFError, OSError):
                self._drop(one)
            else:
                self._answers[one.told.popleft()] = self._unpacked(answer)

    def _unpacked(self, answer: bytes) -> list[_Answer] | None:
        try:
            found: list[_Answer] | None = self._packing.unpack(answer)
        except Exception as error:  # noqa: BLE001 - of an error that cannot be made again
            log.debug("An answer cannot be read: %s", error)
            return None
        return found

    def _drop(self, one: _Planner) -> None:
        one.process.join(1.0)
        code = one.process.exitcode
        why = f"killed by signal {-code}" if code is not None and code < 0 else f"code {code}"
        log.warning(
            "A process that planned persons ended before its time (%s); they are planned again, "
            "and nothing is lost.",
            why,
        )
        one.process.kill()
        one.connection.close()
        self._planners.remove(one)
        self._answers |= dict.fromkeys(one.told)

    def _taken(
        self, chunk: Sequence[str], answers: list[_Answer] | None
    ) -> Iterator[ParticipantPlan]:
        """Say what was said of each person, and return the plans, or raise what was raised."""
        if answers is None:
            yield from map(self._plan, chunk)
            return
        for answer in answers:
            for record in answer.records:
                logging.getLogger(record.name).handle(record)
            for text, category, file, line in answer.warned:
                warnings.warn_explicit(text, category, file, line, registry=self._shown)
            if answer.error is not None:
                raise answer.error
            if answer.plan is not None:
                yield answer.plan


# ---- in a process that plans ---------------------------------------------------------------------


class _Heard(logging.Handler):
    """Keeps messages for the process that says them."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.warned: list[tuple[str, type[Warning], str, int]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message as texts, which can be sent."""
        record.msg, record.args = record.getMessage(), None
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        self.records.append(record)

    def warn(
        self, message: Warning | str, category: type[Warning], file: str, line: int, *_: object
    ) -> None:
        """Keep a warning of Python's."""
        self.warned.append((str(message), category, file, line))

    def listen(self) -> None:
        """Take the place of whatever says messages, and of what shows warnings."""
        loggers = [one for one in logging.root.manager.loggerDict.values()
                   if isinstance(one, logging.Logger)]  # fmt: skip
        for one in loggers:
            one.handlers = [] if one.propagate else [self]
        logging.root.handlers = [self]
        warnings.showwarning = self.warn  # type: ignore[assignment]

    def answer(self, plan: Plan, subject: str) -> _Answer:
        """Plan a person."""
        self.records, self.warned = [], []
        planned, failed = None, None
        try:
            planned = plan(subject)
        except Exception as error:  # noqa: BLE001 - it is raised where the plan was asked for
            failed = error
        return _Answer(planned, failed, self.records, self.warned)


def _work(connection: Connection, plan: Plan, packing: Packing, parent: int) -> None:
    """Plan whoever is told, until the process that tells is gone."""
    for one in STOPPING:
        # the program itself hears it, and ends this process
        signal.signal(one, signal.SIG_DFL if one == signal.SIGTERM else signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    die_with_parent()
    heard = _Heard()
    heard.listen()
    with suppress(EOFError, OSError):
        while os.getppid() == parent:
            answers = [heard.answer(plan, subject) for subject in connection.recv()]
            connection.send_bytes(_packed(packing, answers))


def _packed(packing: Packing, answers: list[_Answer]) -> bytes:
    try:
        return packing.pack(answers)
    except Exception as error:  # noqa: BLE001 - pickle raises whatever an object does
        # it is planned again where it is needed
        log.debug("Plans cannot be sent: %s", error)
        return packing.pack(None)
