"""Kernels on plain arrays, which everything else in core is made of.

Distances and nearest labels are exact, in millimetres and for voxels of any size; masks grow and
shrink by them. Components, holes and boxes of masks, and a spread that outliers do not move, are
here once for all. What other modules of core need before and around a kernel (checks of arguments,
threads, keys) stays in its own module.
"""

from wmhflow.core.exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "blocks": ["block_factors", "block_means", "over_blocks"],
        "boxes": ["bounding_box"],
        "codes": ["count_codes", "fits_table"],
        "components": ["keep_components", "largest_component", "keep_large", "without_holes"],
        "distance": ["distance_to", "nearest", "signed_distance"],
        "masks": ["within", "deeper"],
        "robust": ["median_and_spread"],
        "slices": ["even_slices", "thick_axis"],
        "wide": ["reaching_out", "side_pockets", "wide_places"],
    },
)
