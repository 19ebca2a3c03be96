"""LCModel's files of one voxel, ``.table`` and ``.coord``: the table of concentrations in them.

Both hold the same table, which LCModel writes as text of fixed width: the concentration, its
uncertainty in percent, its ratio to a reference, a sign, and the metabolite's name. The sign is a
space; it is ``+`` or ``-`` where a ratio lies far from what LCModel expected, and no part of the
name. (LCModel 6.3, source released in 2021, ``FINOUT`` in ``LCModel.f``.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from wmhflow.errors import InputError

# Lines that stand above the parts of both files.
CONCENTRATIONS = "lines in following concentration table"
MISCELLANEOUS = "lines in following misc. output table"
DIAGNOSTICS = "lines in following diagnostic table"
# The name of the reference is cut to so many letters above its column.
CUT = 6
MISSING = "n/a"
_NUMBER = r"[-+]?\d*\.?\d+(?:E[-+]?\d+)?"
_ROW = re.compile(rf"\s*({_NUMBER})\s+(\d+)%\s*({_NUMBER})[ +-]\s*(\S+)\s*", re.IGNORECASE)


def is_of_lcmodel(text: str) -> bool:
    """Tell whether a text is what LCModel wrote of a voxel, whether it came to its end or not.

    Parameters
    ----------
    text
        Of the file.

    Examples
    --------
    >>> is_of_lcmodel("$$DIAG  1 lines in following diagnostic table:")
    True
    >>> is_of_lcmodel("metabolite,value")
    False
    """
    return any(part in text for part in (CONCENTRATIONS, MISCELLANEOUS, DIAGNOSTICS))


def concentrations(path: Path, text: str) -> list[list[str]]:
    """Return the cells of the table of concentrations, below a line of names of columns.

    Parameters
    ----------
    path
        The file, for messages.
    text
        What it holds.

    Returns
    -------
    list of list of str
        ``Metabolite``, ``Conc.``, ``%SD`` and the ratio, whose column is called after its
        reference (``/Cr+PCr``). The number of metabolites that LCModel states above the table is
        not believed: it counts some that are not listed.

    Raises
    ------
    InputError
        If there is no such table, more than one, one that is cut short, or a line that is no row.
    """
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if CONCENTRATIONS in line]
    if not starts:
        raise InputError(
            f"{path} holds no table of concentrations: LCModel stopped before it came to them; "
            "look at the diagnostics in the file."
        )
    if len(starts) > 1:
        raise InputError(
            f"{path} holds {len(starts)} tables of concentrations, where one voxel has one; give "
            "each voxel a file of its own."
        )
    below = lines[starts[0] + 1 :]
    if not any(MISCELLANEOUS in line for line in below):
        raise InputError(f"{path} ends in its table of concentrations; give the whole file.")
    header, rows = below[0].split(), list(_rows(path, below[1:]))
    if header[:2] != ["Conc.", "%SD"] or len(header) != 4 or not header[2].startswith("/"):
        raise InputError(
            f"{path} has the columns {below[0].strip()[:60]!r} above its concentrations, where "
            "LCModel writes 'Conc. %SD /Cr+PCr Metabolite'; give the file as LCModel wrote it."
        )
    reference = "/" + _whole_name(header[2][1:], rows)
    return [["Metabolite", "Conc.", "%SD", reference], *rows]


def _rows(path: Path, lines: Sequence[str]) -> Iterator[list[str]]:
    for line in lines:
        if not line.strip() or "lines in following" in line:
            return
        row = _ROW.fullmatch(line)
        if row is None:
            raise InputError(
                f"{path} has the line {line.strip()[:60]!r} in its table of concentrations, which "
                "is no row of it; give the file as LCModel wrote it."
            )
        amount, percent, ratio, name = row.groups()
        yield [name, amount, percent, ratio]


def _whole_name(cut: str, rows: Sequence[Sequence[str]]) -> str:
    """Find which metabolite is meant by a name that may be cut; the cut one if that is not clear.

    Examples
    --------
    >>> _whole_name("GPC+PC", [["GPC", "1", "9", "0.5"], ["GPC+PCh", "2", "5", "1.000"]])
    'GPC+PCh'
    """
    names = [row[0] for row in rows]
    if len(cut) < CUT or cut in names:
        return cut
    longer = {name for name in names if name.startswith(cut)}
    return longer.pop() if len(longer) == 1 else cut
