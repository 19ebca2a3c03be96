"""Where voxels lie.

An affine says how large voxels are, which way the axes run and which side is left; a grid is an
array with its affine, and can be cut, scaled and made coarser. World coordinates are RAS in mm.
"""

from wmhflow.core.exports import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "geometry": [
            "GeometryError",
            "RasAxes",
            "spacing_of",
            "voxel_mm3",
            "checked_affine",
            "world_coordinates",
            "same_grid",
            "same_field_of_view",
            "ras_axes",
        ],
        "grids": [
            "Grid3D",
            "box_of",
            "box_around",
            "cropped",
            "uncropped",
            "robust_range",
            "resample_isotropic",
            "along_axis",
            "resample_mask",
            "apply_affine",
            "centroid_mm",
        ],
    },
)
