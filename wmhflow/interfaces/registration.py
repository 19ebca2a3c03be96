"""Registration with ANTs, one thread and one seed at a time, and resampling through transforms.

A transform is a file as ITK writes it: it maps points of the fixed image, in LPS millimetres, to
points of the moving image. Matrices in this module do the same in RAS millimetres. Images never
pass through ITK's readers and writers: nibabel reads them and writes them with the exact header
of the image whose grid they lie on.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    InputMultiObject,
    SimpleInterface,
    TraitedSpec,
    traits,
)
from scipy import ndimage

from wmhflow.errors import InputError, WmhflowError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from numpy.typing import NDArray

THREADS_VARIABLE = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SEARCH_SPACING_MM = 7.0
JUDGE_SPACING_MM = 2.5
ROTATIONS_TRIED_DEG = (-25.0, 0.0, 25.0)
STARTS_REFINED = 2
COARSEST_SYN_MM = 2.0
# antsRegistration's word for "no mask here".
NO_MASK = "NA"
MACHINE_ENTRIES = ("OSName", "OSVersion")
# A start other than the header must be better by this share before it is believed.
HEADER_PREFERENCE = 0.02
INTERPOLATORS = {"linear": "Linear", "nearest": "NearestNeighbor", "bspline": "BSpline"}


@dataclass(frozen=True)
class Grid3D:
    """Values on a grid: a 3D array and the affine from voxels to RAS millimetres."""

    data: NDArray[np.float32]
    affine: NDArray[np.float64]


@dataclass(frozen=True)
class LinearFit:
    """A linear transform (fixed to moving, RAS mm), where it started from, and how good it is."""

    matrix: NDArray[np.float64]
    start: str
    mutual_information: float
    mutual_information_identity: float


# --- ants, one thread, one seed ------------------------------------------------------------


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


# --- images ---------------------------------------------------------------------------------


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


def robust_range(data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale intensities to 0..1 between the 1st and 99.5th percentile of the non-zero ones.

    Parameters
    ----------
    data
        Image in any unit.

    Returns
    -------
    ndarray
        Scaled and clipped image; the background of a skull-stripped one stays 0.

    Examples
    --------
    >>> robust_range(np.array([0, 2, 4, 6], dtype=np.float32)).tolist()[0]
    0.0
    """
    values = data[data != 0]
    if values.size == 0:
        return np.zeros_like(data)
    low, high = np.percentile(values, [1.0, 99.5])
    low = min(float(low), 0.0) if low < 0 else 0.0
    span = float(high) - low
    return np.clip((data - low) / (span if span > 0 else 1.0), 0, 1) * (data != 0)


def resample_isotropic(grid: Grid3D, spacing_mm: float, order: int = 1) -> Grid3D:
    """Resample along the image's own axes to cubic voxels, smoothing first where it gets coarser.

    Parameters
    ----------
    grid
        Image of any voxel size.
    spacing_mm
        Edge of the new voxels.
    order
        Order of the interpolating spline.

    Returns
    -------
    Grid3D
        Image that covers the same field of view.
    """
    sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    factor = spacing_mm / sizes
    # Half of the coarser voxel's width, less what the voxel itself already averages.
    sigma = 0.5 * np.sqrt(np.maximum(factor**2 - 1, 0))
    smooth = ndimage.gaussian_filter(grid.data, sigma if order else 0)
    shape = np.maximum(np.ceil(np.array(grid.data.shape) / factor).astype(int), 1)
    offset = (factor - 1) / 2
    data = ndimage.affine_transform(
        smooth, np.diag(factor), offset, tuple(int(n) for n in shape), order=order, mode="nearest"
    )
    to_old = np.eye(4)
    to_old[:3, :3], to_old[:3, 3] = np.diag(factor), offset
    return Grid3D(data, grid.affine @ to_old)


def centroid_mm(grid: Grid3D) -> NDArray[np.float64]:
    """Find the centre of mass in RAS millimetres.

    Parameters
    ----------
    grid
        Image without negative values.

    Returns
    -------
    ndarray, (3,)
        The centre of mass; the centre of the grid if the image is empty.
    """
    centre = (np.array(grid.data.shape) - 1) / 2
    if grid.data.sum() > 0:
        centre = np.array(ndimage.center_of_mass(grid.data))
    return nib.affines.apply_affine(grid.affine, centre)


