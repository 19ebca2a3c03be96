"""Steps that find the brain, its tissues and its sides, or read them from a parcellation."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wmhflow.ants.brain import extract_brain, shared_brain
from wmhflow.ants.priors import PRIORS_MARGIN_MM, warped_priors
from wmhflow.ants.transforms import average_through, resample_through
from wmhflow.core.align.meeting import apart_mm
from wmhflow.core.arrays.boxes import bounding_box
from wmhflow.core.checks import sanity
from wmhflow.core.regions.nawm import combine_tissues, normal_appearing_white_matter
from wmhflow.core.space.geometry import shift_in_words, spacing_of
from wmhflow.core.space.grids import Grid3D, box_around, cropped, uncropped
from wmhflow.core.tissue.brain import Shown, filled_foreground, what_is_shown, with_fluid
from wmhflow.core.tissue.labelling import WarpedPriors
from wmhflow.core.tissue.parcellation import complete_hemispheres, recode, unknown_codes
from wmhflow.core.tissue.segment import segment_tissue
from wmhflow.errors import InputError
from wmhflow.files.forms import trusted_affine
from wmhflow.files.template import Template
from wmhflow.files.transforms import read_transform
from wmhflow.files.values import check_sides, read_labels
from wmhflow.labels.digits import LETTERS, VENTRICLES
from wmhflow.labels.freesurfer import load_freesurfer_codes
from wmhflow.steps.images import refuse
from wmhflow.steps.kinds import Facts, LabelImage, MaskImage, about, load_labels, step
from wmhflow.steps.shifts import shown_shifts, told

# The bound of a misalignment, and one of the QC table.
MOST_PARCELLATION_MM = 2.5
# Of the template's brain: a brain of the least volume that is taken is a fifth of it.
LEAST_SHOWN = 0.2
# Values of 1 to 2 beside the 0 of what lies outside, interpolated.
SHOWN = 0.99
log = logging.getLogger("wmhflow")


class Brain(NamedTuple):
    """The brain on the reference grid, and how much of it is cut off."""

    brain_mask: MaskImage
    facts: Facts


class GivenTissues(NamedTuple):
    """What a parcellation tells, on the reference grid.

    Hemispheres are 1 left and 2 right, everywhere; ``cortex_lobes`` is the lobe of every voxel of
    cortex and of the deep nuclei.
    """

    tissue: LabelImage
    ventricles: MaskImage
    brain_mask: MaskImage
    hemispheres: LabelImage
    cortex_lobes: LabelImage
    facts: Facts


@step(mem_gb=2.0, seconds=2)
def read_parcellation(
    in_file: Path,
    reference: Grid3D,
    transforms: list[Path] | None = None,
    trust: str | None = None,
) -> GivenTissues:
    """Read tissues, ventricles, sides and lobes from a given FreeSurfer-coded parcellation.

    Parameters
    ----------
    in_file
        Label image as given.
    reference
        Image with the grid to fill.
    transforms
        From the parcellation's space to the reference.
    trust
        The form of its header that is believed, ``sform`` or ``qform``.

    Raises
    ------
    InputError
        If it has no label on the reference grid, or its brain cannot be that of a whole head.
    """
    labels, own_affine = read_labels(in_file)
    own_affine = trusted_affine(in_file, own_affine, trust)
    check_sides(in_file, labels, own_affine)
    native = Grid3D(labels.astype(np.float32), own_affine)
    chain = [str(path) for path in transforms or []]
    codes = np.rint(resample_through(native, reference, chain, "nearest")).astype(np.int32)
    if not codes.any():
        raise InputError(f"{in_file} has no label on the reference grid; check its header.")
    known, affine = load_freesurfer_codes(), reference.affine
    side = {letter: digit for digit, letter in LETTERS.items()}
    tissue = recode(codes, {code: entry.tissue for code, entry in known.items()})
    sides = recode(codes, {code: side[entry.hemisphere] for code, entry in known.items()})
    lobes = recode(codes, {code: entry.lobe for code, entry in known.items()})
    unknown = unknown_codes(codes, {code: entry.tissue for code, entry in known.items()})
    brain = MaskImage(tissue > 0, affine)
    facts = {"parcellation_unknown_voxels": sum(unknown.values())}
    return GivenTissues(
        LabelImage(tissue, affine),
        MaskImage(tissue == VENTRICLES, affine),
        brain,
        LabelImage(complete_hemispheres(sides, affine), affine),
        LabelImage(lobes, affine),
        facts
        | check_brain(brain, reference, str(in_file), is_given=True)
        | _apart(tissue, reference, in_file),
    )


def _apart(tissue: NDArray[np.uint8], reference: Grid3D, in_file: Path) -> Facts:
    """Tell how far a parcellation lies from the tissues that the image shows, and say it."""
    painted = painted_tissues(tissue, reference.data)
    found = apart_mm(reference, Grid3D(painted, reference.affine))
    laid = LabelImage(tissue, reference.affine)
    beside = told(_shift_in(reference, laid), laid, [reference.affine])
    if found is not None and found > MOST_PARCELLATION_MM:
        log.warning(
            "%s lies %.1f mm beside the tissues of the reference image, on average; is it of this "
            "person and visit, and in the space that its name says? It is marked 'check'.",
            in_file, found,
        )  # fmt: skip
    elif beside.is_much:
        log.warning(
            "White matter and cortex of %s lie %.1f mm beside where the reference image shows "
            "them: it fits if it is moved %s; did its header lose a voxel, or half of one? It is "
            "marked 'check'.",
            in_file, beside.mm, shift_in_words(beside.way),
        )  # fmt: skip
    return {"parcellation_apart_mm": found, "parcellation_border_apart_mm": beside.mm}


def _shift_in(image: Grid3D, tissue: LabelImage) -> NDArray[np.float64] | None:
    """Tell how tissues have to move to lie where one image shows them."""
    images = {"image": (image.data, np.isfinite(image.data))}
    return shown_shifts(images, image.affine, tissue)["image"]


def painted_tissues(
    tissue: NDArray[np.integer], image: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Give every tissue the brightness that most of it has in an image.

    Parameters
    ----------
    tissue
        Tissue classes, shape (X, Y, Z); 0 stays 0.
    image
        Same shape.
    """
    painted = np.zeros(tissue.shape, np.float32)
    for one in np.unique(tissue[tissue > 0]):
        painted[tissue == one] = np.median(image[tissue == one])
    return painted


