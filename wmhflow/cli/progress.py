"""How a run shows that it goes on: a live display on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PLAIN_INTERVAL_S = 20.0


class Progress:
    """Counts finished steps per person; nipype calls :meth:`step` for every change.

    Parameters
    ----------
    totals
        Number of steps of each person, by the person's label.
    title
        What these persons are of the run, if they are not all.
    """

    def __init__(self, totals: dict[str, int], title: str = "") -> None:
        self.totals = totals
        self.title = title
        self.done = dict.fromkeys(totals, 0)
        self.failed: set[str] = set()
        self.ended: set[str] = set()
        self.running: list[str] = []
        self.started = time.monotonic()
        self._last_line = 0.0
        self._live: Any = None

    def step(self, node: Any, status: str) -> None:
        """Take note that a step started, ended or failed."""
        person, name = person_of(node.fullname), short_name(node.fullname)
        if status == "start":
            self.running.append(name)
        else:
            self.running = [other for other in self.running if other != name]
            if status == "exception":
                self.failed.add(person)
            else:
                self.ended.add(node.fullname)
            if person in self.done:
                self.done[person] += 1
        self._show()

    def _show(self) -> None:
        if self._live is not None:
            self._live.update(self.table())
        elif self.running and time.monotonic() - self._last_line >= PLAIN_INTERVAL_S:
            # between one step's end and the next one's start there is nothing to name
            self._last_line = time.monotonic()
            print(self.line(), flush=True)

    def line(self) -> str:
        """One line of state for a log."""
        steps, total = sum(self.done.values()), sum(self.totals.values())
        finished = sum(self.done[person] >= self.totals[person] for person in self.totals)
        now = ", ".join(self.running) or "–"
        return (
            f"[{self.elapsed()}] {self.title}{finished} of {len(self.totals)} persons, "
            f"{steps} of {total} steps; now: {now}"
        )

    def elapsed(self) -> str:
        """Time since the start as m:ss."""
        seconds = int(time.monotonic() - self.started)
        return f"{seconds // 60}:{seconds % 60:02d}"

    def table(self) -> Any:
        """Draw the live display: a bar per person (the busy ones, if there are many)."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        busy = [p for p in self.totals if self.done[p] < self.totals[p]] or list(self.totals)
        for person in busy[:12]:
            state = "failed" if person in self.failed else ""
            bar = ProgressBar(total=self.totals[person], completed=self.done[person], width=30)
            grid.add_row(person, bar, f"{self.done[person]}/{self.totals[person]}", state)
        grid.add_row("", self.line())
        return grid

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the display while the run goes on."""
        if not sys.stdout.isatty():
            yield
            print(self.line(), flush=True)
            return
        from rich.live import Live

        with Live(self.table(), refresh_per_second=4) as self._live:
            yield
        self._live = None


def person_of(fullname: str) -> str:
    """Return the person that a step belongs to, from its full name in the graph.

    Examples
    --------
    >>> person_of("wmhflow_0_1_0_wf.sub_01_wf.ses_1_wf.zones")
    'sub-01'
    """
    parts = [part for part in fullname.split(".") if part.startswith("sub_")]
    return _as_label(parts[0]) if parts else "template"


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
