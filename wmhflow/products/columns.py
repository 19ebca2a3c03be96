"""The columns of every table, once: order, description, unit and kind."""

from __future__ import annotations

from collections.abc import Sequence

from wmhflow.bids.writer import Column

KEYS: tuple[Column, ...] = (
    Column("participant_id", "The person", kind="text"),
    Column("session_id", "The visit; n/a if the person has no sessions", kind="text"),
)

_REGION: tuple[Column, ...] = (
    Column("seg", "Label image that the region comes from (seg-<name>_dseg)", kind="text"),
    Column(
        "index",
        "Number of the region in its label image; where two meet, 100000 x the first + the second",
        kind="whole",
    ),
    Column("name", "Name of the region", kind="text"),
    Column("hemisphere", "L, R, or B for both sides together", kind="text"),
)

_SAMPLES = Column(
    "n_effective",
    "Independent samples that the voxels are worth, by how alike the map's voxels are in NAWM; the "
    "standard error of the mean is sd / sqrt(n_effective)",
)

MOSTLY_ON = (
    "Side that holds most of its voxels, L or R, also of a lesion on both sides of the midline; "
    "volumes by side count every voxel on its own side"
)
LESIONS: tuple[Column, ...] = (
    Column(
        "index",
        "Number of the lesion in seg-lesions_dseg, by first voxel in RAS order",
        kind="whole",
    ),
    Column("volume_mm3", "Volume", "mm^3"),
    Column("x", "Centroid, to the right, world RAS of the reference", "mm"),
    Column("y", "Centroid, to the front", "mm"),
    Column("z", "Centroid, upwards", "mm"),
    Column("extent_mm", "Longest side of the box around the lesion along the voxel axes", "mm"),
    Column(
        "ventricle_distance_min", "Smallest distance of a voxel to the lateral ventricles", "mm"
    ),
    Column("cortex_distance_min", "Smallest distance of a voxel to the cortex", "mm"),
    Column("hemisphere", MOSTLY_ON, kind="text"),
    Column(
        "continuity", "PV if any voxel lies within 3 mm of the ventricle, else deep", kind="text"
    ),
    Column("majority", "Zone that holds most of its voxels", kind="text"),
    Column("lobe", "Lobe that holds most of its voxels; n/a without a parcellation", kind="text"),
    Column("territory", "Arterial territory; n/a without an arterial atlas", kind="text"),
    Column(
        "infratentorial",
        "Share of its voxels in cerebellum and brain stem; n/a where tissues have none of these",
        "1",
    ),
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
        Column(name, f"Zone of {scheme} that holds most of its voxels", kind="text")
        for name, scheme in list(zip(majority_columns(schemes), schemes, strict=True))[1:]
    )
    place = names(LESIONS).index("majority") + 1
    return (*LESIONS[:place], *further, *LESIONS[place:])


WEIGHTED: tuple[Column, ...] = (
    *_REGION,
    Column("volume_mm3", "Volume of the region, every voxel weighted by its probability", "mm^3"),
    Column("wmh_volume_mm3", "Volume of lesions in it, weighted likewise", "mm^3"),
    Column("wmh_fraction", "wmh_volume_mm3 / volume_mm3; n/a for an empty region", "1"),
)

VOLUMES: tuple[Column, ...] = (
    *_REGION,
    Column(
        "volume_mm3",
        "Volume of the region, lesions included; in seg-tissue they are a tissue by themselves",
        "mm^3",
    ),
    Column("wmh_volume_mm3", "Volume of white matter hyperintensities in the region", "mm^3"),
    Column("wmh_fraction", "wmh_volume_mm3 / volume_mm3; n/a if the region is empty", "1"),
    Column("n_lesions", "Number of lesions with at least one voxel in the region", kind="whole"),
    Column(
        "n_lesions_centre",
        "Number of lesions whose centre lies in the region: the voxel nearest to the centroid",
        kind="whole",
    ),
    Column("volume_icv", "volume_mm3 / intracranial volume", "1"),
    Column("wmh_volume_icv", "wmh_volume_mm3 / intracranial volume", "1"),
)

