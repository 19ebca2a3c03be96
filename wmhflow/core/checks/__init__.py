"""Whether images, masks and sides can be what they are said to be.

Facts are numbers (contrast, smoothness, how much of a brain is cut off, likeness to the template);
findings are sentences that follow a file's name, or None. Quality of a lesion mask and sides of a
parcellation are measured here too.
"""

from wmhflow.core.exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "cavities": ["rim_share"],
        "ghosts": ["ghost_share"],
        "quality": [
            "robust_contrast",
            "share_inside",
            "count_small_lesions",
            "likeliest_tissue",
            "lesion_mask_quality",
        ],
        "sanity": [
            "value_facts",
            "correlation",
            "value_finding",
            "brain_facts",
            "cut_share",
            "flattest_share",
            "brain_finding",
            "likeness",
            "likeness_finding",
            "contrast_facts",
            "pair_facts",
            "pair_finding",
            "contrast_findings",
        ],
        "slices": ["darkest_slice"],
        "sides": ["sides_on_the_wrong_side", "centres_x"],
        "zero": ["without_zero_level", "zero_level"],
    },
)
