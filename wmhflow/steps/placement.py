"""The step that tells whether a given lesion mask lies where its name and header say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wmhflow.ants.transforms import resample_through
from wmhflow.core.checks.fit import cut_share, fitting_shift_mm
from wmhflow.core.checks.place import (
    LEAST_CONTRAST,
    better_reading,
    local_contrast,
    needs_other_readings,
)
from wmhflow.core.space.geometry import ras_axes, spacing_of
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.forms import QFORM, SFORM, read_forms, trusted_affine
from wmhflow.files.images import read_header
from wmhflow.files.values import LesionMask, read_lesions
from wmhflow.labels.digits import WHITE_MATTER, class_of
from wmhflow.steps.kinds import Facts, LabelImage, step

# Affines that differ by less put every voxel of a head at the same place.
SAME_PLACE_MM = 0.01
# The severest disease leaves more than this of the white matter.
MOST_OF_WHITE = 0.8
# A mask that lies further beside what is bright is marked, and fails its person where that is asked
# for and it lies further than two images of one head may be apart.
MOST_APART_MM, MOST_LET_THROUGH_MM = 0.8, 2.0
# More of its largest cross-section does not end in one plane while the lesions go on.
MOST_CUT = 0.25
FLIPS = ("mirrored", "front_to_back", "upside_down")
WORDS = {
    "in_T1w_space": "in the space of the T1w",
    "in_FLAIR_space": "in the space of the FLAIR",
    "on_T1w_grid": "voxel by voxel on the grid of the T1w",
    "on_FLAIR_grid": "voxel by voxel on the grid of the FLAIR",
    "by_qform": "by its qform, and not by its sform",
    "by_sform": "by its sform, and not by its qform",
    "in_template_space": "in the space of the template (MNI)",
    "mirrored": "with left and right exchanged",
    "front_to_back": "with front and back exchanged",
    "upside_down": "upside down",
}
log = logging.getLogger("wmhflow")


class Placement(NamedTuple):
    """How well a mask fits the image where it lies, and where it would fit better."""

    facts: Facts


class Reading(NamedTuple):
    """A way of reading a mask: voxels, their place, and the way from there to the reference."""

    share: NDArray[np.float32]
    affine: NDArray[np.float64]
    transforms: Sequence[Path]


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
    how = "linear" if mask.reading.is_graded else "nearest"

    def fit(where: NDArray[np.bool_]) -> float:
        return local_contrast(
            image.data, where, white, spacing_of(image.affine), darker=not is_flair
        )

    moved = [other_transform] if other_transform else []
    chains = {name: [] if name == reference_name else moved for name in natives}
    as_given = placed(Reading(mask.share, mask.affine, chains[space]), image, how)
    _refuse_most(in_file, as_given, white)
    found = fit(as_given)
    tried: dict[str, float] = {}
    if needs_other_readings(found) and mask.share.any():
        readings = other_readings(in_file, mask, natives, space, chains, inverse, trust)
        tried = {name: fit(placed(reading, image, how)) for name, reading in readings}
    better = better_reading(found, tried)
    beside = _beside(in_file, image, as_given, tissue, fit) if is_flair else NOT_BESIDE
    said = _said(in_file, space, found, better, tried)
    said = said if better else beside.moved or said
    if said and quality == "fail" and (not found >= LEAST_CONTRAST or better or beside.is_far):
        raise InputError(f"{said} --registration-qc flag lets it through.")
    for sentence in filter(None, (said, beside.cut)):
        log.warning("%s", sentence)
    return Placement(_facts(found, better, tried, is_flair=is_flair) | beside.facts)


class Beside(NamedTuple):
    """How far a mask lies from where it fits, and how much of it was cut off; and how it is said.

    ``is_far`` says that it lies further off than two images of one head may be apart.
    """

    facts: Facts
    moved: str | None = None
    cut: str | None = None
    is_far: bool = False


NOT_BESIDE = Beside({})


def _beside(
    path: Path,
    image: Grid3D,
    mask: NDArray[np.bool_],
    tissue: LabelImage,
    fit: Callable[[NDArray[np.bool_]], float],
) -> Beside:
    """Tell how far a mask lies from where it fits best on a FLAIR, and how much was cut off."""
    brain = class_of(tissue.data) > 0
    sizes = spacing_of(image.affine)
    shift = fitting_shift_mm(image.data, mask, brain, sizes)
    if shift is None or not fit(_moved(mask, np.rint(shift / sizes))) >= LEAST_CONTRAST:
        # it is too little to tell, or fits nowhere near
        return Beside({"wmh_apart_mm": None, "wmh_cut_share": None})
    apart, moved, cut = float(np.linalg.norm(shift)), None, None
    # beside its lesions, a mask ends where they go on
    is_beside = apart > MOST_APART_MM
    share = None if is_beside else cut_share(image.data, mask, brain, sizes)
    if is_beside:
        way = _in_words(image.affine[:3, :3] @ (shift / sizes))
        moved = (
            f"{path} lies {apart:.1f} mm beside what is bright on the FLAIR: it fits if it is "
            f"moved {way}; is it of this scan, and did its header lose a voxel, or half of one?"
        )
    if share is not None and share > MOST_CUT:
        cut = (
            f"{path} ends in one plane beyond which lesions go on ({100 * share:.0f} % of its "
            "largest cross-section); was it cut, or does it cover a part of the brain? It is "
            "marked 'check'."
        )
    facts: Facts = {"wmh_apart_mm": apart, "wmh_cut_share": share}
    return Beside(facts, moved, cut, apart > MOST_LET_THROUGH_MM)


def _moved(mask: NDArray[np.bool_], voxels: NDArray[np.float64]) -> NDArray[np.bool_]:
    moved: NDArray[np.bool_] = ndimage.shift(mask.astype(np.uint8), voxels, order=0) > 0
    return moved


def _in_words(mm: NDArray[np.float64]) -> str:
    """Say a shift in the world in words, its parts below a tenth of a millimetre left out."""
    ways = (("right", "left"), ("forward", "back"), ("up", "down"))
    parts = [
        f"{abs(part):.1f} mm {words[0] if part > 0 else words[1]}"
        for part, words in zip(mm.tolist(), ways, strict=True)
        if abs(part) >= 0.1
    ]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[:-1] else parts)


def placed(reading: Reading, image: Grid3D, how: str) -> NDArray[np.bool_]:
    """Bring a mask to the image's grid.

    Parameters
    ----------
    reading
        How it is read.
    image
        The image.
    how
        ``nearest`` or ``linear``.
    """
    chain = [str(path) for path in reading.transforms]
    laid = resample_through(Grid3D(reading.share, reading.affine), image, chain, how)
    return np.asarray(laid > 0.5)


def _facts(
    found: float, better: str | None, others: Mapping[str, float], *, is_flair: bool
) -> Facts:
    what = "wmh_local_contrast" if is_flair else "wmh_local_darkness"
    facts: Facts = {what: None if np.isnan(found) else found}
    return facts | ({} if better is None else {f"wmh_fits_better_{better}": others[better]})


def _refuse_most(path: Path, mask: NDArray[np.bool_], white: NDArray[np.bool_]) -> None:
    share = int((mask & white).sum()) / max(int(white.sum()), 1)
    if share > MOST_OF_WHITE:
        raise InputError(
            f"{path} marks {100 * share:.0f} % of the white matter as lesions; is 0 what is lesion "
            "in it, or is it a mask of something else?"
        )


def other_readings(
    path: Path,
    mask: LesionMask,
    natives: Mapping[str, str],
    space: str,
    chains: Mapping[str, list[Path]],
    inverse: Path,
    trust: str | None,
) -> Iterator[tuple[str, Reading]]:
    """Go through other ways of reading a mask; of several that fit, the first is the likeliest.

    Parameters
    ----------
    path, mask
        The mask.
    natives
        Paths of the raw T1w and FLAIR, by name.
    space
        Which of their spaces it lies in by its name.
    chains
        From each of these spaces to the reference.
    inverse
        From the template to the reference.
    trust
        The form of headers that is believed, ``sform`` or ``qform``.

    Yields
    ------
    str and Reading
        The name of a way, and the mask read so.
    """
    names = sorted(natives, key=lambda name: name != space)
    for name in names[1:]:
        yield f"in_{name}_space", Reading(mask.share, mask.affine, chains[name])
    forms = read_forms(path)
    for form in (SFORM, QFORM):
        affine = None if forms is None else getattr(forms, form)
        if affine is not None and not _same_place(affine, mask.affine, mask.share.shape):
            yield f"by_{form}", Reading(mask.share, affine, chains[space])
    for name in names:
        shape, affine, _ = read_header(Path(natives[name]))
        affine = trusted_affine(Path(natives[name]), affine, trust)
        if shape == mask.share.shape and not _same_place(affine, mask.affine, shape):
            yield f"on_{name}_grid", Reading(mask.share, affine, chains[name])
    yield "in_template_space", Reading(mask.share, mask.affine, [inverse])
    for number, name in enumerate(FLIPS):
        flipped = np.flip(mask.share, ras_axes(mask.affine).axes[number])
        yield name, Reading(np.ascontiguousarray(flipped), mask.affine, chains[space])


def _same_place(one: NDArray[np.float64], other: NDArray[np.float64], shape: Sequence[int]) -> bool:
    """Whether two affines put an image's corners at the same places."""
    corners = np.array([*np.ndindex(2, 2, 2)]) * (np.array(shape) - 1)
    gaps = corners @ (one - other)[:3, :3].T + (one - other)[:3, 3]
    return bool(np.abs(gaps).max() <= SAME_PLACE_MM)


def _said(
    path: Path, space: str, found: float, better: str | None, others: Mapping[str, float]
) -> str | None:
    """Say in a sentence that a mask fits badly, or better in another way; None if neither."""
    if better is None and not found < LEAST_CONTRAST:
        return None
    chance = "n/a" if np.isnan(found) else f"{found:.2f}"
    where = (
        f"{path} does not lie on the lesions where its name (space-{space}) and header put it: a "
        f"voxel in it stands out from white matter around it with probability {chance} (0.5 is "
        "chance)"
    )
    if better is None:
        return f"{where}; is it of this person and visit, and in this space?"
    return (
        f"{where}, and with {others[better]:.2f} if it is read {WORDS[better]}; mend its name or "
        "its header."
    )
