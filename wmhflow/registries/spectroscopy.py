"""The registry of tables of metabolites: which columns the programs' tables have."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class TableForm:
    """A form of tables of metabolites; ``data/spectroscopy.toml`` explains each field."""

    program: str
    needs: tuple[str, ...] = ()
    metabolite: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None
    sd_percent: str | None = None
    ignored: tuple[str, ...] = ()


@cache
def load_table_forms() -> tuple[TableForm, ...]:
    """Read the forms of tables, in the order in which they are tried."""
    text = (files("wmhflow") / "data" / "spectroscopy.toml").read_text(encoding="utf-8")
    return tuple(
        TableForm(**one | {name: tuple(one[name]) for name in ("needs", "ignored") if name in one})
        for one in tomllib.loads(text)["form"]
    )


def form_of(columns: Collection[str]) -> TableForm:
    """Return the form of a table by its columns.

    Parameters
    ----------
    columns
        The names in its first line.

    Examples
    --------
    >>> form_of(["Row", "Col", "NAA", "NAA %SD"]).program
    'LCModel (.csv)'
    """
    return next(form for form in load_table_forms() if set(form.needs) <= set(columns))
