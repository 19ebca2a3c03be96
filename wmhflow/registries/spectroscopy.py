"""The registry of tables of metabolites: which columns the programs' tables have."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

# Macromolecules and lipids, which are fitted beside metabolites.
_BESIDE = re.compile(r"(mm|lip)(\d\w*|exp\w*|ids?)?")
_LISTS = ("sections", "over", "needs", "sd_percent", "ignored")


@dataclass(frozen=True)
class TableForm:
    """A form of tables of metabolites; ``data/spectroscopy.toml`` explains each field."""

    program: str
    sections: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    metabolite: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    ratios: bool = False
    unit: str | None = None
    sd_percent: tuple[str, ...] = ()
    sd: str | None = None
    paired: bool = False
    ignored: tuple[str, ...] = ()
    strict: bool = False

    def unknown(self, columns: Collection[str]) -> list[str]:
        """List the columns of a table of a row for each metabolite that mean nothing here."""
        told = (self.metabolite, self.unit, *self.values, *self.sd_percent, *self.ignored)
        known = {name.lower() for name in told if name}
        known |= {name.lower() for name, _ in self.values_of(columns)}
        return [name for name in columns if name.lower() not in known]

    @property
    def columns(self) -> str:
        """The columns by which it is known, in words."""
        named = list(self.needs)
        if self.metabolite is None:
            return " and ".join([*([", ".join(named)] if named else []), "one for each metabolite"])
        values = [name for name in self.values if name not in named]
        return ", ".join(named) + (f" and {' or '.join(values)}" if values else "")

    def fits(self, columns: Collection[str]) -> bool:
        """Tell whether a table with these columns is of this form."""
        there = {name.lower() for name in columns}
        if not {name.lower() for name in self.needs} <= there:
            return False
        return self.metabolite is None or any(True for _ in self.values_of(columns))

    def values_of(self, columns: Collection[str]) -> Iterator[tuple[str, str]]:
        """Go through the columns that hold values, each with its unit; ratios come last."""
        named = {name.lower(): name for name in columns}
        for name, unit in self.values.items():
            if name.lower() in named:
                yield named[name.lower()], unit
        for name in columns if self.ratios else ():
            if name.startswith("/") and " " not in name:
                yield name, name


def _registry() -> dict[str, Any]:
    text = (files("wmhflow") / "data" / "spectroscopy.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def load_table_forms() -> tuple[TableForm, ...]:
    """Read the forms of tables, in the order in which they are tried."""
    return tuple(
        TableForm(**one | {name: tuple(one[name]) for name in _LISTS if name in one})
        for one in _registry()["form"]
    )


@cache
def _metabolites() -> frozenset[str]:
    return frozenset(_registry()["metabolites"])


def form_of(columns: Collection[str]) -> TableForm | None:
    """Return the form of a table by its columns; None if it is none that is known.

    Parameters
    ----------
    columns
        The names in its first line.

    Examples
    --------
    >>> form_of(["Row", "Col", "NAA", "NAA %SD"]).program
    'LCModel (.csv)'
    >>> form_of(["Metabolite", "SNR"]) is None
    True
    """
    named = any(name.lower() in {"metabolite", "metab", "metabolitestring"} for name in columns)
    fitting = (
        form
        for form in load_table_forms()
        if form.fits(columns) and (form.metabolite is not None or not named)
    )
    return next((form for form in fitting if not form.sections and not form.over), None)


def form_in_sections(line: str) -> TableForm | None:
    """Return the form of a file of several tables by the line above the first; None for others.

    Parameters
    ----------
    line
        The file's first.
    """
    found = (form for form in load_table_forms() if form.sections and form.sections[0] == line)
    return next(found, None)


def form_under_two_lines(lines: Sequence[Sequence[str]]) -> TableForm | None:
    """Return the form of a table with two lines of names; None for others.

    Parameters
    ----------
    lines
        The cells of its lines.

    Examples
    --------
    >>> form_under_two_lines([["Metabs", "mean", "std"], ["", "raw", "raw"]]).program
    'FSL-MRS (concentrations.csv)'
    """
    if len(lines) < 2 or len(lines[0]) != len(lines[1]):
        return None
    over, under = lines[:2]
    for form in load_table_forms():
        named = [high for high, low in zip(over, under, strict=True) if not low]
        kinds = {high for high, low in zip(over, under, strict=True) if low}
        if form.over and named == list(form.needs) and kinds == set(form.over):
            return form
    return None


def is_metabolite(name: str) -> bool:
    """Tell whether a column is called as a metabolite, or as a sum or a ratio of such.

    Parameters
    ----------
    name
        The column's.

    Examples
    --------
    >>> [is_metabolite(name) for name in ("NAA", "Cr_PCr", "Ins/Cr+PCr", "MM09", "Cr_SNR", "X")]
    [True, True, True, True, False, False]
    """
    parts = [part.lower() for part in re.split(r"[+_/]", name.strip().lstrip("-+"))]
    return all(part in _metabolites() or _BESIDE.fullmatch(part) for part in parts)
