"""What only the numbers of fields of displacements tell about the transforms of maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.align.plausible import field_fault
from wmhflow.core.space.grids import apply_affine
from wmhflow.errors import InputError
from wmhflow.files.inspection import inspect_image
from wmhflow.plan.visit import Composed, VisitPlan


def judge_fields(visit: VisitPlan) -> None:
    """Refuse fields of displacements that lead a map nowhere.

    Parameters
    ----------
    visit
        A plan without a problem.

    Raises
    ------
    InputError
        If a field is not finite, moves too far, folds, or holds too little of the image.
    """
    chains = [entry.transform for entry in visit.maps if isinstance(entry.transform, Composed)]
    # many maps share one
    bent = {(chain.named, chain.last.path): chain for chain in chains if chain.bends}
    for chain in bent.values():
        _judge(chain)


def _judge(chain: Composed) -> None:
    """Follow points from the middle of the image where a chain ends, back through its legs."""
    # they know compiled functions, whose folder is chosen after this module is imported
    from wmhflow.core.align.chains import carried
    from wmhflow.files.itk import read_point_maps

    points = middle_of(chain.last.path)
    for leg in reversed(chain.legs):
        maps = read_point_maps([leg.file.path], [leg.inverted])
        if maps is None:
            # of a kind that ANTs knows alone
            return
        for one in maps:
            if one.displacements is not None:
                fault = field_fault(one.displacements, apply_affine(one.before, points))
                if fault:
                    raise InputError(
                        f"{leg.file.path} {fault}; give the transform as its program wrote it."
                    )
            points = carried(points, [one])


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
