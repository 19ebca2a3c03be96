"""One small dataset, what the program says of it undisturbed, and how it is looked at."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import wmhflow
from tests.coarse import coarse_dataset
from tests.fuzz.verdicts import (
    BAD_EXIT,
    EXIT_CODES,
    REFUSED,
    TRACEBACK,
    UNEXPECTED,
    Verdict,
)
from wmhflow.cli.main import main
from wmhflow.files.caches import cache_folder
from wmhflow.plan.text import format_plan
from wmhflow.plan.visit import ParticipantPlan, VisitPlan
from wmhflow.registries.atlases import DIRECTORY_VARIABLE

# what the images of the dataset are called here, by the ends of their files' names
IMAGES = {
    "T1w": "sub-01_T1w.nii.gz",
    "FLAIR": "sub-01_FLAIR.nii.gz",
    "mask": "label-WMH_mask.nii.gz",
    "parcellation": "aparcaseg_dseg.nii.gz",
    "FA": "param-fa_dwimap.nii.gz",
    "CBF": "_cbf.nii.gz",
}


@dataclass
class Look:
    """What the program made of a command line, in the process of the harness."""

    code: int = 0
    out: str = ""
    err: str = ""
    escaped: str = ""
    plans: list[ParticipantPlan] = field(default_factory=list)

    @property
    def visits(self) -> list[VisitPlan]:
        """All visits that were planned and judged."""
        return [visit for plan in self.plans for visit in plan.visits]

    @property
    def problems(self) -> list[str]:
        """Why visits cannot be processed."""
        return [visit.problem for visit in self.visits if visit.problem is not None]

    @cached_property
    def decided(self) -> list[tuple[str, str, str]]:
        """What was decided about all visits."""
        lines = (line for visit in self.visits for line in visit.decisions)
        return [(line.what, line.state, line.why) for line in lines]

    @property
    def said(self) -> str:
        """What a user is told in the end, in short."""
        return " / ".join([*self.problems, *self.err.strip().splitlines()[-1:]])[:600]

    def fault(self) -> Verdict | None:
        """Return what breaks a promise whatever the input was."""
        if self.escaped:
            return Verdict(TRACEBACK, self.escaped)
        found = UNEXPECTED.search(self.err) or UNEXPECTED.search(self.out)
        if found:
            return Verdict(TRACEBACK, _around(found))
        if self.code not in EXIT_CODES:
            return Verdict(BAD_EXIT, f"{self.code}: {self.said}")
        if self.code and not (self.err.strip() or self.problems):
            return Verdict(BAD_EXIT, f"{self.code} without a word")
        return None

    def stopped(self, about: str) -> Verdict | None:
        """Return the verdict if a promise is broken, or the input was refused; None if taken."""
        found = self.fault()
        if found:
            return Verdict(found.outcome, found.detail, about)
        if self.code or self.problems:
            return Verdict(REFUSED, self.said, about)
        return None


def _around(found: re.Match[str]) -> str:
    return found.string[max(0, found.start() - 200) : found.end() + 1200]


@contextlib.contextmanager
def heard(look: Look) -> Iterator[None]:
    """Note what is printed, logged and raised meanwhile."""
    said, complained = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(complained)
    logger = logging.getLogger("wmhflow")
    logger.addHandler(handler)
    try:
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(complained),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    except SystemExit as end:
        look.code = int(end.code or 0)
    except Exception:  # noqa: BLE001 - whatever escapes the program would be its user's
        look.escaped = traceback.format_exc()
    finally:
        logger.removeHandler(handler)
        look.out, look.err = said.getvalue(), complained.getvalue()


def look_at(words: Sequence[str | Path]) -> Look:
    """Let the program plan and judge: ``--dry-run --check-values``."""
    look = Look()

    def shown(plans: Sequence[ParticipantPlan]) -> str:
        look.plans += plans
        return format_plan(plans)

    with mock.patch("wmhflow.cli.run.format_plan", shown), heard(look):
        look.code = main([*map(str, words), "--dry-run", "--check-values"])
    return look


def run_here(words: Sequence[str | Path]) -> Look:
    """Run the program's command line as it is."""
    look = Look()
    with heard(look):
        look.code = main([*map(str, words)])
    return look


def own_environment(folder: Path) -> None:
    """Keep what a developer has fetched out of the cases: an atlas would give lobes."""
    os.environ[DIRECTORY_VARIABLE] = str(folder / "atlases")
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder(f"numba-{wmhflow.__version__}")))
    os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")


class World:
    """A dataset in a folder; what is disturbed is put back after each case.

    Parameters
    ----------
    folder
        An empty folder of its own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.coarse = coarse_dataset(folder / "data", every=2)
        # what is wrong with an alignment shall be told
        self.words = self.coarse.words("--registration-qc", "flag")
        self.images = {name: self.coarse.find(ending) for name, ending in IMAGES.items()}
        self.sound = look_at(self.words)
        if self.sound.fault() or self.sound.problems or self.sound.code:
            raise RuntimeError(f"the undisturbed input is refused: {self.sound.said}")
        # rooms of the kinds of cases, each made at its first case
        self.rooms: dict[str, Any] = {}

    def room(self, make: Any) -> Any:
        """Return what a kind of cases needs of its own, made once."""
        name = make.__name__
        if name not in self.rooms:
            self.rooms[name] = make(self)
        return self.rooms[name]


@contextlib.contextmanager
def disturbed(changes: Mapping[Path, bytes | None]) -> Iterator[None]:
    """Put other content into files (None takes a file away); all is put back afterwards."""
    before = {path: path.read_bytes() if path.is_file() else None for path in changes}
    try:
        for path, content in changes.items():
            _put(path, content)
        yield
    finally:
        for path, content in before.items():
            _put(path, content)


def _put(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(content)
