"""The label tables that atlases come with, read into the program's own regions."""

from __future__ import annotations

import colorsys
import csv
import re
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wmhflow.errors import InputError
from wmhflow.labels.regions import Region

FORMATS = (
    "a FreeSurfer colour table (index name R G B A), a BIDS _dseg.tsv (columns index and name), "
    "an FSL atlas (.xml), an ITK-SNAP label description, or lines of index|name or "
    "index|abbreviation|name"
)

# The formats of one region per line, with every run of blanks as one blank.
_LINES = {
    'IDX R G B A VIS MSH "LABEL"': re.compile(
        r'(?P<index>\S+) (?P<R_G_B>-?\d+ -?\d+ -?\d+) [\d.]+ [01] [01] "(?P<name>.*)"'
    ),
    "index name R G B A": re.compile(
        r"(?P<index>\S+) (?P<name>[^#]*[^#\d ][^#]*) (?P<R_G_B>-?\d+ -?\d+ -?\d+) -?\d+( #.*)?"
    ),
    "index|name": re.compile(r"(?P<index>[^|]*)\|(?P<name>[^|]*)\|?"),
    "index|abbreviation|name": re.compile(
        r"(?P<index>[^|]*)\|(?P<abbreviation>[^|]*)\|(?P<name>[^|]*)(\|.*)?"
    ),
}
# What is added to the index that an FSL atlas writes to get the number in its label image.
# FSL's own files write "Probabalistic".
_FSL_SHIFT = {"label": 0, "probabilistic": 1, "probabalistic": 1, "statistic": 1}
_WRITTEN = {"L": "l left lh", "R": "r right rh", "B": "b both bilateral midline"}
_HEMISPHERES = {word: side for side, words in _WRITTEN.items() for word in words.split()}
_OTHER_SIDE = {"L": "R", "R": "L"}
_SWAPS = dict(
    pair
    for left, right in (("left", "right"), ("lh", "rh"), ("l", "r"))
    for case in (str.lower, str.title, str.upper)
    for pair in ((case(left), case(right)), (case(right), case(left)))
)
_WORD = re.compile(r"(?<![^\W\d_])(left|Left|LEFT|right|Right|RIGHT)(?![^\W\d_])")
_LH_RH = re.compile(r"(?<![^\W\d_])(lh|Lh|LH|rh|Rh|RH)(?![^\W\d_])")
_LETTER = re.compile(
    r"(?<=[(\[])[LRlr](?=[)\]])"  # Cingulum (L)
    r"|(?<=[ _.,:-])[LRlr](?=[ .]*$)"  # Precentral_L
    r"|^[LRlr](?=[ _.])"  # L_V1_ROI, but not R-C-S, which is retina, choroid and sclera
    r"|(?<=_)[LR](?=_)"  # SFG_L_7_1
)
_TWO_LETTERS = re.compile(r"(?<![^\W_])[LRlr][\W_]+[LRlr](?![^\W_])")  # L/R says no side


@dataclass(frozen=True)
class _Row:
    """One row as it was read; what the table does not say is empty."""

    where: str
    index: int
    name: str
    abbreviation: str
    hemisphere: str
    colour: str


def read_label_table(
    path: Path, seg: str, repairs: Mapping[int, Mapping[str, str]] | None = None
) -> dict[int, Region]:
    """Read a label table of any of the usual formats, by number, in the table's order.

    The formats are a FreeSurfer colour table, a BIDS ``_dseg.tsv``, an FSL atlas in XML, an
    ITK-SNAP label description, and text with ``|``. They are told apart by what the file holds.
    Number 0, the background, is left out. In an FSL atlas of the type ``Label`` the index is the
    number; in one of the type ``Probabilistic`` or ``Statistic`` index k means volume k of the 4D
    image, which is region k + 1 here, as in the atlas's summary image.

    Parameters
    ----------
    path
        The table, in UTF-8 or Windows-1252.
    seg
        What the label image is called; it becomes the ``seg`` of each region.
    repairs
        ``name``, ``abbreviation`` or ``hemisphere`` by number, where a published table has slips.

    Raises
    ------
    InputError
        If the file cannot be read, is of no known format or names no region; if a row lacks a
        name or has a number, a colour or a hemisphere that cannot be; if a number or a name
        occurs twice; if a repair does not fit the table.
    """
    text = _text_of(path)
    is_xml = path.suffix.lower() == ".xml" or text.lstrip().startswith("<")
    found = _read_fsl(path, text) if is_xml else _read_lines(path, text)
    return _regions(_named(_repaired(path, _numbered(path, found), repairs or {})), seg)


