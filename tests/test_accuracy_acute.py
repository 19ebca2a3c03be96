"""What the benchmark of acute lesions simulates and what it calls a miss."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.accuracy import acute
from wmhflow.core.diffusion.acute import RULE


def outcome(found: int, n_false: int) -> acute.Outcome:
    each = dict.fromkeys(acute.RADII_MM, 3)
    return acute.Outcome("2 mm", 25, RULE, dict.fromkeys(each, found), each, n_false, 0.9)


@pytest.mark.parametrize(
    ("cell", "missed"),
    [
        ([outcome(3, 0)] * 10, []),
        ([outcome(3, 0)] * 9 + [outcome(3, 1)], []),
        ([outcome(3, 0)] * 4 + [outcome(3, 1)], ["2 mm, SNR 25: 0.20 false lesions in a scan"]),
        # of small ones nothing is asked
        (
            [outcome(2, 0)] * 3,
            ["2 mm, SNR 25: 67 % of 4 mm found", "2 mm, SNR 25: 67 % of 6 mm found"],
        ),
    ],
)  # fmt: skip
def test_what_is_missed_is_said(cell: list[acute.Outcome], missed: list[str]) -> None:
    assert acute._row(cell) == missed


@pytest.mark.parametrize("block", acute.BLOCKS.values())
def test_what_was_acquired_lies_where_it_was_and_has_its_adc(block: tuple[int, int, int]) -> None:
    s0, adc = np.full((20, 20, 20), 1.0), np.full((20, 20, 20), 0.8e-3)
    adc[10:] = 2e-3
    rng = np.random.default_rng(0)
    dwi, found = acute._acquired(s0, adc, block, 1e6, rng)
    assert found.shape == s0.shape
    assert np.allclose(found[:9], 0.8e-3, rtol=1e-3)
    assert np.allclose(found[12:], 2e-3, rtol=1e-3)
    # a slope of at most 15 % to each side in the coil's field
    assert np.allclose(dwi[:9], np.exp(-0.8), rtol=0.3)
