"""The registries that ship with the program: regions, FreeSurfer codes, maps, quality measures."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from wmhflow.errors import UsageError

# names of other images and transforms
RESERVED = ("T1w", "FLAIR", "forward", "inverse")


@dataclass(frozen=True)
class Region:
    """One region: the only place where its number and its name meet.

    ``parents`` are the regions that contain it whole; a region with hemisphere ``B`` is the union
    of both sides.
    """

    seg: str
    index: int
    name: str
    abbreviation: str
    hemisphere: str
    homologue: str | None
    parents: tuple[str, ...]
    colour: str


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("wmhflow.data") / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


@cache
def load_regions(seg: str) -> dict[int, Region]:
    """Read the regions of one label image, by index, in registry order.

    Parameters
    ----------
    seg
        ``tissue``, ``zones``, ``continuity``, ``majority``, ``lobes``, ``bullseye`` or ``shells``.

    Raises
    ------
    KeyError
        If the registry has no such label image.
    """
    regions = {}
    for row in _rows("regions.tsv"):
        if row["seg"] == seg:
            regions[int(row["index"])] = Region(
                seg,
                int(row["index"]),
                row["name"],
                row["abbreviation"],
                row["hemisphere"],
                None if row["homologue"] == "n/a" else row["homologue"],
                () if row["parent"] == "n/a" else tuple(row["parent"].split(";")),
                row["colour"],
            )
    if not regions:
        raise KeyError(f"data/regions.tsv has no regions of '{seg}'")
    return regions


def regions_tables() -> str:
    """Return the numbers of all regions as Markdown for the documentation, a table per image."""
    parts = []
    for seg in dict.fromkeys(row["seg"] for row in _rows("regions.tsv")):
        regions = load_regions(seg)
        lines = [f"**`seg-{seg}`**", "", "| both | left | right | | name |", "| --- " * 5 + "|"]
        for region in regions.values():
            if region.hemisphere == "B":
                number_of = {"B": region.index} | {
                    one.hemisphere: index
                    for index, one in regions.items()
                    if region.name in one.parents
                    and one.hemisphere in "LR"
                    and _is_side(one, region)
                }
                cells = [str(number_of.get(side, "")) for side in "BLR"]
                lines.append(f"| {' | '.join([*cells, region.abbreviation, region.name])} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _is_side(one: Region, whole: Region) -> bool:
    """Tell whether a region is one side of another, and not a part of it."""
    return one.name in (f"left {whole.name}", f"right {whole.name}")


def leaves_of(regions: Mapping[int, Region]) -> dict[int, tuple[int, ...]]:
    """Return, per region, the labels in the image that make it up (itself, if it is a leaf).

    Parameters
    ----------
    regions
        By number; parents that are not among them do not count.
    """
    index_of = {region.name: index for index, region in regions.items()}
    has_children = {index for region in regions.values() for index in _parents(region, index_of)}
    members: dict[int, list[int]] = {index: [] for index in regions}
    for leaf in (index for index in regions if index not in has_children):
        for ancestor in sorted(_with_ancestors(leaf, regions, index_of)):
            members[ancestor].append(leaf)
    return {index: tuple(found) for index, found in members.items()}


def _with_ancestors(
    index: int, regions: Mapping[int, Region], index_of: Mapping[str, int]
) -> set[int]:
    found = {index}
    for parent in _parents(regions[index], index_of):
        found |= _with_ancestors(parent, regions, index_of)
    return found


def _parents(region: Region, index_of: Mapping[str, int]) -> list[int]:
    return [index_of[parent] for parent in region.parents if parent in index_of]


@dataclass(frozen=True)
class FreeSurferCode:
    """What a FreeSurfer label number means for this program."""

    code: int
    name: str
    tissue: int
    hemisphere: str
    lobe: int


@cache
def load_freesurfer_codes() -> dict[int, FreeSurferCode]:
    """Read how FreeSurfer's codes (aseg, Desikan-Killiany, DKT) map to tissues and lobes."""
    codes = {}
    for row in _rows("freesurfer.tsv"):
        code = int(row["code"])
        codes[code] = FreeSurferCode(
            code, row["name"], int(row["tissue"]), row["hemisphere"], int(row["lobe"])
        )
    return codes


def cortical_codes() -> list[int]:
    """Return the codes of parcels of the cortex, from which white matter takes its lobe."""
    cortex = 3
    return [
        c for c, entry in load_freesurfer_codes().items() if entry.tissue == cortex and entry.lobe
    ]


@dataclass(frozen=True)
class MapDefinition:
    """One quantitative map: how it is found, what its values may be."""

    name: str
    unit: str
    family: str
    valid_range: tuple[float, float]
    query: Mapping[str, Any]
    transform_from: tuple[str, ...] = ()
    companions: tuple[Mapping[str, Any], ...] = field(default=())
    description: str = ""


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
    own = tomllib.loads((files("wmhflow.data") / "maps.toml").read_text(encoding="utf-8"))
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
                family=str(table.get("family", "other")),
                valid_range=(low, high),
                query=dict(table["query"]),
                transform_from=tuple(table.get("transform_from", ())),
                companions=tuple(table.get("companions", ())),
                description=str(table.get("description", "")),
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


def bibliography() -> dict[str, dict[str, str]]:
    """Read the references that the methods text cites, by key."""
    content = (files("wmhflow.data") / "bibliography.toml").read_text(encoding="utf-8")
    return {key: dict(entry) for key, entry in tomllib.loads(content).items()}


@dataclass(frozen=True)
class QualityMeasure:
    """One measure of the QC table: what it is, and the range that is not remarkable and why.

    ``metric`` may hold ``*`` for any letters, as the names of maps.
    """

    metric: str
    unit: str | None
    low: float | None
    high: float | None
    meaning: str
    reason: str | None


@cache
def load_quality_measures() -> tuple[QualityMeasure, ...]:
    """Read the measures of the QC table, in the order in which they are looked up."""

    def known(text: str) -> str | None:
        return None if text == "n/a" else text

    def number(text: str) -> float | None:
        return None if text == "n/a" else float(text)

    return tuple(
        QualityMeasure(
            row["metric"],
            known(row["unit"]),
            number(row["low"]),
            number(row["high"]),
            row["meaning"],
            known(row["reason"]),
        )
        for row in _rows("quality.tsv")
    )


def find_measure(metric: str) -> QualityMeasure | None:
    """Look up a measure of the QC table; the first that fits counts.

    Examples
    --------
    >>> find_measure("map_FA_coverage_NAWM").low
    0.5
    """
    fitting = (entry for entry in load_quality_measures() if fnmatchcase(metric, entry.metric))
    return next(fitting, None)


def quality_table() -> str:
    """Return the measures that are judged as Markdown for the documentation."""
    lines = ["| measure | unit | from | to | what | why these bounds |", "| --- " * 6 + "|"]
    for entry in load_quality_measures():
        if entry.reason is not None:
            low, high = ("" if edge is None else f"{edge:.7g}" for edge in (entry.low, entry.high))
            cells = (f"`{entry.metric}`", entry.unit, low, high, entry.meaning, entry.reason)
            lines.append(f"| {' | '.join(str(cell or '') for cell in cells)} |")
    return "\n".join(lines) + "\n"