def named_regions(names: Mapping[int, str], seg: str) -> dict[int, Region]:
    """Make regions from names alone, as a table of them would.

    Parameters
    ----------
    names
        By number.
    seg
        What the label image is called.

    Examples
    --------
    >>> [region.hemisphere for region in named_regions({1: "ACA left", 2: "stem"}, "a").values()]
    ['L', 'B']
    """
    rows = {index: _Row(seg, index, name, "", "", "") for index, name in names.items()}
    return _regions(_named(rows), seg)


def _regions(rows: Mapping[int, _Row], seg: str) -> dict[int, Region]:
    sides = _sides(rows)
    abbreviations = _abbreviations(rows, sides)
    homologues = _homologues(rows, sides)
    regions = {}
    for index, row in rows.items():
        names = (row.name, abbreviations[index], sides[index], homologues[index])
        regions[index] = Region(seg, index, *names, (), row.colour or _made_colour(index))
    return regions


def check_mutual(regions: Mapping[int, Region], source: str) -> None:
    """Check that homologues name each other and lie on opposite sides.

    Parameters
    ----------
    regions
        The regions of one label image, by number.
    source
        Where they come from, for the message.

    Raises
    ------
    InputError
        If a homologue is not there, names another region, or does not lie on the other side.
    """
    by_name = {region.name: region for region in regions.values()}
    for index, region in regions.items():
        if region.homologue is None:
            continue
        other = by_name.get(region.homologue)
        if other is None:
            trouble = "is not in the table"
        elif other.homologue != region.name:
            trouble = f"has {other.homologue!r} as its own"
        elif _OTHER_SIDE.get(region.hemisphere) != other.hemisphere:
            trouble = f"is {other.hemisphere} where the region itself is {region.hemisphere}"
        else:
            continue
        raise InputError(
            f"{source}: region {index} ({region.name!r}) has the homologue {region.homologue!r}, "
            f"which {trouble}; correct either of them."
        )


def side_of_name(name: str) -> str | None:
    """Return the side that a name says, ``L`` or ``R``; None if it says none, or both.

    Examples
    --------
    >>> side_of_name("ctx-lh-cuneus"), side_of_name("Cingulum (hippocampus) R")
    ('L', 'R')
    >>> side_of_name("Lateral lingual gyrus") is None
    True
    """
    tokens = _side_tokens(name)
    return tokens[0].group()[0].upper() if tokens else None


def swapped_name(name: str) -> str | None:
    """Return the name of the same region on the other side; None if the name says no side.

    Examples
    --------
    >>> swapped_name("Left-Lateral-Ventricle")
    'Right-Lateral-Ventricle'
    """
    swapped = name
    for token in reversed(_side_tokens(name)):
        swapped = swapped[: token.start()] + _SWAPS[token.group()] + swapped[token.end() :]
    return None if swapped == name else swapped


def unsided_name(name: str) -> str:
    """Return a name without what says the side.

    Examples
    --------
    >>> [unsided_name(name) for name in ("Left-Lateral-Ventricle", "ctx-lh-insula", "MCA left")]
    ['Lateral-Ventricle', 'ctx-insula', 'MCA']
    """
    cut = name
    for token in reversed(_side_tokens(name)):
        cut = cut[: token.start()] + cut[token.end() :]
    return re.sub(r"([\s_.,-])[\s_.,-]+", r"\1", cut).strip(" _.,-") or name


def _side_tokens(name: str) -> list[re.Match[str]]:
    """Find what says the side: words, else lh and rh, else letters; none if they disagree."""
    tokens = list(_WORD.finditer(name)) or list(_LH_RH.finditer(name))
    if not tokens and not _TWO_LETTERS.search(name):
        tokens = list(_LETTER.finditer(name))
    return tokens if len({token.group()[0].upper() for token in tokens}) == 1 else []


