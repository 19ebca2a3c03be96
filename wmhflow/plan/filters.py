"""Filters of ``--bids-filter-file``: one that leaves none of a person's files is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wmhflow.bids.entities import meant_entity
from wmhflow.bids.query import FoundFile, Query, matches
from wmhflow.errors import InputError, UsageError
from wmhflow.plan.choice import named, queries_of
from wmhflow.plan.others import LABELS
from wmhflow.registries.maps import MapDefinition
from wmhflow.registries.series import load_series_definitions

OF_KINDS: Mapping[str, Mapping[str, Any]] = {
    "t1w": {"suffix": "T1w"},
    "flair": {"suffix": "FLAIR"},
    "wmh": {"suffix": ["mask", "probseg"]},
    "parcellation": {"suffix": "dseg"},
    "transform": {"suffix": "xfm"},
}
RAW_KINDS = ("t1w", "flair")
# Lesions that not every person has: a filter that leaves none is no mistake.
NOT_OF_ALL = ("infarct", *LABELS)


def check_filter_maps(query: Query, maps: Mapping[str, MapDefinition]) -> None:
    """Refuse a filter of a map or series that there is not, and a map's query of no entity.

    Parameters
    ----------
    query
        The run's datasets and filters.
    maps
        The registry of maps, with the user's.

    Raises
    ------
    UsageError
        With the name.
    """
    for section in query.filters:
        kind, _, name = section.partition(".")
        if kind == "map" and name and name not in maps:
            raise UsageError(
                f"--bids-filter-file: '{section}' names no map; known are {', '.join(maps)}."
            )
        if kind == "series" and name and name not in load_series_definitions():
            raise UsageError(
                f"--bids-filter-file: '{section}' names no series; known are "
                f"{', '.join(load_series_definitions())}."
            )
    for definition in maps.values():
        for entity in (entity for query in queries_of(definition) for entity in query):
            meant = meant_entity(entity)
            if meant != entity:
                raise UsageError(
                    f"--maps: the query of {definition.name} has '{entity}', which no file has; "
                    f"'{meant}' seems to be meant."
                )


def check_filters(query: Query, subject: str, maps: Mapping[str, MapDefinition]) -> None:
    """Refuse a filter that leaves none of a person's files of its kind.

    Parameters
    ----------
    query
        The run's datasets and filters.
    subject
        Label without ``sub-``.
    maps
        The registry of maps.

    Raises
    ------
    InputError
        With the filter and the files that it leaves out.
    """
    for section, narrowing in query.filters.items():
        if section in NOT_OF_ALL or not narrowing:
            continue
        files = _files_of(query, subject, section, maps)
        if files and not any(matches(file, narrowing) for file in files):
            told = ", ".join(f"{key} {value!r}" for key, value in narrowing.items())
            raise InputError(
                f"sub-{subject}: the filter '{section}' of --bids-filter-file ({told}) leaves none "
                f"of {len(files)} files ({named(files)}); correct it."
            )


def _files_of(
    query: Query, subject: str, section: str, maps: Mapping[str, MapDefinition]
) -> list[FoundFile]:
    kind, _, name = section.partition(".")
    files = query.raw.of(subject) if kind in RAW_KINDS else query.given(subject)
    if kind == "series":
        known = load_series_definitions()
        chosen = [known[name]] if name else list(known.values())
        leads = [one.files[one.lead].query for one in chosen]
        both = (*files, *query.raw.of(subject))
        return [file for file in both if any(matches(file, lead) for lead in leads)]
    if kind == "map":
        asked = [maps[name]] if name else list(maps.values())
        told = query.filters[section] if name else {}
        queries = [wanted for one in asked for wanted in queries_of(one, told)]
        return [file for file in files if any(matches(file, wanted) for wanted in queries)]
    return [file for file in files if matches(file, OF_KINDS[kind])]
