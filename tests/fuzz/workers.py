"""Processes that run cases, so that one that hangs or dies costs its own case alone."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from tests.fuzz.verdicts import CRASH, HANG, Verdict

BEGIN_S = 600.0
# what an image may ask for, above what the program itself takes
MOST_MEMORY = 6 * 2**30
Run = Callable[[int], Verdict]


@dataclass
class Worker:
    """A process, the case that it runs, and since when."""

    process: Any
    pipe: Connection
    number: int | None = None
    since: float = 0.0


@dataclass(frozen=True)
class Answer:
    """How a case ended, and how many seconds it took."""

    number: int
    verdict: Verdict
    seconds: float


def answers(
    numbers: Iterable[int],
    make: Callable[[Path], Run],
    n_workers: int,
    limit_of: Callable[[int], float],
    until: float = float("inf"),
) -> Iterator[Answer]:
    """Run cases side by side, and give what comes of each as it ends.

    Parameters
    ----------
    numbers
        The cases.
    make
        Makes, in each process, from an empty folder what runs a case; it can be pickled.
    n_workers
        Processes.
    limit_of
        Seconds after which a case hangs, by number.
    until
        No case begins after this (``time.monotonic``).
    """
    context = multiprocessing.get_context("spawn")
    left = iter(numbers)
    workers = [_begin(context, make) for _ in range(n_workers)]
    try:
        while workers:
            pipes = [worker.pipe for worker in workers]
            ready = wait(pipes, timeout=1.0)
            for place, worker in enumerate(workers):
                if worker.pipe in ready:
                    answer = _heard(worker)
                elif time.monotonic() - worker.since > _limit(worker, limit_of):
                    answer = _ended(worker, HANG, "it was ended")
                else:
                    continue
                if answer is not None:
                    yield answer
                if worker.process is None:
                    workers[place] = _begin(context, make)
                else:
                    _send(worker, next(left, None) if time.monotonic() < until else None)
            workers = [worker for worker in workers if worker.process is not None]
    finally:
        for worker in workers:
            _end(worker)


def _send(worker: Worker, number: int | None) -> None:
    """Give a worker its next case; without one it has done its work."""
    if number is None:
        _end(worker)
    else:
        worker.number, worker.since = number, time.monotonic()
        worker.pipe.send(number)


def _limit(worker: Worker, limit_of: Callable[[int], float]) -> float:
    return BEGIN_S if worker.number is None else limit_of(worker.number)


def _begin(context: Any, make: Callable[[Path], Run]) -> Worker:
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, make))
    process.start()
    theirs.close()
    return Worker(process, ours, since=time.monotonic())


def _heard(worker: Worker) -> Answer | None:
    """Take what a worker sends: that it is ready, or a verdict; or see that it is dead."""
    try:
        verdict = worker.pipe.recv()
    except (EOFError, ConnectionError):
        worker.process.join()
        return _ended(worker, CRASH, f"the process ended with {worker.process.exitcode}")
    if worker.number is None:
        return None
    return Answer(worker.number, verdict, time.monotonic() - worker.since)


def _ended(worker: Worker, outcome: str, why: str) -> Answer:
    number = worker.number
    if number is None:
        _end(worker)
        raise RuntimeError(f"a worker never began: {why}")
    _end(worker)
    seconds = time.monotonic() - worker.since
    return Answer(number, Verdict(outcome, f"{why} after {seconds:.0f} s"), seconds)


def _end(worker: Worker) -> None:
    if worker.process is None:
        return
    worker.pipe.close()
    worker.process.kill()
    worker.process.join()
    worker.process = None


def _serve(pipe: Connection, make: Callable[[Path], Run]) -> None:
    """Run cases until nobody asks any more."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, contextlib.suppress(EOFError):
        run = make(Path(folder))
        # ITK and HDF5 speak past Python
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = used * resource.getpagesize() + MOST_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        pipe.send(None)
        while True:
            pipe.send(run(pipe.recv()))
