"""Which of several files answers for a map: what a reader of its producer's documentation takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wmhflow.bids.query import FoundFile
from wmhflow.errors import AmbiguousInputError
from wmhflow.plan.context import Planning
from wmhflow.plan.visit import REFUSED
from wmhflow.registries.maps import MapDefinition
from wmhflow.registries.producers import Choice, find_choice

MOST_NAMED = 3
# What tells scans of one kind apart.
OF_SCANS = ("run", "acquisition", "direction", "task", "tracer")
SERIES = "it is 4D, a series of images"


@dataclass(frozen=True)
class Passed:
    """A file that does not answer, and why."""

    file: FoundFile
    why: str


def choose_map(
    planning: Planning,
    definition: MapDefinition,
    found: Sequence[FoundFile],
    is_usable: Callable[[FoundFile], bool],
    nearest: Callable[[Sequence[FoundFile]], Sequence[FoundFile]],
) -> FoundFile | None:
    """Choose the one file of a map, and say what was passed over.

    Parameters
    ----------
    planning
        The visit's.
    definition
        The map.
    found
        The visit's files of that name.
    is_usable
        Tells whether a file lies in a space that can be used.
    nearest
        Keeps those that need least to lie on the reference, where nothing else parts them.

    Returns
    -------
    FoundFile or None
        None if none of them is this map in a native space.

    Raises
    ------
    AmbiguousInputError
        If several remain that nothing tells apart.
    """
    if not found:
        return None
    left, passed = without_never(definition.name, found, _asked(planning, definition))
    passed += [
        Passed(file, f"it lies in space-{file.get('space')}")
        for file in left
        if not is_usable(file)
    ]
    left = [file for file in left if is_usable(file)]
    if definition.component is None:
        left = _three_dimensional(planning, left, passed)
    left = _first_by(find_choice(definition.name), definition, left, passed)
    kept = nearest(left) if len(left) > 1 else left
    for one in passed:
        # a vector, a tensor or a time series that is all there is was meant for this map
        is_lost = one.why == SERIES and not kept
        state, what = (REFUSED, "not used") if is_lost else ("note", "ignored")
        planning.say(definition.name, state, f"{one.file.named} is {what}: {one.why}")
    if len(kept) > 1:
        raise AmbiguousInputError(
            f"{len(kept)} files answer for one map {definition.name} ({named(kept)}); choose with "
            f"--bids-filter-file, under map.{definition.name}."
        )
    return kept[0] if kept else None


def named(files: Sequence[FoundFile]) -> str:
    """Name files and their datasets, the first few of them.

    Parameters
    ----------
    files
        At least one.
    """
    more = len(files) - MOST_NAMED
    shown = [file.named for file in files[:MOST_NAMED]] + ([f"{more} more"] if more > 0 else [])
    return " and ".join(shown)


def without_never(
    name: str, found: Sequence[FoundFile], asked: Sequence[str] = ()
) -> tuple[list[FoundFile], list[Passed]]:
    """Leave out files that are another quantity than their names' rest says.

    Parameters
    ----------
    name
        A map's name, or ``WMH``.
    found
        Files of that name.
    asked
        Entities that were asked for by their values, of which any is meant.
    """
    never = {key: values for key, values in find_choice(name).never.items() if key not in asked}
    passed: list[Passed] = []
    left: list[FoundFile] = []
    for file in found:
        wrong = [key for key, values in never.items() if str(file.get(key)) in values]
        if wrong:
            passed.append(Passed(file, f"{wrong[0]}-{file.get(wrong[0])} is another image"))
        else:
            left.append(file)
    return left, passed


def _asked(planning: Planning, definition: MapDefinition) -> list[str]:
    """List the entities of which the map's query, or the user's filter, states the value."""
    asked = [key for key, value in definition.query.items() if value is not None]
    for section in ("map", f"map.{definition.name}"):
        asked += planning.query.filters.get(section, {})
    return asked


def _three_dimensional(
    planning: Planning, found: Sequence[FoundFile], passed: list[Passed]
) -> list[FoundFile]:
    """Leave out series of images; what else is wrong with a header is said by who reads it."""
    left = []
    for file in found:
        if planning.is_series(file):
            passed.append(Passed(file, SERIES))
        else:
            left.append(file)
    return left


def _first_by(
    choice: Choice, definition: MapDefinition, found: list[FoundFile], passed: list[Passed]
) -> list[FoundFile]:
    """Keep those that come first by the registry's order of entities."""
    left = list(found)
    for rank in _ranks(choice, definition):
        if len(left) < 2:
            break
        best = min(rank.of(file) for file in left)
        taken = [file for file in left if rank.of(file) == best]
        passed += [
            Passed(file, f"{taken[0].named} goes before it ({rank.why(taken[0])})")
            for file in left
            if file not in taken
        ]
        left = taken
    return left


@dataclass(frozen=True)
class _Rank:
    """The place of a file by one of its entities; values that are not listed come last."""

    entity: str
    order: tuple[str, ...]

    def of(self, file: FoundFile) -> int:
        value = str(file.get(self.entity) or "")
        return self.order.index(value) if value in self.order else len(self.order)

    def why(self, file: FoundFile) -> str:
        value = file.get(self.entity)
        return f"{self.entity}-{value}" if value else f"no {self.entity}"


def _ranks(choice: Choice, definition: MapDefinition) -> Iterator[_Rank]:
    """List what orders files: the map's query where it lists values, else the producers' table."""
    listed = {key: value for key, value in definition.query.items() if isinstance(value, list)}
    for entity in dict.fromkeys(("desc", *choice.order, *listed)):
        if entity in listed:
            yield _Rank(entity, tuple(str(one or "") for one in listed[entity]))
        elif entity not in definition.query:
            yield _Rank(entity, choice.order.get(entity, ("",)))


def queries_of(
    definition: MapDefinition, asked: Collection[str] = ()
) -> tuple[Mapping[str, Any], ...]:
    """Return the queries by any of which a map's files are found.

    Parameters
    ----------
    definition
        The map.
    asked
        Entities of which the user's filter of this map says the value, whatever the registry takes.
    """
    return tuple(
        {
            key: value
            for key, value in query.items()
            if key in ("suffix", "param") or key not in asked
        }
        for query in definition.queries
    )


def nearest_first(file: FoundFile, others: Sequence[FoundFile]) -> list[FoundFile]:
    """Sort images so that those of the same scan come first.

    Parameters
    ----------
    file
        A map.
    others
        Images that may be of the same scan.
    """

    def differs(other: FoundFile) -> int:
        return sum(other.get(entity) != file.get(entity) for entity in OF_SCANS)

    return sorted(others, key=differs)