def check_brain(
    brain_mask: MaskImage, reference: Grid3D, source: str, *, is_given: bool = False
) -> Facts:
    """Refuse an image whose brain is far too small, far too large, or blank.

    Parameters
    ----------
    brain_mask
        Brain on the reference grid.
    reference
        Image with that grid.
    source
        The file that a message names.
    is_given
        Whether others found the brain: where the image is blank in it, it lies elsewhere.

    Returns
    -------
    dict
        How much of the brain is cut off.

    Raises
    ------
    InputError
        If it cannot be a whole brain.
    """
    facts = sanity.brain_facts(brain_mask.data, reference.data, spacing_of(brain_mask.affine))
    blank = facts["empty_share"] or 0.0
    if is_given and blank > sanity.LARGEST_EMPTY_SHARE:
        raise InputError(
            f"{source} lies beside the brain of the reference image, which is blank in "
            f"{100 * blank:.0f} % of it; is it of this person and visit, and in the space that its "
            "name says?"
        )
    refuse(source, sanity.brain_finding(facts))
    return {"brain_cut_share": facts["cut_share"]}


@step(mem_gb=2.0, seconds=20)
def find_brain(
    image: Grid3D,
    template: Template,
    seed: int,
    source: str,
    check: bool = True,
) -> Brain:
    """Find the brain in a whole head or in a skull-stripped image.

    Parameters
    ----------
    image
        T1w or FLAIR.
    template
        The template.
    seed
        Seed of everything random.
    source
        The file that a message names.
    check
        Whether it has to be a whole brain already.

    Raises
    ------
    InputError
        If nothing was found, or what was found cannot be a whole brain.
    """
    with about(source):
        mask = extract_brain(image, template.grid("t1w"), template.mask("brain_mask"), seed)
    brain = MaskImage(mask, image.affine)
    return Brain(brain, check_brain(brain, image, source) if check else {})


