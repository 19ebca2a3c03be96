"""The weights of the network that weighs the search for WMH."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import as_file, files

import numpy as np

from wmhflow.core.wmh.network import Network


@lru_cache(maxsize=1)
def wmh_network() -> Network:
    """Read the weights that ship with the program; how they were made: ``benchmarks/training``.

    Returns
    -------
    Network
        Ready to read slices.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    with as_file(files("wmhflow") / "data" / "wmh_network.npz") as path, np.load(path) as arrays:
        return Network.of(dict(arrays))
