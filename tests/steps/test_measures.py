"""The QC table judges what has bounds and a value, and nothing else."""

from __future__ import annotations

import math

import pytest

from wmhflow.steps.measures import gather_quality, quality_row


@pytest.mark.parametrize(
    ("metric", "value", "verdict"),
    [
        ("wmh_asymmetry", 0.0, "ok"),
        ("wmh_asymmetry", -0.6, "ok"),
        ("wmh_asymmetry", -0.61, "check"),
        ("wmh_volume_mm3", 1e6, "check"),
        ("wmh_asymmetry", None, "info"),
        ("wmh_asymmetry", math.nan, "info"),
        ("n_lesions", 7, "info"),
        ("no_such_measure", 7, "info"),
        ("map_FA_coverage_NAWM", 0.2, "check"),
        ("map_FA_coverage_WMH", 0.2, "info"),
    ],
)
def test_a_value_is_judged_by_its_bounds(metric: str, value: float | None, verdict: str) -> None:
    assert quality_row(metric, value)["verdict"] == verdict


@pytest.mark.parametrize(("left_mm3", "verdict"), [(3000.0, "info"), (9000.0, "check")])
def test_few_lesions_on_one_side_are_no_fault(left_mm3: float, verdict: str) -> None:
    wmh = "white matter hyperintensity"
    volumes = {
        ("lateral ventricle", "B"): 30_000.0,
        (wmh, "B"): left_mm3,
        (f"left {wmh}", "L"): left_mm3,
        (f"right {wmh}", "R"): 0.0,
    }
    rows = [
        {"seg": "tissue", "name": name, "hemisphere": side, "volume_mm3": volume}
        for (name, side), volume in volumes.items()
    ]
    found = {row["metric"]: row for row in gather_quality([], [], rows).rows}
    assert found["wmh_asymmetry"]["value"] == 1
    assert found["wmh_asymmetry"]["verdict"] == verdict
