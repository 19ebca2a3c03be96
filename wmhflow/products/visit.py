"""The unit of a visit: every recipe, in the order in which it is carried out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wmhflow.plan.visit import VisitPlan
from wmhflow.products.anatomy import anatomy
from wmhflow.products.keys import Visit
from wmhflow.products.measures import measures, quality
from wmhflow.products.product import Facts, Place, Recipe
from wmhflow.products.regions import regions
from wmhflow.products.unit import Unit
from wmhflow.settings import Settings


def visit_unit(plan: VisitPlan, settings: Settings) -> Unit:
    """Declare everything about one visit: what is made of it, from what, and what is written.

    Parameters
    ----------
    plan
        The visit's plan, without a problem.
    settings
        The run's settings.
    """
    folders = (person_folder(plan.subject), visit_folder_name(plan.session))
    place = Place(plan.subject, plan.session)
    recipes = tuple(_recipes(Visit(plan, settings)))
    return Unit(plan.label, folders, place, recipes, plan.reference_file.uri)


def _recipes(visit: Visit) -> Iterator[Recipe]:
    found = [*anatomy(visit), *regions(visit), *measures(visit)]
    yield from found
    made = [product for recipe in found for product in recipe.makes.values()]
    yield from quality(visit, [one for one in made if isinstance(one, Facts)])


def safe_name(label: str) -> str:
    """Return a label as nipype's names want it: BIDS allows a plus, nipype does not."""
    return re.sub(r"\W", "PLUS", label)


def person_folder(subject: str) -> str:
    """Name the workflow of a person."""
    return f"sub_{safe_name(subject)}_wf"


def visit_folder_name(session: str | None) -> str:
    """Name the workflow of a visit."""
    return f"ses_{safe_name(session)}_wf" if session else "visit_wf"
