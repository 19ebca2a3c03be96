"""White matter hyperintensities: where they are looked for, and where they end.

Brightness is told in standard deviations of the person's own normal white matter, beside what the
template's tissues lead to expect; lesions end at a share of their own height. They can be filled
like white matter for a registration.
"""

from wmhflow.core.exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "below": ["plain_below"],
        "brightness": [
            "brightness_beside",
            "grey_brightness",
            "cortex_nearby",
            "robust_location_scale",
            "white_matter_field",
        ],
        "edges": ["sure_somewhere", "core_height", "trim_to_height", "share_at_edge", "agreeing"],
        "filling": ["fill_lesions"],
        "model": ["LesionModel"],
        "normal": ["NormalTissue", "normal_tissue"],
        "segmentation": [
            "TissuePriors",
            "WMHResult",
            "segment_wmh",
            "lesion_probability",
            "ventricles_and_septum",
            "accept_lesions",
        ],
        "unmarked": ["BrightSpot", "bright_spots"],
    },
)
