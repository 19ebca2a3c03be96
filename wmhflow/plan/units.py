"""In which unit a map's file is written, and what its values are multiplied by for the tables.

The sidecar's ``Units`` counts first, then what the program that wrote it always writes, then the
values: their typical size must be plausible in one of the units in which programs write this map,
and in one only. Everything else is refused, with what it could have been.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.bids.query import FoundFile
from wmhflow.bids.sidecars import Names, read_sidecar
from wmhflow.core.measure.typical import large_size, typical_size
from wmhflow.errors import InputError
from wmhflow.files.images import load_series, load_volume
from wmhflow.plan.context import Planning
from wmhflow.plan.visit import UnitReading
from wmhflow.registries.maps import MapDefinition
from wmhflow.registries.units import (
    ARBITRARY,
    factor_between,
    has_no_scale,
    is_arbitrary,
    is_reciprocal,
    is_untold,
    parse_unit,
    reciprocal_factor,
)

SIDECAR, PRODUCER, VALUES, REGISTRY = "sidecar", "producer", "values", "registry"
NO_UNIT = "1"
# Fractions in percent fit into 8 bits.
MOST_PERCENT = 100
# values in arbitrary units have no range
LARGEST = 1e30
# Typical values of a map that was divided by those of a reference. Flow in mL/g/min is below that:
# the whole brain's is 0.40 with a standard deviation of 0.06 (doi:10.1038/jcbfm.1993.95).
AROUND_ONE = (0.8, 1.5)
SAY_IT = "write the unit as Units into its JSON file"


class Reading(NamedTuple):
    """One way to read a map: the file's unit, what a size in it is in the tables' unit.

    ``beyond`` is how far its values would reach, if that is more than can be.
    """

    unit: str
    size: float
    is_reciprocal: bool
    is_plausible: bool
    beyond: float | None = None


def settle_unit(
    planning: Planning, definition: MapDefinition, file: FoundFile
) -> tuple[MapDefinition, UnitReading]:
    """Find out in which unit a given map is written; what is not plain is said.

    Parameters
    ----------
    planning
        The visit's; gets a note of a factor, and of a unit that only values told.
    definition
        The map.
    file
        Its file.

    Returns
    -------
    tuple of MapDefinition and UnitReading
        The map as the tables will have it (a map in arbitrary units keeps them), and how the file
        is read.

    Raises
    ------
    InputError
        If the stated unit measures something else, or the values fit several units or none.
    """
    stated, by = _stated(definition, file, planning.names)
    if stated is not None and (is_arbitrary(stated) or _says_little(definition, stated)):
        if definition.can_be_relative and is_arbitrary(stated):
            why = "its unit is arbitrary: values are taken as they are"
            planning.say(definition.name, "note", why)
            whole = (-LARGEST, LARGEST)
            relative = replace(definition, unit=ARBITRARY, valid_range=whole, plausible=None)
            return relative, UnitReading(ARBITRARY, 1.0, by)
        # BIDS calls fractions so; what is no fraction is as good as not stated
        stated = NO_UNIT if definition.own_unit == NO_UNIT else None
    if stated is not None:
        reading = UnitReading(stated, _stated_factor(definition, file, stated, by), by)
    else:
        reading = _by_values(definition, file)
    _say(planning, definition, reading)
    return definition, reading


def _stated(
    definition: MapDefinition, file: FoundFile, names: Names | None = None
) -> tuple[str | None, str]:
    """Return the unit that a text states, and which text."""
    units = read_sidecar(file, names).get("Units")
    if units is not None and not isinstance(units, str):
        raise InputError(
            f"{file.path}: the Units in its JSON file are {units!r}, where a text such as "
            f"'{definition.unit}' is meant; correct it."
        )
    if units is not None and not is_untold(units):
        return units.strip(), SIDECAR
    return file.kind.unit if file.kind else None, PRODUCER


def _says_little(definition: MapDefinition, stated: str) -> bool:
    """Tell whether a text says that there is no unit, where percent or ppm have none either."""
    has_dimension = bool(parse_unit(definition.own_unit).powers)
    # a program that has no text for a unit writes None
    return stated.lower() == "none" if has_dimension else has_no_scale(stated)


def _stated_factor(definition: MapDefinition, file: FoundFile, stated: str, by: str) -> float:
    factor = factor_between(stated, definition.unit)
    if factor is not None:
        return factor
    what = "of which that cannot become one"
    if is_reciprocal(stated, definition.unit):
        what = "of which that is the reciprocal"
    raise InputError(
        f"{file.path} is in '{stated}' by its {by}; {definition.name} is measured in "
        f"'{definition.unit}', {what}: correct the unit, or define the map with --maps."
    )


def _by_values(definition: MapDefinition, file: FoundFile) -> UnitReading:
    """Tell the unit by the values, where programs write several and no text says which."""
    own = UnitReading(definition.unit, 1.0, REGISTRY)
    if definition.plausible is None or not (definition.other_units or definition.must_declare):
        if definition.must_declare:
            raise InputError(_undeclared(definition, file, []))
        return own
    try:
        stored = _stored(definition, file)
    except InputError:
        # what is wrong with it is said when all files are judged
        size = large = largest = math.nan
    else:
        _check_not_for_display(definition, file, stored)
        size, large = typical_size(stored), large_size(stored)
        largest = float(np.max(np.abs(stored), where=np.isfinite(stored), initial=0.0))
    if definition.must_declare:
        raise InputError(_undeclared(definition, file, list(readings(definition, size))))
    if math.isnan(size):
        return own
    if _may_be_relative(definition, size):
        raise InputError(
            f"{file.path} does not say its unit, and its typical value {size:.3g} may be one in "
            f"{' or '.join(map(repr, definition.other_units))}, or relative to a reference that "
            f"is 1; {SAY_IT}, such as '{definition.unit}', or 'relative'."
        )
    found = list(readings(definition, size, large))
    fitting = _fitting(definition, found, largest)
    if len(fitting) != 1 or fitting[0].is_reciprocal:
        raise InputError(_undecided(definition, file, size, found, fitting))
    factor = factor_between(fitting[0].unit, definition.unit)
    return UnitReading(fitting[0].unit, factor if factor is not None else 1.0, VALUES, size)


def _fitting(definition: MapDefinition, found: list[Reading], largest: float) -> list[Reading]:
    """Keep the readings that are plausible; what nowhere is above 1 is no fraction in percent."""
    is_whole = NO_UNIT in (definition.unit, *definition.other_units) and largest <= 1
    return [one for one in found if one.is_plausible and not (is_whole and _is_part(one.unit))]


def _may_be_relative(definition: MapDefinition, size: float) -> bool:
    """Tell whether values of a map with a unit may be ratios to a reference."""
    has_dimension = factor_between(definition.unit, NO_UNIT) is None
    low, high = AROUND_ONE
    return definition.can_be_relative and has_dimension and low <= size <= high


def _is_part(unit: str) -> bool:
    """Tell whether a fraction in this unit reaches beyond 1 somewhere, as in percent."""
    factor = factor_between(unit, NO_UNIT)
    return factor is not None and factor < 1


def values_of(definition: MapDefinition, file: FoundFile) -> NDArray[np.float64]:
    """Load a map's values as they are stored, or those of its component.

    Parameters
    ----------
    definition, file
        The map, and its file.

    Raises
    ------
    InputError
        If the file cannot be read to its end.
    """
    return np.asarray(_stored(definition, file), dtype=np.float64)


def _stored(definition: MapDefinition, file: FoundFile) -> NDArray[Any]:
    """Load a map's values in the type that they are stored in."""
    if definition.component is None:
        return load_volume(file.path)[0]
    return load_series(file.path, [definition.component - 1])[0][..., 0]


