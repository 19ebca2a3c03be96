"""Acute lesions by a rule: bright on a diffusion-weighted image, and dark on the ADC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wmhflow.core.arrays.components import keep_components
from wmhflow.core.arrays.distance import distance_to
from wmhflow.core.arrays.masks import ROUNDING
from wmhflow.core.arrays.robust import median_and_spread
from wmhflow.core.arrays.validation import (
    UnfitImageError,
    check_same_shape,
    checked_labels,
    checked_mask,
    checked_positive,
    checked_spacing,
    checked_volume,
)

# With fewer voxels nobody can tell how normal white matter looks, or fluid.
LEAST_WHITE_VOXELS, LEAST_FLUID_VOXELS = 100, 20
# ADC of white matter is 0.7e-3 to 0.9e-3 mm²/s; a median outside of these is another unit, an
# exponential map or no brain.
WHITE_ADC = (0.4e-3, 1.5e-3)


@dataclass(frozen=True)
class AcuteRule:
    """The numbers of the rule, chosen on simulated scans (``python -m benchmarks.accuracy.acute``).

    Brightness is a step above what finds no false lesion there, for real scans have artefacts that
    simulated ones have not. The ADC of a core is the literature's; at the edge it stays below that
    of normal white matter, 0.7e-3 to 0.9e-3 mm²/s.

    Attributes
    ----------
    least_spreads
        Brighter than the median of normal white matter, and than that of the voxel's own tissue, by
        so many robust spreads of normal white matter.
    largest_adc
        ADC at most so much, mm²/s (Purushotham et al. 2015, doi:10.1111/ijs.12068).
    edge_spreads, edge_adc
        The same around such a core: half of a voxel at its border is normal.
    edge_mm
        Up to so far from a core its edge is looked for.
    rim_mm
        Nothing counts in a haemorrhage, whose blood makes both images wrong, and up to so far from
        it.
    least_mm3
        Smallest volume of a core.
    least_voxels
        The same in voxels of the diffusion-weighted image; the larger of the two counts.
    """

    least_spreads: float = 6.0
    largest_adc: float = 0.62e-3
    edge_spreads: float = 3.0
    edge_adc: float = 0.7e-3
    edge_mm: float = 3.0
    rim_mm: float = 5.0
    least_mm3: float = 10.0
    least_voxels: float = 3.0


RULE = AcuteRule()


class AcuteFound(NamedTuple):
    """Acute lesions, and what the rule rests on."""

    mask: NDArray[np.bool_]
    """(I, J, K) of the lesions."""
    facts: dict[str, float | None]
    """``white_dwi``, ``white_spread``, ``white_adc``: of normal white matter; ``fluid_dwi`` (over
    that of white matter) and ``fluid_adc``, None without ventricles in view; ``coverage``, the
    share of the brain in which both images have a value; ``rim_mm3``, what the rule met in the
    haemorrhage and its rim; ``volume_mm3`` of all lesions."""


def find_acute(
    dwi: ArrayLike,
    adc: ArrayLike,
    brain: ArrayLike,
    white: ArrayLike,
    fluid: ArrayLike,
    spacing: ArrayLike,
    dwi_voxel_mm3: float,
    tissue: ArrayLike | None = None,
    haemorrhage: ArrayLike | None = None,
    rule: AcuteRule = RULE,
) -> AcuteFound:
    """Find acute ischaemic lesions: bright at b of about 1000 and dark on the ADC.

    A core is brighter than normal white matter and its own tissue, of a low ADC, in the brain, and
    no blood is near; a lesion is a large enough core with its edge.

    Parameters
    ----------
    dwi : (I, J, K) array
        Diffusion-weighted image of b about 1000 s/mm², any unit; NaN where it shows nothing.
    adc : (I, J, K) array
        Apparent diffusion coefficient, mm²/s; NaN where it is not known.
    brain, white, fluid : (I, J, K) arrays of booleans or numbers
        The brain, normal-appearing white matter, and the lateral ventricles.
    spacing : three floats
        Voxel sizes in mm.
    dwi_voxel_mm3 : float
        Volume of a voxel of `dwi` as it was acquired.
    tissue : (I, J, K) integer array, optional
        Kinds of tissue, of which each has its own brightness; 0 is none.
    haemorrhage : (I, J, K) array of booleans or numbers, optional
        Intracerebral haemorrhage.
    rule : AcuteRule, optional
        The numbers.

    Returns
    -------
    AcuteFound

    Raises
    ------
    UnfitImageError
        If hardly any white matter is in view, or the images are constant, inverted or no such ones.

    References
    ----------
    Purushotham A, et al. Apparent diffusion coefficient threshold for delineation of ischemic core.
    International Journal of Stroke 2015;10:348-353. doi:10.1111/ijs.12068

    Examples
    --------
    >>> dwi, adc = np.full((12, 12, 12), 100.0), np.full((12, 12, 12), 0.8e-3)
    >>> dwi[::2] += 4
    >>> dwi[5:8, 5:8, 5:8], adc[5:8, 5:8, 5:8] = 200, 0.4e-3
    >>> everywhere = np.ones(dwi.shape, bool)
    >>> found = find_acute(dwi, adc, everywhere, everywhere, ~everywhere, (1, 1, 1), 8.0)
    >>> int(found.mask.sum()), bool(found.mask[5:8, 5:8, 5:8].all())
    (27, True)
    """
    bright, dark = checked_volume(dwi, "dwi"), checked_volume(adc, "adc")
    masks = {"brain": brain, "white": white, "fluid": fluid}
    inside, normal, wet = (checked_mask(mask, name) for name, mask in masks.items())
    kinds = np.zeros(inside.shape, np.uint8) if tissue is None else checked_labels(tissue, "tissue")
    check_same_shape(dwi=bright, adc=dark, brain=inside, white=normal, fluid=wet, tissue=kinds)
    sizes = checked_spacing(spacing)
    voxel_mm3, of_dwi = float(np.prod(sizes)), checked_positive(dwi_voxel_mm3, "dwi_voxel_mm3")
    least = max(rule.least_mm3, rule.least_voxels * of_dwi) / voxel_mm3
    seen = np.isfinite(bright) & np.isfinite(dark)
    rim = _rim(haemorrhage, inside, sizes, rule.rim_mm)
    look = _looks(bright, dark, normal & seen & ~rim, wet & seen & ~rim)
    core, edge = _met(bright, dark, inside & seen, kinds, look, rule)
    edge &= distance_to(core & ~rim, sizes, limit=rule.edge_mm) <= rule.edge_mm * (1 + ROUNDING)
    mask = _with_core((core | edge) & ~rim, core & ~rim, least)
    facts = {
        "coverage": _count(inside & seen) / max(_count(inside), 1),
        "rim_mm3": _count(core & rim) * voxel_mm3,
        "volume_mm3": _count(mask) * voxel_mm3,
    }
    return AcuteFound(mask, look._asdict() | facts)


def _count(mask: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(mask))


def _met(
    dwi: NDArray[np.floating],
    adc: NDArray[np.floating],
    within: NDArray[np.bool_],
    kinds: NDArray[np.integer],
    look: _Look,
    rule: AcuteRule,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where the numbers of a core are met, and those of an edge."""
    middle = np.full(int(kinds.max()) + 1, look.white_dwi)
    for kind in np.unique(kinds[within & (kinds > 0)]):
        values = dwi[within & (kinds == kind)]
        if values.size >= LEAST_WHITE_VOXELS:
            # what a kind of tissue is mixed with spreads it more than white matter
            middle[kind] = max(float(np.median(values)), look.white_dwi)
    above = (dwi - middle[kinds]) / look.white_spread
    core, edge = (
        within & (above > spreads) & (adc <= largest_adc)
        for spreads, largest_adc in (
            (rule.least_spreads, rule.largest_adc),
            (rule.edge_spreads, rule.edge_adc),
        )
    )
    return core, edge


