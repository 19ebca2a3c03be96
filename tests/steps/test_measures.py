"""The QC table judges what has bounds and a value, and nothing else."""

from __future__ import annotations

import math

import pytest

from wmhflow.steps.measures import quality_row


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
