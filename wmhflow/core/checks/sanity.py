"""Whether an image can be what its name says: its values, the brain in it, and its contrast.

Each check measures first (``*_facts``, plain numbers for the QC table) and judges then
(``*_finding``, what is wrong in words, or None). Findings are for what cannot be a brain's image;
their limits lie far from anything measured on real scans. What is only unusual is left to the
bounds of the QC table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from wmhflow.core.arrays.boxes import bounding_box
from wmhflow.core.arrays.masks import deeper
from wmhflow.core.tissue.brain import background_value, with_fluid
from wmhflow.labels.digits import CORTEX, CSF, DEEP_GREY, VENTRICLES, WHITE_MATTER, class_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from wmhflow.core.arrays.validation import Spacing

# Where no figure stands beside a number it is a loose bound that no real image came near, not a
# measured one.
MANY_VALUES = 100
MANY_VOXELS = 2_000_000
LITRE_MM3 = 1e6
# Share of the brightest values above which a voxel shows something and not air.
FOREGROUND_SHARE = 0.1
LEAST_FOREGROUND_L = 0.3
LEAST_DISTINCT = 16
# Voxels side by side: noise has 0, heads and brains at any resolution more than 0.6.
LEAST_SMOOTHNESS = 0.3
# Voxel sizes that differ by less are one: headers round them.
SAME_SIZE = 1.01
BRAIN_L = (0.4, 3.0)
LARGEST_EMPTY_SHARE = 0.2
# Fluid of which more than this share is blank was taken away with the skull. Loose, not measured.
FLUID_TAKEN = 0.5
# Five label images in voxels of 1 mm and slices of 5 to 8 mm: whole brains have up to 0.35, those
# without a twentieth 0.32 to 0.73, without a fifth 0.67 to 0.97, without a half 0.87 and more. So
# what is cut there and small, too, is no whole brain; a vertex beyond the slices is flagged.
LARGEST_CUT_SHARE, LEAST_CUT_BRAIN_L = 0.85, 0.9
# Of the surface: whole brains have up to 0.05, one without its lowest part 0.1, half a ball 0.25.
LARGEST_FLAT_SHARE = 0.16
# Objects and noise have up to 0.06, the least of the real heads, badly registered, 0.2.
LEAST_LIKENESS = 0.1
# T1w and FLAIR over the brain: 0.3 to 0.9 on real pairs, biased ones among them.
SAME_IMAGE = 0.99
# Tissues are compared within cubes of this edge, inside which a bias field hardly changes.
CUBE_MM = 40.0
LEAST_VOXELS = 20
LEAST_CUBE_SHARE = 0.02
# Cortex beside white matter on the T1w over the same on the FLAIR: 0.5 to 0.8 on real pairs.
SWAPPED_FACTOR = 1.1
# Cortex is thin and half fluid in thick slices, white matter may be lesion for the most part: what
# is bright of the one beside what is dark of the other tells a FLAIR from a T1w then, too.
DARK_WHITE, BRIGHT_CORTEX = 0.3, 0.7
# Fluid has less than this share of white matter's brightness on T1w and FLAIR, cortex more; lacunes
# are smaller than twice the distance.
DARK_AS_FLUID, FAR_FROM_BRIGHT_MM = 0.5, 4.0
BRIGHT_CSF = 1.3


# --- the values of an image ---------------------------------------------------------------------


def value_facts(values: NDArray[Any], voxel_sizes_mm: Spacing) -> dict[str, float | None]:
    """Measure what tells an image from noise, from a mask and from an empty field.

    Parameters
    ----------
    values
        Image of shape (X, Y, Z), finite, in any unit.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    dict
        ``distinct_values`` (at most 100 are counted), ``foreground_l`` (litres brighter than a
        tenth of the brightest) and ``smoothness``, the correlation of voxels side by side along
        the finest axes, the highest of these (None if no two voxels differ).

    Examples
    --------
    >>> noise = np.random.default_rng(0).random((20, 20, 20))
    >>> bool(abs(value_facts(noise, (8, 8, 8))["smoothness"]) < 0.05)
    True
    """
    background = background_value(values)
    low = float(values.min()) if background is None else background
    shown = values[values != low]
    top = float(np.percentile(shown, 99.5)) if shown.size else low
    bright = np.count_nonzero(values > low + FOREGROUND_SHARE * (top - low))
    return {
        "distinct_values": float(_count_distinct(values)),
        "foreground_l": float(bright * np.prod(voxel_sizes_mm) / LITRE_MM3),
        "smoothness": _smoothness(values, low, voxel_sizes_mm),
    }


def _count_distinct(values: NDArray[Any]) -> int:
    """Count distinct values, of every hundredth voxel first, which mostly is enough."""
    some = np.unique(values.ravel(order="K")[::101])
    return min(some.size if some.size >= MANY_VALUES else np.unique(values).size, MANY_VALUES)


def _smoothness(values: NDArray[Any], low: float, voxel_sizes_mm: Spacing) -> float | None:
    """Correlate neighbours along the finest axes, leaving out pairs that lie in the background.

    Of axes that are equally fine the highest counts: sizes that a header gives differ in their last
    digits, and noise has nothing in common along any axis.
    """
    sizes = np.asarray(voxel_sizes_mm, np.float64)
    finest = np.flatnonzero(sizes <= SAME_SIZE * sizes.min())
    found = [_neighbours_correlation(values, low, int(axis)) for axis in finest]
    known = [value for value in found if value is not None]
    return max(known, default=None)


def _neighbours_correlation(values: NDArray[Any], low: float, axis: int) -> float | None:
    """Correlate voxels side by side along an axis, in enough rows."""
    step = max(1, round((values.size / MANY_VOXELS) ** 0.5))
    along = np.moveaxis(values, axis, 0)[:, ::step, ::step]
    one, other = along[:-1], along[1:]
    shown = (one != low) & (other != low)
    return correlation(one[shown], other[shown])


def correlation(one: ArrayLike, other: ArrayLike) -> float | None:
    """Correlate two lists of values; None where one of them does not vary.

    Parameters
    ----------
    one, other
        Values of the same length.

    Examples
    --------
    >>> round(correlation([1, 2, 3], [3, 2, 1]), 6)
    -1.0
    >>> correlation([1, 1], [1, 2]) is None
    True
    """
    first, second = (np.asarray(values, dtype=np.float64).ravel() for values in (one, other))
    if first.size < 2:
        return None
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / scale if scale > 0 else None


def value_finding(facts: Mapping[str, float | None]) -> str | None:
    """Say what makes an image's values impossible for a scan of a head.

    Parameters
    ----------
    facts
        As :func:`value_facts` gives them.

    Returns
    -------
    str or None
        What is wrong, to follow the file's name; None if nothing is.

    Examples
    --------
    >>> value_finding({"distinct_values": 2, "foreground_l": 1.0, "smoothness": 0.9})
    'holds 2 distinct values, as a mask or a label image does'
    """
    distinct, litres = facts["distinct_values"] or 0, facts["foreground_l"] or 0
    smoothness = facts["smoothness"]
    if distinct < LEAST_DISTINCT:
        return f"holds {distinct:.0f} distinct values, as a mask or a label image does"
    if litres < LEAST_FOREGROUND_L:
        return (
            f"shows {1000 * litres:.3g} ml of something in an empty field, too little for a brain"
        )
    if smoothness is None or smoothness < LEAST_SMOOTHNESS:
        return "is noise: voxels side by side have nothing in common"
    return None


# --- the brain in it ----------------------------------------------------------------------------


def brain_facts(
    brain: NDArray[np.bool_], values: NDArray[Any], voxel_sizes_mm: Spacing
) -> dict[str, float | None]:
    """Measure how much brain there is, and how much of it is cut off or blank.

    Parameters
    ----------
    brain
        Brain mask of shape (X, Y, Z).
    values
        The image that it was found in.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    dict
        ``volume_l``; ``cut_share`` and ``flat_share``, as :func:`cut_share` and
        :func:`flattest_share` give them (None without a brain); and ``empty_share``, the share of
        the brain that has the background's value.

    Examples
    --------
    >>> half = np.zeros((20, 20, 20), bool)
    >>> half[:10] = True
    >>> brain_facts(half, half, (10, 10, 10))["cut_share"]
    1.0
    """
    n_voxels = int(np.count_nonzero(brain))
    volume_l = float(n_voxels * np.prod(voxel_sizes_mm) / LITRE_MM3)
    if n_voxels == 0:
        return {"volume_l": 0.0, "cut_share": None, "flat_share": None, "empty_share": None}
    return {
        "volume_l": volume_l,
        "cut_share": cut_share(brain),
        "flat_share": flattest_share(brain, voxel_sizes_mm),
        "empty_share": _empty_share_of_brain(brain, np.asarray(values), voxel_sizes_mm),
    }


def _empty_share_of_brain(
    brain: NDArray[np.bool_], values: NDArray[Any], voxel_sizes_mm: Spacing
) -> float | None:
    """Count the blank share of a brain; fluid that was taken away with the skull is none."""
    background = background_value(values)
    share = _empty_share(values[brain], background)
    if share is None or share <= LARGEST_EMPTY_SHARE:
        return share
    whole = with_fluid(brain & (values != background), voxel_sizes_mm)
    return float(np.count_nonzero(brain & ~whole) / np.count_nonzero(brain))


def _empty_share(brain: NDArray[Any], background: float | None) -> float | None:
    """Count the share of a brain's values that are the background's."""
    if not brain.size:
        return None
    return 0.0 if background is None else float(np.mean(brain == background))


def cut_share(brain: NDArray[np.bool_]) -> float:
    """Find how much of a brain's cross-section ends in one plane of the grid.

    A whole brain ends in caps, of which little lies in one plane, also where slices are thick; a
    field of view that cuts it leaves a face as large as the brain is there.

    Parameters
    ----------
    brain
        Mask with at least one voxel.

    Returns
    -------
    float
        Largest area that ends in one plane, the image's border among them, over the largest
        cross-section along the same axis, 0..1.

    Examples
    --------
    >>> ball = np.linalg.norm(np.mgrid[-9:10, -9:10, -9:10], axis=0) < 9
    >>> round(cut_share(ball), 2), round(cut_share(ball[:, :, :8]), 2)
    (0.2, 1.0)
    """
    return max(
        float(counts.max()) / int(brain.sum(axis=_others(axis)).max())
        for axis, counts in _ends(brain)
    )


def _ends(brain: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Count the voxels at which a mask ends in each plane, to both sides of each axis."""
    for axis in range(3):
        padded = np.pad(brain, [(1, 1) if index == axis else (0, 0) for index in range(3)])
        steps = np.diff(padded.astype(np.int8), axis=axis)
        for side in (1, -1):
            yield axis, np.count_nonzero(steps == side, axis=_others(axis))


