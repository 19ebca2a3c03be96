"""The quantitative maps that the program knows, and those that a user adds."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from wmhflow.errors import UsageError
from wmhflow.registries.reading import read_given, with_absences
from wmhflow.registries.units import factor_between, is_reciprocal

# names of other images and transforms
RESERVED = ("T1w", "FLAIR", "forward", "inverse")
# names become parts of file names and of columns
NAME = re.compile(r"[A-Za-z0-9]{1,64}")
LESION_CLASSES = ("all", "PV", "deep")
LOWER, HIGHER = "lower", "higher"
# less than half, in fluid
FAR_LOWER = "far lower"
IN_FLUID = (LOWER, HIGHER, FAR_LOWER)
DIRECTIONS = (LOWER, HIGHER, "mixed")
# what only the program itself sets
_OWN_FIELDS = frozenset(("registry_unit",))
_FLAGS = ("can_be_zero", "can_be_negative", "can_be_relative", "must_declare", "arbitrary_zero")


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
class PublishedWidth:
    """A width of the penumbra that others found, mm, around lesions of a class."""

    lesions: str
    width_mm: tuple[float, float]
    doi: str


@dataclass(frozen=True)
class MapDefinition:
    """One quantitative map: how it is found, or computed, and what its values may be.

    ``data/maps.toml`` says what each field means. ``unit`` is the one of the tables, and of
    ``valid_range`` and ``plausible``; ``registry_unit`` the registry's, where ``--units`` chose
    another. In ``query`` None stands for an entity that is absent.
    """

    name: str
    unit: str
    valid_range: tuple[float, float]
    query: Mapping[str, Any]
    transform_from: tuple[str, ...] = ()
    companions: tuple[Mapping[str, Any], ...] = field(default=())
    description: str = ""
    computed: MapComputation | None = None
    can_be_zero: bool = False
    family: str = ""
    also: tuple[Mapping[str, Any], ...] = field(default=())
    per: str | None = None
    other_units: tuple[str, ...] = ()
    plausible: tuple[float, float] | None = None
    must_declare: bool = False
    can_be_relative: bool = False
    can_be_negative: bool = False
    arbitrary_zero: bool = False
    in_wmh: str | None = None
    in_fluid: str | None = None
    free_water: float | None = None
    published: tuple[PublishedWidth, ...] = ()
    registry_unit: str = ""
    component: int | None = None

    @property
    def queries(self) -> tuple[Mapping[str, Any], ...]:
        """All ways in which files of this map are named, the first ones first."""
        return (self.query, *self.also)

    @cached_property
    def questions(self) -> tuple[Mapping[str, Any], ...]:
        """The same, one suffix in each: files are sorted by suffix, and one is looked up."""
        return tuple(one for query in self.queries for one in by_suffix(query))

    @property
    def own_unit(self) -> str:
        """The unit of maps that are computed here, whatever the tables have."""
        return self.registry_unit or self.unit

    def in_unit(self, unit: str) -> MapDefinition:
        """Return the same map with another unit in tables and figures.

        Raises
        ------
        ValueError
            If the two units measure different things.
        """
        factor = factor_between(self.unit, unit)
        if factor is None:
            raise ValueError(f"{self.name} is measured in {self.unit}, of which {unit} is none")
        low, high = self.valid_range
        usual = self.plausible
        return replace(
            self,
            unit=unit,
            valid_range=(low * factor, high * factor),
            plausible=None if usual is None else (usual[0] * factor, usual[1] * factor),
            free_water=None if self.free_water is None else self.free_water * factor,
            other_units=tuple(dict.fromkeys((*self.other_units, self.unit))),
            registry_unit=self.own_unit,
        )


def by_suffix(query: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Ask for one suffix at a time.

    Examples
    --------
    >>> by_suffix({"suffix": ["ADC", "adc"], "run": 1})
    ({'suffix': 'ADC', 'run': 1}, {'suffix': 'adc', 'run': 1})
    """
    suffixes = query.get("suffix")
    if not isinstance(suffixes, list):
        return (query,)
    return tuple({**query, "suffix": suffix} for suffix in suffixes)


