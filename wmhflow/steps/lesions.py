"""Steps that bring lesion masks to the reference, find lesions, number them and judge them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wmhflow.ants.noise import without_noise
from wmhflow.ants.priors import brought_to_brain, wmh_priors
from wmhflow.ants.transforms import average_through, resample_through
from wmhflow.core.arrays.components import keep_large
from wmhflow.core.arrays.slices import even_slices
from wmhflow.core.checks.quality import lesion_mask_quality, likeliest_tissue
from wmhflow.core.regions.infratentorial import infratentorial_shares
from wmhflow.core.regions.lesions import (
    count_hole_voxels,
    fill_holes,
    label_lesions,
    lesion_measures,
)
from wmhflow.core.regions.nawm import without_infarct
from wmhflow.core.regions.zones import lesion_continuity, lesion_label, lesion_majority
from wmhflow.core.space.geometry import spacing_of, voxel_mm3
from wmhflow.core.space.grids import Grid3D, box_of, cropped, uncropped
from wmhflow.core.wmh import segmentation as wmh_model
from wmhflow.core.wmh.edges import LEAST_LESION_MM3, agreeing
from wmhflow.core.wmh.model import GIVEN_THRESHOLD, LesionModel
from wmhflow.core.wmh.noise import noise_sd
from wmhflow.errors import InputError
from wmhflow.files.network import wmh_network
from wmhflow.files.template import Template
from wmhflow.files.values import read_lesions
from wmhflow.labels.digits import (
    DEEP,
    LETTERS,
    PERIVENTRICULAR,
    PERIVENTRICULAR_ZONES,
    side_of,
    with_side,
)
from wmhflow.labels.regions import load_regions
from wmhflow.steps.kinds import Facts, LabelImage, MaskImage, Rows, Space, about, step

# With more noise than this share of white matter's brightness a FLAIR is denoised first. Chosen on
# three simulated people of training heads with noise added: at 0.11 to 0.13 they lose up to four
# fifths of their lesions without it; at 0.08 and less the masks are as good with it as without.
MOST_NOISE = 0.09
# Of given WMH, in the mask of infarcts; a bound of the QC table as well.
MOST_IN_INFARCT = 0.5
# With so much of them, what is left of given WMH is nobody's number.
ALL_IN_INFARCT, ALL_IN_INFARCT_MM3 = 0.95, 500.0
# Fewer voxels of a fine mask may all fall between those of a coarse reference.
LEAST_MARKED = 10
log = logging.getLogger("wmhflow")
# nothing in the filter is random
NOISE_SEED = 0


class GivenMask(NamedTuple):
    """A mask on the reference grid, probabilities if they were given, and counts."""

    mask: MaskImage
    probseg: Grid3D | None
    facts: Facts


@step(mem_gb=1.0)
def bring_mask(
    in_file: Path,
    space: Space,
    transforms: list[Path] | None = None,
    is_probability: bool = False,
    labels: Sequence[int] = (),
    others: Sequence[int] = (),
    fill: bool = False,
    what: str = "wmh",
    trust: str | None = None,
) -> GivenMask:
    """Bring a given lesion mask to the reference grid, once, by nearest neighbour.

    One whose values are shares or probabilities is interpolated linearly, and cut at a half.

    Parameters
    ----------
    in_file
        Mask or probability image as given.
    space
        Grid to fill.
    transforms
        From the mask's space to the reference.
    is_probability
        Whether voxels are probabilities, which are kept.
    labels
        Numbers that count; empty where any does.
    others
        Numbers that may stand in the mask, and do not count.
    fill
        Whether holes are filled; they are counted in any case.
    what
        Put before the names of the counts.
    trust
        The form of its header that is believed, ``sform`` or ``qform``.

    Raises
    ------
    InputError
        If its values cannot be those of a mask, or nothing of it arrives.
    """
    found = read_lesions(
        in_file,
        is_probability=is_probability,
        labels=labels,
        others=others,
        union=what == "infarct",
        trust=trust,
    )
    how = "linear" if found.reading.is_graded else "nearest"
    chain = [str(path) for path in transforms or []]
    placed = resample_through(Grid3D(found.share, found.affine), space.empty, chain, how)
    mask = placed > GIVEN_THRESHOLD
    given = found.volume_mm3
    marked = int(np.count_nonzero(found.share > GIVEN_THRESHOLD))
    if marked >= LEAST_MARKED and not mask.any():
        raise InputError(
            f"{in_file} marks {marked} voxels ({given:.3g} mm³), and none of them arrives on the "
            "reference image: it lies elsewhere, or its voxels are far too small (an affine in "
            "cm?); look at its header and at what leads from it."
        )
    if not marked and found.share.any():
        log.warning(
            "%s has no value above %.2g, and from %g on it counts: nothing in it is lesion. Was it "
            "scaled twice, or is it one of low probabilities?",
            in_file, found.share.max(), GIVEN_THRESHOLD,
        )  # fmt: skip
    facts: Facts = {
        f"{what}_nonfinite_voxels": found.n_nonfinite,
        f"{what}_given_volume_mm3": given,
        f"{what}_hole_voxels": int(count_hole_voxels(mask)),
        f"{what}_kept_fraction": _volume(mask, space.affine) / given if given else None,
    }
    return GivenMask(
        MaskImage(fill_holes(mask) if fill else mask, space.affine),
        Grid3D(placed, space.affine) if is_probability else None,
        facts,
    )


def _volume(mask: Any, affine: Any) -> float:
    return float(np.count_nonzero(mask) * voxel_mm3(affine))


class OutsideInfarct(NamedTuple):
    """WMH outside the infarct, their probability (0 where they were removed), and counts."""

    wmh: MaskImage
    probseg: Grid3D | None
    facts: Facts


@step(mem_gb=1.0)
def keep_infarct_out(
    wmh: MaskImage,
    infarct: MaskImage,
    probseg: Grid3D | None = None,
    with_rims: bool = False,
    sources: Sequence[str] = (),
) -> OutsideInfarct:
    """Take the voxels of infarcts out of WMH.

    Parameters
    ----------
    wmh, infarct
        Masks on one grid.
    probseg
        Probability of WMH.
    with_rims
        Whether lesions mostly inside go as a whole.
    sources
        The files of both as they were given, for messages.

    Raises
    ------
    InputError
        If next to nothing is left of WMH that were given.
    """
    left, removed = without_infarct(wmh.data, infarct.data, with_rims=with_rims)
    probability = None
    if probseg is not None:
        gone = infarct.data | (wmh.data & ~left)
        probability = Grid3D(np.where(gone, np.float32(0), probseg.data), wmh.affine)
    facts: Facts = {f"wmh_removed_{reason}_voxels": count for reason, count in removed.items()}
    # what segments WMH finds infarcts, too; who draws WMH does not draw them
    whole = 0 if with_rims else np.count_nonzero(wmh.data)
    share = removed["infarct"] / whole if whole else None
    lost_mm3 = removed["infarct"] * voxel_mm3(wmh.affine)
    if share is not None and share >= ALL_IN_INFARCT and lost_mm3 >= ALL_IN_INFARCT_MM3:
        names = " and ".join(sources) or "the masks"
        raise InputError(
            f"{names}: the mask of infarcts holds {100 * share:.0f} % of the given WMH "
            f"({lost_mm3 / 1000:.1f} mL), of which next to nothing would be left; it seems to be a "
            "mask of all lesions. Give a mask of infarcts alone, or leave it out."
        )
    if share is not None and share > MOST_IN_INFARCT:
        log.warning(
            "%.0f %% of the given WMH lies in the mask of infarcts and no longer counts as WMH; "
            "look whether that mask holds WMH as well. It is marked 'check'.", 100 * share,
        )  # fmt: skip
    facts["wmh_removed_infarct_fraction"] = share
    facts["infarct_volume_mm3"] = _volume(infarct.data, infarct.affine)
    return OutsideInfarct(MaskImage(left, wmh.affine), probability, facts)


class FoundLesions(NamedTuple):
    """WMH on the reference grid, their probability, and the numbers that they rest on."""

    mask: MaskImage
    probseg: Grid3D
    facts: Facts


@step(mem_gb=3.0, seconds=20)
def find_lesions(
    flair: Grid3D,
    reference: Space,
    brain_mask: MaskImage,
    reference_name: str,
    template: Template,
    inverse: Path,
    source: str,
    t1w: Grid3D | None = None,
    other_transform: Path | None = None,
) -> FoundLesions:
    """Segment white matter hyperintensities on the FLAIR's grid; bring them to the reference.

    Parameters
    ----------
    flair, t1w
        Images in their own spaces.
    reference, brain_mask
        Grid of the one of the two that is the reference, and the brain on it.
    reference_name
        ``T1w`` or ``FLAIR``.
    template, inverse
        The template, and the transform from it to the reference.
    source
        How messages name the FLAIR.
    other_transform
        Reference points to points of the other image.

    Raises
    ------
    InputError
        If the brain lies outside the FLAIR, or the FLAIR shows no white matter or cortex where they
        should be, or what comes out cannot be lesions.
    """
    moved = reference_name == "T1w"
    chain = [str(other_transform)] if other_transform else []
    to_flair = chain if moved else []
    brain = Grid3D(brain_mask.data.astype(np.float32), brain_mask.affine)
    with about(source):
        found, seen = _segment(flair, t1w, brain, to_flair, chain, template, str(inverse))
    # half of a voxel covered is a voxel of lesion; the probability follows the mask
    share, probability = found.share, found.probability
    if moved:
        share, probability = brought_to_brain(found, flair.affine, brain, to_flair)
    mask = keep_large(share >= 0.5, LEAST_LESION_MM3, reference.empty.voxel_sizes_mm)
    probability = agreeing(probability, mask, LesionModel().threshold)
    affine = reference.affine
    facts: Facts = found.numbers() | seen
    return FoundLesions(MaskImage(mask, affine), Grid3D(probability, affine), facts)


def _segment(
    flair: Grid3D,
    t1w: Grid3D | None,
    brain: Grid3D,
    to_flair: list[str],
    to_other: list[str],
    template: Template,
    inverse: str,
) -> tuple[wmh_model.WMHResult, Facts]:
    """Bring brain, priors and T1w to the FLAIR, in the brain's box, and segment; tell faults."""
    back = [True for _ in to_flair]
    inside = average_through(brain, flair, to_flair, back) > 0.5
    if not inside.any():
        raise InputError("The brain mask holds nothing of the FLAIR; look at how they lie.")
    box = box_of(inside)
    part = cropped(flair, box)
    priors = wmh_priors(part, template, [*to_flair, inverse], [*back, False])
    second = None
    if t1w is not None:
        # with a FLAIR for a reference the transform leads from it to the T1w already
        second = average_through(t1w, part, to_other, back or [False])
    sizes = flair.voxel_sizes_mm
    even, uneven = even_slices(part.data, inside[box], sizes)
    part = Grid3D(even, part.affine)
    noise = noise_sd(part.data, inside[box], priors.white, sizes)
    if noise > MOST_NOISE:
        part = without_noise(part, inside[box], NOISE_SEED)
    found = wmh_model.segment_wmh(
        part.data, second, priors, inside[box], sizes, network=wmh_network()
    )
    whole = flair.data.shape
    placed = dataclasses.replace(
        found,
        mask=uncropped(found.mask, box, whole),
        probability=uncropped(found.probability, box, whole),
        share=uncropped(found.share, box, whole),
    )
    return placed, {"noise": noise, "slice_difference": uneven}