def _others(axis: int) -> tuple[int, int]:
    """Name the two other axes."""
    first, second = (index for index in range(3) if index != axis)
    return first, second


def flattest_share(brain: NDArray[np.bool_], voxel_sizes_mm: Spacing) -> float:
    """Find the plane that holds the largest share of a mask's surface.

    Parameters
    ----------
    brain
        Mask with at least one voxel.
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    float
        Share of the surface, 0..1.

    Examples
    --------
    >>> flattest_share(np.ones((2, 2, 2), bool), (1, 1, 1)) == 1 / 6
    True
    """
    total, flattest = 0.0, 0.0
    for axis, counts in _ends(brain):
        planes = counts * float(np.prod([voxel_sizes_mm[index] for index in _others(axis)]))
        total += float(planes.sum())
        flattest = max(flattest, float(planes.max()))
    return flattest / total


def brain_finding(facts: Mapping[str, float | None]) -> str | None:
    """Say what makes a brain mask impossible for a whole brain.

    Parameters
    ----------
    facts
        As :func:`brain_facts` gives them.

    Returns
    -------
    str or None
        What is wrong, to follow the file's name; None if nothing is.

    Examples
    --------
    >>> brain_finding({"volume_l": 0.02, "cut_share": 0.0, "flat_share": 0.0, "empty_share": 0.0})
    'shows 0.02 litres of brain where 0.4 to 3 are possible'
    """
    volume, empty = facts["volume_l"] or 0.0, facts["empty_share"] or 0.0
    cut, flat = facts["cut_share"] or 0.0, facts["flat_share"] or 0.0
    low, high = BRAIN_L
    if not low <= volume <= high:
        return f"shows {volume:.3g} litres of brain where {low:g} to {high:g} are possible"
    if empty > LARGEST_EMPTY_SHARE:
        return f"is blank in {100 * empty:.0f} % of where the brain should be"
    if flat > LARGEST_FLAT_SHARE or (cut > LARGEST_CUT_SHARE and volume < LEAST_CUT_BRAIN_L):
        return (
            f"shows part of a brain: {volume:.3g} litres, and {100 * cut:.0f} % of its largest "
            "cross-section end in one plane, cut off"
        )
    return None


