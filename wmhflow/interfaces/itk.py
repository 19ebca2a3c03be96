"""ANTs with one thread and one seed, and images and transforms as ITK keeps them.

A transform is a file as ITK writes it: it maps points of the fixed image, in LPS millimetres, to
points of the moving image. Matrices in this module do the same in RAS millimetres. Images never
pass through ITK's readers and writers: nibabel reads them and writes them with the exact header
of the image whose grid they lie on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from wmhflow.bids.transforms import read_transform
from wmhflow.core.geometry import world_coordinates
from wmhflow.core.grids import Grid3D, resample_isotropic
from wmhflow.errors import InputError, WmhflowError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from numpy.typing import NDArray

THREADS_VARIABLE = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"
LPS_POINT = np.array([-1.0, -1.0, 1.0])
LPS_FROM_RAS = np.diag([*LPS_POINT, 1.0])
MACHINE_ENTRIES = ("OSName", "OSVersion")
# Voxels are averaged over parts no finer than this.
FINEST_PART_MM = 1.0
INTERPOLATORS = {"linear": "Linear", "nearest": "NearestNeighbor", "bspline": "BSpline"}


def single_threaded_ants(seed: int) -> ModuleType:
    """Import ants with a single ITK thread and its random seed set.

    ITK reads the number of threads from the environment once, before its first filter runs, and
    with more than one thread a registration gives other bytes at each run.

    Parameters
    ----------
    seed
        Seed of everything random in ANTs.

    Returns
    -------
    ModuleType
        The imported ``ants``.

    Raises
    ------
    WmhflowError
        If ants was imported earlier in this process without the variable set.
    """
    if os.environ.get(THREADS_VARIABLE) != "1":
        if "ants" in sys.modules:
            raise WmhflowError(
                f"ants was imported before {THREADS_VARIABLE}=1 was set, so that its results "
                f"would differ from run to run: set {THREADS_VARIABLE}=1 in the environment."
            )
        os.environ[THREADS_VARIABLE] = "1"
    import ants

    ants.config.set_ants_deterministic(on=True, seed_value=seed % 2**32)
    return ants


def ants_image(grid: Grid3D, seed: int) -> Any:
    """Make an ITK image of an array and its affine, without any file.

    Parameters
    ----------
    grid
        Values and their affine (RAS mm).
    seed
        Seed of everything random in ANTs.

    Returns
    -------
    ants.ANTsImage
        The image in single precision, in LPS coordinates.
    """
    ants = single_threaded_ants(seed)
    lps = LPS_FROM_RAS @ grid.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    return ants.from_numpy(
        np.asarray(grid.data, dtype=np.float32),
        origin=[float(value) for value in lps[:3, 3]],
        spacing=[float(value) for value in spacing],
        direction=lps[:3, :3] / spacing,
    )


def mask_image(mask: NDArray[np.bool_], affine: NDArray[np.float64], seed: int) -> Any:
    """Make an ITK mask; antsRegistration takes a mask of another type for an empty one.

    Parameters
    ----------
    mask
        The mask.
    affine
        Voxels to RAS mm.
    seed
        Seed of everything random in ANTs.

    Returns
    -------
    ants.ANTsImage
        The mask in whole numbers.
    """
    return ants_image(Grid3D(mask.astype(np.float32), affine), seed).clone("unsigned char")


def pointer(image: Any) -> str:
    """Say where an ITK image lies in memory, as ANTs' command lines take it.

    Parameters
    ----------
    image
        An ``ants.ANTsImage``; keep it alive as long as the pointer is used.

    Returns
    -------
    str
        The pointer.
    """
    from ants.internal import get_pointer_string

    return str(get_pointer_string(image))


def run_ants_registration(arguments: Sequence[str], seed: int) -> None:
    """Run antsRegistration with arguments as on its command line.

    Parameters
    ----------
    arguments
        The arguments after dimension, precision and seed.
    seed
        Seed of the metric's sampling.

    Raises
    ------
    WmhflowError
        If ANTs says that it failed.
    """
    ants = single_threaded_ants(seed)
    common = ["--dimensionality", "3", "--float", "1", "--random-seed", str(seed)]
    try:
        ants.registration([*common, *arguments], None)
    except RuntimeError as error:
        raise WmhflowError(f"antsRegistration failed ({error}); look at the two images.") from error


def load_grid(path: str | os.PathLike[str]) -> Grid3D:
    """Load a 3D image.

    Parameters
    ----------
    path
        Image of three dimensions (further ones of length 1 are dropped).

    Returns
    -------
    Grid3D
        Values in single precision, and the affine (sform if its code is > 0, else qform).

    Raises
    ------
    InputError
        If the image has not three dimensions.
    """
    image: Any = nib.load(path)
    data = np.asanyarray(image.dataobj, dtype=np.float32)
    data = data.reshape(data.shape[:3]) if data.size == np.prod(data.shape[:3]) else data
    if data.ndim != 3:
        raise InputError(f"{path} has {data.ndim} dimensions; give an image of three.")
    return Grid3D(data, np.asarray(image.affine, dtype=np.float64))


def save_like(
    data: NDArray[Any], reference: str | os.PathLike[str], out: str | os.PathLike[str], dtype: Any
) -> str:
    """Save an array with the exact header (sform, qform and their codes) of a reference image.

    Parameters
    ----------
    data
        Array on the grid of the reference.
    reference
        Image whose header is copied.
    out
        Path to write.
    dtype
        Type on disk.

    Returns
    -------
    str
        The absolute path written.
    """
    image: Any = nib.load(reference)
    saved = nib.Nifti1Image(np.asarray(data, dtype=dtype), image.affine)
    if isinstance(image, nib.Nifti1Image):
        sform, qform = image.get_sform(coded=True), image.get_qform(coded=True)
        saved.set_sform(sform[0], int(sform[1]), update_affine=False)
        saved.set_qform(qform[0], int(qform[1]), update_affine=False)
        saved.header["pixdim"] = image.header["pixdim"]
        for field in ("quatern_b", "quatern_c", "quatern_d"):
            saved.header[field] = image.header[field]
    saved.header.set_xyzt_units("mm")
    nib.save(saved, out)
    return str(Path(out).absolute())


def write_itk_affine(matrix: NDArray[np.float64], out: str | os.PathLike[str]) -> str:
    """Write a linear transform as an ITK text file.

    Parameters
    ----------
    matrix
        Points of fixed to points of moving, RAS mm.
    out
        Path to write, ``.txt``.

    Returns
    -------
    str
        The absolute path written.
    """
    lps = LPS_FROM_RAS @ matrix @ LPS_FROM_RAS
    numbers = [*lps[:3, :3].ravel(), *lps[:3, 3]]
    text = " ".join(repr(float(number)) for number in numbers)
    Path(out).write_text(
        "#Insight Transform File V1.0\n#Transform 0\n"
        "Transform: MatrixOffsetTransformBase_double_3_3\n"
        f"Parameters: {text}\nFixedParameters: 0 0 0\n"
    )
    return str(Path(out).absolute())


def read_itk_affine(path: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Read a linear transform from an ITK file.

    Parameters
    ----------
    path
        ITK ``.txt``, ``.mat`` or ``.h5`` file, composite ones included.

    Returns
    -------
    ndarray, (4, 4)
        Points of fixed to points of moving, RAS mm.

    Raises
    ------
    InputError
        If the file is not ITK's, or not linear.
    """
    given = read_transform(Path(path))
    if given.program != "ITK" or given.matrix is None:
        what = ", ".join(given.parts) or given.program
        raise InputError(f"{path} is no linear transform of ITK ({what}); convert it.")
    return given.matrix