def _with_core(mask: NDArray[np.bool_], core: NDArray[np.bool_], least: float) -> NDArray[np.bool_]:
    """Keep the components that hold a core of so many voxels, and of two in any case."""

    def holds_core(labels: NDArray[np.int32], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        held = np.bincount(labels[core], minlength=counts.size + 1)[1:]
        return (held * (1 + ROUNDING) >= least) & (held >= 2)

    return keep_components(mask, holds_core)


def _rim(
    haemorrhage: ArrayLike | None,
    like: NDArray[np.bool_],
    spacing: NDArray[np.float64],
    rim_mm: float,
) -> NDArray[np.bool_]:
    """Return the haemorrhage and what lies up to so far from it; nothing where none is given."""
    blood = np.zeros_like(like) if haemorrhage is None else checked_mask(haemorrhage, "haemorrhage")
    check_same_shape(brain=like, haemorrhage=blood)
    if not blood.any():
        return blood
    return np.asarray(distance_to(blood, spacing, limit=rim_mm) <= rim_mm * (1 + 1e-5))


class _Look(NamedTuple):
    """How normal white matter and fluid look; None without fluid in view."""

    white_dwi: float
    white_spread: float
    white_adc: float
    fluid_dwi: float | None = None
    fluid_adc: float | None = None


def _looks(
    dwi: NDArray[np.floating],
    adc: NDArray[np.floating],
    white: NDArray[np.bool_],
    fluid: NDArray[np.bool_],
) -> _Look:
    """Measure normal white matter and fluid, and refuse images in which they are neither."""
    n_white, n_fluid = int(np.count_nonzero(white)), int(np.count_nonzero(fluid))
    if n_white < LEAST_WHITE_VOXELS:
        raise UnfitImageError(
            f"both images have a value in {n_white} voxels of normal white matter alone, and "
            f"{LEAST_WHITE_VOXELS} are needed"
        )
    level, spread = median_and_spread(dwi[white])
    if not level > 0 or not spread > 1e-6 * level:
        raise UnfitImageError("the diffusion-weighted image is constant in white matter, or empty")
    white_adc = float(np.median(adc[white]))
    if not WHITE_ADC[0] <= white_adc <= WHITE_ADC[1]:
        raise UnfitImageError(
            f"the ADC of normal white matter is {white_adc:.3g} mm²/s, where {WHITE_ADC[0]:g} to "
            f"{WHITE_ADC[1]:g} can be true"
        )
    if n_fluid < LEAST_FLUID_VOXELS:
        return _Look(level, spread, white_adc)
    share, fluid_adc = float(np.median(dwi[fluid])) / level, float(np.median(adc[fluid]))
    if share >= 1:
        raise UnfitImageError(
            f"fluid is {share:.2g} times as bright as white matter on the diffusion-weighted "
            "image, where it should be dark: it is inverted, or of too small a b"
        )
    if fluid_adc <= white_adc:
        raise UnfitImageError(
            f"the ADC of fluid ({fluid_adc:.3g} mm²/s) is not above that of white matter "
            f"({white_adc:.3g}): the map is inverted, or none of the ADC"
        )
    return _Look(level, spread, white_adc, share, fluid_adc)
