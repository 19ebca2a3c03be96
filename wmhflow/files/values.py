"""What only the voxels of an image tell, and the sentences with which they are refused."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmhflow.core.arrays.codes import count_codes
from wmhflow.core.checks.masks import (
    MOST_WMH_MM3,
    MaskReading,
    read_mask_values,
    volume_fault,
    whole_numbers,
)
from wmhflow.core.checks.sides import exchanged_by_mm, parts_on_the_other_side
from wmhflow.core.space.geometry import voxel_mm3
from wmhflow.errors import InputError
from wmhflow.files.forms import trusted_affine
from wmhflow.files.images import load_volume
from wmhflow.labels.digits import CORTEX
from wmhflow.labels.freesurfer import cortical_codes, homologous_codes, load_freesurfer_codes

LATERAL_VENTRICLES = (4, 43)
HALF = 0.5
NO_UNIT = "1"
# Two affines are one if they differ by less.
SAME_PLACE_MM = 1e-3
# The centres of a brain's sides lie some centimetres apart.
EXCHANGED_MM = 5.0
# So many regions are named in a message.
MOST_NAMED = 4
WHICH_LABELS = "--wmh-labels says it: the numbers that are WMH, or a name such as challenge"


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
    return told_by(path, load_volume(path)[0])


def told_by(path: Path, data: NDArray[Any]) -> ImageValues:
    """Say what the values of an image tell.

    Parameters
    ----------
    path
        Its file.
    data
        Its values, of shape (X, Y, Z).
    """
    values = data[np.isfinite(data)] if data.dtype.kind == "f" else data
    return ImageValues(
        path,
        data.shape,
        n_nonfinite=int(data.size - values.size),
        n_nonzero=int(np.count_nonzero(values)),
        low=float(values.min()) if values.size else float("nan"),
        high=float(values.max()) if values.size else float("nan"),
    )


@dataclass(frozen=True)
class LesionMask:
    """A given mask: how much of every voxel is lesion (0 to 1), where it lies, and its reading."""

    share: NDArray[np.float32]
    affine: NDArray[np.float64]
    reading: MaskReading
    n_nonfinite: int

    @property
    def volume_mm3(self) -> float:
        """Volume of the voxels that are more than half lesion."""
        return float(np.count_nonzero(self.share > HALF) * voxel_mm3(self.affine))


def read_lesions(
    path: Path,
    *,
    is_probability: bool = False,
    labels: Sequence[int] = (),
    others: Sequence[int] = (),
    union: bool = False,
    most_mm3: float = MOST_WMH_MM3,
    trust: str | None = None,
) -> LesionMask:
    """Read a mask of lesions, and find out what its values mean.

    Parameters
    ----------
    path
        A NIfTI file.
    is_probability, labels, others, union
        As for :func:`wmhflow.core.checks.masks.read_mask_values`.
    most_mm3
        What marks more is no mask of lesions.
    trust
        The form of its header that is believed, ``sform`` or ``qform``.

    Raises
    ------
    InputError
        If it cannot be read, or its values cannot be those of a mask.
    """
    data, affine = load_volume(path)
    affine = trusted_affine(path, affine, trust)
    reading = read_mask_values(
        data, is_probability=is_probability, labels=labels, others=others, union=union
    )
    if reading.fault is not None:
        hint = f"; {WHICH_LABELS}" if "labels, " in reading.fault else ""
        raise InputError(f"{path} {reading.fault}{hint}.")
    bad = int(np.count_nonzero(~np.isfinite(data))) if data.dtype.kind == "f" else 0
    mask = LesionMask(reading.share(data), affine, reading, bad)
    if (too_large := volume_fault(mask.volume_mm3, most_mm3)) is not None:
        raise InputError(f"{path} {too_large}")
    return mask


def read_labels(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read an image of labels, which are whole numbers.

    Parameters
    ----------
    path
        A NIfTI file; what is not finite counts as 0.

    Returns
    -------
    labels : ndarray of int32 of shape (X, Y, Z)
    affine : ndarray of shape (4, 4)
        Voxel to world RAS, mm.

    Raises
    ------
    InputError
        As :func:`wmhflow.files.images.load_volume`; and if values lie between whole numbers, as
        where labels were interpolated.
    """
    data, affine = load_volume(path)
    whole = whole_numbers(data)
    if whole is None:
        raise InputError(
            f"{path} holds values between whole numbers where labels are meant, as after an "
            "interpolation; resample labels by nearest neighbour."
        )
    if whole.size and not -(2**31) <= float(whole.min()) <= float(whole.max()) < 2**31:
        raise InputError(f"{path} holds numbers too large for labels.")
    return whole.astype(np.int32, copy=False), affine


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
    if are_one(one, other):
        raise InputError(
            f"{one.path} and {other.path} hold the same values; one of them is not what its "
            "name says: give the right file, or leave it out."
        )


