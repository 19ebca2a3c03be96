"""Tables of the metabolites of a spectroscopic voxel, as several programs write them."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from wmhflow.errors import InputError
from wmhflow.files.lcmodel import concentrations, is_of_lcmodel
from wmhflow.files.numbers import plain_number
from wmhflow.registries.spectroscopy import (
    TableForm,
    form_in_sections,
    form_of,
    form_under_two_lines,
    is_metabolite,
    load_table_forms,
)

MISSING = ("", "n/a", "N/A", "NA", "nan", "NaN", "inf", "-inf")
# A table of one voxel has some dozens of metabolites; LCModel's .coord holds their spectra, too.
MOST_BYTES = 2**20
MOST_BYTES_SPECTRA = 2**25
SPECTRA = ".coord"
# The files that hold LCModel's table as text.
OF_LCMODEL = (".table", SPECTRA)
# Letters of a metabolite's name in LCModel's .csv.
CSV_NAME = 13
# So far from 1 is the ratio of a reference to itself by rounding.
ROUNDED = 0.005
NO_UNIT = "arbitrary"
SEPARATORS = ("\t", ",", ";")
# Where columns are parted by semicolons, a comma stands in numbers.
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
MOST_NAMED = 12


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
        Separated by tabs, commas or semicolons; its first line names the columns, but for files of
        several tables. Or LCModel's ``.table`` or ``.coord``.

    Returns
    -------
    list of Metabolite
        In the table's order. A unit that the table does not tell is ``arbitrary``.

    Raises
    ------
    InputError
        If it is no table of a known form (with the columns that it has and those that are known),
        or holds what is no number.
    """
    lines = _lines(path)
    form = form_in_sections(lines[0][0]) if lines else None
    if form is not None:
        return _checked(path, _by_section(path, form, lines))
    form = form_under_two_lines(lines)
    names, body = _table(path, lines if form is None else _under_one_line(form, lines))
    form = form or form_of(names)
    if form is None:
        raise InputError(f"{path} {_unknown(names)}")
    if form.strict and (other := form.unknown(names)):
        raise InputError(f"{path} {_beside(form, other)}")
    read = _by_row if form.metabolite else _by_column
    return _checked(path, list(read(path, form, names, body)))


def same_amounts(one: Path, other: Path) -> bool:
    """Tell whether two files of LCModel hold the same fit, as far as both list its metabolites.

    Parameters
    ----------
    one, other
        Files as of :func:`read_metabolites`; one that cannot be read holds no fit.
    """
    try:
        # in a .csv long names are cut
        found = [
            {each.name[:CSV_NAME]: each.value for each in read_metabolites(path)
             if each.unit == NO_UNIT}
            for path in (one, other)
        ]  # fmt: skip
    except InputError:
        return False
    shared = found[0].keys() & found[1].keys()
    is_whole = 0 < len(shared) == min(map(len, found))
    return is_whole and all(found[0][name] == found[1][name] for name in shared)


def _lines(path: Path) -> list[list[str]]:
    """Read the cells of every line that is not empty; of LCModel's text, its concentrations."""
    text = _text(path)
    if is_of_lcmodel(text):
        return concentrations(path, text)
    first = text.split("\n", maxsplit=1)[0]
    separator = next((one for one in SEPARATORS if one in first), ",")
    try:
        lines = [line for line in csv.reader(text.splitlines(), delimiter=separator) if line]
    except csv.Error as error:
        raise InputError(f"{path} is no table ({error}); write it anew.") from None
    rows = [[cell.strip() for cell in line] for line in lines]
    if separator != ";":
        return rows
    return [
        [cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in row]
        for row in rows
    ]


def _text(path: Path) -> str:
    ending = path.suffix.lower()
    most = MOST_BYTES_SPECTRA if ending == SPECTRA else MOST_BYTES
    try:
        if path.stat().st_size > most:
            raise InputError(f"{path} is too large for a table of one voxel's metabolites.")
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if ending in OF_LCMODEL:
            # titles and names of hospitals stand there in other letters
            return content.decode("latin-1")
        raise InputError(f"{path} cannot be read as text ({error}); write it anew.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read as text ({error}); write it anew.") from None