def likeness(
    template: NDArray[Any], image: NDArray[Any], where: NDArray[np.bool_], n_bins: int = 32
) -> float | None:
    """Measure how well a template's intensities predict an image's, whatever its contrast.

    The correlation ratio: the share of the image's variance that lies between voxels of
    different template intensity. 0 for noise, 1 if every template intensity has one image
    intensity.

    Parameters
    ----------
    template
        The template.
    image
        The image on the template's grid.
    where
        Voxels that count.
    n_bins
        Number of equally filled bins of template intensity.

    Returns
    -------
    float or None
        The correlation ratio; None if the image does not vary there.

    References
    ----------
    Roche A et al. The correlation ratio as a new similarity measure for multimodal image
    registration. MICCAI 1998. doi:10.1007/BFb0056301

    Examples
    --------
    >>> ramp = np.arange(1000.0).reshape(10, 10, 10)
    >>> round(likeness(ramp, -ramp, ramp >= 0), 2)
    1.0
    """
    known, seen = template[where].astype(np.float64), image[where].astype(np.float64)
    if known.size == 0:
        return None
    # vessels, fat and lesions are few and bright
    seen = np.clip(seen, *np.percentile(seen, [1, 99]))
    edges = np.unique(np.quantile(known, np.linspace(0, 1, n_bins + 1)[1:-1]))
    bins = np.searchsorted(edges, known)
    counts = np.bincount(bins)
    means = np.bincount(bins, weights=seen) / np.maximum(counts, 1)
    total = float(seen.var())
    between = float(np.sum(counts * (means - seen.mean()) ** 2) / known.size)
    return between / total if total > 0 else None


