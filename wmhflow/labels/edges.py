"""Where each shell begins and ends, in mm."""

from __future__ import annotations

from math import ceil, inf

from wmhflow.labels.digits import MOST_SHELLS, REST

DEFAULT_WIDTH_MM, DEFAULT_MAX_MM = 2.0, 14.0
# Rounding takes 3 * 0.7 to 2.1, so that a distance of 2.1 mm falls on the edge of a shell.
DECIMALS = 9


def shell_count(width_mm: float, max_mm: float) -> int:
    """Return how many outer shells there are, a thinner last one included.

    Parameters
    ----------
    width_mm
        Thickness of a shell.
    max_mm
        Outer edge of the last one.

    Examples
    --------
    >>> shell_count(2, 14), shell_count(2, 5), shell_count(0.7, 2.1)
    (7, 3, 3)
    """
    return ceil(round(max_mm / width_mm, DECIMALS))


def has_whole_shells(width_mm: float, max_mm: float) -> bool:
    """Tell whether the last outer shell is as thick as the others.

    Parameters
    ----------
    width_mm, max_mm
        As in `shell_count`.

    Examples
    --------
    >>> has_whole_shells(2, 14), has_whole_shells(2, 5), has_whole_shells(0.7, 2.1)
    (True, False, True)
    """
    return round(max_mm / width_mm, DECIMALS) == shell_count(width_mm, max_mm)


def interval_mm(ordinal: int, width_mm: float, max_mm: float) -> tuple[float, float]:
    """Return the distances between which a shell lies, negative inside the lesions.

    Parameters
    ----------
    ordinal
        1 to 40 outward, 50 the rest beyond the last outer shell, 51 to 90 inward.
    width_mm, max_mm
        As in `shell_count`.

    Returns
    -------
    tuple
        The lower edge, which is not included, and the upper one, which is. The rest has no upper
        edge; the fortieth inner shell holds whatever lies deeper, and has no lower one.

    Examples
    --------
    >>> [interval_mm(ordinal, 2, 5) for ordinal in (1, 3, 50, 51)]
    [(0.0, 2.0), (4.0, 5.0), (5.0, inf), (-2.0, 0.0)]
    """
    if ordinal == REST:
        return float(max_mm), inf
    if ordinal < REST:
        lower, is_last = edge_mm(ordinal - 1, width_mm), ordinal == shell_count(width_mm, max_mm)
        return lower, float(max_mm) if is_last else edge_mm(ordinal, width_mm)
    inner = ordinal - REST
    lower = -inf if inner == MOST_SHELLS else -edge_mm(inner, width_mm)
    return lower, 0.0 - edge_mm(inner - 1, width_mm)


def edge_mm(steps: int, width_mm: float) -> float:
    """Return how far from the lesion's edge so many whole shells reach.

    Parameters
    ----------
    steps
        Number of shells.
    width_mm
        Thickness of each.

    Examples
    --------
    >>> edge_mm(3, 0.7), 3 * 0.7
    (2.1, 2.0999999999999996)
    """
    return round(float(steps * width_mm), DECIMALS)
