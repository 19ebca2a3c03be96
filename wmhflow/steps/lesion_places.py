"""The steps that tell whether masks of other lesions lie as such lesions do.

Those of acute lesions and of perivascular spaces, and one of infarcts beside that of WMH.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.checks.exchanged import NEAR_MM, Lay, lay_of, seem_exchanged
from wmhflow.core.checks.place import local_contrast, mostly_in
from wmhflow.core.space.geometry import spacing_of, voxel_mm3
from wmhflow.core.space.grids import Grid3D
from wmhflow.files.forms import trusted_affine
from wmhflow.files.images import load_volume
from wmhflow.files.values import LesionMask, read_lesions
from wmhflow.labels.digits import (
    DEEP_GREY,
    LEFT,
    RIGHT,
    VENTRICLES,
    WHITE_OR_WMH,
    class_of,
)
from wmhflow.steps.acute import brought
from wmhflow.steps.alignment import complain
from wmhflow.steps.kinds import Facts, LabelImage, MaskImage, step
from wmhflow.steps.placement import Placement
from wmhflow.steps.readings import Meant, fitted

# Chosen on simulated scans (docs/usage.md): the diffusivity in acute lesions, and the brightness in
# perivascular spaces, is lower than around them. A bound of the QC table as well.
LEAST_DARKNESS = 0.65
# Less of acute lesions tells nothing in slices of 5 mm.
LEAST_ACUTE_MM3 = 500.0
# Share of perivascular spaces in white matter and deep grey matter. A bound of the QC table too.
LEAST_IN_TISSUE = 0.8
LEAST_VOXELS = 20
MM3_PER_ML = 1000.0
TISSUE = (*WHITE_OR_WMH, DEEP_GREY)
log = logging.getLogger("wmhflow")


@step(mem_gb=2.5, seconds=4)
def judge_acute_placement(
    in_file: Path,
    diffusivity: Path,
    tissue: LabelImage,
    natives: dict[str, Any],
    reference_name: str,
    space: str,
    inverse: Path,
    quality: str,
    map_name: str,
    diffusivity_transform: Path | None = None,
    other_transform: Path | None = None,
    without: Sequence[str] = (),
    is_probability: bool = False,
    labels: Sequence[int] = (),
    others: Sequence[int] = (),
    trust: str | None = None,
) -> Placement:
    """Measure how much lower the diffusivity is in acute lesions than around; try other readings.

    Parameters
    ----------
    in_file
        The mask as given.
    diffusivity, map_name
        A map of ADC or MD, and which of them it is.
    tissue
        The tissues on the reference grid.
    natives, reference_name, space, inverse, quality, other_transform, trust
        As for :func:`wmhflow.steps.placement.judge_placement`.
    diffusivity_transform
        From the map to the reference; None where the headers agree.
    without
        Names of maps that cannot be used.
    is_probability, labels, others
        What the mask's values mean.

    Raises
    ------
    InputError
        If the diffusivity is not lower in the mask, or is lower in another way of reading it, and
        ``quality`` is ``fail``.
    """
    if map_name in without:
        return Placement({"acute_local_darkness": None})
    mask = _read(in_file, is_probability, labels, others, trust)
    data, affine = load_volume(diffusivity)
    values = np.asarray(data, dtype=np.float32)
    # 0 is the outside of a map's mask, or a failed fit
    given = Grid3D(
        np.where(values != 0, values, np.nan), trusted_affine(diffusivity, affine, trust)
    )
    grid = Grid3D(np.zeros(tissue.data.shape, np.float32), tissue.affine)
    shown = brought(given, grid, diffusivity_transform)
    known = np.isfinite(shown)
    seen, room = np.where(known, shown, 0), known & np.isin(class_of(tissue.data), TISSUE)
    sizes = spacing_of(tissue.affine)

    def fit(where: NDArray[np.bool_]) -> float:
        if np.count_nonzero(where & known) * voxel_mm3(tissue.affine) < LEAST_ACUTE_MM3:
            return float("nan")
        return local_contrast(seen, where & known, room, sizes, darker=True)

    meant = Meant(natives, reference_name, space, inverse, other_transform, trust)
    found = fitted(in_file, mask, grid, meant, fit)
    if found.better is not None or found.fit < LEAST_DARKNESS:
        where = (
            f"{in_file} seems not to lie on acute lesions where its name (space-{space}) and "
            f"header put it: {map_name} in it is lower than in tissue around it with probability "
            f"{found.chance} (0.5 is chance)"
        )
        complain(found.advised(where), quality)
    return Placement(found.facts("acute", "local_darkness"))


@step(mem_gb=2.0, seconds=3)
def judge_spaces_placement(
    in_file: Path,
    image: Grid3D,
    image_name: str,
    tissue: LabelImage,
    natives: dict[str, Any],
    reference_name: str,
    space: str,
    inverse: Path,
    quality: str,
    other_transform: Path | None = None,
    is_probability: bool = False,
    labels: Sequence[int] = (),
    others: Sequence[int] = (),
    trust: str | None = None,
) -> Placement:
    """Measure how much of perivascular spaces lies in white and deep grey matter, and how dark.

    Parameters
    ----------
    in_file
        The mask as given.
    image, image_name
        The T1w, or else the FLAIR, on the reference grid: spaces hold fluid and are dark on both.
    tissue
        The tissues there.
    natives, reference_name, space, inverse, quality, other_transform, trust
        As for :func:`wmhflow.steps.placement.judge_placement`.
    is_probability, labels, others
        What the mask's values mean.

    Raises
    ------
    InputError
        If it lies elsewhere, is not dark, or is darker in another way of reading it, and
        ``quality`` is ``fail``.
    """
    mask = _read(in_file, is_probability, labels, others, trust)
    room = np.isin(class_of(tissue.data), TISSUE)
    sizes = spacing_of(tissue.affine)
    near = mostly_in(room, sizes)

    def fit(where: NDArray[np.bool_]) -> float:
        return local_contrast(image.data, where & near, room, sizes, darker=True)

    meant = Meant(natives, reference_name, space, inverse, other_transform, trust)
    found = fitted(in_file, mask, image, meant, fit)
    n = int(np.count_nonzero(found.where))
    share = None if n < LEAST_VOXELS else int(np.count_nonzero(found.where & near)) / n
    is_elsewhere = share is not None and share < LEAST_IN_TISSUE
    if is_elsewhere or found.better is not None or found.fit < LEAST_DARKNESS:
        inside = "n/a" if share is None else f"{100 * share:.0f} %"
        where = (
            f"{in_file} seems not to lie on perivascular spaces where its name (space-{space}) and "
            f"header put it: {inside} of it lies in white matter or deep grey matter, and there "
            f"the {image_name} is darker in it than around it with probability {found.chance} "
            "(0.5 is chance)"
        )
        complain(found.advised(where), quality)
    facts: Facts = {"perivascular_in_tissue": share}
    return Placement(facts | found.facts("perivascular", "local_darkness"))


class Exchanged(NamedTuple):
    """Whether two masks seem to be each other's."""

    facts: Facts


