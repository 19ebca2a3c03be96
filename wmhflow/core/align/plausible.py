"""What a transform between images of a head cannot be, told by its numbers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wmhflow.core.align.pulling import Displacements

# No head is half or twice as large as another one, the template included.
LEAST_SCALE, LARGEST_SCALE = 0.5, 2.0
# In a matrix of mm.
LARGEST_NUMBER = 1e6
# What is within this share of a limit is within it, however numbers are rounded.
SURE = 0.99
# No point of a head moves further than a head's image is wide.
LARGEST_MM = 600.0
# A warp that folds here and there is judged by its numbers; one that folds in a tenth is none.
MOST_FOLDED = 0.1
# Least share of the points that count which a field of displacements has to hold.
LEAST_COVERED = 0.5
# There and back by the inverse of a field: half a voxel of a T1w. A bound of the QC table as well.
LARGEST_ERROR_MM = 0.5
# As many voxels of a field are looked at along each axis.
MOST_ALONG = 128


def matrix_fault(matrix: NDArray[np.float64]) -> str | None:
    """Say why a matrix cannot bring two images of heads together.

    Parameters
    ----------
    matrix
        Points to points, RAS mm, (4, 4).

    Returns
    -------
    str or None
        The rest of a sentence that begins with the file's name.

    Examples
    --------
    >>> matrix_fault(np.eye(4)) is None
    True
    >>> matrix_fault(np.diag([-1.0, 1, 1, 1]))
    'mirrors the image (its determinant is -1): left and right, or two other sides, are exchanged'
    """
    return None if _is_surely_of_heads(matrix.tolist()) else _matrix_fault(matrix)


def _matrix_fault(matrix: NDArray[np.float64]) -> str | None:
    if not np.isfinite(matrix).all():
        return "holds numbers that are not finite"
    if not np.array_equal(matrix[3], [0, 0, 0, 1]):
        return "is no linear transform (its last row is not 0 0 0 1)"
    if np.abs(matrix).max() > LARGEST_NUMBER:
        return f"holds numbers as large as {np.abs(matrix).max():.3g}"
    scales = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    if scales[-1] < LEAST_SCALE or scales[0] > LARGEST_SCALE:
        low, high = scales[-1], scales[0]
        return f"scales the image by {low:.3g} to {high:.3g}, where heads are of one size"
    determinant = float(np.linalg.det(matrix[:3, :3]))
    if determinant < 0:
        return (
            f"mirrors the image (its determinant is {determinant:.3g}): left and right, or two "
            "other sides, are exchanged"
        )
    return None


def _is_surely_of_heads(rows: list[list[float]]) -> bool:
    """Tell whether a matrix turns, moves and scales so little that none of its faults can be there.

    Plain numbers, since a plan judges every linear transform: singular values take ten times as
    long, and are asked for where this says no. Gershgorin's circles bound the squares of scales.
    """
    axes = list(zip(*(row[:3] for row in rows[:3]), strict=True))
    bounds = []
    for one in axes:
        near = [sum(a * b for a, b in zip(one, other, strict=True)) for other in axes]
        own = sum(a * a for a in one)
        apart = sum(map(abs, near)) - own
        bounds += [own - apart, own + apart]
    (a, b, c), (d, e, f), (g, h, i) = axes
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    is_near = min(bounds) > (2 - SURE) * LEAST_SCALE**2 and max(bounds) < SURE * LARGEST_SCALE**2
    return (
        rows[3] == [0, 0, 0, 1]
        and all(abs(number) < SURE * LARGEST_NUMBER for row in rows for number in row)
        and is_near
        and determinant > 1 - SURE
    )


def field_fault(field: Displacements, points: NDArray[np.float64]) -> str | None:
    """Say why a field of displacements cannot bring two images of heads together.

    Parameters
    ----------
    field
        The displacements.
    points, (n, 3)
        Where they have to be known, RAS mm.

    Returns
    -------
    str or None
        The rest of a sentence that begins with the file's name.
    """
    return values_fault(field) or cover_fault(field, points) or fold_fault(field)


def values_fault(field: Displacements) -> str | None:
    """Say that a field of displacements holds numbers that none of two heads has.

    Parameters
    ----------
    field
        The displacements.

    Returns
    -------
    str or None
        As for :func:`field_fault`.
    """
    vectors = field.vectors
    if not np.isfinite(vectors).all():
        return "has displacements that are not finite"
    furthest = float(np.abs(vectors).max(initial=0.0))
    if furthest > LARGEST_MM:
        return f"moves points by {furthest:.3g} mm, further than a head is wide"
    return None


def fold_fault(field: Displacements) -> str | None:
    """Say that a field of displacements turns much of its space inside out.

    Parameters
    ----------
    field
        The displacements.

    Returns
    -------
    str or None
        As for :func:`field_fault`.
    """
    folded = folded_share(field)
    if folded > MOST_FOLDED:
        return f"folds in {100 * folded:.0f} % of its field"
    return None


def cover_fault(field: Displacements, points: NDArray[np.float64]) -> str | None:
    """Say that a field holds too few of the points where it has to be known.

    Parameters
    ----------
    field, points
        As for :func:`field_fault`.

    Returns
    -------
    str or None
        As for :func:`field_fault`.
    """
    inverse = np.linalg.inv(field.affine)
    voxels = points @ inverse[:3, :3].T + inverse[:3, 3]
    last = np.array(field.vectors.shape[:3]) - 0.5
    inside = np.all((voxels >= -0.5) & (voxels <= last), axis=1)
    if inside.mean() < LEAST_COVERED:
        return (
            f"has a field that holds {100 * inside.mean():.0f} % of the middle of the image: it "
            "belongs to another image"
        )
    return None


def is_still(field: Displacements) -> bool:
    """Tell whether a field moves nothing."""
    return not field.vectors.any()


def folded_share(field: Displacements) -> float:
    """Return the share of a field in which it turns space inside out.

    Parameters
    ----------
    field
        Of large ones every second, third … voxel is looked at.

    Examples
    --------
    >>> from wmhflow.core.align.pulling import Displacements
    >>> still = Displacements(np.zeros((4, 4, 4, 3), np.float32), np.eye(4))
    >>> folded_share(still)
    0.0
    """
    steps = [max(1, -(-length // MOST_ALONG)) for length in field.vectors.shape[:3]]
    vectors = field.vectors[tuple(slice(None, None, step) for step in steps)]
    if min(vectors.shape[:3]) < 2:
        return 0.0
    rows = [np.gradient(vectors[..., axis], axis=(0, 1, 2)) for axis in range(3)]
    per_voxel = np.moveaxis(np.array(rows), (0, 1), (-2, -1))
    per_mm = per_voxel @ np.linalg.inv(field.affine[:3, :3] * steps)
    return float(np.mean(np.linalg.det(np.eye(3) + per_mm) <= 0))
