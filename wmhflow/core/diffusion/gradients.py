"""Tables of gradients: b-values, and directions along the world's axes whoever wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# How directions are written: along the image's axes with x turned round where the affine keeps
# handedness (FSL, and so BIDS), along the image's axes as they are, or along the world's.
FSL, VOXEL, WORLD = "FSL", "voxel", "world"
CONVENTIONS = (FSL, VOXEL, WORLD)
# Up to here a volume counts as without weighting, s/mm²; where there is none, up to the second.
LARGEST_B0, LARGEST_LOWEST = 50.0, 100.0
# Up to here b is 0 for a fit, as it is for dipy: a hundredth of what tissue loses by b = 1000.
NO_B = 10.0
# More than any scanner reaches, s/mm².
LARGEST_B = 50_000.0
# b-values further apart are two shells, s/mm².
SHELL_GAP = 100.0
# b-values that go on without such a gap over more than this (s/mm², or this share of their mean)
# are several shells nearer to each other, or none at all; then so wide a gap divides them.
WIDEST_SHELL, WIDEST_SHARE, NARROW_GAP = 200.0, 0.25, 25.0
UNIT_TOLERANCE = 0.01
# A trace is computed from so many directions and more.
LEAST_OF_TRACE = 3
# Directions closer than this are one, for a model that counts them.
SAME_DIRECTION_DEG = 5.0


class UnfitSeriesError(ValueError):
    """A series cannot be what a model is fitted to; the message says why and names no file."""


@dataclass(frozen=True)
class Gradients:
    """What each volume of a series was weighted with.

    Attributes
    ----------
    bvals : ndarray of shape (g,)
        s/mm².
    vectors : ndarray of shape (g, 3)
        Unit directions along the world's axes (right, anterior, superior); 0 where b is 0, or where
        a volume has none: one that counts as without weighting is weighted along all alike then,
        and another one is a trace that the scanner computed.
    b0_limit : float
        Up to which b a volume counts as without weighting, s/mm².
    """

    bvals: NDArray[np.float64]
    vectors: NDArray[np.float64]
    b0_limit: float = LARGEST_B0

    @property
    def b0(self) -> NDArray[np.intp]:
        """Numbers of the volumes without weighting."""
        return np.flatnonzero(self.bvals <= self.b0_limit)

    @property
    def is_even(self) -> NDArray[np.bool_]:
        """Volumes that are weighted a little, and along no direction that is known."""
        return (self.bvals > 0) & (self.bvals <= self.b0_limit) & ~self.vectors.any(axis=1)

    @property
    def is_trace(self) -> NDArray[np.bool_]:
        """Weighted volumes of no direction: traces, which scanners compute of the others."""
        return (self.bvals > self.b0_limit) & ~self.vectors.any(axis=1)

    def part(self, volumes: Sequence[int]) -> Gradients:
        """Return what some of the volumes were weighted with."""
        chosen = list(volumes)
        return Gradients(self.bvals[chosen], self.vectors[chosen], self.b0_limit)


@dataclass(frozen=True)
class Shell:
    """Volumes of about one b-value, which is their mean, s/mm²."""

    b: float
    volumes: tuple[int, ...]


def read_gradients(
    bvals: NDArray[np.float64],
    vectors: NDArray[np.float64],
    affine: NDArray[np.float64],
    convention: str,
    n_volumes: int,
) -> Gradients:
    """Bring a table of gradients into the world's axes.

    Parameters
    ----------
    bvals : ndarray of shape (g,)
        s/mm².
    vectors : ndarray of shape (3, g) or (g, 3)
        A row for each axis, as FSL has it, or for each volume.
    affine : ndarray of shape (4, 4)
        Voxel to world RAS, mm.
    convention
        ``FSL`` (and BIDS): along the image's axes, x turned round where the affine's determinant is
        positive. ``voxel``: along the image's axes. ``world``: along right, anterior, superior.
    n_volumes
        Of the series.

    Returns
    -------
    Gradients

    Raises
    ------
    UnfitSeriesError
        If the counts differ, a b-value is negative or not finite, more weighted volumes have no
        direction than can be traces, lengths are not 1, or no volume is without weighting.

    Examples
    --------
    >>> table = read_gradients(
    ...     np.array([0.0, 1000.0]), np.array([[0, 1.0], [0, 0], [0, 0]]), np.eye(4), "FSL", 2
    ... )
    >>> table.vectors[1].tolist()
    [-1.0, 0.0, 0.0]
    """
    listed = directions_by_volume(bvals, vectors, n_volumes)
    if not np.isfinite(bvals).all() or bvals.min() < 0:
        raise UnfitSeriesError("its b-values are not all finite and 0 or larger")
    limit = b0_limit(bvals)
    weighted = bvals > limit
    _check_lengths(bvals, listed, weighted)
    lengths = np.linalg.norm(np.nan_to_num(listed), axis=1)
    # of volumes that count as without weighting no direction has to be known
    has_length = np.abs(lengths - 1) <= UNIT_TOLERANCE
    directed = (weighted & (lengths > 0)) | ((bvals > NO_B) & has_length)
    listed = np.where(directed[:, None], listed, 0.0)
    listed[directed] /= lengths[directed, None]
    counted = np.where(bvals > NO_B, bvals, 0.0)
    return Gradients(counted, _to_world(listed, affine, convention), limit)


def directions_by_volume(
    bvals: NDArray[np.float64], vectors: NDArray[np.float64], n_volumes: int
) -> NDArray[np.float64]:
    """Return a direction for each volume in a row of its own.

    Parameters
    ----------
    bvals : ndarray of shape (g,)
        s/mm².
    vectors : ndarray of shape (3, g) or (g, 3)
        A row for each axis, as FSL has it, or for each volume.
    n_volumes
        Of the series.

    Raises
    ------
    UnfitSeriesError
        If it is no such table, or the counts differ.
    """
    if vectors.ndim != 2 or 3 not in vectors.shape:
        raise UnfitSeriesError(f"its directions are a table of {vectors.shape}, and none of three")
    by_volume = vectors if vectors.shape[1] == 3 and vectors.shape[0] != 3 else vectors.T
    if not len(bvals) == len(by_volume) == n_volumes:
        raise UnfitSeriesError(
            f"it has {n_volumes} volumes, {len(bvals)} b-values and {len(by_volume)} directions"
        )
    return np.asarray(by_volume, dtype=np.float64)


def b0_limit(bvals: NDArray[np.float64]) -> float:
    """Return up to which b a volume counts as without weighting, s/mm².

    Parameters
    ----------
    bvals : ndarray of shape (g,)
        s/mm².

    Raises
    ------
    UnfitSeriesError
        If no volume is, or as :func:`check_b_unit`.
    """
    check_b_unit(bvals)
    lowest = float(bvals.min())
    if lowest <= LARGEST_B0:
        return LARGEST_B0
    if lowest <= LARGEST_LOWEST:
        return lowest
    raise UnfitSeriesError(
        f"none of its volumes is without diffusion weighting (its lowest b is {lowest:.0f})"
    )


def check_b_unit(bvals: NDArray[np.float64]) -> None:
    """Refuse b-values that are in another unit than s/mm², or all 0.

    Parameters
    ----------
    bvals : ndarray of shape (g,)
        As they are written.

    Raises
    ------
    UnfitSeriesError
        If the highest of them is one of no weighting, or more than any scanner reaches.

    Examples
    --------
    >>> check_b_unit(np.array([0.0, 1000.0]))
    """
    highest = float(bvals.max())
    if highest <= 0:
        raise UnfitSeriesError("its b-values are all 0, so that no volume has diffusion weighting")
    if highest <= LARGEST_B0:
        raise UnfitSeriesError(
            f"its highest b-value is {highest:g}, which is no weighting in s/mm²; if it is in "
            "ms/µm², write it in s/mm² (times 1000)"
        )
    if highest > LARGEST_B:
        raise UnfitSeriesError(
            f"its highest b-value is {highest:g}, more than any scanner reaches in s/mm²; if it is "
            "in s/m², write it in s/mm² (divided by 1000000)"
        )


def _check_lengths(
    bvals: NDArray[np.float64], listed: NDArray[np.float64], weighted: NDArray[np.bool_]
) -> None:
    lengths = np.linalg.norm(listed[weighted], axis=1)
    is_known = lengths > 0
    missing = int(np.count_nonzero(~is_known))
    # scanners write 0 for a trace, and no NaN
    is_damaged = not np.isfinite(lengths).all()
    if is_damaged or missing * LEAST_OF_TRACE > np.count_nonzero(is_known):
        raise UnfitSeriesError(f"{missing} of its weighted volumes have no direction")
    bvals, lengths = bvals[weighted][is_known], lengths[is_known]
    off = np.abs(lengths - 1) > UNIT_TOLERANCE
    if not off.any():
        return
    shares = bvals / bvals.max()
    if len(np.unique(np.round(bvals))) == 1 and lengths.max() <= 1 + UNIT_TOLERANCE:
        raise UnfitSeriesError(
            "its directions are shorter than 1 although all of its b-values are one: their lengths "
            "seem to say what b is (b = nominal b times length²); write b-values and unit vectors"
        )
    if np.allclose(lengths, np.sqrt(shares), atol=2 * UNIT_TOLERANCE):
        raise UnfitSeriesError(
            "its directions are as long as the root of their b-values: write unit vectors"
        )
    raise UnfitSeriesError(f"{int(off.sum())} of its directions are not of length 1")


def _to_world(
    listed: NDArray[np.float64], affine: NDArray[np.float64], convention: str
) -> NDArray[np.float64]:
    if convention not in CONVENTIONS:
        raise ValueError(f"{convention!r} is none of {', '.join(CONVENTIONS)}")
    if convention == WORLD:
        return listed
    turned = listed.copy()
    if convention == FSL and np.linalg.det(affine[:3, :3]) > 0:
        turned[:, 0] *= -1
    # + 0.0 makes no zero negative
    return np.asarray(turned @ image_axes(affine).T) + 0.0


def image_axes(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the directions of an image's axes in the world, as columns of length 1.

    Parameters
    ----------
    affine : ndarray of shape (4, 4)
        Voxel to world RAS, mm.
    """
    block = affine[:3, :3]
    return np.asarray(block / np.linalg.norm(block, axis=0), dtype=np.float64)


