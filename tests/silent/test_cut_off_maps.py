"""Maps whose values were cut off at a highest or a lowest one, as viewers and filters leave them.

Every mean of such a map is too low or too high by what was cut off, and looks like one.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import inprocess
from tests.coarse import Coarse, coarse_dataset, planted, save
from tests.coarse import head as coarse_head
from wmhflow.bids.writer import read_table
from wmhflow.core.measure.ends import at_ends
from wmhflow.steps.ends import MOST_AT_ENDS

Values = np.ndarray[Any, Any]
BOUNDS = (0.0, 1.0)
# how a map of 0.4, SD 0.1, was changed, and which share of it then lies at an end
CASES: dict[str, tuple[Callable[[Values], Values], float]] = {
    "as it was measured": (lambda values: values, 0.0),
    "cut off above": (lambda values: np.minimum(values, 0.45), 0.31),
    "cut off below": (lambda values: np.maximum(values, 0.35), 0.31),
    "cut off on both sides": (lambda values: np.clip(values, 0.3, 0.5), 0.32),
    "in single precision": (lambda values: np.minimum(values, 0.45).astype(np.float32), 0.31),
    "in steps of a thousandth": (lambda values: values.round(3), 0.0),
    "cut off, in such steps": (lambda values: np.minimum(values.round(3), 0.45), 0.31),
    "in percent, as bytes": (lambda values: (100 * values).round() / 100, 0.0),
    "with a background of one number": (
        lambda values: np.where(np.indices(values.shape)[0] % 4 == 0, 0.001, values), 0.27),
    "at the end of its range": (lambda values: np.minimum(values * 2.2, 1.0), 0.0),
    "drawn": (lambda values: np.where(values > 0.4, 0.5, 0.2), 0.0),
}  # fmt: skip


@pytest.mark.parametrize(("change", "share"), CASES.values(), ids=CASES)
def test_what_lies_at_the_map_s_own_ends(change: Callable[[Values], Values], share: float) -> None:
    values = change(np.clip(np.random.default_rng(1).normal(0.4, 0.1, (30, 30, 30)), 0.001, 0.999))
    found = at_ends(values, np.ones(values.shape, bool), *BOUNDS)
    assert np.mean(found) == pytest.approx(share, abs=0.01)


def test_what_does_not_count_is_no_end() -> None:
    values = np.linspace(0.1, 0.9, 4000)
    values[:3] = np.nan, np.inf, 0.99
    valid = np.isfinite(values) & (values < 0.95)
    found = at_ends(values, valid, *BOUNDS)
    assert np.flatnonzero(found).tolist() == [3, 3999]
    assert not at_ends(values, np.zeros_like(valid), *BOUNDS).any()


def test_the_bounds_are_those_of_the_table() -> None:
    text = (files("wmhflow") / "data" / "quality.tsv").read_text(encoding="utf-8")
    high = {row["metric"]: row["high"] for row in csv.DictReader(text.splitlines(), delimiter="\t")}
    for tissue in ("nawm", "wmh"):
        assert float(high[f"map_*_{tissue}_cut_off"]) == MOST_AT_ENDS


def noisy(values: Values) -> Values:
    """Return a planted map as a scanner would measure it."""
    noise = np.random.default_rng(2).normal(0, 0.03, values.shape)
    return np.where(values > 0, np.clip(values + noise, 0.01, 0.99), 0).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "marked"),
    [
        (lambda values: values, set()),
        (lambda values: np.minimum(values, 0.4), {"map_FA_nawm_cut_off"}),
        (lambda values: np.where(values > 0, np.maximum(values, 0.25), 0), {"map_FA_wmh_cut_off"}),
    ],
    ids=["as it was measured", "above", "below"],
)
def test_a_map_that_was_cut_off_is_marked_in_the_table(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[Values], Values],
    marked: set[str],
) -> None:
    made: Coarse = coarse_dataset(tmp_path, without=("cbf.nii.gz", "fa_dwimap.nii.gz"))
    path = made.given / "sub-01" / "anat" / "sub-01_space-T1w_model-tensor_param-fa_dwimap.nii.gz"
    save(path, change(noisy(planted("FA"))), coarse_head().affine)
    inprocess.succeed(made.words())
    rows = read_table(made.anat() / "sub-01_desc-wmhflow_qc.tsv")
    found = {row["metric"] for row in rows if row["verdict"] == "check"}
    assert {metric for metric in found if metric.startswith("map_FA")} == marked
    assert ("at the map's own lowest or highest value" in caplog.text) == bool(marked)
