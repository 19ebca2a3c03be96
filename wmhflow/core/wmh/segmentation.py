"""White matter hyperintensities on a FLAIR's own grid, by a model of each person's normal tissue.

Where white matter, cortex, deep grey matter and CSF may lie is known from the template's priors;
how bright they are is learnt from the person. What is brighter than the tissues that can be
there is a lesion: in deep white matter a little is enough, near the cortex much is needed. This
is the outlier model of Van Leemput et al. [1]_ with a neighbourhood prior, in a single pass. A
network then weighs it beside shape and surroundings, which a voxel alone does not show.

References
----------
.. [1] Van Leemput K, Maes F, Vandermeulen D, Colchester A, Suetens P. Automated segmentation of
   multiple sclerosis lesions by model outlier detection. IEEE Trans Med Imaging 2001;20:677-688.
   doi:10.1109/42.938237
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.components import keep_large, without_holes
from wmhflow.core.arrays.masks import deeper, within
from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.arrays.wide import reaching_out
from wmhflow.core.space.grids import box_of, uncropped
from wmhflow.core.wmh.aside import beyond_the_wall
from wmhflow.core.wmh.below import plain_below
from wmhflow.core.wmh.brightness import (
    brightness,
    brightness_beside,
    cortex_nearby,
    grey_brightness,
)
from wmhflow.core.wmh.edges import (
    LEAST_LESION_MM3,
    agreeing,
    core_height,
    share_at_edge,
    sure_somewhere,
    trim_to_height,
)
from wmhflow.core.wmh.evidence import MOST_CONTRAST, depth_in, read_slices
from wmhflow.core.wmh.model import LesionModel
from wmhflow.core.wmh.normal import LEAST_SURE, TISSUES, NormalTissue, normal_tissue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wmhflow.core.wmh.network import Network

# Chosen, like the model's numbers, on the people of docs/benchmarks.md, "Computed WMH", as a whole;
# none was measured by itself.
# Errors of the template's alignment blur its priors by about this much.
BLUR_MM, CORTEX_BLUR_MM = 1.0, 1.5
# Noise is smoothed by this much before brightness tells.
SMOOTH_MM = 0.6
# CSF on FLAIR and on T1w, in SD of white matter.
CSF_FLAIR_Z, CSF_T1W_Z = 0.0, -5.0
CSF_FLAIR_ALONE_Z = -3.0
VENTRICLE_GAP_MM = 2.0
SEPTUM_HALF_WIDTH_MM, SEPTUM_REACH_MM = 2.0, 4.0
LARGEST_SD = 0.5
MEAN_FIELD_ROUNDS = 4
# Chosen on simulated heads: with 36 ml of lesions the tissues beside them call up to 13 % of the
# white matter lesion, with 60 ml 18 % and more: white matter's own peak may be the lesions' then.
MUCH_LESION = 0.15
# Of what the tissues call lesion, so much is in the mask at least; loose, not measured.
LEAST_OF_EXPECTED = 0.25
# On simulated heads with up to 90 ml of lesions the mask held up to 1 % of the likely cortex; how
# much is too much is loose and was not measured.
LIKELY_CORTEX, MOST_OF_CORTEX = 0.5, 0.3
# Darker than white matter by so much (a logarithm) is fluid, which large ventricles and old
# infarcts put where the template has white matter. With much noise (SNR 8) white matter has an SD
# of 0.13.
FLUID_CONTRAST = -0.35
# With less of the ventricles beyond the region that the template has around them the priors stay.
# Loose, not measured.
LEAST_BEYOND_MM3 = 2000.0
# Interpolation leaves a few values below 0; not measured.
MOST_NEGATIVE = 0.05
SURFACE_MM, SURFACE_WHITE = 3.0, 0.2
# A voxel beside a lesion with less than this probability has no share of it.
SHARE_PROBABILITY = 0.05
# Even of people with few lesions, so much is found and not drawn, or drawn and not found; where
# less is found than the second, there is nothing to judge.
FEW_MM3, LITTLE_MM3 = 500.0, 100.0
TINY = 1e-12


@dataclass(frozen=True)
class TissuePriors:
    """The template's priors on the FLAIR's grid.

    Probabilities 0..1 of four tissues, the generous region of the lateral ventricles, the distance
    in mm from the template's midline, and, where it is known, cerebellum and brain stem.
    """

    csf: NDArray[np.float32]
    cortex: NDArray[np.float32]
    deep_grey: NDArray[np.float32]
    white: NDArray[np.float32]
    ventricles: NDArray[np.bool_]
    midline_mm: NDArray[np.float32]
    infratentorial: NDArray[np.bool_] | None = None

    def cropped(self, box: tuple[slice, ...]) -> TissuePriors:
        """Return what lies in a box.

        Parameters
        ----------
        box
            A slice along each axis.
        """
        known = {name: getattr(self, name) for name in TissuePriors.__annotations__}
        inside = {name: values[box] for name, values in known.items() if values is not None}
        return replace(self, **inside)


@dataclass(frozen=True)
class WMHResult:
    """Mask and probability of WMH, and the numbers that they rest on.

    `share` is at least a half in the mask and below it outside; between voxels it changes as the
    share of lesion does, so that the mask can be drawn on a finer grid.
    """

    mask: NDArray[np.bool_]
    probability: NDArray[np.float32]
    share: NDArray[np.float32]
    white_matter_sd: float
    cortex_z: float
    cortex_spread_z: float
    lesion_z: float
    expected_dice: float

    def numbers(self) -> dict[str, float]:
        """Give the numbers that the mask rests on.

        Returns
        -------
        dict
            SD of normal white matter as a share of its brightness, and median brightness (in
            these SD) and spread of the cortex, the brightness expected of lesions, and the Dice
            that the probabilities promise for the mask.
        """
        return {
            "white_matter_sd": self.white_matter_sd,
            "cortex_z": self.cortex_z,
            "cortex_spread_z": self.cortex_spread_z,
            "lesion_z": self.lesion_z,
            "expected_dice": self.expected_dice,
        }


def segment_wmh(
    flair: NDArray[np.float32],
    t1w: NDArray[np.float32] | None,
    priors: TissuePriors,
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    model: LesionModel | None = None,
    network: Network | None = None,
) -> WMHResult:
    """Segment WMH on the FLAIR's own grid.

    Parameters
    ----------
    flair
        FLAIR in any unit; its bias field is modelled here.
    t1w
        T1w on the same grid, which tells CSF and choroid plexus from lesions; None without one.
    priors
        The template's priors on the same grid.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.
    model
        What is taken for granted; `LesionModel()` if None.
    network
        What weighs the model's probability beside shape and surroundings; the model alone decides
        without one.

    Returns
    -------
    WMHResult
        Mask without holes other than ventricles, probability (at least `threshold` in the mask and
        below it outside), and the person's numbers.

    Raises
    ------
    UnfitImageError
        If the FLAIR has no positive value where white matter is likely, or its values there
        differ wildly.
    """
    model = LesionModel() if model is None else model
    if not brain.any():
        raise UnfitImageError("the brain mask is empty; look at it and at the FLAIR")
    box = box_of(brain)
    part, inner = priors.cropped(box), brain[box]
    seen, part = _seen_beside_fluid(flair[box], part, inner, voxel_sizes_mm)
    second = None
    if t1w is not None:
        second = _t1w_brightness(t1w[box], seen, part, inner, voxel_sizes_mm, model)
    channels = _channels(seen, second, part, inner, voxel_sizes_mm, model)
    probability = channels["probability"]
    excluded = (channels["excluded"] > 0) | surface(part.white, inner, voxel_sizes_mm)
    if network is not None:
        probability = read_slices(network, channels, inner, voxel_sizes_mm)
    mask, share, excluded = _delineated(
        probability, excluded, seen, part.infratentorial, inner, voxel_sizes_mm, model
    )
    _refuse_cortex(mask, part.cortex, inner)
    if seen.normal is not None and seen.is_much:
        _refuse_little(mask, seen.normal.lesion_share, part.white, inner)
    expected = expected_dice(mask, np.where(excluded, 0, probability), voxel_sizes_mm)
    return WMHResult(
        mask=uncropped(mask, box, flair.shape),
        probability=uncropped(agreeing(probability, mask, model.threshold), box, flair.shape),
        share=uncropped(share, box, flair.shape),
        white_matter_sd=seen.white_sd,
        cortex_z=seen.cortex_z,
        cortex_spread_z=seen.cortex_spread,
        lesion_z=float(model.lesion_brightness(seen.cortex_z)),
        expected_dice=expected,
    )


def expected_dice(
    mask: NDArray[np.bool_], probability: NDArray[np.floating], voxel_sizes_mm: Sequence[float]
) -> float:
    """Tell how well a mask overlaps with the truth, if the probabilities are right.

    Parameters
    ----------
    mask
        Lesions.
    probability
        Probability of lesion of every voxel, 0..1.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    float
        Dice of the mask and a truth drawn from the probabilities, ``FEW_MM3`` being in one of them
        and not in the other wherever lesions are looked for; NaN where hardly anything is found
        and hardly anything is probable.

    Examples
    --------
    >>> mask = np.array([True, True, False, False]).reshape(4, 1, 1)
    >>> sure, unsure = mask.astype(float), np.full((4, 1, 1), 0.5)
    >>> [round(expected_dice(mask, one, (10, 10, 50)), 2) for one in (sure, unsure)]
    [0.98, 0.49]
    """
    voxel_mm3 = float(np.prod(voxel_sizes_mm))
    found = voxel_mm3 * float(mask.sum())
    probable = voxel_mm3 * float(probability.sum(dtype=np.float64))
    if found < LITTLE_MM3 and probable < FEW_MM3:
        return float("nan")
    both = voxel_mm3 * float(probability[mask].sum(dtype=np.float64))
    return 2 * both / (found + probable + FEW_MM3)


@dataclass(frozen=True)
class _Seen:
    """How bright a FLAIR is beside the person's own normal tissues.

    `z` is in SD of normal white matter, and `contrast` the logarithm of the ratio to it; `solid` is
    the brain without what is as dark as fluid; `is_much` says whether much of the white matter is
    lesion.
    """

    z: NDArray[np.float32]
    contrast: NDArray[np.float32]
    white_sd: float
    cortex_z: float
    cortex_spread: float
    normal: NormalTissue | None
    solid: NDArray[np.bool_]
    is_much: bool


def _seen(
    flair: NDArray[np.float32],
    priors: TissuePriors,
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
) -> _Seen:
    """Find the person's normal tissues, and express the FLAIR beside them."""
    # z-scores of a whole head are below 0 in the fluid alone
    negative = float((flair[brain] < 0).mean())
    if negative > MOST_NEGATIVE:
        raise UnfitImageError(
            f"the FLAIR is below 0 in {negative:.0%} of the brain; give a FLAIR whose 0 is no "
            "signal (no z-scores)"
        )
    tissues = {name: getattr(priors, name) for name in TISSUES}
    normal, solid = None, brain
    if (priors.cortex[brain] > LEAST_SURE).any():
        normal = normal_tissue(flair, tissues, brain, voxel_sizes_mm)
        dark = normal.field + np.float32(normal.means["white"] + FLUID_CONTRAST)
        solid = brain & (flair > np.exp(dark))
    is_much = normal is not None and normal.lesion_share > MUCH_LESION
    if normal is not None and is_much:
        found = brightness_beside(flair, normal, priors.white, brain, voxel_sizes_mm)
    else:
        found = brightness(flair, priors.white, solid, voxel_sizes_mm)
    z, contrast, white_sd = found
    if white_sd > LARGEST_SD:
        raise UnfitImageError(
            f"the FLAIR's white matter differs by {white_sd:.0%} (SD) from place to place; look at "
            "the registration, and give a FLAIR whose 0 is no signal (no z-scores)"
        )
    cortex_z, cortex_spread = grey_brightness(z, priors.cortex, brain)
    if normal is not None:
        # where the warp missed the gyri, what lies where the template is sure of cortex is not it
        cortex_z = max(cortex_z, (normal.means["cortex"] - normal.means["white"]) / white_sd)
        cortex_spread = max(cortex_spread, normal.sds["cortex"] / white_sd)
    return _Seen(z, contrast, white_sd, cortex_z, cortex_spread, normal, solid, is_much)


