"""The step that tells whether a mask of other lesions than WMH lies where its name says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.checks.place import local_contrast
from wmhflow.core.space.geometry import spacing_of
from wmhflow.core.space.grids import Grid3D
from wmhflow.files.values import read_lesions
from wmhflow.labels.digits import WHITE_OR_WMH, class_of
from wmhflow.steps.alignment import complain
from wmhflow.steps.kinds import LabelImage, step
from wmhflow.steps.placement import Placement
from wmhflow.steps.readings import Meant, fitted

# A lesion of any age stands out of white matter, dark or bright, on the T1w or the FLAIR. By chance
# the largest of these four reaches this. A bound of the QC table as well.
LEAST_STANDING_OUT = 0.65


@step(mem_gb=2.0, seconds=2)
def judge_other_placement(
    in_file: Path,
    images: list[Grid3D],
    tissue: LabelImage,
    natives: dict[str, Any],
    reference_name: str,
    space: str,
    inverse: Path,
    quality: str,
    what: str,
    other_transform: Path | None = None,
    is_probability: bool = False,
    labels: Sequence[int] = (),
    others: Sequence[int] = (),
    trust: str | None = None,
) -> Placement:
    """Measure how far the white matter in a mask differs from that around it; try other readings.

    Parameters
    ----------
    in_file
        The mask as given.
    images, tissue
        T1w and FLAIR on the reference grid, those that there are, and the tissues there.
    natives, reference_name, space, inverse, quality, other_transform, trust
        As for :func:`wmhflow.steps.placement.judge_placement`.
    what
        What it is a mask of.
    is_probability, labels, others
        What the mask's values mean.

    Raises
    ------
    InputError
        If the mask does not stand out, or more in another way, and ``quality`` is ``fail``.
    """
    mask = read_lesions(
        in_file,
        is_probability=is_probability,
        labels=labels,
        others=others,
        union=what == "infarct",
        trust=trust,
    )
    white = np.isin(class_of(tissue.data), WHITE_OR_WMH)

    def fit(where: NDArray[np.bool_]) -> float:
        return standing_out(images, where, white)

    meant = Meant(natives, reference_name, space, inverse, other_transform, trust)
    found = fitted(in_file, mask, images[0], meant, fit)
    if found.better is not None or found.fit < LEAST_STANDING_OUT:
        where = (
            f"{in_file} seems not to lie on a lesion where its name (space-{space}) and header put "
            f"the {what}: white matter in it differs from that around it with probability "
            f"{found.chance} (0.5 is chance)"
        )
        complain(found.advised(where), quality)
    return Placement(found.facts(what, "standing_out"))


def standing_out(
    images: Sequence[Grid3D], mask: NDArray[np.bool_], white: NDArray[np.bool_]
) -> float:
    """Measure how surely white matter in a mask is brighter, or darker, than that around the mask.

    Parameters
    ----------
    images
        On one grid; the one on which it stands out most counts.
    mask, white
        The lesion and white matter, on that grid. Cortex in the lesion tells nothing: it differs
        from white matter everywhere.

    Returns
    -------
    float
        Probability as of :func:`wmhflow.core.checks.place.local_contrast`, from 0.5 on; NaN with
        little white matter in the mask or around it.
    """
    inside, around = mask & white, white & ~mask
    found = [
        local_contrast(image.data, inside, around, spacing_of(image.affine)) for image in images
    ]
    known = [max(one, 1 - one) for one in found if np.isfinite(one)]
    return max(known, default=float("nan"))