# --- how good an alignment is ----------------------------------------------------------------


def mutual_information(
    first: NDArray[np.float32], second: NDArray[np.float32], n_bins: int = 32
) -> float:
    """Compute the mutual information of paired values.

    Parameters
    ----------
    first, second
        Paired values between 0 and 1.
    n_bins
        Number of bins of each.

    Returns
    -------
    float
        Mutual information in nats.

    Examples
    --------
    >>> values = np.linspace(0, 1, 64, dtype=np.float32)
    >>> bool(np.isclose(mutual_information(values, 1 - values, 8), np.log(8)))
    True
    >>> mutual_information(values, np.zeros_like(values), 8)
    0.0
    """
    if first.size == 0:
        return 0.0
    codes = [
        np.minimum((values * n_bins).astype(np.int64), n_bins - 1) for values in (first, second)
    ]
    joint = np.bincount(codes[0] * n_bins + codes[1], minlength=n_bins**2).reshape(n_bins, n_bins)
    joint = joint / joint.sum()
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log(joint[seen] / expected[seen])))


def alignment_score(
    fixed: Grid3D, moving: Grid3D, matrix: NDArray[np.float64], mask: NDArray[np.bool_] | None
) -> float:
    """Judge an alignment: mutual information where the fields of view meet, times their share.

    Parameters
    ----------
    fixed, moving
        Images scaled to 0..1.
    matrix
        Points of fixed to points of moving, RAS mm.
    mask
        Part of the fixed grid that counts, or None for all.

    Returns
    -------
    float
        Score in nats; larger is better.
    """
    to_moving = np.linalg.inv(moving.affine) @ matrix @ fixed.affine
    counted = np.ones(fixed.data.shape, bool) if mask is None else mask
    voxels = np.argwhere(counted)
    where = voxels @ to_moving[:3, :3].T + to_moving[:3, 3]
    inside = np.all((where >= -0.5) & (where <= np.array(moving.data.shape) - 0.5), axis=1)
    values = fixed.data[counted]
    weight = np.where(values > 0, 1.0, 0.05)
    share = float(weight[inside].sum() / weight.sum()) if weight.size else 0.0
    sampled = ndimage.map_coordinates(moving.data, where[inside].T, order=1, mode="nearest")
    return mutual_information(values[inside], sampled) * share


# --- linear registration ----------------------------------------------------------------------


def rotation_matrix(angles_deg: Sequence[float]) -> NDArray[np.float64]:
    """Make a rotation from angles about x, y and z, applied in this order.

    Parameters
    ----------
    angles_deg
        Three angles in degrees.

    Returns
    -------
    ndarray, (3, 3)
        The rotation.

    Examples
    --------
    >>> rotation_matrix((0, 0, 90)).round().astype(int).tolist()
    [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    """
    a, b, c = np.deg2rad(angles_deg)
    about_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    about_y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    about_z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    return np.array(about_z) @ np.array(about_y) @ np.array(about_x)


