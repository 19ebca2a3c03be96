"""What files beside an image tell of it, and those above it (BIDS inheritance)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

from wmhflow.bids.query import FoundFile
from wmhflow.bids.writer import read_object

# A name of more entities is looked up by itself alone.
MOST_ENTITIES = 8
# What stands for a person in names: people's images are called alike.
PERSON = "\0"


def read_sidecar(file: FoundFile, names: Names | None = None) -> dict[str, Any]:
    """Read the metadata of an image; what stands nearer to it counts.

    Parameters
    ----------
    file
        An image.
    names
        The names in a person's folders, where many images are asked about; else each is looked for.

    Returns
    -------
    dict
        Empty where no JSON file tells of it. One that is damaged is said, and counts as absent.
    """
    found: dict[str, Any] = {}
    for path in _above(file, ".json", names):
        found |= read_object(path)
    return found


def inherited_files(file: FoundFile, ending: str) -> list[FoundFile]:
    """List the files of an ending that tell of an image and stand nearest to it.

    Unlike JSON files, they are not joined: the nearest folder counts, and in it the names that say
    most.

    Parameters
    ----------
    file
        An image.
    ending
        With its dot, such as ``.bval``.

    Returns
    -------
    list of FoundFile
        One; several where names of one folder say equally much; none where there is none.
    """
    nearest: list[Path] = []
    for path in map(Path, _above(file, ending)):
        says = len(path.name.split("_"))
        if nearest and (path.parent, says) == (nearest[0].parent, len(nearest[0].name.split("_"))):
            nearest.append(path)
        else:
            # what comes later is nearer, or says more
            nearest = [path]
    return [replace(file, path=path, entities=_told_by(file, path, ending)) for path in nearest]


def _told_by(file: FoundFile, path: Path, ending: str) -> dict[str, Any]:
    """Return which of an image's entities an inherited file's name has."""
    words = path.name.removesuffix(ending).split("_")
    values = {word.partition("-")[2] for word in words[:-1]}
    kept = {name: value for name, value in file.entities.items() if str(value) in values}
    return {**kept, "suffix": words[-1], "extension": ending}


class Names:
    """What lies in folders, each listed once; who keeps this long would not see what comes."""

    def __init__(self) -> None:
        self._known: dict[str, frozenset[str] | None] = {}

    def may_hold(self, folder: str, name: str) -> bool:
        """Tell whether a folder holds a name, or cannot be listed."""
        if folder not in self._known:
            try:
                self._known[folder] = frozenset(os.listdir(folder))  # noqa: PTH208
            except OSError:
                self._known[folder] = None
        names = self._known[folder]
        return names is None or name in names


def _above(file: FoundFile, ending: str, names: Names | None = None) -> Iterator[str]:
    """List the files of an ending that may tell of an image, the farthest first.

    Every entity and the suffix of such a file's name are the image's; folders are not listed, since
    the uppermost one holds as many entries as there are persons.
    """
    *entities, suffix = file.path.name.split(".", maxsplit=1)[0].split("_")
    person = entities[0] if entities and entities[0].startswith("sub-") else None
    told = tuple(PERSON if part == person else part for part in entities)
    inside = file.inside
    # texts rather than paths, since sixteen names are looked for of each of a person's images
    folder = str(file.root)
    for depth in range(len(inside) + 1):
        folder = f"{folder}/{inside[depth - 1]}" if depth else folder
        # below a person's folder a name begins with the person, below a visit's with both
        own = tuple(
            PERSON if part == person else part
            for part in inside[:depth]
            if part.startswith(("sub-", "ses-"))
        )
        for stem in _stems(told, own, suffix):
            name = f"{stem.replace(PERSON, person or '')}{ending}"
            if depth and names and not names.may_hold(folder, name):
                continue
            path = f"{folder}/{name}"
            if os.path.isfile(path):  # noqa: PTH113
                yield path
    beside = file.path.parent / f"{'_'.join([*entities, suffix])}{ending}"
    if len(entities) > MOST_ENTITIES and beside.is_file():
        yield str(beside)


@lru_cache(maxsize=512)
def _stems(entities: tuple[str, ...], own: tuple[str, ...], suffix: str) -> tuple[str, ...]:
    """List the names without ending, in one folder, that say no more than an image's name does."""
    free = [part for part in entities if part not in own]
    if len(free) > MOST_ENTITIES:
        return ()
    stems = []
    for size in range(len(free) + 1):
        for some in combinations(free, size):
            names = {*own, *some}
            stems.append("_".join([*(part for part in entities if part in names), suffix]))
    return tuple(stems)
