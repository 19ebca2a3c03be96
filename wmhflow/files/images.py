"""One load and one save for images."""

from __future__ import annotations

import gzip
import math
import operator
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import DTypeLike, NDArray

from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import GridError, InputError

UNREADABLE = (OSError, EOFError, zlib.error, ImageFileError, HeaderDataError, ValueError)
# As much of a file, compressed or not, as surely holds its header.
FIRST_BYTES = 4096
# sizeof_hdr, dim, datatype, vox_offset, xyzt_units, sform_code, srow_x to srow_z, magic
NIFTI = struct.Struct("<i36x8h14xh36xf11xB130xh24x12f16x4s")
REAL_KINDS = frozenset((2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280))
LENGTH_UNITS = {0: "unknown", 1: "meter", 2: "mm", 3: "micron"}
# So many slices are copied at once. At 256 voxels a side this took a quarter of numpy's own copy;
# other numbers of slices were not tried.
SLAB = 16
# Axes are at right angles if no cosine between two of them is larger.
MOST_SKEW = 1e-3


def load_volume(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a 3D image completely.

    Parameters
    ----------
    path
        A NIfTI file; a fourth dimension of length one is dropped.

    Returns
    -------
    data : ndarray of shape (X, Y, Z)
        Scaled values, as stored where there is nothing to scale; non-finite ones as they are.
    affine : ndarray of shape (4, 4)
        Voxel to world RAS, mm.

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
        data = in_c_order(data)
    return data, _valid_affine(path, image.header, image.affine)


def read_header(path: Path) -> tuple[tuple[int, int, int], NDArray[np.float64], str]:
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
    unit : str
        The header's word for its unit of length.

    Raises
    ------
    InputError, GridError
        As :func:`load_volume`; what is wrong with the voxels is not seen.
    """
    with _said_of(path):
        plain = _plain_header(_first_bytes(path))
        if plain is not None:
            shape, affine, unit = plain
            return _three(path, shape), _checked_affine(path, affine), unit
        image = nib.load(path)
        header = image.header
        shape = _three(path, image.shape)
        _check_real(path, header.get_data_dtype())
    unit = str(header.get_xyzt_units()[0]) if "xyzt_units" in header else "unknown"
    return shape, _valid_affine(path, header, image.affine), unit


def _first_bytes(path: Path) -> bytes:
    stream = os.open(path, os.O_RDONLY)
    try:
        block = os.read(stream, FIRST_BYTES)
    finally:
        os.close(stream)
    if path.name.endswith(".gz"):
        return zlib.decompressobj(wbits=31).decompress(block, FIRST_BYTES)
    return block


def _plain_header(block: bytes) -> tuple[tuple[int, ...], NDArray[np.float64], str] | None:
    """Read shape, affine and unit from the first bytes of most NIfTI files.

    nibabel takes twenty times as long, and a plan reads 150,000 headers. None for whatever is not
    NIfTI-1 with real numbers and an sform: that is nibabel's to read, mend or refuse.
    """
    if len(block) < NIFTI.size:
        return None
    size, n_axes, *fields = NIFTI.unpack_from(block)
    lengths, (kind, offset, units, sform_code), rows = fields[:7], fields[7:11], fields[11:23]
    is_plain = (size, fields[23]) == (348, b"n+1\0") and 1 <= n_axes <= 7 and offset >= 352
    shape = tuple(lengths[:n_axes])
    if not (is_plain and min(shape) >= 1 and kind in REAL_KINDS and 1 <= sform_code <= 4):
        return None
    unit = LENGTH_UNITS.get(units & 7)
    return (shape, np.array([*rows, 0, 0, 0, 1.0]).reshape(4, 4), unit) if unit else None


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
    return _checked_affine(path, np.asarray(affine, dtype=np.float64))


def _checked_affine(path: Path, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    skew = _skew(affine)
    if skew <= MOST_SKEW:
        return affine
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    axes = affine[:3, :3] / np.where(sizes > 0, sizes, 1)
    if not np.isfinite(affine).all() or abs(np.linalg.det(axes)) < 1e-6:
        raise GridError(
            f"{path} has an affine that cannot be inverted or is not finite; "
            "copy the header of the image that it was made from."
        )
    raise GridError(
        f"{path} has a sheared affine (its axes are not at right angles), on which distances "
        "in mm are not defined; resample it to an unsheared grid."
    )


def _skew(affine: NDArray[np.float64]) -> float:
    """Return the largest cosine between two axes; infinite if one of them has no length.

    Plain numbers: numpy takes ten times as long for so few, and the plan looks at every image.
    """
    rows = affine[:3].tolist()
    if not all(map(math.isfinite, (number for row in rows for number in row))):
        return math.inf
    axes = list(zip(*(row[:3] for row in rows), strict=True))
    sizes = [math.hypot(*axis) for axis in axes]
    if min(sizes) == 0:
        return math.inf
    return max(
        abs(sum(map(operator.mul, axes[i], axes[j]))) / (sizes[i] * sizes[j])
        for i, j in ((0, 1), (0, 2), (1, 2))
    )


def load_image(
    path: str | os.PathLike[str], dtype: DTypeLike | None = None
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read an image of the program's own, which is believed: voxels and affine.

    Parameters
    ----------
    path
        An image of any dimensions.
    dtype
        What scaled values are computed in and returned as; as stored by default.
    """
    data, affine = map_image(path, dtype)
    return in_c_order(data), affine


def map_image(
    path: str | os.PathLike[str], dtype: DTypeLike | None = None
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read an image of the program's own to write it again: its voxels lie as in the file.

    Parameters
    ----------
    path, dtype
        As for :func:`load_image`.
    """
    image: Any = nib.load(path)
    data = np.asanyarray(image.dataobj, dtype=dtype)
    return data, np.asarray(image.affine, dtype=np.float64)


def qform_of(path: Path) -> NDArray[np.float64] | None:
    """Read where an image lies by its qform; None if it states none.

    Parameters
    ----------
    path
        A file that can be read.
    """
    header: Any = nib.load(path).header
    affine = header.get_qform(coded=True)[0] if hasattr(header, "get_qform") else None
    return None if affine is None else np.asarray(affine, np.float64)


def in_c_order(data: NDArray[Any]) -> NDArray[Any]:
    """Lay an array out in memory as numpy makes new ones; a file's voxels lie the other way round.

    To work on arrays of both kinds at once takes twice as long.

    Parameters
    ----------
    data
        An array of any dimensions, perhaps mapped from a file.

    Returns
    -------
    ndarray
        The same values, the last axis varying fastest; the array itself if it lies so already.
    """
    return np.asarray(data) if data.flags.c_contiguous else _laid_out(data, "C")


def _laid_out(data: NDArray[Any], order: Literal["C", "F"]) -> NDArray[Any]:
    """Copy an array slab by slab: what is read and what is written fit into the processor's cache.

    Values that a file's voxels hold lie in ``F`` order there, those that numpy makes in ``C``.
    """
    laid = np.empty(data.shape, data.dtype, order=order)
    if data.ndim == 0:
        laid[...] = data
        return laid
    for start in range(0, data.shape[-1], SLAB):
        laid[..., start : start + SLAB] = data[..., start : start + SLAB]
    return laid


def load_grid(path: str | os.PathLike[str]) -> Grid3D:
    """Load a 3D image in single precision.

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
    data, affine = load_image(path, np.float32)
    data = data.reshape(data.shape[:3]) if data.size == np.prod(data.shape[:3]) else data
    if data.ndim != 3:
        raise InputError(f"{path} has {data.ndim} dimensions; give an image of three.")
    return Grid3D(data, affine)


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
        values = values.view(np.uint8)
    if not values.flags.f_contiguous:
        # nibabel would turn it slice by slice, in ten times the time
        values = _laid_out(values, "F")
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