@step(mem_gb=2.0, seconds=3)
def judge_two_lesions(
    wmh: MaskImage,
    infarct: MaskImage,
    tissue: LabelImage,
    hemispheres: LabelImage,
    sources: list[str],
    quality: str,
) -> Exchanged:
    """Tell whether given WMH lie as an infarct does, and the infarcts as WMH.

    Parameters
    ----------
    wmh, infarct
        Both masks on the reference grid, before one is taken out of the other.
    tissue, hemispheres
        The tissues there, and the side of every voxel.
    sources
        The files of both, or the one file in which they are labels.
    quality
        What it leads to: ``flag`` or ``fail``.

    Raises
    ------
    InputError
        If they do, and ``quality`` is ``fail``.
    """
    ventricles, side = class_of(tissue.data) == VENTRICLES, hemispheres.data
    sizes = spacing_of(tissue.affine)
    own, other = (
        lay_of(mask.data, ventricles, side == LEFT, side == RIGHT, sizes) for mask in (wmh, infarct)
    )
    is_exchanged = seem_exchanged(own, other)
    if is_exchanged:
        complain(_exchanged(own, other, sources), quality)
    return Exchanged({"wmh_exchanged_with_infarct": int(is_exchanged)})


def _exchanged(wmh: Lay, infarct: Lay, sources: Sequence[str]) -> str:
    lies = (
        f"what is taken for WMH ({wmh.volume_mm3 / MM3_PER_ML:.1f} mL) lies as an infarct does "
        f"({100 * wmh.largest:.0f} % of it in one piece, {100 * wmh.near:.0f} % within "
        f"{NEAR_MM:g} mm of the ventricles), and what is taken for infarcts "
        f"({infarct.volume_mm3 / MM3_PER_ML:.1f} mL) as WMH do (both sides, "
        f"{100 * infarct.near:.0f} % there)"
    )
    if len(sources) == 1:
        return (
            f"{sources[0]}: {lies}; its labels seem to be exchanged: see which number is which, "
            "and correct --wmh-labels or the mask."
        )
    return (
        f"{' and '.join(sources)}: {lies}; the two masks seem to be exchanged: see which is which."
    )


def _read(
    path: Path,
    is_probability: bool,
    labels: Sequence[int],
    others: Sequence[int],
    trust: str | None,
) -> LesionMask:
    return read_lesions(
        path, is_probability=is_probability, labels=labels, others=others, trust=trust
    )
