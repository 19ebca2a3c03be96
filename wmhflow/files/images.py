"""One load and one save for images."""

from __future__ import annotations

import gzip
import math
import operator
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import nibabel as nib
import numpy as np
from nibabel.analyze import AnalyzeHeader
from nibabel.fileholders import FileHolder
from numpy.typing import DTypeLike, NDArray

from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import GridError, InputError
from wmhflow.files.headers import (
    NIFTI_ENDINGS,
    WIDEST,
    Header,
    check_rest,
    check_size,
    read_any,
    read_plain,
    usable_memory,
)
from wmhflow.files.packed import (
    affine_of,
    is_packed,
    load_packed,
    read_packed_header,
    save_packed,
)
from wmhflow.files.streams import (
    first_bytes,
    first_line,
    inflated,
    is_compressed,
    open_file,
    said_of,
)

Lengths = TypeVar("Lengths")
# So many slices are copied at once. At 256 voxels a side this took a quarter of numpy's own copy;
# other numbers of slices were not tried.
SLAB = 16
# How hard files are compressed. By 6, gzip's own choice, a scan of 256 voxels a side takes three
# times as long, and is not smaller.
PACKING = 4
# Scans, whose noise is most of their bytes, are 1 % larger by 2, in two thirds of the time.
PACKING_SCAN = 2
# Axes are at right angles if no cosine between two of them is larger.
MOST_SKEW = 1e-3
# Where FreeSurfer's images say whether their axes and centre count: goodRASFlag, two bytes.
MGH_PLACED = slice(28, 30)
# By so much the lengths of their axes may differ from 1, as rounding does.
MOST_LONGER = 1e-3
# What may follow the voxels of an image that is no NIfTI file, and what stands before them.
BESIDE_VOXELS = 2**20


def load_volume(path: Path, *, as_stored: bool = False) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a 3D image completely.

    Parameters
    ----------
    path
        A NIfTI file; a fourth dimension of length one is dropped.
    as_stored
        Whether voxels may stay in the order of the file, for who looks at few of them.

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
    if is_packed(path):
        data, affine = load_packed(path)
        return data.reshape(_three(path, data.shape)), affine
    with said_of(path):
        image = open_image(path)
        shape = _three(path, image.shape)
        _check_real(path, image.get_data_dtype())
        data = np.asanyarray(image.dataobj).reshape(shape)
        _check_real(path, data.dtype)
        data = in_native_order(data)
    data = data if as_stored else in_c_order(data)
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
    return _read_header(path, _three)[:3]


def read_series_header(path: Path) -> tuple[tuple[int, ...], NDArray[np.float64], str]:
    """Read where the volumes of a 4D image lie, and how many there are.

    Parameters
    ----------
    path
        A NIfTI file; an image of three dimensions is a series of one volume.

    Returns
    -------
    shape : tuple of int
        Voxels along three axes, and volumes.
    affine : ndarray of shape (4, 4)
        Voxel to world RAS, mm.
    unit : str
        The header's word for its unit of length.

    Raises
    ------
    InputError, GridError
        As :func:`load_volume`, but for the number of dimensions; what is wrong with the voxels is
        not seen.
    """
    return _read_header(path, _four)[:3]


def read_header_and_begin(
    path: Path, *, is_series: bool = False
) -> tuple[tuple[int, ...], NDArray[np.float64], str, bytes]:
    """Read a header, and return the file's first bytes as well, so that nobody reads them again.

    Parameters
    ----------
    path
        A NIfTI file.
    is_series
        Whether it may have several volumes.

    Returns
    -------
    shape : tuple of int
        Voxels along three axes, and the number of volumes of a series.
    affine : ndarray of shape (4, 4)
        Voxel to world RAS, mm.
    unit : str
        The header's word for its unit of length.
    begin : bytes
        Decompressed; empty where the file is none of NIfTI's.

    Raises
    ------
    InputError, GridError
        As :func:`read_header`, or :func:`read_series_header`.
    """
    return _read_header(path, _four if is_series else _three)


def read_box(path: Path) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """Read how many voxels a NIfTI file of any kind of numbers has, and where they lie.

    Parameters
    ----------
    path
        A NIfTI file, such as one of spectroscopy, which holds complex numbers.

    Returns
    -------
    shape : tuple of int
        Voxels along all axes that there are.
    affine : ndarray of shape (4, 4)
        Voxel to world RAS, mm.

    Raises
    ------
    InputError, GridError
        As :func:`read_header`, but for the kind of numbers and the number of dimensions.
    """
    with said_of(path):
        header, _ = _header_of(path)
        _check_placed(path, header.is_placed)
        return header.shape, _checked_affine(path, header.affine)


