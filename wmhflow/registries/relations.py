"""What holds between maps of one visit, and between tissues on one map, in every person."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

NAWM, CORTEX, DEEP_GREY = "NAWM", "cortex", "deep_grey"
ABOVE, SUM, RECIPROCAL = "above", "sum", "reciprocal"


@dataclass(frozen=True)
class Relation:
    """What holds between medians or means; ``data/relations.toml`` explains each kind.

    ``terms`` names a map and a tissue each. Of ``above`` the first is the larger one. ``weights``
    are those of a sum, which comes to ``value``.
    """

    name: str
    kind: str
    terms: tuple[tuple[str, str], ...]
    why: str
    sized: bool = False
    weights: tuple[float, ...] = field(default=())
    value: float = 0.0
    within: float = 0.0

    @property
    def maps(self) -> tuple[str, ...]:
        """The maps that it is about, each once."""
        return tuple(dict.fromkeys(name for name, _ in self.terms))


@cache
def load_relations() -> tuple[Relation, ...]:
    """Read all relations, by kind.

    Examples
    --------
    >>> load_relations()[0].terms
    (('AD', 'NAWM'), ('MD', 'NAWM'))
    """
    text = (files("wmhflow") / "data" / "relations.toml").read_text(encoding="utf-8")
    return tuple(_relations(tomllib.loads(text)))


def _relations(tables: Mapping[str, Any]) -> Iterator[Relation]:
    for one in tables["above"]:
        terms = tuple((one[name], NAWM) for name in ("larger", "smaller"))
        yield Relation(f"{one['larger']}above{one['smaller']}", ABOVE, terms, one["why"])
    for one in tables["contrast"]:
        terms = tuple((one["map"], one[name]) for name in ("higher", "lower"))
        name = f"{one['map']}in{one['higher'].replace('_', '')}"
        yield Relation(name, ABOVE, terms, one["why"], sized=one.get("sized", False))
    for one in tables["sum"]:
        yield Relation(
            one["name"], SUM, tuple((name, NAWM) for name in one["parts"]), one["why"],
            weights=tuple(one["parts"].values()), value=one["value"], within=one["within"],
        )  # fmt: skip
    for one in tables["reciprocal"]:
        first, second = one["maps"]
        why = f"one over {first} is {second}"
        terms = ((first, NAWM), (second, NAWM))
        yield Relation(f"{first}of{second}", RECIPROCAL, terms, why, within=one["within"])


def tissues_told(name: str) -> tuple[str, ...]:
    """Name the tissues of which relations compare a map's medians.

    Parameters
    ----------
    name
        The map's.

    Examples
    --------
    >>> tissues_told("CBF"), tissues_told("RD"), tissues_told("NAA")
    (('NAWM', 'cortex'), ('NAWM',), ())
    """
    found = {tissue for one in load_relations() for of, tissue in one.terms if of == name}
    return tuple(tissue for tissue in (NAWM, CORTEX, DEEP_GREY) if tissue in found)


def is_summed(name: str) -> bool:
    """Tell whether a map's mean is part of a sum.

    Parameters
    ----------
    name
        The map's.

    Examples
    --------
    >>> is_summed("MD"), is_summed("CBF")
    (True, False)
    """
    return any(name in one.maps for one in load_relations() if one.kind == SUM)
