"""One volume of a series as a map: the component that a user's definition names."""

from __future__ import annotations

from dataclasses import replace

from wmhflow.bids.query import FoundFile
from wmhflow.core.measure.typical import typical_size
from wmhflow.errors import InputError
from wmhflow.plan.context import Planning
from wmhflow.plan.units import contradiction, settle_unit, values_of
from wmhflow.plan.visit import Computed
from wmhflow.registries.maps import MapComputation, MapDefinition
from wmhflow.registries.units import factor_between

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
        If there is no such volume, it cannot be read, or its unit cannot be told.
    """
    wanted = definition.component or 1
    held = planning.series_facts(file).n_volumes
    if not 1 <= wanted <= held:
        raise InputError(
            f"{file.path} has {held} volume{'s' if held > 1 else ''}, and the definition of "
            f"{definition.name} names component {wanted}; correct it in --maps."
        )
    read, reading = settle_unit(planning, definition, file)
    fault = contradiction(file, read, reading, typical_size(values_of(definition, file)))
    if fault is not None:
        raise InputError(fault)
    planning.say(definition.name, "note", f"component {wanted} of {held} of {file.named}")
    # what is computed here is written in the registry's unit
    factor = reading.factor * (factor_between(read.unit, read.own_unit) or 1.0)
    options = {"name": definition.name, "number": wanted, "factor": factor}
    how = MapComputation(STEP, {"in_file": definition.query})
    told = {"Component": wanted, "UnitOfFile": reading.unit}
    values = Computed(STEP, (file,), takes={"in_file": file}, options=options, told=told)
    return replace(read, computed=how), values
