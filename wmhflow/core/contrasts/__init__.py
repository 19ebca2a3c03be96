"""Maps from a few images of one contrast each: decay over echoes, ratios, uptake.

R2* from the echoes of a gradient echo, R1 from T1, magnetisation transfer and T1w/T2w as ratios of
two images, and the uptake of a tracer relative to a region of reference. What would give a
normal-looking number of the wrong images is refused.
"""

from wmhflow.core.exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "decay": ["DecayFit", "background_noise", "fit_decay", "off_decay"],
        "ratios": [
            "Rate",
            "check_fluid_is_bright",
            "check_same_settings",
            "rate_from_time",
            "relative_ratio",
            "transfer_ratio",
        ],
        "scaling": ["check_scaled_together"],
        "uptake": ["mean_over_frames", "reference_region", "uptake_ratio"],
    },
)
