"""The QC table judges what has bounds and a value, and nothing else."""

from __future__ import annotations

import math
from typing import Any

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
        ("map_FA_coverage_WMH", 0.2, "check"),
        ("map_FA_coverage_white_matter", 0.2, "info"),
    ],
)
def test_a_value_is_judged_by_its_bounds(metric: str, value: float | None, verdict: str) -> None:
    assert quality_row(metric, value)["verdict"] == verdict


def volumes_with(left_mm3: float) -> list[dict[str, object]]:
    """Rows of the table of volumes of a person who has WMH on the left alone."""
    wmh = "white matter hyperintensity"
    volumes = {
        ("lateral ventricle", "B"): 30_000.0,
        (wmh, "B"): left_mm3,
        (f"left {wmh}", "L"): left_mm3,
        (f"right {wmh}", "R"): 0.0,
    }
    return [
        {"seg": "tissue", "name": name, "hemisphere": side, "volume_mm3": volume}
        for (name, side), volume in volumes.items()
    ]


@pytest.mark.parametrize(
    ("left_mm3", "n_lesions", "verdict"),
    [(3000.0, None, "info"), (3000.0, 7, "info"), (3000.0, 8, "check"), (9000.0, 1, "check")],
)
def test_few_lesions_on_one_side_are_no_fault(
    left_mm3: float, n_lesions: int | None, verdict: str
) -> None:
    """Many are: a mask that was drawn on one hemisphere alone was taken in silence below 5 mL."""
    rows = volumes_with(left_mm3)
    facts = [] if n_lesions is None else [{"n_lesions": n_lesions}]
    found = {row["metric"]: row for row in gather_quality(facts, [""] * len(facts), rows).rows}
    assert found["wmh_asymmetry"]["value"] == 1
    assert found["wmh_asymmetry"]["verdict"] == verdict


@pytest.mark.parametrize(
    ("is_computed", "wmh_mm3", "verdict"),
    [
        (True, 40.0, "info"),  # so little is as much as nothing, and lies anywhere
        (True, 499.0, "info"),
        (True, 500.0, "check"),
        (False, 40.0, "check"),  # a given mask may be shifted, however small
    ],
)
def test_little_wmh_that_are_computed_are_not_judged_by_their_place(
    is_computed: bool, wmh_mm3: float, verdict: str
) -> None:
    shares = {"wmh_outside_white_matter": 1.0, "wmh_in_ventricles": 1.0, "wmh_flair_contrast": 0.5}
    shares |= {"wmh_cavity_rim_share": 1.0}
    computed = {"wmh_expected_dice": math.nan} if is_computed else {}
    gathered = gather_quality([shares | computed], [""], volumes_with(wmh_mm3)).rows
    found = {row["metric"]: row for row in gathered}
    assert {found[name]["verdict"] for name in shares} == {verdict}
    assert {name: found[name]["value"] for name in shares} == shares


@pytest.mark.parametrize(
    ("below_mm3", "share", "verdict"),
    [
        (0.0, 0.0, "info"),
        (499.0, 0.499, "info"),  # so little is no fault
        (500.0, 0.5, "check"),
        (1100.0, 1.1 / 3.5, "check"),  # as plain cerebellum once was
        (2000.0, 2 / 40, "ok"),
        (None, None, "info"),  # a parcellation without cerebellum tells nothing
    ],
)
def test_lesions_that_lie_mostly_in_the_cerebellum_are_flagged(
    below_mm3: float | None, share: float | None, verdict: str
) -> None:
    facts = {"wmh_infratentorial_mm3": below_mm3, "wmh_infratentorial_fraction": share}
    found = {row["metric"]: row for row in gather_quality([facts], [""], volumes_with(9.0)).rows}
    assert found["wmh_infratentorial_mm3"]["value"] == below_mm3
    assert found["wmh_infratentorial_mm3"]["verdict"] == "info"
    assert found["wmh_infratentorial_fraction"]["value"] == share
    assert found["wmh_infratentorial_fraction"]["verdict"] == verdict


@pytest.mark.parametrize(
    ("brain_mm3", "intracranial_mm3", "ratio", "verdict"),
    [
        (1_504_820.0, 1_454_880.0, 1.0343, "check"),  # as a given parcellation was
        (1_450_000.0, 1_454_880.0, 0.9966, "ok"),
        (1_000_000.0, 1_454_880.0, 0.6873, "ok"),
        (800_000.0, 1_454_880.0, 0.5499, "check"),
        (1_450_000.0, 0.0, None, "info"),
        (1_450_000.0, None, None, "info"),
        (None, 1_454_880.0, None, "info"),
    ],
)
def test_a_brain_that_is_larger_than_its_skull_is_flagged(
    brain_mm3: float | None, intracranial_mm3: float | None, ratio: float | None, verdict: str
) -> None:
    facts = [{"brain_volume_mm3": brain_mm3}, {"intracranial_volume_mm3": intracranial_mm3}]
    given = [*facts, {"parcellation_unknown_voxels": 0}]
    row = ratio_of_volumes(given)
    assert row["value"] == (None if ratio is None else pytest.approx(ratio, abs=1e-4))
    assert (row["verdict"], row["low"], row["high"]) == (verdict, 0.6, 1.03)
    # a computed brain holds some bone
    assert ratio_of_volumes(facts)["verdict"] == "info"


def ratio_of_volumes(facts: list[dict[str, float | None]]) -> dict[str, Any]:
    found = gather_quality(facts, [""] * len(facts), volumes_with(3000.0)).rows
    (row,) = [row for row in found if row["metric"] == "brain_intracranial_ratio"]
    return row
