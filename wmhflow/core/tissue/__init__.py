"""Brain, tissues and ventricles, and the template's priors for them.

Images without a skull are told from whole heads here, slow changes of intensity are corrected,
rough brain masks are made exact by the image, a mixture of tissues is fitted to brightness, and its
posteriors and warped priors become one label per voxel. The priors themselves (deep grey matter,
ventricles, what lies below the tentorium) are drawn from the template's own tissues.
"""

from wmhflow.core.exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "bias": ["correct_bias"],
        "brain": ["background_value", "filled_foreground", "with_fluid", "Shown", "what_is_shown"],
        "brain_mask": ["refine_brain_mask"],
        "bridge": ["drawn_labels", "drawn_priors"],
        "labelling": [
            "WarpedPriors",
            "class_priors",
            "tame_outliers",
            "grey_is_brighter",
            "label_tissue",
        ],
        "mixture": ["Mixture", "fit_mixture"],
        "parcellation": ["recode", "unknown_codes", "complete_hemispheres"],
        "segment": ["segment_tissue"],
        "template": [
            "TemplatePriors",
            "make_priors",
            "draw_ventricle_core",
            "draw_ventricles",
            "draw_deep_grey",
            "draw_infratentorial",
        ],
        "ventricles": ["lateral_ventricles"],
    },
)
