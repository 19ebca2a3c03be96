"""How two images are brought together, and how good that is.

Rigid alignments are searched from many starts, coarse to fine, by mutual information at fixed
points; a template's brain is laid into a head by an affine in which only its inside counts. The
numbers that judge an alignment compare it with random displacements of itself.
"""

from wmhflow.core.exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "head": ["Places", "centre_under_top", "places"],
        "affine": ["affine_matrix", "refine_affine", "align_template"],
        "inverting": ["invert_field", "preimages", "inverse_fault", "round_trip_mm"],
        "meeting": ["apart_mm", "furthest_apart"],
        "mirrored": ["mirrored_fit"],
        "plausible": ["matrix_fault", "field_fault", "folded_share"],
        "quality": ["alignment_quality", "poor_numbers", "edges"],
        "search": ["rotation_matrix", "rigid_matrix", "every_turn", "refine_rigid", "search_rigid"],
        "similarity": ["mean_distance_mm", "Comparison", "compare"],
    },
)