def linear_starts(fixed: Grid3D, moving: Grid3D) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Propose starting positions: as the headers say, centres of mass, centres of the grids.

    Parameters
    ----------
    fixed, moving
        Images scaled to 0..1.

    Yields
    ------
    tuple of str and ndarray
        A name, and the transform from fixed to moving points (RAS mm). Each position comes also
        turned by the angles of ``ROTATIONS_TRIED_DEG``.
    """
    pivot = centroid_mm(fixed)
    middles = [
        nib.affines.apply_affine(grid.affine, (np.array(grid.data.shape) - 1) / 2)
        for grid in (fixed, moving)
    ]
    shifts = {
        "header": np.zeros(3),
        "centre of mass": centroid_mm(moving) - pivot,
        "centre of image": middles[1] - middles[0],
    }
    for name, shift in shifts.items():
        for angles in itertools.product(ROTATIONS_TRIED_DEG, repeat=3):
            matrix = np.eye(4)
            matrix[:3, :3] = rotation_matrix(angles)
            matrix[:3, 3] = pivot + shift - matrix[:3, :3] @ pivot
            turned = ", turned by " + "/".join(f"{angle:.0f}" for angle in angles)
            yield name + (turned if any(angles) else ""), matrix


def best_starts(
    fixed: Grid3D, moving: Grid3D, mask: NDArray[np.bool_] | None, n_starts: int
) -> list[tuple[str, NDArray[np.float64]]]:
    """Choose the starting positions worth refining, always with the one of the headers.

    Parameters
    ----------
    fixed, moving
        Images scaled to 0..1.
    mask
        Part of the fixed grid that counts, or None for all.
    n_starts
        How many to choose beside the header.

    Returns
    -------
    list of tuple
        Name and transform of each, the header first.
    """
    small, other = (resample_isotropic(grid, SEARCH_SPACING_MM) for grid in (fixed, moving))
    counted = None
    if mask is not None:
        coarse = resample_isotropic(
            Grid3D(mask.astype(np.float32), fixed.affine), SEARCH_SPACING_MM
        )
        counted = coarse.data > 0.5
    starts = list(linear_starts(small, other))
    scores = [alignment_score(small, other, matrix, counted) for _, matrix in starts]
    order = [index for index in np.argsort(scores)[::-1] if index != 0]
    return [starts[0], *(starts[index] for index in order[:n_starts])]


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


def read_itk_affine(path: str | os.PathLike[str], seed: int = 0) -> NDArray[np.float64]:
    """Read a linear transform from an ITK file.

    Parameters
    ----------
    path
        ITK text or ``.mat`` file.
    seed
        Seed of everything random in ANTs.

    Returns
    -------
    ndarray, (4, 4)
        Points of fixed to points of moving, RAS mm.
    """
    transform = single_threaded_ants(seed).read_transform(str(path))
    parameters = np.asarray(transform.parameters, dtype=np.float64)
    centre = np.asarray(transform.fixed_parameters, dtype=np.float64)[:3]
    lps = np.eye(4)
    lps[:3, :3] = parameters[:9].reshape(3, 3)
    lps[:3, 3] = parameters[9:12] + centre - lps[:3, :3] @ centre
    return LPS_FROM_RAS @ lps @ LPS_FROM_RAS


def refine_linear(
    fixed: Grid3D,
    moving: Grid3D,
    start: NDArray[np.float64],
    stages: Sequence[str],
    shrink: Sequence[int],
    seed: int,
    mask: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Refine a starting position with antsRegistration and Mattes mutual information.

    Parameters
    ----------
    fixed, moving
        Images scaled to 0..1, of cubic voxels.
    start
        Points of fixed to points of moving, RAS mm.
    stages
        Kinds of transform, one after the other, such as ``Rigid`` and ``Affine``.
    shrink
        Shrink factors of the levels, coarse to fine.
    seed
        Seed of the metric's sampling.
    mask
        Part of the fixed grid that counts, or None for all.

    Returns
    -------
    ndarray, (4, 4)
        Points of fixed to points of moving, RAS mm.
    """
    images = [ants_image(grid, seed) for grid in (fixed, moving)]
    pointers = [pointer(image) for image in images]
    masks: list[str] = []
    if mask is not None:
        images.append(mask_image(mask, fixed.affine, seed))
        masks = ["--masks", f"[{pointer(images[-1])},{NO_MASK}]"]
    factors = "x".join(str(factor) for factor in shrink)
    sigmas = "x".join(f"{factor / 2 if factor > 1 else 0:g}" for factor in shrink)
    iterations = "x".join(["200"] * (len(shrink) - 1) + ["60"])
    with tempfile.TemporaryDirectory() as folder:
        initial = write_itk_affine(start, Path(folder) / "start.txt")
        arguments = ["--initial-moving-transform", initial, "--output", f"{folder}/fit"]
        for stage in stages:
            metric = f"Mattes[{pointers[0]},{pointers[1]},1,32,Regular,0.25]"
            arguments += ["--transform", f"{stage}[0.1]", "--metric", metric]
            arguments += ["--convergence", f"[{iterations},1e-6,10]"]
            arguments += ["--shrink-factors", factors, "--smoothing-sigmas", f"{sigmas}vox"]
            arguments += masks
        run_ants_registration(arguments, seed)
        return read_itk_affine(f"{folder}/fit0GenericAffine.mat", seed)


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