def _check_not_for_display(
    definition: MapDefinition, file: FoundFile, stored: NDArray[Any]
) -> None:
    """Refuse whole numbers of 8 bits, into which viewers scale what they save, without a unit."""
    if stored.dtype.itemsize == 1 and stored.max(initial=0) > MOST_PERCENT:
        raise InputError(
            f"{file.path} holds whole numbers of 8 bits up to {stored.max()}, as an image that was "
            f"scaled for display, and does not say its unit; give the map as it was computed, or "
            f"{SAY_IT}, such as '{definition.unit}'."
        )


def readings(
    definition: MapDefinition, size: float, large: float | None = None
) -> Iterator[Reading]:
    """List what a typical size would be in the tables' unit, for every unit that a file may have.

    Parameters
    ----------
    definition
        The map.
    size
        What :func:`typical_size` says of the file's values.
    large
        What :func:`large_size` says of them; in the unit that is meant they are within the map's
        range. An anisotropy of 0 to 255 typically is one of percent, and reaches further than 100.
    """
    low, high = definition.plausible or (0.0, math.inf)
    most = max(map(abs, definition.valid_range))
    for unit in dict.fromkeys((definition.unit, *definition.other_units)):
        factor = factor_between(unit, definition.unit)
        reciprocal = factor is None
        meant = reciprocal_factor(unit, definition.unit) / size if factor is None else factor * size
        reach = 0.0 if factor is None or large is None else factor * large
        # in the map's own unit what lies beyond its range does not count, and is said
        beyond = reach if reach > most and factor != 1 else None
        is_plausible = low <= meant <= high and beyond is None
        yield Reading(unit, meant, reciprocal, is_plausible, beyond)