def likeness_finding(ratio: float | None) -> str | None:
    """Say that an image shows no brain if the template does not explain it.

    Parameters
    ----------
    ratio
        As :func:`likeness` gives it.

    Examples
    --------
    >>> likeness_finding(0.6) is None
    True
    """
    if ratio is not None and ratio >= LEAST_LIKENESS:
        return None
    return (
        "shows no brain that can be recognised: registered to the template, "
        f"it is explained by it to {100 * (ratio or 0):.0f} %"
    )


# --- contrast -----------------------------------------------------------------------------------


def contrast_facts(
    values: NDArray[Any],
    tissue: NDArray[Any],
    voxel_sizes_mm: Spacing,
) -> dict[str, float | None]:
    """Measure how bright ventricles and cortex are beside white matter.

    Medians are compared within cubes of 40 mm and the ratios averaged over the cubes, so that a
    bias field, which is bright at the surface, does not pass for bright cortex.

    Parameters
    ----------
    values
        T1w, FLAIR or another image of shape (X, Y, Z).
    tissue
        Tissue labels (2 ventricles, 3 cortex, 5 white matter; 10 k + these for a side).
    voxel_sizes_mm
        Voxel size along each axis.

    Returns
    -------
    dict
        ``cortex_to_white`` and ``ventricle_to_white``, ratios of medians;
        ``bright_cortex_to_dark_white``, that of cortex's 70th percentile to white matter's 30th,
        which fluid in the cortex and lesions in the white matter hardly change; ``unevenness``, the
        ratio of white matter's medians in bright and dark cubes (95th to 5th percentile);
        ``dark_white_share``, the share of white matter nearer to the ventricles' median than to its
        own, as fluid that was taken for white matter is; ``below_air_share``, the share of white
        matter that is darker than the background; ``dark_tissue_mm3``, what is as dark as fluid,
        lies more than 4 mm from anything brighter and is labelled as grey or white matter, as a
        ventricle is that was missed; and ``empty_share``, the share of all tissue that has the
        background's value. Each is None where there is too little to say.

    Examples
    --------
    >>> tissue = np.full((20, 20, 20), 5)
    >>> tissue[:10] = 3
    >>> facts = contrast_facts(np.where(tissue == 5, 100.0, 80.0), tissue, (2, 2, 2))
    >>> facts["cortex_to_white"], facts["unevenness"], facts["ventricle_to_white"]
    (0.8, 1.0, None)
    """
    background = background_value(values)
    shape = np.shape(tissue)
    # no more than the tissue, and a voxel around it, is looked at
    near = _near(np.asarray(tissue))
    labels, values = class_of(np.asarray(tissue)[near]), np.asarray(values)[near]
    cubes = _cubes(shape, voxel_sizes_mm)[near]
    white, n_white = _per_cube(values, labels == WHITE_MATTER, cubes)
    grey, n_grey = _per_cube(values, labels == CORTEX, cubes)
    # the ventricle's edge is half tissue, and there is choroid plexus
    inside = _inner(labels == VENTRICLES)
    fluid, n_fluid = _per_cube(values, inside, cubes)
    enough = n_white >= max(LEAST_VOXELS, LEAST_CUBE_SHARE * n_white.max(initial=0))
    seen = enough & (white > 0)
    dark, _ = _per_cube(values, labels == WHITE_MATTER, cubes, DARK_WHITE)
    bright, _ = _per_cube(values, labels == CORTEX, cubes, BRIGHT_CORTEX)
    return {
        "cortex_to_white": _ratio(grey, n_grey, white, seen),
        "bright_cortex_to_dark_white": _ratio(bright, n_grey, dark, seen & (dark > 0)),
        "ventricle_to_white": _ratio(fluid, n_fluid, white, seen),
        "unevenness": _spread(white[seen], n_white[seen]),
        "dark_white_share": _dark_share(values[labels == WHITE_MATTER], values[inside]),
        "below_air_share": _below_air_share(values[labels == WHITE_MATTER], background),
        "dark_tissue_mm3": _dark_tissue(values, labels, white[cubes], voxel_sizes_mm),
        "empty_share": _empty_share(values[_shown_tissue(values, labels, background)], background),
    }


