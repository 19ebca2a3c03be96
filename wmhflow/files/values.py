"""What only the voxels of an image tell, and the sentences with which they are refused."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmhflow.errors import InputError
from wmhflow.files.images import load_volume
from wmhflow.labels.freesurfer import cortical_codes, load_freesurfer_codes

LARGEST_COUNTED_CODE = 2**17


@dataclass(frozen=True)
class ImageValues:
    """What a full read of an image tells; ``low`` and ``high`` are the extreme finite values."""

    path: Path
    shape: tuple[int, int, int]
    n_nonfinite: int
    n_nonzero: int
    low: float
    high: float

    @property
    def is_empty(self) -> bool:
        """Whether no finite voxel differs from zero."""
        return self.n_nonzero == 0

    @property
    def is_constant(self) -> bool:
        """Whether all finite voxels have one value."""
        return self.low == self.high

    @property
    def summary(self) -> tuple[tuple[int, int, int], float, float, int]:
        """What is equal for images of the same values."""
        return self.shape, self.low, self.high, self.n_nonzero


def inspect_values(path: Path) -> ImageValues:
    """Read an image to its end.

    Parameters
    ----------
    path
        A NIfTI file.

    Raises
    ------
    InputError
        As :func:`wmhflow.files.images.load_volume`.
    """
    data = load_volume(path)[0]
    values = data[np.isfinite(data)] if data.dtype.kind == "f" else data
    return ImageValues(
        path,
        data.shape,
        n_nonfinite=int(data.size - values.size),
        n_nonzero=int(np.count_nonzero(values)),
        low=float(values.min()) if values.size else float("nan"),
        high=float(values.max()) if values.size else float("nan"),
    )


def check_contrast(values: ImageValues) -> None:
    """Refuse a T1w or FLAIR that shows nothing.

    Raises
    ------
    InputError
        If it holds one value only.
    """
    if values.is_empty:
        raise InputError(f"{values.path} holds no value other than 0; it cannot be used.")
    if values.is_constant:
        raise InputError(f"{values.path} holds the one value {values.low:g}; it cannot be used.")


def check_two_images(one: ImageValues, other: ImageValues) -> None:
    """Refuse one image that was given under two names.

    Raises
    ------
    InputError
        If both hold the same values in the same order, wherever they lie.
    """
    if one.summary == other.summary and _same_values(one.path, other.path):
        raise InputError(
            f"{one.path} and {other.path} hold the same values; one of them is not what its "
            "name says: give the right file, or leave it out."
        )


def _same_values(one: Path, other: Path) -> bool:
    first, second = load_volume(one)[0], load_volume(other)[0]
    return bool(np.array_equal(first, second, equal_nan=first.dtype.kind == "f"))


def present_codes(path: Path) -> set[int]:
    """List the codes in a label image; what is not finite counts as 0.

    Parameters
    ----------
    path
        A NIfTI file.

    Raises
    ------
    InputError
        As :func:`wmhflow.files.images.load_volume`.
    """
    data = load_volume(path)[0]
    if data.dtype.kind == "u" or (data.dtype.kind == "i" and data.min(initial=0) >= 0):
        return set(_present(data).tolist())
    return {int(code) for code in np.unique(np.nan_to_num(data))}


def _present(codes: NDArray[Any]) -> NDArray[Any]:
    """Sort out which whole numbers of at least 0 there are; counting is faster than sorting."""
    if codes.max(initial=0) > LARGEST_COUNTED_CODE:
        return np.unique(codes)
    return np.flatnonzero(np.bincount(codes.ravel()))


def check_freesurfer(path: Path, codes: AbstractSet[int]) -> None:
    """Refuse a parcellation whose tissues FreeSurfer's codes do not tell.

    Parameters
    ----------
    path
        The image, for the message.
    codes
        What :func:`present_codes` found in it.

    Raises
    ------
    InputError
        If it lacks white matter of a side, or the lateral ventricles.
    """
    known = codes & set(load_freesurfer_codes())
    if len(known & {2, 41}) == 1 and known & {4, 43}:
        raise InputError(
            f"{path} has white matter of the {'left' if 2 in known else 'right'} "
            "hemisphere alone (2 is left, 41 right); zones, lobes and asymmetry need both: "
            "mend it, or leave the person out."
        )
    if not {2, 41} <= known or not known & {4, 43}:
        raise InputError(
            f"{path} is no FreeSurfer-coded parcellation (2 and 41 for white matter, "
            "4 and 43 for the lateral ventricles are expected); narrow what is used with "
            "--bids-filter-file."
        )


def has_parcels(codes: AbstractSet[int]) -> bool:
    """Whether some of a parcellation's codes are parcels of the cortex, which give lobes.

    Examples
    --------
    >>> has_parcels({2, 3, 41, 42}), has_parcels({2, 1001, 41, 2001})
    (False, True)
    """
    return not codes.isdisjoint(cortical_codes())


def check_parcels(path: Path, codes: AbstractSet[int]) -> None:
    """Refuse a parcellation without the parcels that its name or its table promised.

    Raises
    ------
    InputError
        If it has none.
    """
    if not has_parcels(codes):
        raise InputError(
            f"{path} has no parcels of the cortex, which its name or its table of labels says that "
            "it has and from which lobes were to be made; give the one that has them, or call it "
            "seg-aseg."
        )


def check_range(path: Path, name: str, unit: str, valid_range: tuple[float, float]) -> None:
    """Refuse a map of which no voxel can be true.

    Parameters
    ----------
    path
        The map.
    name, unit
        What it is, for the message.
    valid_range
        The lowest and the highest value that can be true.

    Raises
    ------
    InputError
        If no value other than 0 lies in the range, as where the unit is another.
    """
    low, high = valid_range
    data = load_volume(path)[0]
    if not np.any((data >= low) & (data <= high) & (data != 0) & np.isfinite(data)):
        raise InputError(
            f"{path}: no value of {name} other than 0 lies in its valid range "
            f"{low:g} to {high:g} {unit}; if the unit is another, define the map with --maps."
        )