LOAD: tuple[Column, ...] = (
    Column(
        "axis",
        "What is divided: depth (0 ventricle, 1 cortex), or mm to ventricle or cortex",
        kind="text",
    ),
    Column("lo", "Open lower edge, closed in the first bin; depth has no unit"),
    Column("hi", "Closed upper edge; the last bin in mm holds the rest"),
    Column("hemisphere", "L, R, or B for both sides together", kind="text"),
    Column("volume_mm3", "Volume of white matter in the bin, lesions included", "mm^3"),
    Column("wmh_volume_mm3", "Volume of white matter hyperintensities in the bin", "mm^3"),
    Column("wmh_fraction", "wmh_volume_mm3 / volume_mm3; n/a if the bin is empty", "1"),
)

ASYMMETRY: tuple[Column, ...] = (
    *_REGION,
    Column(
        "measure",
        "wmh_fraction of the region and its homologue, or the name of a map",
        kind="text",
        levels=(("wmh_fraction", "Share of the region that is white matter hyperintensity"),),
    ),
    Column("unit", "Unit of value, opposite_value and difference", kind="text"),
    Column(
        "n", "Lesions that reach into the region, or valid map voxels that overlap it", kind="whole"
    ),
    Column(
        "volume_mm3", "Volume of the region; for maps without the lesions of either side", "mm^3"
    ),
    Column("value", "Share of WMH, or weighted mean of the map"),
    Column(
        "opposite_n",
        "The same of the homologue, or of the place opposite to the region",
        kind="whole",
    ),
    Column("opposite_volume_mm3", "Its volume", "mm^3"),
    Column("opposite_value", "Its value"),
    Column("difference", "Left minus right"),
    Column(
        "asymmetry",
        "(left - right) / (left + right); n/a where the two differ in sign or both are 0, and of "
        "maps whose zero is chosen (susceptibility, delays)",
        "1",
    ),
)

CONTRASTS: tuple[Column, ...] = (
    *_REGION,
    Column("tissue", "Part of the region: all, WMH, or NAWM", kind="text"),
    Column("map", "Name of the quantitative map", kind="text"),
    Column("unit", "Unit of means and differences", kind="text"),
    Column("mean", "As in the table of maps; regions without a value have no row"),
    Column("reference_mean", "Mean in far NAWM, beyond the last shell of all lesions"),
    Column("difference", "mean - reference_mean"),
    Column(
        "ratio",
        "mean / reference_mean; n/a where they differ in sign, or the map's zero is arbitrary",
        "1",
    ),
    Column(
        "opposite_mean",
        "Mean in the place opposite to the region, without the lesions of either side; n/a for "
        "regions of both sides",
    ),
    Column("opposite_difference", "mean - opposite_mean"),
    Column("opposite_ratio", "mean / opposite_mean, as ratio", "1"),
)

LESION_MAPS: tuple[Column, ...] = (
    Column("index", "Number of the lesion, as in seg-lesions and in its table", kind="whole"),
    Column("map", "Name of the quantitative map", kind="text"),
    Column("unit", "Unit of values and differences", kind="text"),
    Column("n", "Number of valid map voxels that overlap the lesion", kind="whole"),
    Column("volume_mm3", "Volume of the lesion", "mm^3"),
    Column("coverage", "Volume covered by valid map voxels / volume of the lesion", "1"),
    Column("mean", "Weighted mean in the lesion"),
    Column("sd", "Weighted standard deviation in it"),
    Column("median", "Weighted median in it"),
    Column("reference_mean", "Mean in far NAWM, beyond the last shell of all lesions"),
    Column("difference", "mean - reference_mean"),
    Column(
        "ratio",
        "mean / reference_mean; n/a where they differ in sign, or the map's zero is arbitrary",
        "1",
    ),
    Column(
        "opposite_n",
        "Valid map voxels in white matter that is no lesion and lies opposite to the lesion",
        kind="whole",
    ),
    Column("opposite_volume_mm3", "Volume of that white matter", "mm^3"),
    Column("opposite_mean", "Weighted mean in it"),
    Column("opposite_difference", "mean - opposite_mean"),
    Column("opposite_ratio", "mean / opposite_mean, as ratio", "1"),
)

