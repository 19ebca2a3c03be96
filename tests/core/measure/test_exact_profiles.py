"""A map almost without noise has the width that was planted: rounding turns no profile."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.measure.penumbra import fit_shells

# distances of voxels of 3 mm from each other, in shells of 2 mm of which the first is empty
STRATA = np.array([3.0, 4.24, 5.2, 6.0, 6.71, 7.35, 9.09, 11.1, 12.95, np.inf])
SHARES = np.zeros((7, STRATA.size))
SHARES[0, 0] = 1
SHARES[1, 1:4] = 0.4, 0.4, 0.2
SHARES[2, 4:6] = 0.6, 0.4
SHARES[np.arange(3, 7), np.arange(6, 10)] = 1
EXACT = np.maximum(0, 6 - np.where(np.isfinite(STRATA), STRATA, 99))


@pytest.mark.parametrize("error", [0, 1e-7, 1e-6, 1e-5, 5e-5])
@pytest.mark.parametrize(("far", "slope"), [(0.42, -0.02), (40.0, -1.7), (-0.01, 0.001)])
def test_a_hinge_stays_one(error: float, far: float, slope: float) -> None:
    """With parts of the range that interpolation and single precision lose."""
    means = SHARES @ (far + slope * EXACT)
    for seed in range(6):
        lost = np.random.default_rng(seed).uniform(-1, 1, means.size) * error * np.ptp(means)
        found = fit_shells(STRATA, means + lost, np.zeros((7, 7)), SHARES, seed=seed)
        assert found.model == "hinge"
        assert found.width_mm == pytest.approx(6, abs=0.01)
        assert found.width_lo <= 6 <= found.width_hi
