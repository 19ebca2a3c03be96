"""The registry of maps as tables for the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from wmhflow.registries.maps import MapDefinition, PublishedWidth, load_maps


def maps_table() -> str:
    """Return the registry as Markdown: how each map is found and read, and what others found."""
    parts = []
    for family, entries in groupby(load_maps().values(), key=lambda one: one.family):
        found = list(entries)
        lines = [f"### {family.capitalize()}", ""]
        lines += ["| map | what | file | unit; other units that are read | usual size |"]
        lines += ["| --- " * 5 + "|", *(_row(_reading(one)) for one in found), ""]
        known = [one for one in found if one.in_wmh or one.published]
        if known:
            lines += ["| map | in WMH, beside NAWM | published width of the penumbra |"]
            lines += ["| --- " * 3 + "|", *(_row(_literature(one)) for one in known), ""]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _reading(entry: MapDefinition) -> tuple[str, ...]:
    files = "<br>".join(f"`{named(query)}`" for query in entry.queries)
    units = "; ".join([f"`{entry.unit}`", *(f"`{one}`" for one in entry.other_units)])
    if entry.must_declare:
        units += " (has to be stated)"
    if entry.can_be_relative:
        units += " (or arbitrary)"
    usual = entry.plausible
    size = "–" if usual is None else f"{usual[0]:g} to {usual[1]:g}"
    what = f"{entry.description}; one map per {entry.per}" if entry.per else entry.description
    return f"`{entry.name}`", what, files, units, size


def _literature(entry: MapDefinition) -> tuple[str, ...]:
    widths = "; ".join(_width(one) for one in entry.published) or "–"
    return f"`{entry.name}`", entry.in_wmh or "–", widths


def _width(one: PublishedWidth) -> str:
    low, high = one.width_mm
    width = f"{low:g}" if low == high else f"{low:g}–{high:g}"
    return f"{one.lesions}: {width} mm ([doi](https://doi.org/{one.doi}))"


def named(query: Mapping[str, Any]) -> str:
    """Write a query as the end of a file's name: of several values the first, absent ones left out.

    Examples
    --------
    >>> named({"suffix": "dwimap", "param": ["md", "MD"], "model": [None, "dki"]})
    '_param-md_dwimap'
    """
    first = {
        entity: value[0] if isinstance(value, list) else value for entity, value in query.items()
    }
    parts = [
        f"_{entity}-{value}"
        for entity, value in first.items()
        if entity != "suffix" and value is not None
    ]
    return f"{''.join(parts)}_{first['suffix']}"