MAPS: tuple[Column, ...] = (
    *_REGION,
    Column(
        "tissue",
        "Part of the region: all, WMH, or NAWM (normal-appearing white matter)",
        kind="text",
    ),
    Column("map", "Name of the quantitative map", kind="text"),
    Column("unit", "Unit of mean, sd, median, quantiles and mad", kind="text"),
    Column(
        "n",
        "Valid map voxels that overlap a piece of the region (of the finest partition) by "
        "more than 1e-4 of the smaller voxel",
        kind="whole",
    ),
    _SAMPLES,
    Column("volume_mm3", "Volume of the region", "mm^3"),
    Column(
        "coverage",
        "Volume covered by valid map voxels / volume of the region; n/a if it has none",
        "1",
    ),
    Column("mean", "Weighted mean; a voxel weighs the fraction of it that the region covers"),
    Column("sd", "Weighted standard deviation, unbiased (reliability weights)"),
    Column("median", "Weighted median (inverse of the weighted distribution)"),
    Column("q05", "Weighted 5th percentile"),
    Column("q25", "Weighted 25th percentile"),
    Column("q75", "Weighted 75th percentile"),
    Column("q95", "Weighted 95th percentile"),
    Column("mad", "Weighted median absolute deviation from the median"),
)

PROFILES: tuple[Column, ...] = (
    Column("map", "Name of the quantitative map", kind="text"),
    Column("lesion_class", "all, PV (periventricular) or deep", kind="text"),
    Column(
        "shell",
        "1 is the first outside the lesion edge, -1 the first inside, rest beyond",
        kind="text",
    ),
    Column(
        "distance_lo",
        "Lower edge, negative inside the lesion: open outside it, closed inside it",
        "mm",
    ),
    Column("distance_hi", "Upper edge: closed outside the lesion, open inside it", "mm"),
    Column("distance_mean", "Mean true distance of the shell's reference voxels", "mm"),
    _SAMPLES,
    Column("mean", "Weighted mean of the map in the shell"),
    Column("sd", "Weighted standard deviation"),
    Column("median", "Weighted median"),
    Column("reference_mean", "Mean in NAWM beyond the last shell"),
    Column("difference", "mean - reference_mean"),
    Column("unit", "Unit of means, sd, median and difference", kind="text"),
)

PENUMBRA: tuple[Column, ...] = (
    Column("map", "Name of the quantitative map", kind="text"),
    Column("lesion_class", "all, PV (periventricular) or deep", kind="text"),
    Column(
        "width_mm", "Distance from the lesion edge at which the profile meets its plateau", "mm"
    ),
    Column("width_lo", "Lower end of the 95 % confidence interval", "mm"),
    Column("width_hi", "Upper end of the 95 % confidence interval", "mm"),
    Column("peak_mm", "Distance at which the profile turns, if it does", "mm"),
    Column("plateau", "Value of the plateau"),
    Column(
        "amplitude",
        "Fitted value minus the plateau, at the peak or, if there is none, at the lesion edge",
    ),
    Column("p_flat", "Probability that a flat profile looks as little flat as this one", "1"),
    Column(
        "model",
        "flat, hinge, two hinges (the profile turns), or none; chosen by AICc, and flat where "
        "p_flat is above 0.05 for a hinge",
        kind="text",
    ),
    Column("reason", "Why the width or one of its limits is missing", kind="text"),
    Column("unit", "Unit of plateau and amplitude", kind="text"),
)

