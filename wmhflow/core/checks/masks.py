"""What the values of a given lesion mask mean, or why they cannot be those of a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

# A value is a whole number if it lies so near to one: labels that were saved as floats, or with a
# slope, are read back a little off.
NEARLY_WHOLE = 0.05
# Values are one plateau if they differ by less of the largest.
SAME_VALUE = 1e-3
# More distinct values are grades between 0 and the largest, and no labels.
MOST_LABELS = 16
# Between 0 and the largest value no voxel of an interpolated mask is like all six around it; where
# more of them are, there is a further plateau.
BETWEEN, MOST_INNER = (0.05, 0.95), 0.05
# Below 0 by more of the largest value, values ring.
RINGING = 0.01
# A mask that was interpolated linearly keeps its value inside lesions: of what is above a half, so
# much has the largest value.
LEAST_PLATEAU, TOP = 0.1, 0.99
# Scales on which probabilities are written, and how near to their end the largest has to come.
SCALES = (1.0, 100.0, 255.0)
NEAR_END, PAST_END = 0.95, 1.005
# More than all white matter of a brain.
MOST_WMH_MM3 = 0.5e6
HALF = 0.5


@dataclass(frozen=True)
class MaskReading:
    """What the values of a mask mean.

    ``scale`` is the value of a voxel that is wholly lesion, ``labels`` the numbers that are lesion
    (empty where any is), and ``is_graded`` says that values between 0 and ``scale`` are shares or
    probabilities. ``notes`` are to be said, ``fault`` follows the file's name and refuses it.
    """

    scale: float = 1.0
    labels: tuple[int, ...] = ()
    is_graded: bool = False
    notes: tuple[str, ...] = ()
    fault: str | None = None

    def share(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Tell how much of every voxel is lesion, 0 to 1; 0 where a value is not finite.

        Parameters
        ----------
        values
            The values that were read, or others of the same kind.
        """
        plain = np.nan_to_num(np.asarray(values, np.float32), nan=0, posinf=0, neginf=0)
        if self.labels:
            return np.isin(np.rint(plain), self.labels).astype(np.float32)
        if self.is_graded:
            return np.clip(plain / np.float32(self.scale), 0, 1)
        return (plain > HALF * self.scale).astype(np.float32)


def read_mask_values(
    values: NDArray[Any],
    *,
    is_probability: bool = False,
    labels: Sequence[int] = (),
    others: Sequence[int] = (),
    union: bool = False,
) -> MaskReading:
    """Find out what the values of a lesion mask mean.

    Parameters
    ----------
    values
        All values, of shape (X, Y, Z).
    is_probability
        Whether they are said to be probabilities.
    labels
        Numbers that are lesion, where others are not.
    others
        Further numbers that are known to stand in such masks.
    union
        Whether several labels are all lesion; if not, and ``labels`` names none, they are a fault.

    Examples
    --------
    >>> mask = np.zeros((4, 4, 4))
    >>> mask[1, 1, :3] = 1, 1, 2
    >>> read_mask_values(mask).fault
    'holds several labels, 1 (2 voxels) and 2 (1 voxel), and does not say which of them is lesion'
    >>> reading = read_mask_values(mask, labels=(1,))
    >>> reading.notes
    ('1 (2 voxels) counts, 2 (1 voxel) does not',)
    >>> int(reading.share(mask).sum())
    2
    """
    finite = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
    if not finite.any():
        return MaskReading(fault="holds no number: every voxel is NaN or infinite")
    nonzero = np.asarray(values[finite & (values != 0)], np.float64)
    if nonzero.size == 0:
        return MaskReading()
    if is_probability:
        return _probabilities(float(nonzero.min()), float(nonzero.max()))
    return _mask(values, nonzero, labels, others, union=union)


