"""What was sent to a scheduler: a folder of its own, which is written once and then only read."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import wmhflow
from wmhflow.bids.writer import write_json, write_text
from wmhflow.errors import InputError, UsageError
from wmhflow.registries.executors import load_executors

# so many signs that two jobs of a user are not called alike by chance
TAG_LENGTH = 7
FOLDER = Path("logs") / "submissions"


class Task(NamedTuple):
    """Whom a task of the array processes; without a session, all visits."""

    subject: str
    session: str | None = None

    @classmethod
    def parse(cls, line: str) -> Task:
        """Read a line of ``labels.txt``.

        Examples
        --------
        >>> Task.parse("01 a").name
        'sub-01 ses-a'
        """
        subject, _, session = line.strip().partition(" ")
        return cls(subject, session or None)

    @property
    def line(self) -> str:
        """Its line of ``labels.txt``."""
        return f"{self.subject} {self.session}" if self.session else self.subject

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"sub-{self.subject} ses-{self.session}" if self.session else f"sub-{self.subject}"


class Needs(NamedTuple):
    """What a task asks the scheduler for."""

    mem_gb: float
    minutes: int
    cpus: int


@dataclass(frozen=True)
class Cut:
    """A job array: tasks ``first + 1`` to ``first + count`` of the list.

    ``job`` is the number that the scheduler gave, None if it was not sent.
    """

    first: int
    count: int
    needs: Needs
    job: str | None = None


@dataclass(frozen=True)
class Submission:
    """What was sent at once.

    ``estimate`` is the plan's own of a task's memory (``mem_gb``) and time (``minutes``), before
    anything was learnt from tasks that had ended; ``chosen`` holds the options of ``wmhflow
    submit`` by name; ``resumes`` names the submission of which this one sends what is missing;
    ``tagged`` tells that its jobs have names that no other job has, and
    ``version`` which version of the program sent it.
    """

    id: str
    folder: Path
    bids_dir: Path
    output_dir: Path
    executor: str
    cuts: tuple[Cut, ...]
    estimate: dict[str, float] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)
    caches: str | None = None
    group: str | None = None
    resumes: str | None = None
    created: float = 0.0
    tagged: bool = False
    version: str = ""

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Whom its tasks process, in the order of their numbers."""
        path = self.folder / "labels.txt"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} cannot be read ({getattr(error, 'strerror', 'no text in UTF-8')}); move "
                f"{self.folder} away, or rename it, and submit anew."
            ) from None
        return tuple(Task.parse(line) for line in lines if line.strip())

    @property
    def jobs(self) -> list[str]:
        """The numbers of all its jobs."""
        given = (self.caches, *(cut.job for cut in self.cuts), self.group)
        return [job for job in given if job is not None]

    def job_name(self, kind: str, script: str) -> str:
        """Return how a job is called: as no other one, so that it can be found by that.

        Parameters
        ----------
        kind
            What it does.
        script
            Which of the submission's it is.
        """
        import hashlib

        said = f"{self.id} {self.created!r} {script}"
        tag = hashlib.sha256(said.encode()).hexdigest()[:TAG_LENGTH]
        return load_executors()[self.executor].job_name.format(kind=kind, tag=tag)

    def job_of(self, kind: str) -> str | None:
        """Return the number of ``caches``, ``group``, or ``array`` and its first task."""
        jobs = {f"array {cut.first}": cut.job for cut in self.cuts}
        return (jobs | {"caches": self.caches, "group": self.group})[kind]

    def places(self) -> Iterator[tuple[Task, Cut, int]]:
        """Go through its tasks: whom, in which array, and with which number there."""
        for cut in self.cuts:
            for number in range(1, cut.count + 1):
                yield self.tasks[cut.first + number - 1], cut, number

    def log(self, cut: Cut, number: int) -> Path:
        """Return where the messages of a task are."""
        return self.folder / "tasks" / f"{plain(cut.job or '')}.{number}.log"

    def write(self) -> None:
        """Note it in its folder."""
        content = asdict(self) | {
            "version": self.version or wmhflow.__version__,
            "bids_dir": str(self.bids_dir),
            "output_dir": str(self.output_dir),
            "cuts": [asdict(cut) | {"needs": cut.needs._asdict()} for cut in self.cuts],
        }
        del content["folder"]
        write_json(self.folder / "submission.json", content)

    def write_labels(self, tasks: Sequence[Task]) -> None:
        """Freeze whom it processes."""
        write_text(self.folder / "labels.txt", "".join(f"{task.line}\n" for task in tasks))


def group_command(submission: Submission) -> str:
    """Write the command that gathers the tables of a submission's persons by hand."""
    bids, out = (shlex.quote(str(one)) for one in (submission.bids_dir, submission.output_dir))
    return f"wmhflow {bids} {out} group"


def plain(job: str) -> str:
    """Return the number of a job without what some schedulers add to it.

    Examples
    --------
    >>> plain("123[].server"), plain("77")
    ('123', '77')
    """
    digits = len(job) - len(job.lstrip("0123456789"))
    return job[:digits]


def new_folder(output_dir: Path) -> Path:
    """Make the folder of a new submission; it is called after the time.

    Raises
    ------
    UsageError
        If none can be made.
    """
    name = time.strftime("%Y%m%d-%H%M%S")
    for number in range(1, 1000):
        folder = output_dir / FOLDER / (name if number == 1 else f"{name}-{number}")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
            (folder / "tasks").mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(
                f"OUTPUT_DIR {output_dir} cannot be written to ({error.strerror}); choose another."
            ) from None
        return folder
    raise UsageError(f"{output_dir / FOLDER} holds a thousand submissions of this second.")


def scratch_key(output_dir: Path) -> str:
    """Name the folder of nodes in which tasks of an output folder work, the same for each of them.

    Examples
    --------
    >>> scratch_key(Path("/study/out"))
    'wmhflow-8b4a9f34'
    """
    import hashlib

    return f"wmhflow-{hashlib.sha256(os.fsencode(output_dir)).hexdigest()[:8]}"
