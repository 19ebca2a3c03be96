"""The registry of PET tracers, and of the regions that an SUVR is relative to."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_ISOTOPE = re.compile(r"^(?:11c|c11|18f|f18)|(?:11c|c11|18f|f18)$")


@dataclass(frozen=True)
class Reference:
    """A region that an SUVR is relative to; ``data/tracers.toml`` explains each field."""

    name: str
    title: str
    codes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Tracer:
    """What is usual for a tracer; ``data/tracers.toml`` explains each field."""

    names: tuple[str, ...]
    reference: str
    window_min: tuple[float, float]
    source: str | None = None


@cache
def _registry() -> dict[str, Any]:
    text = (files("wmhflow") / "data" / "tracers.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def load_references() -> dict[str, Reference]:
    """Read the regions of reference, by name.

    Examples
    --------
    >>> load_references()["pons"].codes
    ((174,), (16,))
    """
    return {
        one["name"]: Reference(**one | {"codes": tuple(tuple(codes) for codes in one["codes"])})
        for one in _registry()["reference"]
    }


@cache
def load_tracers() -> tuple[Tracer, ...]:
    """Read what is known of tracers."""
    return tuple(
        Tracer(
            tuple(one["names"]),
            one["reference"],
            (float(one["window_min"][0]), float(one["window_min"][1])),
            one.get("source"),
        )
        for one in _registry()["tracer"]
    )


def reference_names() -> tuple[str, ...]:
    """Name the regions of reference that can be chosen, and the choice by the tracer."""
    return ("tracer", *load_references())


def find_tracer(text: str) -> Tracer | None:
    """Find what is known of a tracer by what a file calls it.

    Parameters
    ----------
    text
        The value of ``trc-``, or ``TracerName``.

    Examples
    --------
    >>> [find_tracer(text).reference for text in ("18FFDG", "[11C]PIB", "AV-1451")]
    ['pons', 'cerebellar-grey', 'cerebellar-grey']
    >>> find_tracer("raclopride") is None
    True
    """
    wanted = _plain(text)
    for tracer in load_tracers():
        if wanted in map(_plain, tracer.names):
            return tracer
    return None


def _plain(text: str) -> str:
    """Return a name's letters and digits, in small letters and without its isotope.

    Examples
    --------
    >>> _plain("[18F]AV-45"), _plain("FDG18F")
    ('av45', 'fdg')
    """
    return _ISOTOPE.sub("", re.sub(r"[^a-z0-9]", "", text.lower()))
