"""The columns of every table, once: order, description and unit."""

from __future__ import annotations

from collections.abc import Sequence

from wmhflow.bids.writer import Column

_REGION: tuple[Column, ...] = (
    ("seg", "Label image that the region comes from (seg-<name>_dseg)", None),
    (
        "index",
        "Number of the region in its label image; where two meet, 100000 x the first + the second",
        None,
    ),
    ("name", "Name of the region", None),
    ("hemisphere", "L, R, or B for both sides together", None),
)

LESIONS: tuple[Column, ...] = (
    ("index", "Number of the lesion in seg-lesions_dseg, by first voxel in RAS order", None),
    ("volume_mm3", "Volume", "mm^3"),
    ("x", "Centroid, to the right, world RAS of the reference", "mm"),
    ("y", "Centroid, to the front", "mm"),
    ("z", "Centroid, upwards", "mm"),
    ("extent_mm", "Longest side of the box around the lesion along the voxel axes", "mm"),
    ("ventricle_distance_min", "Smallest distance of a voxel to the lateral ventricles", "mm"),
    ("cortex_distance_min", "Smallest distance of a voxel to the cortex", "mm"),
    ("hemisphere", "Side that holds most of its voxels: L or R", None),
    ("continuity", "PV if any voxel lies within 3 mm of the ventricle, else deep", None),
    ("majority", "Zone that holds most of its voxels", None),
    ("lobe", "Lobe that holds most of its voxels; n/a without a parcellation", None),
    ("territory", "Arterial territory; n/a without an arterial atlas", None),
)


def majority_columns(schemes: Sequence[str]) -> list[str]:
    """Name the lesions' columns for the majority rule: the first scheme has the plain name.

    Examples
    --------
    >>> majority_columns(("jv3-pv13-jc4", "pv4-14"))
    ['majority', 'majority_pv4_14']
    """
    return ["majority", *(f"majority_{scheme.replace('-', '_')}" for scheme in schemes[1:])]


def lesion_columns(schemes: Sequence[str]) -> tuple[Column, ...]:
    """Give the columns of the lesions for so many zone schemes, each by the majority rule."""
    further = tuple(
        (name, f"Zone of {scheme} that holds most of its voxels", None)
        for name, scheme in list(zip(majority_columns(schemes), schemes, strict=True))[1:]
    )
    place = names(LESIONS).index("majority") + 1
    return (*LESIONS[:place], *further, *LESIONS[place:])


WEIGHTED: tuple[Column, ...] = (
    *_REGION,
    ("volume_mm3", "Volume of the region, every voxel weighted by its probability", "mm^3"),
    ("wmh_volume_mm3", "Volume of lesions in it, weighted likewise", "mm^3"),
    ("wmh_fraction", "wmh_volume_mm3 / volume_mm3; n/a for an empty region", "1"),
)

VOLUMES: tuple[Column, ...] = (
    *_REGION,
    ("volume_mm3", "Volume of the region, lesions included", "mm^3"),
    ("wmh_volume_mm3", "Volume of white matter hyperintensities in the region", "mm^3"),
    ("wmh_fraction", "wmh_volume_mm3 / volume_mm3; n/a if the region is empty", "1"),
    ("n_lesions", "Number of lesions with at least one voxel in the region", None),
    (
        "n_lesions_centre",
        "Number of lesions whose centre lies in the region: the voxel nearest to the centroid",
        None,
    ),
    ("volume_icv", "volume_mm3 / intracranial volume", "1"),
    ("wmh_volume_icv", "wmh_volume_mm3 / intracranial volume", "1"),
)

LOAD: tuple[Column, ...] = (
    ("axis", "What is divided: depth (0 ventricle, 1 cortex), or mm to ventricle or cortex", None),
    ("lo", "Open lower edge, closed in the first bin; depth has no unit", None),
    ("hi", "Closed upper edge; the last bin in mm holds the rest", None),
    ("hemisphere", "L, R, or B for both sides together", None),
    ("volume_mm3", "Volume of white matter in the bin, lesions included", "mm^3"),
    ("wmh_volume_mm3", "Volume of white matter hyperintensities in the bin", "mm^3"),
    ("wmh_fraction", "wmh_volume_mm3 / volume_mm3; n/a if the bin is empty", "1"),
)

