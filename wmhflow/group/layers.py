"""The literature's width of a penumbra: the last shell that differs from far tissue over people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from scipy.special import stdtr

from wmhflow.bids.writer import Column, read_object, read_table
from wmhflow.group.study import Study, Visit

FEWEST_PERSONS = 3
COLUMNS: tuple[Column, ...] = (
    Column("map", "Name of the quantitative map", kind="text"),
    Column("lesion_class", "all, PV (periventricular) or deep", kind="text"),
    Column(
        "width_mm",
        "Outer edge of the last of the shells, counted from the lesion edge without a gap, whose "
        "mean differs from that of the tissue beyond all shells (paired t test over persons)",
        "mm",
    ),
    Column(
        "n_persons", "Persons who have that shell; the first shell where none differs", kind="whole"
    ),
    Column("difference", "Mean over persons of the shell's mean minus the reference's"),
    Column("p", "Of that shell; of the first shell where none differs", "1"),
    Column("next_p", "Of the shell after it, the first that does not differ", "1"),
    Column("p_bound", "Up to which p a shell counts as different (--layers-p)", "1"),
    Column("reason", "Why there is no width, or why it may be larger", kind="text"),
    Column("unit", "Unit of difference; visits of another unit have another row", kind="text"),
)


@dataclass
class Running:
    """Count, mean and sum of squares about it, of what was added one by one."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """Take in one more value."""
        self.n += 1
        step = value - self.mean
        self.mean += step / self.n
        self.squares += step * (value - self.mean)

    @property
    def p(self) -> float:
        """Two-sided p of the t test of a mean of 0; NaN for fewer than three values.

        Examples
        --------
        >>> found = Running()
        >>> for value in (1.0, 2.0, 3.0):
        ...     found.add(value)
        >>> round(found.p, 4)
        0.0742
        """
        if self.n < FEWEST_PERSONS:
            return math.nan
        if self.squares == 0:
            return 0.0 if self.mean else 1.0
        t = self.mean / math.sqrt(self.squares / (self.n - 1) / self.n)
        return float(2 * stdtr(self.n - 1, -abs(t)))


def widths_by_layers(study: Study) -> Iterator[dict[str, Any]]:
    """Find, per map and lesion class, the last consecutive shell that differs over persons.

    Visits of a person are averaged first; those of another unit are kept apart. Nothing is held
    but sums, however many persons there are.

    Parameters
    ----------
    study
        The visits, and the bound of p.
    """
    found: dict[tuple[str, str, str], dict[tuple[float, float], Running]] = {}
    visits = study.with_table("profiles")
    for _, own in groupby(visits, key=lambda visit: visit.participant_id):
        for (name, lesion_class, unit, *edges), difference in _of_person(list(own)).items():
            layers = found.setdefault((name, lesion_class, unit), {})
            layers.setdefault((edges[0], edges[1]), Running()).add(difference)
    for (name, lesion_class, unit), layers in found.items():
        head = {"map": name, "lesion_class": lesion_class, "unit": unit, "p_bound": study.layers_p}
        yield head | width_of(layers, study.layers_p or 0.0)


def _of_person(visits: Sequence[Visit]) -> dict[tuple[Any, ...], float]:
    """Return what a person's outer shells differ from far tissue, on average over visits."""
    sums: dict[tuple[Any, ...], Running] = {}
    for visit in visits:
        if not visit.table("profiles").is_file():
            continue
        for row in read_table(visit.table("profiles")):
            if not row["shell"].isdigit() or row["difference"] == "n/a":
                continue
            edges = float(row["distance_lo"]), float(row["distance_hi"])
            key = (row["map"], row["lesion_class"], row["unit"], *edges)
            sums.setdefault(key, Running()).add(float(row["difference"]))
    return {key: value.mean for key, value in sums.items()}


def width_of(layers: dict[tuple[float, float], Running], bound: float) -> dict[str, Any]:
    """Apply the rule to the shells of one map and lesion class.

    Parameters
    ----------
    layers
        Differences over persons, by the shell's inner and outer edge in mm.
    bound
        Up to which p a shell counts as different.

    Returns
    -------
    dict
        Cells of the row.
    """
    edges = sorted(layers)
    differing = []
    at = 0.0
    for inner, outer in edges:
        if inner != at or not layers[inner, outer].p <= bound:
            break
        differing.append((inner, outer))
        at = outer
    left = edges[len(differing) :]
    told = layers[differing[-1] if differing else edges[0]]
    cells: dict[str, Any] = {
        "width_mm": at if differing else None,
        "n_persons": told.n,
        "difference": told.mean,
        "p": told.p,
        "next_p": layers[left[0]].p if differing and left else None,
        "reason": None,
    }
    if told.n < FEWEST_PERSONS:
        cells["reason"] = f"{told.n} persons have such a shell, {FEWEST_PERSONS} are needed"
    elif not differing:
        missing = edges[0][0] > 0
        cells["reason"] = "nobody has the first shell" if missing else "the first does not differ"
    elif not left:
        cells["reason"] = "every shell differs: it may reach further"
    elif left[0][0] != at:
        cells["reason"] = "the next shell is not the same in all visits, or nobody has it"
    return cells


def layer_columns(study: Study) -> tuple[Column, ...]:
    """Give the columns; that of maps says what each map is, as the gathered profiles do.

    Parameters
    ----------
    study
        Its visits' profiles have been gathered.
    """
    said: Any = read_object(study.table("profiles").with_suffix(".json")).get("map")
    levels: Any = said.get("Levels") if isinstance(said, dict) else None
    told = tuple(levels.items()) if isinstance(levels, dict) else ()
    return tuple(one._replace(levels=told) if one.name == "map" else one for one in COLUMNS)