def _near(tissue: NDArray[Any]) -> tuple[slice, ...]:
    """Return the box that holds all tissue and a voxel around it, as far as there is one."""
    box = bounding_box(tissue != 0)
    if box is None:
        return (slice(None),) * tissue.ndim
    return tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)


def _shown_tissue(
    values: NDArray[Any], labels: NDArray[np.uint8], background: float | None
) -> NDArray[np.bool_]:
    """Find all tissue, without the fluid where most of it was taken away with the skull."""
    fluid = np.isin(labels, (CSF, VENTRICLES))
    gone = background is not None and fluid.any() and float(np.mean(values[fluid] == background))
    return (labels > 0) & ~fluid if gone and gone > FLUID_TAKEN else labels > 0


def _below_air_share(white: NDArray[Any], background: float | None) -> float | None:
    """Count the white matter that is darker than what surrounds the head.

    Every ratio of brightness is unknown there: an image was inverted, or its numbers were stored in
    a type that is too small for them, in which the brightest become negative.
    """
    if background is None or not white.size:
        return None
    return float(np.mean(white < background))


def _dark_share(white: NDArray[Any], fluid: NDArray[Any]) -> float | None:
    """Count the white matter that is nearer to fluid than to what most white matter is."""
    if min(white.size, fluid.size) < LEAST_VOXELS:
        return None
    bright, dark = float(np.median(white)), float(np.median(fluid))
    return float(np.mean(white < (bright + dark) / 2)) if dark < bright else None


