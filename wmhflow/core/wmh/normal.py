"""A person's normal tissues on a FLAIR or T1w, however much of the white matter is lesion.

White matter alone cannot tell what is normal where half of it is ill: lesions are its peak then,
and a smooth field fitted to it carries them away. Cortex, deep grey matter and CSF are not replaced
by lesions. So all tissues are fitted together, with the slow change of brightness over the head.
Lesions are a class of their own, which says nothing of the field and grows where it is found.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.blocks import block_factors, block_means, over_blocks
from wmhflow.core.arrays.validation import UnfitImageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

WHITE, CORTEX, DEEP_GREY, CSF, LESION = range(5)
TISSUES = ("white", "cortex", "deep_grey", "csf")
# Means over blocks of this edge are fitted, to save time.
WORKING_MM = 2.0
ROUNDS, TOLERANCE = 40, 1e-4
ORDER = 3
# Every tissue may be anywhere a little: the template's priors are a few millimetres off in places.
FLOOR = 0.02
LEAST_SHARE, LESION_FLOOR, LESION_CEILING = 0.5, 0.03, 0.9
LESION_REACH_MM = 5.0
# Logarithms of brightness: the least spread of a tissue, and by how much lesions are brighter than
# cortex at least.
LEAST_SD, MOST_SD, ABOVE_CORTEX = 0.03, 0.25, 0.12
CSF_SD, LESION_SD = 0.5, 0.2
SURE, NEARLY, LEAST_SURE = 0.85, 0.9, 0.3
IN_PART_FLUID, WHITE_IN_PART_FLUID = 0.4, 0.1
TOO_DARK_SDS = 2.5
SQRT_2_PI = float(np.sqrt(2 * np.pi))
DARKEST = 1e-3
FIELD_SAMPLES = 40_000
# Cortex and deep grey matter differ from region to region by about this much, which is no field.
REGIONAL_SD = (0.0, 0.1, 0.1)
RIDGE = (0.0, 1e-4, 1e-3, 3e-3)


@dataclass(frozen=True)
class NormalTissue:
    """How bright a person's tissues are.

    `white` is the probability of normal white matter, and `field` the logarithm of the slow change
    over the head, on the image's grid; `means` and `sds` are of the logarithm without it, by
    tissue; `lesion_share` is the share of white matter that is lesion.
    """

    white: NDArray[np.float32]
    field: NDArray[np.float32]
    means: dict[str, float]
    sds: dict[str, float]
    lesion_share: float


def normal_tissue(
    image: NDArray[np.float32],
    priors: Mapping[str, NDArray[np.float32]],
    brain: NDArray[np.bool_],
    voxel_sizes_mm: Sequence[float],
    unlike: NDArray[np.bool_] | None = None,
) -> NormalTissue:
    """Fit tissues, lesions and the slow change of brightness together.

    Parameters
    ----------
    image
        FLAIR or T1w in any unit.
    priors
        Probabilities 0..1 of ``white``, ``cortex``, ``deep_grey`` and ``csf``.
    brain
        Brain mask.
    voxel_sizes_mm
        Voxel size along each axis.
    unlike
        What is known to be no normal tissue, such as lesions; then no class of lesions is fitted.

    Returns
    -------
    NormalTissue
        Field, means and spreads.

    Raises
    ------
    UnfitImageError
        If there is no positive value in white matter or in cortex.

    References
    ----------
    Van Leemput K et al. Automated model-based tissue classification of MR images of the brain. IEEE
    Trans Med Imaging 1999;18:897-908. doi:10.1109/42.811270
    """
    counted = brain & (image > 0)
    if unlike is not None:
        counted &= ~unlike
    factors = block_factors(voxel_sizes_mm, WORKING_MM)
    positive = np.where(counted, image, 1)
    logarithm, share = block_means(np.log(positive), counted, factors)
    laid = np.stack([block_means(priors[name], counted, factors)[0] for name in TISSUES])
    used = share >= min(LEAST_SHARE, float(share.max()))
    used &= share > 0
    sizes = np.array(factors) * voxel_sizes_mm
    return _fitted(logarithm, laid, used, sizes, factors, image.shape, unlike is None)


def _fitted(
    logarithm: NDArray[np.float32],
    priors: NDArray[np.float32],
    used: NDArray[np.bool_],
    sizes_mm: NDArray[np.float64],
    factors: Sequence[int],
    shape: Sequence[int],
    with_lesions: bool,
) -> NormalTissue:
    """Fit the mixture on blocks; give the field on voxels."""
    values = logarithm[used].astype(np.float64)
    own = priors[:, used].astype(np.float64)
    terms = _terms(used, factors, shape)
    # in coarse voxels the template is sure of nothing
    most = own.max(axis=1, keepdims=True) if own.size else np.zeros((len(own), 1))
    sure = own > np.minimum(SURE, NEARLY * most)
    for name, number in (("white matter", WHITE), ("cortex", CORTEX)):
        if most[number, 0] < LEAST_SURE:
            raise UnfitImageError(
                f"the image shows no {name} where it should be; look at brain mask and registration"
            )
    weights = _first_field(values, terms, sure[CORTEX])
    field = terms @ weights
    means, sds = _first_tissues(values - field, sure, with_lesions)
    spread = own + FLOOR
    # where the cortex is thin, a ventricle near, or a slice thick, fluid fills a part of a voxel
    spread[CSF] += IN_PART_FLUID * own[CORTEX] + WHITE_IN_PART_FLUID * (own[WHITE] + own[DEEP_GREY])
    spread /= spread.sum(axis=0)
    possible = own[WHITE] + 0.3 * own[DEEP_GREY]
    around = np.zeros(len(values))
    posterior = spread
    for _ in range(ROUNDS):
        rest = values - field
        lesion = np.clip(LESION_FLOOR + around, 0, LESION_CEILING) * possible
        lesion *= with_lesions
        joint = np.empty((5, len(values)))
        for number in range(4):
            joint[number] = spread[number] * (1 - lesion) * _density(rest, means, sds, number)
        bright = np.minimum(rest, means[LESION])
        joint[LESION] = lesion * _density(bright, means, sds, LESION)
        posterior = joint / (joint.sum(axis=0) + 1e-12)
        around = _gathered(posterior[LESION], used, sizes_mm)
        held = _without_fluid(posterior, rest, means, sds, with_lesions)
        # the cortex is thin: where the template is less sure of it, it is white matter in part
        held[CORTEX] *= own[CORTEX] ** 2
        before = means
        means, sds = _tissues(rest, held, means, sds, with_lesions)
        weights = _field(values, terms, held, means, sds)
        field = terms @ weights
        if np.abs(means - before).max() < TOLERANCE:
            break
    white = posterior[WHITE] + posterior[LESION]
    share = float((posterior[LESION] * own[WHITE]).sum() / max((white * own[WHITE]).sum(), 1e-6))
    normal_white = np.zeros(used.shape, np.float32)
    normal_white[used] = posterior[WHITE]
    return NormalTissue(
        white=over_blocks(normal_white, factors, shape),
        field=_polynomial(shape, weights),
        means={name: float(means[number]) for number, name in enumerate(TISSUES)},
        sds={name: float(sds[number]) for number, name in enumerate(TISSUES)},
        lesion_share=share,
    )


def _density(
    values: NDArray[np.float64], means: NDArray[np.float64], sds: NDArray[np.float64], number: int
) -> NDArray[np.float64]:
    found = np.exp(-0.5 * ((values - means[number]) / sds[number]) ** 2) / sds[number]
    if number == CSF:
        # and any brightness between fluid and tissue, where both fill a voxel
        low, high = means[CSF], min(means[WHITE], means[CORTEX])
        between = (values > low) & (values < high)
        found = 0.5 * found + 0.5 * SQRT_2_PI * between / max(high - low, LEAST_SD)
    return np.asarray(found)


def _first_field(
    values: NDArray[np.float64], terms: NDArray[np.float64], cortex: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Fit the field to the cortex, which lies all around and which lesions leave alone."""
    kept = cortex.copy()
    weights = np.zeros(terms.shape[1])
    for _ in range(3):
        centre = float(np.median((values - terms @ weights)[kept]))
        weights = _solved(terms[kept], values[kept] - centre, np.ones(int(kept.sum())))
        rest = np.abs(values - terms @ weights - centre)
        kept = cortex & (rest < 2.5 * max(float(np.median(rest[cortex])), DARKEST))
        if not kept.any():
            return np.zeros(terms.shape[1])
    return weights