class NumberedLesions(NamedTuple):
    """A number per lesion, the rows of the lesion table, and which lesions are periventricular."""

    lesions: LabelImage
    table: Rows
    is_periventricular: list[bool]


@step(mem_gb=1.0)
def number_lesions(
    wmh: MaskImage,
    tissue: LabelImage,
    ventricle_distance: Grid3D,
    cortex_distance: Grid3D,
    zones: list[LabelImage],
    columns: list[str],
    rule: str,
    lobes: LabelImage | None = None,
    territories: LabelImage | None = None,
    territory_names: dict[int, str] | None = None,
    infratentorial: MaskImage | None = None,
) -> NumberedLesions:
    """Give every lesion a number, and answer for each by every rule.

    Parameters
    ----------
    wmh, tissue
        Lesions, and seg-tissue with them in it.
    ventricle_distance, cortex_distance
        In mm.
    zones, columns
        A label image per zone scheme, and the column of the majority rule by it.
    rule
        ``continuity`` or ``majority``: what makes a lesion periventricular for the shells.
    lobes
        seg-lobes, if there are lobes.
    territories, territory_names
        An atlas of arteries laid over, and its regions.
    infratentorial
        Cerebellum and brain stem, lesions included.
    """
    labels, count = label_lesions(wmh.data, wmh.affine)
    distances = {
        "ventricle_distance": ventricle_distance.data,
        "cortex_distance": cortex_distance.data,
    }
    measures = lesion_measures(labels, wmh.affine, distances)
    continuity = lesion_continuity(labels, count, ventricle_distance.data)
    majorities = [lesion_majority(labels, count, image.data) for image in zones]
    sides = lesion_majority(labels, count, side_of(tissue.data))
    lobe = _lobes(labels, count, lobes)
    territory = _territories(labels, count, territories, territory_names or {})
    below = _shares_below(labels, count, infratentorial)
    zone_names = {index: region.abbreviation for index, region in load_regions("zones").items()}
    rows = [
        {name: _plain(values[i]) for name, values in measures.items() if name != "n_voxels"}
        | {
            "hemisphere": LETTERS[int(sides[i])] if sides[i] else None,
            "continuity": "PV" if continuity[i] else "deep",
            "lobe": lobe[i],
            "territory": territory[i],
            "infratentorial": below[i],
        }
        | {
            column: zone_names.get(int(majority[i]))
            for column, majority in zip(columns, majorities, strict=True)
        }
        for i in range(count)
    ]
    by_rule = {
        "continuity": [bool(answer) for answer in continuity],
        "majority": [int(zone) in PERIVENTRICULAR_ZONES for zone in majorities[0]],
    }
    return NumberedLesions(LabelImage(labels, wmh.affine), rows, by_rule[rule])


