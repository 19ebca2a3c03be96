"""Acute lesions that the program looks for itself, by a rule on a diffusion series, if asked to."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from wmhflow.errors import InputError
from wmhflow.plan.computed import Fit, FoundSeries, find_series
from wmhflow.plan.context import Planning
from wmhflow.plan.diffusion import SERIES, judge_trace
from wmhflow.plan.others import ACUTE
from wmhflow.plan.placing import is_usable, place_map
from wmhflow.plan.visit import REFUSED, Composed, Computed, MapPlan, Source, VisitPlan
from wmhflow.registries.maps import MapDefinition
from wmhflow.registries.series import load_series_definitions

# The map that the rule reads beside the diffusion-weighted image.
ADC = "ADC"
# b-values at which acute lesions are bright and fluid is dark, s/mm² (2 % for what scanners write).
ACUTE_B = (784.0, 1530.0)
# How the image is called that the rule reads.
IMAGE = "acuteDWI"
STEP = "weighted"


def find_acute_image(planning: Planning, visit: VisitPlan) -> MapPlan | None:
    """Plan the diffusion-weighted image of b about 1000 that acute lesions are looked for on.

    Parameters
    ----------
    planning
        The visit's; gets a line that says from which volumes, or why there is none.
    visit
        What is decided so far, maps among it.

    Returns
    -------
    MapPlan or None
        None where nobody asked, or where series or ADC are missing, which is said as refused: it
        costs these lesions and nothing else.
    """
    if planning.settings.anatomy.acute_source != "dwi":
        return None
    adc = adc_of(visit)
    try:
        why = "there is no ADC map, neither given nor computed"
        found = why if adc is None else _planned(planning, visit, adc)
    except InputError as error:
        found = str(error).removeprefix(f"{planning.label}: ").removesuffix(".")
    if isinstance(found, MapPlan):
        return found
    start = f"{planning.label}: acute lesions are not looked for (--acute-source dwi)"
    planning.say(ACUTE, REFUSED, f"{start}: {found}.")
    return None


def adc_of(visit: VisitPlan) -> MapPlan | None:
    """Return the visit's map of the apparent diffusion coefficient, if it has one.

    Parameters
    ----------
    visit
        With its maps.
    """
    return next((entry for entry in visit.maps if entry.name == ADC), None)


def _planned(planning: Planning, visit: VisitPlan, adc: MapPlan) -> MapPlan | str:
    """Plan the image, or say why there is none."""
    known = load_series_definitions()[SERIES]
    found = find_series(planning, visit, known, partial(is_usable, planning))
    if found is None:
        return f"there is no {known.title}"
    fit = found if isinstance(found, str) else judge_trace(planning, found, ACUTE_B)
    if isinstance(found, str) or isinstance(fit, str):
        return str(fit)
    values = _values(found, fit)
    definition = replace(adc.definition, name=IMAGE)
    grid = (str(values.files[0].path),)
    why = f"where {values.files[0].named} ({fit.volumes}) is bright and {adc.file.named} dark"
    planning.say(ACUTE, "computed", f"{why}; --acute-source dwi")
    transform = _transform(planning, visit, adc, definition, values, known.shown_by)
    return MapPlan(definition, values, transform, grid)


def _values(found: FoundSeries, fit: Fit) -> Computed:
    files = tuple(
        file for one in found.values() for file in (one if isinstance(one, tuple) else (one,))
    )
    return Computed(STEP, files, takes=found, options=fit.options, told=fit.told, series=SERIES)


def _transform(
    planning: Planning,
    visit: VisitPlan,
    adc: MapPlan,
    definition: MapDefinition,
    values: Computed,
    shown_by: str | None,
) -> Source | Composed | None:
    """Decide how the series comes to the reference: as the ADC that is computed from it does."""
    if isinstance(adc.values, Computed) and adc.values.series == SERIES:
        return adc.transform
    return place_map(planning, visit, definition, values.files[0], shown_by)
