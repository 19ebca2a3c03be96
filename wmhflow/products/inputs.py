"""The first step of a visit: what only voxels tell about its files, before any of them is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from wmhflow.bids.query import FoundFile
from wmhflow.plan.judging import judge_visit
from wmhflow.plan.visit import Decision, VisitPlan
from wmhflow.products.product import Recipe, Work, parts_of
from wmhflow.steps.kinds import step

NOTES = "notes"


class Judged(NamedTuple):
    """What is to be said of a visit's files, and refuses nothing, by the visit's label."""

    notes: dict[str, list[Decision]]


@step(mem_gb=1.0, always=True)
def judge_inputs(visit: VisitPlan) -> Judged:
    """Read every image of a visit, and refuse what cannot be used.

    Parameters
    ----------
    visit
        The plan.

    Raises
    ------
    InputError
        If an image is not what its name says.
    """
    return Judged({visit.label: list(judge_visit(visit))})


def judged_first(plan: VisitPlan, recipes: Iterable[Recipe]) -> Iterator[Recipe]:
    """Put the judgement before all recipes that use a file that was found.

    Parameters
    ----------
    plan
        The visit's plan.
    recipes
        Of the visit.
    """
    yield Recipe("inputs", judge_inputs, {"notes": Work(NOTES)}, options={"visit": plan})
    for recipe in recipes:
        parts = parts_of((*recipe.takes.values(), *recipe.beside.values()))
        uses = any(isinstance(part, FoundFile) for part in parts)
        yield replace(recipe, after=NOTES) if uses else recipe
