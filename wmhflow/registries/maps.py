"""The quantitative maps that the program knows, and those that a user adds."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from wmhflow.errors import UsageError
from wmhflow.registries.reading import read_given

# names of other images and transforms
RESERVED = ("T1w", "FLAIR", "forward", "inverse")
# names become parts of file names and of columns
NAME = re.compile(r"[A-Za-z0-9]{1,64}")


@dataclass(frozen=True)
class MapComputation:
    """How a map is computed where it is not given: the step, and what it takes.

    It takes single ``files``, by parameter, or a ``series`` of ``data/series.toml``. ``gives``
    names the map among what the step gives: a step may give several.
    """

    step: str
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    series: str | None = None
    gives: str = "map"

    def __post_init__(self) -> None:
        if bool(self.files) == (self.series is not None):
            raise ValueError("computed, which needs either files or a series")


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
        theirs = read_given(user_file, "--maps", "TOML", tomllib.loads)
        tables = theirs.get("map")
        others = sorted(set(theirs) - {"map"})
        if others or not isinstance(tables, list) or not tables:
            found = f"'{others[0]}'" if others else "none"
            raise UsageError(
                f"--maps {user_file} holds {found}, where [[map]] tables are meant; write each map "
                "under a line [[map]]."
            )
        maps |= _parse_maps(tables, f"--maps {user_file}")
    return maps


def _parse_maps(tables: Iterable[Mapping[str, Any]], where: str) -> dict[str, MapDefinition]:
    maps = {}
    for table in tables:
        try:
            _check_fields(table)
            low, high = (float(edge) for edge in table["valid_range"])
            definition = MapDefinition(
                name=table["name"],
                unit=table["unit"],
                valid_range=(low, high),
                query=dict(table["query"]),
                transform_from=tuple(table.get("transform_from", ())),
                companions=tuple(table.get("companions", ())),
                description=table.get("description", ""),
                computed=MapComputation(**table["computed"]) if "computed" in table else None,
                can_be_zero=_truth(table.get("can_be_zero", False)),
            )
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise UsageError(
                f"{where}: a [[map]] needs name, unit, valid_range = [low, high] and query; "
                f"{_shown(table)} fails at {error}."
            ) from None
        if not low < high or not NAME.fullmatch(definition.name) or not definition.query:
            raise UsageError(
                f"{where}: the map {definition.name!r} needs a name of letters and digits, "
                "a query, and a valid_range whose first value is the smaller."
            )
        if definition.name in RESERVED:
            raise UsageError(f"{where}: a map cannot be called {definition.name!r}; rename it.")
        maps[definition.name] = definition
    return maps


def _check_fields(table: Mapping[str, Any]) -> None:
    """Refuse a field of another name or type: what nothing reads would change results in silence.

    Raises
    ------
    ValueError
        With the field.
    """
    if not isinstance(table, Mapping):
        raise ValueError("what is no table")
    unknown = sorted(set(table) - {entry.name for entry in fields(MapDefinition)})
    if unknown:
        raise ValueError(f"'{unknown[0]}', which is no field of a map")
    for name in ("name", "unit", "description"):
        if not isinstance(table.get(name, ""), str):
            raise ValueError(f"{name}, which is no text")
    edges = table["valid_range"]
    if not isinstance(edges, list) or not all(_is_number(edge) for edge in edges):
        raise ValueError("valid_range, which is no pair of numbers")
    sources = table.get("transform_from", [])
    if not isinstance(sources, list) or not all(isinstance(one, str) for one in sources):
        raise ValueError("transform_from, which is no list of texts")
    companions = table.get("companions", [])
    if not isinstance(companions, list) or not all(companions):
        raise ValueError("companions, which is no list of entities")
    for query in (table["query"], *companions):
        wrong = wrong_entity(query)
        if wrong is not None:
            raise ValueError(wrong)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def wrong_entity(query: Any) -> str | None:
    """Say which entity of a query cannot be compared with a file's; None if all can be.

    Parameters
    ----------
    query
        Values by entity: a text, a whole number, None, or a list of such.

    Examples
    --------
    >>> wrong_entity({"suffix": ["cbf", "dwimap"], "run": 1, "acquisition": None})
    >>> wrong_entity({"suffix": {"is": "cbf"}})
    "'suffix', which is neither text nor whole number nor a list of such"
    """
    if not isinstance(query, Mapping):
        return "a query, which is no table of entities"
    for entity, value in query.items():
        listed = value if isinstance(value, list) else [value]
        if not all(one is None or (isinstance(one, str | int) and not isinstance(one, bool))
                   for one in listed):  # fmt: skip
            return f"'{entity}', which is neither text nor whole number nor a list of such"
    return None


def _shown(table: Any) -> str:
    text = repr(table)
    return text if len(text) <= 300 else f"{text[:300]}…"


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"can_be_zero = {value!r}, which is neither true nor false")
    return value
