"""Magnetic susceptibility from the phase of gradient echoes, and the field of a susceptibility.

Phase is unwrapped exactly, echoes are combined into one field, fields from outside of the brain are
taken away (V-SHARP), and what is left is inverted by total variation. Every way that the phase of a
scanner can be unusable has a check here, and a sentence.
"""

from wmhflow.core.exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "background": ["LocalField", "local_field"],
        "dipole": ["field_of", "main_field_direction"],
        "echoes": ["EchoFit", "combine_echoes"],
        "inversion": ["invert_field", "invert_whole_field"],
        "phase": ["check_series", "phases_in_radians"],
        "quantify": [
            "Susceptibility",
            "check_sign",
            "quantify_susceptibility",
            "reference_offset",
        ],
        "unwrapping": ["unwrap_phase"],
    },
)
