"""What the benchmark of the penumbra simulates and what it calls a miss."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.accuracy import penumbra
from wmhflow.core.measure.penumbra import Penumbra

GOOD = Penumbra(6.05, 5.9, 6.2, model="hinge")
WIDE = Penumbra(6.5, 6.1, 6.9, model="hinge")
FLAT = Penumbra(model="flat")


@pytest.mark.parametrize(
    ("shape", "cell", "n_missed"),
    [
        ("flat", [FLAT] * 19 + [GOOD], 0),
        ("flat", [FLAT] * 9 + [GOOD], 1),
        ("hinge", [GOOD] * 19 + [WIDE], 0),
        # off, and its interval without the truth
        ("hinge", [WIDE] * 20, 2),
        # too wide intervals are a miss as well
        ("hinge", [GOOD] * 20, 1),
        ("hinge", [FLAT] * 20, 1),
    ],
)
def test_what_is_missed_is_said(shape: str, cell: list[Penumbra], n_missed: int) -> None:
    assert len(penumbra._row("few", 2.4, shape, 1.0, cell)) == n_missed


def test_noise_has_its_spread_and_grain() -> None:
    drawn = penumbra.noise(4.7, 0)
    assert drawn.std() == pytest.approx(1)
    width = 4.7 / np.sqrt(8 * np.log(2))
    # beside each other: a Gaussian √2 times as wide as the kernel's
    expected = np.exp(-1 / (4 * width**2))
    assert (drawn[1:] * drawn[:-1]).mean() == pytest.approx(expected, abs=0.02)
