"""Steps that compute quantitative maps from what a scanner gave: a function and a row for each.

A map that may be computed says so in ``data/maps.toml``: ``computed`` names the step here, and the
files that it takes, by parameter::

    computed = { step = "rate", files = { t1 = { suffix = "T1map" } } }

It is computed where the map itself is not given and all of these files are there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# By the name that the registry of maps calls them: each takes paths, and gives a named tuple whose
# field `map` is the map on its own grid.
MAP_STEPS: dict[str, Callable[..., Any]] = {}
