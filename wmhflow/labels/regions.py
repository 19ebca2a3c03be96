"""The registry of regions: the only place where a label's number and name meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from wmhflow.registries.reading import _rows


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
