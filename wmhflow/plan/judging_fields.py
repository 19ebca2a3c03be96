"""What only the numbers of fields of displacements tell about the transforms of maps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.align.plausible import field_fault
from wmhflow.core.space.grids import apply_affine
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
    """Follow points from the middle of the image where a chain ends, back through its legs."""
    # they know compiled functions, whose folder is chosen after this module is imported
    from wmhflow.core.align.chains import carried
    from wmhflow.files.itk import read_point_maps

    points = middle_of(chain.last.path)
    for leg in reversed(chain.legs):
        maps = read_point_maps([leg.file.path], [leg.inverted])
        if maps is None:
            # of a kind that ANTs knows alone
            return ""
        for one in maps:
            if one.displacements is not None:
                fault = field_fault(one.displacements, apply_affine(one.before, points))
                if fault:
                    return f"{leg.file.path} {fault}; give the transform as its program wrote it."
            points = carried(points, [one])
    return ""


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
