"""The inverse of a field of displacements, found place by place, and how well it leads back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from scipy import ndimage

from wmhflow.core.align.chains import carried
from wmhflow.core.align.plausible import (
    LARGEST_ERROR_MM,
    cover_fault,
    fold_fault,
    matrix_fault,
    values_fault,
)
from wmhflow.core.align.pulling import Displacements, PointMap, moved
from wmhflow.core.arrays.threads import over_ranges
from wmhflow.core.space.grids import apply_affine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wmhflow.core.space.grids import Grid3D

# What is nearer is found, and so many steps are taken at most.
CLOSE_MM, MOST_STEPS = 1e-4, 100
LEAST_STEP = 1 / 16
# Where a field has to have an inverse: places of the head so far from each other.
APART_MM = 5.0
# What is brighter than this share of nearly the brightest is head.
HEAD, NEARLY_BRIGHTEST = 0.1, 0.99
# To find the linear part of a field, about so many of its voxels are looked at along each axis.
FITTED_ALONG = 24


def invert_field(field: Displacements) -> PointMap:
    """Find the inverse of a field of displacements by iteration.

    Parameters
    ----------
    field
        From points to points; see :func:`inverse_fault` for whether it has an inverse.

    Returns
    -------
    PointMap
        A matrix, and displacements on the field's own grid. Beyond the grid the matrix alone
        leads on, so that what the field did not reach stays outside of it.

    Notes
    -----
    The field is split into a matrix *A* (fitted by least squares) and what is left, *s*, so that it
    takes *x* to *A* (*x* + *s*(*x*)). For each voxel *z* of the grid, *x* = *z* - *s*(*x*) is
    solved by stepping; where an error grows, steps are halved, so that a field that stretches
    space is solved as well as one that presses it.

    References
    ----------
    Chen M, Lu W, Chen Q, Ruchala KJ, Olivera GH. A simple fixed-point approach to invert a
    deformation field. Medical Physics 35(1):81-88, 2008. doi:10.1118/1.2816107

    Examples
    --------
    >>> shift = Displacements(np.full((4, 4, 4, 3), 0.5, np.float32), np.eye(4))
    >>> carried(np.ones((1, 3)), [invert_field(shift)]).round(4).tolist()
    [[0.5, 0.5, 0.5]]
    """
    back, rest = _split(field)
    shape = rest.shape[:3]
    vectors = np.empty((*shape, 3), np.float32)
    plane = np.moveaxis(np.indices((1, *shape[1:])), 0, -1).reshape(-1, 3)

    def fill(start: int, stop: int) -> None:
        for number in range(start, stop):
            places = apply_affine(field.affine, plane + np.array([number, 0, 0]))
            vectors[number] = (_solved(rest, field.affine, places) - places).reshape(*shape[1:], 3)

    over_ranges(fill, shape[0], int(np.prod(shape)))
    return PointMap(back, Displacements(vectors, field.affine), np.eye(4))


def preimages(field: Displacements, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find from where a field of displacements leads to points.

    Parameters
    ----------
    field
        The displacements.
    points, (n, 3)
        RAS mm.

    Returns
    -------
    ndarray, (n, 3)
        RAS mm; as near as was found where nothing leads to a point.
    """
    back, rest = _split(field)
    return _solved(rest, field.affine, apply_affine(back, points))


def inverse_fault(field: Displacements, points: NDArray[np.float64]) -> str | None:
    """Say why the inverse of a field of displacements cannot bring two heads together.

    Parameters
    ----------
    field
        The displacements.
    points, (n, 3)
        Where the inverse has to be known, RAS mm, about 5 mm from each other.

    Returns
    -------
    str or None
        The rest of a sentence that begins with the file's name.

    Examples
    --------
    >>> still = Displacements(np.zeros((9, 9, 9, 3), np.float32), np.eye(4))
    >>> inverse_fault(still, np.full((1, 3), 4.0)) is None
    True
    """
    fault = values_fault(field) or fold_fault(field)
    if fault is not None:
        return fault
    found = preimages(field, points)
    fault = cover_fault(field, found)
    if fault is not None:
        return fault
    inside = _is_inside(field, found)
    share = float(_folds_near(field, found[inside]).mean())
    if share > 0:
        return f"folds at {max(100 * share, 0.01):.2g} % of the head, and has no inverse there"
    error = float(_errors(field, found, points)[inside].max())
    if error > LARGEST_ERROR_MM:
        return (
            f"has no inverse that can be found: it leads back to within {error:.2g} mm, and "
            f"{LARGEST_ERROR_MM} mm are allowed"
        )
    return None


