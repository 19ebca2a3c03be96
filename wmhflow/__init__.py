"""wmhflow: white matter hyperintensities, their surroundings, and every map in them."""

__version__ = "0.1.0"