def _dark_tissue(
    values: NDArray[Any],
    labels: NDArray[np.uint8],
    white: NDArray[np.float64],
    voxel_sizes_mm: Spacing,
) -> float | None:
    """Measure the middle of what is dark and called tissue, beside white matter around or all."""
    tissue = np.isin(labels, (CORTEX, DEEP_GREY, WHITE_MATTER))
    known = labels == WHITE_MATTER
    if np.count_nonzero(known) < LEAST_VOXELS:
        return None
    beside = np.where(np.isnan(white), float(np.median(values[known])), white)
    dark = (labels > 0) & (values < DARK_AS_FLUID * beside)
    middle = deeper(dark, FAR_FROM_BRIGHT_MM, voxel_sizes_mm)
    return float(np.count_nonzero(middle & tissue) * np.prod(voxel_sizes_mm))


def _cubes(shape: Sequence[int], voxel_sizes_mm: Spacing) -> NDArray[np.integer]:
    """Give every voxel the number of its cube, in 16 bits if they hold it: these sort fastest."""
    steps = [
        (np.arange(length) * size / CUBE_MM).astype(np.int64)
        for length, size in zip(shape, voxel_sizes_mm, strict=True)
    ]
    n_x, n_y, n_z = (int(axis.max()) + 1 for axis in steps)
    kind = np.int16 if n_x * n_y * n_z < 2**15 else np.int64
    x, y, z = np.ix_(*(axis.astype(kind) for axis in steps))
    return np.asarray((x * kind(n_y) + y) * kind(n_z) + z)


