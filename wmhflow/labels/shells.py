"""The shells' names, made from their width: every other label's name stands in the registry."""

from __future__ import annotations

import colorsys
from functools import cache
from math import isinf

from wmhflow.labels.digits import (
    ALL_LESIONS,
    BOTH,
    DEEP_LESIONS,
    LEFT,
    LESION_CLASSES,
    LETTERS,
    MOST_SHELLS,
    PERIVENTRICULAR_LESIONS,
    REST,
    RIGHT,
    shell_label,
)
from wmhflow.labels.edges import DEFAULT_MAX_MM, DEFAULT_WIDTH_MM, interval_mm, shell_count
from wmhflow.labels.regions import Region

SHELLS = "shells"
_SIDE_NAMES = {BOTH: "", LEFT: "left ", RIGHT: "right "}
_OTHER_SIDE = {LEFT: RIGHT, RIGHT: LEFT}
_CLASS_NAMES = {
    ALL_LESIONS: ("all lesions", "ALL"),
    PERIVENTRICULAR_LESIONS: ("periventricular lesions", "PV"),
    DEEP_LESIONS: ("deep lesions", "DEEP"),
}
# Hues of the first outer shell, of inner shells and of the rest; the left is darker than both
# sides together, the right darker still.
_OUTER_HUE = {ALL_LESIONS: 0.12, PERIVENTRICULAR_LESIONS: 0.08, DEEP_LESIONS: 0.55}
_INNER_HUE = {ALL_LESIONS: 0.02, PERIVENTRICULAR_LESIONS: 0.98, DEEP_LESIONS: 0.45}
_DARKEST_INNER = 20


@cache
def shell_regions(
    width_mm: float = DEFAULT_WIDTH_MM, max_mm: float = DEFAULT_MAX_MM
) -> dict[int, Region]:
    """Make the regions of the shells of a run, by number, named by their distances in mm.

    Parameters
    ----------
    width_mm
        Thickness of a shell.
    max_mm
        Outer edge of the last outer one.

    Examples
    --------
    >>> regions = shell_regions(2, 5)
    >>> regions[1103].name, regions[52].name
    ('left outer shell 4-5 mm of periventricular lesions', 'inner shell 2-4 mm of all lesions')
    >>> regions[2250].name, regions[90].name
    ('right white matter beyond 5 mm of deep lesions', 'inner shell beyond 78 mm of all lesions')
    """
    inner = range(REST + 1, REST + MOST_SHELLS + 1)
    outer = range(1, shell_count(width_mm, max_mm) + 1)
    made = [
        _region(side, lesion_class, ordinal, shell_name(ordinal, width_mm, max_mm))
        for side in (BOTH, LEFT, RIGHT)
        for lesion_class in LESION_CLASSES
        for ordinal in (*inner, *outer, REST)
    ]
    return {region.index: region for region in made}


def shell_name(ordinal: int, width_mm: float, max_mm: float) -> str:
    """Say which shell it is, without the side and the lesions.

    Parameters
    ----------
    ordinal
        1 to 40 outward, 50 the rest, 51 to 90 inward.
    width_mm, max_mm
        As in `shell_regions`.

    Examples
    --------
    >>> [shell_name(ordinal, 1.5, 6) for ordinal in (52, 1, 4, 50)]
    ['inner shell 1.5-3 mm', 'outer shell 0-1.5 mm', 'outer shell 4.5-6 mm',
     'white matter beyond 6 mm']
    """
    near, far = sorted(abs(edge) for edge in interval_mm(ordinal, width_mm, max_mm))
    extent = f"beyond {near:g} mm" if isinf(far) else f"{near:g}-{far:g} mm"
    if ordinal == REST:
        return f"white matter {extent}"
    return f"{'inner' if ordinal > REST else 'outer'} shell {extent}"


def _region(side: int, lesion_class: int, ordinal: int, shell: str) -> Region:
    def name(at: int, around: int) -> str:
        return f"{_SIDE_NAMES[at]}{shell} of {_CLASS_NAMES[around][0]}"

    parents = []
    if side != BOTH:
        parents.append(name(BOTH, lesion_class))
    if lesion_class != ALL_LESIONS:
        parents.append(name(side, ALL_LESIONS))
    return Region(
        SHELLS,
        shell_label(side, lesion_class, ordinal),
        name(side, lesion_class),
        _abbreviation(side, lesion_class, ordinal),
        LETTERS[side],
        name(_OTHER_SIDE[side], lesion_class) if side != BOTH else None,
        tuple(parents),
        _colour(side, lesion_class, ordinal),
    )


def _abbreviation(side: int, lesion_class: int, ordinal: int) -> str:
    signed = f"{REST - ordinal:+d}" if ordinal > REST else f"{ordinal:+d}"
    end = "" if side == BOTH else f"-{LETTERS[side]}"
    return f"{_CLASS_NAMES[lesion_class][1]}{'+rest' if ordinal == REST else signed}{end}"


def _colour(side: int, lesion_class: int, ordinal: int) -> str:
    """Let the hue turn outward, and the inside grow darker."""
    if ordinal == REST:
        hue, saturation, value = _OUTER_HUE[lesion_class], 0.1, 0.7 - 0.1 * side
    elif ordinal < REST:
        hue, saturation = _OUTER_HUE[lesion_class] + 0.012 * ordinal, 0.9 - 0.02 * ordinal
        saturation, value = max(saturation, 0.2), 0.98 - 0.12 * side
    else:
        hue, saturation = _INNER_HUE[lesion_class], 0.9
        value = 0.95 - 0.03 * min(ordinal - REST, _DARKEST_INNER) - 0.1 * side
    parts = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)
