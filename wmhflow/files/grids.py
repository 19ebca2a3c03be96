"""Images as grids of single precision, and arrays saved with another image's header."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


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


def save_like(
    data: NDArray[Any], reference: str | os.PathLike[str], out: str | os.PathLike[str], dtype: Any
) -> str:
    """Save an array with the exact header (sform, qform and their codes) of a reference image.

    Parameters
    ----------
    data
        Array on the grid of the reference.
    reference
        Image whose header is copied.
    out
        Path to write.
    dtype
        Type on disk.

    Returns
    -------
    str
        The absolute path written.
    """
    image: Any = nib.load(reference)
    saved = nib.Nifti1Image(np.asarray(data, dtype=dtype), image.affine)
    if isinstance(image, nib.Nifti1Image):
        sform, qform = image.get_sform(coded=True), image.get_qform(coded=True)
        saved.set_sform(sform[0], int(sform[1]), update_affine=False)
        saved.set_qform(qform[0], int(qform[1]), update_affine=False)
        saved.header["pixdim"] = image.header["pixdim"]
        for field in ("quatern_b", "quatern_c", "quatern_d"):
            saved.header[field] = image.header[field]
    saved.header.set_xyzt_units("mm")
    nib.save(saved, out)
    return str(Path(out).absolute())
