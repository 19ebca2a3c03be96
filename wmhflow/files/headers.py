"""What a NIfTI header says, believed only as far as its file can hold it."""

from __future__ import annotations

import logging
import math
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
from nibabel.nifti2 import Nifti2Header, Nifti2PairHeader
from numpy.typing import NDArray

from wmhflow.errors import InputError

NIFTI_ENDINGS = (".nii", ".nii.gz")
# sizeof_hdr, dim, datatype, vox_offset, scl_slope, scl_inter, xyzt_units, sform_code, srow_x to
# srow_z, magic
PLAIN = struct.Struct("<i36x8h14xh36x3f3xB130xh24x12f16x4s")
# Types of real numbers, by their codes.
REAL_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
LENGTH_UNITS = {0: "unknown", 1: "meter", 2: "mm", 3: "micron"}
# Codes of where a form leads to: 0 says that there is none, 5 is another template.
LAST_FORM_CODE = 5
# length of a header, and of header and the flag of extensions, by version
LENGTHS = {1: (348, 352), 2: (540, 544)}
MAGIC = {1: b"n+1\0", 2: b"n+2\0"}
PAIR_MAGIC = {1: b"ni1\0", 2: b"ni2\0"}
# What nibabel logs of a header before it refuses it is said by the refusal.
QUIET = logging.Logger("headers", logging.CRITICAL + 1)  # noqa: LOG001 - of no use elsewhere
READERS: dict[tuple[int, bool], Any] = {
    (1, False): Nifti1Header, (1, True): Nifti1PairHeader,
    (2, False): Nifti2Header, (2, True): Nifti2PairHeader,
}  # fmt: skip
# Steps compute with numbers of at most so many bytes.
WIDEST = 8
CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class Header:
    """What a NIfTI header says of its image.

    ``shape`` has every axis that the header counts. ``offset`` is where voxels begin in the file,
    ``affine`` leads from voxels to world RAS mm (sform if its code is > 0, else qform),
    ``is_placed`` says whether one of the codes is > 0, and ``unit`` is the unit of length.
    ``version`` is 1 or 2, and ``order`` the order of bytes, ``<`` or ``>``.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    affine: NDArray[np.float64]
    is_placed: bool
    unit: str
    version: int = 1
    order: str = "<"

    @property
    def end(self) -> int:
        """Bytes from the file's begin to the last voxel's end."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize

    @property
    def plane(self) -> int:
        """Bytes of the smallest plane: by less no wrong length of an axis changes the whole."""
        return (self.end - self.offset) // max(self.shape)


def read_plain(block: bytes) -> Header | None:
    """Read the header of most NIfTI files.

    nibabel takes twenty times as long, and a plan reads 150,000 headers.

    Parameters
    ----------
    block
        The first bytes of a file.

    Returns
    -------
    Header or None
        None for whatever is not sound NIfTI-1 of this machine's order of bytes, with real numbers
        and an sform: that is for :func:`read_any` to read or to refuse.
    """
    if len(block) < PLAIN.size:
        return None
    size, n_axes, *fields = PLAIN.unpack_from(block)
    lengths, (kind, offset, slope, shift, units, sform_code) = fields[:7], fields[7:13]
    rows, magic = fields[13:25], fields[25]
    unit = LENGTH_UNITS.get(units & 7)
    shape = tuple(lengths[:n_axes])
    is_plain = (
        (size, magic) == (348, MAGIC[1])
        and 1 <= n_axes <= 7
        and min(shape) >= 1
        and kind in REAL_TYPES
        and unit is not None
        and 1 <= sform_code <= 4
        and LENGTHS[1][1] <= offset < math.inf
        and offset == int(offset)
        and math.isfinite(slope)
        and math.isfinite(shift)
    )
    if not is_plain:
        return None
    affine = np.array([*rows, 0, 0, 0, 1.0]).reshape(4, 4)
    return Header(shape, _dtype(kind), int(offset), affine, True, str(unit))


@cache
def _dtype(kind: int) -> np.dtype[Any]:
    return np.dtype("<" + REAL_TYPES[kind])


def read_any(path: Path, block: bytes, *, is_pair: bool = False) -> Header:
    """Read any NIfTI header: of either version and order of bytes.

    Parameters
    ----------
    path
        The file, for messages.
    block
        Its first bytes.
    is_pair
        Whether the voxels are in another file.

    Raises
    ------
    InputError
        If it is none, or says what cannot be.
    ValueError
        If nibabel refuses it.
    """
    version, order = _version(path, block)
    length = LENGTHS[version][0]
    if len(block) < length:
        raise EOFError("it ends within its header")
    raw = block[:length]
    _check_fields(path, READERS[version, False](raw, order, check=False), version, is_pair)
    header: Any = READERS[version, is_pair](raw, order, check=False)
    header.check_fix(QUIET)
    return Header(
        tuple(int(n) for n in header.get_data_shape()),
        header.get_data_dtype(),
        int(header["vox_offset"]),
        np.asarray(header.get_best_affine(), np.float64),
        int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0,
        LENGTH_UNITS[int(header["xyzt_units"]) & 7],
        version,
        order,
    )