def register_linear(
    fixed: Grid3D,
    moving: Grid3D,
    stages: Sequence[str],
    seed: int,
    spacing_mm: float = 2.0,
    mask: NDArray[np.bool_] | None = None,
    mask_judges_only: bool = False,
) -> LinearFit:
    """Register from several starts and keep the best, judged outside the registration.

    Parameters
    ----------
    fixed, moving
        Images in any unit and voxel size.
    stages
        Kinds of transform, such as ``Rigid`` and ``Affine``.
    seed
        Seed of the metric's sampling.
    spacing_mm
        Finest voxel size used.
    mask
        Part of the fixed grid where the alignment is judged, or None for all.
    mask_judges_only
        Keep the mask out of the registration's own metric.

    Returns
    -------
    LinearFit
        The best alignment. It is the headers' own if nothing was better.
    """
    scaled = [Grid3D(robust_range(grid.data), grid.affine) for grid in (fixed, moving)]
    starts = best_starts(scaled[0], scaled[1], mask, STARTS_REFINED)
    # Nothing is gained by voxels finer than both images have.
    spacing_mm = max(spacing_mm, min(_finest_mm(fixed), _finest_mm(moving)))
    fine = [resample_isotropic(grid, spacing_mm) for grid in scaled]
    judged = [resample_isotropic(grid, JUDGE_SPACING_MM) for grid in scaled]
    fine_mask, judge_mask = (
        None if mask is None else _resample_mask(mask, fixed.affine, spacing)
        for spacing in (spacing_mm, JUDGE_SPACING_MM)
    )
    metric_mask = None if mask_judges_only else fine_mask
    identity = alignment_score(judged[0], judged[1], np.eye(4), judge_mask)
    best = LinearFit(np.eye(4), "header, unmoved", identity, identity)
    for name, start in starts:
        rough = refine_linear(fine[0], fine[1], start, stages[:1], (6, 4), seed, metric_mask)
        score = alignment_score(judged[0], judged[1], rough, judge_mask)
        if score > best.mutual_information * (1 + HEADER_PREFERENCE * (name != "header")):
            best = LinearFit(rough, name, score, identity)
    found = refine_linear(fine[0], fine[1], best.matrix, stages, (4, 2, 1), seed, metric_mask)
    score = alignment_score(judged[0], judged[1], found, judge_mask)
    if score < best.mutual_information:
        return best
    return LinearFit(found, best.start, score, identity)


def _resample_mask(
    mask: NDArray[np.bool_], affine: NDArray[np.float64], spacing_mm: float
) -> NDArray[np.bool_]:
    return resample_isotropic(Grid3D(mask.astype(np.float32), affine), spacing_mm).data > 0.5


def rigid_metrics(fit: LinearFit, centre: NDArray[np.float64]) -> dict[str, Any]:
    """Describe a rigid alignment in numbers.

    Parameters
    ----------
    fit
        The alignment.
    centre
        Point (RAS mm) whose displacement is the translation.

    Returns
    -------
    dict
        ``mutual_information``, ``mutual_information_identity`` (nats), ``rotation_deg``,
        ``translation_mm`` and ``start``.
    """
    cosine = (np.trace(fit.matrix[:3, :3]) - 1) / 2
    moved = nib.affines.apply_affine(fit.matrix, centre) - centre
    return {
        "mutual_information": fit.mutual_information,
        "mutual_information_identity": fit.mutual_information_identity,
        "rotation_deg": float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
        "translation_mm": float(np.linalg.norm(moved)),
        "start": fit.start,
    }


# --- registration to the template --------------------------------------------------------------


@dataclass(frozen=True)
class WarpFit:
    """Composite transforms between an image and the template, and how good they are."""

    forward: str
    inverse: str
    metrics: dict[str, Any]


