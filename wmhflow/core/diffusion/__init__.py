"""Models of diffusion: tables of gradients, the tensor, and whether directions follow fibres.

Directions and tensors lie along the world's axes, whatever the table's convention was.
"""

from wmhflow.core.exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "acute": ["AcuteFound", "AcuteRule", "find_acute"],
        "alps": [
            "Alps",
            "AlpsRegion",
            "TensorField",
            "alps_index",
            "head_rotation",
            "measure_side",
            "middles_of",
        ],
        "apparent": ["Trace", "adc_volumes", "apparent_diffusion", "trace_signal"],
        "coherence": ["Coherence", "conventions", "fibre_coherence", "name_of", "tissue_fa"],
        "fractions": ["shell_means", "tissue_fractions"],
        "freewater": ["FreeWaterFit", "fit_free_water"],
        "gradients": [
            "Gradients",
            "Shell",
            "UnfitSeriesError",
            "b0_limit",
            "count_directions",
            "directions_by_volume",
            "image_axes",
            "read_gradients",
            "shells_of",
            "tensor_design",
        ],
        "ivim": ["IvimFit", "fit_ivim"],
        "kurtosis": ["KurtosisFit", "fit_kurtosis"],
        "robust": ["fit_tensor_robustly"],
        "selection": [
            "Selection",
            "design_condition",
            "fraction_volumes",
            "free_water_volumes",
            "ivim_volumes",
            "kurtosis_volumes",
            "tensor_volumes",
        ],
        "tensor": ["TensorFit", "as_matrices", "fit_tensor", "main_directions"],
    },
)