CURVES: tuple[Column, ...] = (
    Column("map", "Name of the quantitative map", kind="text"),
    Column("lesion_class", "all, PV (periventricular) or deep", kind="text"),
    Column("distance_lo", "Open lower edge of the bin; negative inside the lesion", "mm"),
    Column("distance_hi", "Closed upper edge", "mm"),
    Column("distance_mean", "Mean distance of what the map shows of the bin", "mm"),
    Column("mean", "Weighted mean of the map in the bin"),
    Column(
        "curve", "The means outside lesions, smoothed as much as lowers the expected error most"
    ),
    Column("curve_lo", "Lower end of the curve's 95 % band, at each place by itself"),
    Column("curve_hi", "Upper end"),
    Column("unit", "Unit of mean and curve", kind="text"),
)


def _alps_region(name: str, what: str) -> tuple[Column, ...]:
    return (
        Column(f"{name}_n", f"Voxels kept of the region of {what}", kind="whole"),
        Column(f"{name}_volume_mm3", "Their volume", "mm^3"),
        Column(f"{name}_fa", "Fractional anisotropy of their mean tensor"),
        Column(f"{name}_md", "Mean diffusivity of their mean tensor", "mm^2/s"),
        Column(f"{name}_wmh_fraction", "Share of them that are WMH"),
        Column(
            f"{name}_angle_deg",
            "Between the main direction of their mean tensor and the axis that fibres should have",
            "deg",
        ),
        Column(f"{name}_moved_mm", "How far the region's middle was moved to agree better", "mm"),
    )


ALPS: tuple[Column, ...] = (
    Column("hemisphere", "L, R, or B for the mean of both", kind="text"),
    Column("alps", "DTI-ALPS along the axes of the head; n/a with a reason"),
    Column("alps_without_wmh", "The same without voxels of WMH"),
    Column("alps_local", "The same along the axes that the main directions of both regions span"),
    Column("reason", "Why an index is missing", kind="text"),
    *_alps_region("projection", "projection fibres (superior corona radiata)"),
    *_alps_region("association", "association fibres (superior longitudinal fasciculus)"),
)

_NO_VOXEL = Column(
    "reason", "Why nothing is told of the voxel: less than half of it in the brain", kind="text"
)

SPECTRA: tuple[Column, ...] = (
    Column("voxel", "Name of the voxel: entities of its file's name", kind="text"),
    *_REGION,
    Column(
        "share",
        "Share of the voxel that lies in the region, lesions included; the voxel as it was "
        "planned: chemical shift displacement and saturation bands are not known",
        "1",
    ),
    Column("wmh_share", "Share of the voxel that is WMH in the region", "1"),
    Column("nawm_share", "Share of the voxel that is NAWM in the region", "1"),
    Column("volume_mm3", "Volume of the voxel in the region", "mm^3"),
    _NO_VOXEL,
)

METABOLITES: tuple[Column, ...] = (
    Column("voxel", "Name of the voxel: entities of its file's name", kind="text"),
    Column("metabolite", "Its name in the table that was given", kind="text"),
    Column("unit", "Unit of the value; arbitrary where the table tells none", kind="text"),
    Column("value", "As it was given: not corrected for the voxel's tissues"),
    Column("sd_percent", "Uncertainty of the value as it was given", "%"),
    Column("voxel_mm3", "Volume of the voxel", "mm^3"),
    Column("brain_share", "Share of the voxel in the brain, CSF included", "1"),
    Column("wmh_share", "Share of the voxel that is WMH", "1"),
    Column("nawm_share", "Share of the voxel that is NAWM", "1"),
    Column("white_share", "Share of the voxel that is white matter, WMH included", "1"),
    Column("grey_share", "Share of the voxel that is cortex or deep grey matter", "1"),
    Column("csf_share", "Share of the voxel that is CSF or ventricle", "1"),
    Column("infratentorial_share", "Share of the voxel in cerebellum and brain stem", "1"),
    _NO_VOXEL,
)

QC: tuple[Column, ...] = (
    Column("metric", "What was measured", kind="text", holds_measures=True),
    Column("value", "Its value, in the unit that the metric's description names, else without one"),
    Column("low", "Lowest value of the usual range, in the same unit; n/a if there is none"),
    Column("high", "Highest value of the usual range, in the same unit; n/a if there is none"),
    Column(
        "verdict", "ok, check (outside the bounds), or info (no bounds, or no value)", kind="text"
    ),
)