def make_reproducible(path: Path) -> None:
    """Write an ITK transform file anew without time stamps and the machine's name.

    ITK cannot be told to leave them out, and equal transforms shall be equal files.

    Parameters
    ----------
    path
        HDF5 file; it is replaced.
    """
    import h5py

    clean = path.with_suffix(".clean.h5")
    with h5py.File(path) as source, h5py.File(clean, "w") as target:

        def copy(name: str, entry: Any) -> None:
            if name in MACHINE_ENTRIES:
                return
            if not isinstance(entry, h5py.Dataset):
                target.require_group(name)
                return
            packed = {"compression": "gzip", "chunks": entry.chunks} if entry.chunks else {}
            target.create_dataset(
                name, data=entry[()], dtype=entry.dtype, track_times=False, **packed
            )

        source.visititems(copy)
    clean.replace(path)


def apply_transforms(
    moving: str | os.PathLike[str],
    reference: str | os.PathLike[str],
    transforms: Sequence[str],
    out: str | os.PathLike[str],
    interpolation: str = "linear",
    invert: Sequence[bool] | None = None,
) -> str:
    """Resample an image onto another's grid through a chain of transforms.

    Parameters
    ----------
    moving
        Image to resample.
    reference
        Image whose grid and header the result has.
    transforms
        Transform files; the last is applied to the image first. Empty: the headers alone.
    out
        Path to write.
    interpolation
        ``linear``, ``nearest`` or ``bspline``.
    invert
        For each transform, whether its inverse is meant (linear ones only).

    Returns
    -------
    str
        The absolute path written. With ``nearest`` it has the type of the moving image, else
        single precision.

    Raises
    ------
    InputError
        If the interpolation is unknown, or the two lists differ in length.
    """
    if interpolation not in INTERPOLATORS:
        raise InputError(f"{interpolation} is no interpolation; use one of {list(INTERPOLATORS)}.")
    inverted = [False] * len(transforms) if invert is None else list(invert)
    if len(inverted) != len(transforms):
        raise InputError(f"{len(transforms)} transforms but {len(inverted)} marks of inversion.")
    data = resample_through(
        load_grid(moving), load_grid(reference), transforms, interpolation, inverted
    )
    dtype = nib.load(moving).get_data_dtype() if interpolation == "nearest" else np.float32
    if np.issubdtype(dtype, np.integer):
        data = np.rint(data)
    return save_like(data, reference, out, dtype)