def load_maps(
    user_file: Path | None = None, units: Iterable[tuple[str, str]] = ()
) -> dict[str, MapDefinition]:
    """Read the registry of maps, with the user's additions on top.

    Parameters
    ----------
    user_file
        A TOML file with ``[[map]]`` tables like those of ``data/maps.toml``.
    units
        Pairs of a map's name and the unit that tables and figures have, as ``--units`` takes them.

    Raises
    ------
    UsageError
        If the user's file cannot be read or lacks something, or a unit cannot be a map's.
    """
    families, own = _own_maps()
    maps = dict(own)
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
        maps |= _parse_maps(tables, families, f"--maps {user_file}")
    return _in_units(maps, units)


@cache
def _own_maps() -> tuple[dict[str, Any], dict[str, MapDefinition]]:
    """Read the program's own registry, once: every plan asks for it."""
    own = tomllib.loads((files("wmhflow") / "data" / "maps.toml").read_text(encoding="utf-8"))
    return own["family"], _parse_maps(own["map"], own["family"], "data/maps.toml")


def _in_units(
    maps: dict[str, MapDefinition], units: Iterable[tuple[str, str]]
) -> dict[str, MapDefinition]:
    """Give maps the units that the user wants to read."""
    for name, unit in units:
        if name not in maps:
            raise UsageError(
                f"--units {name}={unit}: there is no map {name}; see the list of maps."
            )
        try:
            maps[name] = maps[name].in_unit(unit)
        except ValueError as error:
            raise UsageError(f"--units {name}={unit}: {error}; give another one.") from None
    return maps


def _parse_maps(
    tables: Iterable[Mapping[str, Any]], families: Mapping[str, Any], where: str
) -> dict[str, MapDefinition]:
    maps = {}
    for table in tables:
        try:
            definition = _definition(table, families)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise UsageError(
                f"{where}: a [[map]] needs name, unit, valid_range = [low, high] and query; "
                f"{_shown(table)} fails at {error}."
            ) from None
        low, high = definition.valid_range
        if not low < high or not NAME.fullmatch(definition.name) or not all(definition.queries):
            raise UsageError(
                f"{where}: the map {definition.name!r} needs a name of letters and digits, "
                "a query, and a valid_range whose first value is the smaller."
            )
        if definition.name in maps:
            raise UsageError(f"{where}: the map {definition.name!r} is there twice; keep one.")
        if definition.name in RESERVED:
            raise UsageError(f"{where}: a map cannot be called {definition.name!r}; rename it.")
        maps[definition.name] = definition
    return maps


def _definition(table: Mapping[str, Any], families: Mapping[str, Any]) -> MapDefinition:
    """Read one map; what it leaves out is its family's."""
    _check_fields(table, families)
    shared = families.get(table.get("family", ""), {})
    usual = table.get("plausible")
    flags: dict[str, Any] = {name: _truth(name, table.get(name, False)) for name in _FLAGS}
    return MapDefinition(
        name=table["name"],
        unit=table["unit"],
        valid_range=_edges(table["valid_range"]),
        query=with_absences(table["query"]),
        transform_from=tuple(table.get("transform_from", shared.get("transform_from", ()))),
        companions=tuple(table.get("companions", shared.get("companions", ()))),
        description=table.get("description", ""),
        computed=MapComputation(**table["computed"]) if "computed" in table else None,
        family=table.get("family", ""),
        also=tuple(with_absences(query) for query in table.get("also", ())),
        per=table.get("per"),
        other_units=tuple(table.get("other_units", ())),
        plausible=None if usual is None else _edges(usual),
        in_wmh=table.get("in_wmh"),
        in_fluid=table.get("in_fluid"),
        free_water=table.get("free_water"),
        component=table.get("component"),
        published=tuple(_published(one) for one in table.get("published", ())),
        **flags,
    )


def _edges(pair: Any) -> tuple[float, float]:
    low, high = (float(edge) for edge in pair)
    return low, high


