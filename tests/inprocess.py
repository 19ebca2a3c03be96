"""A run of the program within the test's own process: the same plans, steps, files and words.

Only nipype is left out: its graph, its workers and its folders. Each recipe's step is run through
the program's own adapter, in a folder of its own, with what earlier recipes made; so all that a
visit writes is written by the same code, in seconds, since nothing is imported or compiled anew.
"""

from __future__ import annotations

import contextlib
import io
import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from nipype.interfaces.base import isdefined

from wmhflow.bids.query import FoundFile
from wmhflow.cli.main import main
from wmhflow.plan.visit import ParticipantPlan
from wmhflow.products.product import From, Recipe, Taken, parts_of
from wmhflow.products.unit import Unit
from wmhflow.reports.unit import draw_pictures, write_page
from wmhflow.settings import Settings
from wmhflow.steps.adapter import interface_of
from wmhflow.workflows.plugin import Failure, said_by
from wmhflow.workflows.study import run_units, study_name

Made = dict[tuple[str, str], Any]


@dataclass(frozen=True)
class Done:
    """How a run ended, and what it said."""

    code: int
    out: str
    err: str


class Cut(BaseException):
    """What ends a run from outside, as a signal does."""


class Steps:
    """What takes the place of nipype's workflow: the units of a run, in order."""

    def __init__(self, units: Sequence[Unit], settings: Settings) -> None:
        self.units = units
        self.base_dir = str(settings.execution.work_dir)
        self.name = study_name(settings)

    def list_node_names(self) -> list[str]:
        """Name every step, as nipype does."""
        return [".".join([*unit.folders, one.name]) for unit in self.units for one in unit.recipes]

    def folder(self, unit: Unit, recipe: Recipe) -> Path:
        """Return where a step runs."""
        found = Path(self.base_dir, self.name, *unit.folders, recipe.name)
        found.mkdir(parents=True, exist_ok=True)
        return found


def run(words: Sequence[str | Path], *, pages: bool = False, cut_after: str | None = None) -> Done:
    """Run the program's command line here.

    Without ``pages`` the reports, which take longer than all else, are empty files; ``cut_after``
    names the step after which the run is cut.
    """

    def carry_out(steps: Steps, *given: Any) -> list[Failure]:
        settings, _, on_step, _ = given
        out = None if pages else settings.output_dir
        return _carry_out(steps, on_step, out, cut_after)

    said, complained = io.StringIO(), io.StringIO()
    patches = [
        mock.patch("wmhflow.workflows.study.init_study_wf", _steps_of),
        mock.patch("wmhflow.workflows.execute.execute", carry_out),
        # what workers of other processes read would change this one
        mock.patch("wmhflow.cli.run.prepare_environment", return_value=None),
        mock.patch("wmhflow.cli.run.check_kernels", return_value=None),
        mock.patch.dict(os.environ),
    ]
    with contextlib.ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        stack.enter_context(contextlib.redirect_stdout(said))
        stack.enter_context(contextlib.redirect_stderr(complained))
        code = main([str(word) for word in words])
    return Done(code, said.getvalue(), complained.getvalue())


def succeed(words: Sequence[str | Path], *, pages: bool = False) -> Done:
    """Run the program here; anything but success fails the test with what was said."""
    done = run(words, pages=pages)
    assert done.code == 0, done.out + done.err
    return done


def _steps_of(
    participants: Sequence[ParticipantPlan], settings: Settings, _: dict[str, Path], first: str
) -> Steps:
    return Steps(run_units(participants, settings, first), settings)


def _carry_out(
    steps: Steps, on_step: Any, empty_pages: Path | None, cut_after: str | None
) -> list[Failure]:
    """Run every unit; one of which a step fails is given up, and what takes from it as well."""
    made: Made = {}
    failures: list[Failure] = []
    lost: set[str] = set()
    for unit in steps.units:
        for recipe in unit.recipes:
            if {one.unit for one in _foreign(recipe)} & lost:
                lost.add(unit.name)
            if unit.name in lost:
                break
            node = SimpleNamespace(fullname=".".join([steps.name, *unit.folders, recipe.name]))
            on_step(node, "start")
            try:
                if empty_pages and recipe.function is draw_pictures:
                    pass
                elif empty_pages and recipe.function is write_page:
                    (empty_pages / unit.path("page")).touch()
                else:
                    run_recipe(unit, recipe, made, steps.folder(unit, recipe))
            except Exception as error:  # noqa: BLE001 - whatever a step does fails it alone
                last = traceback.format_exception_only(error)[-1].strip().splitlines()[-1]
                failures.append(Failure(node.fullname, said_by(last)))
                lost.add(unit.name)
                on_step(node, "exception")
                break
            on_step(node, "end")
            if recipe.name == cut_after:
                raise Cut(recipe.name)
    return failures


def _foreign(recipe: Recipe) -> list[From]:
    """List what a recipe takes of other units."""
    taken = (*recipe.takes.values(), *recipe.beside.values())
    return [part for part in parts_of(taken) if isinstance(part, From)]


def run_recipe(unit: Unit, recipe: Recipe, made: Made, folder: Path) -> None:
    """Run one step through the adapter, and note what it made."""
    interface = interface_of(recipe.function)
    values = {name: value for name, value in recipe.options.items() if value is not None}
    for parameter, taken in {**recipe.takes, **recipe.beside}.items():
        value = _given(unit, taken, made)
        if value is not None:
            values[parameter] = value
    interface.inputs.trait_set(**values)
    found = interface.run(cwd=str(folder)).outputs
    for name, product in recipe.makes.items():
        value = getattr(found, name)
        made[unit.name, product.key] = value if isdefined(value) else None


def _given(unit: Unit, taken: Taken, made: Made) -> Any:
    """Look up what a parameter is fed with."""
    if taken is None:
        return None
    if isinstance(taken, From):
        return made[taken.unit, taken.key]
    if isinstance(taken, str):
        return made[unit.name, taken]
    if isinstance(taken, FoundFile):
        return str(taken.path)
    if isinstance(taken, Path):
        return str(taken)
    return [_given(unit, one, made) for one in taken if one is not None] or None
