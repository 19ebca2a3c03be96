"""One load and one save for images."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import DTypeLike, NDArray

from wmhflow.errors import GridError, InputError

UNREADABLE = (OSError, EOFError, zlib.error, ImageFileError, HeaderDataError, ValueError)
# As much of a file, compressed or not, as surely holds its header.
FIRST_BYTES = 4096
# What qform and sform codes may be.
KNOWN_CODES = {0, 1, 2, 3, 4}


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
    with _said_of(path):
        image = nib.load(path)
        shape = _three(path, image.shape)
        data = np.asanyarray(image.dataobj).reshape(shape)
        _check_real(path, data.dtype)
    return data, _valid_affine(path, image.header, image.affine), image


def read_header(
    path: Path,
) -> tuple[tuple[int, int, int], NDArray[np.float64], Any]:
    """Read where a 3D image lies, and none of its voxels.

    Parameters
    ----------
    path
        A NIfTI file; a fourth dimension of length one is dropped.

    Returns
    -------
    shape : tuple of int
        Voxels along three axes.
    affine : ndarray of shape (4, 4)
        Voxel to world RAS, mm.
    header : nibabel header
        All that it says.

    Raises
    ------
    InputError, GridError
        As :func:`load_volume`; what is wrong with the voxels is not seen.
    """
    with _said_of(path):
        header = _nifti_header(path)
        if header is None:
            image = nib.load(path)
            header, affine = image.header, image.affine
        else:
            affine = header.get_best_affine()
        shape = _three(path, header.get_data_shape())
        _check_real(path, header.get_data_dtype())
    return shape, _valid_affine(path, header, affine), header


def _nifti_header(path: Path) -> Any:
    """Read a NIfTI header alone, several times faster than with nibabel's image; None if none."""
    with path.open("rb", buffering=0) as stream:
        block = stream.read(FIRST_BYTES)
    if path.name.endswith(".gz"):
        block = zlib.decompressobj(wbits=31).decompress(block, FIRST_BYTES)
    if block[344:348] == b"n+1\0":
        kind, block = nib.Nifti1Header, block[:348]
    elif block[4:8] == b"n+2\0" and len(block) >= 540:
        kind, block = nib.Nifti2Header, block[:540]
    else:
        return None
    header = kind(block, check=False)
    return header if _is_plain(header) else kind(block)


def _is_plain(header: Any) -> bool:
    """Whether nibabel's checks, most of the time, would find nothing to mend or to refuse."""
    turn, *sizes = header["pixdim"][:4].tolist()
    codes = {int(header["qform_code"]), int(header["sform_code"])}
    return (
        turn in (-1, 1)
        and all(size > 0 for size in sizes)
        and codes <= KNOWN_CODES
        and int(header["datatype"]) in nib.nifti1.data_type_codes.code
        and int(header["vox_offset"]) >= header.single_vox_offset
    )


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """Say in a sentence what reading a file ended with."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except UNREADABLE as error:
        raise InputError(
            f"{path} cannot be read to its end ({_first_line(error)}); copy or make it again."
        ) from None


def _three(path: Path, whole: tuple[int, ...]) -> tuple[int, int, int]:
    if len(whole) < 3 or any(length != 1 for length in whole[3:]):
        raise InputError(
            f"{path} has the shape {'×'.join(map(str, whole))} where one 3D image is "
            "meant; give one volume, or one file per volume."
        )
    return whole[0], whole[1], whole[2]


def _check_real(path: Path, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "biuf":
        raise InputError(
            f"{path} holds {dtype} values (colours or complex numbers) where real numbers "
            "are meant; convert it."
        )


def _first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return text or type(error).__name__


def _valid_affine(path: Path, header: Any, affine: Any) -> NDArray[np.float64]:
    if "sform_code" in header and int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        raise GridError(
            f"{path} does not say where it lies (sform and qform codes are both 0); "
            "copy the header of the image that it was made from."
        )
    affine = np.asarray(affine, dtype=np.float64)
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