def _published(table: Mapping[str, Any]) -> PublishedWidth:
    width = PublishedWidth(table["lesions"], _edges(table["width_mm"]), table["doi"])
    low, high = width.width_mm
    if width.lesions not in LESION_CLASSES or not 0 <= low <= high:
        raise ValueError(f"published, of which a width is {dict(table)}")
    return width


def _check_fields(table: Mapping[str, Any], families: Mapping[str, Any]) -> None:
    """Refuse a field of another name or type: what nothing reads would change results in silence.

    Raises
    ------
    ValueError
        With the field.
    """
    if not isinstance(table, Mapping):
        raise ValueError("what is no table")
    known = {entry.name for entry in fields(MapDefinition)} - _OWN_FIELDS
    unknown = sorted(set(table) - known)
    if unknown:
        raise ValueError(f"'{unknown[0]}', which is no field of a map")
    for name in ("name", "unit", "description", "family", "per", "in_wmh", "in_fluid"):
        if not isinstance(table.get(name, ""), str):
            raise ValueError(f"{name}, which is no text")
    _check_lists(table)
    companions, also = (table.get(name, []) for name in ("companions", "also"))
    for name, queries in (("companions", companions), ("also", also)):
        if not isinstance(queries, list) or not all(queries):
            raise ValueError(f"{name}, which is no list of entities")
    for query in (table["query"], *companions, *also):
        wrong = wrong_entity(query)
        if wrong is not None:
            raise ValueError(wrong)
    _check_choices(table, families)


def _check_lists(table: Mapping[str, Any]) -> None:
    """Refuse what is no pair of numbers, or no list of texts."""
    for name in ("valid_range", "plausible"):
        edges = table.get(name, [0, 1]) if name == "plausible" else table[name]
        if not isinstance(edges, list) or not all(_is_number(edge) for edge in edges):
            raise ValueError(f"{name}, which is no pair of numbers")
    for name in ("transform_from", "other_units"):
        texts = table.get(name, [])
        if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
            raise ValueError(f"{name}, which is no list of texts")


def _check_choices(table: Mapping[str, Any], families: Mapping[str, Any]) -> None:
    """Refuse a unit that cannot be one, and what is none of a list.

    Raises
    ------
    ValueError
        With the field.
    """
    if not table["unit"].strip():
        raise ValueError('unit, which is empty; a map without a unit has "1"')
    for unit in table.get("other_units", ()):
        if factor_between(unit, table["unit"]) is None and not is_reciprocal(unit, table["unit"]):
            raise ValueError(f"other_units, of which {unit!r} cannot become {table['unit']!r}")
    component = table.get("component", 1)
    if not isinstance(component, int) or isinstance(component, bool) or component < 1:
        raise ValueError(f"component = {component!r}, which is no number of a volume, from 1 on")
    usual = table.get("plausible", [0.0, 1.0])
    if len(usual) != 2 or not 0 <= usual[0] < usual[1]:
        raise ValueError("plausible, which is no pair of sizes of which the first is the smaller")
    if table.get("family", "") not in ("", *families):
        raise ValueError(f"family, which is none of {', '.join(families)}")
    if table.get("in_wmh", DIRECTIONS[0]) not in DIRECTIONS:
        raise ValueError(f"in_wmh, which is none of {', '.join(DIRECTIONS)}")
    water = table.get("free_water", 1)
    if not _is_number(water) or not water > 0:
        raise ValueError("free_water, which is no number above 0")
    if table.get("in_fluid", LOWER) not in IN_FLUID:
        raise ValueError(f"in_fluid, which is none of {', '.join(IN_FLUID)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def wrong_entity(query: Any) -> str | None:
    """Say which entity of a query cannot be compared with a file's; None if all can be.

    Parameters
    ----------
    query
        Values by entity: a text, a whole number, None or false (it is absent), or a list of such.

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
        if not all(one is None or (isinstance(one, str | int) and one is not True)
                   for one in listed):  # fmt: skip
            return f"'{entity}', which is neither text nor whole number nor a list of such"
    return None


def _shown(table: Any) -> str:
    text = repr(table)
    return text if len(text) <= 300 else f"{text[:300]}…"


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} = {value!r}, which is neither true nor false")
    return value