def _lobes(labels: Any, count: int, lobes: LabelImage | None) -> list[str | None]:
    if lobes is None:
        return [None] * count
    names = {index: region.name for index, region in load_regions("lobes").items()}
    return [names.get(int(lobe)) for lobe in lesion_majority(labels, count, lobes.data)]


def _territories(
    labels: Any, count: int, territories: LabelImage | None, names: dict[int, str]
) -> list[str | None]:
    if territories is None:
        return [None] * count
    image = np.where(np.isin(territories.data, list(names)), territories.data, 0)
    return [names.get(int(number)) for number in lesion_label(labels, count, image)]


def _shares_below(labels: Any, count: int, below: MaskImage | None) -> list[float | None]:
    if below is None or not below.data.any():
        return [None] * count
    return [float(share) for share in infratentorial_shares(labels, count, below.data)]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


class LesionClasses(NamedTuple):
    """Lesions, whole, labelled as their zone."""

    classes: LabelImage


@step(mem_gb=1.0)
def classify_by_continuity(
    lesions: LabelImage, tissue: LabelImage, ventricle_distance: Grid3D
) -> LesionClasses:
    """Label every lesion whole: periventricular if it comes near a ventricle, else deep.

    Parameters
    ----------
    lesions, tissue
        seg-lesions and seg-tissue.
    ventricle_distance
        In mm.
    """
    count = int(lesions.data.max(initial=0))
    near = lesion_continuity(lesions.data, count, ventricle_distance.data)
    return _whole_lesions(lesions, tissue, np.where(near, PERIVENTRICULAR, DEEP))