def _mask(
    values: NDArray[Any],
    nonzero: NDArray[np.float64],
    labels: Sequence[int],
    others: Sequence[int],
    *,
    union: bool,
) -> MaskReading:
    low, high = float(nonzero.min()), float(nonzero.max())
    plateaus = _plateaus(nonzero)
    if low < -RINGING * max(high, 0.0):
        return MaskReading(fault=_negative(low, plateaus))
    if nonzero.size == values.size and not union:
        return MaskReading(fault=f"holds no 0, which is what is no lesion ({_listed(plateaus)})")
    if labels:
        return _chosen(nonzero, labels, others)
    if plateaus is not None:
        return _labelled(plateaus, union=union)
    if _inner_share(values, high) > MOST_INNER:
        return MaskReading(
            fault=f"holds more than two values that fill regions, up to {high:.4g}, and many "
            "between them: labels that were interpolated, or several masks that were averaged; "
            "make one mask of 0 and 1 of them"
        )
    return _graded(nonzero, high)


def _inner_share(values: NDArray[Any], high: float) -> float:
    """Of the voxels between 0 and the largest value, count those that lie inside a plateau."""
    padded = np.pad(np.nan_to_num(np.asarray(values, np.float32)), 1)
    centre = padded[1:-1, 1:-1, 1:-1]
    between = np.nonzero((centre > BETWEEN[0] * high) & (centre < BETWEEN[1] * high))
    own = centre[between]
    inside = np.ones(own.size, bool)
    for axis in range(3):
        for step in (0, 2):
            place = [
                index + (step if axis == number else 1) for number, index in enumerate(between)
            ]
            inside &= np.abs(padded[tuple(place)] - own) <= SAME_VALUE * high
    return float(inside.mean()) if own.size else 0.0


def _plateaus(nonzero: NDArray[np.float64]) -> dict[float, int] | None:
    """Count the voxels of each distinct value other than 0; None where values are grades."""
    distinct, counts = np.unique(nonzero, return_counts=True)
    reach = float(np.abs(distinct).max())
    whole = np.rint(distinct)
    is_whole = bool(np.all(np.abs(distinct - whole) <= NEARLY_WHOLE) and reach > HALF)
    apart = np.diff(whole) > 0 if is_whole else np.diff(distinct) > SAME_VALUE * reach
    starts = np.concatenate([[0], np.flatnonzero(apart) + 1])
    if len(starts) > (MOST_LABELS if is_whole else 1):
        return None
    sums = np.add.reduceat(counts, starts)
    values = whole[starts] if is_whole else distinct[starts]
    found = dict(zip(values.tolist(), sums.tolist(), strict=True))
    return {value: count for value, count in found.items() if abs(value) > SAME_VALUE * reach}


def _negative(low: float, plateaus: Mapping[float, int] | None) -> str:
    if plateaus is not None:
        return f"holds values below 0 ({_listed(plateaus)}); what is no lesion has to be 0"
    return (
        f"holds values down to {low:.3g}: it was interpolated by a spline, which rings; resample "
        "the mask by nearest neighbour"
    )


def _listed(plateaus: Mapping[float, int] | None) -> str:
    if plateaus is None:
        return "and many different values"
    named = [
        f"{value:g} ({count:,} voxel{'s' * (count != 1)})" for value, count in plateaus.items()
    ]
    return ", ".join(named[:-1]) + (" and " if named[:-1] else "") + named[-1]


def _labelled(plateaus: Mapping[float, int], *, union: bool) -> MaskReading:
    value = next(iter(plateaus))
    if len(plateaus) == 1:
        usual = value in (1, 255)
        notes = () if usual else (f"lesions have the value {value:g}",)
        return MaskReading(scale=value, notes=notes)
    if union:
        return MaskReading(
            scale=2 * SAME_VALUE * max(plateaus), notes=(f"{_listed(plateaus)} count",)
        )
    return MaskReading(
        fault=f"holds several labels, {_listed(plateaus)}, and does not say which of them is lesion"
    )