def _text_of(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give a label table.") from None
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not re.search(r"[\x00-\x08\x0e-\x1f]", text):
            return text.replace("\r\n", "\n").replace("\r", "\n")
    raise InputError(f"{path} is not text in UTF-8 or Windows-1252; save the table as UTF-8.")


def _read_fsl(path: Path, text: str) -> Iterator[_Row]:
    if re.search(r"<!(DOCTYPE|ENTITY)", text):
        raise InputError(f"{path} declares a document type or entities; remove them.")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise InputError(f"{path} is not well-formed XML ({error}); correct it.") from None
    kind = (root.findtext("header/type") or "").strip()
    if root.tag != "atlas" or kind.lower() not in _FSL_SHIFT:
        raise InputError(
            f"{path} is XML of an unknown format (<{root.tag}>, type {kind!r}); give an FSL "
            "<atlas> whose header has the <type> Label, Probabilistic or Statistic."
        )
    for count, label in enumerate(root.iter("label"), 1):
        cells = {"index": label.get("index"), "name": "".join(label.itertext())}
        row = _row(f"{path}, <label> {count}", cells)
        yield replace(row, index=row.index + _FSL_SHIFT[kind.lower()])


def _read_lines(path: Path, text: str) -> Iterator[_Row]:
    numbered = enumerate(text.split("\n"), 1)
    lines = {n: line for n, line in numbered if line.strip() and not line.lstrip().startswith("#")}
    if not lines:
        return
    header = [cell.strip().lower() for cell in _split(next(iter(lines.values())))]
    if {"index", "name"} <= set(header):
        yield from _read_tsv(path, header, list(lines.items())[1:])
        return
    shape = _shape_of(path, lines)
    for number, line in lines.items():
        where, match = f"{path}, line {number}", _LINES[shape].fullmatch(" ".join(line.split()))
        if match is None:
            raise InputError(f"{where}: this is not {shape} like the first line; correct it.")
        yield _row(where, match.groupdict())


def _read_tsv(path: Path, header: list[str], lines: list[tuple[int, str]]) -> Iterator[_Row]:
    if max(Counter(filter(None, header)).values()) > 1:
        raise InputError(f"{path}: a column of the header occurs twice; remove one.")
    for number, line in lines:
        where, cells = f"{path}, line {number}", _split(line)
        if any(cell.strip() for cell in cells[len(header) :]):
            raise InputError(f"{where}: there are more cells than columns; correct the tabs.")
        yield _row(where, dict(zip(header, cells, strict=False)))


def _split(line: str) -> list[str]:
    """Split at tabs; quotes count only where they stand as BIDS wants them."""
    try:
        return next(csv.reader([line], delimiter="\t", strict=True))
    except csv.Error:
        return line.split("\t")


def _shape_of(path: Path, lines: Mapping[int, str]) -> str:
    number, first = next(iter(lines.items()))
    for shape, pattern in _LINES.items():
        if pattern.fullmatch(" ".join(first.split())) and re.match(r"\s*-?[\d.]+[\s|]", first):
            return shape
    if len(lines) == 1 and "\t" in first:
        raise InputError(
            f"{path} is one line of names without numbers, so that nothing says which label each "
            "name belongs to; write a table with the columns index and name."
        )
    raise InputError(
        f"{path}, line {number}: {first.strip()[:40]!r} begins no label table of a known format; "
        f"give {FORMATS}."
    )


def _row(where: str, cells: Mapping[str, str | None]) -> _Row:
    known = {column: " ".join((cell or "").split()) for column, cell in cells.items()}
    known = {column: cell for column, cell in known.items() if cell.lower() != "n/a"}
    index = known.get("index", "")
    if not re.fullmatch(r"\d{1,10}", index, re.ASCII):
        raise InputError(f"{where}: the index {index!r} is not a positive whole number; mend it.")
    return _Row(
        where,
        int(index),
        known.get("name", ""),
        known.get("abbreviation", ""),
        known.get("hemisphere", ""),
        _colour(where, known.get("color") or known.get("colour") or "", known.get("R_G_B", "")),
    )


def _colour(where: str, written: str, rgb: str) -> str:
    parts = rgb.split()
    if any(not re.fullmatch(r"\d{1,3}", part) or int(part) > 255 for part in parts):
        raise InputError(f"{where}: the colour {rgb} is not within 0 to 255; correct it.")
    if written and not re.fullmatch(r"#?[0-9a-fA-F]{6}", written):
        raise InputError(f"{where}: the colour {written!r} is not #rrggbb; correct it.")
    digits = written[-6:].lower() or "".join(f"{int(part):02x}" for part in parts)
    return f"#{digits}" if digits else ""


def _made_colour(index: int) -> str:
    """Turn the hue by the golden angle per number; vary the rest, so that no hue comes again."""
    saturation, value = 0.4 + 0.6 * (index * 0.5698403 % 1), 0.6 + 0.4 * (index * 0.7548777 % 1)
    parts = colorsys.hsv_to_rgb(index * 0.381966 % 1, saturation, value)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


def _numbered(path: Path, found: Iterator[_Row]) -> dict[int, _Row]:
    rows: dict[int, _Row] = {}
    for row in found:
        if row.index in rows:
            raise InputError(f"{row.where}: the index {row.index} is there twice; remove one.")
        if row.index > 0:
            rows[row.index] = row
    if not rows:
        raise InputError(f"{path} names no region with a number above 0; give {FORMATS}.")
    return rows


def _repaired(
    path: Path, rows: Mapping[int, _Row], repairs: Mapping[int, Mapping[str, str]]
) -> dict[int, _Row]:
    repaired = dict(rows)
    for index, fields in repairs.items():
        if index not in rows or not fields.keys() <= {"name", "abbreviation", "hemisphere"}:
            raise InputError(
                f"{path}: the repair {dict(fields)} of region {index} does not fit the table; "
                "repair the name, abbreviation or hemisphere of regions that it has."
            )
        changes: dict[str, Any] = dict(fields)
        repaired[index] = replace(rows[index], **changes)
    return repaired


def _named(rows: dict[int, _Row]) -> dict[int, _Row]:
    names = Counter(row.name for row in rows.values())
    for index, row in rows.items():
        if not row.name:
            raise InputError(f"{row.where}: region {index} has no name; give it one.")
        if names[row.name] > 1:
            raise InputError(
                f"{row.where}: the name {row.name!r} is there {names[row.name]} times; "
                "make the names differ."
            )
        if row.hemisphere and row.hemisphere.lower() not in _HEMISPHERES:
            raise InputError(
                f"{row.where}: the hemisphere {row.hemisphere!r} is unknown; write L, R or B."
            )
        written, said = _HEMISPHERES.get(row.hemisphere.lower()), side_of_name(row.name)
        if {said, written} == {"L", "R"}:
            raise InputError(
                f"{row.where}: the name {row.name!r} says {said} and the column {written}; one of "
                "them is wrong."
            )
    return rows


def _sides(rows: Mapping[int, _Row]) -> dict[int, str]:
    """Take each side from the column, else the name; abbreviations say too little (CR, CL)."""
    return {
        index: _HEMISPHERES.get(row.hemisphere.lower()) or side_of_name(row.name) or "B"
        for index, row in rows.items()
    }


def _homologues(rows: Mapping[int, _Row], sides: Mapping[int, str]) -> dict[int, str | None]:
    side_of = {row.name: sides[index] for index, row in rows.items()}
    homologues: dict[int, str | None] = {}
    for index, row in rows.items():
        name = swapped_name(row.name)
        opposite = name is not None and side_of.get(name) == _OTHER_SIDE.get(sides[index], "")
        homologues[index] = name if opposite else None
    return homologues


def _abbreviations(rows: Mapping[int, _Row], sides: Mapping[int, str]) -> dict[int, str]:
    """Take the table's own, mended where one stands for both sides; make those it lacks."""
    sides_of = defaultdict(set)
    for index, row in rows.items():
        sides_of[row.abbreviation].add(sides[index])
    own = {index: row.abbreviation for index, row in rows.items() if row.abbreviation}
    for index, text in own.items():
        if text[-1] in "LR" and {"L", "R"} <= sides_of[text] and sides[index] != "B":
            own[index] = text[:-1] + sides[index]
    own = _unique(own, set())
    made = {i: _made_abbreviation(rows[i].name, sides[i]) for i in rows if i not in own}
    return {**own, **_unique(made, set(own.values()))}


def _made_abbreviation(name: str, side: str) -> str:
    for token in reversed(_side_tokens(name)):
        name = f"{name[: token.start()]} {name[token.end() :]}"
    words = re.findall(r"[^\W_]+", name) or ["X"]
    letters = 3 if len(words) <= 2 else 1
    stem = "".join(word if word.isdigit() else word[:letters] for word in words)[:8].upper()
    return stem if side == "B" else f"{stem}-{side}"


def _unique(wanted: Mapping[int, str], taken: set[str]) -> dict[int, str]:
    counts = Counter([*wanted.values(), *taken])
    used = set(counts)
    unique = dict(wanted)
    for index in wanted:
        while counts[wanted[index]] > 1 and unique[index] in used:
            unique[index] += f"-{index}"
        used.add(unique[index])
    return unique