def _seen_beside_fluid(
    flair: NDArray[np.float32],
    priors: TissuePriors,
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
) -> tuple[_Seen, TissuePriors]:
    """See the FLAIR, and once more if its ventricles reach beyond what the template has there."""
    seen = _seen(flair, priors, brain, voxel_sizes_mm)
    held = with_wide_ventricles(priors, brain & ~seen.solid, voxel_sizes_mm)
    if held is priors:
        return seen, priors
    return _seen(flair, held, brain, voxel_sizes_mm), held


def with_wide_ventricles(
    priors: TissuePriors, fluid: NDArray[np.bool_], voxel_sizes_mm: Sequence[float]
) -> TissuePriors:
    """Let the template's priors have fluid where the person's ventricles are wide.

    A warp follows very wide ventricles in part. Where the template still has white matter, their
    fluid looks like an old infarct, and lesions along it like the rim of one. Deep grey matter that
    the fluid covers was pushed aside: it lies beyond the fluid's wall, and is no lesion there.

    Parameters
    ----------
    priors
        The template's priors.
    fluid
        What is as dark as fluid.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    TissuePriors
        With fluid and the ventricles' region in wide places that lie in that region in part; the
        same priors if hardly anything of such places lies beyond it.
    """
    wide = reaching_out(fluid, priors.ventricles, LEAST_BEYOND_MM3, voxel_sizes_mm)
    if wide is None:
        return priors
    sigma = [BLUR_MM / size for size in voxel_sizes_mm]
    share = ndimage.gaussian_filter(wide.astype(np.float32), sigma)
    aside = beyond_the_wall(priors.deep_grey, wide, voxel_sizes_mm)
    other = 1 - ndimage.gaussian_filter(aside, sigma)
    with_aside = {
        "cortex": priors.cortex * other,
        "deep_grey": 1 - (1 - priors.deep_grey) * other,
        "white": priors.white * other,
    }
    left = {name: (prior * (1 - share)).astype(np.float32) for name, prior in with_aside.items()}
    around = within(wide, VENTRICLE_GAP_MM, voxel_sizes_mm)
    return replace(
        priors,
        csf=(priors.csf * (1 - share) + share).astype(np.float32),
        ventricles=priors.ventricles | around,
        **left,
    )