def _per_cube(
    values: NDArray[Any],
    mask: NDArray[np.bool_],
    cubes: NDArray[np.integer],
    quantile: float = 0.5,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return a quantile and the number of a mask's values in every cube (NaN if none)."""
    numbers = cubes[mask]
    order = np.argsort(numbers, kind="stable")
    counts = np.bincount(numbers, minlength=int(cubes.max()) + 1)
    found = np.full(counts.size, np.nan)
    groups = np.split(values[mask][order], np.cumsum(counts)[:-1])
    for number in np.flatnonzero(counts):
        found[number] = np.quantile(groups[number], quantile)
    return found, counts


def _inner(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take a layer of voxels off a mask, if enough is left."""
    box = bounding_box(mask)
    inner = np.zeros(mask.shape, bool)
    if box is not None:
        # beyond the box nothing is marked, as beyond the image
        inner[box] = ndimage.binary_erosion(mask[box])
    return inner if np.count_nonzero(inner) >= LEAST_VOXELS else mask


def _ratio(
    medians: NDArray[np.float64],
    counts: NDArray[np.int64],
    white: NDArray[np.float64],
    seen: NDArray[np.bool_],
) -> float | None:
    """Average the cubes' ratios to white matter, weighted by the number of voxels."""
    both = seen & (counts > 0)
    if counts[both].sum() < LEAST_VOXELS:
        return None
    return float(np.average(medians[both] / white[both], weights=counts[both]))


def _spread(white: NDArray[np.float64], counts: NDArray[np.int64]) -> float | None:
    """Compare the medians of bright and of dark cubes, each cube as heavy as its voxels."""
    if white.size == 0:
        return None
    order = np.argsort(white)
    share = np.cumsum(counts[order]) / counts.sum()
    low, high = (white[order][np.searchsorted(share, q)] for q in (0.05, 0.95))
    return float(high / low)


def pair_facts(
    t1w: NDArray[Any], flair: NDArray[Any], found: Mapping[str, Mapping[str, float | None]]
) -> dict[str, float | None]:
    """Measure whether T1w and FLAIR are two images.

    Parameters
    ----------
    t1w, flair
        Values of the brain's voxels on both.
    found
        By name, ``T1w`` and ``FLAIR``: what :func:`contrast_facts` gives.

    Returns
    -------
    dict
        ``T1w_FLAIR_correlation``, and ``FLAIR_over_T1w_cortex``: how bright cortex is beside white
        matter on the FLAIR, over the same on the T1w (1 for one image given twice).

    Examples
    --------
    >>> found = {"T1w": {"cortex_to_white": 0.8}, "FLAIR": {"cortex_to_white": 1.2}}
    >>> facts = pair_facts(np.array([1, 2, 4]), np.array([2, 4, 8]), found)
    >>> {name: round(value, 3) for name, value in facts.items()}
    {'T1w_FLAIR_correlation': 1.0, 'FLAIR_over_T1w_cortex': 1.5}
    """
    on_t1w, on_flair = (found[name]["cortex_to_white"] for name in ("T1w", "FLAIR"))
    return {
        "T1w_FLAIR_correlation": correlation(t1w, flair),
        "FLAIR_over_T1w_cortex": on_flair / on_t1w if on_t1w and on_flair is not None else None,
    }


def pair_finding(facts: Mapping[str, float | None], flair_is_searched: bool) -> str | None:
    """Say that the FLAIR is the T1w once more.

    Parameters
    ----------
    facts
        As :func:`pair_facts` gives them.
    flair_is_searched
        As for :func:`contrast_findings`.

    Returns
    -------
    str or None
        What is wrong, to follow the FLAIR's name; None if nothing is.

    Examples
    --------
    >>> pair_finding({"T1w_FLAIR_correlation": 0.9999}, True)
    'shows the same image as the T1w (their correlation over the brain is 0.9999)'
    """
    alike = facts["T1w_FLAIR_correlation"]
    if flair_is_searched and alike is not None and alike > SAME_IMAGE:
        return f"shows the same image as the T1w (their correlation over the brain is {alike:.4g})"
    return None


def contrast_findings(
    found: Mapping[str, Mapping[str, float | None]], flair_is_searched: bool
) -> dict[str, str]:
    """Say which images are certainly not what their names say.

    Parameters
    ----------
    found
        By name, ``T1w`` and ``FLAIR`` or one of them: what :func:`contrast_facts` gives.
    flair_is_searched
        Whether lesions will be looked for in the FLAIR; if they are given, a wrong one does less
        harm and is left to the QC table.

    Returns
    -------
    dict
        By name, what is wrong, to follow the file's name; empty if nothing is.

    Examples
    --------
    >>> t2w = {"cortex_to_white": 1.3, "ventricle_to_white": 2.5, "empty_share": 0.0}
    >>> contrast_findings({"FLAIR": t2w}, True)
    {'FLAIR': 'is no FLAIR: its ventricles are 2.5 times as bright as white matter, as on a T2w'}
    """
    if _are_swapped(found):
        grey, other = (found[name]["cortex_to_white"] for name in ("T1w", "FLAIR"))
        return {
            "T1w": f"and the FLAIR seem to be swapped: cortex is {grey:.3g} times as bright as "
            f"white matter on the T1w and {other:.3g} times on the FLAIR"
        }
    if "FLAIR" not in found or not flair_is_searched:
        return {}
    fluid, empty = (found["FLAIR"][key] or 0.0 for key in ("ventricle_to_white", "empty_share"))
    if empty > LARGEST_EMPTY_SHARE:
        return {"FLAIR": f"is blank in {100 * empty:.0f} % of the brain"}
    if fluid > BRIGHT_CSF:
        return {
            "FLAIR": f"is no FLAIR: its ventricles are {fluid:.3g} times as bright as white "
            "matter, as on a T2w"
        }
    return {}


def _are_swapped(found: Mapping[str, Mapping[str, float | None]]) -> bool:
    """Tell whether cortex is clearly brighter on the T1w than on the FLAIR, CSF dark on both."""
    if set(found) != {"T1w", "FLAIR"}:
        return False
    fluids = [facts["ventricle_to_white"] for facts in found.values()]
    greys = [found[name]["cortex_to_white"] for name in ("T1w", "FLAIR")]
    if any(fluid is None or fluid >= 1 for fluid in fluids) or None in greys:
        return False
    on_t1w, on_flair = (grey or 0.0 for grey in greys)
    return on_flair < 1 and on_t1w > SWAPPED_FACTOR * on_flair