def register_nonlinear(
    template: Grid3D,
    moving: Grid3D,
    affine: NDArray[np.float64],
    prefix: str,
    seed: int,
    iterations: Sequence[int],
    spacings_mm: Sequence[float],
    template_mask: NDArray[np.bool_] | None = None,
    moving_mask: NDArray[np.bool_] | None = None,
) -> tuple[str, str]:
    """Run SyN with mutual information from an affine start.

    Parameters
    ----------
    template, moving
        Brain images scaled to 0..1; their own voxel size is the finest.
    affine
        Points of the template to points of moving, RAS mm.
    prefix
        Beginning of the output files' names.
    seed
        Seed of the metric's sampling.
    iterations
        Iterations of each level.
    spacings_mm
        Voxel size of each level, coarse to fine.
    template_mask, moving_mask
        Where the metric counts, or None for everywhere.

    Returns
    -------
    tuple of str
        Paths of the composite transform and of its inverse (``.h5``).
    """
    images = {
        "fixed": ants_image(template, seed),
        "moving": ants_image(moving, seed),
    }
    if template_mask is not None:
        images["fixed_mask"] = mask_image(template_mask, template.affine, seed)
    if moving_mask is not None:
        images["moving_mask"] = mask_image(moving_mask, moving.affine, seed)
    where = {name: pointer(image) for name, image in images.items()}
    voxel_mm = float(np.min(np.linalg.norm(template.affine[:3, :3], axis=0)))
    factors = [max(round(spacing / voxel_mm), 1) for spacing in spacings_mm]
    with tempfile.TemporaryDirectory() as folder:
        start = write_itk_affine(affine, Path(folder) / "start.txt")
        arguments = ["--initial-moving-transform", start, "--output", prefix]
        arguments += ["--write-composite-transform", "1", "--transform", "SyN[0.2,3,0]"]
        arguments += ["--metric", f"Mattes[{where['fixed']},{where['moving']},1,32]"]
        arguments += ["--convergence", f"[{'x'.join(map(str, iterations))},1e-6,6]"]
        arguments += ["--shrink-factors", "x".join(map(str, factors))]
        arguments += ["--smoothing-sigmas", "x".join(f"{f / 2:g}" for f in factors) + "vox"]
        masks = [where.get(name, NO_MASK) for name in ("fixed_mask", "moving_mask")]
        arguments += ["--masks", f"[{masks[0]},{masks[1]}]"]
        run_ants_registration(arguments, seed)
    written = f"{prefix}Composite.h5", f"{prefix}InverseComposite.h5"
    for path in written:
        make_reproducible(Path(path))
    return written


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


def register_to_template(
    reference: Grid3D,
    brain_mask: NDArray[np.bool_],
    template: Grid3D,
    out_dir: str | os.PathLike[str],
    seed: int,
    template_mask: NDArray[np.bool_] | None = None,
    lesion_mask: NDArray[np.bool_] | None = None,
    quick: bool = False,
) -> WarpFit:
    """Register a person's image to the template: N4, affine from several starts, SyN.

    Parameters
    ----------
    reference
        T1w or FLAIR.
    brain_mask
        The person's brain on the reference's grid.
    template
        Skull-stripped template.
    out_dir
        Folder of the transforms.
    seed
        Seed of the metric's sampling.
    template_mask
        Brain of the template; its non-zero voxels if None.
    lesion_mask
        Lesions on the reference's grid; they do not count in SyN's metric.
    quick
        Coarser and with fewer iterations.

    Returns
    -------
    WarpFit
        Transforms and their metrics.
    """
    corrected = correct_bias(reference, brain_mask, seed)
    brain = Grid3D(robust_range(np.where(brain_mask, corrected, 0)), reference.affine)
    # SyN gains nothing from a grid finer than the person's own voxels
    working_mm = float(np.clip(_finest_mm(reference), _finest_mm(template), COARSEST_SYN_MM))
    goal_mask = template.data > 0 if template_mask is None else template_mask
    goal = resample_isotropic(Grid3D(robust_range(template.data), template.affine), working_mm)
    # the finest level at which there is something to smooth
    levels_mm = [level for level in (8.0, 4.0, 2.0) if level > 1.5 * working_mm]
    goal_brain = _resample_mask(goal_mask, template.affine, working_mm)
    fit = register_linear(goal, brain, ("Rigid", "Affine"), seed, spacing_mm=4.0 if quick else 3.0)
    working = resample_isotropic(brain, working_mm)
    kept = None
    if lesion_mask is not None and lesion_mask.any():
        grown = ndimage.binary_dilation(lesion_mask, iterations=1)
        kept = ~_resample_mask(grown, reference.affine, _finest_mm(working))
    forward, inverse = register_nonlinear(
        goal,
        working,
        fit.matrix,
        str(Path(out_dir).absolute() / "xfm"),
        seed,
        iterations=(30, 8) if quick else (60, 40, 10)[: len(levels_mm)],
        spacings_mm=(8.0, 4.0) if quick else levels_mm,
        template_mask=ndimage.binary_dilation(goal_brain, iterations=3),
        moving_mask=kept,
    )
    jacobian = jacobian_determinant(goal, forward, seed)[goal_brain]
    return WarpFit(
        forward,
        inverse,
        {
            "start": fit.start,
            "mutual_information_affine": fit.mutual_information,
            "jacobian_min": float(jacobian.min()),
            "jacobian_max": float(jacobian.max()),
        },
    )


