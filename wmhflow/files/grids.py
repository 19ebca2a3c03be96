"""Images as grids of single precision."""

from __future__ import annotations

import os
from typing import Any

import nibabel as nib
import numpy as np

from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError


def load_grid(path: str | os.PathLike[str]) -> Grid3D:
    """Load a 3D image.

    Parameters
    ----------
    path
        Image of three dimensions (further ones of length 1 are dropped).

    Returns
    -------
    Grid3D
        Values in single precision, and the affine (sform if its code is > 0, else qform).

    Raises
    ------
    InputError
        If the image has not three dimensions.
    """
    image: Any = nib.load(path)
    data = np.asanyarray(image.dataobj, dtype=np.float32)
    data = data.reshape(data.shape[:3]) if data.size == np.prod(data.shape[:3]) else data
    if data.ndim != 3:
        raise InputError(f"{path} has {data.ndim} dimensions; give an image of three.")
    return Grid3D(data, np.asarray(image.affine, dtype=np.float64))