def _chosen(
    nonzero: NDArray[np.float64], labels: Sequence[int], others: Sequence[int]
) -> MaskReading:
    whole = np.rint(nonzero)
    if np.abs(nonzero - whole).max() > NEARLY_WHOLE:
        return MaskReading(fault="holds no labels: its values are no whole numbers")
    distinct, counts = np.unique(whole, return_counts=True)
    found = dict(zip(distinct.tolist(), counts.tolist(), strict=True))
    if len(found) == 1 and not {*labels, *others} & set(found):
        return MaskReading(
            fault=f"holds one value, {_listed(found)}, which is none of the labels that were named "
            f"({', '.join(map(str, labels))})"
        )
    told = []
    for one, many, chosen in (("counts", "count", True), ("does not", "do not", False)):
        part = {value: count for value, count in found.items() if (value in labels) == chosen}
        if 0 < len(part) <= MOST_LABELS:
            told.append(f"{_listed(part)} {one if len(part) == 1 else many}")
    absent = f"none of the labels {', '.join(map(str, labels))} is there"
    notes = told if any(label in found for label in labels) else [absent, *told]
    return MaskReading(labels=tuple(labels), notes=(", ".join(notes),))


def _graded(nonzero: NDArray[np.float64], high: float) -> MaskReading:
    above = np.count_nonzero(nonzero >= HALF * high)
    if np.count_nonzero(nonzero >= TOP * high) >= LEAST_PLATEAU * above:
        how = f"values between 0 and {high:.4g}, as of an interpolated mask: cut at {high / 2:.4g}"
        return MaskReading(scale=high, is_graded=True, notes=(how,))
    scale = _scale_of(high)
    if scale is None and not HALF < high <= PAST_END:
        return MaskReading(
            fault=f"holds many values up to {high:.4g}, which are neither a mask nor "
            "probabilities of a known scale (1, 100 or 255); cut them to 0 and 1"
        )
    scale = scale or 1.0
    how = f"probabilities from 0 to {scale:g} under the name of a mask: cut at {scale / 2:g}"
    return MaskReading(scale=scale, is_graded=True, notes=(how,))


def _scale_of(high: float) -> float | None:
    """Name the scale whose end the largest value comes near to."""
    return next((end for end in SCALES if NEAR_END * end <= high <= PAST_END * end), None)


def _probabilities(low: float, high: float) -> MaskReading:
    if low < -RINGING * max(high, 1.0):
        return MaskReading(fault=f"holds values down to {low:.3g}, which are no probabilities")
    if high <= PAST_END:
        return MaskReading(is_graded=True)
    scale = _scale_of(high)
    if scale is None:
        return MaskReading(
            fault=f"holds values up to {high:.4g}, which are no probabilities of a known scale "
            "(1, 100 or 255); divide them so that 1 is certain"
        )
    note = f"values are from 0 to {scale:g}: divided by {scale:g}"
    return MaskReading(scale=scale, is_graded=True, notes=(note,))


def volume_fault(volume_mm3: float, most_mm3: float = MOST_WMH_MM3) -> str | None:
    """Say that a mask marks more than there can be.

    Parameters
    ----------
    volume_mm3
        Volume of what it marks.
    most_mm3
        More is impossible.

    Examples
    --------
    >>> volume_fault(1.2e6)
    'marks 1.2 litres, more than a brain has white matter; is 0 what is lesion in it?'
    """
    if volume_mm3 <= most_mm3:
        return None
    return (
        f"marks {volume_mm3 / 1e6:.2g} litres, more than a brain has white matter; is 0 what is "
        "lesion in it?"
    )


def whole_numbers(values: NDArray[Any], slack: float = NEARLY_WHOLE) -> NDArray[Any] | None:
    """Round values that are whole numbers but for what storing them added; None where they are not.

    Parameters
    ----------
    values
        Labels of shape (X, Y, Z) as read; what is not finite counts as 0.
    slack
        How far a value may lie from a whole number.

    Returns
    -------
    ndarray or None
        Whole numbers, in the type of the values.

    Examples
    --------
    >>> whole_numbers(np.array([2034.9999, 0.0, np.nan]))
    array([2035.,    0.,    0.])
    >>> whole_numbers(np.array([0.5, 2.0])) is None
    True
    """
    if values.dtype.kind != "f":
        return values
    plain = np.nan_to_num(values, nan=0, posinf=0, neginf=0)
    whole = np.rint(plain)
    return whole if np.abs(plain - whole).max(initial=0) <= slack else None