def _finest_mm(grid: Grid3D) -> float:
    return float(np.min(np.linalg.norm(grid.affine[:3, :3], axis=0)))


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
    sizes = np.linalg.norm(grid.affine[:3, :3], axis=0)
    # N4 takes logarithms: nothing may be zero or below inside the mask.
    floor = float(np.percentile(grid.data[mask], 99)) * 1e-3 if mask.any() else 1.0
    data = np.maximum(grid.data, max(floor, np.finfo(np.float32).tiny))
    counted = mask if weight is None else mask & weight
    field = ants.n4_bias_field_correction(
        ants_image(Grid3D(data, grid.affine), seed),
        mask=ants_image(Grid3D(counted.astype(np.float32), grid.affine), seed),
        shrink_factor=max(round(4.0 / float(sizes.min())), 1),
        convergence={"iters": [30, 30, 20], "tol": 1e-5},
        spline_param=[1, 1, 1],
        return_bias_field=True,
    ).numpy()
    corrected = grid.data / np.where(field > 0, field, 1)
    scale = grid.data[mask].mean() / corrected[mask].mean() if mask.any() else 1.0
    return (corrected * scale).astype(np.float32)


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
    coarse = resample_isotropic(grid, max(2.0, _finest_mm(grid)))
    points = map_points(coarse, transform, seed)
    rows = [np.gradient(points[axis], axis=(0, 1, 2)) for axis in range(3)]
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


