"""What the QC table says of a map's unit, and of whether it is the map that its name says."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

from wmhflow.registries.maps import FAR_LOWER, LOWER

# The least fluid that tells anything, and a share of white matter's value that is no difference.
LEAST_FLUID_MM3, SAME_SHARE = 1000.0, 0.05
# Of what NAWM has: fluid has next to none of it, and what it holds beside its edge is tissue's.
FAR_SHARE = 0.5
NO_UNIT = "1"
# Units of a fraction; what else has a value in free water is a diffusivity.
SHARES = (NO_UNIT, "%")
# Fluid that pulsates seems to diffuse faster than water: at b = 1000 by 4 % in the ventricles, by
# which temperatures are told (Sakai 2012, doi:10.1002/nbm.1755), and more at lower b. Noise makes
# the largest of three diffusivities larger still.
MOST_OF_FREE = {"MD": 1.25, "AD": 1.5}
# Half of the ventricles' voxels hold more, but for what their walls have of them.
LEAST_FREE = 0.6
log = logging.getLogger("wmhflow")


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


def fluid_facts(
    path: Path,
    called: tuple[str, str],
    in_fluid: str | None,
    medians: tuple[float, float],
    seen_mm3: float,
) -> dict[str, Any]:
    """Tell whether a map is the other way round in fluid than the quantity of its name is.

    Water diffuses freely in fluid and relaxes slowly: a T1 below that of white matter is a rate.

    Parameters
    ----------
    path
        The map, for the message.
    called
        Its name and the tables' unit.
    in_fluid
        Whether the quantity is lower, far lower (less than half) or higher in fluid than in white
        matter; None if unknown.
    medians
        In the lateral ventricles and in NAWM, in the tables' unit.
    seen_mm3
        Volume of the ventricles that has valid values.

    Returns
    -------
    dict
        ``map_<name>_fluid_reversed``: 1, 0, or None where there is too little fluid; nothing where
        physics tells nothing.

    Examples
    --------
    >>> fluid_facts(Path("T1map.nii"), ("T1map", "s"), "higher", (4.1, 0.9), 2e4)
    {'map_T1map_fluid_reversed': 0}
    """
    if in_fluid is None:
        return {}
    (name, unit), (fluid, nawm) = called, medians
    is_reversed = None
    if math.isfinite(fluid) and math.isfinite(nawm) and seen_mm3 >= LEAST_FLUID_MM3:
        if in_fluid == FAR_LOWER:
            is_reversed = int(fluid > FAR_SHARE * nawm)
        else:
            above = fluid - nawm if in_fluid == LOWER else nawm - fluid
            is_reversed = int(above > SAME_SHARE * abs(nawm))
    if is_reversed:
        log.warning(
            "%s: its median is %.3g in the lateral ventricles and %.3g in normal-appearing white "
            "matter%s, and %s is %s in fluid: look whether it holds another quantity, such as a "
            "reciprocal, was turned round, or lies elsewhere, or was made of images that were not "
            "scaled alike. It is marked 'check'.",
            path, fluid, nawm, "" if unit == NO_UNIT else f" ({unit})", name, in_fluid,
        )  # fmt: skip
    return {f"map_{name}_fluid_reversed": is_reversed}


def free_water_facts(
    path: Path, called: tuple[str, str], free_water: float | None, fluid: float, seen_mm3: float
) -> dict[str, Any]:
    """Compare a map in fluid with its value in free water.

    Nothing diffuses faster, and next to all of fluid is free water.

    Parameters
    ----------
    path, called, seen_mm3
        As for :func:`fluid_facts`.
    free_water
        Its value in free water, in the tables' unit; None if it is not known.
    fluid
        The median in the lateral ventricles, in the tables' unit.

    Returns
    -------
    dict
        ``map_<name>_fluid_over_free_water`` of a diffusivity, or
        ``map_<name>_fluid_free_water_share`` of a fraction: a ratio, or None where there is too
        little fluid; nothing of other maps.

    Examples
    --------
    >>> free_water_facts(Path("md.nii"), ("MD", "mm^2/s"), 3.04e-3, 3.04e-3, 2e4)
    {'map_MD_fluid_over_free_water': 1.0}
    >>> free_water_facts(Path("fw.nii"), ("FW", "%"), 100, 98, 2e4)
    {'map_FW_fluid_free_water_share': 0.98}
    """
    if free_water is None:
        return {}
    name, unit = called
    is_share = unit in SHARES
    metric = f"map_{name}_fluid_{'free_water_share' if is_share else 'over_free_water'}"
    is_known = math.isfinite(fluid) and seen_mm3 >= LEAST_FLUID_MM3
    ratio = fluid / free_water if is_known else None
    if ratio is None:
        return {metric: None}
    shown = f"{fluid:.3g}{'' if unit == NO_UNIT else f' {unit}'}"
    if is_share and ratio < LEAST_FREE:
        log.warning(
            "%s: its median is %s in the lateral ventricles, which hold free water alone: were its "
            "values multiplied, or does it lie elsewhere? It is marked 'check'.", path, shown,
        )  # fmt: skip
    elif not is_share and ratio > MOST_OF_FREE.get(name, MOST_OF_FREE["MD"]):
        log.warning(
            "%s: its median is %s in the lateral ventricles, %.1f times the diffusivity of "
            "free water at body temperature: were its b-values others than those that were used, "
            "or its values multiplied? It is marked 'check'.", path, shown, ratio,
        )  # fmt: skip
    return {metric: ratio}
