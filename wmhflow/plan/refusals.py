"""What a visit's plan refuses or passes over: said at run time too, and not in the plan alone."""

from __future__ import annotations

import re
from collections import Counter

from wmhflow.plan.context import PARCELLATION
from wmhflow.plan.others import LABELS
from wmhflow.plan.visit import PASSED, REFUSED, UNUSABLE, Decision, VisitPlan
from wmhflow.registries.series import load_series_definitions

# How voxels of spectroscopy are called, which are no maps; and other things that are none.
SPECTRA = "mrs"
NO_MAPS = frozenset((SPECTRA, PARCELLATION, "infarct", *LABELS))
LEFT_OUT = (REFUSED, UNUSABLE, PASSED)


def left_out(visit: VisitPlan) -> list[Decision]:
    """List what was given and is not used although it was meant, with the reasons.

    Parameters
    ----------
    visit
        The plan.
    """
    return [line for line in visit.decisions if line.state in LEFT_OUT]


def left_out_measures(visit: VisitPlan) -> dict[str, int]:
    """Count what a plan leaves out, as the table of quality has it.

    Parameters
    ----------
    visit
        The plan, before its voxels are read: of what these show, the table has other rows.

    Returns
    -------
    dict
        ``…_refused`` is 1; ``…_passed_over`` counts files.
    """
    lines = left_out(visit)
    refused = {f"{_measure(line.what)}_refused": 1 for line in lines if line.state != PASSED}
    passed = Counter(_measure(line.what) for line in lines if line.state == PASSED)
    return refused | {f"{name}_passed_over": count for name, count in passed.items()}


def _measure(what: str) -> str:
    """Name what a decision is about as rows of the table of quality are named.

    Examples
    --------
    >>> _measure("SUVRFDG"), _measure("mrs acq-press_voi-a"), _measure("diffusion")
    ('map_SUVRFDG', 'mrs_acq_press_voi_a', 'series_diffusion')
    """
    name = re.sub(r"[^A-Za-z0-9]+", "_", what)
    if what in load_series_definitions():
        return f"series_{name}"
    return name if what.split(" ", maxsplit=1)[0] in NO_MAPS else f"map_{name}"
