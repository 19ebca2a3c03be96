"""Acute lesions that the program looks for itself, by a rule on a diffusion series, if asked to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from wmhflow.bids.sidecars import read_sidecar
from wmhflow.errors import InputError
from wmhflow.plan.computed import Fit, Judge, find_series, listed_files
from wmhflow.plan.context import Planning
from wmhflow.plan.diffusion import SERIES, judge_trace
from wmhflow.plan.nearest import FoundSeries
from wmhflow.plan.others import ACUTE
from wmhflow.plan.placing import is_usable, place_map
from wmhflow.plan.visit import REFUSED, Composed, Computed, MapPlan, Source, VisitPlan
from wmhflow.registries.maps import MapDefinition
from wmhflow.registries.series import SeriesDefinition, load_series_definitions

# The map that the rule reads beside the diffusion-weighted image.
ADC = "ADC"
# b-values at which acute lesions are bright and fluid is dark, s/mm² (2 % for what scanners write).
ACUTE_B = (784.0, 1530.0)
# How the image is called that the rule reads.
IMAGE = "acuteDWI"
STEP = "weighted"
# The field of a trace image's JSON file that says its b, s/mm².
B_FIELD = "DiffusionBValue"


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
    """Plan the image, of a series or else the scanner's own trace, or say why there is none."""
    reasons = []
    for name, judge in JUDGED.items():
        known = load_series_definitions()[name]
        found = find_series(planning, visit, known, partial(is_usable, planning))
        try:
            fit = judge(planning, found) if isinstance(found, dict) else found
        except InputError as error:
            fit = str(error).removesuffix(".")
        if isinstance(found, dict) and isinstance(fit, Fit):
            return _image(planning, visit, adc, known, found, fit)
        reasons.append(str(fit) if fit else f"there is no {known.title}")
    return " and ".join(reasons)


def _judge_series(planning: Planning, found: FoundSeries) -> Fit | str:
    return judge_trace(planning, found, ACUTE_B)


def _judge_image(planning: Planning, found: FoundSeries) -> Fit | str:
    """Take a trace image for one of b about 1000, unless its JSON file says another b."""
    (file,) = listed_files(found)
    # one of several volumes is refused
    planning.facts(file)
    told = read_sidecar(file).get(B_FIELD)
    if told is None:
        return Fit("the scanner's trace image, taken for one of b about 1000")
    if not isinstance(told, int | float) or not ACUTE_B[0] <= told <= ACUTE_B[1]:
        return f"the {B_FIELD} of the trace image is {told}, and no b of 784 to 1530"
    return Fit(f"the scanner's trace image of b = {told:g}", told={"shells": [round(told)]})


# By the series that the image can be of, the best first.
JUDGED: Mapping[str, Judge] = {SERIES: _judge_series, "trace": _judge_image}


def _image(
    planning: Planning,
    visit: VisitPlan,
    adc: MapPlan,
    known: SeriesDefinition,
    found: FoundSeries,
    fit: Fit,
) -> MapPlan:
    """Plan the image of a series that will do, and how it comes to the reference."""
    files = tuple(listed_files(found))
    values = Computed(
        STEP, files, takes=found, options=fit.options, told=fit.told, series=known.name
    )
    definition = replace(adc.definition, name=IMAGE)
    grid = (str(values.files[0].path),)
    why = f"where {values.files[0].named} ({fit.volumes}) is bright and {adc.file.named} dark"
    planning.say(ACUTE, "computed", f"{why}; --acute-source dwi")
    transform = _transform(planning, visit, adc, definition, values, known.shown_by)
    return MapPlan(definition, values, transform, grid)


def _transform(
    planning: Planning,
    visit: VisitPlan,
    adc: MapPlan,
    definition: MapDefinition,
    values: Computed,
    shown_by: str | None,
) -> Source | Composed | None:
    """Decide how the series comes to the reference: as the ADC that is computed from it does."""
    if isinstance(adc.values, Computed) and adc.values.series == values.series:
        return adc.transform
    return place_map(planning, visit, definition, values.files[0], shown_by)