def map_points(grid: Grid3D, transform: str, seed: int) -> NDArray[np.float64]:
    """Map every voxel centre of a grid through a transform.

    Parameters
    ----------
    grid
        The grid of the transform's fixed image.
    transform
        Transform file.
    seed
        Seed of everything random in ANTs.

    Returns
    -------
    ndarray, (3, x, y, z)
        RAS millimetres in the moving image's space.
    """
    ants = single_threaded_ants(seed)
    image = ants_image(grid, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = ants.apply_transforms(image, image, [transform], compose=f"{folder}/points")
        shift: Any = nib.load(path)
        moved = np.asarray(shift.dataobj, dtype=np.float64).squeeze()
    lps_to_ras = np.array([-1.0, -1.0, 1.0])
    here = nib.affines.apply_affine(grid.affine, np.moveaxis(np.indices(grid.data.shape), 0, -1))
    return np.moveaxis(here + moved * lps_to_ras, -1, 0)


# --- resampling -------------------------------------------------------------------------------


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
        arguments += ["-t", f"[{path},{int(inverse)}]"]
    if not transforms:
        arguments += ["-t", "identity"]
    if get_lib_fn("antsApplyTransforms")([*arguments, "--float", "0", "-e", "0", "-f", "0"]) != 0:
        raise InputError(f"the transforms {', '.join(transforms)} cannot be applied; are they ITK?")
    return result.numpy().astype(np.float32)


# --- nipype -------------------------------------------------------------------------------------


class _RigidInput(BaseInterfaceInputSpec):
    fixed = File(exists=True, mandatory=True, desc="image that stays")
    moving = File(exists=True, mandatory=True, desc="image that is aligned to it")
    fixed_mask = File(exists=True, desc="where the alignment is judged, on the fixed grid")
    seed = traits.Int(42, usedefault=True, desc="seed of the metric's sampling")


class _RigidOutput(TraitedSpec):
    transform = File(exists=True, desc="ITK text file, fixed points to moving points")
    warped = File(exists=True, desc="moving image on the fixed grid")
    metrics = traits.Dict(desc="how good the alignment is")


class RigidRegistration(SimpleInterface):
    """Align two images of one person."""

    input_spec = _RigidInput
    output_spec = _RigidOutput

    def _run_interface(self, runtime: Any) -> Any:
        fixed, moving = load_grid(self.inputs.fixed), load_grid(self.inputs.moving)
        mask = _load_optional_mask(self.inputs.fixed_mask)
        fit = register_linear(
            fixed, moving, ("Rigid",), self.inputs.seed, mask=mask, mask_judges_only=True
        )
        out = Path(runtime.cwd)
        self._results["transform"] = write_itk_affine(fit.matrix, out / "rigid.txt")
        self._results["warped"] = apply_transforms(
            self.inputs.moving,
            self.inputs.fixed,
            [self._results["transform"]],
            out / "warped.nii.gz",
        )
        centre = centroid_mm(Grid3D(robust_range(fixed.data), fixed.affine))
        self._results["metrics"] = rigid_metrics(fit, centre)
        return runtime


class _TemplateInput(BaseInterfaceInputSpec):
    reference = File(exists=True, mandatory=True, desc="T1w or FLAIR")
    brain_mask = File(exists=True, mandatory=True, desc="brain on the reference grid")
    template = File(exists=True, mandatory=True, desc="skull-stripped template")
    template_mask = File(exists=True, desc="brain of the template")
    lesion_mask = File(exists=True, desc="kept out of the metric, on the reference grid")
    seed = traits.Int(42, usedefault=True, desc="seed of the metric's sampling")
    quick = traits.Bool(False, usedefault=True, desc="coarser, with fewer iterations")


class _TemplateOutput(TraitedSpec):
    forward = File(exists=True, desc="reference to template, composite .h5")
    inverse = File(exists=True, desc="template to reference, composite .h5")
    warped = File(exists=True, desc="reference on the template grid")
    metrics = traits.Dict(desc="how good the alignment is")


class TemplateRegistration(SimpleInterface):
    """Register a person's image to the template."""

    input_spec = _TemplateInput
    output_spec = _TemplateOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        fit = register_to_template(
            load_grid(inputs.reference),
            load_grid(inputs.brain_mask).data > 0,
            load_grid(inputs.template),
            runtime.cwd,
            inputs.seed,
            template_mask=_load_optional_mask(inputs.template_mask),
            lesion_mask=_load_optional_mask(inputs.lesion_mask),
            quick=inputs.quick,
        )
        self._results.update(forward=fit.forward, inverse=fit.inverse, metrics=fit.metrics)
        self._results["warped"] = apply_transforms(
            inputs.reference,
            inputs.template,
            [fit.forward],
            Path(runtime.cwd) / "warped.nii.gz",
        )
        return runtime


class _ApplyInput(BaseInterfaceInputSpec):
    moving = File(exists=True, mandatory=True, desc="image to resample")
    reference = File(exists=True, mandatory=True, desc="image with the grid to fill")
    transforms = InputMultiObject(File(exists=True), desc="the last is applied first")
    invert = InputMultiObject(traits.Bool(), desc="whether the inverse is meant, for each")
    interpolation = traits.Enum("linear", "nearest", "bspline", usedefault=True)


class _ApplyOutput(TraitedSpec):
    resampled = File(exists=True, desc="the moving image on the reference's grid")


class ApplyTransforms(SimpleInterface):
    """Resample an image through transforms."""

    input_spec = _ApplyInput
    output_spec = _ApplyOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        self._results["resampled"] = apply_transforms(
            inputs.moving,
            inputs.reference,
            inputs.transforms or [],
            Path(runtime.cwd) / "resampled.nii.gz",
            inputs.interpolation,
            inputs.invert or None,
        )
        return runtime


def _load_optional_mask(path: Any) -> NDArray[np.bool_] | None:
    """Load a mask if its path was given."""
    return load_grid(path).data > 0 if path else None
