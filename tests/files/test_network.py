"""The weights that ship fit what the search for WMH lets the network read."""

import numpy as np

from wmhflow.core.wmh.evidence import CHANNELS
from wmhflow.files.network import wmh_network


def test_the_network_reads_the_channels_that_there_are() -> None:
    network = wmh_network()
    assert network.n_channels == len(CHANNELS)
    assert all(np.isfinite(weights).all() for weights in (*network.weights, *network.offsets))
