"""The measures of the QC table, and the bounds of their usual range."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from wmhflow.registries.reading import _rows


@dataclass(frozen=True)
class QualityMeasure:
    """One measure of the QC table: what it is, its usual range, and why.

    ``metric`` may hold ``*`` for any letters, as the names of maps.
    """

    metric: str
    unit: str | None
    low: float | None
    high: float | None
    meaning: str
    reason: str | None


@cache
def load_quality_measures() -> tuple[QualityMeasure, ...]:
    """Read the measures of the QC table, in the order in which they are looked up."""

    def known(text: str) -> str | None:
        return None if text == "n/a" else text

    def number(text: str) -> float | None:
        return None if text == "n/a" else float(text)

    return tuple(
        QualityMeasure(
            row["metric"],
            known(row["unit"]),
            number(row["low"]),
            number(row["high"]),
            row["meaning"],
            known(row["reason"]),
        )
        for row in _rows("quality.tsv")
    )


def find_measure(metric: str) -> QualityMeasure | None:
    """Look up a measure of the QC table; the first that fits counts.

    Examples
    --------
    >>> find_measure("map_FA_coverage_NAWM").low
    0.5
    """
    fitting = (entry for entry in load_quality_measures() if fnmatchcase(metric, entry.metric))
    return next(fitting, None)


def words_of(metric: str) -> str:
    """Say in words what a measure is, and of what, where it is measured of several things.

    Parameters
    ----------
    metric
        As it stands in a QC table. One that the registry does not know has its own words.

    Examples
    --------
    >>> words_of("wmh_volume_mm3"), words_of("map_FA_coverage_NAWM")
    ('Volume of WMH', 'Share of NAWM that valid voxels of the map cover (FA)')
    """
    measure = find_measure(metric)
    if measure is None:
        return metric.replace("_", " ")
    pattern = ".*".join(re.escape(part) for part in measure.metric.split("*"))
    found = re.fullmatch(pattern.replace(".*", "(.*)"), metric)
    of = [part.replace("_", " ").strip() for part in found.groups()] if found else []
    named = ", ".join(part for part in of if part)
    return f"{measure.meaning} ({named})" if named else measure.meaning


def explain_measures(metrics: Iterable[str]) -> dict[str, str]:
    """Say of each measure what it is, its unit, and why it has bounds, if it has.

    Parameters
    ----------
    metrics
        Names as they stand in QC tables; one that the registry does not know is left out.

    Examples
    --------
    >>> explain_measures(["n_lesions", "wmh_kept_fraction"])["n_lesions"]
    'Number of lesions'
    >>> explain_measures(["ventricle_volume_mm3"])["ventricle_volume_mm3"][:41]
    'Volume of the lateral ventricles, in mm^3'
    """
    found = ((metric, find_measure(metric)) for metric in metrics)
    return {metric: _explained(entry) for metric, entry in found if entry is not None}


def _explained(entry: QualityMeasure) -> str:
    unit = f", in {entry.unit}" if entry.unit not in (None, "1") else ""
    return f"{entry.meaning}{unit}" + (f". Bounds: {entry.reason}" if entry.reason else "")


def measures_table() -> str:
    """Return the measures that have no bounds as Markdown for the documentation."""
    lines = ["| measure | unit | what |", "| --- " * 3 + "|"]
    lines += [
        f"| `{entry.metric}` | {entry.unit or ''} | {entry.meaning} |"
        for entry in load_quality_measures()
        if entry.reason is None
    ]
    return "\n".join(lines) + "\n"


def quality_table() -> str:
    """Return the measures that are judged as Markdown for the documentation."""
    lines = ["| measure | unit | from | to | what | why these bounds |", "| --- " * 6 + "|"]
    for entry in load_quality_measures():
        if entry.reason is not None:
            low, high = ("" if edge is None else f"{edge:.7g}" for edge in (entry.low, entry.high))
            cells = (f"`{entry.metric}`", entry.unit, low, high, entry.meaning, entry.reason)
            lines.append(f"| {' | '.join(str(cell or '') for cell in cells)} |")
    return "\n".join(lines) + "\n"
