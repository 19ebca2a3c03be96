"""The quantitative maps that the program knows, and those that a user adds."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from wmhflow.errors import UsageError

# names of other images and transforms
RESERVED = ("T1w", "FLAIR", "forward", "inverse")


@dataclass(frozen=True)
class MapComputation:
    """How a map is computed where it is not given: the step, and the files that it takes."""

    step: str
    files: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class MapDefinition:
    """One quantitative map: how it is found, or computed, and what its values may be."""

    name: str
    unit: str
    valid_range: tuple[float, float]
    query: Mapping[str, Any]
    transform_from: tuple[str, ...] = ()
    companions: tuple[Mapping[str, Any], ...] = field(default=())
    description: str = ""
    computed: MapComputation | None = None
    can_be_zero: bool = False


def load_maps(user_file: Path | None = None) -> dict[str, MapDefinition]:
    """Read the registry of maps, with the user's additions on top.

    Parameters
    ----------
    user_file
        A TOML file with ``[[map]]`` tables like those of ``data/maps.toml``.

    Raises
    ------
    UsageError
        If the user's file cannot be read or lacks something.
    """
    own = tomllib.loads((files("wmhflow") / "data" / "maps.toml").read_text(encoding="utf-8"))
    maps = _parse_maps(own["map"], "data/maps.toml")
    if user_file is not None:
        try:
            theirs = tomllib.loads(user_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(f"--maps {user_file} does not exist.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise UsageError(f"--maps {user_file} cannot be read as TOML: {error}.") from None
        maps |= _parse_maps(theirs.get("map", []), f"--maps {user_file}")
    return maps


def _parse_maps(tables: Iterable[Mapping[str, Any]], where: str) -> dict[str, MapDefinition]:
    maps = {}
    for table in tables:
        try:
            low, high = (float(edge) for edge in table["valid_range"])
            definition = MapDefinition(
                name=str(table["name"]),
                unit=str(table["unit"]),
                valid_range=(low, high),
                query=dict(table["query"]),
                transform_from=tuple(table.get("transform_from", ())),
                companions=tuple(table.get("companions", ())),
                description=str(table.get("description", "")),
                computed=MapComputation(**table["computed"]) if "computed" in table else None,
                can_be_zero=_truth(table.get("can_be_zero", False)),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{where}: a [[map]] needs name, unit, valid_range = [low, high] and query; "
                f"{table!r} fails at {error}."
            ) from None
        if not low < high or not definition.name.isalnum() or not definition.query:
            raise UsageError(
                f"{where}: the map {definition.name!r} needs a name of letters and digits, "
                "a query, and a valid_range whose first value is the smaller."
            )
        if definition.name in RESERVED:
            raise UsageError(f"{where}: a map cannot be called {definition.name!r}; rename it.")
        maps[definition.name] = definition
    return maps


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"can_be_zero = {value!r}, which is neither true nor false")
    return value
