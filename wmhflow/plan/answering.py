"""Which files a map of the registry may be, and maps that are there once per tracer."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wmhflow.bids.query import FoundFile
from wmhflow.bids.sidecars import read_sidecar
from wmhflow.plan.choice import queries_of
from wmhflow.plan.context import Planning
from wmhflow.registries.maps import MapDefinition, by_suffix
from wmhflow.registries.series import load_series_definitions
from wmhflow.registries.tracers import find_tracer


def answering(planning: Planning, definition: MapDefinition) -> list[FoundFile]:
    """List the visit's files that a map may be, by any of its queries.

    Parameters
    ----------
    planning
        The visit's.
    definition
        The map.
    """
    found: dict[Path, FoundFile] = {}
    there = planning.query.derived_suffixes(planning.subject)
    for query in _questions(planning, definition):
        suffix = query.get("suffix")
        if isinstance(suffix, str) and suffix not in there:
            # so it is with most maps of the registry
            continue
        kind = f"map.{definition.name}"
        files = planning.query.derived_images(kind, planning.subject, query)
        found |= {file.path: file for file in files}
    return planning.of_visit(found.values())


def _questions(planning: Planning, definition: MapDefinition) -> Iterable[Mapping[str, Any]]:
    """Return a map's queries, one suffix in each, as the user's filter of this map leaves them."""
    filters = planning.query.filters
    asked = filters.get(f"map.{definition.name}", {}) if filters else {}
    if not asked:
        return definition.questions
    return [one for query in queries_of(definition, asked) for one in by_suffix(query)]


def known_maps(planning: Planning, maps: Mapping[str, MapDefinition]) -> Iterator[MapDefinition]:
    """Go through the registry; a map that is there once per tracer becomes one map per tracer.

    Parameters
    ----------
    planning
        The visit's.
    maps
        The registry of maps.

    Yields
    ------
    MapDefinition
        In the registry's order. One per tracer is called after both: the SUVR of ``trc-FDG`` is
        SUVRFDG; files that name no tracer are SUVR. What a series of a tracer is there for counts
        as well, if the map is computed from it.
    """
    for definition in maps.values():
        if definition.per is None:
            yield definition
            continue
        given = {str(file.get(definition.per) or "") for file in answering(planning, definition)}
        # one that names no tracer may be of any, so that nothing is computed beside it
        series = set() if "" in given else _in_series(planning, definition, given)
        for value in sorted(given | series) or [""]:
            yield _known_one(planning, definition, definition.per, value)


def _in_series(planning: Planning, definition: MapDefinition, given: Collection[str]) -> set[str]:
    """Return the values of the entity ``per`` in the series that a map may be computed from.

    Those of a tracer of which the map is given, by whatever name, are left out.
    """
    how = definition.computed
    series = load_series_definitions().get(how.series) if how and how.series else None
    if series is None or series.per != definition.per or series.per is None:
        return set()
    query = series.files[series.lead].query
    derived = planning.query.derived(f"series.{series.name}", planning.subject, **query)
    raw = planning.query.raw_images(f"series.{series.name}", planning.subject, **query)
    files = planning.of_visit([*derived, *raw])
    left = [file for file in files if not _is_one_of(file, series.per, given)]
    return {str(file.get(series.per) or "") for file in left}


def _is_one_of(file: FoundFile, entity: str, given: Collection[str]) -> bool:
    """Tell whether a PET is of a tracer that is called so, or by another of its names."""
    value = str(file.get(entity) or "")
    if value in given or not given:
        return value in given
    tracer = find_tracer(value or str(read_sidecar(file).get("TracerName") or ""))
    return tracer is not None and any(find_tracer(one) is tracer for one in given)


def _known_one(
    planning: Planning, definition: MapDefinition, entity: str, value: str
) -> MapDefinition:
    """Narrow a map to one value of an entity; it is the same definition for everybody."""
    known = planning.query.known
    # the registry lives as long as the run, so that nothing else comes to stand in its place
    key = (id(definition), entity, value)
    if key not in known:
        known[key] = _of_one(definition, entity, value)
    found: MapDefinition = known[key]
    return found


def _of_one(definition: MapDefinition, entity: str, value: str) -> MapDefinition:
    """Narrow a map to one value of an entity, or to its absence."""
    only = {entity: value or None}
    name = definition.name + re.sub(r"[^A-Za-z0-9]", "", value)
    return replace(
        definition,
        name=name[:64],
        query={**definition.query, **only},
        also=tuple({**query, **only} for query in definition.also),
        description=f"{definition.description} of {value}" if value else definition.description,
    )
