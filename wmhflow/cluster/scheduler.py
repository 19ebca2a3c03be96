"""A cluster's scheduler, asked by its own programs; what goes wrong there is said in a sentence."""

from __future__ import annotations

import getpass
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from wmhflow.cluster.submission import plain
from wmhflow.errors import InputError, MissingProgramError
from wmhflow.registries.executors import Executor

log = logging.getLogger("wmhflow")
# a scheduler that is busy answers late; one that is not there never does
PATIENCE_S = 120
KB_PER_GB = 1024**2
UNITS = {"": 1 / 1024, "K": 1.0, "M": 1024.0, "G": 1024.0**2, "T": 1024.0**3}


class Found(NamedTuple):
    """What the scheduler says of a task: its state, a reason, and the time that it has left."""

    state: str
    why: str = ""
    left: str = ""


class Used(NamedTuple):
    """What the scheduler noted of a task that ended; None where it noted nothing."""

    state: str
    minutes: float | None
    mem_gb: float | None


Place = tuple[str, int | None]


class Scheduler:
    """The programs of a scheduler.

    Parameters
    ----------
    executor
        What the registry says of it.
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def check_programs(self) -> None:
        """Look for its programs.

        Raises
        ------
        MissingProgramError
            If one is not on PATH.
        """
        for program in self.executor.programs:
            if shutil.which(program) is None:
                raise MissingProgramError(
                    f"--executor {self.executor.name}: {program} is not installed or not on PATH; "
                    "run this where jobs are submitted, or see the scripts with --dry-run."
                )

    def submit(self, script: Path) -> str:
        """Send a script; return the job's number.

        Raises
        ------
        InputError
            If the scheduler refuses it, with what it said.
        """
        words = list(self.executor.submit)
        text = script.read_text(encoding="utf-8") if self.executor.by_input else None
        done = _run(words if text else [*words, str(script)], text)
        found = re.search(self.executor.job_id, done.stdout, re.MULTILINE)
        if done.returncode or found is None:
            raise InputError(
                f"{words[0]} refused {script}: {_said(done)}; correct what it names (options "
                "for it are --partition, --account, --time, --mem-gb and --sbatch)."
            )
        return found[1]

    def cancel(self, jobs: Sequence[str]) -> None:
        """End jobs; those that have ended already stay as they are.

        Raises
        ------
        InputError
            If the scheduler does not take the command.
        """
        done = _run([*self.executor.cancel, *jobs])
        if done.returncode and any(
            found.state in {"waiting", "running"} for found in self.tasks(jobs).values()
        ):
            raise InputError(f"{self.executor.cancel[0]} failed: {_said(done)}; try it again.")

    def check_answer(self) -> None:
        """See whether the scheduler answers from here.

        Raises
        ------
        InputError
            With what its program said.
        """
        asked = self.executor.ask_most
        if shutil.which(asked[0]):
            done = _run(asked)
            if done.returncode:
                raise InputError(
                    f"{' '.join(asked)} failed: {_said(done)}; jobs cannot be sent from here. Ask "
                    "on a machine from which they can."
                )

    def most_tasks(self) -> int:
        """Return how many tasks an array of this site may have."""
        executor = self.executor
        if shutil.which(executor.ask_most[0]):
            found = re.search(executor.most_found, _run(executor.ask_most).stdout)
            if found and int(found[1]) > executor.most_less:
                return int(found[1]) - executor.most_less
        return executor.most

    def longest_minutes(self, partition: str | None) -> int | None:
        """Return the time limit of a partition, or of the default one; None if none is known."""
        for name, limit in self._partitions():
            is_meant = name.rstrip("*") == partition if partition else name.endswith("*")
            found = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):)?(\d+):\d+", limit.strip())
            if is_meant and found:
                days, hours, minutes = (int(part or 0) for part in found.groups())
                return (days * 24 + hours) * 60 + minutes
        return None

    def partitions(self) -> list[str]:
        """List the partitions that there are; nothing where the scheduler does not tell them."""
        return list(dict.fromkeys(name.rstrip("*") for name, _ in self._partitions()))

    def _partitions(self) -> Iterator[tuple[str, str]]:
        """Go through names, with a star at the default one, and time limits."""
        if not self.executor.ask_time:
            return
        for line in _run(self.executor.ask_time).stdout.splitlines():
            name, _, limit = line.strip().partition(" ")
            if name:
                yield name, limit

    def tasks(self, jobs: Sequence[str]) -> dict[Place, Found]:
        """Say what the scheduler knows of the tasks of jobs; those long ended it has forgotten.

        Raises
        ------
        InputError
            If it does not answer.
        """
        if not jobs:
            return {}
        ids = [plain(job) for job in jobs]
        words = _filled(self.executor.ask, ids)
        done = _run(words)
        if done.returncode and not re.search(
            r"[Ii]nvalid job id|[Uu]nknown [Jj]ob|not found", done.stderr + done.stdout
        ):
            raise InputError(f"{words[0]} does not answer: {_said(done)}; ask again later.")
        known: dict[Place, Found] = {}
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        matches = [found for line in lines if (found := re.search(self.executor.line, line))]
        if lines and not matches:
            raise InputError(
                f"{words[0]} answers what cannot be read ({lines[-1][:80]!r}); ask again later."
            )
        for found in matches:
            if found["job"] in ids:
                parts = found.groupdict()
                state = Found(
                    self.executor.state_of(found["state"]),
                    parts.get("why") or "",
                    parts.get("left") or "",
                )
                for number in _numbers(found["task"] or ""):
                    known[found["job"], number] = state
        return known

    def used(self, jobs: Sequence[str]) -> dict[Place, Used]:
        """Say what ended tasks used; nothing where the site keeps no account of it."""
        account = self.executor.account
        if not account or not jobs or shutil.which(account[0]) is None:
            return {}
        try:
            done = _run(_filled(account, [plain(job) for job in jobs]))
        except InputError as error:
            # an account that is slow costs what it would tell alone
            log.warning("What tasks used is not known: %s", error)
            return {}
        if done.returncode:
            return {}
        noted: dict[Place, Used] = {}
        for line in done.stdout.splitlines():
            name, *parts = line.split("|")
            found = re.match(r"(\d+)(?:_(\d+))?(\.\w+)?$", name)
            if not found or len(parts) != 3:
                continue
            state, seconds, memory = parts
            place = (found[1], int(found[2]) if found[2] else None)
            before = noted.get(place, Used("unknown", None, None))
            mem = _most(before.mem_gb, _gigabytes(memory))
            if found[3]:
                # a step of the job: of its memory is known, the job's own line says the state
                noted[place] = before._replace(mem_gb=mem)
            else:
                minutes = int(seconds) / 60 if re.fullmatch(r"[0-9]{1,9}", seconds) else None
                noted[place] = Used(self.executor.state_of(state), minutes, mem)
        return noted


def _filled(words: Iterable[str], ids: Sequence[str]) -> list[str]:
    return [
        one
        for word in words
        for one in (ids if word == "{ids}" else [word.format(ids=",".join(ids), user=_user())])
    ]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # nobody knows this user
        return str(os.getuid())


def _numbers(text: str) -> Iterator[int | None]:
    """Read the numbers of tasks, such as ``3``, ``4-6`` or ``4-6:1,9``; none means the job itself.

    Examples
    --------
    >>> list(_numbers("4-6:1,9")), list(_numbers("N/A"))
    ([4, 5, 6, 9], [None])
    """
    found = re.findall(r"(\d+)(?:-(\d+)(?::(\d+))?)?", text)
    if not found or text == "0":
        yield None
        return
    for first, last, step in found:
        yield from range(int(first), int(last or first) + 1, int(step or 1))


def _gigabytes(text: str) -> float | None:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)", text)
    return float(found[1]) * UNITS[found[2]] / KB_PER_GB if found else None


def _most(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return max(known, default=None)


def _run(words: Sequence[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            list(words), input=text, capture_output=True, text=True, check=False,
            timeout=PATIENCE_S, errors="replace",
        )  # fmt: skip
    except FileNotFoundError:
        raise MissingProgramError(
            f"{words[0]} is not installed or not on PATH; run this where jobs are submitted."
        ) from None
    except OSError as error:
        raise InputError(f"{words[0]} cannot be run ({error.strerror}); ask your site.") from None
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{words[0]} does not answer within {PATIENCE_S} s; ask again later."
        ) from None


def _said(done: subprocess.CompletedProcess[str]) -> str:
    text = " ".join((done.stderr.strip() or done.stdout.strip()).split())
    return text[:300] or f"it ended with {done.returncode} and said nothing"
