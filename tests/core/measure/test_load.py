"""The load curve: every voxel in one bin, edges as documented, empty bins without a share."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.measure.load import load_curve


def test_bins_are_closed_above_and_the_first_takes_what_lies_at_its_edge() -> None:
    position = np.array([[[-1.0, 0.0, 1.0, 1.1, 2.0, 2.1, np.inf, np.nan]]])
    everywhere = np.ones(position.shape)
    curve = load_curve(position, everywhere, everywhere, (0, 1, 2), 0.5)
    assert curve["volume_mm3"].tolist() == [1.5, 1.0]


def test_shares_agree_with_masks() -> None:
    rng = np.random.default_rng(1)
    position = rng.uniform(0, 1, (8, 9, 10)).astype(np.float32)
    matter, wmh = rng.random((2, 8, 9, 10)) < 0.5
    edges = (0, 0.25, 0.5, 0.75, 1)
    curve = load_curve(position, matter, wmh, edges, 2.0)
    for i in range(4):
        here = matter & (position > edges[i]) & (position <= edges[i + 1])
        assert curve["volume_mm3"][i] == 2 * here.sum()
        assert curve["wmh_volume_mm3"][i] == 2 * (here & wmh).sum()
        assert curve["wmh_fraction"][i] == (here & wmh).sum() / here.sum()


def test_an_empty_bin_has_no_share() -> None:
    curve = load_curve([[[5.0]]], [[[1]]], [[[0]]], (0, 1, 10), 1.0)
    assert np.isnan(curve["wmh_fraction"][0])
    assert curve["wmh_fraction"][1] == 0


@pytest.mark.parametrize("edges", [(0,), (0, 0), (1, 0)])
def test_edges_that_do_not_rise_are_refused(edges: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="edges"):
        load_curve([[[5.0]]], [[[1]]], [[[0]]], edges, 1.0)