@step(mem_gb=2.0, seconds=3)
def share_brain(
    image: Grid3D, brain_mask: MaskImage, other: Grid3D, other_transform: Path, source: str
) -> Brain:
    """Keep of a brain what two images share, if both of them come without a skull.

    Parameters
    ----------
    image
        T1w or FLAIR.
    brain_mask
        Its brain.
    other
        Another image of the person, in its own space.
    other_transform
        Points of the image to points of the other image.
    source
        The file that a message names.

    Raises
    ------
    InputError
        If it cannot be a whole brain.
    """
    theirs = _brain_of_other(image, other, str(other_transform))
    mask = brain_mask.data
    if theirs is not None:
        mask = shared_brain(image, mask, theirs, max(other.voxel_sizes_mm))
    brain = MaskImage(mask, image.affine)
    return Brain(brain, check_brain(brain, image, source))


def _brain_of_other(head: Grid3D, other: Grid3D, transform: str) -> NDArray[np.bool_] | None:
    """Bring the brain of the other image, if it is skull-stripped, to the head's grid."""
    if what_is_shown(other.data, other.voxel_mm3) is not Shown.BRAIN:
        return None
    inside = with_fluid(filled_foreground(other.data), other.voxel_sizes_mm)
    body, reached = (
        average_through(Grid3D(values.astype(np.float32), other.affine), head, [transform]) > 0.5
        for values in (inside, np.ones_like(inside))
    )
    return body | ~reached


class Priors(NamedTuple):
    """The template's priors on the reference grid, and a side for every voxel."""

    csf: Grid3D
    cortex: Grid3D
    deep_grey: Grid3D
    white: Grid3D
    ventricles: MaskImage
    infratentorial: MaskImage
    hemispheres: LabelImage


@step(mem_gb=2.0, seconds=5)
def warp_priors(brain_mask: MaskImage, template: Template, inverse: Path) -> Priors:
    """Bring the template's priors to the brain; further than 10 mm from it they are 0.

    Parameters
    ----------
    brain_mask
        Brain on the reference grid.
    template
        The template and its priors.
    inverse
        Transform from the template to the reference.
    """
    affine = brain_mask.affine
    brain = Grid3D(brain_mask.data.astype(np.float32), affine)
    placed, hemispheres = warped_priors(brain, template, str(inverse))
    return Priors(
        csf=Grid3D(placed["csf"], affine),
        cortex=Grid3D(placed["cortex"], affine),
        deep_grey=Grid3D(placed["deep_grey"], affine),
        white=Grid3D(placed["white"], affine),
        ventricles=MaskImage(placed["ventricles"] > 0, affine),
        infratentorial=MaskImage(placed["infratentorial"] > 0, affine),
        hemispheres=LabelImage(hemispheres, affine),
    )


class Tissues(NamedTuple):
    """Tissue labels with their sides, and the lateral ventricles."""

    tissue: LabelImage
    ventricles: MaskImage


@step(mem_gb=3.0, seconds=20)
def label_tissues(
    image: Grid3D,
    brain_mask: MaskImage,
    csf: Grid3D,
    cortex: Grid3D,
    deep_grey: Grid3D,
    white: Grid3D,
    ventricles: MaskImage,
    infratentorial: MaskImage,
    hemispheres: LabelImage,
    lesion_mask: MaskImage,
    source: str,
    infarct_mask: MaskImage | None = None,
) -> Tissues:
    """Label the tissues of the brain and find the lateral ventricles.

    Parameters
    ----------
    image
        T1w, or FLAIR if there is none.
    brain_mask
        Brain on its grid.
    csf, cortex, deep_grey, white, ventricles, infratentorial, hemispheres
        The template's priors on that grid.
    lesion_mask
        Lesions, which are white matter.
    source
        How messages name the image.
    infarct_mask
        Where nothing is learnt from brightness.

    Raises
    ------
    UnfitImageError
        If what was found are no tissues of a brain.
    """
    brain, shape = brain_mask.data, image.data.shape
    whole = tuple(slice(0, n) for n in shape)
    inside = Grid3D(brain.astype(np.float32), image.affine)
    box = box_around(inside, PRIORS_MARGIN_MM) if brain.any() else whole
    priors = WarpedPriors(
        csf.data[box],
        cortex.data[box],
        deep_grey.data[box],
        white.data[box],
        ventricles.data[box],
        infratentorial.data[box],
        hemispheres.data[box].astype(np.uint8),
    )
    infarcts = None if infarct_mask is None else infarct_mask.data[box]
    with about(source):
        labels, found = segment_tissue(
            cropped(image, box), brain[box], priors, lesion_mask.data[box], infarcts
        )
    labels, found = (uncropped(part, box, shape) for part in (labels, found))
    return Tissues(LabelImage(labels, image.affine), MaskImage(found, image.affine))


