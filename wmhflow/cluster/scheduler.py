"""A cluster's scheduler, asked by its own programs; what goes wrong there is said in a sentence."""

from __future__ import annotations

import getpass
import logging
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wmhflow.cluster.submission import plain
from wmhflow.errors import InputError, MissingProgramError
from wmhflow.registries.executors import Executor

log = logging.getLogger("wmhflow")
# a scheduler that is busy answers late; one that is not there never does
PATIENCE_S = 120
KB_PER_GB = 1024**2
# a job that was taken and not answered for is listed at the latest after these waits
SEEK_WAITS_S = (0.0, 5.0, 15.0)
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


class Limits(NamedTuple):
    """The longest time and the most memory of a task; None where no limit is known."""

    minutes: int | None = None
    mem_gb: float | None = None


class LateError(InputError):
    """A program of the scheduler did not answer in time."""


class TooManyError(InputError):
    """The site takes no array of so many tasks, or no more tasks of this user."""


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

    def submit(self, script: Path, name: str) -> str:
        """Send a script; return the job's number.

        An answer that is late does not mean that the job was not taken: it is looked for.

        Parameters
        ----------
        script
            The script.
        name
            How the job is called, as no other job is.

        Raises
        ------
        TooManyError
            If the site takes no array of so many tasks, or no more tasks of this user.
        InputError
            If the scheduler refuses it, with what it said.
        """
        executor = self.executor
        words = list(executor.submit)
        text = script.read_text(encoding="utf-8")
        try:
            done = _run(
                words if executor.by_input else [*words, str(script)],
                text if executor.by_input else None,
                self._environment_of(text),
                # where jobs begin: a folder that nodes have; they may lack the user's own
                script.parent,
            )
        except LateError as error:
            is_late, said = True, str(error)
        else:
            found = re.search(executor.job_id, done.stdout, re.MULTILINE)
            if found and not done.returncode:
                return found[1]
            said = _said(done)
            is_late = not done.returncode or bool(re.search(executor.late, said))
        if is_late:
            job = self._taken(name)
            if job:
                return job
            raise InputError(
                f"{words[0]} did not say whether it took {script}: {said.rstrip('.')}. A job "
                f"called {name} is not listed now; if it comes later, wmhflow status finds it."
            )
        kind = TooManyError if re.search(executor.too_many, said) else InputError
        raise kind(
            f"{words[0]} refused {script}: {said}; correct what it names (options "
            "for it are --partition, --account, --time, --mem-gb and --sbatch)."
        )

    def _taken(self, name: str) -> str | None:
        """Look for a job by its name, for a while."""
        for wait in SEEK_WAITS_S:
            time.sleep(wait)
            try:
                job = self.find([name]).get(name)
            except (InputError, MissingProgramError) as error:
                log.warning("%s", error)
                continue
            if job:
                return job
        return None

    def _environment_of(self, text: str) -> dict[str, str]:
        """Leave out the variables that would overrule lines of a script's header."""
        executor = self.executor
        unwanted = {
            variable
            for start, variables in executor.overrules.items()
            if not start or f"\n{executor.directive} {start}" in text
            for variable in variables
        }
        return {name: value for name, value in os.environ.items() if name not in unwanted}

    def find(self, names: Sequence[str]) -> dict[str, str]:
        """Look for jobs by their names; return the number of each that there is.

        Of several of one name it is the last.

        Raises
        ------
        InputError
            If the scheduler does not answer.
        """
        executor, numbers = self.executor, dict[str, str]()
        commands = executor.find or (executor.ask,)
        for words in commands if names else ():
            for one in names if "{name}" in words else [""]:
                # the first answers, or nothing is known; others tell what that has forgotten
                is_needed = words is commands[0]
                if not is_needed and shutil.which(words[0]) is None:
                    continue
                done = self._asked(_filled(words, [], names, one), is_needed)
                for line in done.stdout.splitlines():
                    found = re.search(executor.found or executor.line, line)
                    if found is None:
                        continue
                    name, job = found.groupdict().get("name", one), found["job"]
                    if name in names and int(plain(job)) > int(plain(numbers.get(name, "0"))):
                        numbers[name] = job
        return numbers

    def _asked(self, words: Sequence[str], is_needed: bool) -> subprocess.CompletedProcess[str]:
        """Ask for jobs by name; where an answer is not needed, none is an empty one."""
        try:
            done = _run(words, environment=self._plain_environment())
        except InputError:
            if is_needed:
                raise
            return subprocess.CompletedProcess(list(words), 1, "", "")
        knows_none = self.executor.none_known and re.search(
            self.executor.none_known, done.stderr + done.stdout
        )
        if done.returncode and is_needed and not knows_none:
            raise InputError(f"{words[0]} does not answer: {_said(done)}; ask again later.")
        return done

    def _plain_environment(self) -> dict[str, str]:
        """Leave out the variables by which a user changes what the scheduler's programs answer."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(self.executor.unset or "\0")
        }
        return kept | {"LC_ALL": "C"}

    def cancel(self, jobs: Sequence[str], names: Mapping[str, str] | None = None) -> None:
        """End jobs; those that have ended already stay as they are.

        Parameters
        ----------
        jobs
            Their numbers.
        names
            How each is called: a number may be another job's by now.

        Raises
        ------
        InputError
            If the scheduler does not take the command.
        """
        known = self.tasks(jobs, names)
        ended = {"done", "ended", "memory", "time", "node", "cancelled"}
        active = {place[0] for place, found in known.items() if found.state not in ended}
        ours = [job for job in jobs if plain(job) in active]
        if ours:
            self._end([[*self.executor.cancel, *ours]], ours, names)

    def cancel_tasks(self, places: Sequence[Place], names: Mapping[str, str] | None = None) -> None:
        """End tasks of arrays.

        Parameters
        ----------
        places
            The number of the job, and that of the task; None of a job that is no array.
        names
            How each job is called.

        Raises
        ------
        InputError
            If the scheduler does not take the command.
        """
        cancel, form = self.executor.cancel, self.executor.cancel_one
        words = [
            [job] if task is None else form.format(job=job, task=task).split()
            for job, task in places
        ]
        # where each task is one word, as many as a command line holds
        step = 500 if all(len(one) == 1 for one in words) else 1
        commands = [
            [*cancel, *(word for one in words[n : n + step] for word in one)]
            for n in range(0, len(words), step)
        ]
        self._end(commands, [job for job, _ in places], names)

    def _end(
        self, commands: Iterable[Sequence[str]], jobs: Sequence[str],
        names: Mapping[str, str] | None,
    ) -> None:  # fmt: skip
        for words in commands:
            done = _run(words)
            if done.returncode and any(
                found.state in {"waiting", "running"} for found in self.tasks(jobs, names).values()
            ):
                raise InputError(f"{words[0]} failed: {_said(done)}; try it again.")

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
        return self.limits(partition).minutes

    def limits(self, partition: str | None) -> Limits:
        """Return what a task may have in partitions (``a,b``: the most of them), or by default."""
        wanted = set(partition.split(",")) if partition else None
        minutes: list[int | None] = []
        memory: list[float | None] = []
        for name, limit, mb in self._partitions():
            if name.rstrip("*") in wanted if wanted else name.endswith("*"):
                found = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):)?(\d+):\d+", limit)
                days, hours, rest = (
                    (int(part or 0) for part in found.groups()) if found else (0,) * 3
                )
                minutes.append((days * 24 + hours) * 60 + rest if found else None)
                size = re.fullmatch(r"(\d+)\+?", mb)
                memory.append(int(size[1]) / 1024 if size and int(size[1]) > 1 else None)
        return Limits(_most_or_none(minutes), _most_or_none(memory))

    def partitions(self) -> list[str]:
        """List the partitions that there are; nothing where the scheduler does not tell them."""
        return list(dict.fromkeys(name.rstrip("*") for name, *_ in self._partitions()))

    def _partitions(self) -> Iterator[tuple[str, str, str]]:
        """Go through names, with a star at the default one, time limits and memory in MB."""
        if not self.executor.ask_time or shutil.which(self.executor.ask_time[0]) is None:
            return
        try:
            answer = _run(self.executor.ask_time, environment=self._plain_environment())
        except InputError as error:
            log.warning("The limits of partitions are not known: %s", error)
            return
        for line in answer.stdout.splitlines():
            name, limit, mb, *_ = [*line.split(), "", "", ""]
            if name:
                yield name, limit, mb

    def tasks(
        self, jobs: Sequence[str], names: Mapping[str, str] | None = None
    ) -> dict[Place, Found]:
        """Say what the scheduler knows of the tasks of jobs; those long ended it has forgotten.

        Parameters
        ----------
        jobs
            Their numbers.
        names
            By number, how jobs are called: one of another name is another job, of a scheduler that
            began to count anew.

        Raises
        ------
        InputError
            If it does not answer, or not wholly.
        """
        if not jobs:
            return {}
        ids = [plain(job) for job in jobs]
        words = _filled(self.executor.ask, ids)
        done = _run(words, environment=self._plain_environment())
        if done.returncode and not (
            self.executor.none_known
            and re.search(self.executor.none_known, done.stderr + done.stdout)
        ):
            raise InputError(f"{words[0]} does not answer: {_said(done)}; ask again later.")
        known: dict[Place, Found] = {}
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        matches = [found for line in lines if (found := re.search(self.executor.line, line))]
        if unread := self._unread(done.stdout, lines, matches, ids):
            raise InputError(
                f"{words[0]} answers what cannot be read ({unread[:80]!r}); ask again later."
            )
        for found in matches:
            parts = found.groupdict()
            expected = (names or {}).get(found["job"])
            is_other = expected and parts.get("name") not in (None, expected)
            if found["job"] in ids and not is_other:
                state = Found(
                    self.executor.state_of(found["state"]),
                    parts.get("why", found["state"]) or "",
                    parts.get("left") or "",
                )
                for number in _numbers(found["task"] or ""):
                    known[found["job"], number] = state
        return known

    def _unread(
        self, text: str, lines: Sequence[str], matches: Sequence[re.Match[str]], ids: Sequence[str]
    ) -> str:
        """Return a line that should have been understood: tasks must not be lost with it."""
        if lines and (not matches or not text.endswith("\n")):
            return lines[-1]
        # a list of numbers that is too long is cut, too
        read = {found.string for found in matches if "..." not in (found["task"] or "")}
        for line in lines:
            number = re.match(r"\s*(\d+)", line)
            if number and number[1] in ids and line not in read:
                return line
        return ""

    def used(
        self, jobs: Sequence[str], names: Mapping[str, str] | None = None
    ) -> dict[Place, Used]:
        """Say what ended tasks used; nothing where the site keeps no account of it.

        Parameters
        ----------
        jobs, names
            As of :meth:`tasks`.
        """
        account = self.executor.account
        if not account or not jobs or shutil.which(account[0]) is None:
            return {}
        words = _filled(account, [plain(job) for job in jobs])
        try:
            done = _run(words, environment=self._plain_environment())
        except InputError as error:
            # an account that is slow costs what it would tell alone
            log.warning("What tasks used is not known: %s", error)
            return {}
        if done.returncode:
            return {}
        noted: dict[Place, Used] = {}
        others: set[Place] = set()
        for line in done.stdout.splitlines(keepends=True):
            name, *parts = line.rstrip("\n").split("|")
            found = re.match(r"(\d+)(?:_(\d+))?(\.\w+)?$", name)
            # the last line of an answer that was cut says nothing
            if not found or len(parts) < 3 or not line.endswith("\n"):
                continue
            state, seconds, memory, *called = parts
            place = (found[1], int(found[2]) if found[2] else None)
            before = noted.get(place, Used("unknown", None, None))
            mem = _most(before.mem_gb, _gigabytes(memory))
            expected = (names or {}).get(found[1])
            if found[3]:
                # a step of the job: of its memory is known, the job's own line says the state
                noted[place] = before._replace(mem_gb=mem)
            elif called and expected and called[0] != expected:
                others.add(place)
            else:
                others.discard(place)
                minutes = int(seconds) / 60 if re.fullmatch(r"[0-9]{1,9}", seconds) else None
                noted[place] = Used(self.executor.state_of(state), minutes, mem)
        return {place: used for place, used in noted.items() if place not in others}


def _most_or_none(values: Sequence[Any]) -> Any:
    """Return the largest; None where there are none, or one is not known: that may be larger."""
    return max(values) if values and None not in values else None


def _filled(
    words: Iterable[str], ids: Sequence[str], names: Sequence[str] = (), name: str = ""
) -> list[str]:
    filled = {"ids": ",".join(ids), "user": _user(), "names": ",".join(names), "name": name}
    return [one for word in words for one in (ids if word == "{ids}" else [word.format(**filled)])]


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
    >>> list(_numbers("4-6:1,9")), list(_numbers("[4-9:5%2]")), list(_numbers("N/A"))
    ([4, 5, 6, 9], [4, 9], [None])
    """
    # of such as [4-9%2], the last is how many run at once
    found = re.findall(r"(\d+)(?:-(\d+)(?::(\d+))?)?", re.sub(r"%\d+", "", text))
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


def _run(
    words: Sequence[str],
    text: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            list(words), input=text, capture_output=True, text=True, check=False,
            timeout=PATIENCE_S, errors="replace", env=environment,
            cwd=folder,
        )  # fmt: skip
    except FileNotFoundError:
        raise MissingProgramError(
            f"{words[0]} is not installed or not on PATH; run this where jobs are submitted."
        ) from None
    except OSError as error:
        raise InputError(f"{words[0]} cannot be run ({error.strerror}); ask your site.") from None
    except subprocess.TimeoutExpired:
        raise LateError(
            f"{words[0]} does not answer within {PATIENCE_S} s; ask again later."
        ) from None


def _said(done: subprocess.CompletedProcess[str]) -> str:
    text = " ".join((done.stderr.strip() or done.stdout.strip()).split())
    return text[:300] or f"it ended with {done.returncode} and said nothing"