ASYMMETRY: tuple[Column, ...] = (
    *_REGION,
    ("measure", "wmh_fraction of the region and its homologue, or the name of a map", None),
    ("unit", "Unit of value, opposite_value and difference", None),
    ("n", "Lesions that reach into the region, or valid map voxels that overlap it", None),
    ("volume_mm3", "Volume of the region; for maps without the lesions of either side", "mm^3"),
    ("value", "Share of WMH, or weighted mean of the map", None),
    ("opposite_n", "The same of the homologue, or of the place opposite to the region", None),
    ("opposite_volume_mm3", "Its volume", "mm^3"),
    ("opposite_value", "Its value", None),
    ("difference", "Left minus right", None),
    ("asymmetry", "(left - right) / (left + right); n/a where the two differ in sign", "1"),
)

MAPS: tuple[Column, ...] = (
    *_REGION,
    ("tissue", "Part of the region: all, WMH, or NAWM (normal-appearing white matter)", None),
    ("map", "Name of the quantitative map", None),
    ("unit", "Unit of mean, sd, median, quantiles and mad", None),
    (
        "n",
        "Number of valid map voxels that overlap the region by more than 1e-4 of the smaller voxel",
        None,
    ),
    ("n_effective", "(sum of weights)^2 / sum of squared weights", None),
    ("volume_mm3", "Volume of the region", "mm^3"),
    (
        "coverage",
        "Volume covered by valid map voxels / volume of the region; n/a if it has none",
        "1",
    ),
    ("mean", "Weighted mean; a voxel weighs the fraction of it that the region covers", None),
    ("sd", "Weighted standard deviation, unbiased (reliability weights)", None),
    ("median", "Weighted median (inverse of the weighted distribution)", None),
    ("q05", "Weighted 5th percentile", None),
    ("q25", "Weighted 25th percentile", None),
    ("q75", "Weighted 75th percentile", None),
    ("q95", "Weighted 95th percentile", None),
    ("mad", "Weighted median absolute deviation from the median", None),
)

PROFILES: tuple[Column, ...] = (
    ("map", "Name of the quantitative map", None),
    ("lesion_class", "all, PV (periventricular) or deep", None),
    ("shell", "1 is the first outside the lesion edge, -1 the first inside, rest beyond", None),
    ("distance_lo", "Open lower edge; negative inside the lesion", "mm"),
    ("distance_hi", "Closed upper edge", "mm"),
    ("distance_mean", "Mean true distance of the shell's reference voxels", "mm"),
    ("n_effective", "(sum of weights)^2 / sum of squared weights", None),
    ("mean", "Weighted mean of the map in the shell", None),
    ("sd", "Weighted standard deviation", None),
    ("median", "Weighted median", None),
    ("reference_mean", "Mean in NAWM beyond the last shell", None),
    ("difference", "mean - reference_mean", None),
)

PENUMBRA: tuple[Column, ...] = (
    ("map", "Name of the quantitative map", None),
    ("lesion_class", "all, PV (periventricular) or deep", None),
    ("width_mm", "Distance from the lesion edge at which the profile meets its plateau", "mm"),
    ("width_lo", "Lower end of the 95 % confidence interval", "mm"),
    ("width_hi", "Upper end of the 95 % confidence interval", "mm"),
    ("peak_mm", "Distance at which the profile turns, if it does", "mm"),
    ("plateau", "Value of the plateau", None),
    (
        "amplitude",
        "Fitted value minus the plateau, at the peak or, if there is none, at the lesion edge",
        None,
    ),
    ("model", "flat, hinge, two hinges (the profile turns), or none; chosen by AICc", None),
    ("reason", "Why the width or one of its limits is missing", None),
)

QC: tuple[Column, ...] = (
    ("metric", "What was measured", None),
    ("value", "Its value", None),
    ("low", "Lowest value that is not remarkable", None),
    ("high", "Highest value that is not remarkable", None),
    ("verdict", "ok, check (outside the bounds), or info (no bounds, or no value)", None),
)


def names(columns: tuple[Column, ...]) -> list[str]:
    """Return the names of a table's columns in order."""
    return [name for name, _, _ in columns]
