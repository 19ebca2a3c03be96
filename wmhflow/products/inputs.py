"""The first step of a visit: what only voxels tell about its files, before any of them is used."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from wmhflow.bids.query import FoundFile
from wmhflow.plan.judging import judge_visit
from wmhflow.plan.visit import UNUSABLE, Decision, Given, VisitPlan
from wmhflow.products.product import Facts, Product, Recipe, Work, parts_of
from wmhflow.steps.kinds import Facts as FactValues
from wmhflow.steps.kinds import step

NOTES, WITHOUT = "notes", "maps_without_values"
REFUSALS = Facts("map_refusals", "map_")
log = logging.getLogger("wmhflow")


class Judged(NamedTuple):
    """What is to be said of a visit's files, by the visit's label, and which maps it costs.

    ``without`` names the maps that cannot be used; ``refusals`` says it of every given map.
    """

    notes: dict[str, list[Decision]]
    without: list[str]
    refusals: FactValues


@step(mem_gb=1.0, always=True)
def judge_inputs(visit: VisitPlan) -> Judged:
    """Read every image of a visit, and refuse what cannot be used; a map costs itself alone.

    Parameters
    ----------
    visit
        The plan.

    Raises
    ------
    InputError
        If an image that all else rests on is not what its name says.
    """
    notes = list(judge_visit(visit))
    lost = {note.what: note.why for note in notes if note.state == UNUSABLE}
    for name, why in lost.items():
        log.warning("%s: %s cannot be used: %s", visit.label, name, why)
    given = [entry.name for entry in visit.maps if isinstance(entry.values, Given)]
    refusals = {f"{name}_refused": int(name in lost) for name in given}
    return Judged({visit.label: notes}, list(lost), refusals)


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
        makes |= {"without": Work(WITHOUT), "refusals": REFUSALS}
    yield Recipe("inputs", judge_inputs, makes, options={"visit": plan})
    for recipe in recipes:
        parts = parts_of((*recipe.takes.values(), *recipe.beside.values()))
        uses = any(isinstance(part, FoundFile) for part in parts)
        yield replace(recipe, after=NOTES) if uses else recipe
