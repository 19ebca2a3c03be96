"""Phases that are not what their JSON files say: scaled otherwise, or filtered as for SWI.

Half of a phase, said to be in radians, gave half of every susceptibility, and nothing was said.
"""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.space.grids import Grid3D
from wmhflow.registries.quality import find_measure
from wmhflow.steps.echoes import LEAST_FILLED, map_susceptibility, turn_share
from wmhflow.steps.kinds import LabelImage

TIMES_S = [0.005, 0.01, 0.015]
SHARES = {"measured": (1.0, False), "half": (0.5, True), "a hundredth": (0.01, True)}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("scale", "is_said"), SHARES.values(), ids=SHARES)
def test_phases_that_fill_no_turn_are_said(
    scale: float, is_said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    phases = [
        Grid3D((scale * rng.uniform(-np.pi, np.pi, (12, 12, 12))).astype(np.float32), np.eye(4))
        for _ in TIMES_S
    ]
    bright = [Grid3D(np.ones((12, 12, 12), np.float32), np.eye(4)) for _ in TIMES_S]
    nothing = LabelImage(np.zeros((12, 12, 12), np.int32), np.eye(4))
    # no brain ends it soon
    map_susceptibility(bright, phases, nothing, TIMES_S, 3.0, "rad")
    assert (f"fill {100 * scale:.0f} % of a turn" in caplog.text) == is_said
    assert turn_share([one.data for one in phases]) == pytest.approx(scale, abs=0.02)


def test_the_bound_is_that_of_the_table() -> None:
    bound = find_measure("susceptibility_phase_turn_share")
    assert bound is not None
    assert bound.low == LEAST_FILLED
