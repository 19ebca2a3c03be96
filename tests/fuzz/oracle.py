"""What a disturbed image says by the NIfTI standard, read without the program and without nibabel.

An image is *another sound one* if all of this holds; else only the undisturbed numbers are right:

- its compressed stream can be read to the end, with its checksum;
- its header is NIfTI-1 of one file, in either order of bytes;
- ``dim`` has lengths of at least 1, ``datatype`` is one of real numbers, and with ``vox_offset``
  they account for every byte of the file (which ``bitpix``, that says the width again, need not);
- ``scl_slope`` and ``scl_inter`` are finite, or the slope is 0 or NaN, which say that nothing is
  scaled;
- its affine (sform if that code is 1 to 5, else qform likewise) is finite, and has an inverse;
- where the sform counts, ``pixdim`` says the same voxel size to within 1 %.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# number in the header, as numpy calls it
KINDS = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
         1024: "i8", 1280: "u8"}  # fmt: skip
MOST_SIZE_MISMATCH = 0.01


class Numbers(NamedTuple):
    """What an image says."""

    values: NDArray[np.float64]
    affine: NDArray[np.float64]


def is_same(one: Numbers, other: Numbers) -> bool:
    """Whether two images say the same, but for the last digits of single precision."""
    if one.values.shape != other.values.shape:
        return False
    scale = max(1.0, float(np.abs(one.affine).max()))
    return bool(
        np.allclose(one.affine, other.affine, rtol=0, atol=1e-5 * scale)
        and np.allclose(one.values, other.values, rtol=1e-5, atol=0, equal_nan=True)
    )


def unpacked(content: bytes, ending: str) -> bytes | None:
    """Return the bytes of the image in a file; None if its stream is damaged."""
    if ending != ".nii.gz":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return None


def told(plain: bytes | None) -> Numbers | None:
    """Return what an image says, if it is a sound one."""
    if plain is None or len(plain) < 352:
        return None
    order = next((o for o in "<>" if struct.unpack_from(f"{o}i", plain)[0] == 348), None)
    if order is None or plain[344:348] != b"n+1\0":
        return None
    with np.errstate(all="ignore"):
        return _of_header(plain, order)


def _of_header(plain: bytes, order: str) -> Numbers | None:
    def read(form: str, at: int) -> tuple:
        return struct.unpack_from(order + form, plain, at)

    n_axes, *lengths = read("8h", 40)
    (kind,) = read("h", 70)
    pixdim = np.array(read("8f", 76), float)
    offset, slope, inter = read("3f", 108)
    if not 1 <= n_axes <= 7 or min(lengths[:n_axes]) < 1 or kind not in KINDS:
        return None
    dtype = np.dtype(order + KINDS[kind])
    size = dtype.itemsize * int(np.prod(lengths[:n_axes], dtype=object))
    if not np.isfinite(offset) or offset < 352 or offset + size != len(plain):
        return None
    affine = _affine(read, pixdim)
    if affine is None:
        return None
    raw = np.frombuffer(plain, dtype, offset=int(offset)).reshape(lengths[:n_axes], order="F")
    values = raw.astype(float)
    if slope != 0 and not np.isnan(slope):
        if not (np.isfinite(slope) and np.isfinite(inter)):
            return None
        values = values * slope + inter
    shape = lengths[:3] if all(one == 1 for one in lengths[3:n_axes]) else lengths[:n_axes]
    return Numbers(values.reshape(shape, order="F"), affine)


def _affine(read: object, pixdim: NDArray[np.float64]) -> NDArray[np.float64] | None:
    qform, sform = read("2h", 252)
    if not (1 <= sform <= 5 or 1 <= qform <= 5):
        return None
    affine = np.eye(4)
    sizes = np.abs(pixdim[1:4])
    if 1 <= sform <= 5:
        affine[:3] = np.array(read("12f", 280)).reshape(3, 4)
        own = np.linalg.norm(affine[:3, :3], axis=0)
        if not np.all(np.abs(sizes - own) <= MOST_SIZE_MISMATCH * own):
            return None
    else:
        b, c, d, *shift = read("6f", 256)
        a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
        turn = np.array([
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ])  # fmt: skip
        affine[:3, :3] = turn * sizes * [1, 1, -1 if pixdim[0] < 0 else 1]
        affine[:3, 3] = shift
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < 1e-9:
        return None
    return affine
