"""What the QC table says of a map's unit."""

from __future__ import annotations

import math
from typing import Any


def unit_facts(
    name: str,
    factor: float,
    plausible: tuple[float, float] | None,
    nawm_median: float,
    *,
    can_be_negative: bool,
    has_either_sign: bool = True,
) -> dict[str, Any]:
    """Tell what a map's values were multiplied by, and whether NAWM is as white matter usually is.

    Parameters
    ----------
    name
        The map's.
    factor
        From the file's unit to the tables'.
    plausible
        Typical sizes of white matter, in the tables' unit; None if they are not known.
    nawm_median
        In the tables' unit.
    can_be_negative
        Whether values below 0 are measured, so that their median may be as small as it likes.
    has_either_sign
        Whether such values mean something, as in susceptibility; if not they are noise, and a
        median below 0 is none of tissue.

    Examples
    --------
    >>> unit_facts("MD", 0.001, (0.0004, 0.0025), 0.005, can_be_negative=False)
    {'map_MD_unit_factor': 0.001, 'map_MD_nawm_implausibility': 2.0}
    >>> unit_facts("CBF", 1.0, (4, 150), -40, can_be_negative=True, has_either_sign=False)
    {'map_CBF_unit_factor': 1.0, 'map_CBF_nawm_implausibility': 11.0}
    """
    facts: dict[str, Any] = {f"map_{name}_unit_factor": factor}
    if plausible is not None:
        size = abs(nawm_median)
        too_small = plausible[0] / size if size > 0 and not can_be_negative else 1.0
        times = math.nan if math.isnan(size) else max(size / plausible[1], too_small, 1.0)
        if nawm_median < 0 and not has_either_sign:
            times = (plausible[0] + size) / plausible[0]
        facts[f"map_{name}_nawm_implausibility"] = times
    return facts