def _read_header(
    path: Path, shape_of: Callable[[Path, tuple[int, ...]], Lengths]
) -> tuple[Lengths, NDArray[np.float64], str, bytes]:
    """Read and check a header; `shape_of` refuses what has not the dimensions that are meant."""
    if is_packed(path):
        packed = read_packed_header(path)
        return shape_of(path, packed.shape), affine_of(packed), "mm", b""
    with said_of(path):
        if path.name.lower().endswith(NIFTI_ENDINGS):
            header, begin = _header_of(path)
            shape = shape_of(path, header.shape)
            _check_real(path, header.dtype)
            _check_placed(path, header.is_placed)
            return shape, _checked_affine(path, header.affine), header.unit, begin
        image = open_image(path)
        shape = shape_of(path, image.shape)
        _check_real(path, image.get_data_dtype())
    return shape, _valid_affine(path, image.header, image.affine), "unknown", b""


def load_series(
    path: Path, volumes: Sequence[int] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read volumes of a 4D image.

    Parameters
    ----------
    path
        A NIfTI file.
    volumes
        Numbers of the volumes, from 0; all by default.

    Returns
    -------
    data : ndarray of shape (X, Y, Z, n)
        Scaled values; non-finite ones as they are.
    affine : ndarray of shape (4, 4)
        Voxel to world RAS, mm.

    Raises
    ------
    InputError, GridError
        As :func:`load_volume`, but for the number of dimensions.
    """
    with said_of(path):
        image = open_image(path)
        shape = _four(path, image.shape)
        _check_real(path, image.get_data_dtype())
        wanted = range(shape[3]) if volumes is None else volumes
        data = np.empty((*shape[:3], len(wanted)), dtype=np.float32, order="F")
        for place, number in enumerate(wanted):
            whole = image.dataobj[..., number] if len(image.shape) > 3 else image.dataobj
            data[..., place] = np.asanyarray(whole).reshape(shape[:3])
    return data, _valid_affine(path, image.header, image.affine)


def _four(path: Path, whole: tuple[int, ...]) -> tuple[int, int, int, int]:
    if len(whole) < 3 or any(length != 1 for length in whole[4:]):
        raise InputError(
            f"{path} has the shape {'×'.join(map(str, whole))} where a series of 3D volumes is "
            "meant; give one 4D image."
        )
    return whole[0], whole[1], whole[2], whole[3] if len(whole) > 3 else 1


def _header_of(path: Path) -> tuple[Header, bytes]:
    """Read the header of a NIfTI file, and see that the file can hold what it promises.

    The bytes that it stands in are returned, too.
    """
    block, held = first_bytes(path)
    header = read_plain(block) or read_any(path, block)
    check_size(path, header, held)
    return header, block


def open_image(path: Path) -> Any:
    """Open an image that was given; what its file holds is what its header says.

    A compressed file is read to its end, so that its checksum is compared; of other files the
    length is.

    Parameters
    ----------
    path
        NIfTI of either version, alone or as a pair of files, or another image that nibabel reads.

    Returns
    -------
    nibabel.spatialimages.SpatialImage
        The image; its voxels are read when they are asked for.

    Raises
    ------
    InputError
        If there is no such file, its header says what cannot be, or the two differ.
    """
    if is_packed(path):
        return make_image(*load_packed(path))
    if not path.name.lower().endswith(NIFTI_ENDINGS):
        return _open_other(path)
    header, _ = _header_of(path)
    if not is_compressed(path):
        with open_file(path) as stream:
            size, before = os.fstat(stream.fileno()).st_size, stream.read(header.offset)
            stream.seek(header.end)
            check_rest(path, header, size, before, stream.read(header.plane))
        return nib.load(path, mmap=False)
    content = inflated(path, header.end + header.plane)
    with content.getbuffer() as held:
        before, rest = held[: header.offset].tobytes(), held[header.end :].tobytes()
        check_rest(path, header, len(held), before, rest)
    kind: Any = nib.Nifti1Image if header.version == 1 else nib.Nifti2Image
    return kind.from_stream(content)


def _open_other(path: Path) -> Any:
    """Open an image of another kind, of one file or of two, each read to its end."""
    open_file(path).close()
    image: Any = None
    try:
        image = nib.load(path, mmap=False)
    except Exception as error:  # noqa: BLE001 - nibabel has exceptions for every format
        raise ValueError(first_line(error)) from None
    size = math.prod(map(int, image.shape)) * image.get_data_dtype().itemsize
    begin, held = first_bytes(Path(image.file_map["image"].filename))
    if isinstance(image, nib.MGHImage):
        _check_mgh(path, image.header, begin)
    if isinstance(image, nib.Nifti1Pair):
        block, _ = first_bytes(Path(image.file_map["header"].filename))
        header = read_any(path, block, is_pair=True)
        size = header.end
        check_size(path, header, held)
    if not 0 < size <= min(held, usable_memory()):
        raise ValueError(f"its header promises {size} bytes, which the file cannot hold")
    files = {
        part: FileHolder(fileobj=inflated(Path(holder.filename), size + BESIDE_VOXELS))
        for part, holder in image.file_map.items()
        if holder.filename is not None and is_compressed(Path(holder.filename))
    }
    return type(image).from_file_map(image.file_map | files, mmap=False)


def _check_mgh(path: Path, header: Any, begin: bytes) -> None:
    """Refuse what FreeSurfer never writes: no axes, axes with a length, or sizes below 0.

    Both would count in the size of a voxel, and a size below 0 exchanges the two ends of an axis.
    """
    if begin[MGH_PLACED] != b"\0\1":
        # nibabel takes the axes of a coronal scan then
        why = "does not say where it lies (its header's axes are marked as not valid)"
    elif np.any(np.abs(np.linalg.norm(header["Mdc"], axis=1) - 1) > MOST_LONGER):
        why = "has axes whose lengths are not 1, so that nobody can say the size of its voxels"
    elif np.any(header["delta"] < 0):
        why = "has voxels of a size below 0, which exchange the two ends of an axis"
    else:
        return
    raise GridError(f"{path} {why}; copy the header of the image that it was made from.")


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
    if dtype.itemsize > WIDEST:
        raise InputError(
            f"{path} holds numbers of {8 * dtype.itemsize} bits, or is scaled to such; store it "
            "in double precision or less."
        )


def _valid_affine(path: Path, header: Any, affine: Any) -> NDArray[np.float64]:
    _check_placed(path, says_place(header))
    return _checked_affine(path, np.asarray(affine, dtype=np.float64))


def says_place(header: Any) -> bool:
    """Tell whether an image's header says where the image lies.

    Parameters
    ----------
    header
        Of an image that nibabel read: that of NIfTI has codes for it, and Analyze's says nothing.
    """
    if "sform_code" in header:
        return int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    return not isinstance(header, AnalyzeHeader)


def _check_placed(path: Path, is_placed: bool) -> None:
    if not is_placed:
        raise GridError(
            f"{path} does not say where it lies (sform and qform codes are both 0); "
            "copy the header of the image that it was made from."
        )


def _checked_affine(path: Path, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    skew = _skew(affine)
    if skew <= MOST_SKEW:
        return affine
    with np.errstate(all="ignore"):
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
    """Read an image of the program's own: its voxels lie as in the file.

    Parameters
    ----------
    path, dtype
        As for :func:`load_image`.
    """
    if is_packed(path):
        data, affine = load_packed(Path(path))
        return (data if dtype is None else data.astype(dtype, copy=False)), affine
    with said_of(Path(path)):
        # a file of the program's own that is not compressed may stay where it is
        image: Any = open_image(Path(path)) if is_compressed(Path(path)) else nib.load(path)
        data = in_native_order(np.asanyarray(image.dataobj, dtype=dtype))
    return data, np.asarray(image.affine, dtype=np.float64)


def in_native_order(data: NDArray[Any]) -> NDArray[Any]:
    """Return an array in this machine's order of bytes, which compiled functions demand.

    Parameters
    ----------
    data
        An array of any dimensions, perhaps read from a file of the other order.
    """
    return data.astype(data.dtype.newbyteorder("="), copy=False)


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
    if order == "F":
        # slabs along the axis that changes slowest in what is read
        return _laid_out(data.T, "C").T
    laid = np.empty(data.shape, data.dtype)
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


def image_bytes(image: nib.Nifti1Image, packing: int = PACKING) -> bytes:
    """Return the gzipped bytes of an image, the same for the same image.

    Parameters
    ----------
    image
        The image.
    packing
        How hard it is compressed, 1 to 9.
    """
    return gzip.compress(image.to_bytes(), compresslevel=packing, mtime=0)


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
    """Save an intermediate image in the work folder and return its path as text.

    Parameters
    ----------
    path
        With the ending of :mod:`wmhflow.files.packed` it is packed, else it is an image for other
        programs.
    data, affine, dtype
        As for :func:`make_image`.
    """
    if is_packed(path):
        return save_packed(path, data, affine, dtype)
    make_image(data, affine, dtype).to_filename(path)
    return str(path)


def for_others(path: Path, folder: Path) -> Path:
    """Return an image as other programs can read it: itself, or a copy of one that is packed.

    Parameters
    ----------
    path
        An image that was given, or one of the work folder.
    folder
        Where a copy is made; it keeps the name.
    """
    if not is_packed(path):
        return path
    copy = folder / f"{path.stem}.nii"
    make_image(*load_packed(path)).to_filename(copy)
    return copy


def smallest_label_type(labels: NDArray[Any]) -> np.dtype[Any]:
    """Return the smallest integer type that holds all labels and that every viewer reads."""
    highest = int(labels.max(initial=0))
    if highest < 2**8:
        return np.dtype(np.uint8)
    return np.dtype(np.int16 if highest < 2**15 else np.int32)
