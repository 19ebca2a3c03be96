"""Transforms applied by ANTs to images and points, and how they stretch space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wmhflow.ants.images import ants_image, pointer, single_threaded_ants
from wmhflow.core.align.chains import carried, pull_nearest
from wmhflow.core.align.pulling import pull
from wmhflow.core.space.geometry import world_coordinates
from wmhflow.core.space.grids import Grid3D, resample_isotropic
from wmhflow.errors import InputError
from wmhflow.files.itk import read_point_maps

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray


LPS_POINT = np.array([-1.0, -1.0, 1.0])
# Voxels are averaged over parts no finer than this.
FINEST_PART_MM = 1.0
PULLED = ("linear", "nearest")
INTERPOLATORS = {"linear": "Linear", "nearest": "NearestNeighbor", "bspline": "BSpline"}


def resample_through(
    moving: Grid3D,
    reference: Grid3D,
    transforms: Sequence[str],
    interpolation: str = "linear",
    invert: Sequence[bool] | None = None,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Resample values onto a grid through a chain of transforms.

    Linear transforms and one field of displacements, or several for the nearest voxels, are applied
    by our own kernels, which give ANTs' values, all else by ANTs.

    Parameters
    ----------
    moving
        Values to resample.
    reference
        Grid to fill.
    transforms
        Transform files; the last is applied to the image first.
    interpolation
        ``linear``, ``nearest`` or ``bspline``.
    invert
        For each transform, whether its inverse is meant (linear ones only).
    seed
        Seed of everything random in ANTs.

    Returns
    -------
    ndarray
        Values on the reference's grid, 0 outside the moving image's field of view.

    Raises
    ------
    InputError
        If the interpolation is unknown, the two lists differ in length, or ANTs cannot apply the
        transforms.
    """
    if interpolation not in INTERPOLATORS:
        raise InputError(f"{interpolation} is no interpolation; use one of {list(INTERPOLATORS)}.")
    inverted = [False] * len(transforms) if invert is None else list(invert)
    if len(inverted) != len(transforms):
        raise InputError(f"{len(transforms)} transforms but {len(inverted)} marks of inversion.")
    if interpolation in PULLED:
        near = [interpolation == "nearest"]
        found = _pull_through([moving], reference, transforms, inverted, near)
        if found is not None:
            return found[0]
    return _resample_by_ants(moving, reference, transforms, interpolation, inverted, seed)


def _resample_by_ants(
    moving: Grid3D,
    reference: Grid3D,
    transforms: Sequence[str],
    interpolation: str,
    inverted: Sequence[bool],
    seed: int,
) -> NDArray[np.float32]:
    """Do what :func:`resample_through` says."""
    single_threaded_ants(seed)
    from ants.internal import get_lib_fn

    # antsApplyTransforms reads the pointers as double precision unless told otherwise.
    images = [ants_image(grid, seed).clone("double") for grid in (moving, reference)]
    result = images[1].clone("double")
    arguments = ["-d", "3", "-i", pointer(images[0]), "-r", pointer(images[1])]
    arguments += ["-o", pointer(result), "-n", INTERPOLATORS[interpolation]]
    for path, inverse in zip(transforms, inverted, strict=True):
        # in brackets, a comma in a path would end it
        arguments += ["-t", f"[{path},1]" if inverse else str(path)]
    if not transforms:
        arguments += ["-t", "identity"]
    if get_lib_fn("antsApplyTransforms")([*arguments, "--float", "0", "-e", "0", "-f", "0"]) != 0:
        raise InputError(f"the transforms {', '.join(transforms)} cannot be applied; are they ITK?")
    return result.numpy().astype(np.float32)


def average_through(
    moving: Grid3D,
    reference: Grid3D,
    transforms: Sequence[str],
    invert: Sequence[bool] | None = None,
    seed: int = 0,
    interpolation: str = "linear",
) -> NDArray[np.float32]:
    """Resample onto a grid as a scanner would: each voxel is the mean over its volume.

    Taking the value at the centre of a slice of 5 mm says little of what the slice holds. A voxel
    is divided along each axis into parts as large as the moving image's voxels, or 1 mm.

    Parameters
    ----------
    moving
        Values to resample.
    reference
        Grid to fill.
    transforms, invert, seed, interpolation
        As for :func:`resample_through`.

    Returns
    -------
    ndarray
        Means on the reference's grid; outside the moving image's field of view counts as 0.
    """
    parts = _parts(moving, reference)
    if (parts == 1).all():
        return resample_through(moving, reference, transforms, interpolation, invert, seed)
    if interpolation in PULLED:
        near = [interpolation == "nearest"]
        found = _pull_through([moving], reference, transforms, invert, near, parts)
        if found is not None:
            return found[0]
    to_voxels = np.diag([*(1 / parts), 1.0])
    to_voxels[:3, 3] = (1 / parts - 1) / 2
    shape = np.array(reference.data.shape)
    fine = Grid3D(np.zeros(shape * parts, np.float32), reference.affine @ to_voxels)
    values = resample_through(moving, fine, transforms, interpolation, invert, seed)
    blocks = np.stack([shape, parts], axis=1).ravel()
    return values.reshape(blocks).mean(axis=(1, 3, 5), dtype=np.float32)


