"""The tables of the report: what is read from a visit's TSV files, ready to be shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wmhflow.labels.digits import LETTER_BOTH, is_callosum, is_cell
from wmhflow.labels.regions import load_regions
from wmhflow.registries.quality import words_of
from wmhflow.reports.drawing.profiles import CurvePoint, ProfilePoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wmhflow.labels.regions import Region

    TableRow = dict[str, str]

MISSING = "n/a"
SHOWN_LESIONS = 20
VOLUME_TITLES = {"zones": "White matter by zone", "tissue": "Tissue", "lobes": "Lobes"}
LESION_CLASSES = ("all", "PV", "deep")
VERDICTS = ("check", "ok", "info")
WMH_NAME, VENTRICLE_NAME = "white matter hyperintensity", "lateral ventricle"


@dataclass(frozen=True)
class SideVolumes:
    """One region in the table of volumes: left, right and both together, as text in mL."""

    name: str
    colour: str
    volumes: tuple[str, str, str]
    wmh: tuple[str, str, str]
    wmh_percent: str
    n_lesions: str


def number(text: str | None) -> float:
    """Read a table cell; NaN for ``n/a`` and for what is absent."""
    return float("nan") if text is None or text == MISSING else float(text)


def millilitres(mm3: float) -> str:
    """Write a volume in mL with two or three digits behind the point.

    Examples
    --------
    >>> [millilitres(value) for value in (1234567.0, 9536.0, 88.0, 0.0, float("nan"))]
    ['1234.57', '9.54', '0.088', '0', 'n/a']
    """
    if math.isnan(mm3):
        return MISSING
    if mm3 == 0:
        return "0"
    return f"{mm3 / 1000:.2f}" if mm3 >= 1000 else f"{mm3 / 1000:.3f}"


def fixed(text: str | None, digits: int = 1) -> str:
    """Write a table cell's number with so many digits behind the point.

    Examples
    --------
    >>> fixed("-12.8702"), fixed("n/a"), fixed("-0.01")
    ('−12.9', 'n/a', '0.0')
    """
    value = number(text)
    if math.isnan(value):
        return MISSING
    shown = f"{value:.{digits}f}"
    return shown.replace("-", "−") if float(shown) else shown.replace("-", "")


def percent(text: str | None) -> str:
    """Write a share as whole percent.

    Examples
    --------
    >>> percent("0.253"), percent("0"), percent(None)
    ('25', '0', 'n/a')
    """
    value = number(text)
    return MISSING if math.isnan(value) else f"{value:.0%}".removesuffix("%")


def volume_rows(rows: Sequence[TableRow], seg: str) -> list[SideVolumes]:
    """Put both sides of every region of one label image side by side.

    Parameters
    ----------
    rows
        The table of volumes.
    seg
        ``tissue``, ``zones`` or ``lobes``.

    Returns
    -------
    list of SideVolumes
        In registry order; empty if the table has no such rows.
    """
    regions = load_regions(seg)
    found = {int(row["index"]): row for row in rows if row["seg"] == seg}
    return [
        _side_volumes(found, regions, region)
        for index, region in regions.items()
        if region.hemisphere == "B" and index in found
    ]


def bullseye_values(rows: Sequence[TableRow], column: str) -> dict[int, float]:
    """Gather one column over the cells of the bullseye, by their numbers; no unions.

    Cells of the corpus callosum are left out where it is nobody's region (SynthSeg names none).

    Parameters
    ----------
    rows
        A table of regions.
    column
        The value that is wanted.
    """
    cells = {
        int(row["index"]): number(row[column])
        for row in rows
        if row["seg"] == "bullseye" and is_cell(int(row["index"]))
    }
    callosum = {index for index in cells if is_callosum("bullseye", index)}
    empty = all(math.isnan(cells[index]) for index in callosum)
    return {index: value for index, value in cells.items() if not (empty and index in callosum)}


def _side_volumes(
    found: dict[int, TableRow], regions: dict[int, Region], both: Region
) -> SideVolumes:
    sides = {
        regions[index].hemisphere: row
        for index, row in found.items()
        if both.name in regions[index].parents
    }
    cells = [sides.get("L", {}), sides.get("R", {}), found[both.index]]
    volumes = [millilitres(number(cell.get("volume_mm3"))) for cell in cells]
    wmh = [millilitres(number(cell.get("wmh_volume_mm3"))) for cell in cells]
    share = number(found[both.index]["wmh_fraction"])
    return SideVolumes(
        both.name,
        both.colour,
        (volumes[0], volumes[1], volumes[2]),
        (wmh[0], wmh[1], wmh[2]),
        fixed(str(100 * share)),
        found[both.index]["n_lesions"],
    )


def total_volume_mm3(rows: Sequence[TableRow], name: str) -> float:
    """Return the volume of a tissue, both sides together; NaN if the table lacks it."""
    found = (row for row in rows if (row["seg"], row["name"]) == ("tissue", name))
    return number(next(found, {}).get("volume_mm3"))


def largest_lesions(rows: Sequence[TableRow]) -> list[TableRow]:
    """Return the lesions to show, the largest first, in the units that are shown."""
    ordered = sorted(rows, key=lambda row: (-number(row["volume_mm3"]), int(row["index"])))
    return [
        row
        | {"volume_ml": millilitres(number(row["volume_mm3"]))}
        | {key: fixed(row[key]) for key in ("x", "y", "z")}
        | {key: fixed(row[key]) for key in ("ventricle_distance_min", "cortex_distance_min")}
        | {"infratentorial": percent(row.get("infratentorial"))}
        for row in ordered[:SHOWN_LESIONS]
    ]


def filled_columns(rows: Sequence[TableRow]) -> set[str]:
    """Name the columns in which a row has a value.

    Examples
    --------
    >>> filled_columns([{"lobe": "n/a", "x": "n/a"}, {"lobe": "n/a", "x": "3"}])
    {'x'}
    """
    return {key for row in rows for key, value in row.items() if value != MISSING}


def profile_points(rows: Sequence[TableRow], name: str) -> dict[str, list[ProfilePoint]]:
    """Arrange one map's profile by lesion class.

    Parameters
    ----------
    rows
        The table of profiles.
    name
        Of the map.
    """
    return {
        lesion_class: [
            ProfilePoint(
                number(row["distance_mean"]),
                number(row["mean"]),
                number(row["sd"]),
                number(row["n_effective"]),
                is_rest=row["shell"] == "rest",
            )
            for row in rows
            if (row["map"], row["lesion_class"]) == (name, lesion_class)
        ]
        for lesion_class in LESION_CLASSES
    }


def curve_points(rows: Sequence[TableRow], name: str) -> dict[str, list[CurvePoint]]:
    """Arrange one map's smoothed curves by lesion class, each bin at its middle.

    Parameters
    ----------
    rows
        The table of curves.
    name
        Of the map.
    """
    found: dict[str, list[CurvePoint]] = {}
    for row in rows:
        if row["map"] == name and row["curve"] != MISSING:
            middle = (number(row["distance_lo"]) + number(row["distance_hi"])) / 2
            limits = number(row["curve_lo"]), number(row["curve_hi"])
            point = CurvePoint(middle, number(row["curve"]), *limits)
            found.setdefault(row["lesion_class"], []).append(point)
    return found


def has_profile(rows: Sequence[TableRow], name: str) -> bool:
    """Tell whether any shell holds a value of a map."""
    points = profile_points(rows, name).values()
    return any(not math.isnan(point.mean) for part in points for point in part)


def penumbra_rows(rows: Sequence[TableRow], name: str) -> list[TableRow]:
    """Return one map's rows of the penumbra table, widths with one digit."""
    keys = ("width_mm", "width_lo", "width_hi", "peak_mm")
    return [row | {key: fixed(row[key]) for key in keys} for row in rows if row["map"] == name]