def shells_of(gradients: Gradients) -> tuple[Shell, ...]:
    """Divide the weighted volumes into shells, by gaps between their b-values.

    Parameters
    ----------
    gradients
        The table.

    Examples
    --------
    >>> table = Gradients(np.array([0, 990.0, 1010, 2000]), np.eye(4)[:, :3])
    >>> [(shell.b, shell.volumes) for shell in shells_of(table)]
    [(1000.0, (1, 2)), (2000.0, (3,))]
    """
    weighted = np.flatnonzero(gradients.bvals > gradients.b0_limit)
    order = weighted[np.argsort(gradients.bvals[weighted], kind="stable")]
    if not order.size:
        return ()
    parts = [
        piece
        for part in _split(gradients.bvals, order, SHELL_GAP)
        for piece in _narrow(gradients.bvals, part)
    ]
    return tuple(
        Shell(float(gradients.bvals[part].mean()), tuple(sorted(int(i) for i in part)))
        for part in parts
    )


def _split(
    bvals: NDArray[np.float64], order: NDArray[np.intp], gap: float
) -> list[NDArray[np.intp]]:
    return np.split(order, np.flatnonzero(np.diff(bvals[order]) > gap) + 1)


def _narrow(bvals: NDArray[np.float64], part: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Divide what is too wide for a shell, as b-values at equal steps are; the rest stays one."""
    widest = max(WIDEST_SHELL, WIDEST_SHARE * float(bvals[part].mean()))
    if np.ptp(bvals[part]) <= widest:
        return [part]
    pieces = []
    for piece in _split(bvals, part, NARROW_GAP):
        bins = np.floor((bvals[piece] - bvals[piece[0]]) / SHELL_GAP)
        pieces += np.split(piece, np.flatnonzero(np.diff(bins)) + 1)
    return pieces


def count_directions(gradients: Gradients, volumes: Sequence[int]) -> int:
    """Count the directions of volumes that are further apart than 5°; v and -v are one.

    Parameters
    ----------
    gradients
        The table.
    volumes
        Numbers of weighted volumes.
    """
    limit = np.cos(np.radians(SAME_DIRECTION_DEG))
    kept: list[NDArray[np.float64]] = []
    for vector in gradients.vectors[list(volumes)]:
        if all(abs(float(vector @ other)) < limit for other in kept):
            kept.append(vector)
    return len(kept)


def tensor_design(gradients: Gradients) -> NDArray[np.float64]:
    """Return the design of the logarithm of a tensor's signal.

    Parameters
    ----------
    gradients
        The table.

    Returns
    -------
    ndarray of shape (g, 7)
        For Dxx, Dxy, Dyy, Dxz, Dyz, Dzz in µm²/ms and the logarithm of the signal without
        weighting.
    """
    x, y, z = gradients.vectors.T
    b = gradients.bvals / 1000
    # along no direction is along all of them: a third of it along each axis
    third = np.where(gradients.is_even, 1 / 3, 0.0)
    along = [-b * (axis * axis + third) for axis in (x, y, z)]
    one = np.ones_like(b)
    columns = [along[0], -2 * b * x * y, along[1], -2 * b * x * z, -2 * b * y * z, along[2]]
    return np.stack([*columns, one], axis=1)
