"""Differences and ratios are those of the numbers that stand beside them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from wmhflow.products.columns import CONTRASTS, names
from wmhflow.steps.contrasts import contrast_regions


def region(index: int, tissue: str, mean: float | None, name: str = "FA") -> dict[str, Any]:
    """A row of the table of maps."""
    described = {"seg": "zones", "index": index, "name": f"zone {index}", "hemisphere": "L"}
    return described | {"tissue": tissue, "map": name, "unit": "1", "mean": mean, "sd": 0.1}


FAR = [
    {"map": "FA", "lesion_class": "all", "shell": "rest", "mean": 0.4},
    {"map": "FA", "lesion_class": "PV", "shell": "rest", "mean": 0.9},
    {"map": "FA", "lesion_class": "all", "shell": "1", "mean": 0.9},
    {"map": "Chimap", "lesion_class": "all", "shell": "rest", "mean": -0.008},
]
OPPOSITES = [
    [{"measure": "FA", "seg": "zones", "index": 12, "opposite_value": 0.5}],
    [{"measure": "Chimap", "seg": "zones", "index": 12, "opposite_value": -0.01}],
]


def test_every_value_stands_beside_its_references() -> None:
    maps = [region(12, "WMH", 0.2), region(12, "NAWM", 0.44), region(2, "all", 0.3)]
    maps += [region(12, "all", None), region(12, "all", math.nan)]
    rows = contrast_regions(maps, FAR, OPPOSITES, []).table
    assert [(row["index"], row["tissue"]) for row in rows] == [
        (12, "WMH"),
        (12, "NAWM"),
        (2, "all"),
    ]
    assert all(list(row) == names(CONTRASTS) for row in rows)
    lesion, normal, both = rows
    assert (lesion["difference"], lesion["ratio"]) == (pytest.approx(-0.2), pytest.approx(0.5))
    assert lesion["opposite_difference"] == pytest.approx(-0.3)
    assert lesion["opposite_ratio"] == pytest.approx(0.4)
    assert normal["ratio"] == pytest.approx(1.1)
    assert math.isnan(both["opposite_mean"])
    assert math.isnan(both["opposite_ratio"])


def test_a_map_without_a_zero_of_its_own_has_differences_and_no_ratios() -> None:
    (row,) = contrast_regions([region(12, "WMH", -0.016, "Chimap")], FAR, OPPOSITES, ["Chimap"])[0]
    assert row["difference"] == pytest.approx(-0.008)
    assert row["opposite_difference"] == pytest.approx(-0.006)
    assert math.isnan(row["ratio"])
    assert math.isnan(row["opposite_ratio"])


def test_without_far_white_matter_nothing_is_compared_with_it() -> None:
    (row,) = contrast_regions([region(12, "WMH", 0.2)], [], OPPOSITES, []).table
    assert math.isnan(row["difference"])
    assert row["opposite_mean"] == 0.5
