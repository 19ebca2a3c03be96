"""Masks of other lesions that WMH are set against: acute ones, a bleed and its oedema, spaces."""

from __future__ import annotations

from collections.abc import Mapping

from wmhflow.plan.context import Planning
from wmhflow.plan.masks import find_mask
from wmhflow.plan.visit import Given, MapPlan, VisitPlan

ACUTE, BLEED, OEDEMA, SPACES = "acute", "haemorrhage", "oedema", "perivascular"
# What label- their masks have, by what they are; the filter file may choose otherwise.
LABELS: Mapping[str, tuple[str, ...]] = {
    ACUTE: ("acute", "Acute", "DWI", "acuteDWI"),
    BLEED: ("haemorrhage", "hemorrhage", "haematoma", "hematoma", "ICH"),
    OEDEMA: ("oedema", "edema", "PHE", "PHO"),
    SPACES: ("PVS", "EPVS", "perivascular"),
}

# The maps on which acute lesions are dark, the better one first.
DIFFUSIVITIES = ("ADC", "MD")


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


def diffusivity_of(visit: VisitPlan) -> MapPlan | None:
    """Return the visit's map that shows acute lesions, if it has one.

    Parameters
    ----------
    visit
        With its maps.
    """
    known = {entry.name: entry for entry in visit.maps}
    return next((known[name] for name in DIFFUSIVITIES if name in known), None)


def say_untested(planning: Planning, visit: VisitPlan) -> None:
    """Say that nothing tells whether given acute lesions lie where they should, if so it is.

    Parameters
    ----------
    planning, visit
        The visit's, with its maps.
    """
    is_asked = planning.settings.anatomy.registration_qc != "off"
    if ACUTE in visit.others and is_asked and diffusivity_of(visit) is None:
        why = (
            f"where {visit.others[ACUTE].file.named} lies is not tested: there is neither ADC nor "
            "MD, and T1w and FLAIR may not show an acute lesion"
        )
        planning.say(ACUTE, "note", why)