@step(mem_gb=1.0)
def classify_by_majority(
    lesions: LabelImage, tissue: LabelImage, zones: LabelImage
) -> LesionClasses:
    """Label every lesion whole, as the zone that holds most of it.

    Parameters
    ----------
    lesions, tissue, zones
        seg-lesions, seg-tissue, and zones by a scheme.
    """
    count = int(lesions.data.max(initial=0))
    return _whole_lesions(lesions, tissue, lesion_majority(lesions.data, count, zones.data))


def _whole_lesions(lesions: LabelImage, tissue: LabelImage, zone: Any) -> LesionClasses:
    labels = with_side(np.concatenate([[0], zone])[lesions.data], side_of(tissue.data))
    return LesionClasses(LabelImage(labels.astype(np.uint8), lesions.affine))


class MaskQuality(NamedTuple):
    """Measures of a lesion mask for the QC table."""

    facts: Facts


@step(mem_gb=2.0)
def judge_lesions(
    lesions: LabelImage,
    tissue: LabelImage,
    brain_mask: MaskImage,
    nawm: MaskImage,
    flair: Grid3D | None = None,
) -> MaskQuality:
    """Measure what tells a sound lesion mask from a wrong one.

    Parameters
    ----------
    lesions
        seg-lesions.
    tissue
        Tissues by someone who was not told of the lesions.
    brain_mask, nawm
        Brain, and normal-appearing white matter.
    flair
        FLAIR on the reference grid.
    """
    facts = lesion_mask_quality(
        lesions.data,
        tissue.data,
        brain_mask.data,
        nawm.data,
        spacing_of(lesions.affine),
        None if flair is None else flair.data,
    )
    return MaskQuality(dict(facts))


@step(mem_gb=2.0)
def judge_lesions_by_priors(
    lesions: LabelImage,
    csf: Grid3D,
    cortex: Grid3D,
    deep_grey: Grid3D,
    white: Grid3D,
    ventricles: MaskImage,
    brain_mask: MaskImage,
    nawm: MaskImage,
    flair: Grid3D | None = None,
) -> MaskQuality:
    """Judge a lesion mask where the tissues were computed around it: by the template's priors.

    Parameters
    ----------
    lesions, brain_mask, nawm, flair
        As for :func:`judge_lesions`.
    csf, cortex, deep_grey, white, ventricles
        The template's priors on the reference grid.
    """
    priors = (csf.data, cortex.data, deep_grey.data, white.data, ventricles.data)
    tissue = LabelImage(likeliest_tissue(*priors), lesions.affine)
    return judge_lesions(lesions, tissue, brain_mask, nawm, flair)