def template_likeness(image: Grid3D, forward: Path, template: Template) -> float | None:
    """Measure how well the template explains an image, where the image shows something.

    Beyond its field of view an image has no values, and a scan that ends at the vertex says
    nothing of what lies above it. Planes at its faces that hold one value are looked at both ways:
    others fill them where nothing was scanned, and around a brain that they cut out.

    Parameters
    ----------
    image
        Any contrast.
    forward
        Transform from the image to the template.
    template
        The template.

    Returns
    -------
    float or None
        The better one of both correlation ratios, see :func:`~wmhflow.core.checks.sanity.likeness`;
        None where nothing varies, or less than a fifth of the template's brain is shown.
    """
    goal, brain = template.grid("t1w"), template.mask("brain_mask")
    low, high = (float(edge) for edge in (image.data.min(), image.data.max()))
    if low == high:
        return None
    # from 1 to 2, as what lies outside is 0
    lifted = Grid3D((image.data - low) / (high - low) + 1, image.affine)
    # each face of the image holds one of these two corners
    corners = image.data[0, 0, 0], image.data[-1, -1, -1]
    box = bounding_box((image.data != corners[0]) & (image.data != corners[1]))
    filled = lifted if box is None else cropped(lifted, box)
    parts = [lifted] if filled.data.shape == lifted.data.shape else [lifted, filled]
    ratios = []
    for part in parts:
        placed = resample_through(part, goal, [str(forward)])
        where = brain & (placed > SHOWN)
        if np.count_nonzero(where) >= LEAST_SHOWN * np.count_nonzero(brain):
            ratios.append(sanity.likeness(goal.data, placed, where))
    return max((ratio for ratio in ratios if ratio is not None), default=None)


class CheckedTissues(NamedTuple):
    """The same tissues, and what they tell of the images."""

    tissue: Path
    facts: Facts


@step(mem_gb=1.5)
def check_anatomy(
    tissue: Path,
    brain_mask: MaskImage,
    reference: Grid3D,
    forward: Path,
    template: Template,
    sources: dict[str, str],
    reference_name: str,
    needs_flair: bool,
    t1w: Grid3D | None = None,
    flair: Grid3D | None = None,
    other: Grid3D | None = None,
    other_transform: Path | None = None,
    given_forward: str | None = None,
) -> CheckedTissues:
    """Refuse what the template does not explain, and images that are not what their names say.

    Parameters
    ----------
    tissue
        Tissues on the reference grid, handed on as they are.
    brain_mask, reference
        Brain, and image, on that grid.
    forward
        Transform from the reference to the template.
    template
        The template.
    sources
        The files that messages name, ``T1w`` and ``FLAIR``.
    reference_name
        Which of them is the reference.
    needs_flair
        Whether lesions are looked for in the FLAIR.
    t1w, flair
        The images on the reference grid.
    other, other_transform
        The one that is not the reference on its own grid, and the transform that brought it.
    given_forward
        How messages name the transform to the template, if it was given.

    Raises
    ------
    InputError
        If an image cannot be what its name says.
    """
    ratio = template_likeness(reference, forward, template)
    by = f", by the given {given_forward}," if given_forward else ""
    refuse(f"{sources[reference_name]}{by}", sanity.likeness_finding(ratio))
    labels, affine = load_labels(tissue)
    images = {"T1w": t1w, "FLAIR": flair}
    values = {name: image.data for name, image in images.items() if image is not None}
    found = {
        name: sanity.contrast_facts(data, labels, spacing_of(affine))
        for name, data in values.items()
    }
    for name, finding in sanity.contrast_findings(found, needs_flair).items():
        refuse(sources[name], finding)
    facts: Facts = {
        f"{name}_{key}": value for name, group in found.items() for key, value in group.items()
    }
    if len(values) == 2:
        brain = brain_mask.data
        pair = sanity.pair_facts(values["T1w"][brain], values["FLAIR"][brain], found)
        refuse(sources["FLAIR"], sanity.pair_finding(pair, needs_flair))
        facts |= pair
        name = "FLAIR" if reference_name == "T1w" else "T1w"
        placed = _as_aligned(Grid3D(values[name], affine), other, other_transform)
        names = sources[reference_name], sources[name]
        beside = _other_apart(reference, placed, LabelImage(labels, affine), names)
        facts[f"{name}_border_apart_mm"] = beside
    return CheckedTissues(tissue, facts | {"template_likeness": ratio})


