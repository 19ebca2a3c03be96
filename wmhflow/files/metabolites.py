"""Tables of the metabolites of a spectroscopic voxel, as several programs write them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from wmhflow.errors import InputError
from wmhflow.registries.spectroscopy import TableForm, form_of

MISSING = ("", "n/a", "nan", "NaN", "inf", "-inf")
# A table of one voxel has some dozens of metabolites.
MOST_BYTES = 2**20
NO_UNIT = "arbitrary"


class Metabolite(NamedTuple):
    """The amount of a metabolite: in which unit, and how uncertain, in percent."""

    name: str
    value: float | None
    unit: str
    sd_percent: float | None


def read_metabolites(path: Path) -> list[Metabolite]:
    """Read the table of a voxel's metabolites, whichever of the known programs wrote it.

    Parameters
    ----------
    path
        Separated by tabs (``.tsv``) or commas (``.csv``); its first line names the columns.

    Returns
    -------
    list of Metabolite
        In the table's order. A unit that the table does not tell is ``arbitrary``.

    Raises
    ------
    InputError
        If it is no table of a known form, or holds what is no number.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} is too large for a table of one voxel's metabolites.")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text ({error}); write it anew.") from None
    separator = "\t" if path.name.endswith(".tsv") else ","
    lines = [line for line in csv.reader(text.splitlines(), delimiter=separator) if line]
    rows = [[cell.strip() for cell in line] for line in lines]
    if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):
        raise InputError(
            f"{path} is no table: it needs a line of names of columns, and as many cells in each "
            "line after it."
        )
    names, *body = rows
    if len(set(names)) < len(names):
        raise InputError(f"{path} has two columns of one name; name each differently.")
    form = form_of(names)
    found = list(_by_row(path, form, names, body) if form.metabolite else
                 _by_column(path, form, names, body))  # fmt: skip
    if not found:
        raise InputError(f"{path} holds no metabolite; give its columns the names of a known form.")
    if len({(one.name, one.unit) for one in found}) < len(found):
        raise InputError(f"{path} has a metabolite twice in one unit; keep one row of each.")
    return found


def _by_row(
    path: Path, form: TableForm, names: Sequence[str], body: Sequence[Sequence[str]]
) -> Iterator[Metabolite]:
    """Go through a table of a row for each metabolite, which may be in several units."""
    for cells in body:
        row = dict(zip(names, cells, strict=True))
        told = row.get(form.unit or "", "")
        spread = _number(path, row.get(form.sd_percent or "", ""))
        for column, unit in form.values.items():
            if column in row:
                value = _number(path, row[column])
                own = unit or ("" if told in MISSING else told)
                yield Metabolite(row[form.metabolite or ""], value, own or NO_UNIT, spread)


def _by_column(
    path: Path, form: TableForm, names: Sequence[str], body: Sequence[Sequence[str]]
) -> Iterator[Metabolite]:
    """Go through a table of one row, which has a column for each metabolite."""
    if len(body) != 1:
        raise InputError(
            f"{path} has {len(body)} rows of values, where one voxel has one; give each voxel a "
            "table of its own."
        )
    row = dict(zip(names, body[0], strict=True))
    for name, cell in row.items():
        is_spread = form.sd_percent is not None and name.endswith(form.sd_percent)
        if name in form.ignored or is_spread:
            continue
        spread = row.get(f"{name} {form.sd_percent}", "")
        unit = "1" if "/" in name else NO_UNIT
        yield Metabolite(name, _number(path, cell), unit, _number(path, spread))


def _number(path: Path, cell: str) -> float | None:
    """Read a cell; what is missing or not finite is None."""
    if cell in MISSING:
        return None
    try:
        number = float(cell.rstrip("%"))
    except ValueError:
        raise InputError(
            f"{path} holds '{cell[:40]}' where a number is meant; write n/a for what is missing."
        ) from None
    return number if math.isfinite(number) else None
