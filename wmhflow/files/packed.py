"""Images of the program's own in the work folder: what is the same everywhere is not stored.

Most voxels of a label image or a distance lie outside of the head and have one value. A file holds
the box that has others, of this box the voxels that differ, and these in the smallest type that
holds them exactly. So less is written, read and hashed, and voxels lie as numpy's arrays do.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from wmhflow.files.streams import said_of

ENDING = ".packed"
MAGIC = b"wmhflow packed image 1\n"
# An image of which fewer voxels have the value of the first one is stored as it is.
LEAST_SAVED = 0.4
# Whole numbers, also of single precision, are stored in the first of these that holds them.
NARROW: tuple[type[np.integer[Any]], ...] = (np.uint8, np.int16)


class PackedHeader(NamedTuple):
    """What a file says of its image before the voxels.

    Attributes
    ----------
    shape, dtype, affine
        Of the image.
    start, box
        The first voxel and the size of the part that is stored.
    fill
        The value of all other voxels: its bytes, two letters each.
    stored
        The type in which voxels are stored.
    n_stored
        How many voxels of the box are stored, None for all.
    """

    shape: tuple[int, ...]
    dtype: str
    affine: list[float]
    start: tuple[int, ...]
    box: tuple[int, ...]
    fill: str
    stored: str
    n_stored: int | None


def save_packed(
    path: Path, data: NDArray[Any], affine: NDArray[np.float64], dtype: DTypeLike | None = None
) -> str:
    """Write an image; it is read again exactly as it was.

    Parameters
    ----------
    path
        Where.
    data
        Of any dimensions, of booleans, whole or real numbers.
    affine
        Shape (4, 4), voxel to world RAS mm; single precision is kept of it.
    dtype
        What it is converted to first.

    Returns
    -------
    str
        The path.
    """
    data = np.ascontiguousarray(data, dtype=dtype)
    if data.dtype == bool:
        data = data.view(np.uint8)
    # bits are compared: NaN is not NaN, and minus 0 is 0
    bits = data.view(f"u{data.dtype.itemsize}")
    fill = data.ravel()[:1]
    differs = bits != (bits.flat[0] if data.size else 0)
    where = _box_of(differs)
    part, marked = data[where], differs[where]
    n_stored = None
    if data.size and np.count_nonzero(marked) < (1 - LEAST_SAVED) * data.size:
        values = part[marked]
        n_stored = values.size
    else:
        where = tuple(slice(0, n) for n in data.shape)
        part, values = data, data
    narrow = _narrowest(values)
    head = PackedHeader(
        data.shape,
        data.dtype.str,
        # as an image's header holds it
        np.asarray(affine, np.float32).ravel().tolist(),
        tuple(one.start for one in where),
        part.shape,
        fill.tobytes().hex(),
        narrow.str,
        n_stored,
    )
    with path.open("wb") as stream:
        stream.write(MAGIC + json.dumps(head._asdict()).encode("ascii") + b"\n")
        if n_stored is not None:
            stream.write(np.packbits(marked).tobytes())
        stream.write(values.astype(narrow, copy=False).data)
    return str(path)


def _box_of(differs: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the smallest box that holds all marked voxels; an empty one if there are none."""
    sides = []
    for axis in range(differs.ndim):
        others = tuple(other for other in range(differs.ndim) if other != axis)
        found = np.flatnonzero(differs.any(axis=others))
        sides.append(slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0))
        differs = differs[(slice(None),) * axis + (sides[-1],)]
    return tuple(sides)


def _narrowest(values: NDArray[Any]) -> np.dtype[Any]:
    """Return the smallest type in which values are the same numbers."""
    if values.dtype.kind not in "iuf" or values.dtype.itemsize == 1 or not values.size:
        return values.dtype
    low, high = values.min(), values.max()
    for kind in NARROW:
        narrow, bounds = np.dtype(kind), np.iinfo(kind)
        # a comparison with NaN is false
        if narrow.itemsize < values.dtype.itemsize and bounds.min <= low <= high <= bounds.max:
            whole = values.astype(narrow)
            if values.dtype.kind != "f" or _same_bits(whole.astype(values.dtype), values):
                return narrow
    return values.dtype


def _same_bits(one: NDArray[np.floating], other: NDArray[np.floating]) -> bool:
    """Compare as whole numbers, so that minus 0 is not 0."""
    kind = f"u{one.dtype.itemsize}"
    return bool(np.array_equal(one.view(kind), other.view(kind)))


def is_packed(path: str | os.PathLike[str]) -> bool:
    """Tell from its name whether a file was written by :func:`save_packed`."""
    return os.fspath(path).endswith(ENDING)


def read_packed_header(path: Path) -> PackedHeader:
    """Read where an image lies, and none of its voxels.

    Raises
    ------
    InputError
        If the file is not as it was written.
    """
    with said_of(path), path.open("rb") as stream:
        return _header(stream.readline(), stream.readline())


def _header(magic: bytes, line: bytes) -> PackedHeader:
    if magic != MAGIC:
        raise ValueError("it is no packed image")
    told = json.loads(line)
    lengths = {name: tuple(told[name]) for name in ("shape", "start", "box")}
    return PackedHeader(**(told | lengths))


def affine_of(header: PackedHeader) -> NDArray[np.float64]:
    """Return where an image lies: shape (4, 4), voxel to world RAS mm."""
    return np.array(header.affine, np.float64).reshape(4, 4)


def load_packed(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read what :func:`save_packed` wrote: voxels and affine.

    Raises
    ------
    InputError
        If the file is not as it was written.
    """
    with said_of(path), path.open("rb") as stream:
        header = _header(stream.readline(), stream.readline())
        marked = None
        if header.n_stored is not None:
            n_voxels = math.prod(header.box)
            bits = np.frombuffer(stream.read((n_voxels + 7) // 8), np.uint8)
            marked = np.unpackbits(bits, count=n_voxels).view(bool).reshape(header.box)
        values = np.frombuffer(stream.read(), header.stored)
        data = _unpacked(header, marked, values)
    return data, affine_of(header)


def _unpacked(
    header: PackedHeader, marked: NDArray[np.bool_] | None, values: NDArray[Any]
) -> NDArray[Any]:
    if marked is None:
        # a copy: what is read from a buffer cannot be written to
        return values.reshape(header.shape).astype(header.dtype)
    if values.size != header.n_stored or np.count_nonzero(marked) != values.size:
        raise EOFError("it ends too early")
    fill = bytes.fromhex(header.fill)
    # what was never written need not be zeroed
    data = np.zeros(header.shape, header.dtype)
    if any(fill):
        data[...] = np.frombuffer(fill, header.dtype)
    where = tuple(slice(a, a + n) for a, n in zip(header.start, header.box, strict=True))
    data[where][marked] = values
    return data
