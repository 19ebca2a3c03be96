"""Sentences on what others found in a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wmhflow.registries.maps import MapDefinition, PublishedWidth

CLASS_WORDS = {"all": "all lesions", "PV": "periventricular ones", "deep": "deep ones"}
DIRECTION_WORDS = {
    "lower": "lower in WMH than in normal-appearing white matter",
    "higher": "higher in WMH than in normal-appearing white matter",
    "mixed": "at times higher and at times lower in WMH than in normal-appearing white matter",
}


def published_text(definition: MapDefinition) -> str:
    """Say what others found in WMH and around them; empty where the registry knows nothing.

    Parameters
    ----------
    definition
        The map.

    Examples
    --------
    >>> from wmhflow.registries.maps import load_maps
    >>> published_text(load_maps()["R1map"])
    'Others found it lower in WMH than in normal-appearing white matter.'
    """
    parts = []
    if definition.in_wmh is not None:
        parts.append(f"Others found it {DIRECTION_WORDS[definition.in_wmh]}.")
    if definition.published:
        widths = "; ".join(_width(one) for one in definition.published)
        parts.append(
            f"Pale bands: widths of the penumbra that others published ({widths}), which are the "
            "outermost layers in which the mean of a group differs, and no one person's."
        )
    return " ".join(parts)


def _width(one: PublishedWidth) -> str:
    low, high = one.width_mm
    width = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return f"{width} mm around {CLASS_WORDS[one.lesions]}, doi:{one.doi}"
