"""What the QC table says of a map whose values were cut off in tissue."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.measure.coverage import Coverage
from wmhflow.core.measure.ends import at_ends
from wmhflow.core.measure.regional import covered_share

# More of a tissue does not hold the one value: it lies between fluid and air, or between both kinds
# of matter, and no measurement comes to the same number by chance.
MOST_AT_ENDS = 0.05
log = logging.getLogger("wmhflow")


def end_facts(
    path: Path,
    name: str,
    values: tuple[NDArray[np.floating], NDArray[np.bool_]],
    bounds: tuple[float, float],
    weights: Coverage,
    rows: Mapping[str, int],
) -> dict[str, Any]:
    """Tell which share of tissues holds a map's own lowest or highest value, and say if it is much.

    Parameters
    ----------
    path, name
        The map's.
    values
        Of the map, and which of them count; zeros are left out.
    bounds
        Of what its quantity can be.
    weights
        What regions cover of the map's grid.
    rows
        The place of each tissue among them, by its name in the table.

    Returns
    -------
    dict
        ``map_<name>_<tissue>_cut_off`` for each; NaN for a tissue without volume.
    """
    ends = at_ends(*values, *bounds)
    shares = {tissue: covered_share(weights, row, ends) for tissue, row in rows.items()}
    much = [f"{100 * share:.0f} % of {tissue}" for tissue, share in shares.items()
            if share > MOST_AT_ENDS]  # fmt: skip
    if much:
        log.warning(
            "%s: %s is at the map's own lowest or highest value, at which it seems to have been "
            "cut off, so that its numbers are no means of what was measured; give the map as it "
            "was computed. It is marked 'check'.",
            path, " and ".join(much),
        )  # fmt: skip
    return {f"map_{name}_{tissue.lower()}_cut_off": share for tissue, share in shares.items()}