def _version(path: Path, block: bytes) -> tuple[int, str]:
    """Return the version of a header and its order of bytes, by the length that it begins with."""
    for version, (length, _) in LENGTHS.items():
        for order in "<>":
            if block[:4] == struct.pack(order + "i", length):
                return version, order
    raise InputError(
        f"{path} cannot be read to its end (it does not begin as a NIfTI image does); give an "
        "image in NIfTI's format under this name."
    )


def _check_fields(path: Path, header: Any, version: int, is_pair: bool) -> None:
    """Refuse numbers that no image can have.

    Raises
    ------
    InputError
        The field, and what it says.
    """

    def refuse(what: str) -> None:
        raise InputError(
            f"{path} has a header that cannot be true: {what}; make the image again, or give the "
            "one that it was copied from."
        )

    magic = header["magic"].item().ljust(4, b"\0")
    if not is_pair and magic == PAIR_MAGIC[version]:
        refuse("it says that the voxels are in another file (.img)")
    if magic != (PAIR_MAGIC if is_pair else MAGIC)[version]:
        refuse(f"its mark is {magic.decode('latin1')!r}")
    n_axes, *lengths = (int(n) for n in header["dim"])
    if not 1 <= n_axes <= 7:
        refuse(f"it counts {n_axes} axes")
    if min(lengths[:n_axes]) < 1:
        refuse(f"its shape is {'×'.join(map(str, lengths[:n_axes]))}")
    offset, least = float(header["vox_offset"]), 0 if is_pair else LENGTHS[version][1]
    if not math.isfinite(offset) or offset != int(offset) or offset < least:
        refuse(f"its voxels begin at byte {offset:g}")
    slope, shift = float(header["scl_slope"]), float(header["scl_inter"])
    # a slope of 0 says that nothing is scaled
    if not math.isfinite(slope) or (slope and not math.isfinite(shift)):
        refuse(f"its values are scaled by {slope:g} and moved by {shift:g}")
    for form in ("sform", "qform"):
        if not 0 <= int(header[f"{form}_code"]) <= LAST_FORM_CODE:
            refuse(f"its {form} has the unknown code {int(header[f'{form}_code'])}")
    if int(header["xyzt_units"]) & 7 not in LENGTH_UNITS:
        refuse(f"its unit of length has the unknown code {int(header['xyzt_units']) & 7}")


def check_size(path: Path, header: Header, held: int) -> None:
    """Refuse an image that its file cannot hold, or that this machine cannot.

    Parameters
    ----------
    path
        The file.
    header
        What its header says.
    held
        Bytes that the file holds at most, decompressed.

    Raises
    ------
    InputError
        If there are fewer than the header promises, or the image is larger than the memory.
    """
    shape = "×".join(map(str, header.shape))
    if header.end > held:
        raise InputError(
            f"{path} cannot be read to its end (its header promises {shape} voxels of type "
            f"{header.dtype.name}, {header.end} bytes, and it holds {held} at most); copy or "
            "make it again."
        )
    needed = math.prod(header.shape[:3]) * WIDEST
    if max(needed, header.end) > usable_memory():
        raise InputError(
            f"{path} has {shape} voxels, which take {max(needed, header.end) / 1024**3:.0f} GB of "
            "memory, more than there is; give an image of a smaller grid."
        )


@cache
def usable_memory() -> int:
    """Return the bytes of memory that the machine and the process's control group have."""
    limits = [int(psutil.virtual_memory().total)]
    try:
        text = CGROUP_MEMORY.read_text(encoding="ascii").strip()
    except OSError:
        text = ""
    return min(limits + ([int(text)] if text.isdigit() else []))


def check_rest(path: Path, header: Header, size: int, before: bytes, rest: bytes) -> None:
    """Refuse a file that holds other than its header says.

    Parameters
    ----------
    path
        The file.
    header
        What its header says.
    size
        Bytes that the file holds, decompressed.
    before, rest
        What stands before the voxels, and the begin of what follows them.

    Raises
    ------
    InputError
        If it holds less; or more, apart from zeros that fill less than a plane, as some programs
        write whole blocks; or if its extensions reach into the voxels.
    """
    check_size(path, header, size)
    if _extensions_end(header, before) > header.offset:
        raise InputError(
            f"{path} has extensions of its header that reach into its voxels, which begin at byte "
            f"{header.offset}; make it again."
        )
    if size - header.end >= max(header.plane, 1) or any(rest):
        raise InputError(
            f"{path} holds more than its header says ({size} bytes instead of {header.end}): its "
            "shape, its type or the begin of its voxels is wrong; make it again."
        )


def _extensions_end(header: Header, before: bytes) -> int:
    """Return where the extensions of a header end; a file without any has none to end."""
    length, end = LENGTHS[header.version]
    if not before[length]:
        return end
    while end + 8 <= header.offset:
        (size,) = struct.unpack_from(header.order + "i", before, end)
        if size <= 0:
            break
        end += size
    return end
