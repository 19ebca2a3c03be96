"""Regions that may overlap: combinations, weighted volumes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wmhflow.core.regions.probabilities import STEPS, overlapping_labels, weighted_volumes


@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.25, 0.5, 1.0]))
def test_combinations_hold_exactly_the_voxels_of_each_region(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.integers(0, STEPS + 1, (24, 4)).astype(np.uint8)
    labels, members = overlapping_labels(steps, threshold)
    for region in range(1, 5):
        inside = steps[:, region - 1] / STEPS >= threshold
        assert (np.isin(labels, members[region]) == inside).all()


def test_weights_are_probabilities() -> None:
    steps = np.zeros((4, 2), np.uint8)
    steps[:, 0] = STEPS, STEPS // 2, 0, STEPS // 4
    mask = np.array([True, True, True, False])
    first, empty = weighted_volumes(steps, mask, 8.0)
    assert first == {"volume_mm3": 14.0, "wmh_volume_mm3": 12.0, "wmh_fraction": 12 / 14}
    assert empty["volume_mm3"] == 0
    assert np.isnan(empty["wmh_fraction"])
