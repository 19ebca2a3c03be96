"""Checks of arguments that every module of the core shares.

Each returns its argument in the form that the kernels want and raises `ValueError` or
`TypeError` with a sentence that names the argument, so that a wrong call fails before any work.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

LARGEST_LABEL = int(np.iinfo(np.int32).max)


def kernel_ready(array: NDArray, dtype: DTypeLike = None) -> NDArray:
    """Return an array in C order that may be written to, copied only where it is not one.

    Kernels are compiled once for each kind of array: with one kind, nothing is left to compile
    when an image comes in another memory order, byte order or from a read-only file.
    """
    return np.require(array, dtype, ["C", "A", "W"])


def kernel_flags(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a mask as the bytes that kernels read."""
    return kernel_ready(mask).view(np.uint8)


def checked_volume(volume: ArrayLike, name: str) -> NDArray:
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


def checked_labels(labels: ArrayLike, name: str) -> NDArray:
    """Return `labels` as given, refusing all but integers (or booleans) from 0 to 2147483647."""
    array = checked_volume(labels, name)
    if array.dtype == np.bool_:
        return array.view(np.uint8)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} has type {array.dtype}: a label image of integers is needed")
    if array.dtype.kind == "i" and array.min() < 0:
        raise ValueError(f"{name} has negative labels: labels are 0 (none) or larger")
    if array.dtype.itemsize > 2 and array.max() > LARGEST_LABEL:
        raise ValueError(f"{name} has labels above {LARGEST_LABEL}")
    return array


def checked_distance(distance: ArrayLike, name: str) -> NDArray:
    """Return `distance` for a kernel: as float64 if it is, as float32 if it holds other numbers."""
    array = checked_volume(distance, name)
    if array.dtype.kind == "f" and array.dtype.itemsize >= np.float64().itemsize:
        return kernel_ready(array, np.float64)
    if array.dtype.kind in "fiub":
        return kernel_ready(array, np.float32)
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


def check_same_shape(**volumes: NDArray) -> None:
    """Refuse volumes of different shapes, naming the first that differs."""
    (first, reference), *others = volumes.items()
    for name, volume in others:
        if volume.shape != reference.shape:
            raise ValueError(
                f"{name} has shape {volume.shape} but {first} has {reference.shape}: "
                "both must lie on one grid"
            )
