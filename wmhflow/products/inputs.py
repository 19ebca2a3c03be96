"""The first step of a visit: what only voxels tell about its files, before any of them is used."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from wmhflow.bids.query import FoundFile
from wmhflow.plan.judging import judge_visit
from wmhflow.plan.refusals import left_out, left_out_measures
from wmhflow.plan.visit import UNUSABLE, Decision, Given, VisitPlan
from wmhflow.products.product import Facts, Product, Recipe, Work, parts_of
from wmhflow.steps.kinds import Facts as FactValues
from wmhflow.steps.kinds import step

NOTES, WITHOUT = "notes", "maps_without_values"
REFUSALS = Facts("input_refusals")
log = logging.getLogger("wmhflow")


class Judged(NamedTuple):
    """What is to be said of a visit's files, by the visit's label, and which maps it costs.

    ``without`` names the maps that cannot be used; ``refusals`` says it of every given map, and of
    what the plan left out.
    """

    notes: dict[str, list[Decision]]
    without: list[str]
    refusals: FactValues


@step(mem_gb=1.0, always=True)
def judge_inputs(visit: VisitPlan) -> Judged:
    """Read every image of a visit, and refuse what cannot be used; a map costs itself alone.

    What the plan left out already is said again, for who reads the run's log and tables.

    Parameters
    ----------
    visit
        The plan.

    Raises
    ------
    InputError
        If an image that all else rests on is not what its name says.
    """
    # what voxels show of maps is said below
    maps = {entry.name for entry in visit.maps}
    for line in left_out(visit):
        if line.state == UNUSABLE and line.what in maps:
            continue
        why = line.why.removeprefix(f"{visit.label}: ")
        log.warning("%s: %s (%s): %s", visit.label, line.what, line.state, why)
    notes = list(judge_visit(visit))
    lost = {note.what: note.why for note in notes if note.state == UNUSABLE}
    for name, why in lost.items():
        log.warning("%s: %s cannot be used: %s", visit.label, name, why)
    return Judged({visit.label: notes}, list(lost), _refusals(visit, lost))


def _refusals(visit: VisitPlan, lost: Mapping[str, str] = MappingProxyType({})) -> FactValues:
    """Say of every given map whether it cannot be used, and what the plan left out."""
    given = [entry.name for entry in visit.maps if isinstance(entry.values, Given)]
    return left_out_measures(visit) | {f"map_{name}_refused": int(name in lost) for name in given}


def refusals_of(visit: VisitPlan) -> list[Facts]:
    """Return what the judgement says to the table of quality, if it has anything to say.

    Parameters
    ----------
    visit
        The plan.
    """
    return [REFUSALS] if _refusals(visit) else []


def judged_first(plan: VisitPlan, recipes: Iterable[Recipe]) -> Iterator[Recipe]:
    """Put the judgement before all recipes that use a file that was found.

    Parameters
    ----------
    plan
        The visit's plan.
    recipes
        Of the visit.
    """
    makes: dict[str, Product] = {"notes": Work(NOTES)}
    if plan.maps:
        makes["without"] = Work(WITHOUT)
    if told := refusals_of(plan):
        (makes["refusals"],) = told
    yield Recipe("inputs", judge_inputs, makes, options={"visit": plan})
    for recipe in recipes:
        parts = parts_of((*recipe.takes.values(), *recipe.beside.values()))
        uses = any(isinstance(part, FoundFile) for part in parts)
        yield replace(recipe, after=NOTES) if uses else recipe