def _under_one_line(form: TableForm, lines: Sequence[Sequence[str]]) -> list[list[str]]:
    """Join two lines of names: what stands over standard deviations is added to their names."""
    over, under, *body = lines
    spread = form.over[1]
    names = [
        (low or high) + ((form.sd or "") if high == spread else "")
        for high, low in zip(over, under, strict=True)
    ]
    return [names, *map(list, body)]


def _table(path: Path, lines: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """Part the names of columns from what stands below; a last column without anything is none."""
    rows = [list(line) for line in lines]
    while (
        rows and len(rows[0]) > 1 and not any(row[-1] for row in rows if len(row) == len(rows[0]))
    ):
        width = len(rows[0]) - 1
        rows = [row[:width] for row in rows]
    if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):
        raise InputError(
            f"{path} is no table: it needs a line of names of columns, and as many cells in each "
            "line after it."
        )
    names, *body = rows
    if len({name.lower() for name in names}) < len(names):
        raise InputError(f"{path} has two columns of one name; name each differently.")
    return names, body


def _beside(form: TableForm, other: Sequence[str]) -> str:
    """Say which columns would be lost of a table that is read otherwise, and which are known."""
    known = [form.metabolite or "", *form.values, form.unit or "", *form.sd_percent]
    of_ratios = ", and /Cr or the like for ratios" if form.ratios else ""
    return (
        f"has the column{'s' if len(other) > 1 else ''} {', '.join(other[:MOST_NAMED])}, which "
        f"would not be read; a table {form.program} has {', '.join(filter(None, known))}{of_ratios}"
        ". Rename what is one of these, and leave out the rest."
    )


def _unknown(names: Sequence[str], other: Sequence[str] = ()) -> str:
    """Say which columns a table has that is of no known form, and which would be read."""
    shown, called = (
        ", ".join(part[:MOST_NAMED]) + (" …" if len(part) > MOST_NAMED else "")
        for part in (names, other)
    )
    why = "which no table of metabolites has that is known"
    if other:
        why = f"of which {called} {'are' if len(other) > 1 else 'is'} called as no metabolite is"
    known = "; ".join(f"{form.columns} ({form.program})" for form in load_table_forms())
    return (
        f"has the columns {shown}, {why}. Known tables have: {known}. Write a table of the columns "
        "metabolite and value."
    )


def _checked(path: Path, found: list[Metabolite]) -> list[Metabolite]:
    """Refuse a table without any metabolite, without a name, or with one twice.

    Of ratios to what was not found, which are all 0, none is told.
    """
    if not found:
        raise InputError(f"{path} holds no metabolite; give its columns the names of a known form.")
    if not all(one.name for one in found):
        raise InputError(
            f"{path} has a value without a metabolite's name; name it, or leave it out."
        )
    if len({(one.name, one.unit) for one in found}) < len(found):
        raise InputError(
            f"{path} has a metabolite twice in one unit; keep one row of each, of this voxel alone."
        )
    return _of_found_references(found)


def _of_found_references(found: Sequence[Metabolite]) -> list[Metabolite]:
    """Take out ratios to a reference of which there is none, and say what a reference counts as.

    LCModel writes 0 for all ratios where it did not find the reference, and multiplies them by what
    the user wants the reference to count as.
    """
    amounts = {one.name for one in found if one.value and not _reference(one)}
    ratios: dict[str, dict[str, float | None]] = {}
    for one in found:
        if reference := _reference(one):
            ratios.setdefault(reference, {})[one.name.partition("/")[0]] = one.value
    lost = {
        reference
        for reference, values in ratios.items()
        if not any(values.values()) and amounts & values.keys()
    }
    return [
        one._replace(value=None)
        if (reference := _reference(one)) in lost
        else _counted(one, reference, ratios.get(reference, {}).get(reference))
        for one in found
    ]


def _reference(one: Metabolite) -> str:
    """Return what a ratio is one to, by its name or unit; nothing for an amount."""
    return one.name.partition("/")[2] or (one.unit[1:] if one.unit.startswith("/") else "")


def _counted(one: Metabolite, reference: str, counts: float | None) -> Metabolite:
    """Return a ratio, with what its reference counts as in the unit, if that is not 1."""
    if not counts or abs(counts - 1) <= ROUNDED:
        return one
    return one._replace(unit=f"/{reference}={counts:g}")