def resample_through(
    moving: Grid3D,
    reference: Grid3D,
    transforms: Sequence[str],
    interpolation: str = "linear",
    invert: Sequence[bool] | None = None,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Resample values onto a grid through a chain of transforms.

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
        If ANTs cannot apply the transforms.
    """
    single_threaded_ants(seed)
    from ants.internal import get_lib_fn

    # antsApplyTransforms reads the pointers as double precision unless told otherwise.
    images = [ants_image(grid, seed).clone("double") for grid in (moving, reference)]
    result = images[1].clone("double")
    arguments = ["-d", "3", "-i", pointer(images[0]), "-r", pointer(images[1])]
    arguments += ["-o", pointer(result), "-n", INTERPOLATORS[interpolation]]
    for path, inverse in zip(transforms, invert or [False] * len(transforms), strict=True):
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
    finest = max(moving.finest_mm, FINEST_PART_MM)
    parts = np.maximum(np.rint(np.divide(reference.voxel_sizes_mm, finest)), 1).astype(int)
    if (parts == 1).all():
        return resample_through(moving, reference, transforms, interpolation, invert, seed)
    to_voxels = np.diag([*(1 / parts), 1.0])
    to_voxels[:3, 3] = (1 / parts - 1) / 2
    shape = np.array(reference.data.shape)
    fine = Grid3D(np.zeros(shape * parts, np.float32), reference.affine @ to_voxels)
    values = resample_through(moving, fine, transforms, interpolation, invert, seed)
    blocks = np.stack([shape, parts], axis=1).ravel()
    return values.reshape(blocks).mean(axis=(1, 3, 5), dtype=np.float32)


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
    resample_through(voxel, voxel, chain, seed=seed)
    given = ants.make_image(points.shape, (points * LPS_POINT).ravel())
    found = given.clone()
    arguments = ["-d", "3", "-i", pointer(given), "-o", pointer(found)]
    for part in chain:
        arguments += ["-t", part]
    map_all = get_lib_fn("antsApplyTransformsToPoints")
    if map_all([*arguments, "-f", "1", "--precision", "0"]) != 0:
        raise InputError(f"the transforms {', '.join(chain)} cannot be applied; are they ITK?")
    return found.numpy().astype(np.float64) * LPS_POINT


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
    points = map_points(world_coordinates(indices, coarse.affine), transform, seed)
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


def correct_bias(
    grid: Grid3D, mask: NDArray[np.bool_], seed: int, weight: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Correct slow changes of intensity with N4.

    Parameters
    ----------
    grid
        Image in any unit.
    mask
        Where the model counts.
    seed
        Seed of everything random in ANTs.
    weight
        Voxels within the mask that the model is fitted to; all if None.

    Returns
    -------
    ndarray
        Corrected image, with the same mean over the mask as before.

    References
    ----------
    Tustison NJ et al. N4ITK: improved N3 bias correction. IEEE Trans Med Imaging 2010.
    doi:10.1109/TMI.2010.2046908
    """
    ants = single_threaded_ants(seed)
    # N4 takes logarithms: nothing may be zero or below inside the mask.
    floor = float(np.percentile(grid.data[mask], 99)) * 1e-3 if mask.any() else 1.0
    data = np.maximum(grid.data, max(floor, np.finfo(np.float32).tiny))
    counted = mask if weight is None else mask & weight
    field = ants.n4_bias_field_correction(
        ants_image(Grid3D(data, grid.affine), seed),
        mask=ants_image(Grid3D(counted.astype(np.float32), grid.affine), seed),
        shrink_factor=max(round(4.0 / grid.finest_mm), 1),
        convergence={"iters": [30, 30, 20], "tol": 1e-5},
        spline_param=[1, 1, 1],
        return_bias_field=True,
    ).numpy()
    corrected = grid.data / np.where(field > 0, field, 1)
    scale = grid.data[mask].mean() / corrected[mask].mean() if mask.any() else 1.0
    return (corrected * scale).astype(np.float32)