def names(columns: tuple[Column, ...]) -> list[str]:
    """Return the names of a table's columns in order."""
    return [column.name for column in columns]


ACUTE: tuple[Column, ...] = (
    Column("index", "Number of the acute lesion, by first voxel in RAS order", kind="whole"),
    Column("volume_mm3", "Volume", "mm^3"),
    Column("x", "Centroid, to the right, world RAS of the reference", "mm"),
    Column("y", "Centroid, to the front", "mm"),
    Column("z", "Centroid, upwards", "mm"),
    Column("extent_mm", "Longest side of the box around the lesion along the voxel axes", "mm"),
    Column(
        "ventricle_distance_min", "Smallest distance of a voxel to the lateral ventricles", "mm"
    ),
    Column("cortex_distance_min", "Smallest distance of a voxel to the cortex", "mm"),
    Column("hemisphere", MOSTLY_ON, kind="text"),
    Column("zone", "Zone that holds most of its voxels; n/a outside of white matter", kind="text"),
    Column("depth", "Mean depth between ventricle and cortex", "1"),
    Column("territory", "Arterial territory; n/a without an arterial atlas", kind="text"),
    Column(
        "haemorrhage_distance",
        "From edge to edge, 0 where they overlap; n/a without a haemorrhage",
        "mm",
    ),
    Column(
        "is_remote",
        "Whether haemorrhage_distance is --remote-mm or more; n/a without a haemorrhage",
        kind="flag",
    ),
    Column(
        "oedema_distance",
        "The same from the edge of the oedema, the haemorrhage in it; n/a without a mask of oedema",
        "mm",
    ),
    Column(
        "is_remote_from_oedema",
        "Whether oedema_distance is --remote-mm or more; n/a without a mask of oedema",
        kind="flag",
    ),
    Column("wmh_distance", "To the nearest WMH, from edge to edge; n/a without WMH", "mm"),
    Column("wmh_volume_mm3", "Volume of all WMH of the person", "mm^3"),
)

SPACES: tuple[Column, ...] = (
    Column("index", "Number of the lesion in seg-lesions_dseg", kind="whole"),
    Column("lesion_class", "PV or deep, by --lesion-rule", kind="text"),
    Column(
        "perivascular_distance",
        "To the nearest perivascular space, from edge to edge; n/a if there is none",
        "mm",
    ),
    Column(
        "perivascular_volume_2mm",
        "Volume of perivascular spaces within 2 mm that are nearer to no other lesion",
        "mm^3",
    ),
    Column("perivascular_volume_5mm", "The same within 5 mm", "mm^3"),
    Column("is_adjacent", "Whether perivascular_distance is 2 mm or less", kind="flag"),
    Column(
        "chance",
        "Share of the places to which the lesion was moved, within white matter and as far from "
        "the ventricles as before, where it is adjacent; n/a if it fits nowhere else",
        "1",
    ),
    Column("n_draws", "Number of these places", kind="whole"),
)

ADJACENCY: tuple[Column, ...] = (
    Column("lesion_class", "all, PV or deep", kind="text"),
    Column("n_lesions", "Number of lesions", kind="whole"),
    Column("n_adjacent", "Lesions within 2 mm of a perivascular space", kind="whole"),
    Column("share", "n_adjacent / n_lesions", "1"),
    Column("n_movable", "Lesions that could be moved to other places", kind="whole"),
    Column("share_movable", "Share of these that are adjacent, to be set beside chance", "1"),
    Column("chance", "The share that is expected of these by chance", "1"),
    Column(
        "published_lo",
        "Smallest published share of lesions beside perivascular spaces "
        "(doi:10.3389/fneur.2022.889884)",
        "1",
    ),
    Column("published_hi", "Largest one (doi:10.1177/0271678X211002279)", "1"),
)
