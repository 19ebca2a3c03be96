"""Checks of arguments that every module of the core shares.

`checked_...` return their argument in the form that the kernels want and raise `ValueError` or
`TypeError` with a sentence that names it, so that a wrong call fails before any work. The others
bring volumes into the order of memory that the kernels read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, DTypeLike, NDArray

from wmhflow.core.arrays.threads import over_ranges

COPIED_TYPES = tuple(map(np.dtype, (np.uint8, np.int32, np.float32, np.float64)))
BLOCK = 32
# the edges of a voxel in mm, as an affine or a header gives them
Spacing = Sequence[float] | NDArray[np.float64]
LARGEST_LABEL = int(np.iinfo(np.int32).max)


class UnfitImageError(ValueError):
    """What an image shows is none of what it should be; the message says what to look at.

    Arrays have no names: who knows the file puts it before the message.
    """


def kernel_ready(array: NDArray[Any], dtype: DTypeLike = None) -> NDArray[Any]:
    """Return an array in C order that may be written to, copied only where it is not one.

    Kernels are compiled once for each kind of array: with one kind, nothing is left to compile
    when an image comes in another memory order, byte order or from a read-only file.
    """
    wanted = array.dtype.newbyteorder("=") if dtype is None else np.dtype(dtype)
    if 0 in array.strides:
        array = array.copy()  # one that numpy repeats along an axis; it warns when asked for it
    if array.flags.c_contiguous or array.ndim != 3 or wanted not in COPIED_TYPES:
        return np.require(array, wanted, ["C", "A", "W"])
    # numpy copies one memory order to another voxel by voxel across the whole volume; by blocks
    # that stay in the processor's cache it takes a tenth of the time.
    source = np.require(array.astype(wanted, order="K", copy=False), None, ["A", "W"])
    copied = np.empty(array.shape, dtype=wanted)
    over_ranges(
        lambda start, stop: _copy_blocks(source, copied, start, stop), len(copied), copied.size
    )
    return copied


def is_reversed(volume: NDArray[Any]) -> bool:
    """Tell whether a volume's first axis is the one that runs fastest in memory.

    Images read from NIfTI files lie so. Kernels then work on the volume with its axes reversed,
    which costs nothing, and give back what they made in the same order.
    """
    return volume.flags.f_contiguous and not volume.flags.c_contiguous


def flattened(first: NDArray[Any], *others: NDArray[Any]) -> list[NDArray[Any]]:
    """Return volumes as one-dimensional arrays that have the same order of voxels."""
    turned = is_reversed(first)
    return [kernel_ready(v.T if turned else v).reshape(-1) for v in (first, *others)]


def shaped_like(first: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Give a one-dimensional array of voxels the shape and order of the volume it came from."""
    if is_reversed(first):
        return values.reshape(first.shape[::-1]).T
    return values.reshape(first.shape)


def kernel_flags(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a mask as the bytes that kernels read."""
    return kernel_ready(mask.view(np.uint8))


def checked_volume(volume: ArrayLike, name: str) -> NDArray[Any]:
    """Return `volume` as an array, refusing all but three-dimensional, non-empty ones."""
    array = np.asarray(volume)
    if array.ndim != 3:
        raise ValueError(f"{name} has {array.ndim} dimensions: a three-dimensional image is needed")
    if array.size == 0:
        raise ValueError(f"{name} has no voxels (shape {array.shape})")
    return array


def checked_mask(mask: ArrayLike, name: str) -> NDArray[np.bool_]:
    """Return `mask` as booleans: true where it is finite and not zero, so never where it is NaN."""
    array = checked_volume(mask, name)
    if array.dtype == np.bool_:
        return array
    if array.dtype.kind in "iu":
        return array != 0
    if array.dtype.kind == "f":
        return np.isfinite(array) & (array != 0)
    raise TypeError(f"{name} has type {array.dtype}: a mask of booleans or numbers is needed")


def checked_labels(labels: ArrayLike, name: str) -> NDArray[Any]:
    """Return `labels` as given, refusing all but integers (or booleans) from 0 to 2147483647."""
    array = checked_volume(labels, name)
    if array.dtype == np.bool_:
        return array.view(np.uint8)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} has type {array.dtype}: a label image of integers is needed")
    if array.dtype.kind == "i" and _least(array) < 0:
        raise ValueError(f"{name} has negative labels: labels are 0 (none) or larger")
    if not np.can_cast(array.dtype, np.int32) and array.max() > LARGEST_LABEL:
        raise ValueError(f"{name} has labels above {LARGEST_LABEL}")
    return array


def _least(array: NDArray[Any]) -> int:
    """Return the smallest of whole numbers, looked for by all threads."""
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        return int(array.min())
    flat = array.ravel(order="K")
    return int(min(over_ranges(lambda a, b: flat[a:b].min(), flat.size, flat.size // 8)))


def checked_distance(distance: ArrayLike, name: str) -> NDArray[Any]:
    """Return `distance` as float64 if it is, as float32 if it holds other numbers."""
    array = checked_volume(distance, name)
    if array.dtype.kind == "f" and array.dtype.itemsize >= np.float64().itemsize:
        return array.astype(np.float64, order="K", copy=False)
    if array.dtype.kind in "fiub":
        return array.astype(np.float32, order="K", copy=False)
    raise TypeError(f"{name} has type {array.dtype}: a distance image of numbers is needed")


def checked_spacing(spacing: ArrayLike) -> NDArray[np.float64]:
    """Return the three voxel sizes in mm, refusing any that is not positive and finite."""
    sizes = np.asarray(spacing, dtype=np.float64)
    if sizes.shape != (3,):
        raise ValueError(f"spacing has shape {sizes.shape}: three voxel sizes in mm are needed")
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError(f"spacing {sizes.tolist()} is not positive and finite in all three axes")
    return sizes


def checked_positive(value: float, name: str) -> float:
    """Return `value` as a float, refusing zero, negative numbers and NaN."""
    number = float(value)
    if not number > 0:
        raise ValueError(f"{name} is {value}: a positive number is needed")
    return number


def check_same_shape(**volumes: NDArray[Any]) -> None:
    """Refuse volumes of different shapes, naming the first that differs."""
    (first, reference), *others = volumes.items()
    for name, volume in others:
        if volume.shape != reference.shape:
            raise ValueError(
                f"{name} has shape {volume.shape} but {first} has {reference.shape}: "
                "both must lie on one grid"
            )


@njit(cache=True, nogil=True)
def _copy_blocks(source, copied, start, stop):  # type: ignore[no-untyped-def]
    """Copy planes `start` to `stop` in blocks of the first and last axis."""
    for first in range(start, stop, BLOCK):
        for j in range(copied.shape[1]):
            for third in range(0, copied.shape[2], BLOCK):
                for i in range(first, min(first + BLOCK, stop)):
                    for k in range(third, min(third + BLOCK, copied.shape[2])):
                        copied[i, j, k] = source[i, j, k]
