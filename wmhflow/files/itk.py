"""ITK's transform files: linear ones read and written, composite ones made reproducible."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wmhflow.errors import InputError
from wmhflow.files.transforms import LPS_FROM_RAS, read_transform

if TYPE_CHECKING:
    from numpy.typing import NDArray


MACHINE_ENTRIES = ("OSName", "OSVersion")


def write_itk_affine(matrix: NDArray[np.float64], out: str | os.PathLike[str]) -> str:
    """Write a linear transform as an ITK text file.

    Parameters
    ----------
    matrix
        Points of fixed to points of moving, RAS mm.
    out
        Path to write, ``.txt``.

    Returns
    -------
    str
        The absolute path written.
    """
    lps = LPS_FROM_RAS @ matrix @ LPS_FROM_RAS
    numbers = [*lps[:3, :3].ravel(), *lps[:3, 3]]
    text = " ".join(repr(float(number)) for number in numbers)
    Path(out).write_text(
        "#Insight Transform File V1.0\n#Transform 0\n"
        "Transform: MatrixOffsetTransformBase_double_3_3\n"
        f"Parameters: {text}\nFixedParameters: 0 0 0\n"
    )
    return str(Path(out).absolute())


def read_itk_affine(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Read a linear transform from an ITK file.

    Parameters
    ----------
    path
        ITK ``.txt``, ``.mat`` or ``.h5`` file, composite ones included.

    Returns
    -------
    ndarray, (4, 4)
        Points of fixed to points of moving, RAS mm.

    Raises
    ------
    InputError
        If the file is not ITK's, or not linear.
    """
    given = read_transform(Path(path))
    if given.program != "ITK" or given.matrix is None:
        what = ", ".join(given.parts) or given.program
        raise InputError(f"{path} is no linear transform of ITK ({what}); convert it.")
    return given.matrix


def make_reproducible(path: Path) -> None:
    """Write an ITK transform file anew without time stamps and the machine's name.

    ITK cannot be told to leave them out, and equal transforms shall be equal files.

    Parameters
    ----------
    path
        HDF5 file; it is replaced.
    """
    import h5py

    clean = path.with_suffix(".clean.h5")
    with h5py.File(path) as source, h5py.File(clean, "w") as target:

        def copy(name: str, entry: Any) -> None:
            if name in MACHINE_ENTRIES:
                return
            if not isinstance(entry, h5py.Dataset):
                target.require_group(name)
                return
            packed = {"compression": "gzip", "chunks": entry.chunks} if entry.chunks else {}
            target.create_dataset(
                name, data=entry[()], dtype=entry.dtype, track_times=False, **packed
            )

        source.visititems(copy)
    clean.replace(path)
