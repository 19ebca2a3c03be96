"""The step that tells whether a given lesion mask lies where its name and header say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wmhflow.core.checks.fit import cut_share, fitting_shift_mm, gap_share
from wmhflow.core.checks.place import LEAST_CONTRAST, local_contrast
from wmhflow.core.checks.rims import brightness_levels, left_out_share, rim_brightness
from wmhflow.core.space.geometry import shift_in_words, spacing_of
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.values import read_lesions
from wmhflow.labels.digits import WHITE_MATTER, class_of
from wmhflow.steps.kinds import Facts, LabelImage, MaskImage, step
from wmhflow.steps.readings import Fitted, Meant, fitted

# The severest disease leaves more than this of the white matter.
MOST_OF_WHITE = 0.8
# A mask that lies further beside what is bright is marked, and fails its person where that is asked
# for and it lies further than two images of one head may be apart.
MOST_APART_MM, MOST_LET_THROUGH_MM = 0.8, 2.0
# More of its largest cross-section does not end in one plane while the lesions go on.
MOST_CUT = 0.25
# Less than this share of a mask is as bright as lesions and lies between two parts of it.
MOST_GAPS = 0.2
# The outermost voxels of a mask are brighter, from white matter's brightness to lesions'; and what
# touches no voxel of it and is as bright as lesions comes to less of its volume.
LEAST_RIM, MOST_LEFT_OUT = 0.3, 0.3
log = logging.getLogger("wmhflow")


class Placement(NamedTuple):
    """How well a mask fits the image where it lies, and where it would fit better."""

    facts: Facts


@step(mem_gb=2.0, seconds=2)
def judge_placement(
    in_file: Path,
    image: Grid3D,
    tissue: LabelImage,
    natives: dict[str, Any],
    reference_name: str,
    space: str,
    inverse: Path,
    quality: str,
    other_transform: Path | None = None,
    elsewhere: list[MaskImage] | None = None,
    is_flair: bool = True,
    is_probability: bool = False,
    labels: Sequence[int] = (),
    others: Sequence[int] = (),
    trust: str | None = None,
) -> Placement:
    """Measure how bright a FLAIR is in a mask beside white matter around it; try other readings.

    Parameters
    ----------
    in_file
        The mask as given.
    image, tissue
        FLAIR on the reference grid (or T1w, where lesions are dark), and the tissues there.
    natives
        Paths of the raw T1w and FLAIR, by name.
    reference_name
        Which of them is the reference.
    space
        Which of their spaces the mask lies in by its name.
    inverse
        From the template to the reference.
    quality
        What a bad fit leads to: ``flag`` or ``fail``.
    other_transform
        From the image that is not the reference to the reference.
    elsewhere
        Masks of other lesions, which may be as bright as WMH.
    is_flair
        Whether ``image`` is a FLAIR.
    is_probability, labels, others
        What the mask's values mean.
    trust
        The form of headers that is believed, ``sform`` or ``qform``.

    Raises
    ------
    InputError
        If the mask holds most of the white matter; or if it fits badly, or better in another way,
        and ``quality`` is ``fail``.
    """
    mask = read_lesions(
        in_file, is_probability=is_probability, labels=labels, others=others, trust=trust
    )
    white = class_of(tissue.data) == WHITE_MATTER

    def fit(where: NDArray[np.bool_]) -> float:
        return local_contrast(
            image.data, where, white, spacing_of(image.affine), darker=not is_flair
        )

    meant = Meant(natives, reference_name, space, inverse, other_transform, trust)
    found = fitted(in_file, mask, image, meant, fit)
    _refuse_most(in_file, found.where, white)
    beside, drawn = NOT_BESIDE, Drawn({})
    if is_flair:
        beside = _beside(in_file, image, found.where, tissue, fit)
        drawn = _drawn(in_file, image, found.where, white, elsewhere or [], beside)
    said = _said(in_file, space, found)
    said = said if found.better else beside.moved or said
    is_wrong = not found.fit >= LEAST_CONTRAST or found.better is not None or beside.is_far
    if said and quality == "fail" and is_wrong:
        raise InputError(f"{said} --registration-qc flag lets it through.")
    for sentence in filter(None, (said, beside.cut, beside.gaps, *drawn.said)):
        log.warning("%s", sentence)
    measure = "local_contrast" if is_flair else "local_darkness"
    return Placement(found.facts("wmh", measure) | beside.facts | drawn.facts)


class Drawn(NamedTuple):
    """Whether a mask ends where lesions do, and whether it lacks lesions, in words too."""

    facts: Facts
    said: tuple[str, ...] = ()


def _drawn(
    path: Path,
    image: Grid3D,
    mask: NDArray[np.bool_],
    white: NDArray[np.bool_],
    elsewhere: Sequence[MaskImage],
    beside: Beside,
) -> Drawn:
    """Tell how bright the rim of a mask is, and how much is as bright and touches it nowhere."""
    if beside.facts.get("wmh_cut_share") is None:
        # its own rim lies elsewhere
        return Drawn({"wmh_rim_brightness": None, "wmh_left_out_share": None})
    sizes, said = spacing_of(image.affine), []
    levels = brightness_levels(image.data, mask, white, sizes)
    rim = rim_brightness(image.data, mask, levels)
    other = np.logical_or.reduce([one.data for one in elsewhere]) if elsewhere else None
    left_out = left_out_share(image.data, mask, white, sizes, levels, other)
    if rim is not None and rim < LEAST_RIM:
        said.append(
            f"{path} seems to be drawn too large: its outermost voxels are hardly brighter on the "
            f"FLAIR than white matter ({rim:.2f}, where that is 0 and lesions 1); was it dilated, "
            "smoothed, or cut at a low probability? It is marked 'check'."
        )
    if left_out is not None and left_out > MOST_LEFT_OUT:
        said.append(
            f"{path} seems to lack lesions: what is as bright on the FLAIR, inside white matter, "
            f"and touches it nowhere comes to {100 * left_out:.0f} % of what it marks; does it "
            "hold all lesions, or were some of them infarcts? It is marked 'check'."
        )
    return Drawn({"wmh_rim_brightness": rim, "wmh_left_out_share": left_out}, tuple(said))


class Beside(NamedTuple):
    """How far a mask lies from where it fits, how much of it was cut off or left out, in words too.

    ``is_far`` says that it lies further off than two images of one head may be apart.
    """

    facts: Facts
    moved: str | None = None
    cut: str | None = None
    gaps: str | None = None
    is_far: bool = False


NOT_BESIDE = Beside({})


def _beside(
    path: Path,
    image: Grid3D,
    mask: NDArray[np.bool_],
    tissue: LabelImage,
    fit: Callable[[NDArray[np.bool_]], float],
) -> Beside:
    """Tell how far a mask lies from where it fits best on a FLAIR, and how much it lacks."""
    brain = class_of(tissue.data) > 0
    sizes = spacing_of(image.affine)
    shift = fitting_shift_mm(image.data, mask, brain, sizes)
    if shift is None or not fit(_moved(mask, np.rint(shift / sizes))) >= LEAST_CONTRAST:
        # it is too little to tell, or fits nowhere near
        return Beside({"wmh_apart_mm": None, "wmh_cut_share": None, "wmh_gap_share": None})
    apart, moved = float(np.linalg.norm(shift)), None
    # beside its lesions, a mask ends where they go on
    is_beside = apart > MOST_APART_MM
    share, gaps = None, None
    if not is_beside:
        share, gaps = (
            measure(image.data, mask, brain, sizes) for measure in (cut_share, gap_share)
        )
    if is_beside:
        way = shift_in_words(image.affine[:3, :3] @ (shift / sizes))
        moved = (
            f"{path} lies {apart:.1f} mm beside what is bright on the FLAIR: it fits if it is "
            f"moved {way}; is it of this scan, and did its header lose a voxel, or half of one?"
        )
    facts: Facts = {"wmh_apart_mm": apart, "wmh_cut_share": share, "wmh_gap_share": gaps}
    cut = _cut(path, share) if share is not None and share > MOST_CUT else None
    left_out = _left_out(path, gaps) if gaps is not None and gaps > MOST_GAPS else None
    return Beside(facts, moved, cut, left_out, apart > MOST_LET_THROUGH_MM)


def _cut(path: Path, share: float) -> str:
    return (
        f"{path} ends in one plane beyond which lesions go on ({100 * share:.0f} % of its largest "
        "cross-section); was it cut, or does it cover a part of the brain? It is marked 'check'."
    )


def _left_out(path: Path, share: float) -> str:
    return (
        f"{path} has gaps along one axis in which lesions go on ({100 * share:.0f} % of what it "
        "marks); were lesions drawn on some slices alone? Fill what lies between. It is marked "
        "'check'."
    )


def _moved(mask: NDArray[np.bool_], voxels: NDArray[np.float64]) -> NDArray[np.bool_]:
    moved: NDArray[np.bool_] = ndimage.shift(mask.astype(np.uint8), voxels, order=0) > 0
    return moved


def _refuse_most(path: Path, mask: NDArray[np.bool_], white: NDArray[np.bool_]) -> None:
    share = int((mask & white).sum()) / max(int(white.sum()), 1)
    if share > MOST_OF_WHITE:
        raise InputError(
            f"{path} marks {100 * share:.0f} % of the white matter as lesions; is 0 what is lesion "
            "in it, or is it a mask of something else?"
        )


def _said(path: Path, space: str, found: Fitted) -> str | None:
    """Say in a sentence that a mask fits badly, or better in another way; None if neither."""
    if found.better is None and not found.fit < LEAST_CONTRAST:
        return None
    return found.advised(
        f"{path} does not lie on the lesions where its name (space-{space}) and header put it: a "
        "voxel in it stands out from white matter around it with probability "
        f"{found.chance} (0.5 is chance)"
    )