def _first_tissues(
    rest: NDArray[np.float64], sure: NDArray[np.bool_], with_lesions: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Start from medians; on a FLAIR white matter is what is no brighter than cortex."""
    white = rest[sure[WHITE]]
    # the template has white matter where large ventricles are: their fluid is no tissue
    darkest = float(np.median(white)) - 0.35
    white = white[white > darkest]
    cortex = rest[sure[CORTEX]]
    # what is darker than any white matter is fluid in part
    cortex = float(np.median(cortex[cortex > darkest])) if (cortex > darkest).any() else 0.0
    if with_lesions and (white <= cortex).mean() > 0.05:
        white = white[white <= cortex]
    deep = rest[sure[DEEP_GREY] & (rest > darkest)]
    deep = deep if deep.size else np.array([cortex])
    fluid = rest[sure[CSF]] if sure[CSF].any() else np.array([cortex - 1.0])
    means = [np.median(white), cortex, np.median(deep), np.median(fluid), cortex + 2 * ABOVE_CORTEX]
    return np.array(means, float), np.array([0.1, 0.12, 0.12, CSF_SD, LESION_SD])


def _without_fluid(
    posterior: NDArray[np.float64],
    rest: NDArray[np.float64],
    means: NDArray[np.float64],
    sds: NDArray[np.float64],
    with_lesions: bool,
) -> NDArray[np.float64]:
    """Leave out of tissues what is far too dark for them: fluid that the template has elsewhere."""
    held = posterior.copy()
    for number in (WHITE, CORTEX, DEEP_GREY):
        held[number] *= rest > means[number] - TOO_DARK_SDS * sds[number]
    if with_lesions:
        # on a FLAIR, cortex darker than white matter is fluid in part
        held[CORTEX] *= rest > means[WHITE] - sds[WHITE]
    return held


def _tissues(
    rest: NDArray[np.float64],
    held: NDArray[np.float64],
    means: NDArray[np.float64],
    sds: NDArray[np.float64],
    with_lesions: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take means and spreads from what each class holds; one that holds nothing keeps its own."""
    means, sds = means.copy(), sds.copy()
    for number, weight in enumerate(held):
        total = float(weight.sum())
        if total < 50:
            continue
        mean = float((weight * rest).sum()) / total
        if number == LESION:
            means[number] = max(mean, means[CORTEX] + ABOVE_CORTEX)
            continue
        means[number] = mean
        sd = float(np.sqrt((weight * (rest - mean) ** 2).sum() / total))
        sds[number] = CSF_SD if number == CSF else np.clip(sd, LEAST_SD, MOST_SD)
    if with_lesions:
        means[WHITE] = min(means[WHITE], means[CORTEX])
        means[LESION] = max(means[LESION], means[CORTEX] + ABOVE_CORTEX)
    return means, sds


def _field(
    values: NDArray[np.float64],
    terms: NDArray[np.float64],
    posterior: NDArray[np.float64],
    means: NDArray[np.float64],
    sds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Fit the field to what is left of white matter, cortex and deep grey matter."""
    held = sds[[WHITE, CORTEX, DEEP_GREY]] ** 2 + np.array(REGIONAL_SD) ** 2
    precise = posterior[[WHITE, CORTEX, DEEP_GREY]] / held[:, None]
    weight = precise.sum(axis=0)
    expected = (precise * means[[WHITE, CORTEX, DEEP_GREY], None]).sum(axis=0)
    left = values - expected / np.maximum(weight, 1e-9)
    return _solved(terms, left, weight)


def _solved(
    terms: NDArray[np.float64], values: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Solve weighted least squares, the sums made in an order that threads do not change."""
    step = max(len(values) // FIELD_SAMPLES, 1)
    terms, values, weight = terms[::step], values[::step], weight[::step]
    weighted = terms * weight[:, None]
    normal = np.einsum("vi,vj->ij", weighted, terms)
    # the higher the power, the more of a reason it needs
    held = np.array([RIDGE[sum(power)] for power in _powers()])
    normal += np.diag(held) * weight.sum()
    return np.asarray(np.linalg.solve(normal, np.einsum("vi,v->i", weighted, values)))


def _gathered(
    values: NDArray[np.float64], used: NDArray[np.bool_], sizes_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average around each block, within what is used."""
    whole = np.zeros(used.shape, np.float32)
    whole[used] = values
    sigma = LESION_REACH_MM / sizes_mm
    total = ndimage.gaussian_filter(whole, sigma, truncate=3.0)
    share = ndimage.gaussian_filter(used.astype(np.float32), sigma, truncate=3.0)
    return np.asarray((total / np.maximum(share, 1e-3))[used], np.float64)


def _powers() -> list[tuple[int, int, int]]:
    """List the powers of x, y and z; a constant is no part of the field."""
    found = itertools.product(range(ORDER + 1), repeat=3)
    return [(a, b, c) for a, b, c in found if 0 < a + b + c <= ORDER]


def _terms(
    used: NDArray[np.bool_], factors: Sequence[int], shape: Sequence[int]
) -> NDArray[np.float64]:
    """Evaluate the polynomial's terms at the centres of blocks; the grid spans -1 to 1."""
    blocks = np.argwhere(used)
    voxels = (blocks + 0.5) * factors - 0.5
    scaled = 2 * voxels / np.maximum(np.array(shape) - 1, 1) - 1
    return np.stack([np.prod(scaled ** np.array(power), axis=1) for power in _powers()], axis=1)


def _polynomial(shape: Sequence[int], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Evaluate the polynomial at every voxel."""
    x, y, z = (np.linspace(-1, 1, n) if n > 1 else np.array([-1.0]) for n in shape)
    total = np.zeros(tuple(shape), np.float32)
    for (a, b, c), weight in zip(_powers(), weights, strict=True):
        plane = np.multiply.outer(x**a, y**b).astype(np.float32)
        total += np.multiply.outer(plane, (weight * z**c).astype(np.float32))
    return total