def _as_aligned(brought: Grid3D, own: Grid3D | None, transform: Path | None) -> Grid3D:
    """Return an image in the reference's world: on its own grid, if nothing bent it.

    On the reference grid the thickness of its slices would count as a place.
    """
    matrix = None if transform is None else read_transform(transform).matrix
    if own is None or matrix is None:
        return brought
    return Grid3D(own.data, np.linalg.inv(matrix) @ own.affine)


def _other_apart(
    reference: Grid3D, other: Grid3D, tissue: LabelImage, sources: tuple[str, str]
) -> float | None:
    """Tell how far the other image lies from the reference, by the tissues that both show."""
    own, its = (_shift_in(image, tissue) for image in (reference, other))
    # where the tissues lie beside both images, a given parcellation does, and not the other image
    between = None if own is None or its is None else its - own
    apart = told(between, tissue, [reference.affine, other.affine])
    if apart.is_much:
        log.warning(
            "As aligned, %s lies %.1f mm beside %s, by where both show white matter and cortex: "
            "it fits if it is moved %s. Look at its alignment: was a transform given, or did a "
            "header lose a voxel, or half of one? It is marked 'check'.",
            sources[1], apart.mm, sources[0], shift_in_words(-apart.way),
        )  # fmt: skip
    return apart.mm


class WholeTissues(NamedTuple):
    """seg-tissue with lesions in it."""

    tissue: LabelImage


@step(mem_gb=1.0)
def put_lesions_in(tissue: LabelImage, hemispheres: LabelImage, wmh: MaskImage) -> WholeTissues:
    """Put the lesions into the tissue image.

    Parameters
    ----------
    tissue, hemispheres
        Tissue classes, and the side of every voxel.
    wmh
        Lesions.
    """
    combined = combine_tissues(tissue.data, hemispheres.data, wmh.data)
    return WholeTissues(LabelImage(combined, tissue.affine))


class NormalAppearing(NamedTuple):
    """Normal-appearing white matter, and why the rest of the white matter is none."""

    nawm: MaskImage
    facts: Facts


@step(mem_gb=1.0)
def find_nawm(
    tissue: LabelImage, guard_mm: float | None = None, infarct: MaskImage | None = None
) -> NormalAppearing:
    """Find normal-appearing white matter.

    Parameters
    ----------
    tissue
        seg-tissue with lesions in it.
    guard_mm
        Distance kept from CSF and grey matter; the smallest voxel edge if None.
    infarct
        Infarcts and other lesions that are no WMH.
    """
    spacing = spacing_of(tissue.affine)
    guard = guard_mm or float(spacing.min())
    nawm, removed = normal_appearing_white_matter(
        tissue.data, spacing, guard, None if infarct is None else infarct.data
    )
    facts: Facts = {f"nawm_removed_{reason}_voxels": count for reason, count in removed.items()}
    return NormalAppearing(MaskImage(nawm, tissue.affine), facts | {"tissue_guard_mm": guard})