def _by_row(
    path: Path, form: TableForm, names: Sequence[str], body: Sequence[Sequence[str]]
) -> Iterator[Metabolite]:
    """Go through a table of a row for each metabolite, which may be in several units."""
    low = [name.lower() for name in names]
    spread_in = next((name for name in form.sd_percent if name.lower() in low), "")
    for cells in body:
        row = dict(zip(low, cells, strict=True))
        told = row.get((form.unit or "").lower(), "")
        spread = _percent(path, row.get(spread_in.lower(), ""))
        for column, unit in form.values_of(names):
            value = _number(path, row[column.lower()])
            apart = row.get(f"{column}{form.sd}".lower()) if form.sd else None
            if apart is not None:
                spread = _share(_number(path, apart), value)
            own = unit or ("" if told in MISSING else told)
            name = row[(form.metabolite or "").lower()]
            yield Metabolite(name, value, own or NO_UNIT, spread)


def _by_column(
    path: Path, form: TableForm, names: Sequence[str], body: Sequence[Sequence[str]]
) -> Iterator[Metabolite]:
    """Go through a table of one row, which has a column for each metabolite.

    A column is a metabolite if it has an uncertainty, is a ratio of one that has, or is called as
    one; and any other column shows that the table is something else.
    """
    endings = [*form.sd_percent, *([form.sd] if form.sd else [])]
    spreads = {f"{name}{ending}" for name in names for ending in endings} & set(names)
    sure = {name for name in names for ending in endings if f"{name}{ending}" in spreads}
    ignored = {name.lower() for name in form.ignored}
    rest = [name for name in names if name not in spreads and name.lower() not in ignored]
    taken = [name for name in rest if name in sure or name.partition("/")[0] in sure]
    if not form.paired:
        other = [name for name in rest if name not in taken and not is_metabolite(name)]
        if other:
            raise InputError(f"{path} {_unknown(names, other)}")
        taken = rest
    if len(body) != 1:
        raise InputError(
            f"{path} has {len(body)} rows of values, where one voxel has one; give each voxel a "
            "table of its own."
        )
    row = dict(zip(names, body[0], strict=True))
    for name in taken:
        value = _number(path, row[name])
        unit = "1" if "/" in name else NO_UNIT
        yield Metabolite(name, value, unit, _spread(path, form, row, name, value))


def _spread(
    path: Path, form: TableForm, row: Mapping[str, str], name: str, value: float | None
) -> float | None:
    """Return the uncertainty of a column in percent, if it has one."""
    for ending in form.sd_percent:
        if f"{name}{ending}" in row:
            return _percent(path, row[f"{name}{ending}"])
    if form.sd is None or f"{name}{form.sd}" not in row:
        return None
    return _share(_number(path, row[f"{name}{form.sd}"]), value)


def _share(spread: float | None, value: float | None) -> float | None:
    """Return an uncertainty as percent of its value; None of 0."""
    return None if spread is None or not value else 100.0 * abs(spread / value)


def _by_section(path: Path, form: TableForm, lines: Sequence[Sequence[str]]) -> list[Metabolite]:
    """Go through a file of several tables, each below a line that names it."""
    parts: dict[str, list[Sequence[str]]] = {}
    under = ""
    for line in lines:
        if len(line) == 1:
            under = line[0]
        parts.setdefault(under, []).extend([] if len(line) == 1 else [line])
    values, spreads = (parts.get(title, []) for title in form.sections)
    names, body = _table(path, values)
    amounts = {one.name: one for one in _by_column(path, form, names, body)}
    apart: dict[str, float | None] = {}
    if spreads:
        names, body = _table(path, spreads)
        apart = {one.name: one.value for one in _by_column(path, form, names, body)}
    return [
        one._replace(sd_percent=_share(apart.get(name), one.value)) for name, one in amounts.items()
    ]


def _percent(path: Path, cell: str) -> float | None:
    """Read an uncertainty in percent, which may end with the sign."""
    return _number(path, cell.removesuffix("%").strip())


def _number(path: Path, cell: str) -> float | None:
    """Read a cell; what is missing or not finite is None."""
    if cell in MISSING:
        return None
    try:
        number = plain_number(cell)
    except ValueError:
        raise InputError(
            f"{path} holds '{cell[:40]}' where a number is meant; write n/a for what is missing."
        ) from None
    return number if math.isfinite(number) else None
