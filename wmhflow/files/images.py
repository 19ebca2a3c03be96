"""One load and one save for images."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import DTypeLike, NDArray

from wmhflow.errors import GridError, InputError

UNREADABLE = (OSError, EOFError, zlib.error, ImageFileError, HeaderDataError, ValueError)


def load_volume(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], nib.Nifti1Image]:
    """Read a 3D image completely.

    Parameters
    ----------
    path
        A NIfTI file; a fourth dimension of length one is dropped.

    Returns
    -------
    data : ndarray of shape (X, Y, Z)
        Scaled values, non-finite ones as they are.
    affine : ndarray of shape (4, 4)
        Voxel to world RAS, mm.
    image : nibabel image
        For its header.

    Raises
    ------
    InputError
        If the file cannot be read to its end, or is not 3D.
    GridError
        If its header says nothing valid about where it lies.
    """
    try:
        image = nib.load(path)
        shape = image.shape
        if len(shape) > 3 and all(length == 1 for length in shape[3:]):
            shape = shape[:3]
        if len(shape) != 3:
            raise InputError(
                f"{path} has the shape {'×'.join(map(str, image.shape))} where one 3D image is "
                "meant; give one volume, or one file per volume."
            )
        data = np.asanyarray(image.dataobj).reshape(shape)
        if data.dtype.kind not in "biuf":
            raise InputError(
                f"{path} holds {data.dtype} values (colours or complex numbers) where real numbers "
                "are meant; convert it."
            )
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except UNREADABLE as error:
        raise InputError(
            f"{path} cannot be read to its end ({_first_line(error)}); copy or make it again."
        ) from None
    return data, _valid_affine(path, image), image


def _first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return text or type(error).__name__


def _valid_affine(path: Path, image: nib.Nifti1Image) -> NDArray[np.float64]:
    header = image.header
    if "sform_code" in header and int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        raise GridError(
            f"{path} does not say where it lies (sform and qform codes are both 0); "
            "copy the header of the image that it was made from."
        )
    affine = np.asarray(image.affine, dtype=np.float64)
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    axes = affine[:3, :3] / np.where(sizes > 0, sizes, 1)
    if not np.isfinite(affine).all() or abs(np.linalg.det(axes)) < 1e-6:
        raise GridError(
            f"{path} has an affine that cannot be inverted or is not finite; "
            "copy the header of the image that it was made from."
        )
    if np.abs(axes.T @ axes - np.eye(3)).max() > 1e-3:
        raise GridError(
            f"{path} has a sheared affine (its axes are not at right angles), on which distances "
            "in mm are not defined; resample it to an unsheared grid."
        )
    return affine


def load_image(path: str | Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a work image: voxels as stored (scaled, if it is) and the affine."""
    image: Any = nib.load(path)
    return np.asanyarray(image.dataobj), np.asarray(image.affine, dtype=np.float64)


def image_bytes(image: nib.Nifti1Image) -> bytes:
    """Return the gzipped bytes of an image, the same for the same image."""
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)


def make_image(
    data: NDArray[Any], affine: NDArray[np.float64], dtype: DTypeLike | None = None
) -> nib.Nifti1Image:
    """Make a NIfTI image that states its position in both forms.

    Parameters
    ----------
    data
        Shape (X, Y, Z).
    affine
        Shape (4, 4), voxel to world RAS mm.
    dtype
        Type on disk; that of ``data`` by default, ``bool`` becomes ``uint8``.
    """
    values = np.asarray(data, dtype=dtype) if dtype is not None else np.asarray(data)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    return image


def save_work_image(
    path: Path, data: NDArray[Any], affine: NDArray[np.float64], dtype: DTypeLike | None = None
) -> str:
    """Save an intermediate image in the work folder and return its path as text."""
    make_image(data, affine, dtype).to_filename(path)
    return str(path)


def smallest_label_type(labels: NDArray[Any]) -> np.dtype[Any]:
    """Return the smallest integer type that holds all labels and that every viewer reads."""
    highest = int(labels.max(initial=0))
    if highest < 2**8:
        return np.dtype(np.uint8)
    return np.dtype(np.int16 if highest < 2**15 else np.int32)
