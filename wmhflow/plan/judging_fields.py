"""What only the numbers of fields of displacements tell about the transforms of maps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.align.plausible import field_fault, matrix_fault
from wmhflow.core.space.grids import apply_affine
from wmhflow.files.images import load_grid
from wmhflow.files.inspection import inspect_image
from wmhflow.plan.judging_maps import NOTHING_SAMPLED
from wmhflow.plan.visit import UNUSABLE, Composed, Decision, VisitPlan


def judge_fields(visit: VisitPlan) -> Iterator[Decision]:
    """Say which maps fields of displacements lead nowhere; such a map costs itself.

    Parameters
    ----------
    visit
        A plan without a problem.

    Yields
    ------
    Decision
        One for each map whose field is not finite, moves too far, folds, or holds too little of the
        image.
    """
    known: dict[tuple[str, Path], str] = {}
    for entry in visit.maps:
        chain = entry.transform
        if not isinstance(chain, Composed) or not chain.bends:
            continue
        # many maps share one
        key = chain.named, chain.last.path
        if key not in known:
            known[key] = _fault(chain)
        if known[key]:
            yield Decision(entry.name, UNUSABLE, f"{NOTHING_SAMPLED}: {known[key]}")


def _fault(chain: Composed) -> str:
    """Follow points from the image where a chain ends, back through its legs.

    Those of its middle tell enough of a field; an inverse is asked for in all of the head.
    """
    points = middle_of(chain.last.path)
    if any(leg.bends and leg.inverted for leg in chain.legs):
        points = head_of(chain.last.path)
    for leg in reversed(chain.legs):
        found = (taken_back if leg.inverted else _carried)(leg.file.path, points)
        if found is None:
            # of a kind that ANTs knows alone
            return ""
        points, fault = found
        if fault:
            return fault
    return ""


def _carried(path: Path, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], str] | None:
    """Carry points through a transform, and say what is wrong with a field in it."""
    # they know compiled functions, whose folder is chosen after this module is imported
    from wmhflow.core.align.chains import carried
    from wmhflow.files.itk import read_point_maps

    maps = read_point_maps([path])
    for one in maps or ():
        if one.displacements is not None:
            fault = field_fault(one.displacements, apply_affine(one.before, points))
            if fault:
                return points, f"{path} {fault}; give the transform as its program wrote it."
        points = carried(points, [one])
    return None if maps is None else (points, "")


def taken_back(path: Path, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], str] | None:
    """Carry points through the inverse of a transform of ITK, and judge whether it has one.

    Parameters
    ----------
    path
        Its file.
    points, (n, 3)
        RAS mm in the space of its moving image.

    Returns
    -------
    tuple or None
        Where they end, and a sentence where a part of it has no inverse that can be right, else an
        empty text; None for a kind of transform whose inverse is not known.
    """
    from wmhflow.core.align.inverting import inverse_fault, preimages
    from wmhflow.files.itk import point_parts

    for part in reversed(point_parts(path)):
        if part is None:
            return None
        if isinstance(part, np.ndarray):
            fault = matrix_fault(part)
            found = points if fault else apply_affine(np.asarray(np.linalg.inv(part)), points)
        else:
            fault, found = inverse_fault(part, points), preimages(part, points)
        if fault:
            return points, f"{path} {fault}; give the transform of the other direction."
        points = found
    return points, ""


def head_of(path: Path) -> NDArray[np.float64]:
    """Return points in the head that an image shows, RAS mm, (n, 3).

    Parameters
    ----------
    path
        The image.
    """
    from wmhflow.core.align.inverting import head_points

    return head_points(load_grid(path))


def middle_of(path: Path) -> NDArray[np.float64]:
    """Return points in the middle half of an image, RAS mm, (125, 3).

    Parameters
    ----------
    path
        The image.
    """
    facts = inspect_image(path)
    shares = np.indices((5, 5, 5)).reshape(3, -1).T / 8 + 0.25
    return apply_affine(facts.affine, shares * (np.array(facts.shape) - 1))
