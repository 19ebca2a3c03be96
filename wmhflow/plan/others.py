"""Masks of other lesions that WMH are set against: acute ones, a bleed and its oedema, spaces."""

from __future__ import annotations

from collections.abc import Mapping

from wmhflow.plan.context import Planning
from wmhflow.plan.masks import find_mask
from wmhflow.plan.visit import Given, VisitPlan

ACUTE, BLEED, OEDEMA, SPACES = "acute", "haemorrhage", "oedema", "perivascular"
# What label- their masks have, by what they are; the filter file may choose otherwise.
LABELS: Mapping[str, tuple[str, ...]] = {
    ACUTE: ("acute", "Acute", "DWI", "acuteDWI"),
    BLEED: ("haemorrhage", "hemorrhage", "haematoma", "hematoma", "ICH"),
    OEDEMA: ("oedema", "edema", "PHE", "PHO"),
    SPACES: ("PVS", "EPVS", "perivascular"),
}


def find_others(planning: Planning, visit: VisitPlan) -> dict[str, Given]:
    """Find the masks of other lesions, at most one of each kind.

    Parameters
    ----------
    planning
        The visit's.
    visit
        What is decided so far.

    Raises
    ------
    InputError
        If there are two masks of a kind.
    """
    found = {kind: find_mask(planning, kind, visit, labels) for kind, labels in LABELS.items()}
    if planning.settings.anatomy.acute_source == "dwi" and (passed := found.pop(ACUTE)):
        why = f"{passed.file.named} is passed over: --acute-source dwi"
        planning.say(ACUTE, "note", why)
    return {kind: given for kind, given in found.items() if given is not None}
