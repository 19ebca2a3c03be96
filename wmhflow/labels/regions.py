"""The registry of regions: where a label's number and name meet, but for the shells.

Shells are named by their millimetres, which a run chooses: :mod:`wmhflow.labels.shells` names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from wmhflow.registries.reading import _rows


@dataclass(frozen=True)
class Region:
    """One region: its number and its names.

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
        ``tissue``, ``zones``, ``continuity``, ``majority``, ``lobes`` or ``bullseye``.

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


def registered_images() -> tuple[str, ...]:
    """Return the label images that the registry has regions of, in its order."""
    return tuple(dict.fromkeys(row["seg"] for row in _rows("regions.tsv")))


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
