"""The step that tells whether a mask of other lesions than WMH lies where its name says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.checks.place import better_reading, local_contrast, needs_other_readings
from wmhflow.core.space.geometry import spacing_of
from wmhflow.core.space.grids import Grid3D
from wmhflow.files.values import read_lesions
from wmhflow.labels.digits import WHITE_OR_WMH, class_of
from wmhflow.steps.alignment import complain
from wmhflow.steps.kinds import Facts, LabelImage, step
from wmhflow.steps.placement import WORDS, Placement, Reading, other_readings, placed

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
    how = "linear" if mask.reading.is_graded else "nearest"

    def fit(where: NDArray[np.bool_]) -> float:
        return standing_out(images, where, white)

    moved = [other_transform] if other_transform else []
    chains = {name: [] if name == reference_name else moved for name in natives}
    found = fit(placed(Reading(mask.share, mask.affine, chains[space]), images[0], how))
    tried: dict[str, float] = {}
    if needs_other_readings(found) and mask.share.any():
        readings = other_readings(in_file, mask, natives, space, chains, inverse, trust)
        tried = {name: fit(placed(reading, images[0], how)) for name, reading in readings}
    better = better_reading(found, tried)
    if better is not None or found < LEAST_STANDING_OUT:
        complain(_said(in_file, space, what, found, better, tried), quality)
    facts: Facts = {f"{what}_standing_out": None if np.isnan(found) else found}
    better_facts = {} if better is None else {f"{what}_fits_better_{better}": tried[better]}
    return Placement(facts | better_facts)


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


def _said(
    path: Path, space: str, what: str, found: float, better: str | None, tried: Mapping[str, float]
) -> str:
    chance = "n/a" if np.isnan(found) else f"{found:.2f}"
    where = (
        f"{path} seems not to lie on a lesion where its name (space-{space}) and header put the "
        f"{what}: white matter in it differs from that around it with probability {chance} (0.5 is "
        "chance)"
    )
    if better is None:
        return f"{where}; is it of this person and visit, and in this space?"
    return (
        f"{where}, and with {tried[better]:.2f} if it is read {WORDS[better]}; mend its name or "
        "its header."
    )
