"""Whether the visits of a study were made alike: where not, their rows do not compare."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wmhflow.settings import Settings, iter_options

# What decides on no number, or is compared elsewhere, or differs with what a person has.
NOT_COMPARED = frozenset(
    ("zones", "atlases", "atlas_threshold", "registration_qc", "random_seed", "trust", "lobes")
)
# Options of which the value for a visit stands in its record, whatever was asked for.
IN_WORDS = {"reference": "reference images", "wmh": "sources of WMH"}
# What a run is asked for and decides on no number.
NOT_ASKED = frozenset(("registration_qc", "random_seed"))
# So much of a value is shown, and so many values of one thing.
LONGEST, MOST_VALUES = 40, 4
ABSENT = "n/a"
# Masks and parcellations, by what a record calls them: of each visit there is one of its own.
DRAWN = {
    "wmh": "mask of WMH",
    "infarct": "mask of infarcts",
    "haemorrhage": "mask of the haemorrhage",
    "oedema": "mask of oedema",
    "acute": "mask of acute lesions",
    "perivascular": "mask of perivascular spaces",
    "tissues": "parcellation",
}


@dataclass
class _Ways:
    """The ways in which one thing was done: for each the first visit, and how many did it so."""

    first: dict[str, str] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)

    def note(self, way: str, visit: str) -> None:
        self.first.setdefault(way, visit)
        self.count[way] = self.count.get(way, 0) + 1

    def __str__(self) -> str:
        shown = []
        for way, visit in list(self.first.items())[:MOST_VALUES]:
            others = self.count[way] - 1
            more = f" and {others} more" if others else ""
            shown.append(f"{way[:LONGEST]}: {visit}{more}")
        left = len(self.first) - len(shown)
        return "; ".join(shown + ([f"{left} other values"] if left > 0 else []))


class Alike:
    """What visits were made with; nothing is held but the ways that differ.

    Records of another version of the program may lack what this one notes: that is a way, too.

    Parameters
    ----------
    settings
        The run's, whose options a user may think that the visits were made with.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._asked = {} if settings is None else dict(_asked(settings))
        self._otherwise: dict[str, _Ways] = {}
        self._found: dict[tuple[str, str], _Ways] = {}
        # the first visit and file of each image, by what it holds
        self._images: dict[str, tuple[str, str]] = {}
        self._copies: list[str] = []

    def note(
        self,
        visit: str,
        record: Mapping[str, Any],
        holds_nothing: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Note how a visit was made.

        Parameters
        ----------
        visit
            How a finished visit is named.
        record
            What its record holds; nothing in it is believed to be of a type.
        holds_nothing
            Asked of a part, such as ``infarct``, that is a copy of another visit's: whether it is a
            mask of nothing, as may well be alike.
        """
        for kind, name, way in _ways_of(record):
            self._found.setdefault((kind, name), _Ways()).note(way, visit)
        made = record.get("settings")
        for name, asked in self._asked.items():
            if isinstance(made, dict) and name in made and (way := _text(made[name])) != asked:
                self._otherwise.setdefault(name, _Ways()).note(way, visit)
        for part, uri, content in _images_of(record):
            first, its_uri = self._images.setdefault(content, (visit, uri))
            if first != visit and its_uri != uri and not holds_nothing(part):
                what = DRAWN.get(part, part)
                self._copies.append(f"the {what} of {visit} is also that of {first}")

    def say(self) -> None:
        """Say what differs, in a sentence each, on standard error."""
        flags = {entry.name: opt.flags[-1] for _, entry, opt in iter_options()}
        for (kind, name), ways in self._found.items():
            if len(ways.first) > 1:
                print(_sentence(kind, name, ways, flags), file=sys.stderr)
        for name, ways in self._otherwise.items():
            print(
                f"{flags[name]} {self._asked[name]} changes nothing here: visits were made with "
                f"another one ({ways}). Give it to the participant level, which makes them anew.",
                file=sys.stderr,
            )
        if self._copies:
            left = len(self._copies) - MOST_VALUES
            more = f" and {left} more" if left > 0 else ""
            print(
                f"One image under two names: {'; '.join(self._copies[:MOST_VALUES])}{more}. Look "
                "which of the files is not what its name says.",
                file=sys.stderr,
            )


def _asked(settings: Settings) -> Iterator[tuple[str, str]]:
    """List the options that were given and decide on numbers, as records have them."""
    for group, entry, _ in iter_options():
        value = getattr(getattr(settings, group), entry.name)
        if value != entry.default and entry.name not in NOT_ASKED:
            with contextlib.suppress(TypeError):
                # paths and the like are in no record
                yield entry.name, _text(json.loads(json.dumps(value)))


def _sentence(kind: str, name: str, ways: _Ways, flags: Mapping[str, str]) -> str:
    if kind == "version":
        return (
            f"Visits were made with different versions of {name} ({ways}): process them all with "
            "one version."
        )
    if kind == "map":
        return f"The map {name} is not the same in all visits ({ways}): its rows do not compare."
    if name in IN_WORDS:
        return f"Visits have different {IN_WORDS[name]} ({ways}): look whether they compare."
    return (
        f"Visits were made with different {flags.get(name, name)} ({ways}): what it decides on "
        "does not compare."
    )


def _ways_of(record: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """List what is compared of a record: its kind, its name, and how it was."""
    versions, settings, maps = (
        content if isinstance(content := record.get(name), dict) else {}
        for name in ("versions", "settings", "maps")
    )
    if versions:
        yield "version", "wmhflow", _text(versions.get("wmhflow"))
    deciding = {entry.name for _, entry, _ in iter_options()} | set(IN_WORDS)
    for name, value in settings.items():
        if name in deciding - NOT_COMPARED:
            yield "setting", name, _text(value)
    for name, entry in maps.items():
        if isinstance(entry, dict):
            how = "computed" if "computed" in entry else "given"
            yield "map", str(name), f"{how}, in {_text(entry.get('unit'))}"


def _images_of(record: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """List what a visit was made from: images, masks and maps, their files and checksums."""
    inputs, parts, maps = (
        content if isinstance(content := record.get(name), dict) else {}
        for name in ("inputs", "parts", "maps")
    )
    told: list[tuple[str, Any]] = []
    for part in ("T1w", "FLAIR", *DRAWN):
        uris = parts.get(part)
        told += [(part, uri) for uri in (uris if isinstance(uris, list) else [])]
    told += [(str(name), one.get("file")) for name, one in maps.items() if isinstance(one, dict)]
    for what, uri in told:
        content = inputs.get(uri) if isinstance(uri, str) else None
        if isinstance(content, str):
            yield what, uri, content


def _text(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " ".join(_text(one) for one in value) or ABSENT
    return json.dumps(value, sort_keys=True)