def are_one(one: ImageValues, other: ImageValues) -> bool:
    """Tell whether two images hold the same values in the same order.

    Parameters
    ----------
    one, other
        What full reads of them told; their files are read again only where these agree.
    """
    return one.summary == other.summary and _same_values(one.path, other.path)


def check_two_masks(one: LesionMask, other: LesionMask, paths: tuple[Path, Path]) -> None:
    """Refuse one mask that was given as two kinds of lesions.

    Parameters
    ----------
    one, other
        The masks.
    paths
        Their files, for the message.

    Raises
    ------
    InputError
        If both mark the same voxels, and any.
    """
    first, second = (mask.share > HALF for mask in (one, other))
    if not (np.array_equal(first, second) and first.any()):
        return
    if np.allclose(one.affine, other.affine, atol=SAME_PLACE_MM):
        raise InputError(
            f"{paths[0]} and {paths[1]} mark the same voxels; one of them is not what its name "
            "says: give the right mask, or leave it out."
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
        As :func:`read_labels`.
    """
    return set(count_codes(read_labels(path)[0])[0].tolist())


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
    if {2, 41} <= known:
        _check_both_sides(path, known)
    if not {2, 41} <= known or not known & {4, 43}:
        raise InputError(
            f"{path} is no FreeSurfer-coded parcellation (2 and 41 for white matter, "
            "4 and 43 for the lateral ventricles are expected); narrow what is used with "
            "--bids-filter-file."
        )


def _check_both_sides(path: Path, known: AbstractSet[int]) -> None:
    """Refuse a parcellation in which a tissue that distances are measured from lacks on a side."""
    entries = [load_freesurfer_codes()[code] for code in known]
    cortex = {one.hemisphere for one in entries if one.tissue == CORTEX}
    ventricles = {one.hemisphere for one in entries if one.code in LATERAL_VENTRICLES}
    if not cortex and ventricles:
        raise InputError(
            f"{path} has no cortex (3 and 42, or its parcels), which zones, depth and lobes are "
            "measured from; give the parcellation that has it."
        )
    for found, what in ((ventricles, "lateral ventricle"), (cortex, "cortex")):
        sides = found & {"L", "R"}
        if len(sides) == 1:
            there, lacks = ("left", "right") if sides == {"L"} else ("right", "left")
            raise InputError(
                f"{path} has the {what} of the {there} hemisphere alone; distances on the {lacks} "
                "would be measured from the other side: mend it, or leave the person out."
            )


def check_sides(path: Path, labels: NDArray[np.integer], affine: NDArray[np.float64]) -> None:
    """Refuse a parcellation whose left codes, or some of them, lie on the side of the right ones.

    Parameters
    ----------
    path
        The image, for the message.
    labels, affine
        Its codes, and where they lie.

    Raises
    ------
    InputError
        If they do, by more than half a centimetre.
    """
    sides = {code: entry.hemisphere for code, entry in load_freesurfer_codes().items()}
    if exchanged_by_mm(labels, affine, sides) > EXCHANGED_MM:
        raise InputError(
            f"{path} has left and right exchanged: by its header its left codes (2, 3 …) lie to "
            "the right of its right ones (41, 42 …); mend the header or the codes."
        )
    parts = parts_on_the_other_side(labels, affine, homologous_codes(), voxel_mm3(affine))
    if parts:
        known = load_freesurfer_codes()
        named = [f"{code} ({known[code].name}) by {mm:g} mm" for code, mm in parts.items()]
        more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        raise InputError(
            f"{path} has single regions on the side of their homologues: "
            f"{', '.join(named[:MOST_NAMED])}{more}; every table by side would be wrong there: "
            "mend these codes, or leave the parcellation out."
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


def check_range(
    path: Path, name: str, unit: str, valid_range: tuple[float, float], factor: float = 1.0
) -> NDArray[Any]:
    """Refuse a map of which no voxel can be true.

    Parameters
    ----------
    path
        The map.
    name, unit
        What it is, for the message.
    valid_range
        The lowest and the highest value that can be true.
    factor
        What the file's values are multiplied by to be in the unit.

    Returns
    -------
    ndarray
        The values, as they are stored.

    Raises
    ------
    InputError
        If no value other than 0 lies in the range, as where the unit is another.
    """
    low, high = valid_range
    data = load_volume(path)[0]
    values = data if factor == 1 else data * np.float64(factor)
    if not np.any((values >= low) & (values <= high) & (data != 0) & np.isfinite(data)):
        spelt = "" if unit == NO_UNIT else f" {unit}"
        raise InputError(
            f"{path}: no value of {name} other than 0 lies in its valid range "
            f"{low:g} to {high:g}{spelt}; if the unit is another, define the map with --maps."
        )
    return data
