"""What the data dictionaries of tables of maps say of each map: what it is, and its unit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wmhflow.plan.units import unit_text
from wmhflow.plan.visit import MapPlan
from wmhflow.products.product import Table

# columns that hold names of maps
NAMING = ("map", "measure")


def describing(table: Table, maps: Iterable[MapPlan]) -> Table:
    """Return a table whose column of maps says of every map what it is and how it was read.

    Parameters
    ----------
    table
        One with a column ``map``, or with ``measure``, which holds names of maps beside others.
    maps
        A visit's.
    """
    levels = tuple((entry.name, _described(entry)) for entry in maps)
    columns = tuple(
        column._replace(levels=(*column.levels, *levels)) if column.name in NAMING else column
        for column in table.columns
    )
    return replace(table, columns=columns)


def _described(entry: MapPlan) -> str:
    what = entry.definition.description or entry.name
    if entry.read_as is None:
        return f"{what}; computed here"
    if entry.read_as.by == "registry":
        return f"{what}; taken to be in '{entry.definition.unit}', as no text says another unit"
    return f"{what}; {unit_text(entry.definition.unit, entry.read_as)}"
