"""What is measured in regions.

Maps are sampled on their own grids, each voxel weighted by the exact fraction that a region covers.
From that come statistics, profiles over shells and the penumbra's width, the other side, volumes,
and overlap with atlases.
"""

from wmhflow.core.exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "beside": ["Chance", "Nearness", "nearness", "nearness_by_chance"],
        "coverage": [
            "CoverageWeights",
            "RegionEntries",
            "coverage_of_each",
            "coverage_weights",
            "merge_regions",
            "union_entries",
        ],
        "curves": ["Curve", "smooth_curve"],
        "ends": ["at_ends"],
        "independence": [
            "Cells",
            "correlation_by_distance",
            "gather_cells",
            "independent_samples",
            "pair_shares",
            "pair_shares_between",
        ],
        "load": ["load_curve"],
        "means": ["union_means"],
        "mirror": ["free_of_lesions", "asymmetry_index"],
        "overlap": ["Overlap", "label_overlap", "probability_overlap"],
        "penumbra": ["Penumbra", "fit_penumbra", "fit_shells"],
        "profiles": ["profile"],
        "purity": ["keep_pure", "share_of"],
        "regional": [
            "covered_share",
            "distinct_rows",
            "means_of",
            "membership_of",
            "region_entries",
            "region_volumes",
            "region_weights",
            "sample_regions",
        ],
        "statistics": ["region_statistics"],
        "surroundings": [
            "BinMeans",
            "MapSums",
            "ShellMeans",
            "Strata",
            "Surroundings",
            "bin_means",
            "shell_means",
            "strata_of",
            "sum_map",
            "surroundings_of",
            "surroundings_on",
        ],
        "typical": ["typical_size"],
        "voxels": ["voxel_shares"],
        "zeros": ["NoData", "find_no_data"],
    },
)