def contradiction(
    file: FoundFile,
    definition: MapDefinition,
    reading: UnitReading,
    size: float,
    largest: float = math.inf,
) -> str | None:
    """Say why values cannot be in the unit that a text states, if they fit another one.

    Parameters
    ----------
    file
        The map's file.
    definition, reading
        The map, and how its file is read.
    size
        What :func:`typical_size` says of the file's values, as they are stored.
    largest
        The largest of them.

    Returns
    -------
    str or None
        None also where the values fit no unit: disease may do that, and the QC table says it.
    """
    usual = definition.plausible
    if usual is None or math.isnan(size) or reading.by not in (SIDECAR, PRODUCER):
        return None
    if usual[0] <= size * reading.factor <= usual[1]:
        return None
    fitting = _fitting(definition, list(readings(definition, size)), largest)
    if not fitting:
        return None
    return (
        f"{file.path}: by its {reading.by} {definition.name} is in '{reading.unit}', but its "
        f"values (typically {size:.3g}) are those of {_listed(fitting)}; correct the "
        "Units in its JSON file, or the map."
    )


def _undeclared(definition: MapDefinition, file: FoundFile, found: list[Reading]) -> str:
    unknown = not found or any(math.isnan(one.size) for one in found)
    could = "" if unknown else f" (its typical value would be {_spelt(found, definition)})"
    return (
        f"{file.path} does not say its unit, and the values of {definition.name} do not tell it"
        f"{could}; {SAY_IT}, such as '{definition.unit}'."
    )


def _undecided(
    definition: MapDefinition,
    file: FoundFile,
    size: float,
    found: list[Reading],
    fitting: list[Reading],
) -> str:
    low, high = definition.plausible or (0.0, math.inf)
    why = "fits more than one" if len(fitting) > 1 else "fits none"
    if len(fitting) == 1:
        why = f"is that of its reciprocal, in {fitting[0].unit}"
    return (
        f"{file.path} does not say its unit, and its typical value {size:.3g} {why}: it would be "
        f"{_spelt(found, definition)}, where {low:.3g} to {high:.3g} is usual; "
        f"{SAY_IT}, or define the map with --maps."
    )


def _spelt(found: list[Reading], definition: MapDefinition) -> str:
    """Say what a typical size would be by every reading."""
    unit = "" if definition.unit == NO_UNIT else f" {definition.unit}"
    return " or ".join(
        f"{one.size:.3g}{unit} if it holds {'its reciprocal in ' * one.is_reciprocal}'{one.unit}'"
        + (f" (and up to {one.beyond:.3g}, which cannot be)" if one.beyond else "")
        for one in found
    )


def _listed(found: list[Reading]) -> str:
    return " or ".join(
        f"the reciprocal in '{one.unit}'" if one.is_reciprocal else f"'{one.unit}'" for one in found
    )


def _say(planning: Planning, definition: MapDefinition, reading: UnitReading) -> None:
    if reading.by == REGISTRY or (reading.factor == 1 and reading.by != VALUES):
        return
    planning.say(definition.name, "note", unit_text(definition.unit, reading))


def unit_text(unit: str, reading: UnitReading) -> str:
    """Say in words how a map's values become those of the tables.

    Parameters
    ----------
    unit
        The tables'.
    reading
        How the file is read.

    Examples
    --------
    >>> unit_text("ppm", UnitReading("ppb", 0.001, "sidecar"))
    "its sidecar says 'ppb': values times 0.001 are in 'ppm'"
    >>> unit_text("s", UnitReading("s", 1.0, "values", 0.91))
    "no text says its unit: its values (typically 0.91) are those of 's'"
    """
    if reading.by == VALUES:
        told = f"no text says its unit: its values (typically {reading.size:.3g}) are those of"
        told = f"{told} '{reading.unit}'"
    else:
        told = f"its {reading.by} says '{reading.unit}'"
    return (
        told if reading.factor == 1 else f"{told}: values times {reading.factor:g} are in '{unit}'"
    )
