"""Maps that are computed here: a step for single ones, or one step for several maps of a series."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any, get_type_hints

from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import UsageError
from wmhflow.plan.visit import Computed, Given, MapPlan
from wmhflow.products.inputs import WITHOUT
from wmhflow.products.keys import Visit
from wmhflow.products.maps import map_groups, series_image, transform_of
from wmhflow.products.product import Facts, Image, Product, Recipe, Taken, Work
from wmhflow.products.uptake import damaged, reference_regions, region_of_uptake
from wmhflow.registries.series import load_series_definitions
from wmhflow.steps.computed import (
    DAMAGED,
    MAP_STEPS,
    SHOWN_STEPS,
    SOURCE_PARTS,
    TRANSFORM,
    VISIT_PARTS,
)

FACTS = "facts"


def computed_maps(visit: Visit) -> Iterator[Recipe]:
    """Declare the maps that are computed from single files, and what shows the anatomy of series.

    Parameters
    ----------
    visit
        The visit.
    """
    shown: dict[tuple[str, str], Computed] = {}
    for entry in visit.plan.maps:
        how, values = entry.definition.computed, entry.values
        if isinstance(values, Given) or how is None:
            continue
        _check_step(entry, how.step)
        if values.series is None:
            yield _single(visit, entry, values)
        else:
            shown.setdefault((values.series, values.which), values)
    for values in shown.values():
        yield from shown_series(visit, values)
    yield from reference_regions(visit)


def fitted_maps(visit: Visit, group: tuple[MapPlan, ...]) -> Iterator[Recipe]:
    """Declare the steps that make the maps of a group, and of later ones, from a series.

    They may take what leads from the series to the reference, so that its recipe has to stand
    before them.

    Parameters
    ----------
    visit
        The visit.
    group
        Maps that are aligned together.
    """
    fits: dict[tuple[str, str, str], list[tuple[MapPlan, Computed]]] = {}
    first: dict[tuple[str, str, str], tuple[MapPlan, ...]] = {}
    for one in map_groups(visit.plan):
        for entry in one:
            values = entry.values
            if isinstance(values, Computed) and values.series is not None:
                key = (values.series, values.which, values.step)
                first.setdefault(key, one)
                fits.setdefault(key, []).append((entry, values))
    for key, fitted in fits.items():
        if first[key] == group:
            yield _fit(visit, fitted, transform_of(group))


def _check_step(entry: MapPlan, name: str) -> None:
    if name not in MAP_STEPS:
        raise UsageError(
            f"The registry of maps computes {entry.name} by {name!r}, and there is no such "
            f"step; there are: {', '.join(MAP_STEPS) or 'none'}."
        )


def _single(visit: Visit, entry: MapPlan, values: Computed) -> Recipe:
    """Declare a map that a step makes from single files."""
    wanted = signature(MAP_STEPS[values.step]).parameters
    fixed = {**values.options, **visit.trusted}
    return Recipe(
        f"map_{entry.name}",
        MAP_STEPS[values.step],
        takes=dict(values.takes),
        options={name: value for name, value in fixed.items() if name in wanted},
        makes={"map": _image(entry, values)},
    )


def shown_series(visit: Visit, values: Computed) -> Iterator[Recipe]:
    """Declare the image by which all maps of a series are aligned, if it has its own.

    Parameters
    ----------
    visit
        The visit.
    values
        What is computed from the series.
    """
    key = series_image(values)
    by = load_series_definitions()[values.series or ""].shown_by
    if key is None or by is None:
        return
    function = SHOWN_STEPS[by]
    wanted = signature(function).parameters
    takes = {name: taken for name, taken in values.takes.items() if name in wanted}
    yield Recipe(key, function, takes=takes, options=visit.trusted, makes={"image": Work(key)})


def _fit(visit: Visit, fitted: list[tuple[MapPlan, Computed]], transform: Taken) -> Recipe:
    """Declare a step that makes several maps of a series, and whatever else it gives."""
    _, values = fitted[0]
    function, name = MAP_STEPS[values.step], values.step + values.which
    wanted = signature(function).parameters
    context: dict[str, Taken] = {
        **VISIT_PARTS,
        DAMAGED: damaged(visit),
        TRANSFORM: transform,
        "without": WITHOUT,
    }
    sources: dict[str, Taken] = {**values.takes, **SOURCE_PARTS, **region_of_uptake(values)}
    takes = {part: taken for part, taken in sources.items() if part in wanted}
    beside = {part: taken for part, taken in context.items() if part in wanted}
    fixed = {**values.options, **visit.trusted}
    options = {part: value for part, value in fixed.items() if part in wanted}
    images = {
        how.gives: _image(entry, values, f"facts_{name}" if FACTS in _fields(function) else None)
        for entry, _ in fitted
        if (how := entry.definition.computed) is not None
    }
    return Recipe(
        f"fit_{name}",
        function,
        takes=takes,
        beside=beside,
        options=options,
        makes=_makes(function, name, images),
    )


def _fields(function: Callable[..., Any]) -> dict[str, Any]:
    """Return what a step gives, with the kind of each."""
    return get_type_hints(get_type_hints(function)["return"], include_extras=True)


def _makes(
    function: Callable[..., Any], step: str, images: Mapping[str, Image]
) -> dict[str, Product]:
    """Name what is kept: the maps that are wanted, the facts, and what is no map."""
    fields = _fields(function)
    missing = sorted(set(images) - set(fields))
    if missing:
        raise UsageError(
            f"The registry of maps takes {missing[0]!r} of the step {step!r}, which gives "
            f"{', '.join(fields)}."
        )
    made: dict[str, Product] = {
        name: Work(f"{step}_{name}") for name, kind in fields.items() if kind is not Grid3D
    }
    if FACTS in made:
        made[FACTS] = Facts(f"facts_{step}", f"{step}_")
    return made | dict(images)


def _image(entry: MapPlan, values: Computed, told_by: str | None = None) -> Image:
    """Declare a computed map, on the grid of the scan that it was computed from."""
    definition = entry.definition
    suffix = definition.query["suffix"]
    space = entry.file.get("space")
    # one of a tracer is told from others by trc-, so that desc- is the registry's name
    desc = entry.name.removesuffix(values.which)
    entities = {"trc": values.which, "space": str(space or ""), "desc": desc}
    return Image(
        f"map_{entry.name}",
        suffix if isinstance(suffix, str) else suffix[0],
        {name: value for name, value in entities.items() if value},
        definition.description or f"{entry.name}, computed by {values.step}",
        "scalars",
        {"Units": definition.own_unit, "SpatialReference": entry.file.uri},
        {"step": values.step, **values.told},
        told_by=told_by,
    )