def _pull_through(
    images: Sequence[Grid3D],
    reference: Grid3D,
    transforms: Sequence[str],
    invert: Sequence[bool] | None,
    nearest: Sequence[bool],
    parts: NDArray[np.int64] | None = None,
) -> list[NDArray[np.float32]] | None:
    """Resample by our own kernel; None if the chain holds a transform that it cannot apply."""
    maps = read_point_maps(transforms, invert)
    if maps is None:
        return None
    divided = (1, 1, 1) if parts is None else tuple(int(part) for part in parts)
    if len(maps) == 1:
        return pull(images, reference, maps[0], nearest, divided)
    if not all(nearest) or max(divided) > 1:
        return None
    return pull_nearest(images, reference, maps)


def _parts(moving: Grid3D, reference: Grid3D) -> NDArray[np.int64]:
    """Into how many parts a voxel is divided along each axis."""
    finest = max(moving.finest_mm, FINEST_PART_MM)
    parts = np.maximum(np.rint(np.divide(reference.voxel_sizes_mm, finest)), 1)
    return np.asarray(parts.astype(np.int64))


def resample_all(
    images: Mapping[str, Grid3D],
    reference: Grid3D,
    transforms: Sequence[str],
    invert: Sequence[bool] | None = None,
    nearest: Collection[str] = (),
    *,
    averaged: bool = False,
) -> dict[str, NDArray[np.float32]]:
    """Resample several images that share a grid, each place being looked up once.

    Parameters
    ----------
    images
        Values to resample, by name.
    reference, transforms, invert
        As for :func:`resample_through`.
    nearest
        Names of the images of which the nearest voxel is taken.
    averaged
        Whether a voxel is the mean over its volume, see :func:`average_through`.

    Returns
    -------
    dict of ndarray
        Values on the reference's grid, by name.
    """
    grids = list(images.values())
    parts = _parts(grids[0], reference) if averaged else None
    near = [name in nearest for name in images]
    found = _pull_through(grids, reference, transforms, invert, near, parts)
    if found is not None:
        return dict(zip(images, found, strict=True))
    one_by_one = average_through if averaged else resample_through
    return {
        name: one_by_one(
            grid,
            reference,
            transforms,
            interpolation="nearest" if name in nearest else "linear",
            invert=invert,
        )
        for name, grid in images.items()
    }


def map_points(
    points: NDArray[np.float64], transform: str | Sequence[str], seed: int
) -> NDArray[np.float64]:
    """Map points through a transform, or through several in turn.

    Parameters
    ----------
    points : (n, 3) array
        RAS millimetres in the space of the transform's fixed image.
    transform
        Transform file, or a list of them; the first is applied first.
    seed
        Seed of everything random in ANTs.

    Returns
    -------
    ndarray, (n, 3)
        RAS millimetres in the moving image's space, to single precision.

    Raises
    ------
    InputError
        If ANTs cannot apply the transforms.
    """
    ants = single_threaded_ants(seed)
    from ants.internal import get_lib_fn

    chain = [transform] if isinstance(transform, str) else list(transform)
    # a transform that cannot be read ends the process below, and is an error here
    voxel = Grid3D(np.zeros((1, 1, 1), np.float32), np.eye(4))
    _resample_by_ants(voxel, voxel, chain, "linear", [False] * len(chain), seed)
    given = ants.make_image(points.shape, (points * LPS_POINT).ravel())
    found = given.clone()
    arguments = ["-d", "3", "-i", pointer(given), "-o", pointer(found)]
    for part in chain:
        arguments += ["-t", part]
    map_all = get_lib_fn("antsApplyTransformsToPoints")
    if map_all([*arguments, "-f", "1", "--precision", "0"]) != 0:
        raise InputError(f"the transforms {', '.join(chain)} cannot be applied; are they ITK?")
    return found.numpy().astype(np.float64) * LPS_POINT


def carry_points(
    points: NDArray[np.float64], transform: str | Sequence[str], seed: int
) -> NDArray[np.float64]:
    """Map points as :func:`map_points` does, in double precision where our own kernel can.

    Parameters
    ----------
    points, transform, seed
        As for :func:`map_points`.

    Returns
    -------
    ndarray, (n, 3)
        RAS millimetres in the moving image's space.

    Raises
    ------
    InputError
        As :func:`map_points`.
    """
    chain = [transform] if isinstance(transform, str) else list(transform)
    maps = read_point_maps(chain)
    return map_points(points, chain, seed) if maps is None else carried(points, maps)


def jacobian_determinant(grid: Grid3D, transform: str, seed: int) -> NDArray[np.float32]:
    """Compute the Jacobian determinant of a transform on a grid.

    Parameters
    ----------
    grid
        The grid (values are not used).
    transform
        Transform whose fixed image has this grid.
    seed
        Seed of everything random in ANTs.

    Returns
    -------
    ndarray
        Local change of volume; 0 or below where the transform folds.
    """
    coarse = resample_isotropic(grid, max(2.0, grid.finest_mm))
    indices = np.indices(coarse.data.shape).reshape(3, -1).T
    points = carry_points(world_coordinates(indices, coarse.affine), transform, seed)
    moved = points.T.reshape(3, *coarse.data.shape)
    rows = [np.gradient(moved[axis], axis=(0, 1, 2)) for axis in range(3)]
    per_voxel = np.moveaxis(np.array(rows), (0, 1), (-2, -1))
    per_mm = per_voxel @ np.linalg.inv(coarse.affine[:3, :3])
    determinant = Grid3D(np.linalg.det(per_mm).astype(np.float32), coarse.affine)
    to_coarse = np.linalg.inv(coarse.affine) @ grid.affine
    return ndimage.affine_transform(
        determinant.data,
        to_coarse[:3, :3],
        to_coarse[:3, 3],
        grid.data.shape,
        order=1,
        mode="nearest",
    )