def round_trip_mm(
    field: Displacements, inverse: PointMap, points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Measure how far points end from where they were, by the inverse and then by the field.

    Parameters
    ----------
    field
        The displacements.
    inverse
        As of :func:`invert_field`.
    points, (n, 3)
        RAS mm.

    Returns
    -------
    ndarray, (n,)
        In mm; NaN for points of which the field does not reach to.
    """
    found = carried(points, [inverse])
    return np.where(_is_inside(field, found), _errors(field, found, points), np.nan)


def head_points(image: Grid3D) -> NDArray[np.float64]:
    """Return places of a head, about 5 mm from each other.

    Parameters
    ----------
    image
        Any in which tissue is brighter than air.

    Returns
    -------
    ndarray, (n, 3)
        RAS mm; of an image without anything bright, those of all of it.
    """
    sizes = np.linalg.norm(image.affine[:3, :3], axis=0)
    steps = [max(1, int(APART_MM // size)) for size in sizes]
    values = image.data[tuple(slice(step // 2, None, step) for step in steps)]
    bright = values > HEAD * np.nanquantile(values, NEARLY_BRIGHTEST)
    voxels = np.argwhere(bright if bright.any() else np.ones_like(bright)) * steps
    return apply_affine(image.affine, (voxels + np.array(steps) // 2).astype(np.float64))


def _split(field: Displacements) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the inverse of a field's linear part, and what is left of the field after it."""
    shape = field.vectors.shape[:3]
    steps = [max(1, length // FITTED_ALONG) for length in shape]
    some = tuple(slice(None, None, step) for step in steps)
    along = (np.arange(0.0, length, step) for length, step in zip(shape, steps, strict=True))
    voxels = np.stack(np.meshgrid(*along, indexing="ij"), axis=-1).reshape(-1, 3)
    places = apply_affine(field.affine, voxels)
    ends = places + field.vectors[some].reshape(-1, 3)
    known = np.isfinite(ends).all(axis=1)
    matrix, full = np.eye(4), np.c_[places, np.ones(len(places))][known]
    if known.any():
        matrix[:3] = np.linalg.lstsq(full, ends[known], rcond=None)[0].T
    if min(shape) < 2 or matrix_fault(matrix) is not None:
        matrix = np.eye(4)
    back = _inverse_of(matrix)
    rest = np.empty((*shape, 3), np.float32)
    plane = np.moveaxis(np.indices((1, *shape[1:])), 0, -1)
    for number in range(shape[0]):
        begin = apply_affine(field.affine, plane + np.array([number, 0, 0]))[0]
        rest[number] = apply_affine(back, begin + field.vectors[number]) - begin
    return back, rest


def _solved(
    rest: NDArray[np.float32], affine: NDArray[np.float64], places: NDArray[np.float64]
) -> NDArray[np.float64]:
    found = np.array(places, dtype=np.float64, order="C").reshape(-1, 3)
    _solve(rest, _inverse_of(affine), found)
    return found


def _errors(
    field: Displacements, found: NDArray[np.float64], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    there = carried(found, [PointMap(np.eye(4), field, np.eye(4))])
    return np.asarray(np.linalg.norm(there - points, axis=1))


def _is_inside(field: Displacements, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which points lie between the voxels of a field."""
    voxels = apply_affine(_inverse_of(field.affine), points)
    last = np.array(field.vectors.shape[:3]) - 1
    return np.asarray(np.all((voxels >= 0) & (voxels <= last), axis=1))


def _folds_near(field: Displacements, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell beside which points a field turns space inside out."""
    folds: NDArray[np.bool_] = np.zeros(field.vectors.shape[:3], np.bool_)
    vectors = np.ascontiguousarray(field.vectors)
    to_voxels = _inverse_of(field.affine)
    over_ranges(
        lambda start, stop: _find_folds(vectors, to_voxels, folds, start, stop),
        len(folds),
        folds.size,
    )
    if not folds.any():
        return np.zeros(len(points), np.bool_)
    sizes = np.linalg.norm(field.affine[:3, :3], axis=0)
    reach = tuple(2 * int(np.ceil(APART_MM / 2 / size)) + 1 for size in sizes)
    near = ndimage.maximum_filter(folds, size=reach)
    voxels = np.rint(apply_affine(to_voxels, points)).astype(int)
    return np.asarray(near[tuple(voxels.T)])


def _inverse_of(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.inv(matrix), np.float64)


@njit(cache=True, nogil=True)
def _solve(rest, to_field, points):  # type: ignore[no-untyped-def]
    """Move each place z to the x of which x + rest(x) is z; beyond the field its border counts."""
    for n in range(points.shape[0]):
        z_0, z_1, z_2 = points[n, 0], points[n, 1], points[n, 2]
        x, y, z = z_0, z_1, z_2
        last, least, step = np.inf, np.inf, 1.0
        for _ in range(MOST_STEPS):
            a, b, c = _at(rest, to_field, x, y, z)
            a, b, c = x + a - z_0, y + b - z_1, z + c - z_2
            error = np.sqrt(a * a + b * b + c * c)
            if error < least:
                least = error
                points[n, 0], points[n, 1], points[n, 2] = x, y, z
            if not error > CLOSE_MM:
                break
            if error >= last:
                step = max(step / 2, LEAST_STEP)
            last = error
            x, y, z = x - step * a, y - step * b, z - step * c


@njit(cache=True, nogil=True)
def _at(rest, to_field, x, y, z):  # type: ignore[no-untyped-def]
    """Interpolate a field at a place; beyond it the nearest place in it counts."""
    a, b, c = moved(to_field, x, y, z)
    a = min(max(a, 0.0), rest.shape[0] - 1.0)
    b = min(max(b, 0.0), rest.shape[1] - 1.0)
    c = min(max(c, 0.0), rest.shape[2] - 1.0)
    i, j, k = int(a), int(b), int(c)
    more_a, more_b, more_c = a - i, b - j, c - k
    by_x, by_y, by_z = 0.0, 0.0, 0.0
    for number in range(8):
        one, two, three = number & 1, number >> 1 & 1, number >> 2
        weight = more_a if one else 1 - more_a
        weight *= more_b if two else 1 - more_b
        weight *= more_c if three else 1 - more_c
        if weight > 0:
            by_x += weight * rest[i + one, j + two, k + three, 0]
            by_y += weight * rest[i + one, j + two, k + three, 1]
            by_z += weight * rest[i + one, j + two, k + three, 2]
    return by_x, by_y, by_z


@njit(cache=True, nogil=True)
def _find_folds(vectors, to_voxels, folds, start, stop):  # type: ignore[no-untyped-def]
    """Mark the voxels in which the determinant of the Jacobian is not above 0."""
    slope, turned = np.zeros((3, 3)), np.zeros((3, 3))
    for i in range(start, stop):
        for j in range(folds.shape[1]):
            for k in range(folds.shape[2]):
                for along in range(3):
                    low, high = [i, j, k], [i, j, k]
                    low[along] = max(low[along] - 1, 0)
                    high[along] = min(high[along] + 1, folds.shape[along] - 1)
                    apart = max(high[along] - low[along], 1)
                    for axis in range(3):
                        difference = (
                            vectors[high[0], high[1], high[2], axis]
                            - vectors[low[0], low[1], low[2], axis]
                        )
                        slope[axis, along] = difference / apart
                for axis in range(3):
                    for along in range(3):
                        turned[axis, along] = (
                            slope[axis, 0] * to_voxels[0, along]
                            + slope[axis, 1] * to_voxels[1, along]
                            + slope[axis, 2] * to_voxels[2, along]
                        )
                    turned[axis, axis] += 1
                folds[i, j, k] = (
                    turned[0, 0] * (turned[1, 1] * turned[2, 2] - turned[1, 2] * turned[2, 1])
                    - turned[0, 1] * (turned[1, 0] * turned[2, 2] - turned[1, 2] * turned[2, 0])
                    + turned[0, 2] * (turned[1, 0] * turned[2, 1] - turned[1, 1] * turned[2, 0])
                ) <= 0
