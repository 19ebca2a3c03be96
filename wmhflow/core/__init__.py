"""The science: typed functions from arrays to arrays; numpy, numba and scipy only.

Nothing here reads a file, knows a workflow or holds a setting, so that every function can be used
from a notebook. Images are three-dimensional arrays with a voxel size or an affine beside them.
"""
