"""Products that all persons of a run share: the template, and the ways to other templates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from wmhflow.plan.atlases import AtlasPlan
from wmhflow.plan.visit import VisitPlan
from wmhflow.products.keys import STUDY, TEMPLATE_PRODUCT
from wmhflow.products.product import From, Place, Recipe, Work
from wmhflow.products.unit import Unit
from wmhflow.settings import Settings
from wmhflow.steps.atlases import bridge_templates
from wmhflow.steps.images import find_template


def study_unit(visits: Sequence[VisitPlan], settings: Settings, name: str) -> Unit:
    """Declare what the visits of a run share.

    Parameters
    ----------
    visits
        All visits.
    settings
        The run's settings.
    name
        Of the workflow that holds its steps.
    """
    found = Recipe("template", find_template, makes={"template": Work("template")})
    bridges = tuple(_bridges(visits, settings))
    return Unit(STUDY, (name,), Place(""), (found, *bridges))


def _bridges(visits: Sequence[VisitPlan], settings: Settings) -> Iterator[Recipe]:
    """Register every other template that atlases lie on to the program's, once for all persons."""
    atlases = {
        atlas.bridge: atlas for visit in visits for atlas in visit.laid_atlases if atlas.bridge
    }
    for image, atlas in atlases.items():
        key = bridge_of(atlas).key
        yield Recipe(
            key,
            bridge_templates,
            takes={"image": image, "template": TEMPLATE_PRODUCT.key},
            options={"has_labels": atlas.by_labels, "seed": settings.execution.random_seed},
            makes={"forward": Work(key)},
        )


def bridge_of(atlas: AtlasPlan) -> From:
    """Name the transform from the program's template to the one that an atlas lies on."""
    image: Path = atlas.bridge or atlas.path
    return From(STUDY, f"bridge_{hashlib.sha256(str(image).encode()).hexdigest()[:8]}")
