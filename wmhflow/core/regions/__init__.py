"""What is made from tissues and lesions.

Zones by the distances to ventricles and cortex, shells inside and outside of lesions, lobes, the
bullseye, normal-appearing white matter, lesions with stable numbers, and regions of atlases. All
are label images; a partition is the finest division by several of them.
"""

from wmhflow.core.exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "bullseye": ["depth", "bullseye_labels"],
        "infratentorial": ["infratentorial_region", "infratentorial_shares"],
        "lesions": [
            "label_lesions",
            "fill_holes",
            "count_hole_voxels",
            "lesion_measures",
            "lesion_centres",
        ],
        "lobes": ["lay_lobes", "propagate_lobes"],
        "lookup": ["labels_at", "steps_at", "voxels_of", "as_volumes"],
        "nawm": ["combine_tissues", "without_infarct", "normal_appearing_white_matter"],
        "partition": ["Row", "Partition"],
        "probabilities": ["overlapping_labels", "weighted_volumes"],
        "shells": ["shell_edges", "shell_labels"],
        "zones": [
            "zone_labels",
            "lesion_continuity",
            "lesion_majority",
            "lesion_label",
        ],
    },
)