def penumbra_widths(rows: Sequence[TableRow], name: str) -> dict[str, float]:
    """Return one map's penumbra widths in mm by lesion class, where there is one."""
    found = {row["lesion_class"]: number(row["width_mm"]) for row in rows if row["map"] == name}
    return {key: width for key, width in found.items() if not math.isnan(width)}


def reasons_of(rows: Sequence[TableRow], of: str) -> list[str]:
    """Say why values of a table are missing, once for each thing that lacks them.

    Parameters
    ----------
    rows
        Of a table with a column ``reason``.
    of
        The column that names what lacks a value; rows of both sides together repeat the sides.

    Examples
    --------
    >>> rows = [{"voxel": "svs", "reason": "far off"}, {"voxel": "b", "reason": "n/a"}]
    >>> reasons_of([*rows, rows[0]], "voxel")
    ['svs: far off']
    """
    told = (
        f"{row[of]}: {row['reason']}"
        for row in rows
        if row["reason"] != MISSING and row[of] != LETTER_BOTH
    )
    return list(dict.fromkeys(told))


def quality_rows(rows: Sequence[TableRow]) -> list[TableRow]:
    """Return the rows of the QC table with what each means; those to check first, then the judged.

    Parameters
    ----------
    rows
        The QC table.

    Examples
    --------
    >>> row = {"metric": "n_lesions", "value": "9", "low": "n/a", "high": "3", "verdict": "check"}
    >>> found = quality_rows([row | {"verdict": "ok"}, row])
    >>> [entry["verdict"] for entry in found], found[0]["meaning"], found[0]["expected"]
    (['check', 'ok'], 'Number of lesions', 'at most 3')
    """
    return [
        row
        | {
            "meaning": words_of(row["metric"]),
            "expected": _expected(row["low"], row["high"]),
        }
        for row in sorted(rows, key=lambda row: VERDICTS.index(row["verdict"]))
    ]


def _expected(low: str, high: str) -> str:
    if low == high:
        return low
    if high == MISSING:
        return f"at least {low}" if low != MISSING else MISSING
    return f"at most {high}" if low == MISSING else f"{low} to {high}"