def _channels(
    seen: _Seen,
    t1w_z: NDArray[np.float32] | None,
    priors: TissuePriors,
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    model: LesionModel,
) -> dict[str, NDArray[np.float32]]:
    """Gather what there is to weigh, the model's probability, ventricles and septum among it."""
    smooth = _smooth_within(seen.z, brain, SMOOTH_MM, voxel_sizes_mm)
    cortex = (seen.cortex_z, seen.cortex_spread)
    nearby = cortex_nearby(
        seen.z, seen.cortex_z, priors.cortex, brain, voxel_sizes_mm, model.cortex_mm
    )
    probability = lesion_probability(smooth, priors, brain, voxel_sizes_mm, cortex, nearby, model)
    excluded = ventricles_and_septum(seen.z, t1w_z, priors, brain, voxel_sizes_mm)
    return {
        "brightness": smooth,
        "beside_cortex": smooth - nearby,
        "contrast": np.clip(seen.contrast, -MOST_CONTRAST, MOST_CONTRAST),
        "white": priors.white,
        "cortex": priors.cortex,
        "deep_grey": priors.deep_grey,
        "csf": priors.csf,
        "probability": probability,
        "excluded": excluded.astype(np.float32),
        "depth": depth_in(brain, voxel_sizes_mm),
    }


