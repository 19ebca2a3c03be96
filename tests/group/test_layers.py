"""The width of a penumbra by the last consecutive shell that differs over persons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.group.studies import finished, give, group_settings, study_of
from wmhflow.bids.writer import Column, dictionary_of, read_object, read_table, write_json
from wmhflow.group.layers import Running, width_of, widths_by_layers
from wmhflow.group.run import run_group
from wmhflow.settings import Reporting


def running(values: Any) -> Running:
    found = Running()
    for value in values:
        found.add(float(value))
    return found


def shells(*differences: float, spread: float = 1.0, n: int = 12) -> dict[Any, Running]:
    """Shells of 2 mm whose differences lie evenly about these."""
    around = np.linspace(-spread, spread, n)
    return {
        (2.0 * i, 2.0 * i + 2): running(difference + around)
        for i, difference in enumerate(differences)
    }


def test_the_test_is_the_paired_one() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, 20)
    assert running(values).p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert np.isnan(running(values[:2]).p)
    assert (running([1, 1, 1]).p, running([0, 0, 0]).p) == (0, 1)


@pytest.mark.parametrize(
    ("differences", "width", "reason"),
    [
        ((5, 5, 5, 0), 6, None),
        # what differs again after a gap does not count
        ((5, 0, 5, 5), 2, None),
        ((5, -5, 0), 4, None),
        ((0, 5, 5), None, "the first does not differ"),
        ((5, 5, 5), 6, "every shell differs: it may reach further"),
    ],
)
def test_the_width_is_where_the_first_gap_begins(
    differences: tuple[float, ...], width: float | None, reason: str | None
) -> None:
    found = width_of(shells(*differences), 0.05)
    assert (found["width_mm"], found["reason"]) == (width, reason)
    assert (found["p"] <= 0.05) == (width is not None)
    assert found["next_p"] is None or found["next_p"] > 0.05


def test_too_few_persons_and_missing_shells_are_said() -> None:
    assert "2 persons" in width_of(shells(5, 5, n=2), 0.05)["reason"]
    layers = shells(5, 5, 5, 5)
    del layers[2.0, 4.0]
    found = width_of(layers, 0.05)
    assert (found["width_mm"], "nobody has it" in found["reason"]) == (2, True)
    del layers[0.0, 2.0]
    assert width_of(layers, 0.05)["reason"] == "nobody has the first shell"


def rows(*differences: float | str) -> list[dict[str, Any]]:
    return [
        {"map": "FA", "lesion_class": "all", "shell": str(i + 1)}
        | {"distance_lo": 2 * i, "distance_hi": 2 * i + 2, "difference": difference}
        for i, difference in enumerate(differences)
    ]


@pytest.mark.acts("--layers-p")
def test_a_study_has_the_table_if_it_is_asked_for(tmp_path: Path) -> None:
    visits = [finished(tmp_path, f"{person:02}") for person in range(5)]
    visits.append(finished(tmp_path, "09", session="ses-1"))
    visits.append(finished(tmp_path, "09", session="ses-2"))
    for i, visit in enumerate(visits[:5]):
        give(visit, "profiles", rows(2 + 0.1 * i, 0.1 * (-1) ** i, 3))
    # two visits are one person: their mean counts
    give(visits[5], "profiles", rows(2, "n/a", 3))
    give(visits[6], "profiles", rows(4, 0.0, 3))
    (row,) = widths_by_layers(replace(study_of(visits), layers_p=0.05))
    assert (row["width_mm"], row["n_persons"]) == (2, 6)
    assert row["difference"] == pytest.approx((2 + 2.1 + 2.2 + 2.3 + 2.4 + 3) / 6)
    settings = group_settings(tmp_path / "in", visits)
    path = tmp_path / "group" / "desc-layers_penumbra.tsv"
    for asked in (0.05, None):
        asking = replace(settings, reporting=Reporting(layers_p=asked))
        assert run_group(asking) == 0
        # without the option an older one does not stay
        assert path.is_file() == (asked is not None)
        if asked:
            (written,) = read_table(path)
            assert (written["width_mm"], written["reason"]) == ("2", "n/a")


def test_what_each_map_is_and_its_unit_are_told(tmp_path: Path) -> None:
    visits = [finished(tmp_path, f"{person:02}") for person in range(3)]
    for visit, unit, scale in zip(visits, ("ppb", "ppb", "ppm"), (1, 1, 1e-3), strict=True):
        told = [row | {"map": "Chimap", "unit": unit} for row in rows(5 * scale, 0)]
        give(visit, "profiles", told)
        levels = (("Chimap", "Susceptibility; computed here"),)
        column = Column("map", "Name", levels=levels)
        write_json(visit.table("profiles").with_suffix(".json"), dictionary_of((column,)))
    # ppb and ppm are not averaged
    found = list(widths_by_layers(replace(study_of(visits), layers_p=0.05)))
    assert [(one["unit"], one["n_persons"], one["difference"]) for one in found] == [
        ("ppb", 2, 5), ("ppm", 1, 0.005)
    ]  # fmt: skip
    settings = group_settings(tmp_path / "in", visits)
    assert run_group(replace(settings, reporting=Reporting(layers_p=0.05))) == 0
    said = read_object(tmp_path / "group" / "desc-layers_penumbra.json")
    assert said["map"]["Levels"] == {"Chimap": "Susceptibility"}
    assert set(said) == set(read_table(tmp_path / "group" / "desc-layers_penumbra.tsv")[0])
