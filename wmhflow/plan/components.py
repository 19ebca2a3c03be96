"""One volume of a series as a map: the component that a user's definition names."""

from __future__ import annotations

from dataclasses import replace

from wmhflow.bids.query import FoundFile
from wmhflow.bids.sidecars import read_sidecar
from wmhflow.errors import InputError
from wmhflow.plan.context import Planning
from wmhflow.plan.visit import Computed
from wmhflow.registries.maps import MapComputation, MapDefinition
from wmhflow.registries.units import factor_between, is_arbitrary

STEP = "component"


def component_of(
    planning: Planning, definition: MapDefinition, file: FoundFile
) -> tuple[MapDefinition, Computed]:
    """Plan to take one volume of a series.

    Parameters
    ----------
    planning
        The visit's; gets a line that says which volume of how many.
    definition
        A map that names its component.
    file
        The series.

    Returns
    -------
    tuple of MapDefinition and Computed
        The map as one that is computed, and how.

    Raises
    ------
    InputError
        If there is no such volume, or the unit in the JSON file is of another quantity.
    """
    wanted = definition.component or 1
    held = planning.series_facts(file).n_volumes
    if not 1 <= wanted <= held:
        raise InputError(
            f"{file.path} has {held} volume{'s' if held > 1 else ''}, and the definition of "
            f"{definition.name} names component {wanted}; correct it in --maps."
        )
    planning.say(definition.name, "note", f"component {wanted} of {held} of {file.named}")
    options = {"name": definition.name, "number": wanted, "factor": _factor(definition, file)}
    takes = {"in_file": file}
    how = MapComputation(STEP, {"in_file": definition.query})
    told = {"Component": wanted}
    read = replace(definition, computed=how)
    return read, Computed(STEP, (file,), takes=takes, options=options, told=told)


def _factor(definition: MapDefinition, file: FoundFile) -> float:
    stated = read_sidecar(file).get("Units")
    if not isinstance(stated, str) or not stated.strip() or is_arbitrary(stated):
        return 1.0
    factor = factor_between(stated, definition.own_unit)
    if factor is None:
        raise InputError(
            f"{file.path} is in '{stated}' by its sidecar; {definition.name} is measured in "
            f"'{definition.own_unit}', of which that cannot become one: correct one of the two."
        )
    return factor