def lesion_evidence(
    flair: NDArray[np.float32],
    priors: TissuePriors,
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    model: LesionModel | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Gather what a network reads of a FLAIR, and learns from.

    Parameters
    ----------
    flair
        FLAIR in any unit.
    priors
        The template's priors on the same grid.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.
    model
        What is taken for granted; `LesionModel()` if None.

    Returns
    -------
    dict of ndarray
        The channels of `wmhflow.core.wmh.evidence`, on the FLAIR's grid.
    """
    seen, priors = _seen_beside_fluid(flair, priors, brain, voxel_sizes_mm)
    return _channels(seen, None, priors, brain, voxel_sizes_mm, model or LesionModel())


def _delineated(
    probability: NDArray[np.float32],
    excluded: NDArray[np.bool_],
    seen: _Seen,
    below: NDArray[np.bool_] | None,
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    model: LesionModel,
) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.bool_]]:
    """Take what is probable, up to where lesions end; give mask, share of voxels, what is none."""
    accepted = accept_lesions(probability, excluded, voxel_sizes_mm, model)
    excess = np.maximum(np.expm1(seen.contrast), 0)
    core = core_height(accepted, excess, voxel_sizes_mm)
    edge = model.lesion_edge(core, seen.cortex_z * seen.white_sd, voxel_sizes_mm)
    height = excess / core
    mask = trim_to_height(accepted, height, edge, voxel_sizes_mm) & brain & ~excluded
    mask = sure_somewhere(mask, probability, model.peak)
    if below is not None:
        plain = plain_below(mask, seen.z, below, brain & seen.solid, voxel_sizes_mm)
        mask, excluded = mask & ~plain, excluded | plain
    possible = (probability > SHARE_PROBABILITY) & ~excluded
    return mask, share_at_edge(height, edge, mask, possible), excluded


def _t1w_brightness(
    t1w: NDArray[np.float32],
    seen: _Seen,
    part: TissuePriors,
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    model: LesionModel,
) -> NDArray[np.float32]:
    """Express the T1w in SD of normal white matter; where much of it is lesion, without that."""
    if not seen.is_much:
        return brightness(t1w, part.white, seen.solid, voxel_sizes_mm)[0]
    lesions = seen.z > model.least_z
    tissues = {name: getattr(part, name) for name in TISSUES}
    normal = normal_tissue(t1w, tissues, brain, voxel_sizes_mm, lesions)
    return brightness_beside(t1w, normal, part.white, brain & ~lesions, voxel_sizes_mm)[0]


def _refuse_cortex(
    mask: NDArray[np.bool_], cortex_prior: NDArray[np.float32], brain: NDArray[np.bool_]
) -> None:
    """Refuse a mask that holds much of the cortex, which lesions do not."""
    cortex = brain & (cortex_prior > LIKELY_CORTEX)
    share = float((mask & cortex).sum()) / max(int(cortex.sum()), 1)
    if share > MOST_OF_CORTEX:
        raise UnfitImageError(
            f"{share:.0%} of where the template has cortex came out as lesion; look at the FLAIR's "
            "contrast and at the registration, or give a mask"
        )


def _refuse_little(
    mask: NDArray[np.bool_],
    share: float,
    white_prior: NDArray[np.float32],
    brain: NDArray[np.bool_],
) -> None:
    """Refuse a mask that holds little of what two models of the same image should agree on."""
    expected = share * float(white_prior[brain].sum())
    if mask.sum() < LEAST_OF_EXPECTED * expected:
        raise UnfitImageError(
            f"{share:.0%} of the white matter is brighter than cortex, but hardly any of it was "
            "found as lesion; look at the FLAIR and at the registration, or give a mask"
        )


def _smooth_within(
    values: NDArray[np.float32],
    mask: NDArray[np.bool_],
    sd_mm: float,
    voxel_sizes_mm: Sequence[float],
) -> NDArray[np.float32]:
    """Smooth inside a mask, with nothing from outside."""
    sigma = [sd_mm / size for size in voxel_sizes_mm]
    share = ndimage.gaussian_filter(mask.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(mask, values, 0).astype(np.float32), sigma)
    return np.where(mask, total / np.maximum(share, 1e-3), 0).astype(np.float32)


def lesion_probability(
    z: NDArray[np.float32],
    priors: TissuePriors,
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    cortex: tuple[float, float],
    cortex_around: NDArray[np.float32],
    model: LesionModel,
) -> NDArray[np.float32]:
    """Compute the probability of lesion from brightness, place and neighbours.

    Parameters
    ----------
    z
        Brightness of the FLAIR in SD of normal white matter.
    priors
        The template's priors.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.
    cortex
        Median and SD of the cortex's brightness.
    cortex_around
        Its brightness around each voxel.
    model
        What is taken for granted.

    Returns
    -------
    ndarray
        Probability, 0..1; 0 outside the brain.
    """
    blurs = {"white": BLUR_MM, "cortex": CORTEX_BLUR_MM, "deep_grey": BLUR_MM, "csf": BLUR_MM}
    share = {
        name: ndimage.gaussian_filter(getattr(priors, name), [mm / s for s in voxel_sizes_mm])
        for name, mm in blurs.items()
    }
    total = sum(share.values()) + 1e-3
    share = {name: values / total for name, values in share.items()}
    grey, grey_sd = cortex
    normal = share["white"] * (
        (1 - model.stray) * _gaussian(z, 0.0, 1.0)
        + model.stray * _gaussian(z, model.stray_z, model.stray_spread_z)
    )
    normal += share["cortex"] * _gaussian(z, cortex_around, grey_sd * model.cortex_spread)
    normal += share["deep_grey"] * _gaussian(
        z, model.deep_grey * grey, max(grey_sd, model.least_deep_grey_spread)
    )
    as_bright = _gaussian(z, cortex_around, grey_sd)
    normal += share["csf"] * np.where(z < cortex_around, model.csf_likelihood, as_bright)
    bright = model.lesion_brightness(cortex_around)
    lesion = _gaussian(np.minimum(z, bright), bright, model.spread_z)
    possible = share["white"] + model.in_deep_grey * share["deep_grey"]
    possible = np.clip(possible, model.least_possible, 1)
    sigma = [model.neighbours_mm / size for size in voxel_sizes_mm]
    probability = np.zeros_like(z)
    for number in range(MEAN_FIELD_ROUNDS):
        around = ndimage.gaussian_filter(probability, sigma) if number else probability
        prior = np.clip(model.prior + model.neighbours * around, 0, 0.9)
        prior *= np.clip(possible + around, 0, 1)
        weight = prior * lesion
        probability = np.where(brain, weight / (weight + (1 - prior) * normal + TINY), 0)
        probability = probability.astype(np.float32)
    return probability


def _gaussian(
    values: NDArray[np.float32], mean: float | NDArray[np.float32], sd: float
) -> NDArray[np.float32]:
    scaled = (values - np.asarray(mean, np.float32)) / np.float32(sd)
    return np.exp(-0.5 * scaled**2) / np.float32(sd * np.sqrt(2 * np.pi))


def surface(
    white_prior: NDArray[np.float32], brain: NDArray[np.bool_], voxel_sizes_mm: Sequence[float]
) -> NDArray[np.bool_]:
    """Find the brain's surface: where a mask lets in dura, bone or fat, and no lesion can be.

    Parameters
    ----------
    white_prior
        Probability of white matter, 0..1.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        Voxels near the outside of the mask, without those where white matter is likely.
    """
    # the border of the array is the brain's too, where it is cut there
    depth = deeper(np.pad(brain, 1), SURFACE_MM, voxel_sizes_mm)[1:-1, 1:-1, 1:-1]
    return brain & ~depth & (white_prior < SURFACE_WHITE)


def ventricles_and_septum(
    z: NDArray[np.float32],
    t1w_z: NDArray[np.float32] | None,
    priors: TissuePriors,
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
) -> NDArray[np.bool_]:
    """Find the ventricles with the choroid plexus in them, and the septum: bright and no lesion.

    Parameters
    ----------
    z
        Brightness of the FLAIR in SD of normal white matter.
    t1w_z
        The same of the T1w, or None.
    priors
        The template's priors.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    ndarray
        Where no lesion is looked for.
    """
    fluid = brain & priors.ventricles
    fluid &= z < (CSF_FLAIR_ALONE_Z if t1w_z is None else CSF_FLAIR_Z)
    if t1w_z is not None:
        fluid &= t1w_z < CSF_T1W_Z
    grown = within(fluid, VENTRICLE_GAP_MM, voxel_sizes_mm)
    closed = deeper(grown, VENTRICLE_GAP_MM, voxel_sizes_mm) | fluid
    ventricles = without_holes(closed)
    septum = priors.midline_mm < SEPTUM_HALF_WIDTH_MM
    septum &= within(ventricles, SEPTUM_REACH_MM, voxel_sizes_mm)
    return ventricles | septum


def accept_lesions(
    probability: NDArray[np.floating],
    excluded: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    model: LesionModel,
) -> NDArray[np.bool_]:
    """Take what is probable, large enough and sure somewhere, and fill its holes.

    Parameters
    ----------
    probability
        Probability of lesion.
    excluded
        Where there is none.
    voxel_sizes_mm
        Voxel size along each axis.
    model
        Threshold and peak.

    Returns
    -------
    ndarray
        The lesions.
    """
    likely = (probability >= model.threshold) & ~excluded
    likely = keep_large(likely, LEAST_LESION_MM3, voxel_sizes_mm)
    sure = sure_somewhere(likely, probability, model.peak)
    return without_holes(sure) & ~excluded
